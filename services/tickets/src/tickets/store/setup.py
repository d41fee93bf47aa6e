"""Setups of queues: every version for ever, and what this process remembers of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import NotFound
from tickets.domain.fields import FieldType, read_fields
from tickets.domain.model import Actor, ActorKind, Queue
from tickets.domain.setup import Document, Kept, read_workflow
from tickets.domain.statuses import LINES, Status, Workflow
from tickets.store import tables

T = TypeVar("T")
_s, _q, _t = tables.queue_setup, tables.queue, tables.ticket
REMEMBERED = 500


class Memory(Generic[T]):
    """What was made of setups, by their ids. A version never changes, so nothing here is ever out of date."""

    def __init__(self) -> None:
        self._known: dict[str, T] = {}

    def get(self, setup_id: str) -> T | None:
        """What is remembered."""
        return self._known.get(setup_id)

    def all(self) -> dict[str, T]:
        """What is remembered of every setup, as of now."""
        return dict(self._known)

    def keep(self, setup_id: str, value: T) -> T:
        """Remember it, and forget the oldest when there are many."""
        while len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[setup_id] = value
        return value


_workflows = Memory[Workflow]()


async def workflow_of(tx: Tx, setup_id: str | None) -> Workflow:
    """The workflow of a setup; that of queues which have none when there is no id."""
    if not setup_id:
        return LINES
    known = _workflows.get(setup_id)
    if known:
        return known
    found = await document(tx, setup_id)
    fields = read_fields(found.get("fields", ()))
    return _workflows.keep(setup_id, read_workflow(found["workflow"], fields))


async def document(tx: Tx, setup_id: str) -> Document:
    """The document of a setup."""
    found: Document = (await tx.execute(sa.select(_s.c.document).where(_s.c.id == setup_id))).scalar_one()
    return found


async def load_version(tx: Tx, queue: str, version: int) -> Kept:
    """A version of a queue's setup. Raises NotFound (SETUP_NOT_FOUND)."""
    row = (await tx.execute(sa.select(_s).where(_s.c.queue == queue, _s.c.version == version))).one_or_none()
    if row is None:
        text = f"the setup of {queue} has no version {version}"
        raise NotFound(text, reason="SETUP_NOT_FOUND", metadata={"queue": queue, "version": str(version)})
    return to_kept(row, row.document)


async def put_setup(tx: Tx, queue: Queue, actor: Actor, document: Document, term_seconds: int) -> Kept:
    """The next version of a locked queue's setup, in force from the end of the transaction on."""
    kept = Kept(queue.setup_version + 1, actor, tx.now, document)
    queue.setup_id, queue.setup_version, queue.version = str(uuid7()), kept.version, queue.version + 1
    row = {
        "id": queue.setup_id,
        "queue": queue.key,
        "version": kept.version,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "created_time": kept.created_time,
        "document": document,
    }
    await tx.execute(insert(_s).values(row))
    changed = {name: getattr(queue, name) for name in ("setup_id", "setup_version", "version")}
    change = sa.update(_q).where(_q.c.key == queue.key)
    await tx.execute(change.values(**changed, confirmation_seconds=term_seconds))
    return kept


async def in_use(tx: Tx, queue: str, statuses: Iterable[Status]) -> list[str]:
    """Keys of those statuses that tickets of the queue are in."""
    wanted = list(statuses)
    if not wanted:
        return []
    query = sa.select(_t.c.status).distinct()
    kinds = _t.c.status_kind.in_({each.kind for each in wanted})
    found = await tx.execute(
        query.where(_t.c.queue == queue, kinds, _t.c.status.in_([each.key for each in wanted]))
    )
    return sorted(found.scalars())


async def earlier_fields(tx: Tx, queue: str, keys: Sequence[str]) -> dict[str, FieldType]:
    """Types that these fields had in earlier versions, each as it was last."""
    wanted = {"queue": queue, "keys": keys}
    return {
        one.key: FieldType[one.type.removeprefix("FIELD_TYPE_")] for one in await tx.execute(_FIELDS, wanted)
    }


async def held_fields(tx: Tx, queue: str, keys: Sequence[str]) -> list[str]:
    """Those of the fields of which a ticket of the queue holds a value: all its tickets may be looked at."""
    return [one.key for one in await tx.execute(_HELD, {"queue": queue, "keys": keys})]


_KEYS = sa.bindparam("keys", type_=sa.ARRAY(sa.Text))
_FIELDS = sa.text(
    "select field ->> 'key' as key, field ->> 'type' as type from queue_setup,"
    " jsonb_array_elements(coalesce(document -> 'fields', '[]')) as field"
    " where queue = :queue and field ->> 'key' = any(:keys) order by version"
).bindparams(_KEYS)
_HELD = sa.text(
    "select key from unnest(:keys) as key"
    " where exists (select from ticket where queue = :queue and fields ? key)"
).bindparams(_KEYS)


def to_kept(row: sa.Row[Any], document: Document) -> Kept:
    """A version out of its row."""
    actor = Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name)
    return Kept(row.version, actor, row.created_time, document)
