"""How late marks were, with a way to the trace of those that were late."""

from __future__ import annotations

import re
import secrets
from uuid import uuid4

import aiohttp
import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import generate_latest

from chassis.bus import Outgoing
from chassis.clock import utcnow
from chassis.testing import eventually
from sla_clock.calendar import MICROS
from sla_clock.handlers import publish
from sla_clock.store.ledger import Mark
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2 as ticket_events

from .desk import Case, Desk, ago

_NAMED = re.compile(r'^tickdesk_sla_fire_lateness_seconds_bucket.* # {trace_id="(\w+)"}', re.MULTILINE)


async def told(desk: Desk, case: Case) -> str:
    """Tell of a ticket as a part of a trace; the id of that trace."""
    trace = secrets.token_hex(16)
    event = ticket_events.TicketUpdated
    payload = event(ticket=case.ticket()).SerializeToString()
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    await desk.bus.ensure_stream("TICKETS")
    await desk.bus.publish(
        [Outgoing(event.DESCRIPTOR.full_name, payload, str(uuid4()), case.id, utcnow(), headers)]
    )
    return trace


async def metrics(desk: Desk, accept: str) -> str:
    url = f"http://127.0.0.1:{desk.apps[0].ops_port}/metrics/"
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as answer:
        return await answer.text()


def named(text: str) -> set[str]:
    """Traces that the lateness of marks leads to."""
    return set(_NAMED.findall(text))


async def test_a_late_mark_names_its_trace_to_who_asks_for_open_metrics(desk: Desk) -> None:
    trace = await told(desk, Case(ago(13), common.PRIORITY_CRITICAL))

    async def found() -> bool:
        return trace in named(await metrics(desk, "application/openmetrics-text"))

    assert await eventually(found)
    plain = await metrics(desk, "text/plain")
    assert "tickdesk_sla_fire_lateness_seconds_bucket" in plain
    assert "trace_id" not in plain


@pytest.mark.parametrize(("late", "kept"), [(0, False), (MICROS, False), (MICROS + 1, True)])
def test_only_a_mark_that_is_more_than_a_second_late_leaves_its_trace(late: int, *, kept: bool) -> None:
    """One in time costs nothing more, and would hide those that are worth a look."""
    trace = secrets.token_hex(16)
    mark = Mark(uuid4(), "resolution", 1, "100%", 1, "breach", 0, False, b"", f"00-{trace}-{'1' * 16}-01")
    publish._note_lateness(mark, late)
    publish._note_lateness(mark._replace(trace=""), late)
    text = generate_latest(REGISTRY).decode()  # type: ignore[no-untyped-call]
    assert (trace in named(text)) is kept
