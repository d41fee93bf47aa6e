"""Tickets in and out of the database: one statement to read or lock, one to create, one to save."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.db import Tx
from chassis.errors import NotFound
from tickets.domain import audit as audit_rules
from tickets.domain import rights
from tickets.domain.model import (
    Contact,
    Conversation,
    Customer,
    Line,
    Message,
    Priority,
    SlaClock,
    Ticket,
    TicketType,
    Tier,
)
from tickets.domain.statuses import OPEN_KINDS, StatusKind
from tickets.store import audit, body, history, setup, tables, texts
from tickets.store.messages import message_row
from tickets.store.prepared import Prepared
from tickets.store.references import PLACES, places_of
from tickets.store.rights import person_of, visible

EARLIER = timedelta(days=30)
"""Contacts on older tickets are not counted."""
_CUSTOMER = "customer_"
_Values = Mapping[str, Any] | None
_t, _c = tables.ticket, tables.customer
_KEPT = ("due_time",)
"""Columns of a ticket that follow its clocks and not its changes."""


def _parameters(table: sa.Table, kept: tuple[str, ...] = ()) -> dict[str, sa.BindParameter[Any]]:
    """A parameter for each column but those that are kept elsewhere."""
    columns = (each for each in table.c if each.name not in kept)
    return {each.name: sa.bindparam(f"{table.name}_{each.name}", type_=each.type) for each in columns}


CONTACTS = (
    sa.select(
        sa.func.jsonb_agg(
            sa.func.jsonb_build_array(tables.contact.c.channel, tables.contact.c.address), type_=JSONB
        )
    )
    .where(tables.contact.c.customer_id == _c.c.id)
    .correlate(_c)
    .scalar_subquery()
    .label("contacts")
)
"""Contacts of the customer of the row, as a JSON list of pairs."""

CLOCKS = (
    sa.select(sa.func.jsonb_agg(sa.func.to_jsonb(sa.literal_column("ticket_clock")), type_=JSONB))
    .select_from(tables.ticket_clock)
    .where(tables.ticket_clock.c.ticket_id == _t.c.id)
    .correlate(_t)
    .scalar_subquery()
    .label("clocks")
)
"""Clocks of the ticket of the row, as a JSON list."""

TICKETS = (
    sa.select(
        _t, *(each.label(_CUSTOMER + each.name) for each in _c.c if each.name != "id"), CONTACTS, CLOCKS
    )
    .join_from(_t, _c, _t.c.customer_id == _c.c.id)
    .set_label_style(sa.LABEL_STYLE_DISAMBIGUATE_ONLY)
)
"""Whole tickets to look at; add the condition."""

_SETUP = sa.select(tables.queue.c.setup_id).where(tables.queue.c.key == _t.c.queue).correlate(_t)
TO_CHANGE = TICKETS.add_columns(_SETUP.scalar_subquery().label("setup_id"))
"""The same with the setup that their queue has now: what `changeable` makes of them can be moved."""


# Built once: putting fifty columns together costs more than executing them.
_IDS = {place: sa.select(_t.c.id).where(place) for place in PLACES}
_READ = {place: TICKETS.where(place) for place in PLACES}
_LOCKED = {place: TO_CHANGE.where(place).with_for_update(of=_t) for place in PLACES}
_CREATE = Prepared(
    insert(tables.conversation)
    .values(_parameters(tables.conversation))
    .add_cte(
        insert(_t).values(_parameters(_t, _KEPT)).cte("born"),
        # Parts of one statement see no order, but foreign keys are checked at its end.
        insert(tables.message).values(_parameters(tables.message)).cte("said"),
        texts.NEW.cte("indexed"),
        texts.NEW_WORDS.cte("learned"),
        audit.WRITTEN,
        *history.WRITTEN,
    )
)
_SAVE = Prepared(
    sa.update(_t)
    .where(_t.c.id == sa.bindparam("ticket_id"))
    .values(_parameters(_t, _KEPT))
    .add_cte(audit.WRITTEN, *history.WRITTEN)
)


async def load_ticket(tx: Tx, reference: str, *, lock: bool = False) -> Ticket:
    """One ticket by id or key that the caller may see, and change where it is locked.

    A lock lasts until the end of the transaction. Raises NotFound, also for what the caller may not see;
    Denied (RIGHTS_MISSING); InvalidInput.
    """
    person = await person_of(tx)
    places, values = places_of(reference)
    for place in places:
        ticket = await (_first(tx, _LOCKED[place], values) if lock else _read(tx, _READ[place], values))
        if ticket and rights.sees(person, ticket):
            if lock:
                rights.require_edit(person, ticket)
            return ticket
    raise _unknown(reference)


async def find_id(tx: Tx, reference: str) -> str:
    """The id of a ticket that the caller may see, by id or key. Raises NotFound, InvalidInput."""
    seen = await visible(tx)
    places, values = places_of(reference)
    for place in places:
        found: str | None = (await tx.execute(_IDS[place].where(*seen), values)).scalar_one_or_none()
        if found:
            return found
    raise _unknown(reference)


async def lock_or_none(tx: Tx, ticket_id: str) -> Ticket | None:
    """The ticket of an id or the one it was merged into, locked; None when there is no such ticket."""
    try:
        UUID(ticket_id)
    except ValueError:
        return None
    return await _going_on(tx, await _locked(tx, _t.c.id == ticket_id))


async def lock_by_conversation(tx: Tx, conversation_ids: Sequence[str]) -> Ticket | None:
    """The ticket that the first known of these conversations belongs to, locked."""
    wanted = list(conversation_ids)
    found = (
        sa.select(tables.conversation.c.ticket_id)
        .where(tables.conversation.c.id.in_(wanted))
        .order_by(sa.func.array_position(sa.cast(wanted, sa.ARRAY(sa.Text)), tables.conversation.c.id))
        .limit(1)
        .scalar_subquery()
    )
    ticket = await _going_on(tx, await _locked(tx, _t.c.id == found))
    if ticket and not any(each.id in wanted for each in ticket.conversations):
        # While this waited for its lock, the conversation went to another ticket.
        ticket = await _going_on(tx, await _locked(tx, _t.c.id == found))
    return ticket


async def open_of_sender(tx: Tx, sender: Contact, queue: str) -> list[Ticket]:
    """Open tickets of the sender's customer in the queue, newest first, at most 20; none is locked.

    The sender is: two first messages at once must see each other's ticket.
    """
    lock = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sender.address, sender.channel)))
    await tx.execute(lock)
    owner = sa.select(tables.contact.c.customer_id).where(_is_contact(sender)).scalar_subquery()
    query = (
        TICKETS.where(_t.c.customer_id == owner, _t.c.queue == queue, _t.c.status_kind.in_(OPEN_KINDS))
        .order_by(_t.c.created_time.desc(), _t.c.id.desc())
        .limit(20)
    )
    return [to_ticket(row) for row in (await tx.execute(query)).mappings()]


async def lock_open_of_customer(tx: Tx, customer_id: str, after: str | None, limit: int) -> list[Ticket]:
    """Open tickets of a customer behind an id, in one order for everybody."""
    query = TO_CHANGE.where(_t.c.customer_id == customer_id, _t.c.status_kind.in_(OPEN_KINDS))
    if after:
        query = query.where(_t.c.id > after)
    return await changeable(tx, query.order_by(_t.c.id).limit(limit).with_for_update(of=_t))


async def lock_expired(tx: Tx, term: timedelta, limit: int) -> list[Ticket]:
    """Tickets whose confirmation term ran out, each queue's own or else this one, oldest first.

    Those that another replica holds are left out.
    """
    q, t = tables.queue, _t.alias()
    own = sa.func.nullif(q.c.confirmation_seconds, 0)
    until = tx.now - sa.func.make_interval(0, 0, 0, 0, 0, 0, sa.func.coalesce(own, term.total_seconds()))
    # Queue by queue, so that tickets of a long term are not read over and over.
    found = (
        sa.select(t.c.id)
        .where(t.c.queue == q.c.key, t.c.status_kind == StatusKind.RESOLVED, t.c.resolved_time <= until)
        .order_by(t.c.resolved_time)
        .limit(limit)
        .correlate(q)
        .lateral()
    )
    expired = sa.select(found.c.id).select_from(q.join(found, sa.true()))
    # A ticket may have been reopened since it was found: the lock looks at its status again.
    query = TO_CHANGE.where(_t.c.id.in_(expired), _t.c.status_kind == StatusKind.RESOLVED)
    query = query.order_by(_t.c.resolved_time).limit(limit)
    return await changeable(tx, query.with_for_update(of=_t, skip_locked=True))


async def keys_of(tx: Tx, conversation_ids: Sequence[str]) -> list[str]:
    """Keys of the tickets that these conversations belong to, at most 10."""
    query = (
        sa.select(_t.c.queue, _t.c.number)
        .where(_t.c.id.in_(_owners(conversation_ids)))
        .order_by(_t.c.created_time.desc())
        .limit(10)
    )
    return [f"{row.queue}-{row.number}" for row in await tx.execute(query)]


async def earlier_contacts(tx: Tx, ticket: Ticket, at: datetime) -> list[tuple[str, list[datetime]]]:
    """Subjects of the customer's other new tickets of the queue, with the contacts on each; at most 10."""
    query = (
        sa.select(_t.c.subject, _t.c.body["contacts"].label("contacts"))
        .where(_t.c.customer_id == ticket.customer.id, _t.c.queue == ticket.queue, _t.c.id != ticket.id)
        .where(_t.c.created_time >= at - EARLIER)
        .order_by(_t.c.created_time.desc())
        .limit(10)
    )
    rows = await tx.execute(query)
    return [(row.subject, [body.instant(each) for each in row.contacts or []]) for row in rows]


async def create_ticket(tx: Tx, ticket: Ticket, message: Message) -> None:
    """A new ticket with its first message, conversation, audit and history, in one statement."""
    first = {"id": ticket.conversations[0].id, "ticket_id": ticket.id, "created_time": ticket.created_time}
    rows = (("ticket", ticket_row(ticket)), ("message", message_row(message)), ("conversation", first))
    values = {f"{table}_{name}": value for table, row in rows for name, value in row.items()}
    extra = {"audit": audit.take(ticket), **history.take(ticket)}
    await _CREATE.rows(tx, values | texts.of_new(ticket, message) | extra)
    ticket.first_message = None


async def save_ticket(tx: Tx, ticket: Ticket) -> None:
    """The changed state of a locked ticket, or a new one, with its audit and history, in one statement."""
    if ticket.first_message:
        await create_ticket(tx, ticket, ticket.first_message)
        return
    values = {f"ticket_{name}": value for name, value in ticket_row(ticket).items()}
    await _SAVE.rows(tx, {**values, "audit": audit.take(ticket), **history.take(ticket)})


async def add_conversation(tx: Tx, ticket: Ticket, conversation: Conversation) -> None:
    """One more conversation that belongs to the ticket, unless it does already."""
    row = {"id": conversation.id, "ticket_id": ticket.id, "created_time": tx.now}
    await tx.execute(insert(tables.conversation).values(row).on_conflict_do_nothing())


async def exists(tx: Tx, ticket_id: str) -> bool:
    """Whether there is a ticket of this id."""
    return bool((await tx.execute(sa.select(sa.exists().where(_t.c.id == ticket_id)))).scalar())


async def changeable(tx: Tx, query: sa.Select[Any], values: _Values = None) -> list[Ticket]:
    """The tickets of a query on TO_CHANGE, each with the workflow of its queue."""
    tickets = []
    for row in (await tx.execute(query, values)).mappings().all():
        ticket = to_ticket(row)
        ticket.setup_id = str(row["setup_id"] or "")
        ticket.workflow = await setup.workflow_of(tx, ticket.setup_id)
        ticket.stored = audit_rules.state(
            {each.name: row[each.name] for each in _t.c if each.name not in _KEPT}
        )
        ticket.recorded = history.of_ticket(ticket)
        tickets.append(ticket)
    return tickets


def to_ticket(values: Mapping[Any, Any]) -> Ticket:
    """A ticket out of a row of TICKETS, to look at."""
    plain = {each.name: values[each.name] for each in _t.c if each.name not in _MAPPED}
    return Ticket(
        **plain,
        **body.from_body(values["body"]),
        fields=body.to_fields(values["fields"]),
        type=TicketType(values["type"]),
        status_kind=StatusKind(values["status_kind"]),
        priority=Priority(values["priority"]),
        line=Line(values["line"]),
        customer=to_customer(values, _CUSTOMER),
        clocks=to_clocks(values["clocks"]),
    )


def to_clocks(value: list[Mapping[str, Any]] | None) -> list[SlaClock]:
    """Clocks out of the column CLOCKS, in the policy's order."""
    return [_to_clock(each) for each in sorted(value or [], key=lambda each: each["position"])]


def to_customer(values: Mapping[Any, Any], prefix: str = "") -> Customer:
    """A customer out of the columns with a prefix, and `contacts`."""
    plain = {each.name: values[prefix + each.name] for each in _c.c if each.name not in ("id", "tier")}
    return Customer(
        id=values[prefix + "id"],
        tier=Tier(values[prefix + "tier"]),
        contacts=[Contact(channel, address) for channel, address in sorted(values["contacts"] or [])],
        **plain,
    )


_MAPPED = (*_KEPT, "body", "fields", "type", "priority", "line", "status_kind", "customer_id")


def ticket_row(ticket: Ticket) -> dict[str, Any]:
    """The columns of a ticket."""
    return {
        **dict(zip(_PLAIN, _plain(ticket), strict=True)),
        "customer_id": ticket.customer.id,
        "fields": body.from_fields(ticket.fields),
        "body": body.to_body(ticket),
    }


_PLAIN = [each.name for each in _t.c if each.name not in (*_KEPT, "body", "fields", "customer_id")]
_plain = attrgetter(*_PLAIN)


def _to_clock(value: Mapping[str, Any]) -> SlaClock:
    return SlaClock(
        clock=value["clock"],
        state=value["state"],
        cycle=value["cycle"],
        version=value["version"],
        due_time=_time(value["due_time"]),
        met_time=_time(value["met_time"]),
        breached=value["breached"],
        last_mark=value["last_mark"],
        policy_version=value["policy_version"],
    )


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


async def _read(tx: Tx, query: sa.Select[Any], values: _Values) -> Ticket | None:
    row = (await tx.execute(query, values)).mappings().one_or_none()
    return to_ticket(row) if row else None


async def _locked(tx: Tx, condition: sa.ColumnElement[bool]) -> Ticket | None:
    return await _first(tx, TO_CHANGE.where(condition).with_for_update(of=_t))


async def _first(tx: Tx, query: sa.Select[Any], values: _Values = None) -> Ticket | None:
    found = await changeable(tx, query, values)
    return found[0] if found else None


def _is_contact(sender: Contact) -> sa.ColumnElement[bool]:
    return sa.and_(tables.contact.c.channel == sender.channel, tables.contact.c.address == sender.address)


def _owners(conversation_ids: Sequence[str]) -> sa.Select[tuple[str]]:
    return sa.select(tables.conversation.c.ticket_id).where(tables.conversation.c.id.in_(conversation_ids))


async def _going_on(tx: Tx, ticket: Ticket | None) -> Ticket | None:
    """The ticket that a merged one points to, locked; merges make no circle, so this ends."""
    while ticket and ticket.merged_into_id:
        ticket = await _locked(tx, _t.c.id == ticket.merged_into_id)
    return ticket


def _unknown(reference: str) -> NotFound:
    return NotFound(f"no ticket {reference}", reason="TICKET_NOT_FOUND", metadata={"ticket": reference})
