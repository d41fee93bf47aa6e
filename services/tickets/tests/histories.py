"""Tickets with a past that is written down: what happened when, in words, and their rows in the database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from services.tickets.tests.unit.stories import a_customer, an_agent
from tickets.domain import escalation, merging, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Csat, Line, Priority, Reason, SlaClock, Ticket, Tier
from tickets.store import clocks, history, tables
from tickets.store.clocks import Result
from tickets.store.tickets import ticket_row

MONDAY = datetime(2025, 11, 3, tzinfo=UTC)
DAYS = {name: MONDAY + timedelta(days=number - 1) for number, name in enumerate(("Sun", "Mon", "Tue", "Wed"))}
_EVERY_LINE = (Line.L1, Line.L2, Line.L3)


@dataclass
class Story:
    """A ticket: its key, what happened ("Mon 09:10 taken anna"), what clocks counted, and what it is.

    A clock is "resolution 1 60 late": name, cycle, business minutes, and whether in time.
    """

    key: str
    past: str
    clocks: str = ""
    category: str = ""
    line: Line = Line.L1
    vip: bool = False
    asked: bool = True
    follows: bool = False


def ticket_id(key: str) -> str:
    return str(uuid5(NAMESPACE_OID, key))


def _take(ticket: Ticket, at: datetime, who: str) -> None:
    workflow.assign(ticket, an_agent(who, *_EVERY_LINE), at)


def _rate(ticket: Ticket, at: datetime, score: str) -> None:
    cycle = ticket.cycle if workflow.is_over(ticket) else ticket.cycle - 1
    ticket.csat = Csat(int(score), 0, 5, "", at, cycle)


VERBS: dict[str, Callable[[Ticket, datetime, str], object]] = {
    "taken": _take,
    "replied": lambda ticket, at, who: workflow.replied(ticket, who, at),
    "robot": lambda ticket, at, who: workflow.robot_replied(ticket, at),
    "wrote": lambda ticket, at, who: workflow.customer_wrote(ticket, at),
    "escalated": lambda ticket, at, who: escalation.escalate(ticket, Step(Reason.BY_AGENT), Line.L3, at),
    "resolved": lambda ticket, at, who: workflow.resolve(ticket, who, at),
    "closed": lambda ticket, at, who: workflow.close(ticket, at, confirmed=True),
    "reopened": lambda ticket, at, who: workflow.reopen(ticket, at),
    "rated": _rate,
}


def instant(text: str) -> datetime:
    """The instant of "Mon 09:10"."""
    day, clock = text.split()
    hours, minutes = clock.split(":")
    return DAYS[day] + timedelta(hours=int(hours), minutes=int(minutes))


def lived(story: Story, others: dict[str, Ticket]) -> Ticket:
    """The ticket after all that happened; "merged SUP-4" puts it into another."""
    steps = [step.strip() for step in story.past.split(";")]
    queue, number = story.key.split("-")
    created = instant(steps[0])
    ticket = Ticket(
        id=ticket_id(story.key),
        queue=queue,
        number=int(number),
        subject=story.key,
        customer=a_customer(
            id=ticket_id(f"customer of {queue}"), tier=Tier.VIP if story.vip else Tier.STANDARD
        ),
        priority=Priority.NORMAL,
        line=story.line,
        channel=1,
        created_time=created,
        updated_time=created,
        category=story.category,
    )
    workflow.opened(ticket)
    if story.asked:
        workflow.customer_wrote(ticket, created)
    for step in steps[1:]:
        day, clock, verb, *rest = step.split()
        at = instant(f"{day} {clock}")
        if verb == "merged":
            merging.merge(ticket, others[rest[0]], at)
        else:
            VERBS[verb](ticket, at, rest[0] if rest else "")
    return ticket


async def write(tx: Tx, stories: list[Story]) -> dict[str, Ticket]:
    """Store the tickets as changes would have."""
    tickets: dict[str, Ticket] = {}
    for story in stories:
        tickets[story.key] = lived(story, tickets)
    for queue in {ticket.queue for ticket in tickets.values()}:
        await _put_queue(tx, queue)
    for story in stories:
        ticket = tickets[story.key]
        await _put_customer(tx, ticket)
        born = insert(tables.ticket).values(ticket_row(ticket)).add_cte(*history.WRITTEN)
        await tx.execute(born, history.take(ticket))
        await _put_results(tx, story, ticket)
    followers = [tickets[story.key] for story in stories if story.follows]
    if followers:
        await _follow(tx, tickets[stories[0].key], followers)
    return tickets


async def _put_queue(tx: Tx, key: str) -> None:
    row = {"key": key, "name": key, "default_priority": 2, "default_language": "en", "version": 1}
    lines = {"first_line": 1, "last_line": 3, "public_lines": [1, 2]}
    await tx.execute(insert(tables.queue).values(row | lines).on_conflict_do_nothing())


async def _put_customer(tx: Tx, ticket: Ticket) -> None:
    one = ticket.customer
    row = {"id": one.id, "name": one.name, "tier": one.tier, "created_time": one.created_time}
    await tx.execute(insert(tables.customer).values(row).on_conflict_do_nothing())


async def _put_results(tx: Tx, story: Story, ticket: Ticket) -> None:
    """Clocks are met by the moments of their cycle."""
    cycles = {each.cycle: each for each in history.of_ticket(ticket).cycles}
    for told in filter(None, (each.strip() for each in story.clocks.split(";"))):
        name, number, minutes, *late = told.split()
        cycle = cycles[int(number)]
        met, who, line = {
            "pickup": (cycle.taken_time, cycle.taken_by, cycle.taken_line),
            "resolution": (cycle.resolved_time, cycle.resolved_by, cycle.resolved_line),
        }.get(name, (cycle.replied_time, cycle.replied_by, cycle.replied_line))
        clock = SlaClock(name, "met", cycle.cycle, 1, met_time=met, breached=bool(late))
        result = Result(60.0 * int(minutes), line or 1, who or "")
        assert met
        await clocks.put_clock(tx, ticket.id, clock, met, result)


async def _follow(tx: Tx, parent: Ticket, children: list[Ticket]) -> None:
    row = {"ticket_id": parent.id, "queue": parent.queue, "state": 2, "topic": ""}
    await tx.execute(insert(tables.incident).values(**row, created_time=parent.created_time))
    for number, child in enumerate(children):
        link = {"ticket_id": child.id, "incident_id": parent.id, "position": number, "follows": True}
        await tx.execute(sa.insert(tables.incident_child).values(link))
