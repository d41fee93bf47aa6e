"""What happens in a desk, as it happens: the events of its five streams."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import nats.errors
from google.protobuf import symbol_database
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg

from chassis.bus import Bus
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.notifier.v1 import events_pb2 as notifier_events
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.survey.v1 import events_pb2 as survey_events
from tickdesk.tickets.v1 import events_pb2 as ticket_events

CONTRACTS = (intake_events, ticket_events, sla_events, notifier_events, survey_events)
STREAMS = tuple(each.DESCRIPTOR.package.split(".")[1].upper() for each in CONTRACTS)
_KNOWN = symbol_database.Default()


def decode(subject: str, data: bytes) -> Message | None:
    """The event of a subject, which is its protobuf full name; None for one we do not know."""
    try:
        kind: Any = _KNOWN.GetSymbol(subject)
        event: Message = kind.FromString(data)
    except (KeyError, DecodeError):
        return None
    return event


class Feed:
    """Follows every stream from now on and hands each event to `told`, in the order of arrival."""

    def __init__(self, nats_url: str, told: Callable[[Message], None]) -> None:
        self._bus = Bus(nats_url, "cli")
        self._told = told
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._bus.__aenter__()
        for stream in STREAMS:
            await self._bus.ensure_stream(stream)
            subject = f"tickdesk.{stream.lower()}.>"
            await self._bus.js.subscribe(subject, stream=stream, ordered_consumer=True, cb=self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._bus.__aexit__(kind, error, trace)
        except (nats.errors.Error, OSError):
            return

    async def _take(self, message: Msg) -> None:
        event = decode(message.subject, message.data)
        if event is not None:
            self._told(event)
        self.stir()

    def stir(self) -> None:
        """Let `until` look again; the feed does so itself after each event."""
        self._changed.set()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds, looking after each event; False when the time runs out first."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return holds()
        return True
