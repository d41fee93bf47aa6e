"""Who calls, with the rights of the queues, and what of the tickets they may see."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import NotFound
from chassis.principal import Principal, current
from tickets.domain import rights
from tickets.domain.model import Line
from tickets.domain.rights import Grant, Person, Right
from tickets.store import access_tables, tables
from tickets.store.agents import to_agent

PEOPLE = ("agent", "lead")
"""Roles whose principals are agents themselves: `agent:anna` is the agent anna."""

_a, _c, _t, _r = tables.agent, tables.customer, tables.ticket, access_tables.queue_rights
_GRANTS = sa.select(sa.cast(sa.func.jsonb_object_agg(_r.c.queue, _r.c.grants), sa.Text)).scalar_subquery()
# Grants are the same for everybody, and may be many: the first row alone brings them.
_FIRST = sa.func.row_number().over() == sa.literal_column("1")
_PEOPLE = sa.select(_a, sa.case((_FIRST, _GRANTS)).label("grants")).where(_a.c.active)


async def person_of(tx: Tx) -> Person | None:
    """The agent or lead who calls; None for whom no rights bound. Read once in a unit of work.

    Raises NotFound (AGENT_NOT_FOUND) for a principal who is no agent, or none any more.
    """
    caller = current.get(Principal("", ""))
    if caller.role not in PEOPLE:
        return None
    if caller.name not in tx.read:
        tx.read[caller.name] = await _load(tx, caller)
    found: Person = tx.read[caller.name]
    return found


async def visible(tx: Tx) -> list[sa.ColumnElement[bool]]:
    """Conditions on `ticket` that leave what the caller may see: add them to every list of tickets.

    They are made of the answers of `domain.rights`, and empty for whoever sees everything.
    """
    return _conditions(await person_of(tx))


async def shared_with(tx: Tx, queue: sa.ColumnElement[str]) -> list[sa.ColumnElement[bool]]:
    """Conditions on a column of queues that leave those which the caller works in."""
    person = await person_of(tx)
    if person is None:
        return []
    closed = [each for each in person.grants if not rights.works_in(person, each)]
    bounds: list[sa.ColumnElement[bool]] = [queue.not_in(closed)] if closed else []
    return [*bounds, queue.in_(person.agent.queues)] if person.agent.queues else bounds


async def put_grants(tx: Tx, queue: str, grants: Sequence[Grant]) -> None:
    """What the setup of a queue says of rights, from now on."""
    if not grants:
        await tx.execute(sa.delete(_r).where(_r.c.queue == queue))
        return
    upsert = insert(_r).values(queue=queue, grants=[_to_json(each) for each in grants])
    await tx.execute(
        upsert.on_conflict_do_update(index_elements=[_r.c.queue], set_={"grants": upsert.excluded.grants})
    )


async def people_of(tx: Tx, callers: Iterable[Principal]) -> dict[Principal, Person]:
    """Those of some agents and leads who are here, with their rights: one statement."""
    ids = {each: each.name.partition(":")[2] for each in callers}
    rows = (await tx.execute(_PEOPLE.where(_a.c.id.in_(set(ids.values()))))).mappings().all()
    grants = _grants(next((row["grants"] for row in rows if row["grants"]), "{}"))
    found = {row["id"]: to_agent(row) for row in rows}
    return {
        each: Person(found[key], each.role == "lead", grants) for each, key in ids.items() if key in found
    }


def unknown(caller: Principal) -> NotFound:
    """The refusal of a principal who is no agent, or none any more."""
    agent_id = caller.name.partition(":")[2]
    text = f"no active agent {agent_id}: add them with PutAgent"
    return NotFound(text, reason="AGENT_NOT_FOUND", metadata={"agent": agent_id})


async def _load(tx: Tx, caller: Principal) -> Person:
    found = await people_of(tx, [caller])
    if caller not in found:
        raise unknown(caller)
    return found[caller]


@lru_cache(maxsize=8)
def _grants(text: str) -> Mapping[str, Sequence[Grant]]:
    """Made once for as long as they stay the same: hundreds take milliseconds, and every agent asks."""
    return {queue: tuple(map(_from_json, found)) for queue, found in json.loads(text).items()}


def _conditions(person: Person | None) -> list[sa.ColumnElement[bool]]:
    if person is None:
        return []
    bounds = [~hidden for queue in person.grants for hidden in _hidden(person, queue)]
    if person.agent.queues:
        bounds.append(_t.c.queue.in_(person.agent.queues))
    if not bounds:
        return []
    clients = sa.select(_c.c.id).where(_c.c.account_manager == person.agent.id)
    return [sa.or_(sa.and_(*bounds), _t.c.customer_id.in_(clients))]


def _hidden(person: Person, queue: str) -> list[sa.ColumnElement[bool]]:
    """Which tickets of a queue with grants somebody may not see, if any."""
    named = {grant.component for grant in person.grants[queue] if grant.component}
    shown = {each for each in named if rights.may(person, Right.VIEW, queue, each)}
    here = _t.c.queue == queue
    if not rights.may(person, Right.VIEW, queue):
        return [sa.and_(here, _t.c.component.not_in(shown)) if shown else here]
    return [sa.and_(here, _t.c.component.in_(named - shown))] if named - shown else []


def _to_json(grant: Grant) -> dict[str, Any]:
    return {
        "agents": grant.agents,
        "lines": grant.lines,
        "component": grant.component,
        "gives": [right.value for right in Right if getattr(grant, right.value)],
    }


def _from_json(value: dict[str, Any]) -> Grant:
    return Grant(
        agents=tuple(value["agents"]),
        lines=tuple(Line(each) for each in value["lines"]),
        component=value["component"],
        **dict.fromkeys(value["gives"], True),
    )
