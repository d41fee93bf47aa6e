"""A desk to test with: callers of every role, a stream to speak into, a watch, and builders."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import SecretStr

from chassis.bus import Bus, Outgoing, stream_of
from chassis.clock import utcnow, uuid7
from chassis.db import Database
from chassis.principal import Principal, current
from chassis.testing import EventWatch
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.tickets import v1 as contracts
from tickdesk.tickets.v1 import events_pb2, setup_pb2, stale_pb2, ticket_pb2, timeline_pb2
from tickdesk.tickets.v1 import tickets_service_pb2 as pb
from tickets.convert.tickets import from_agent, from_queue
from tickets.handlers.desk import put_agent, put_queue

ROLES = (
    "admin:demo",
    "lead:olga",
    "agent:anna",
    "agent:boris",
    "agent:dina",
    "service:sla-clock",
    "adapter:crm",
    "auditor:eve",
    "nobody",
)
EVENTS: tuple[type[Message], ...] = tuple(
    getattr(events_pb2, name) for name in events_pb2.DESCRIPTOR.message_types_by_name
)


def _methods() -> Iterator[tuple[str, MethodDescriptor]]:
    """Every method of every service of tickets, by its name, which no two share."""
    for found in pkgutil.iter_modules(contracts.__path__):
        if found.name.endswith("_service_pb2"):
            module = importlib.import_module(f"{contracts.__name__}.{found.name}")
            for service in module.DESCRIPTOR.services_by_name.values():
                yield from ((method.name, method) for method in service.methods)


METHODS = dict(_methods())


@dataclass(frozen=True)
class Refusal:
    """How a call failed."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str]
    fields: list[str]
    present: stale_pb2.PresentState


@dataclass
class Desk:
    """The service under test and everything around it."""

    bus: Bus
    db: Database
    watch: EventWatch
    connect: Callable[[str], Awaitable[grpc.aio.Channel]]
    url: str
    target: str
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    async def call(self, method: str, who: str = "agent:anna", **fields: Any) -> Any:
        """Call a method of any service by its name; a request_id is made unless one is given."""
        contract = METHODS[method]
        request, answer = GetMessageClass(contract.input_type), GetMessageClass(contract.output_type)
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            fields.setdefault("request_id", uuid4().hex)
        if who not in self.channels:
            self.channels[who] = await self.connect(who)
        path = f"/{contract.containing_service.full_name}/{method}"
        call = self.channels[who].unary_unary(path, request.SerializeToString, answer.FromString)
        return await call(request(**fields), timeout=10)

    async def refusal(self, method: str, who: str = "agent:anna", **fields: Any) -> Refusal:
        """The same, expected to be refused."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, who, **fields)
        status = rpc_status.from_call(caught.value)
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        present = stale_pb2.PresentState()
        for detail in status.details if status else ():
            assert any(detail.Unpack(each) for each in (info, bad, present)), detail.type_url
        return Refusal(
            code=caught.value.code(),
            reason=info.reason,
            message=caught.value.details() or "",
            metadata=dict(info.metadata),
            fields=[each.field for each in bad.field_violations],
            present=present,
        )

    async def tell(self, *told: Message, key: str = "k", event_id: str = "") -> None:
        """Publish events of other services, in this order."""
        for event in told:
            name = event.DESCRIPTOR.full_name
            await self.bus.ensure_stream(stream_of(name))
            out = Outgoing(name, event.SerializeToString(), event_id or str(uuid4()), key, utcnow(), {})
            for ack in await self.bus.publish([out]):
                assert not isinstance(ack, Exception), ack

    async def create(self, **fields: Any) -> ticket_pb2.Ticket:
        """A ticket by CreateTicket."""
        request = {
            "queue": "SUP",
            "subject": "Printer on fire",
            "text": "It burns.",
            "contact": a_contact(),
            "who": "service:sla-clock",
            **fields,
        }
        answer: pb.CreateTicketResponse = await self.call("CreateTicket", **request)
        return answer.ticket

    async def receive(self, **fields: Any) -> ticket_pb2.Ticket:
        """A ticket by a message of intake."""
        message = an_inbound(**fields)
        await self.tell(intake_events.MessageReceived(message=message), key=message.conversation_id)
        opened: events_pb2.TicketOpened = await self.watch.next(events_pb2.TicketOpened)
        return opened.ticket

    async def ticket(self, ticket_id: str) -> ticket_pb2.Ticket:
        """How it is now."""
        answer: pb.GetTicketResponse = await self.call("GetTicket", ticket=ticket_id)
        return answer.ticket

    async def messages(self, ticket_id: str) -> list[ticket_pb2.TicketMessage]:
        """All its messages and notes."""
        return list((await self.call("ListTicketMessages", ticket=ticket_id, page_size=200)).messages)

    async def escalated(self, **fields: Any) -> ticket_pb2.Ticket:
        """A ticket that anna took and handed to the second line."""
        ticket = await self.create(**fields)
        await self.call("TakeTicket", ticket=ticket.id)
        answer: pb.EscalateTicketResponse = await self.call("EscalateTicket", ticket=ticket.id, reason=1)
        return answer.ticket


async def set_up(desk: Desk, queue: str = "SUP", **parts: Any) -> setup_pb2.Setup:
    """Put parts of a setup, as its document has them, in the place of those in force."""
    setup = (await desk.call("GetSetup", queue=queue)).setup
    for name in parts:
        setup.ClearField(name)
    ParseDict(parts, setup)
    found: setup_pb2.Setup = (await desk.call("PutSetup", "admin:demo", setup=setup)).setup
    return found


def a_contact(address: str = "client@client.example", channel_: int = common.CHANNEL_EMAIL) -> Any:
    return ticket_pb2.Contact(channel=channel_, address=address)  # type: ignore[arg-type]


def an_inbound(**fields: Any) -> intake.InboundMessage:
    message = intake.InboundMessage(
        id=str(uuid7()),
        channel=common.CHANNEL_EMAIL,
        account="help@desk.example",
        conversation_id=uuid4().hex[:16],
        conversation_started=True,
        sender=intake.Party(address="client@client.example", name="Kim Client"),
        subject="Printer on fire",
        text="It burns.\n> quoted",
        reply_text="It burns.",
        author_kind=intake.AUTHOR_KIND_PERSON,
        language="en",
    )
    message.received_time.FromDatetime(utcnow())
    message.MergeFrom(intake.InboundMessage(**fields))
    return message


def kinds(ticket: ticket_pb2.Ticket) -> list[str]:
    """Kinds of the facts of a ticket, in order."""
    return [fact.WhichOneof("kind") or "" for fact in ticket.timeline.facts]


QUEUE = ticket_pb2.Queue(key="SUP", name="Support", addresses=["help@desk.example"])
AGENTS = (
    ticket_pb2.Agent(id="anna", name="Anna", lines=[common.LINE_L1], active=True),
    ticket_pb2.Agent(id="boris", name="Boris", lines=[common.LINE_L1], active=True),
    ticket_pb2.Agent(id="dina", name="Dina", lines=[common.LINE_L2, common.LINE_L3], active=True),
    ticket_pb2.Agent(id="olga", name="Olga", leads=[common.LINE_L1], active=True),
)


async def furnish(desk: Desk) -> None:
    """Put the queue and the agents."""
    await desk.call("PutQueue", "admin:demo", queue=QUEUE)
    for agent in AGENTS:
        await desk.call("PutAgent", "admin:demo", agent=agent)


async def furnish_database(url: str) -> None:
    """The same where no service runs yet: it will tell of them when it starts."""
    current.set(Principal.of("admin:demo"))
    async with Database(SecretStr(url), "tickets") as db, db.tx() as tx:
        await put_queue(tx, from_queue(QUEUE))
        for agent in AGENTS:
            await put_agent(tx, from_agent(agent))


# What each command on a ticket needs beside the ticket.
COMMANDS: dict[str, dict[str, Any]] = {
    "TakeTicket": {},
    "AssignTicket": {"assignee": "boris"},
    "ReplyToTicket": {"text": "Hello"},
    "AddNote": {"text": "Odd"},
    "ChangeTicketStatus": {"status": "waiting"},
    "UpdateTicket": {"category": "tech/printer", "add_tags": ["fire"]},
    "PrioritizeTicket": {"priority": common.PRIORITY_HIGH},
    "EscalateTicket": {"reason": timeline_pb2.ESCALATION_REASON_BY_AGENT},
    "ResolveTicket": {"text": "Done"},
    "CloseTicket": {},
    "ReopenTicket": {},
}
