"""What clocks and surveys say, and what follows from it."""

from itertools import permutations
from typing import Any
from uuid import uuid4

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, kinds
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.survey.v1 import events_pb2 as survey
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2

RUNNING, MET = clock_pb2.CLOCK_STATE_RUNNING, clock_pb2.CLOCK_STATE_MET
LINE, BREACH = clock_pb2.MARK_ACTION_ESCALATE_LINE, clock_pb2.MARK_ACTION_BREACH
MANAGEMENT, REMIND = clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT, clock_pb2.MARK_ACTION_REMIND
GROWN = clock_pb2.MARK_ACTION_OVERRUN
MARK, OVERRUN = timeline_pb2.ESCALATION_REASON_SLA_MARK, timeline_pb2.ESCALATION_REASON_SLA_OVERRUN


def a_clock(as_of: int, **fields: Any) -> clock_pb2.Clock:
    clock = clock_pb2.Clock(**{"name": "first_response", "cycle": 1, "state": RUNNING, **fields})
    clock.as_of_time.FromSeconds(1_800_000_000 + as_of)
    return clock


def a_ref(ticket: ticket_pb2.Ticket, version: int = 1) -> clock_pb2.TicketRef:
    return clock_pb2.TicketRef(id=ticket.id, key=ticket.key, version=version, line=1, priority=2)  # type: ignore[arg-type]


def a_mark(ticket: ticket_pb2.Ticket, action: int, name: str = "80%", **fields: Any) -> sla.MarkReached:
    mark = clock_pb2.Mark(name=name, action=action, reached=True)  # type: ignore[arg-type]
    return sla.MarkReached(
        **{"ticket": a_ref(ticket), "clock": "first_response", "cycle": 1, "mark": mark, **fields}
    )


async def settled(desk: Desk, ticket: ticket_pb2.Ticket) -> ticket_pb2.Ticket:
    """The ticket once everything told so far was handled: signs off with a clock of its own."""
    end = a_clock(0, name=f"end-{uuid4().hex}")
    await desk.tell(sla.ClockStarted(ticket=a_ref(ticket), clock=end))

    async def ended() -> ticket_pb2.Ticket | None:
        now = await desk.ticket(ticket.id)
        return now if any(each.clock == end.name for each in now.sla.clocks) else None

    now = await eventually(ended)
    assert now is not None
    return now


def summary(ticket: ticket_pb2.Ticket) -> list[tuple[str, str, bool, str]]:
    clocks = [each for each in ticket.sla.clocks if not each.clock.startswith("end-")]
    return [(each.clock, each.state, each.breached, each.last_mark) for each in clocks]


async def test_the_summary_follows_the_clocks_without_a_version_or_event(desk: Desk) -> None:
    """Else clocks and tickets would answer each other for ever."""
    ticket = await desk.create()
    marks = [clock_pb2.Mark(name="70%", reached=True), clock_pb2.Mark(name="90%")]
    running = a_clock(10, marks=marks)
    running.due_time.FromSeconds(1_800_001_000)
    await desk.tell(
        sla.ClockStarted(ticket=a_ref(ticket), clock=a_clock(1)),
        sla.ClockStarted(ticket=a_ref(ticket), clock=a_clock(1, name="resolution")),
        sla.ClockPaused(ticket=a_ref(ticket), clock=a_clock(2, name="resolution", state=3)),
        sla.ClockRecalculated(ticket=a_ref(ticket), clock=running),
        sla.ClockPaused(ticket=a_ref(ticket), clock=a_clock(5, state=3)),
    )
    now = await settled(desk, ticket)
    assert summary(now) == [("first_response", "running", False, "70%"), ("resolution", "paused", False, "")]
    assert now.sla.clocks[0].due_time == running.due_time
    assert (now.version, now.updated_time, len(desk.watch.of(events_pb2.TicketUpdated))) == (
        1,
        ticket.updated_time,
        0,
    )
    listed = (await desk.call("ListTickets")).tickets[0]
    assert listed.sla == now.sla


async def test_news_of_an_older_version_or_cycle_is_dropped(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.tell(
        sla.ClockStarted(ticket=a_ref(ticket, 5), clock=a_clock(9, cycle=2)),
        sla.ClockMet(ticket=a_ref(ticket, 4), clock=a_clock(99, cycle=2, state=MET)),
        sla.ClockMet(ticket=a_ref(ticket, 5), clock=a_clock(99, cycle=1, state=MET)),
        sla.ClockCancelled(ticket=a_ref(ticket, 5), clock=a_clock(8, cycle=2, state=5)),
    )
    assert summary(await settled(desk, ticket)) == [("first_response", "running", False, "")]


def counted(
    ticket: ticket_pb2.Ticket, policy: int, version: int, as_of: int, cycle: int
) -> sla.ClockRecalculated:
    """Where a clock stands in a cycle, as computed from that version of the ticket under that policy."""
    clock = a_clock(as_of, cycle=cycle)
    clock.due_time.FromSeconds(1_800_001_000 + as_of)
    rules = clock_pb2.PolicyRef(version=policy)
    return sla.ClockRecalculated(ticket=a_ref(ticket, version), clock=clock, policy=rules)


async def test_a_policy_that_counts_fewer_cycles_is_followed_in_whatever_order_its_news_come(
    desk: Desk,
) -> None:
    computed = [(1, 3, 30, 1), (1, 5, 50, 2), (2, 5, 60, 1), (2, 8, 80, 1)]
    for order in permutations(computed):
        ticket = await desk.create(subject=f"{order}")
        await desk.tell(*(counted(ticket, *each) for each in order))
        [last] = [each for each in (await settled(desk, ticket)).sla.clocks if each.clock == "first_response"]
        assert (last.cycle, last.due_time.seconds) == (1, 1_800_001_080)


async def test_a_policy_that_lost_its_number_in_a_restore_is_followed_from_the_next_version_on(
    desk: Desk,
) -> None:
    ticket = await desk.create()
    await desk.tell(counted(ticket, 7, 5, 50, 2), counted(ticket, 6, 4, 60, 1), counted(ticket, 6, 6, 70, 1))
    assert (await settled(desk, ticket)).sla.clocks[0].cycle == 1


def mark_of(ticket: ticket_pb2.Ticket, policy: int, reached: int, **fields: Any) -> sla.MarkReached:
    event = a_mark(ticket, LINE, policy=clock_pb2.PolicyRef(version=policy), **fields)
    event.ticket.version = 5
    event.reached_time.FromSeconds(1_800_000_000 + reached)
    return event


async def test_a_mark_of_a_cycle_counted_anew_escalates_even_before_its_news(desk: Desk) -> None:
    """CA-21: an edit may put it into the past, and marks travel faster than the news of the edit."""
    ticket = await desk.create()
    await desk.tell(counted(ticket, 1, 5, 50, 2))
    await desk.tell(mark_of(ticket, 2, 61, cycle=1, newest_cycle=True), counted(ticket, 1, 5, 40, 2))
    now = await settled(desk, ticket)
    assert (now.status, now.sla.clocks[0].cycle, now.sla.clocks[0].last_mark) == ("escalated", 1, "80%")
    await desk.tell(counted(ticket, 2, 5, 60, 1))
    now = await settled(desk, ticket)
    assert (now.sla.clocks[0].last_mark, now.sla.clocks[0].due_time.seconds) == ("80%", 1_800_001_060)


async def test_a_late_mark_of_a_cycle_that_is_not_the_last_escalates_nothing(desk: Desk) -> None:
    over, forgotten = [await desk.create(subject=name) for name in ("over", "forgotten")]
    await desk.tell(counted(over, 1, 5, 50, 2), mark_of(over, 2, 61, cycle=1))
    await desk.tell(counted(forgotten, 2, 5, 60, 1), mark_of(forgotten, 1, 55, cycle=2, newest_cycle=True))
    for ticket, cycle in ((over, 2), (forgotten, 1)):
        now = await settled(desk, ticket)
        assert (now.version, now.sla.clocks[0].cycle, now.sla.clocks[0].last_mark) == (1, cycle, "")


async def test_a_breach_is_for_good_in_its_cycle(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.tell(
        sla.ClockStarted(ticket=a_ref(ticket), clock=a_clock(1)),
        a_mark(ticket, BREACH, "100%"),
        sla.ClockMet(ticket=a_ref(ticket), clock=a_clock(2, state=MET)),
    )
    assert summary(await settled(desk, ticket)) == [("first_response", "met", True, "100%")]
    await desk.tell(sla.ClockStarted(ticket=a_ref(ticket), clock=a_clock(3, cycle=2)))
    assert summary(await settled(desk, ticket)) == [("first_response", "running", False, "")]


async def test_a_mark_before_the_news_of_its_cycle_is_kept(desk: Desk) -> None:
    """Marks and clocks come by different ways: the later news completes what the mark said."""
    ticket = await desk.create()
    late, begun = a_mark(ticket, BREACH, "100%"), a_clock(1)
    late.ticket.version = 7
    late.clock_due_time.FromSeconds(1_800_000_900)
    begun.due_time.FromSeconds(1_800_001_000)
    await desk.tell(late)
    now = await settled(desk, ticket)
    assert summary(now) == [("first_response", "running", True, "100%")]
    assert now.sla.clocks[0].due_time == late.clock_due_time
    await desk.tell(sla.ClockStarted(ticket=a_ref(ticket), clock=begun))
    now = await settled(desk, ticket)
    assert summary(now) == [("first_response", "running", True, "100%")]
    assert now.sla.clocks[0].due_time == begun.due_time
    await desk.tell(a_mark(ticket, REMIND, "70%", cycle=2), a_mark(ticket, LINE, "80%"))
    assert summary(await settled(desk, ticket)) == [("first_response", "running", False, "70%")]


async def test_news_of_an_unknown_ticket_is_dropped(desk: Desk) -> None:
    ticket = await desk.create()
    ghost = ticket_pb2.Ticket(id="01900000-0000-7000-8000-000000000000")
    await desk.tell(
        sla.ClockStarted(ticket=a_ref(ghost), clock=a_clock(1)),
        a_mark(ghost, LINE),
        survey.SurveyAnswered(survey=a_survey(ghost, 1)),
    )
    assert (await settled(desk, ticket)).version == 1


async def test_no_answer_at_80_percent_goes_to_the_next_line_once(desk: Desk) -> None:
    """CA-21: by the clock, with its reason; the same mark again tells nothing new."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.tell(a_mark(ticket, LINE), a_mark(ticket, LINE, "90%"), a_mark(ticket, BREACH, "100%"))
    now = await settled(desk, ticket)
    assert (now.status, now.line, now.assignee) == ("escalated", common.LINE_L2, "")
    assert list(now.escalation.reasons) == [MARK, timeline_pb2.ESCALATION_REASON_SLA_BREACH]
    told = [await desk.watch.next(events_pb2.TicketEscalated) for _ in range(2)]
    assert [each.started for each in told] == [True, False]
    assert (told[0].actor.id, told[0].note) == ("sla-clock", "first_response 80%")
    assert len(desk.watch.of(events_pb2.TicketEscalated)) == 2


async def test_a_reminder_or_a_breach_alone_escalates_nothing(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.tell(a_mark(ticket, REMIND, "70%"), a_mark(ticket, BREACH, "100%"))
    assert (await settled(desk, ticket)).version == 1


async def test_a_mark_whose_work_was_done_meanwhile_is_outdated(desk: Desk) -> None:
    answered, over = [await desk.create(subject=name) for name in ("a", "b")]
    await desk.call("ReplyToTicket", ticket=answered.id, text="Hello")
    await desk.call("ResolveTicket", ticket=over.id)
    for ticket in (answered, over):
        await desk.tell(a_mark(ticket, LINE), a_mark(ticket, MANAGEMENT, "150%"))
        now = await settled(desk, ticket)
        assert not now.HasField("escalation")
    await desk.tell(a_mark(answered, LINE, clock="resolution"))
    assert (await settled(desk, answered)).status == "escalated"


async def test_waiting_without_an_answer_stops_no_escalation(desk: Desk) -> None:
    """CA-21: only the resolution clock stands still while the ticket waits for the customer."""
    ticket = await desk.create()
    await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    await desk.tell(a_mark(ticket, LINE, clock="resolution"))
    assert (await settled(desk, ticket)).status == "waiting"
    await desk.tell(a_mark(ticket, LINE))
    assert (await settled(desk, ticket)).status == "escalated"


async def test_a_mark_of_a_clock_that_ended_is_outdated(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.tell(
        sla.ClockCancelled(ticket=a_ref(ticket), clock=a_clock(5, state=5)),
        a_mark(ticket, LINE),
        sla.ClockStarted(ticket=a_ref(ticket), clock=a_clock(6, name="resolution", cycle=2)),
        a_mark(ticket, LINE, clock="resolution", cycle=1),
    )
    assert (await settled(desk, ticket)).version == 1


async def test_far_beyond_the_target_management_is_told_and_the_ticket_stays(desk: Desk) -> None:
    """CA-20."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.tell(a_mark(ticket, MANAGEMENT, "150%", clock="resolution"))
    now = await settled(desk, ticket)
    assert (now.status, now.assignee, now.line) == ("in_progress", "anna", common.LINE_L1)
    assert (now.escalation.management, list(now.escalation.reasons)) == (True, [OVERRUN])


async def test_an_overrun_or_an_action_of_tomorrow_is_noted_and_escalates_nothing(desk: Desk) -> None:
    """CA-20: whom an overrun concerns is told by notifier."""
    ticket = await desk.create()
    await desk.tell(a_mark(ticket, GROWN, "150%"))
    assert summary(await settled(desk, ticket)) == [("first_response", "running", True, "150%")]
    await desk.tell(a_mark(ticket, 99, "+2h"))
    now = await settled(desk, ticket)
    assert summary(now) == [("first_response", "running", True, "+2h")]
    assert (now.version, now.HasField("escalation")) == (1, False)


def a_survey(ticket: ticket_pb2.Ticket, raw: int, **fields: Any) -> survey_pb2.Survey:
    usual = {"id": f"survey-of-{ticket.id}", "kind": survey_pb2.SURVEY_KIND_CUSTOMER, "ticket_id": ticket.id}
    answer = survey_pb2.Survey(
        **{**usual, "cycle": 1, "scale": 5, "raw": raw, "score": 25 * (raw - 1), "low": raw <= 2, **fields}
    )
    answer.answered_time.FromSeconds(1_800_000_000)
    return answer


async def test_a_score_goes_onto_the_ticket(desk: Desk) -> None:
    """CA-23."""
    ticket, other = await desk.create(), await desk.create()
    await desk.tell(survey.SurveyAnswered(survey=a_survey(ticket, 5)))
    event = await desk.watch.next(events_pb2.TicketRated)
    assert (event.ticket.version, event.ticket.csat.score, event.ticket.csat.raw) == (2, 100, 5)
    await desk.tell(
        survey.SurveyAnswered(survey=a_survey(ticket, 1, kind=survey_pb2.SURVEY_KIND_LINE)),
        survey.SurveyAnswered(survey=a_survey(ticket, 5)),
        survey.SurveyAnswered(survey=a_survey(other, 4)),
    )
    assert (await desk.watch.next(events_pb2.TicketRated)).ticket.id == other.id
    now = await desk.ticket(ticket.id)
    assert (now.version, now.csat.raw) == (2, 5)
    assert (await desk.call("ListTickets")).total_size == 2


async def test_a_low_score_opens_one_follow_up_with_all_the_words(desk: Desk) -> None:
    """CA-25, MP-18: call back personally."""
    ticket = await desk.receive(language="ru", conversation_id="conv")
    await desk.call("ResolveTicket", ticket=ticket.id)
    await desk.tell(survey.SurveyAnswered(survey=a_survey(ticket, 1)))
    event = await desk.watch.next(events_pb2.TicketOpened)
    follow_up = event.ticket
    assert (follow_up.parent_ticket_id, follow_up.origin) == (ticket.id, "survey")
    assert (follow_up.type, follow_up.priority) == (ticket_pb2.TICKET_TYPE_COMPLAINT, common.PRIORITY_HIGH)
    assert (follow_up.subject, event.from_robot) == ("Низкая оценка SUP-1: 1 из 5", True)
    assert follow_up.customer.id == ticket.customer.id
    assert kinds(follow_up) == ["created", "customer_messages"]
    await desk.tell(survey.SurveyAnswered(survey=a_survey(ticket, 1, comment="Too slow")))
    noted = await desk.watch.next(events_pb2.NoteAdded)
    assert noted.ticket.id == follow_up.id
    assert (await desk.messages(follow_up.id))[-1].text == "Too slow"
    assert (await desk.ticket(ticket.id)).csat.comment == "Too slow"
    assert (await desk.call("ListTickets")).total_size == 2
