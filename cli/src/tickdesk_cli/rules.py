"""What rules did to a ticket, and what they would have done to a queue's."""

from collections.abc import Iterable
from datetime import UTC

from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from tickdesk.tickets.v1 import triggers_pb2
from tickdesk.tickets.v1 import triggers_service_pb2 as pb
from tickdesk_cli.client import SECONDS, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import clean, console, instant, write

_PAGE = 200
_STYLES = {"done": "green", "failed": "bold red", "not_run": "bold magenta"}


async def dry_run(desk: Desk, request: pb.DryRunRulesRequest, events: int, *, as_json: bool) -> None:
    """Print what rules would have done to the newest events of a queue."""
    desk.require()
    runs: list[triggers_pb2.RuleRun] = []
    left = events
    async with desk.client() as client:
        while left > 0:
            request.page_size = min(left, _PAGE)
            answer = await client.rules.DryRunRules(request, timeout=SECONDS)
            runs += answer.runs
            left -= request.page_size
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
    _show(runs, f"nothing would have been done to the last {events} events", as_json=as_json)


async def trail(desk: Desk, ticket: str, *, as_json: bool) -> None:
    """Print which rule did what to a ticket."""
    desk.require()
    async with desk.client() as client:
        request = pb.ListRuleRunsRequest(ticket=ticket)
        runs = [each async for page in pages(client.rules.ListRuleRuns, request) for each in page.runs]
    _show(runs, f"no rule did anything to {ticket}", as_json=as_json)


def _show(runs: Iterable[triggers_pb2.RuleRun], nothing: str, *, as_json: bool) -> None:
    found = list(runs)
    if as_json:
        write([MessageToDict(each, preserving_proto_field_name=True) for each in found])
        return
    if not found:
        console.print(nothing)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("when", "ticket", "rule", "set off by", "outcome", "what"):
        table.add_column(name, overflow="fold")
    for each in found:
        outcome = triggers_pb2.RuleRun.Outcome.Name(each.outcome).removeprefix("OUTCOME_").lower()
        table.add_row(
            instant(each.time.ToDatetime(UTC)),
            Text(each.ticket_key, "bold"),
            Text(clean(each.rule)),
            Text(clean(each.event)),
            Text(outcome, _STYLES.get(outcome, "")),
            Text(clean(each.reason or "; ".join(each.actions))),
        )
    console.print(table)
