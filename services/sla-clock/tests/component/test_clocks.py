"""Tickets' events in, clocks and marks out."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC
from typing import Any

import grpc
import pytest
from nats.js.errors import NotFoundError

from chassis.clock import utcnow
from chassis.testing import eventually
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2, policy_service_pb2, sla_service_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import timeline_pb2

from .desk import Case, Desk, ago

CRITICAL = common.PRIORITY_CRITICAL


async def test_a_new_ticket_starts_its_clocks(desk: Desk) -> None:
    """CA-12: first response and resolution, each with its own target."""
    case = Case(ago(1))
    await desk.tell(case, ticket_events.TicketOpened)
    started = [await desk.watch.next(sla.ClockStarted) for _ in range(2)]
    assert [one.clock.name for one in started] == ["first_response", "resolution"]
    first = started[0].clock
    assert (first.state, first.cycle, first.target.seconds) == (clock_pb2.CLOCK_STATE_RUNNING, 1, 3600)
    assert first.due_time.ToMicroseconds() == case.facts[0].time.ToMicroseconds() + 3600_000_000
    assert (started[0].cause, started[0].ticket.key, started[0].policy.version) == ("created", "SUP-1", 1)


async def test_marks_are_reached_on_time_and_told_once(desk: Desk) -> None:
    """CA-15, CA-16, CA-21."""
    await desk.tell(Case(ago(6), CRITICAL), ticket_events.TicketOpened)
    reached = [await desk.mark(10) for _ in range(4)]
    assert [(one.mark.name, one.mark.action) for one in reached] == [
        ("70%", clock_pb2.MARK_ACTION_REMIND),
        ("80%", clock_pb2.MARK_ACTION_ESCALATE_LINE),
        ("90%", clock_pb2.MARK_ACTION_REMIND),
        ("100%", clock_pb2.MARK_ACTION_BREACH),
    ]
    for one in reached:
        assert one.reached_time.ToMicroseconds() >= one.mark.due_time.ToMicroseconds()
        assert one.lateness.ToMicroseconds() < 3_000_000
    assert reached[1].remaining.ToMicroseconds() / 1e6 == pytest.approx(2, abs=1)
    assert len(desk.watch.ids) == len(set(desk.watch.ids))


async def test_an_answer_in_time_meets_the_clock_and_its_marks_never_come(desk: Desk) -> None:
    """YT-26."""
    case, unanswered = Case(ago(4), CRITICAL), Case(ago(4), CRITICAL)
    await desk.tell(case, ticket_events.TicketOpened)
    await desk.tell(unanswered, ticket_events.TicketOpened)
    await desk.watch.next(sla.ClockStarted)
    await desk.tell(case.replied(), ticket_events.TicketReplied)
    met = await desk.watch.next(sla.ClockMet)
    assert (met.clock.name, met.clock.breached, met.cause) == ("first_response", False, "staff_replies")
    assert (await desk.mark(10)).ticket.id == unanswered.id
    assert not [one for one in desk.watch.of(sla.MarkReached) if one.ticket.id == case.id]


async def test_a_merged_ticket_has_its_clocks_cancelled_and_no_marks_left(desk: Desk) -> None:
    """What is asked of it is answered in the ticket that it was merged into, whose clocks go on."""
    merged, into = Case(ago(4), CRITICAL), Case(ago(4), CRITICAL)
    for case in (merged, into):
        await desk.tell(case, ticket_events.TicketOpened)
    merged.status("closed").add(merged=timeline_pb2.Merged(into_ticket_id=into.id))
    await desk.tell(merged, ticket_events.TicketMerged)
    ended = [await desk.watch.next(sla.ClockCancelled) for _ in range(2)]
    assert {(one.ticket.id, one.clock.name) for one in ended} == {
        (merged.id, "first_response"),
        (merged.id, "resolution"),
    }
    assert {(await desk.mark(10)).ticket.id for _ in range(2)} == {into.id}


async def test_a_paused_clock_does_not_fire_and_its_target_moves_when_it_goes_on(desk: Desk) -> None:
    """YT-27, YT-28."""
    case = Case(ago(60), CRITICAL).replied(ago(59)).status("waiting", ago(40))
    await desk.tell(case)
    paused = await desk.watch.next(sla.ClockPaused)
    assert not paused.clock.HasField("due_time")
    assert paused.clock.elapsed.ToTimedelta().total_seconds() == pytest.approx(20, abs=0.1)
    assert {mark.HasField("due_time") for mark in paused.clock.marks} == {False}
    went_on = utcnow()
    await desk.tell(case.status("open", went_on))
    resumed = await desk.watch.next(sla.ClockResumed)
    left = resumed.clock.due_time.ToDatetime(UTC) - went_on
    assert left.total_seconds() == pytest.approx(80, abs=0.1)
    assert desk.watch.of(sla.MarkReached) == []


async def test_an_older_version_that_comes_late_changes_nothing(desk: Desk) -> None:
    case = Case(ago(5))
    old = Case(case.created, id=case.id)
    await desk.tell(case.replied())
    await desk.watch.next(sla.ClockMet)
    await desk.tell(old)
    other = Case(ago(5))
    await desk.tell(other)
    await eventually(lambda: any(one.ticket.id == other.id for one in desk.watch.of(sla.ClockStarted)))
    answer = await (await desk.stub()).GetClocks(
        sla_service_pb2.GetClocksRequest(ticket_id=case.id), timeout=5
    )
    assert answer.ticket.version == 2
    assert answer.clocks[0].state == clock_pb2.CLOCK_STATE_MET


async def test_an_event_delivered_twice_takes_effect_once(desk: Desk) -> None:
    case = Case(ago(9.9), CRITICAL)
    await desk.tell(case, ticket_events.TicketOpened, twice=True)
    while (await desk.mark()).mark.name != "100%":
        pass
    await desk.tell(case.replied(), twice=True)
    await desk.watch.next(sla.ClockMet)
    await desk.tell(case.replied())
    names = [(one.clock.name, one.cause) for one in desk.watch.of(sla.ClockStarted)]
    assert len(names) == len(set(names)) == 2
    assert len(desk.watch.of(sla.ClockMet)) == 1


async def test_marks_overdue_at_once_are_told_once_and_reminders_are_folded_into_the_breach(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(ago(11), CRITICAL)
    await desk.tell(case, ticket_events.TicketOpened)
    escalated, breached = await desk.mark(), await desk.mark()
    assert (escalated.mark.name, breached.mark.name) == ("80%", "100%")
    assert list(breached.folded_marks) == ["70%", "90%"]
    assert 0.9e6 < breached.lateness.ToMicroseconds() < 3e6
    assert -3e6 < breached.remaining.ToMicroseconds() < -0.9e6
    assert await desk.ledger(case.id) == [
        ("first_response", "70%", 1, True),
        ("first_response", "80%", 1, False),
        ("first_response", "90%", 1, True),
        ("first_response", "100%", 1, False),
    ]
    request = sla_service_pb2.ListMarksRequest(ticket_id=case.id)
    page = await (await desk.stub()).ListMarks(request, timeout=5)
    assert page.total_size == 4
    assert sorted(one.mark.name for one in page.marks if one.folded) == ["70%", "90%"]
    monkeypatch.setattr("sla_clock.store.ledger.COUNT_LIMIT", 3)
    page = await (await desk.stub()).ListMarks(request, timeout=5)
    assert (len(page.marks), page.total_size) == (4, 3), "counted up to a limit"


async def test_a_shorter_target_moves_the_due_instant_and_says_why(desk: Desk) -> None:
    case = Case(ago(5))
    await desk.tell(case, ticket_events.TicketOpened)
    await desk.watch.next(sla.ClockStarted)
    changed = timeline_pb2.PriorityChanged(to=CRITICAL)
    setattr(changed, "from", common.PRIORITY_NORMAL)
    case.priority = CRITICAL
    await desk.tell(case.add(priority_changed=changed))
    moved = await desk.watch.next(sla.ClockRecalculated)
    assert (moved.previous_target.seconds, moved.clock.target.seconds) == (3600, 10)
    assert (moved.cause, moved.clock.policy_row) == ("priority_changed", "critical")
    assert (await desk.mark()).generation == 2


async def test_a_reopened_ticket_has_both_cycles(desk: Desk) -> None:
    """CP-10, CP-11."""
    case = Case(ago(50)).add(resolved=timeline_pb2.Resolved(agent_id="anna"), at=ago(40))
    await desk.tell(case.add(reopened=timeline_pb2.Reopened(cycle=2), at=ago(30)))
    await eventually(lambda: len(desk.watch.of(sla.ClockStarted)) == 3)
    answer = await (await desk.stub()).GetClocks(
        sla_service_pb2.GetClocksRequest(ticket_id=case.id), timeout=5
    )
    told = [(one.cycle, one.state) for one in answer.clocks if one.name == "resolution"]
    assert told == [(1, clock_pb2.CLOCK_STATE_MET), (2, clock_pb2.CLOCK_STATE_RUNNING)]
    assert answer.policy.tzdata


async def test_running_clocks_are_listed_by_their_due_instants_page_by_page(desk: Desk) -> None:
    """CA-14, MP-08."""
    for seconds, queue in ((30, "SUP"), (10, "SUP"), (20, "OPS")):
        await desk.tell(Case(ago(seconds), queue=queue))
    await eventually(lambda: len(desk.watch.of(sla.ClockStarted)) == 6)
    request: dict[str, Any] = {"page_size": 2}
    found = []
    while True:
        page = await (await desk.stub()).ListDue(sla_service_pb2.ListDueRequest(**request), timeout=5)
        found += list(page.clocks)
        if not page.next_page_token:
            break
        request["page_token"] = page.next_page_token
    due = [one.clock.due_time.ToMicroseconds() for one in found]
    assert len(due) == 6
    assert due == sorted(due)
    assert found[0].remaining.seconds == pytest.approx(3570, abs=3)
    ops = await (await desk.stub()).ListDue(sla_service_pb2.ListDueRequest(queue="OPS"), timeout=5)
    assert [one.ticket.queue for one in ops.clocks] == ["OPS", "OPS"]


BAD_CALLS = (
    ("GetClocks", sla_service_pb2.GetClocksRequest(ticket_id="x"), "INVALID_ARGUMENT", "ticket_id"),
    (
        "GetClocks",
        sla_service_pb2.GetClocksRequest(ticket_id="0198c7f6-0000-7000-8000-000000000000"),
        "NOT_FOUND",
        "no event of ticket",
    ),
    ("ListDue", sla_service_pb2.ListDueRequest(page_token="?"), "INVALID_ARGUMENT", "page_token"),
    ("ListDue", sla_service_pb2.ListDueRequest(page_size=201), "INVALID_ARGUMENT", "page_size"),
    ("ListMarks", sla_service_pb2.ListMarksRequest(ticket_id="x"), "INVALID_ARGUMENT", "ticket_id"),
    ("ListMarks", sla_service_pb2.ListMarksRequest(page_token="WzFd"), "INVALID_ARGUMENT", "page_token"),
)
BAD_POLICY_CALLS: tuple[tuple[str, Any, str, str], ...] = (
    ("GetPolicy", policy_service_pb2.GetPolicyRequest(version=99), "NOT_FOUND", "version 99"),
    ("ApplyPolicy", policy_service_pb2.ApplyPolicyRequest(request_id="12345678"), "INVALID_ARGUMENT", "yaml"),
)


async def test_bad_calls_are_refused_with_what_is_wrong(desk: Desk) -> None:
    calls = [(await desk.stub(), *call) for call in BAD_CALLS]
    calls += [(await desk.policies(), *call) for call in BAD_POLICY_CALLS]
    for stub, method, request, code, detail in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, method)(request, timeout=5)
        assert refused.value.code().name == code
        assert detail in (refused.value.details() or "")


async def test_a_ticket_whose_id_is_none_becomes_a_dead_letter_and_the_next_one_is_served(desk: Desk) -> None:
    broken = Case(ago(5), id="not-a-uuid")
    await desk.tell(broken)
    await desk.tell(Case(ago(5)))
    assert (await desk.watch.next(sla.ClockStarted)).ticket.id != broken.id
    subject = "dlq.sla-clock.tickdesk.tickets.v1.TicketUpdated"

    # The two are served side by side, so the letter may come after the other's clocks.
    async def letter_of_it() -> Any:
        with suppress(NotFoundError):
            return await desk.bus.js.get_last_msg("DLQ", subject)

    letter = await eventually(letter_of_it)
    assert (letter.headers or {})["Tickdesk-Dlq-Detail"] == "ticket.id 'not-a-uuid' is not a UUID"
