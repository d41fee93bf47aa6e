"""The life of a ticket over RPCs and events, and what it costs."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from asyncpg.connection import LoggedQuery
from sqlalchemy.pool import Pool

from services.tickets.tests.builders import EVENTS, Desk, a_contact, an_inbound, kinds, set_up
from services.tickets.tests.component.test_importing import a_ticket
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.survey.v1 import events_pb2 as survey
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2
from tickets.handlers import burst


async def test_a_message_becomes_a_ticket_and_goes_its_way_to_closed(desk: Desk) -> None:
    """CA-06, CA-08, MP-11: number, customer, one responsible, observers, history."""
    ticket = await desk.receive()
    assert (ticket.key, ticket.version, ticket.status) == ("SUP-1", 1, "new")
    await desk.call("TakeTicket", ticket=ticket.key)
    await desk.call("ReplyToTicket", ticket=ticket.key, text="Unplug it.", status="waiting")
    await desk.call("ResolveTicket", ticket=ticket.key)
    answer = await desk.call("CloseTicket", ticket=ticket.key, confirmed=True)
    assert answer.ticket.status_kind == timeline_pb2.STATUS_KIND_CLOSED
    assert list(answer.ticket.observers) == ["olga"]
    assert kinds(answer.ticket) == [
        "created",
        "customer_messages",
        "taken",
        "status_changed",
        "staff_replies",
        "status_changed",
        "status_changed",
        "resolved",
        "status_changed",
        "closed",
    ]


async def _propose_an_incident(desk: Desk) -> None:
    for number in range(10):
        await desk.create(subject="Payments fail", contact=a_contact(f"{number}@client.example"))
    async with desk.db.tx() as tx:
        await burst.propose_incidents(tx)
    await desk.watch.next(events_pb2.IncidentProposed)


async def _rename_a_customer(desk: Desk) -> None:
    other = await desk.create(contact=a_contact("other@client.example"))
    await desk.call("UpdateCustomer", customer_id=other.customer.id, name="Kim")
    await desk.watch.next(events_pb2.CustomerChanged)


async def _set_rules_off(desk: Desk) -> None:
    words = {"texts": [{"language": "en", "text": "Hello"}]}
    then = [{"webhook": "crm"}, {"notify": {"agents": ["olga"], **words}}]
    await set_up(desk, triggers=[{"key": "tell", "when": ["NoteAdded"], "then": then}])
    other = await desk.create(contact=a_contact("told@client.example"))
    await desk.call("AddNote", ticket=other.id, text="Hm")
    await desk.watch.next(events_pb2.NoticeRequested)
    await set_up(desk, triggers=[])


async def _import_a_ticket(desk: Desk) -> None:
    await desk.call("ImportTickets", "admin:demo", tickets=[a_ticket()])
    await desk.watch.next(events_pb2.TicketImported)


async def test_every_event_carries_the_whole_ticket_and_the_next_version(desk: Desk) -> None:
    """The contract of stream TICKETS: each of its events is made here, none leaves a version out."""
    ticket = await desk.receive(conversation_id="conv")
    answers: dict[int, ticket_pb2.Ticket] = {1: ticket}

    async def do(method: str, **fields: Any) -> None:
        answer = await desk.call(method, ticket=ticket.id, **fields)
        answers[answer.ticket.version] = answer.ticket

    await do("TakeTicket")
    await do("AssignTicket", assignee="boris")
    await do("AddNote", text="Odd, @dina")
    await do("PrioritizeTicket", priority=3)
    await do("ReplyToTicket", text="Unplug it.")
    await do("ChangeTicketStatus", status="waiting")
    await do("EscalateTicket", reason=1)
    await do("ReturnTicket", reason=1, answer="Mended")
    await do("ResolveTicket")
    await do("CloseTicket")
    again = an_inbound(conversation_id="conv")
    await desk.tell(intake_events.MessageReceived(message=again), key="conv")
    await desk.watch.next(events_pb2.CustomerReplied)
    score = survey_pb2.Survey(
        id="s", kind=survey_pb2.SURVEY_KIND_CUSTOMER, ticket_id=ticket.id, raw=5, scale=5
    )
    await desk.tell(survey.SurveyAnswered(survey=score))
    await desk.watch.next(events_pb2.TicketRated)
    answers[16] = await desk.ticket(ticket.id)
    for make in (_propose_an_incident, _rename_a_customer, _set_rules_off, _import_a_ticket):
        await make(desk)
    merged = await desk.call("MergeTickets", ticket=ticket.id, into=(await desk.create()).id)
    await desk.watch.next(events_pb2.TicketMerged)
    answers[17] = merged.merged

    by_ticket = defaultdict(list)
    for event in desk.watch.seen:
        if hasattr(event, "ticket"):
            by_ticket[event.ticket.id].append(event)
    told = by_ticket[ticket.id]
    assert [event.ticket.version for event in told] == list(range(1, 18))
    for event in told:
        version = event.ticket.version
        assert event.ticket == answers.get(version, event.ticket)
        assert event.ticket.timeline.facts[0].WhichOneof("kind") == "created"
        assert event.ticket.customer.contacts[0].address == "client@client.example"
        assert event.actor.kind
    assert {type(event) for event in desk.watch.seen} == set(EVENTS)
    assert len(set(desk.watch.ids)) == len(desk.watch.ids)


_sinks: list[list[str]] = []


def _note(statement: str) -> None:
    for seen in _sinks:
        seen.append(" ".join(statement.split()))


def _opened(connection: Any, *_: Any) -> None:
    def note(query: LoggedQuery) -> None:
        _note(query.query)

    connection.driver_connection.add_query_logger(note)


# Connections are lent again and again without the pool, so each tells from its beginning.
sa.event.listen(Pool, "connect", _opened)


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent meanwhile by the layer above the driver, and by those who ask the driver itself."""
    seen: list[str] = []

    def execute(_: Any, __: Any, statement: str, *more: Any) -> None:
        _note(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", execute)
    _sinks.append(seen)
    try:
        yield seen
    finally:
        _sinks.remove(seen)
        sa.event.remove(sa.Engine, "before_cursor_execute", execute)


def of_calls(seen: list[str]) -> list[str]:
    """Without transaction control, the rounds of the loops, and what a new connection learns of types."""
    others = (
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "pg_try_advisory",
        "from outbox",
        "update outbox",
        "GROUP BY ticket.queue",
        "typeinfo_tree",
        "current_setting('jit')",
        "skip locked",
        # What the loop that notices bursts asks, `recent` and `active_topics`: no call asks the same.
        "queue.setup_id from ticket join queue",
        "select incident.topic, incident.ticket_id from incident",
    )
    return [each for each in seen if not any(part.lower() in each.lower() for part in others)]


async def test_what_calls_ask_of_incidents_is_counted(desk: Desk) -> None:
    """Only what the loops ask is left out: a change of an incident that a call makes is not."""
    one, other = await desk.create(), await desk.create()
    with statements() as seen:
        await desk.call("CreateIncident", ticket=one.id, children=[other.id])
    written = [each for each in of_calls(seen) if "incident" in each]
    assert any("insert into incident" in each.lower() for each in written)
    assert any("pg_advisory_xact_lock" in each for each in of_calls(seen))


async def test_opening_a_ticket_takes_three_statements(desk: Desk) -> None:
    """T2; the customer exists or not, words escalate it or not, the size of the tables does not matter."""
    for text in ("It burns.", "It burns.", "I will file a complaint and see you in court."):
        with statements() as seen:
            await desk.create(text=text, contact=a_contact("new@client.example"))
        assert len(of_calls(seen)) == 3, [each[:60] for each in of_calls(seen)]
        assert any("insert into outbox" in each for each in seen)


async def test_a_ticket_asked_for_twice_is_opened_once(desk: Desk) -> None:
    """Two calls at once and one later: one ticket, one number, one customer."""
    ask = partial(desk.create, request_id="one-request", contact=a_contact("twice@client.example"))
    first, second = await asyncio.gather(ask(), ask())
    assert first == second == await ask()
    following = await desk.create()
    assert (first.key, following.key) == ("SUP-1", "SUP-2")
    assert len((await desk.call("ListTickets")).tickets) == 2


async def test_a_page_takes_three_statements_at_any_length(desk: Desk) -> None:
    """T2: never one query per row; the first reads who calls and what they may see."""
    for number in range(7):
        await desk.create(subject=str(number), contact=a_contact(f"{number}@c.example"))
    for size in (1, 7):
        with statements() as seen:
            page = await desk.call("ListTickets", page_size=size)
        assert len(page.tickets) == size
        assert len(of_calls(seen)) == 3
