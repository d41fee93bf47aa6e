"""How tickets are named: by id, by key, or by a key from before they moved to another queue."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickets.store import tables
from tickets.store.rights import visible

_KEY = re.compile(r"([A-Za-z0-9]{2,10})-([0-9]{1,15})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_t, _alias = tables.ticket, tables.ticket_alias

Place = sa.ColumnElement[bool]
"""A condition on `ticket` with parameters, of which there are only these."""
_queue: sa.BindParameter[str] = sa.bindparam("of_queue")
_number: sa.BindParameter[int] = sa.bindparam("of_number")
_former = sa.select(_alias.c.ticket_id).where(_alias.c.queue == _queue, _alias.c.number == _number)
_BY_ID: Place = _t.c.id == sa.bindparam("of_id")
_BY_KEY: Place = sa.and_(_t.c.queue == _queue, _t.c.number == _number)
_BY_FORMER_KEY: Place = _t.c.id == _former.scalar_subquery()
PLACES = (_BY_ID, _BY_KEY, _BY_FORMER_KEY)


def places_of(reference: str) -> tuple[Sequence[Place], dict[str, Any]]:
    """Where to look for a ticket, in this order, and the parameters. Raises InvalidInput."""
    if key := _KEY.fullmatch(reference.strip()):
        return (_BY_KEY, _BY_FORMER_KEY), {"of_queue": key[1].upper(), "of_number": int(key[2])}
    try:
        return (_BY_ID,), {"of_id": str(UUID(reference.strip()))}
    except ValueError:
        text = 'ticket must be an id (UUID) or a key such as "SUP-12"'
        raise InvalidInput(text, violations=[Violation("ticket", text)]) from None


async def ids_of(tx: Tx, references: Sequence[str]) -> dict[str, str]:
    """Ids of the tickets that these ids or keys name; what names none that the caller may see is left out."""
    keys = {each: (key[1].upper(), int(key[2])) for each in references if (key := _KEY.fullmatch(each))}
    uuids = {each: each.lower() for each in references if each not in keys and _UUID.fullmatch(each)}
    wanted = sa.or_(
        sa.tuple_(_t.c.queue, _t.c.number).in_(list(keys.values())), _t.c.id.in_(list(uuids.values()))
    )
    query = sa.select(_t.c.id, _t.c.queue, _t.c.number).where(wanted, *await visible(tx))
    rows = (await tx.execute(query)).all()
    found = {(row.queue, row.number): row.id for row in rows} | {row.id: row.id for row in rows}
    named: dict[str, Any] = {**keys, **uuids}
    return {each: found[place] for each, place in named.items() if place in found}
