"""A client of Tickdesk.

    async with Desk("127.0.0.1:7000", key="...") as desk:
        ticket = await desk.tickets.create(queue="SUP", subject="Export hangs", text="...", contact=...)
        await desk.tickets.take(ticket.key, version=ticket.version)
        async for found in desk.tickets.search("Queue: SUP and Assignee: me()"):
            print(found.key, found.subject)

Methods are those of the contracts, in snake case: `desk.tickets.list_audit()` is ListAudit of any service of
tickdesk.tickets.v1. Those of one ticket are also known without the word: `take` is TakeTicket. Fields of the request
are keywords; a value without a name goes to the first field that is not bookkeeping. Messages may be given as
dictionaries, enums by their names, times as datetimes.
"""

import asyncio
import importlib
import json
import os
import pkgutil
import random
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tickdesk.tickets.v1.stale_pb2 import PresentState

if TYPE_CHECKING:
    from tickdesk import methods

__all__ = ["Desk", "DeskError", "Listing", "StaleVersion"]

I = TypeVar("I")
P = TypeVar("P")

SECONDS = 15.0
_PAGE = 200
_DETAILS = "grpc-status-details-bin"
BOOKKEEPING = ("request_id", "page_size", "page_token", "version", "agent_id")
"""Fields that a value without a name is never for."""
ENDS = ("ToTicket", "Tickets", "Ticket", "Queue")
"""Words that a method of tickets may be called without, in the order in which they are tried."""
_HERE = re.compile(r"unix(-abstract)?:.*|(dns:///|ipv[46]:)?(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
"""Targets on this machine: a key may go there without TLS."""
_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED", "UNKNOWN")
# A watch hears something every five seconds.
_SILENCE_SECONDS, _PATIENCE_SECONDS, _FIRST_PAUSE, _LONGEST_PAUSE = 20.0, 300.0, 0.1, 5.0
_OPTIONS = (
    (
        "grpc.service_config",
        json.dumps(
            {
                "loadBalancingConfig": [{"round_robin": {}}],
                "methodConfig": [
                    {
                        "name": [{}],
                        "retryPolicy": {
                            "maxAttempts": 4,
                            "initialBackoff": "0.1s",
                            "maxBackoff": "2s",
                            "backoffMultiplier": 2,
                            # The same bytes are sent again, so the request_id is the same, too.
                            "retryableStatusCodes": ["UNAVAILABLE"],
                        },
                    }
                ],
            }
        ),
    ),
    # A server that starts again is found again within two seconds, not two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 64 << 20),
)


class DeskError(Exception):
    """A refused or failed call: `code` of gRPC, `reason` of the desk, `fields` with what is wrong in them."""

    def __init__(self, code: str, message: str, details: status_pb2.Status | None = None) -> None:
        super().__init__(f"{code}: {message}")
        info, bad, present = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), PresentState()
        for detail in details.details if details else ():
            any(detail.Unpack(each) for each in (info, bad, present))
        self.code = code
        self.message = message
        self.reason: str = info.reason
        self.metadata: dict[str, str] = dict(info.metadata)
        self.fields: dict[str, str] = {each.field: each.description for each in bad.field_violations}
        self.present = present


class StaleVersion(DeskError):
    """Somebody else wrote first; `present` says what is in force now."""


class Listing(Generic[I, P]):
    """What a list call finds: iterate over it, or over its pages for totals and other fields of the answers."""

    def __init__(self, call: "Call", request: Message, timeout: float) -> None:
        self._call = call
        self._request = request
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[I]:
        async for page in self.pages():
            for item in getattr(page, self._call.items):
                yield item

    async def pages(self) -> AsyncIterator[P]:
        """The answers, one a page."""
        request: Any = type(self._request)()
        request.CopyFrom(self._request)
        request.page_size = request.page_size or _PAGE
        while True:
            page = await self._call.once(request, self._timeout)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return


class Call:
    """One method of the contracts, ready to be called."""

    def __init__(self, channel: grpc.aio.Channel, method: MethodDescriptor, key: str, seconds: float) -> None:
        service = method.containing_service
        assert service is not None
        self.request_type = GetMessageClass(method.input_type)
        answer = GetMessageClass(method.output_type)
        kind = channel.unary_stream if method.server_streaming else channel.unary_unary
        self.path = f"/{service.full_name}/{method.name}"
        self._call: Any = kind(self.path, self.request_type.SerializeToString, answer.FromString)
        self._streams = method.server_streaming
        self._seconds = seconds
        self._metadata = (("authorization", f"Bearer {key}"),)
        asked, told = method.input_type.fields, method.output_type.fields
        names = [each.name for each in asked]
        self._first = next((each for each in asked if each.name not in BOOKKEEPING), None)
        self._once = "request_id" in names
        self._resumes = "cursor" in names
        self._only = told[0].name if len(told) == 1 else ""
        self._pages = "page_token" in names
        self.items = next((each.name for each in told if each.is_repeated), "")

    def __call__(self, *first: Any, timeout: float | None = None, **fields: Any) -> Any:
        """Await it for the answer, which is its field where it has only one; lists and streams are iterated over.

        `timeout` in seconds; streams have none. Raises DeskError, and ValueError or TypeError for fields that the
        request does not have.
        """
        request = self._request(first, fields)
        limit = self._seconds if timeout is None else timeout
        if self._streams:
            return self._watched(request)
        return Listing(self, request, limit) if self._pages else self._answer(request, limit)

    async def once(self, request: Message, timeout: float) -> Any:
        """The whole answer to a request. Raises DeskError."""
        try:
            return await self._call(request, timeout=timeout, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error

    def _request(self, first: tuple[Any, ...], fields: dict[str, Any]) -> Message:
        if self._once:
            fields.setdefault("request_id", uuid.uuid4().hex)
        if first and self._first and self._first.is_repeated:
            fields[self._first.name] = first
        elif len(first) == 1 and self._first:
            fields[self._first.name] = first[0]
        elif first:
            raise TypeError(f"{self.request_type.__name__} takes its fields by name")
        return self.request_type(**fields)

    async def _answer(self, request: Message, timeout: float) -> Any:
        answer = await self.once(request, timeout)
        return getattr(answer, self._only) if self._only else answer

    async def _watched(self, request: Any) -> AsyncIterator[Any]:
        """Answers of a stream; where it has cursors it goes on by itself when it breaks off.

        Then only the first answer and those with news are told: the first says that the watch has begun.
        """
        clock = asyncio.get_running_loop().time
        pause, heard, begun = _FIRST_PAUSE, clock(), False
        while True:
            try:
                async for answer in self._heard(request):
                    pause, heard = _FIRST_PAUSE, clock()
                    if self._resumes:
                        request.cursor = answer.cursor
                    if not (self._resumes and begun) or len(answer.ListFields()) > 1:
                        begun = True
                        yield answer
            except _Broken as broken:
                if clock() - heard > _PATIENCE_SECONDS:
                    raise broken.error from broken
            if not self._resumes:
                return
            # Watchers of a replica that went away do not all come back at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _heard(self, request: Any) -> AsyncIterator[Any]:
        """One connection's answers. Raises _Broken where another connection may do, DeskError."""
        call = self._call(request, metadata=self._metadata)
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS if self._resumes else None):
                    answer = await call.read()
                if answer is grpc.aio.EOF:
                    return
                yield answer
        except TimeoutError as error:
            raise _Broken(DeskError("UNAVAILABLE", f"silent for {_SILENCE_SECONDS:g} s")) from error
        except grpc.aio.AioRpcError as error:
            if self._resumes and error.code().name in _AGAIN:
                raise _Broken(_error(error)) from error
            raise _error(error) from error
        finally:
            call.cancel()


class _Broken(Exception):
    """The connection of a watch is gone."""

    def __init__(self, error: DeskError) -> None:
        super().__init__(str(error))
        self.error = error


class Methods:
    """The methods of a service of the desk, by their names in snake case."""

    def __init__(self, package: str, make: Callable[[MethodDescriptor], Call]) -> None:
        self._methods = {method.name: method for method in _methods(f"tickdesk.{package}.v1")}
        self._ends = ENDS if package == "tickets" else ()
        self._make = make

    def __getattr__(self, name: str) -> Call:
        words = "".join(part.capitalize() for part in name.split("_"))
        for full in (words + end for end in ("", *self._ends)):
            if full in self._methods and not name.startswith("_"):
                call = self._make(self._methods[full])
                setattr(self, name, call)
                return call
        raise AttributeError(f"no method {words} in the contracts")

    def __dir__(self) -> list[str]:
        return sorted("".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:] for name in self._methods)


class Desk:
    """A connection to a desk; use it as an async context manager.

    `target` is the address of tickets, host:port; `services` those of others ("sla", "intake", "notifier", "survey").
    `ca` is a PEM file with the authorities to trust, for those that gRPC knows. Without TLS it speaks to this machine,
    and to others only if `insecure`, as everybody on the way may then read the key. What is not given is read from
    TICKDESK_TARGET, TICKDESK_KEY, TICKDESK_CA, TICKDESK_INSECURE ("true") and TICKDESK_<SERVICE>_TARGET. `seconds` is
    the deadline of every call without its own.
    """

    tickets: "methods.Tickets"
    sla: "methods.Sla"
    intake: "methods.Intake"
    notifier: "methods.Notifier"
    survey: "methods.Survey"

    def __init__(
        self,
        target: str = "",
        *,
        key: str = "",
        ca: str | Path | None = None,
        insecure: bool = False,
        seconds: float = SECONDS,
        services: Mapping[str, str] | None = None,
    ) -> None:
        target = target or os.environ.get("TICKDESK_TARGET", "")
        if not target:
            raise ValueError("say where the desk is: Desk('host:port'), or TICKDESK_TARGET")
        self._targets = {"tickets": target, **_from_environment(), **(services or {})}
        # A key out of a file often ends with a newline, which no header may have.
        self._key = (key or os.environ.get("TICKDESK_KEY", "")).strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("the key has characters that no key has")
        self._ca = ca or os.environ.get("TICKDESK_CA", "")
        self._insecure = insecure or os.environ.get("TICKDESK_INSECURE", "") == "true"
        self._seconds = seconds
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> Self:
        for name, target in self._targets.items():
            self._channels[name] = channel = self._channel(target)
            setattr(self, name, Methods(name, self._calls(channel)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

    def _channel(self, target: str) -> grpc.aio.Channel:
        if not self._ca and (self._insecure or _HERE.fullmatch(target)):
            return grpc.aio.insecure_channel(target, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(Path(self._ca).read_bytes() if self._ca else None)
        return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)

    def _calls(self, channel: grpc.aio.Channel) -> Callable[[MethodDescriptor], Call]:
        return lambda method: Call(channel, method, self._key, self._seconds)


def _from_environment() -> dict[str, str]:
    names = {name: f"TICKDESK_{name.upper()}_TARGET" for name in ("sla", "intake", "notifier", "survey")}
    return {name: os.environ[variable] for name, variable in names.items() if variable in os.environ}


def _methods(package: str) -> list[MethodDescriptor]:
    """Every method of every service of a package of contracts."""
    folder = importlib.import_module(package)
    modules = [each.name for each in pkgutil.iter_modules(folder.__path__) if each.name.endswith("_service_pb2")]
    found = (importlib.import_module(f"{package}.{name}") for name in modules)
    services = [service for module in found for service in module.DESCRIPTOR.services_by_name.values()]
    return [method for service in services for method in service.methods]


def _error(error: grpc.aio.AioRpcError) -> DeskError:
    trailers = dict(error.trailing_metadata() or ())
    told = trailers.get(_DETAILS)
    details = status_pb2.Status.FromString(told) if isinstance(told, bytes) else None
    made = DeskError(error.code().name, error.details() or "", details)
    if made.reason == "STALE_VERSION":
        return StaleVersion(error.code().name, error.details() or "", details)
    return made
