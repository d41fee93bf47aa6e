"""What the people of the desk get."""

import itertools
from typing import Any

from chassis.testing import eventually
from services.notifier.tests.component.builders import a_mark, a_ticket, an_agent, an_escalation, escalated
from services.notifier.tests.component.conftest import Running, Sink, Start, body_of
from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import delivery_pb2, notifier_service_pb2
from tickdesk.sla.v1 import clock_pb2
from tickdesk.tickets.v1 import timeline_pb2

L1, L2 = common_pb2.LINE_L1, common_pb2.LINE_L2
PEOPLE = (
    an_agent("anna", lines=[L1]),
    an_agent("lena", leads=[L1]),
    an_agent("lev", leads=[L2], language="ru"),
    an_agent("boss", management=True),
    an_agent("gone", leads=[L1], active=False),
    an_agent("other", leads=[L1], queues=["ELSE"]),
)


async def listed(desk: Running, count: int, **filters: Any) -> list[delivery_pb2.Delivery]:
    async def look() -> list[delivery_pb2.Delivery]:
        request = notifier_service_pb2.ListDeliveriesRequest(page_size=200, **filters)
        found = list((await desk.api.ListDeliveries(request, timeout=5)).deliveries)
        done = [one for one in found if one.state >= delivery_pb2.DELIVERY_STATE_SENT]
        return done if len(done) >= count else []

    return await eventually(look, 20)


ESCALATE, GROWN = clock_pb2.MARK_ACTION_ESCALATE_LINE, clock_pb2.MARK_ACTION_OVERRUN
REMIND, BREACH, OVERRUN = (
    clock_pb2.MARK_ACTION_REMIND,
    clock_pb2.MARK_ACTION_BREACH,
    clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT,
)
TOLD = (
    (a_mark(a_ticket(assignee="anna"), REMIND), {"anna"}),
    (a_mark(a_ticket(), REMIND), {"lena"}),
    (a_mark(a_ticket(assignee="gone"), REMIND), {"lena"}),
    (a_mark(a_ticket(assignee="anna"), BREACH), {"anna", "lena"}),
    (a_mark(a_ticket(assignee="lena"), BREACH), {"lena"}),
    (a_mark(a_ticket(assignee="anna"), OVERRUN), {"boss"}),
)


async def test_a_mark_tells_those_whom_it_concerns(start: Start) -> None:
    """YT-29, CA-15, CA-16, CA-20: the responsible or the lead, the lead, or upwards."""
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(*(mark for mark, _ in TOLD))
        for mark, told in TOLD:
            found = await listed(desk, len(told), ticket_id=mark.ticket.id)
            assert {one.recipient.partition("@")[0] for one in found} == told
            assert all(one.state == delivery_pb2.DELIVERY_STATE_SENT for one in found)


NAMED: tuple[tuple[list[str], dict[str, Any], set[str]], ...] = (
    (["assignee"], {"action": GROWN}, {"anna"}),
    (["line_lead"], {"action": GROWN}, {"lena"}),
    (["line"], {"action": REMIND}, {"anna", "ilya"}),
    (["management", "line_lead"], {"action": BREACH}, {"boss", "lena"}),
    (["duty"], {"action": REMIND, "duty": ["lev", "gone"]}, {"lev"}),
    (["line_lead"], {"action": ESCALATE}, {"lena"}),
    # Nobody is on the rung: those whom the action concerns by itself.
    (["duty"], {"action": OVERRUN}, {"boss"}),
    ([], {"action": GROWN}, {"anna", "lena"}),
    (["escalator"], {"action": 99}, {"anna", "lena"}),
)


async def test_a_mark_tells_the_rungs_that_the_policy_names(start: Start) -> None:
    """MP-04, MP-09, MP-21, CA-20: the line's own head, the people on duty, or whoever else is named."""
    marks = [(a_mark(a_ticket(assignee="anna"), tell=tell, **fields), who) for tell, fields, who in NAMED]
    async with start() as desk:
        await desk.learn(*PEOPLE, an_agent("ilya"))
        await desk.tell(*(mark for mark, _ in marks))
        for mark, who in marks:
            found = await listed(desk, len(who), ticket_id=mark.ticket.id)
            assert {one.recipient.partition("@")[0] for one in found} == who, mark.mark.tell


async def test_what_is_overdue_is_said_to_be(start: Start, sink: Sink) -> None:
    """A reminder found after its target ran out does not speak of time left."""
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(a_mark(a_ticket(assignee="lev"), REMIND, remaining=-600))
        late = await sink.next_to("lev@desk.test")
        await desk.tell(a_mark(a_ticket(), GROWN, name="150%", remaining=-7200))
        grown = await sink.next_to("lena@desk.test")
    assert late["Subject"] == "SUP-12: срок превышен на 10 мин — первый ответ"
    assert grown["Subject"] == "SUP-12: 2 h beyond the first response target"
    assert "Mark 150%: the first response target is exceeded by 2 h" in body_of(grown)


async def test_a_reminder_states_the_time_left(start: Start, sink: Sink) -> None:
    """CA-15: "10 min left", in words of the reader's language."""
    async with start() as desk:
        mark = a_mark(a_ticket(assignee="lev"), clock_pb2.MARK_ACTION_REMIND, remaining=7800)
        await desk.learn(*PEOPLE)
        await desk.tell(mark)
        letter = await sink.next_to("lev@desk.test")
    assert letter["Subject"] == "SUP-12: осталось 2 ч 10 мин — первый ответ"
    assert "Отметка 90%" in body_of(letter)
    assert letter["Auto-Submitted"] == "auto-generated"


async def test_a_mark_without_anybody_to_tell_is_kept_in_the_ledger(start: Start, sink: Sink) -> None:
    """CA-16: a breach that reached nobody can be found."""
    ticket = a_ticket()
    async with start() as desk:
        await desk.tell(a_mark(ticket, clock_pb2.MARK_ACTION_BREACH))
        (found,) = await listed(desk, 1, ticket_id=ticket.id)
    assert found.state == delivery_pb2.DELIVERY_STATE_SUPPRESSED
    assert found.detail == "there is nobody to tell"


async def test_handing_over_to_the_next_line_is_not_told_by_the_mark_itself(start: Start, sink: Sink) -> None:
    """CA-21: tickets escalates and says so; the lead hears of it once."""
    ticket = a_ticket()
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(a_mark(ticket, clock_pb2.MARK_ACTION_ESCALATE_LINE))
        await desk.tell(a_mark(a_ticket(), clock_pb2.MARK_ACTION_BREACH))
        await sink.next_to("lena@desk.test")
        assert not (await desk.api.ListDeliveries(_of(ticket.id), timeout=5)).deliveries


def _of(ticket_id: str) -> notifier_service_pb2.ListDeliveriesRequest:
    return notifier_service_pb2.ListDeliveriesRequest(ticket_id=ticket_id)


async def test_an_escalation_pages_the_lead_once_whatever_its_reasons(start: Start, sink: Sink) -> None:
    """CA-21, CA-20: the mark, the keyword and the third contact together page the lead once."""
    ticket = a_ticket(line=L2, escalation=an_escalation())
    second = a_ticket(id=ticket.id, version=2, line=L2, escalation=an_escalation(management=True))
    keyword = timeline_pb2.ESCALATION_REASON_KEYWORD
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(escalated(ticket))
        await desk.tell(escalated(second, reason=keyword, started=False), escalated(second, started=False))
        await sink.next_to("boss@desk.test")
        letter = await sink.next_to("lev@desk.test")
    assert "эскалация на L2" in letter["Subject"]
    assert "Причины: время на исходе" in body_of(letter)
    assert sorted(to for _, to, _ in sink.letters) == ["boss@desk.test", "lev@desk.test"]


async def test_an_overrun_tells_management_once(start: Start, sink: Sink) -> None:
    """CA-20: the mark tells management; the escalation it causes does not repeat that."""
    ticket = a_ticket(escalation=an_escalation(management=True))
    overrun = timeline_pb2.ESCALATION_REASON_SLA_OVERRUN
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(a_mark(ticket, clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT, name="150%"))
        await desk.tell(escalated(ticket, reason=overrun))
        await sink.next_to("lev@desk.test")
        await sink.next_to("boss@desk.test")


async def test_a_storm_of_breaches_becomes_one_digest(start: Start, sink: Sink) -> None:
    """KT-16, faults 19: fifty breaches at once do not make fifty letters."""
    tickets = [a_ticket(key=f"SUP-{number}") for number in range(50)]
    async with start(notices_per_minute=3, digest_seconds=3) as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(*(a_mark(ticket, BREACH) for ticket in tickets))
        found = await listed(desk, 50, template="breach")
    letters = sink.to("lena@desk.test")
    digests = [letter for letter in letters if "notices" in letter["Subject"]]
    times = sorted({one.sent_time.ToNanoseconds() for one in found if "notices" in one.subject})
    assert all(one.state == delivery_pb2.DELIVERY_STATE_SENT for one in found)
    assert len(found) == 50
    assert len(letters) - len(digests) < 11  # three, and a few that lanes counted at the same time
    assert 1 <= len(digests) == len(times)
    assert all(later - earlier >= 2.9e9 for earlier, later in itertools.pairwise(times)), "one in a window"
    told = "".join(body_of(letter) + letter["Subject"] for letter in letters)
    assert all(f"SUP-{number}:" in told for number in range(50))


async def test_an_escalation_by_a_clock_names_it_in_the_readers_language(start: Start, sink: Sink) -> None:
    """CA-21: the lead reads which clock ran out, not its name in the policy."""
    async with start() as desk:
        await desk.learn(an_agent("lev", leads=[L2], language="ru"))
        await desk.tell(escalated(a_ticket(line=L2, escalation=an_escalation()), note="first_response 80%"))
        letter = await sink.next_to("lev@desk.test")
    assert "Часы: первый ответ, отметка 80%" in body_of(letter)
    assert "first_response" not in body_of(letter)
