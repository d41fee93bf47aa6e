"""The end of the demo: what the services themselves count, next to what was expected."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tickdesk.intake.v1.intake_service_pb2 import ListMessagesRequest
from tickdesk.notifier.v1.delivery_pb2 import (
    AUDIENCE_CUSTOMER,
    DELIVERY_STATE_SENT,
    DELIVERY_STATE_SUPPRESSED,
)
from tickdesk.notifier.v1.notifier_service_pb2 import ListDeliveriesRequest
from tickdesk.sla.v1.clock_pb2 import (
    MARK_ACTION_BREACH,
    MARK_ACTION_ESCALATE_LINE,
    MARK_ACTION_ESCALATE_MANAGEMENT,
)
from tickdesk.sla.v1.sla_service_pb2 import ListMarksRequest
from tickdesk.survey.v1.survey_pb2 import SURVEY_STATE_ANSWERED
from tickdesk.survey.v1.survey_service_pb2 import ListSurveysRequest
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.tickets_service_pb2 import ListTicketsRequest
from tickdesk_cli import page
from tickdesk_cli.acts import Stage
from tickdesk_cli.client import SECONDS, Client, pages
from tickdesk_cli.ingest import settle
from tickdesk_cli.story import Expected

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One number: what it is, who counts it, what was expected, what they say."""

    what: str
    source: str
    expected: int
    counted: int

    @property
    def holds(self) -> bool:
        """True when both are the same."""
        return self.expected == self.counted


async def count(stage: Stage, wanted: dict[str, Expected]) -> list[Row]:
    """Ask the services and compare."""
    rows = [*await _mail(stage, wanted), *await _tickets(stage, wanted)]
    return [*rows, *await _clocks(stage), *await _letters(stage, wanted), *await _surveys(stage)]


async def misplaced(stage: Stage, wanted: dict[str, Expected]) -> list[str]:
    """Messages of the mailbox that did not become what they had to, in words."""
    await settle(stage.admin, stage.report, _LONG_AGO)
    results = {Path(each.name).name: each for each in stage.report.results}
    found = []
    for name, want in wanted.items():
        got = results.get(name)
        if got is None or got.outcome != want.outcome:
            found.append(f"{name}: {got.outcome if got else 'not delivered'}, expected {want.outcome}")
        elif want.outcome == "joined" and got.ticket != results[want.of].ticket:
            found.append(f"{name}: joined {got.ticket}, expected {results[want.of].ticket}")
    return found


async def _mail(stage: Stage, wanted: dict[str, Expected]) -> list[Row]:
    listed = await stage.admin.intake.ListMessages(ListMessagesRequest(page_size=1), timeout=SECONDS)
    outcomes = Counter(each.outcome for each in wanted.values())
    unique = outcomes["created"] + outcomes["joined"] + stage.extra
    return [
        Row("messages stored", "intake ListMessages", unique, listed.total_size),
        Row("duplicates dropped", "intake ListMessages", outcomes["duplicate"], listed.duplicates_dropped),
    ]


async def _tickets(stage: Stage, wanted: dict[str, Expected]) -> list[Row]:
    tickets = await _all_tickets(stage.admin)
    outcomes = Counter(each.outcome for each in wanted.values())
    followed = _followed(stage)
    counts = Counter(_answered(ticket) for ticket in tickets)
    source = "tickets ListTickets"
    return [
        Row(
            "tickets opened by mail",
            source,
            outcomes["created"],
            sum(not each.parent_ticket_id for each in tickets),
        ),
        Row(
            "follow-ups of a low score",
            source,
            followed,
            sum(bool(each.parent_ticket_id) for each in tickets),
        ),
        Row("answered in time", source, len(stage.story.answers) + followed, counts["in time"]),
        Row("answered late", source, len(stage.story.late), counts["late"]),
    ]


def _followed(stage: Stage) -> int:
    """How many low scores there are, each of which opens a ticket that somebody answers."""
    return sum(vote.score <= page.LOW for vote in stage.story.votes)


async def _all_tickets(client: Client) -> list[Ticket]:
    request = ListTicketsRequest()
    request.updated_after.FromDatetime(_LONG_AGO)
    return [each async for answer in pages(client.tickets.ListTickets, request) for each in answer.tickets]


def _answered(ticket: Ticket) -> str:
    clock = next(
        (each for each in ticket.sla.clocks if each.clock == "first_response" and each.cycle == 1), None
    )
    if clock is None or clock.state != "met":
        return "no"
    return "late" if clock.breached else "in time"


async def _clocks(stage: Stage) -> list[Row]:
    left, late = len(stage.story.left), len(stage.story.late)
    rows = [
        ("breaches of the first answer", MARK_ACTION_BREACH, left),
        ("handed to the next line", MARK_ACTION_ESCALATE_LINE, left),
        ("management told of an overrun", MARK_ACTION_ESCALATE_MANAGEMENT, left - late),
    ]
    return [
        Row(what, "sla-clock ListMarks", expected, await _marks(stage.admin, action))
        for what, action, expected in rows
    ]


async def _marks(client: Client, action: Any) -> int:
    request = ListMarksRequest(action=action)
    return sum(
        [
            mark.clock == "first_response"
            async for answer in pages(client.sla.ListMarks, request)
            for mark in answer.marks
        ]
    )


async def _letters(stage: Stage, wanted: dict[str, Expected]) -> list[Row]:
    client, story = stage.admin, stage.story
    created = [each for each in wanted.values() if each.outcome == "created"]
    persons = sum(each.kind == "person" for each in created)
    followed = _followed(stage)
    replies = sum(map(len, (story.answers, story.again, story.late, story.confirms))) + followed
    silent = len(created) - persons + followed
    sent = {"state": DELIVERY_STATE_SENT, "audience": AUDIENCE_CUSTOMER}
    suppressed = {"state": DELIVERY_STATE_SUPPRESSED, "template": "auto_reply"}
    to_customers = await _deliveries(client, **sent)
    caught = sum(not each.to_staff for each in stage.catcher.letters)
    source = "notifier ListDeliveries"
    return [
        Row("auto-replies sent", source, persons, await _deliveries(client, template="auto_reply", **sent)),
        Row("auto-replies kept back (robots)", source, silent, await _deliveries(client, **suppressed)),
        Row("answers of agents sent", source, replies, await _deliveries(client, template="reply", **sent)),
        Row("letters to customers, caught by their server", source, caught, to_customers),
    ]


async def _deliveries(client: Client, **filters: Any) -> int:
    request = ListDeliveriesRequest(page_size=1, **filters)
    return (await client.notifier.ListDeliveries(request, timeout=SECONDS)).total_size


async def _surveys(stage: Stage) -> list[Row]:
    request = ListSurveysRequest(state=SURVEY_STATE_ANSWERED)
    answered = await stage.admin.survey.ListSurveys(request, timeout=SECONDS)
    votes = stage.story.votes
    low = _followed(stage)
    source = "survey ListSurveys"
    return [
        Row("surveys answered", source, len(votes), answered.total_size),
        Row("low scores", source, low, sum(each.low for each in answered.surveys)),
    ]


def table(rows: list[Row]) -> Table:
    """The numbers side by side."""
    shown = Table(
        title="Counted by the services themselves", title_justify="left", title_style="bold", box=None
    )
    shown.add_column("", no_wrap=True)
    shown.add_column("what", overflow="fold")
    shown.add_column("expected", justify="right")
    shown.add_column("counted", justify="right")
    shown.add_column("by", style="dim", overflow="fold")
    for row in rows:
        style = "green" if row.holds else "bold red"
        verdict = Text("ok" if row.holds else "NO", style)
        shown.add_row(verdict, row.what, str(row.expected), Text(str(row.counted), style), row.source)
    return shown
