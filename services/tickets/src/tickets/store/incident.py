"""Mass incidents: parents, children and what is done to them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import NotFound
from chassis.pages import page_start
from tickets.domain.incident import Failure, Incident, Kind, Recent, State, Task
from tickets.domain.model import Actor, ActorKind, Ticket
from tickets.domain.statuses import OPEN_KINDS
from tickets.store import body, tables
from tickets.store.lists import Listed, Page, listed
from tickets.store.rights import visible
from tickets.store.tickets import TICKETS, TO_CHANGE, changeable, to_ticket

_i, _c, _k, _t = tables.incident, tables.incident_child, tables.incident_task, tables.ticket
_a = tables.ticket_alias
_TASKS = 20
_POSITION = sa.Sequence("incident_position")


def _count(*, follows: bool) -> sa.Label[int]:
    counted = sa.select(sa.func.count()).where(_c.c.incident_id == _i.c.ticket_id, _c.c.follows == follows)
    return counted.scalar_subquery().label("child_count" if follows else "suggested_count")


# The queue is the one that the parent is in now; the incident's own is where it was found.
_OWN = [each for each in _i.c if each.name != "queue"]
INCIDENTS = sa.select(
    *_OWN, _t.c.queue, _t.c.number, _t.c.subject, _count(follows=True), _count(follows=False)
).join_from(_i, _t, _t.c.id == _i.c.ticket_id)
"""Parents and how many follow them, for `to_incident`."""


async def lock_membership(tx: Tx) -> None:
    """One change of who follows whom at a time: incidents are rare, and two at once could make a circle."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("tickets.incident"))))


async def try_membership(tx: Tx) -> bool:
    """The same lock, or False at once when somebody has it."""
    got = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext("tickets.incident")))
    return bool((await tx.execute(got)).scalar())


async def find(tx: Tx, ticket_id: str) -> Incident | None:
    """The incident of a parent, without tasks."""
    row = (await tx.execute(INCIDENTS.where(_i.c.ticket_id == ticket_id))).mappings().one_or_none()
    return to_incident(row) if row else None


async def load(tx: Tx, ticket_id: str) -> Incident:
    """The incident of a parent or a child, with its newest tasks.

    Raises NotFound (NO_INCIDENT), also when the caller may not see the parent.
    """
    parent = sa.select(_c.c.incident_id).where(_c.c.ticket_id == ticket_id, _c.c.follows).scalar_subquery()
    own = sa.literal(ticket_id, _t.c.id.type)
    wanted = INCIDENTS.where(_i.c.ticket_id == sa.func.coalesce(parent, own), *await visible(tx))
    found = await tx.execute(wanted)
    row = found.mappings().one_or_none()
    if row is None:
        text = "the ticket has no part in an incident"
        raise NotFound(text, reason="NO_INCIDENT", metadata={"ticket": ticket_id})
    incident = to_incident(row)
    query = sa.select(_k).where(_k.c.incident_id == incident.ticket_id).order_by(_k.c.id.desc()).limit(_TASKS)
    incident.tasks = [to_task(each) for each in (await tx.execute(query)).mappings()]
    await leave_out_unseen(tx, incident.tasks)
    return incident


async def leave_out_unseen(tx: Tx, tasks: Sequence[Task]) -> None:
    """Failures name tickets by the keys that they had: a caller is told of those that they may see."""
    keys = {each.ticket_key for task in tasks for each in task.failures}
    seen = await visible(tx)
    if not keys or not seen:
        return
    pairs = [(queue, int(number)) for queue, _, number in (key.rpartition("-") for key in keys)]
    present = sa.select(_t.c.queue, _t.c.number).where(sa.tuple_(_t.c.queue, _t.c.number).in_(pairs), *seen)
    former = (
        sa.select(_a.c.queue, _a.c.number)
        .join_from(_a, _t, _t.c.id == _a.c.ticket_id)
        .where(sa.tuple_(_a.c.queue, _a.c.number).in_(pairs), *seen)
    )
    told = {f"{row.queue}-{row.number}" for row in await tx.execute(sa.union_all(present, former))}
    for task in tasks:
        task.failures = [each for each in task.failures if each.ticket_key in told]


async def put(tx: Tx, ticket: Ticket, state: State, topic: str = "") -> None:
    """Make a ticket a parent, or change how far its incident is; a topic that is known stays."""
    row = {
        "ticket_id": ticket.id,
        "queue": ticket.queue,
        "state": state,
        "topic": topic,
        "created_time": tx.now,
    }
    upsert = insert(_i).values(row)
    await tx.execute(upsert.on_conflict_do_update(index_elements=["ticket_id"], set_={"state": state}))


async def parent_of(tx: Tx, ticket_id: str) -> str:
    """Id of the parent that the ticket follows; empty when it follows none."""
    query = sa.select(_c.c.incident_id).where(_c.c.ticket_id == ticket_id, _c.c.follows)
    return (await tx.execute(query)).scalar_one_or_none() or ""


async def add_children(tx: Tx, incident_id: str, ticket_ids: Sequence[str], *, follows: bool) -> list[str]:
    """Let tickets follow a parent, or suggest them; returns those that did not until now.

    Left out are closed tickets, parents of incidents that are open, and children of another one.
    """
    open_parents = sa.select(_i.c.ticket_id).where(_i.c.state == State.OPEN)
    rows = sa.select(
        _t.c.id, sa.literal(incident_id, _t.c.id.type), _POSITION.next_value(), sa.literal(follows)
    ).where(
        _t.c.id.in_(list(ticket_ids)),
        _t.c.id != incident_id,
        _t.c.id.not_in(open_parents),
        _t.c.closed_time.is_(None),
    )
    new = insert(_c).from_select(["ticket_id", "incident_id", "position", "follows"], rows)
    taken = {name: new.excluded[name] for name in ("incident_id", "position", "follows")}
    free = sa.not_(_c.c.follows) if follows else sa.false()
    upsert = new.on_conflict_do_update(index_elements=["ticket_id"], set_=taken, where=free)
    return list((await tx.execute(upsert.returning(_c.c.ticket_id))).scalars())


async def followers(tx: Tx, incident_id: str, ticket_ids: Sequence[str]) -> list[str]:
    """Those of the tickets that follow the parent."""
    query = sa.select(_c.c.ticket_id).where(
        _c.c.incident_id == incident_id, _c.c.follows, _c.c.ticket_id.in_(list(ticket_ids))
    )
    return list((await tx.execute(query)).scalars())


async def suggested(tx: Tx, incident_id: str) -> list[str]:
    """Ids of the tickets that seem to belong to the incident and that the caller may see."""
    query = (
        sa.select(_c.c.ticket_id)
        .join_from(_c, _t, _t.c.id == _c.c.ticket_id)
        .where(_c.c.incident_id == incident_id, ~_c.c.follows, *await visible(tx))
    )
    return list((await tx.execute(query.order_by(_c.c.position))).scalars())


async def queues_and_components(tx: Tx, ticket_ids: Sequence[str]) -> list[tuple[str, str]]:
    """The queues and components of tickets, each pair once."""
    query = sa.select(_t.c.queue, _t.c.component).where(_t.c.id.in_(list(ticket_ids))).distinct()
    return [(row.queue, row.component) for row in await tx.execute(query.order_by(_t.c.queue))]


async def remove_children(tx: Tx, incident_id: str, ticket_ids: Sequence[str]) -> list[str]:
    """Let tickets go; returns those that followed."""
    gone = sa.delete(_c).where(_c.c.incident_id == incident_id, _c.c.ticket_id.in_(list(ticket_ids)))
    rows = await tx.execute(gone.returning(_c.c.ticket_id, _c.c.follows))
    return [row.ticket_id for row in rows if row.follows]


async def add_task(tx: Tx, task: Task) -> None:
    """One more thing to do to every child that follows between the positions of the task; none, no task."""
    span = sa.select(
        sa.func.count().label("total"),
        sa.func.coalesce(sa.func.max(_c.c.position), 0).label("last"),
    ).where(_c.c.incident_id == task.incident_id, _c.c.follows, _c.c.position > task.position)
    row = (await tx.execute(span)).one()
    task.total, task.last_position = row.total, row.last
    if task.total:
        await tx.execute(insert(_k).values(_task_row(task)))


async def last_position(tx: Tx, incident_id: str) -> int:
    """The position of the newest child."""
    query = sa.select(sa.func.max(_c.c.position)).where(_c.c.incident_id == incident_id, _c.c.follows)
    return (await tx.execute(query)).scalar() or 0


async def lock_task(tx: Tx) -> Task | None:
    """The oldest task left of those without an older one in their incident; none that another replica has."""
    older = _k.alias("older")
    is_next = ~sa.exists().where(
        older.c.incident_id == _k.c.incident_id, older.c.id < _k.c.id, older.c.finished_time.is_(None)
    )
    query = sa.select(_k).where(_k.c.finished_time.is_(None), is_next).order_by(_k.c.id).limit(1)
    row = (await tx.execute(query.with_for_update(of=_k, skip_locked=True))).mappings().one_or_none()
    return to_task(row) if row else None


async def lock_batch(tx: Tx, task: Task, limit: int) -> list[tuple[int, Ticket]]:
    """The next children of a task with their positions, locked in the order of their ids."""
    places = await tx.execute(
        sa.select(_c.c.ticket_id, _c.c.position)
        .where(
            _c.c.incident_id == task.incident_id,
            _c.c.follows,
            _c.c.position > task.position,
            _c.c.position <= task.last_position,
        )
        .order_by(_c.c.position)
        .limit(limit)
    )
    positions = {row.ticket_id: row.position for row in places}
    query = TO_CHANGE.where(_t.c.id.in_(list(positions))).order_by(_t.c.id)
    tickets = await changeable(tx, query.with_for_update(of=_t))
    return sorted(((positions[each.id], each) for each in tickets), key=lambda each: each[0])


async def save_task(tx: Tx, task: Task) -> None:
    """How far a locked task is."""
    row = _task_row(task)
    await tx.execute(sa.update(_k).where(_k.c.id == task.id).values(row))


async def recent(tx: Tx, since: datetime, limit: int) -> dict[tuple[str, str], list[Recent]]:
    """Open tickets that no incident knows yet, the newest of them, in the order they came.

    By the key and the setup of their queue.
    """
    known = sa.exists().where(_c.c.ticket_id == _t.c.id) | sa.exists().where(_i.c.ticket_id == _t.c.id)
    query = (
        sa.select(
            *(_t.c[name] for name in ("id", "queue", "category", "component", "subject", "created_time")),
            tables.queue.c.setup_id,
        )
        .join_from(_t, tables.queue, tables.queue.c.key == _t.c.queue)
        .where(_t.c.created_time >= since, _t.c.status_kind.in_(OPEN_KINDS), ~known)
        .order_by(_t.c.created_time.desc(), _t.c.id.desc())
        .limit(limit)
    )
    found: dict[tuple[str, str], list[Recent]] = {}
    for row in reversed((await tx.execute(query)).all()):
        seen = Recent(row.id, row.category, row.component, row.subject, row.created_time)
        found.setdefault((row.queue, str(row.setup_id or "")), []).append(seen)
    return found


async def active_topics(tx: Tx, queue: str, since: datetime) -> dict[str, str]:
    """Topics of incidents that still draw tickets, with their parents: those made since then and not over."""
    query = (
        sa.select(_i.c.topic, _i.c.ticket_id)
        .join_from(_i, _t, _t.c.id == _i.c.ticket_id)
        .where(_i.c.queue == queue, _i.c.topic != "", _i.c.created_time >= since)
        .where(_t.c.status_kind.in_(OPEN_KINDS))
        .order_by(_i.c.created_time)
        .limit(1000)
    )
    return {row.topic: row.ticket_id for row in await tx.execute(query)}


async def list_incidents(tx: Tx, queue: str, page: Page) -> Listed[Incident]:
    """Incidents that are proposed, or open and not over, the newest first."""
    scope = ("incidents", queue)
    query = INCIDENTS.where(_i.c.state != State.DISMISSED, _t.c.status_kind.in_(OPEN_KINDS))
    query = query.where(*await visible(tx))
    if queue:
        query = query.where(_t.c.queue == queue)
    if page.token:
        moment = page_start(page.token, scope, _moment)
        assert moment is not None
        bound = sa.tuple_(sa.literal(moment[0], _i.c.created_time.type), sa.literal(moment[1], _t.c.id.type))
        query = query.where(sa.tuple_(_i.c.created_time, _i.c.ticket_id) < bound)
    order = _i.c.created_time.desc(), _i.c.ticket_id.desc()
    rows = (await tx.execute(query.order_by(*order).limit(page.limit + 1))).mappings().all()
    return listed(
        [to_incident(row) for row in rows],
        page,
        scope,
        lambda each: [body.micros(each.created_time), each.ticket_id],
    )


async def list_children(tx: Tx, incident_id: str, page: Page, *, follows: bool) -> Listed[Ticket]:
    """Tickets that follow a parent, or are suggested, by id."""
    scope = ("incident", incident_id, follows)
    query = TICKETS.join(_c, _c.c.ticket_id == _t.c.id).where(
        _c.c.incident_id == incident_id, _c.c.follows == follows, *await visible(tx)
    )
    if page.token:
        query = query.where(_t.c.id > page_start(page.token, scope, _identity))
    rows = (await tx.execute(query.order_by(_t.c.id).limit(page.limit + 1))).mappings().all()
    return listed([to_ticket(row) for row in rows], page, scope, lambda each: [each.id])


def _identity(identity: str) -> str:
    return str(UUID(identity))


def _moment(micros: int, identity: str) -> tuple[datetime, str]:
    return body.instant(micros), _identity(identity)


def to_incident(row: Mapping[Any, Any]) -> Incident:
    """A row of `INCIDENTS`, without tasks."""
    return Incident(
        ticket_id=row["ticket_id"],
        queue=row["queue"],
        number=row["number"],
        subject=row["subject"],
        state=State(row["state"]),
        topic=row["topic"],
        created_time=row["created_time"],
        child_count=row["child_count"],
        suggested_count=row["suggested_count"],
    )


def _task_row(task: Task) -> dict[str, Any]:
    return {
        **{each.name: getattr(task, each.name) for each in _k.c if each.name not in _MAPPED},
        "actor": asdict(task.actor),
        "failures": [asdict(each) for each in task.failures],
    }


_MAPPED = ("id", "actor", "failures")


def to_task(row: Mapping[Any, Any]) -> Task:
    """A row of tasks."""
    plain = {each.name: row[each.name] for each in _k.c if each.name not in ("kind", "actor", "failures")}
    actor = row["actor"]
    return Task(
        kind=Kind(row["kind"]),
        actor=Actor(ActorKind(actor["kind"]), actor["id"], actor["name"]),
        failures=[Failure(**each) for each in row["failures"]],
        **plain,
    )
