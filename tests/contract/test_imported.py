"""A ticket that was brought in is no news to any customer: only clocks hear of it, of open ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from pydantic import SecretStr

from chassis.bus import Bus, Outgoing
from chassis.clock import utcnow
from chassis.run import running
from chassis.testing import events, eventually
from notifier.consumers import HANDLERS as NOTIFIED
from sla_clock.main import build
from sla_clock.settings import Settings
from survey.consumers import HANDLERS as ASKED
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import events_pb2, timeline_pb2
from tickets.domain.triggers import EVENTS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "proto/examples/tickdesk.tickets.v1.TicketImported.json"
POLICY = ROOT / "examples/policies/playbook.yaml"


def test_whoever_writes_to_customers_does_not_hear_of_imports() -> None:
    """MP-31: no auto-reply, no notice, no survey, no rule that would send one."""
    for table in (NOTIFIED, ASKED):
        heard = {kind for kind, _ in table}
        assert events_pb2.TicketOpened in heard
        assert events_pb2.TicketImported not in heard
    assert "TicketImported" not in EVENTS


async def test_clocks_of_open_tickets_begin_at_the_import_and_closed_ones_get_none(
    database: Callable[..., str], nats_url: str, bus: Bus, valkey_url: str
) -> None:
    """MP-31."""
    url = SecretStr(database("sla_clock.migrations"))
    places: dict[str, Any] = {"database_url": url, "nats_url": nats_url, "redis_url": SecretStr(valkey_url)}
    settings = Settings(**places, policy_path=POLICY)
    await bus.ensure_stream("TICKETS")
    async with running("sla-clock", settings, build), events(bus, sla.ClockStarted) as watch:
        closed, opened = an_import("12"), an_import("13")
        ticket, now = opened.ticket, utcnow()
        ticket.status, ticket.status_kind = "new", timeline_pb2.STATUS_KIND_NEW
        for name in ("resolved_time", "closed_time", "timeline"):
            ticket.ClearField(name)
        born = ticket.timeline.facts.add()
        born.time.FromDatetime(now)
        born.created.status, born.created.status_kind = "new", timeline_pb2.STATUS_KIND_NEW
        for event in (closed, opened):
            out = Outgoing(
                event.DESCRIPTOR.full_name, event.SerializeToString(), event.ticket.id, "k", now, {}
            )
            await bus.publish([out])
        await eventually(lambda: started(watch), timeout=30)
        assert {each.ticket.id for each in watch.of(sla.ClockStarted)} == {opened.ticket.id}
        assert all(each.clock.due_time.ToDatetime().year >= now.year for each in watch.of(sla.ClockStarted))


async def started(watch: Any) -> bool:
    return len(watch.of(sla.ClockStarted)) > 0


def an_import(end: str) -> events_pb2.TicketImported:
    """The golden example as a ticket of its own."""
    event = json_format.ParseDict(json.loads(EXAMPLE.read_text()), events_pb2.TicketImported())
    event.ticket.id = event.ticket.id[:-2] + end
    return event
