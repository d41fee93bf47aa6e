"""Survey running against real servers, a stream to speak into, a browser without scripts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from google.protobuf.message import Message

from chassis.bus import Bus, Outgoing, stream_of
from chassis.channel import channel
from chassis.clock import utcnow
from chassis.run import App, running
from chassis.testing import EventWatch, events, open_bus
from survey.main import build
from survey.settings import Settings
from tickdesk.common.v1 import common_pb2
from tickdesk.survey.v1 import events_pb2
from tickdesk.survey.v1.survey_service_pb2_grpc import SurveyServiceStub
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import ticket_pb2

TOKEN = "secret-of-the-tests"


def a_ticket(**changes: Any) -> ticket_pb2.Ticket:
    address = changes.pop("email", "client@mail.test")
    contacts = [ticket_pb2.Contact(channel=common_pb2.CHANNEL_EMAIL, address=address)] if address else []
    values: dict[str, Any] = {
        "id": str(uuid4()),
        "key": "SUP-12",
        "version": 5,
        "queue": "SUP",
        "subject": "Printer on fire",
        "status": "closed",
        "customer": ticket_pb2.Customer(name="Ivan", contacts=contacts),
        "assignee": "anna",
        "language": "en",
        "cycle": 1,
        **changes,
    }
    return ticket_pb2.Ticket(**values)


def closed(ticket: ticket_pb2.Ticket) -> ticket_events.TicketClosed:
    return ticket_events.TicketClosed(ticket=ticket)


@dataclass
class Running:
    """A running survey service."""

    app: App
    bus: Bus
    settings: Settings
    api: Any
    web: aiohttp.ClientSession
    told: EventWatch

    async def tell(self, *happened: Message) -> None:
        """Publish events in this order, per ticket."""
        out = []
        for event in happened:
            name = event.DESCRIPTOR.full_name
            key = event.ticket.id  # type: ignore[attr-defined]
            out.append(Outgoing(name, event.SerializeToString(), str(uuid4()), key, utcnow(), {}))
        await self.bus.ensure_stream(stream_of(out[0].subject))
        for ack in await self.bus.publish(out):
            assert not isinstance(ack, Exception), ack

    async def asked(self, **changes: Any) -> str:
        """Close a ticket and return the link that its customer gets."""
        await self.tell(closed(a_ticket(**changes)))
        event: events_pb2.SurveyAsked = await self.told.next(events_pb2.SurveyAsked)
        return event.url

    async def post(self, url: str, **form: object) -> tuple[int, str]:
        """Send a form as a browser does; follow to the page after it."""
        async with self.web.post(url, data={name: str(value) for name, value in form.items()}) as answer:
            return answer.status, await answer.text()

    async def get(self, url: str) -> tuple[int, str]:
        """Open a page."""
        async with self.web.get(url) as answer:
            return answer.status, await answer.text()


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
async def start(database: Any, nats_url: str) -> Start:
    """Start survey with these settings."""
    url = database("survey.migrations")

    @asynccontextmanager
    async def begin(**changes: Any) -> AsyncIterator[Running]:
        values: dict[str, Any] = {
            "database_url": url,
            "nats_url": nats_url,
            "tokens": {"service:test": TOKEN},
            "delay_seconds": 0,
            "calls_per_minute": 10_000,
            "drain_pause_seconds": 0.0,
            **changes,
        }
        settings = Settings(**values)
        async with (
            running("survey", settings, build) as app,
            open_bus(nats_url) as bus,
            events(bus, events_pb2.SurveyAsked, events_pb2.SurveyAnswered) as told,
            channel(f"127.0.0.1:{app.grpc_port}", TOKEN) as wire,
            aiohttp.ClientSession() as web,
        ):
            yield Running(app, bus, settings, SurveyServiceStub(wire), web, told)

    return begin
