"""The server interceptor: who calls, is the request sound, how long may it run, what went wrong."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram
from protovalidate import Validator

from chassis import telemetry
from chassis.errors import Denied, DeskError, InvalidInput, Unavailable, Violation
from chassis.identity import Identity
from chassis.principal import Principal, asked, current

log = telemetry.logger(__name__)

HANDLED = Counter(
    "grpc_server_handled_total", "Calls finished.", ["grpc_service", "grpc_method", "grpc_code"]
)
SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time from receiving a call to finishing it.",
    ["grpc_service", "grpc_method"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

Roles = Mapping[str, frozenset[str]]
"""Which roles may call each method of a service."""

_ROLE, _READER = "ROLE_", "auditor"
_OPEN = "/grpc.health."
_DOMAIN = "tickdesk"
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
# An error travels in headers, of which a client takes 8 KiB; text that it repeats may be of any length.
_MESSAGE_BYTES, _FIELD_BYTES, _FIELDS = 800, 200, 8
_NUL = "must not contain NUL characters"
# A year is left free at the end, for zones and sums with durations.
_FIRST_SECOND, _LAST_SECOND = 0, int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) - 1
_validator = Validator()


def roles_of(service: ServiceDescriptor, rule: Any) -> Roles:
    """The roles that an option of the contract gives each method. Raises ValueError where it gives none."""
    names = rule.message_type.fields_by_name["roles"].enum_type.values_by_number
    table: dict[str, frozenset[str]] = {}
    for method in service.methods:
        numbers = method.GetOptions().Extensions[rule].roles
        table[method.name] = frozenset(names[each].name.removeprefix(_ROLE).lower() for each in numbers)
        if not table[method.name]:
            raise ValueError(f"{method.full_name} does not say who may call it: give it {rule.full_name}")
    return table


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method but health.

    `permitted` holds the roles by method of each service that has such a table; a method that its table
    leaves out is refused to everybody.
    """

    def __init__(self, identity: Identity, call_seconds: float) -> None:
        self._identity = identity
        self._call_seconds = call_seconds
        self.permitted: dict[str, Roles] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Check who calls before the request is even parsed, then wrap the method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN):
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        admit = partial(self._admit, method, metadata.get("authorization", ""))
        try:
            caller = await admit()
        except DeskError as error:
            return _refusal(method, error)
        return _wrap(handler, _Call(method, caller, metadata, self._call_seconds), admit)

    async def _admit(self, method: str, header: str | bytes) -> Principal:
        caller = await self._identity.caller(header)
        _, service, name = method.split("/")
        roles = self.permitted.get(service)
        role = caller.principal.role
        if roles is not None and role not in roles.get(name, ()):
            raise Denied(f"{role or 'nobody'} may not call {name}", reason="ROLE_NOT_PERMITTED")
        # What only looks is what an auditor may do.
        if not caller.may(service, name, reads=roles is not None and _READER in roles.get(name, ())):
            raise Denied(f"the key has no scope for {service}/{name}", reason="SCOPE_NOT_GRANTED")
        return caller.principal


class _Call:
    """One call: its context for logs and traces, its deadline, its outcome."""

    def __init__(
        self, method: str, caller: Principal, metadata: Mapping[str, Any], call_seconds: float
    ) -> None:
        self.method = method
        self._caller = caller
        self._metadata = metadata
        self._call_seconds = call_seconds

    @asynccontextmanager
    async def run(self, context: Any, *, bounded: bool) -> AsyncIterator[None]:
        """Prepare the call, time it, and turn what its handler raises into a status."""
        structlog.contextvars.bind_contextvars(method=self.method, principal=self._caller.name)
        current.set(self._caller)
        asked.set(self.method.lstrip("/"))
        headers = {key: value for key, value in self._metadata.items() if isinstance(value, str)}
        started, code = time.monotonic(), "OK"
        with telemetry.tracer.start_as_current_span(
            self.method.lstrip("/"), context=telemetry.extract(headers), kind=SpanKind.SERVER
        ):
            try:
                async with self._deadline(context, bounded=bounded):
                    yield
            except grpc.aio.AbortError:
                code = _aborted(context)
                raise
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status here
                status = to_status(error)
                code = code_pb2.Code.Name(status.code)
                await context.abort_with_status(rpc_status.to_status(status))
            finally:
                _measure(self.method, code, time.monotonic() - started)

    @asynccontextmanager
    async def _deadline(self, context: Any, *, bounded: bool) -> AsyncIterator[None]:
        left = context.time_remaining()
        if left is None:
            left = self._call_seconds if bounded else None
        elif left <= 0:
            raise _Late
        limit = asyncio.timeout(left)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise _Late from None
            raise


class _Late(DeskError):
    """The caller's time is over."""

    code = "DEADLINE_EXCEEDED"

    def __init__(self) -> None:
        super().__init__("the deadline of the call has passed")


def check_request(request: Message) -> None:
    """Refuse what no column holds (NUL characters, absurd times) and what the contract's rules forbid."""
    wrong = list(unstorable(request))
    if wrong:
        nul = any(one.description == _NUL for one in wrong)
        reason = "NUL_CHARACTER" if nul else InvalidInput.default_reason
        raise InvalidInput(_first(wrong), reason=reason, violations=wrong)
    found = _validator.collect_violations(request)
    if found:
        violations = [_violation(one.proto) for one in found]
        raise InvalidInput(_first(violations), violations=violations)


def unstorable(message: Message, path: str = "") -> Iterator[Violation]:
    """Find every string field with a NUL character and every time that no calendar knows."""
    for field, value in message.ListFields():
        where = f"{path}{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from _bad_entries(field, value, where)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from _nul_texts(value, where)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in value if field.is_repeated else (value,):
                yield from _bad_part(item, where)


def _bad_part(part: Message, where: str) -> Iterator[Violation]:
    if isinstance(part, Timestamp):
        if not (_FIRST_SECOND <= part.seconds <= _LAST_SECOND and 0 <= part.nanos < 10**9):
            yield Violation(where, "must be a time of the years 1970 to 9998, with nanos of 0 to 999999999")
        return
    yield from unstorable(part, f"{where}.")


def _nul_texts(value: Any, where: str) -> Iterator[Violation]:
    texts: Iterable[str] = (value,) if isinstance(value, str) else value
    if any("\0" in text for text in texts):
        yield Violation(where, _NUL)


def _bad_entries(field: FieldDescriptor, entries: Any, where: str) -> Iterator[Violation]:
    assert field.message_type is not None
    kind = field.message_type.fields_by_name["value"].type
    for key, value in entries.items():
        if isinstance(key, str):
            yield from _nul_texts(key, where)
        if kind == FieldDescriptor.TYPE_STRING:
            yield from _nul_texts(value, where)
        elif kind == FieldDescriptor.TYPE_MESSAGE:
            yield from _bad_part(value, where)


def to_status(error: Exception) -> status_pb2.Status:
    """Turn an exception into a `google.rpc.Status`; an unexpected one tells the caller only an id."""
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in _AWAY:
        log.warning("another service is away", code=error.code().name, detail=error.details())
        error = Unavailable("another service does not answer, try again", reason="DEPENDENCY_UNAVAILABLE")
    if not isinstance(error, DeskError):
        return _internal(error)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=_DOMAIN, metadata=error.metadata)
    ]
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for one in error.violations[:_FIELDS]:
            text = _short(one.description, _FIELD_BYTES)
            bad.field_violations.add(field=_short(one.field, _FIELD_BYTES), description=text)
        details.append(bad)
    if error.present is not None:
        details.append(error.present)
    return _status(error.code, _short(error.message, _MESSAGE_BYTES), details)


def _short(text: str, limit: int) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= limit else data[: limit - 3].decode("utf-8", "ignore") + "..."


def _internal(error: Exception) -> status_pb2.Status:
    identity = secrets.token_hex(8)
    log.error("call failed", error_id=identity, exc_info=error)
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=_DOMAIN, metadata={"error_id": identity})
    return _status("INTERNAL", f"internal error {identity}", [info])


def _status(code: str, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _wrap(handler: Any, call: _Call, admit: Callable[[], Awaitable[Principal]]) -> Any:
    if handler.unary_unary:

        async def unary(raw: bytes, context: Any) -> Any:
            async with call.run(context, bounded=True):
                return await handler.unary_unary(_read(handler, raw), context)

        return grpc.unary_unary_rpc_method_handler(unary, None, handler.response_serializer)
    if handler.unary_stream:

        async def stream(raw: bytes, context: Any) -> AsyncIterator[Any]:
            async with (
                call.run(context, bounded=False),
                aclosing(handler.unary_stream(_read(handler, raw), context)) as responses,
            ):
                async for response in responses:
                    # A stream may outlive the key that opened it.
                    await admit()
                    yield response

        return grpc.unary_stream_rpc_method_handler(stream, None, handler.response_serializer)
    # Streams from the client: only reflection has them, and who calls has been checked.
    return handler


def _read(handler: Any, raw: bytes) -> Any:
    # Not left to the library, which answers UNKNOWN with the name of a Python class.
    try:
        request = handler.request_deserializer(raw)
    except DecodeError as error:
        raise InvalidInput("the request is not the message of this method", reason="UNDECODABLE") from error
    check_request(request)
    return request


def _refusal(method: str, error: DeskError) -> Any:
    async def refuse(_: bytes, context: Any) -> None:
        _measure(method, error.code, 0.0)
        await context.abort_with_status(rpc_status.to_status(to_status(error)))

    return grpc.unary_unary_rpc_method_handler(refuse)


def _aborted(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else code_pb2.Code.Name(code or 2)


def _measure(method: str, code: str, seconds: float) -> None:
    service, _, name = method.lstrip("/").partition("/")
    HANDLED.labels(service, name, code).inc()
    SECONDS.labels(service, name).observe(seconds)


def _violation(proto: Any) -> Violation:
    return Violation(_path(proto.field) if proto.field else "", proto.message or proto.rule_id)


def _path(field_path: Any) -> str:
    path = ""
    for element in field_path.elements:
        subscript = element.subscript
        path += ("." if path else "") + element.field_name + (f"[{subscript.value!r}]" if subscript else "")
    return path


def _first(violations: list[Violation]) -> str:
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return f"{violations[0].field}: {violations[0].description}{more}"
