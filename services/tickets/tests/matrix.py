"""What the matrix of access asks: every method with arguments that its contract accepts.

Methods are found in the contracts and their arguments made of its validation rules, so a new method is asked
without a line here. Where the rules do not say enough, it needs one in ARGUMENTS.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from protovalidate import Validator

from buf.validate import validate_pb2
from services.tickets.tests.builders import COMMANDS, METHODS, Desk, a_contact
from tickdesk.common.v1 import access_pb2
from tickdesk.tickets.v1 import reports_service_pb2, ticket_pb2
from tickdesk.tickets.v1.bulk_pb2 import BulkAction, BulkNote
from tickdesk.tickets.v1.bulk_service_pb2 import TicketReferences

_validator = Validator()
_SAMPLES = ("sample", "SAMPLE", "a", "A1", "0", "1", "2026-11-22", "a@b.example")
_NUMBERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)


@dataclass(frozen=True)
class Scene:
    """What requests are about: a ticket, its queue, and another ticket of it."""

    ticket: ticket_pb2.Ticket
    other: ticket_pb2.Ticket

    @property
    def known(self) -> Mapping[str, str]:
        """Values by the name of the field that takes them."""
        return {
            "request_id": uuid4().hex,
            "ticket": self.ticket.id,
            "other": self.other.id,
            "into": self.other.id,
            "queue": self.ticket.queue,
            "customer_id": self.ticket.customer.id,
        }


_REPORT: dict[str, Any] = {
    "first_day": "2026-11-01",
    "last_day": "2026-11-30",
    "metrics": ["created", "backlog"],
    "group_by": ["category", "operator"],
}
ARGUMENTS: dict[str, Callable[[Scene], dict[str, Any]]] = {
    # One line for a method whose contract's rules do not say what it needs.
    **{name: lambda _, fields=fields: fields for name, fields in COMMANDS.items()},  # type: ignore[misc]
    "CreateTicket": lambda _: {"contact": a_contact()},
    "AddContact": lambda _: {"contact": a_contact("second@client.example")},
    "RemoveContact": lambda _: {"contact": a_contact()},
    # Shared with a queue it would ask for its rights, which tests of filters do.
    "PutFilter": lambda _: {"queue": ""},
    "PutExternalLink": lambda _: {"url": "http://127.0.0.1/task"},
    "VoteForWish": lambda _: {"contact": a_contact()},
    "UnvoteWish": lambda _: {"contact": a_contact()},
    "StartBulk": lambda scene: {
        "list": TicketReferences(tickets=[scene.ticket.key]),
        "action": BulkAction(note=BulkNote(text="Odd")),
    },
    "PutQueue": lambda scene: {"queue": ticket_pb2.Queue(key=scene.ticket.queue, name="Support")},
    "GetReport": lambda _: _REPORT,
    "ExportReport": lambda _: {"report": reports_service_pb2.GetReportRequest(**_REPORT)},
    "PutAgent": lambda _: {"agent": ticket_pb2.Agent(id="newcomer", name="New", active=True)},
}


ELSEWHERE = ("ReportMissingArticle", "SaveDraft", "DeleteDraft")
"""Methods that name a ticket and change something else: whoever sees the ticket may call them."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: code, reason and everything that came back."""

    code: str
    reason: str
    told: bytes


def request_of(method: MethodDescriptor, scene: Scene) -> Message:
    """A request that the contract accepts."""
    given = ARGUMENTS[method.name](scene) if method.name in ARGUMENTS else {}
    request = _filled(method.input_type, scene.known, given)
    wrong = [f"{one.proto.field}: {one.proto.message}" for one in _validator.collect_violations(request)]
    assert not wrong, f"give {method.name} a line in ARGUMENTS of {__name__}: {wrong}"
    return request


def roles_of(method: MethodDescriptor) -> set[str]:
    """Roles that the contract lets call it."""
    numbers = method.GetOptions().Extensions[access_pb2.access].roles
    return {access_pb2.Role.Name(each).removeprefix("ROLE_").lower() for each in numbers}


def changes(method: MethodDescriptor) -> bool:
    """Whether it changes something: what changes has a request_id."""
    return "request_id" in method.input_type.fields_by_name


async def served(desk: Desk) -> list[MethodDescriptor]:
    """Every method of every service that the port has; a contract may be ahead of its service."""
    desk.channels.setdefault("nobody", await desk.connect("nobody"))
    stub, known = health_pb2_grpc.HealthStub(desk.channels["nobody"]), set()
    for name in {method.containing_service.full_name for method in METHODS.values()}:
        call = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        if await call.code() == grpc.StatusCode.OK:
            known.add(name)
    return [method for method in METHODS.values() if method.containing_service.full_name in known]


async def ask(desk: Desk, who: str, method: MethodDescriptor, request: Message) -> Outcome:
    """Call it and keep all that was said; of a stream what comes at once."""
    if who not in desk.channels:
        desk.channels[who] = await desk.connect(who)
    service = method.containing_service
    assert service is not None
    path, told = f"/{service.full_name}/{method.name}", bytearray()
    answer = GetMessageClass(method.output_type).FromString
    try:
        if method.server_streaming:
            stream = desk.channels[who].unary_stream(path, type(request).SerializeToString, answer)
            await _hear(stream(request, timeout=10), told)
        else:
            unary = desk.channels[who].unary_unary(path, type(request).SerializeToString, answer)
            told += (await unary(request, timeout=10)).SerializeToString()
    except grpc.aio.AioRpcError as error:
        status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
        for detail in status.details if status else ():
            detail.Unpack(info)
        return Outcome(error.code().name, info.reason, bytes(told) + repr(status).encode())
    return Outcome("OK", "", bytes(told))


async def _hear(call: Any, told: bytearray) -> None:
    """All that a stream says; of one that goes on, what it began with."""
    while True:
        try:
            answer = await asyncio.wait_for(call.read(), 1 if told else 10)
        except TimeoutError:
            call.cancel()
            return
        if answer is grpc.aio.EOF:
            return
        told += answer.SerializeToString()


def _filled(kind: Any, known: Mapping[str, Any], given: Mapping[str, Any]) -> Message:
    message: Message = GetMessageClass(kind)()
    for name, value in given.items():
        message.MergeFrom(type(message)(**{name: value}))
    for field in kind.fields:
        if field.name not in given:
            _fill(message, field, known)
    return message


def _fill(message: Message, field: FieldDescriptor, known: Mapping[str, Any]) -> None:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        for _ in range(rules.repeated.min_items):
            _add(getattr(message, field.name), field, rules.repeated.items, known)
    elif field.message_type is not None:
        if rules.required:
            getattr(message, field.name).CopyFrom(_filled(field.message_type, known, {}))
    else:
        setattr(message, field.name, known.get(field.name) or _scalar(field, rules))


def _add(items: Any, field: FieldDescriptor, rules: Any, known: Mapping[str, Any]) -> None:
    if field.message_type is not None:
        items.add().CopyFrom(_filled(field.message_type, known, {}))
    else:
        items.append(_scalar(field, rules))


def _scalar(field: FieldDescriptor, rules: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(rules.string)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return 1 if 0 in rules.enum.not_in else 0
    if field.cpp_type in _NUMBERS:
        bounds = rules.int32 if field.cpp_type == FieldDescriptor.CPPTYPE_INT32 else rules.int64
        return max(bounds.gte, bounds.gt + 1 if bounds.HasField("gt") else 0)
    return field.default_value


def _text(rules: Any) -> str:
    """A text that the rules take, if one is easily found."""
    if rules.uuid:
        return str(uuid4())
    if choices := getattr(rules, "in"):
        return str(choices[-1])
    if rules.pattern:
        fits = (each for each in _SAMPLES if re.search(rules.pattern, each))
        return "" if re.search(rules.pattern, "") else next(fits, "")
    return "x" * int(rules.min_len)
