"""History is written with the change, and a migration finds the same."""

from typing import Any

import sqlalchemy as sa
from alembic.command import downgrade, upgrade
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clock import utcnow
from chassis.schema import _config, plain_engine
from chassis.testing import eventually
from services.tickets.tests.builders import Desk
from services.tickets.tests.component.test_flow import of_calls, statements
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.survey.v1 import events_pb2 as survey
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import events_pb2

TABLES = ("ticket_span", "ticket_cycle", "clock_result")


async def rows(desk: Desk, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in one order."""
    async with desk.db.tx() as tx:
        found = await tx.execute(sa.text(f"select * from {table} t order by t::text"))
        return [dict(each) for each in found.mappings()]


def a_met_clock(ticket: Any, **fields: Any) -> sla.ClockMet:
    now = Timestamp()
    now.FromDatetime(utcnow())
    clock = clock_pb2.Clock(name="resolution", cycle=1, state=clock_pb2.CLOCK_STATE_MET, met_time=now)
    clock.as_of_time.CopyFrom(now)
    clock.elapsed.FromSeconds(600)
    clock.MergeFrom(clock_pb2.Clock(**fields))
    ref = clock_pb2.TicketRef(id=ticket.id, version=ticket.version, line=ticket.line, assignee="anna")
    return sla.ClockMet(ticket=ref, clock=clock)


async def rate(desk: Desk, ticket: Any, cycle: int, score: int) -> None:
    """The customer's score of a cycle."""
    told = survey_pb2.Survey(
        id=f"s{cycle}",
        kind=survey_pb2.SURVEY_KIND_CUSTOMER,
        ticket_id=ticket.id,
        raw=1 + score // 25,
        scale=5,
        score=score,
        cycle=cycle,
    )
    told.answered_time.FromDatetime(utcnow())
    await desk.tell(survey.SurveyAnswered(survey=told))
    await desk.watch.next(events_pb2.TicketRated)


async def a_life(desk: Desk) -> Any:
    """A ticket handed up, returned, resolved, rated, reopened; one split off; one merged."""
    ticket = await desk.escalated()
    await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    await desk.call("ReturnTicket", "agent:dina", ticket=ticket.id, reason=1, answer="Mended")
    await desk.call("ReplyToTicket", ticket=ticket.id, text="Mended.", status="waiting")
    await desk.call("ResolveTicket", ticket=ticket.id)
    await rate(desk, ticket, 1, 100)
    await desk.call("CloseTicket", ticket=ticket.id)
    await desk.call("ReopenTicket", ticket=ticket.id)
    other = await desk.create(text="And the door squeaks.")
    await desk.call("MergeTickets", ticket=other.id, into=ticket.id)
    asked = [each for each in await desk.messages(ticket.id) if each.text == "And the door squeaks."]
    split = await desk.call("SplitTicket", ticket=ticket.id, message_ids=[asked[0].id])
    await desk.call("TakeTicket", ticket=split.created.id)
    return (await desk.ticket(ticket.id)), split.created


async def test_the_rows_that_changes_wrote_are_those_that_a_migration_makes(desk: Desk) -> None:
    """CP-12, CP-10: what was is noted once, by whom it was done, whichever way it came."""
    ticket, split = await a_life(desk)
    live = {table: await rows(desk, table) for table in TABLES}
    of_it = [each for each in live["ticket_span"] if str(each["ticket_id"]) == ticket.id]
    told = sorted(of_it, key=lambda each: each["to_time"])
    assert [(each["status"], each["line"], each["assignee"]) for each in told] == [
        ("new", 1, ""),
        ("in_progress", 1, "anna"),
        ("escalated", 2, ""),
        ("in_progress", 2, "dina"),
        ("in_progress", 1, "anna"),
        ("waiting", 1, "anna"),
        ("resolved", 1, "anna"),
        ("closed", 1, "anna"),
    ]
    cycle = next(each for each in live["ticket_cycle"] if str(each["ticket_id"]) == ticket.id)
    assert (cycle["taken_by"], cycle["resolved_by"], cycle["score"]) == ("anna", "anna", 100)
    assert (cycle["escalated"], cycle["highest_line"], cycle["came_back"]) == (True, 2, False)
    assert cycle["closed_time"] < cycle["reopened_time"]
    assert split.id in {str(each["ticket_id"]) for each in live["ticket_cycle"]}

    engine, config = plain_engine(desk.url), _config("tickets.migrations")

    def again(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        downgrade(config, "0012")
        upgrade(config, "head")

    async with engine.connect() as connection:
        await connection.run_sync(again)
    await engine.dispose()
    assert {table: await rows(desk, table) for table in TABLES[:2]} == {
        table: live[table] for table in TABLES[:2]
    }


async def test_history_costs_no_statement_more(desk: Desk) -> None:
    """T2: a change that adds a span and changes a cycle is saved in one statement."""
    ticket = await desk.create()
    with statements() as seen:
        await desk.call("TakeTicket", ticket=ticket.id)
    saved = [each for each in of_calls(seen) if "ticket_span" in each]
    assert len(saved) == 1
    assert saved[0].startswith("WITH")
    assert "UPDATE ticket SET" in saved[0]


async def test_results_of_clocks_stay_when_the_next_cycle_begins(desk: Desk) -> None:
    """CA-17: each cycle has its own; news that come twice or late change nothing."""
    ticket = await desk.create()
    first, second = a_met_clock(ticket), a_met_clock(ticket, cycle=2, breached=True)
    late = a_met_clock(ticket)
    late.clock.as_of_time.FromSeconds(first.clock.as_of_time.seconds - 60)
    late.clock.elapsed.FromSeconds(1)
    await desk.tell(second, first, first, late, a_met_clock(ticket, name="pickup"))

    async def noted() -> list[Any]:
        found = await rows(desk, "clock_result")
        assert {each["clock"] for each in found} == {"resolution", "pickup"}
        return found

    found = [each for each in await eventually(noted) if each["clock"] == "resolution"]
    told = [(each["cycle"], each["breached"], each["elapsed_seconds"], each["assignee"]) for each in found]
    assert sorted(told) == [(1, False, 600.0, "anna"), (2, True, 600.0, "anna")]


async def test_a_cycle_keeps_its_score_when_a_later_one_is_scored(desk: Desk) -> None:
    """CA-24: who was annoyed and then satisfied was both; the last score of a cycle counts."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.call("ResolveTicket", ticket=ticket.id)
    for score in (50, 0):
        await rate(desk, ticket, 1, score)
    await desk.call("ReopenTicket", ticket=ticket.id)
    await desk.call("ResolveTicket", ticket=ticket.id)
    await rate(desk, ticket, 2, 100)
    scores = {each["cycle"]: each["score"] for each in await rows(desk, "ticket_cycle")}
    assert scores == {1: 0, 2: 100}
    assert all(each["rated_time"] for each in await rows(desk, "ticket_cycle"))
