"""Whatever dies in the middle of the mailbox, the desk ends with the same holdings."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from chassis.testing import eventually
from tests.desks import LONG_AGO, MAILBOX, a_desk, expected, holdings
from tickdesk_cli import ingest, mailbox
from tickdesk_cli.client import Client
from tickdesk_cli.desk import Desk
from tickdesk_cli.lmtp import Sender

Blow = Callable[[Desk], Coroutine[Any, Any, None]]
pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]
# Long targets: this compares what is held, and a mark must not change a ticket on the way.
POLICY = {"TICKDESK_SLA_CLOCK_POLICY_PATH": str(MAILBOX.parent / "policies" / "playbook.yaml")}


async def kill(desk: Desk, name: str) -> None:
    service = desk.service(name)
    before = service.pid
    await service.kill()
    assert service.pid == 0
    service.start()
    assert service.pid != before


async def restart_nats(desk: Desk) -> None:
    desk.servers.nats.kill()
    desk.servers.nats.start()


async def flush_valkey(desk: Desk) -> None:
    desk.servers.valkey.kill()
    for path in desk.servers.valkey.folder.glob("*append*"):
        _remove(path)
    for path in desk.servers.valkey.folder.glob("*.rdb"):
        _remove(path)
    desk.servers.valkey.start()


def _remove(path: Path) -> None:
    if path.is_dir():
        for each in path.iterdir():
            _remove(each)
        path.rmdir()
    else:
        path.unlink()


async def deliver_with_blows(desk: Desk, client: Client, blow: Blow, blows: tuple[int, ...]) -> ingest.Report:
    """Deliver one message after the other; strike while the ones after the marked places are on their way."""
    letters = list(mailbox.letters([MAILBOX]))
    boxes = await ingest.mailboxes(client)
    report = ingest.Report()
    async with Sender(desk.ports["intake.lmtp"]) as sender, asyncio.TaskGroup() as group:
        for index, letter in enumerate(letters):
            if index in blows:
                group.create_task(blow(desk))
            part = await ingest.deliver([letter], sender, boxes)
            report.results += part.results
    await ingest.settle(client, report, LONG_AGO, seconds=60)
    return report


def named(service: str) -> Blow:
    async def blow(desk: Desk) -> None:
        await kill(desk, service)

    return blow


BLOWS: dict[str, Blow] = {
    **{name: named(name) for name in ("intake", "tickets", "sla-clock", "notifier", "survey")},
    "nats": restart_nats,
    "valkey": flush_valkey,
}


@pytest.mark.parametrize("victim", BLOWS)
async def test_a_death_in_the_middle_of_the_mailbox_changes_no_count(victim: str, tmp_path: Path) -> None:
    """CA-33, KT-01: accepted means stored, and no message is counted twice."""
    async with a_desk(tmp_path, **POLICY) as (desk, client):
        report = await deliver_with_blows(desk, client, BLOWS[victim], blows=(8, 20, 33))
        for service in desk.services:
            await service.ready()
        await eventually(lambda: complete(client), timeout=90)
        held = await holdings(client)
    want = expected()
    outcomes = [str(each["outcome"]) for each in want.values()]
    assert [each.outcome for each in report.results] == outcomes, _differences(report)
    unique = [each for each in want.values() if each["outcome"] != "duplicate"]
    assert held.messages == len(unique)
    assert held.ticket_messages == len(unique) + _notes(want)
    assert sum(held.tickets.values()) == outcomes.count("created")
    assert held.clocked == outcomes.count("created")


async def complete(client: Client) -> bool:
    """True when every message is in its ticket, every ticket has its clocks, every auto-reply its row."""
    held, want = await holdings(client), expected()
    persons = [each for each in want.values() if each["outcome"] == "created" and each["kind"] == "person"]
    return (
        held.ticket_messages >= held.messages + _notes(want)
        and held.clocked == sum(held.tickets.values())
        and held.auto_replies >= len(persons)
    )


def _notes(want: dict[str, dict[str, object]]) -> int:
    """The ticket of a message that refers to another one without proof carries a note that says so."""
    return sum("must_not_join" in each for each in want.values())


def _differences(report: ingest.Report) -> list[str]:
    want = expected()
    return [
        f"{result.name}: {result.outcome} {result.reason}, expected {each['outcome']}"
        for result, each in zip(report.results, want.values(), strict=True)
        if result.outcome != each["outcome"]
    ]
