"""A database of the day before goes on with its data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from alembic import command

from chassis.schema import _config, migrate, plain_engine
from chassis.testing import eventually
from sla_clock.calendar import MICROS, micros
from sla_clock.convert import attributes, dump_attributes, ticket_ref
from sla_clock.store import ledger
from sla_clock.store.ledger import MarkFilter
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla

from .desk import POLICY, Case, Desk, a_desk, ago

_POLICY = "insert into policy values (1, 'test', :yaml, 'file', now())"
_TICKET = (
    "insert into ticket_clock (ticket_id, version, revision, policy_version, open, ref, timeline, attributes,"
    " standings, trace, next_wake_at) values (:id, 1, 7, 1, true, :ref, :timeline, :attributes, :standings,"
    """ '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}', :wake)"""
)
_DUE = "insert into due_clock values (:id, 'first_response', 'SUP', :due)"
_MARK = (
    "insert into mark_ledger values (:id, 'first_response', 1, '70%', 1, 'remind', :due, :fired, false,"
    " gen_random_uuid(), :payload, '{}', :fired, null)"
)


@pytest.fixture
async def yesterday(database: Callable[[str], str]) -> tuple[str, Case]:
    """A database at 0001 in which one mark of a ticket has fired and the others wait."""
    url = database("")
    case = Case(ago(7.5), common.PRIORITY_CRITICAL)
    ticket, created = case.ticket(), micros(case.created)
    points = [
        [name, action, share * MICROS // 10, created + share * MICROS // 10, share == 70]
        for name, action, share in (
            ("70%", "remind", 70),
            ("80%", "escalate_line", 80),
            ("90%", "remind", 90),
            ("100%", "breach", 100),
            ("150%", "escalate_management", 150),
        )
    ]
    stood = [["first_response", 1, "running", 10 * MICROS, created + 10 * MICROS, "always", 1, points]]
    values = {
        "id": UUID(case.id),
        "yaml": POLICY,
        "ref": ticket_ref(ticket).SerializeToString(),
        "timeline": ticket.timeline.SerializeToString(),
        "attributes": orjson.dumps(dump_attributes(attributes(ticket))).decode(),
        "standings": orjson.dumps(stood).decode(),
        "wake": case.created + timedelta(seconds=8),
        "due": case.created + timedelta(seconds=10),
        "fired": ago(0.4),
        "payload": sla.MarkReached(clock="first_response").SerializeToString(),
    }
    engine = plain_engine(url)
    async with engine.connect() as conn:
        await conn.run_sync(partial(_upgrade, "0001"))
        await conn.commit()
        for statement in (_POLICY, _TICKET, _DUE, _MARK):
            text = sa.text(statement)
            await conn.execute(text, {name: values[name] for name in text.compile().params})
        await conn.commit()
    await engine.dispose()
    return url, case


def _upgrade(revision: str, connection: sa.Connection) -> None:
    config = _config("sla_clock.migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_a_desk_of_yesterday_goes_on_where_it_stood(
    yesterday: tuple[str, Case], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    url, case = yesterday
    await migrate(url, "sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path) as desk:
        await eventually(lambda: "100%" in _told(desk.watch.of(sla.MarkReached)))

        async def entered() -> list[Any]:
            async with desk.db.tx() as tx:
                return (await ledger.list_marks(tx, MarkFilter(ticket_id=UUID(case.id)), 10))[0]

        async def all_told() -> bool:
            """What yesterday told is in the ledger, and what is told now; one may just be on its way."""
            kept = [mark for mark in await entered() if not mark.folded]
            return len(kept) == len(desk.watch.of(sla.MarkReached)) + 1

        await eventually(all_told)
        told, marks = desk.watch.of(sla.MarkReached), await entered()
        assert "70%" not in _told(told)
        assert all(one.ticket.id == case.id for one in told)
        assert marks[-1].mark == "70%"
        assert marks[0].trace.startswith("00-0af7651916cd43dd8448eb211c80319c")
        await eventually(lambda: _all_noted(desk))


async def _all_noted(desk: Desk) -> bool:
    async with desk.db.tx() as tx:
        return not await ledger.lock_unsent(tx, tx.now, (), 10)


def _told(marks: list[sla.MarkReached]) -> list[str]:
    return [one.mark.name for one in marks if one.clock == "first_response"]
