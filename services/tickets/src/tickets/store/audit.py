"""The audit: entries are written in the statement of the change that they tell of."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.principal import Principal, asked, current
from tickets.domain.audit import Change, Entry
from tickets.domain.model import Actor, ActorKind, Ticket
from tickets.store import access_tables
from tickets.store.rights import PEOPLE

_e = access_tables.audit

_ROWS = (
    sa.func.jsonb_to_recordset(sa.bindparam("audit", type_=JSONB))
    .table_valued(*(sa.column(each.name, each.type) for each in _e.c), name="entry")
    .render_derived(with_types=True)
)
WRITTEN = insert(_e).from_select([each.name for each in _e.c], sa.select(_ROWS)).cte("audited")
"""Adds the entries of the parameter `audit` within another statement."""


def entry(tx: Tx, actor: Actor, event: str, changed: tuple[Change, ...], **about: Any) -> Entry:
    """What happens now, through the call or event at hand."""
    return Entry(
        id=str(uuid7()),
        time=tx.now,
        actor=actor,
        event=event,
        principal=current.get(Principal("", "")).name,
        source=asked.get(),
        request_id=tx.request_id,
        changes=changed,
        **about,
    )


async def note(tx: Tx, about: str, event: str, changed: tuple[Change, ...]) -> None:
    """Add an entry for a change of something that is no ticket, by whoever calls, unless nothing changed."""
    caller = current.get(Principal("", ""))
    person = caller.role in PEOPLE
    actor = Actor(ActorKind.AGENT if person else ActorKind.SERVICE, caller.name.partition(":")[2])
    told = entry(tx, actor, event, changed, about=about)
    if changed:
        await tx.execute(insert(_e), {**to_row(told), "time": told.time})


def take(ticket: Ticket) -> list[dict[str, Any]]:
    """The entries that the ticket carries, as rows for WRITTEN; it carries them no longer."""
    rows = [to_row(each) for each in ticket.told]
    ticket.told.clear()
    return rows


def to_row(told: Entry) -> dict[str, Any]:
    """An entry for its table; times as text, as JSON has them."""
    return {
        "id": told.id,
        "ticket_id": told.ticket_id,
        "about": told.about,
        "version": told.version,
        "time": told.time.isoformat(),
        "actor_kind": int(told.actor.kind),
        "actor_id": told.actor.id,
        "principal": told.principal,
        "event": told.event,
        "source": told.source,
        "request_id": told.request_id,
        "changes": [[each.name, each.old, each.new] for each in told.changes],
    }
