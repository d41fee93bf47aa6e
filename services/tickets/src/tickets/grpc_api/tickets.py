"""Tickets over gRPC: one method per RPC."""

from datetime import datetime
from typing import Any

from chassis.db import Database, Tx, claiming
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import tickets_service_pb2 as pb
from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceServicer
from tickets.convert import tickets as convert
from tickets.convert.attributes import from_change
from tickets.convert.fields import from_values
from tickets.domain import rules
from tickets.domain.escalation import Step
from tickets.domain.letters import Letter
from tickets.domain.model import Line, Priority, Reason, Ticket, TicketType, Tier
from tickets.domain.opening import Opening
from tickets.grpc_api import calls
from tickets.handlers import attributes, customers, desk, escalation, work
from tickets.handlers.change import Caller, Target
from tickets.store import desk as desk_store
from tickets.store import lists
from tickets.store import tickets as store

SERVICE = pb.DESCRIPTOR.services_by_name["TicketService"]

_VERSIONS = 1000


class TicketApi(TicketServiceServicer):
    """Serves tickdesk.tickets.v1.TicketService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def CreateTicket(self, request: pb.CreateTicketRequest, context: Any) -> pb.CreateTicketResponse:
        """Opens a ticket."""

        async def create(tx: Tx) -> pb.CreateTicketResponse:
            ticket = await desk.create_ticket(
                tx, calls.caller(), _opening(request, tx.now), request.parent_ticket
            )
            return pb.CreateTicketResponse(ticket=convert.to_ticket(ticket))

        return await calls.write(self._db, request, pb.CreateTicketResponse, create, claiming)

    async def GetTicket(self, request: pb.GetTicketRequest, context: Any) -> pb.GetTicketResponse:
        """One ticket."""
        async with self._db.tx() as tx:
            ticket = await store.load_ticket(tx, request.ticket)
        return pb.GetTicketResponse(ticket=convert.to_ticket(ticket))

    async def ListTickets(self, request: pb.ListTicketsRequest, context: Any) -> pb.ListTicketsResponse:
        """A page of tickets."""
        async with self._db.tx() as tx:
            found = await lists.list_tickets(tx, _filter(request), calls.page(request))
        tickets = [convert.to_ticket(each) for each in found.items]
        return pb.ListTicketsResponse(
            tickets=tickets, next_page_token=found.next_token, total_size=found.total
        )

    async def ListTicketVersions(
        self, request: pb.ListTicketVersionsRequest, context: Any
    ) -> pb.ListTicketVersionsResponse:
        """A page of ids and versions."""
        page = lists.Page(request.page_size or _VERSIONS, request.page_token)
        async with self._db.tx() as tx:
            found = await lists.list_versions(tx, page)
        versions = [pb.TicketVersion(ticket_id=each, version=version) for each, version in found.items]
        return pb.ListTicketVersionsResponse(versions=versions, next_page_token=found.next_token)

    async def ListTicketMessages(
        self, request: pb.ListTicketMessagesRequest, context: Any
    ) -> pb.ListTicketMessagesResponse:
        """A page of messages and notes."""
        async with self._db.tx() as tx:
            ticket_id = await store.find_id(tx, request.ticket)
            found = await lists.list_messages(tx, ticket_id, calls.page(request))
        messages = [convert.to_message(each) for each in found.items]
        return pb.ListTicketMessagesResponse(messages=messages, next_page_token=found.next_token)

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Any) -> pb.GetCustomerResponse:
        """One customer and how much they asked."""
        async with self._db.tx() as tx:
            customer = await desk_store.load_customer(tx, request.customer_id)
            total, running = await desk_store.count_tickets(tx, customer.id)
        found = convert.to_customer(customer)
        return pb.GetCustomerResponse(customer=found, ticket_count=total, open_count=running)

    async def UpdateCustomer(
        self, request: pb.UpdateCustomerRequest, context: Any
    ) -> pb.UpdateCustomerResponse:
        """Changes what is known of a customer."""

        async def update(tx: Tx) -> pb.UpdateCustomerResponse:
            change = _customer_change(request)
            customer = await customers.update_customer(tx, calls.caller(), request.customer_id, change)
            return pb.UpdateCustomerResponse(customer=convert.to_customer(customer))

        return await calls.write(self._db, request, pb.UpdateCustomerResponse, update)

    async def TakeTicket(self, request: pb.TakeTicketRequest, context: Any) -> pb.TakeTicketResponse:
        """Makes the agent responsible."""
        return await calls.change(self._db, request, pb.TakeTicketResponse, work.take_ticket)

    async def AssignTicket(self, request: pb.AssignTicketRequest, context: Any) -> pb.AssignTicketResponse:
        """Gives the ticket to somebody or back."""

        async def assign(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await work.assign_ticket(tx, caller, target, request.assignee)

        return await calls.change(self._db, request, pb.AssignTicketResponse, assign)

    async def ReplyToTicket(self, request: pb.ReplyToTicketRequest, context: Any) -> pb.ReplyToTicketResponse:
        """Writes to the customer."""

        async def reply(tx: Tx) -> pb.ReplyToTicketResponse:
            caller, target = calls.caller(request.agent_id), calls.target(request)
            ticket, message = await work.reply(tx, caller, target, _letter(request), request.status)
            message_pb = convert.to_message(message)
            return pb.ReplyToTicketResponse(ticket=convert.to_ticket(ticket), message=message_pb)

        return await calls.write(self._db, request, pb.ReplyToTicketResponse, reply)

    async def AddNote(self, request: pb.AddNoteRequest, context: Any) -> pb.AddNoteResponse:
        """Adds an internal note."""

        async def note(tx: Tx) -> pb.AddNoteResponse:
            text = calls.text(request.text)
            caller, target = calls.caller(request.agent_id), calls.target(request)
            files = list(request.attachment_ids)
            ticket, message = await work.add_note(tx, caller, target, text, files)
            message_pb = convert.to_message(message)
            return pb.AddNoteResponse(ticket=convert.to_ticket(ticket), message=message_pb)

        return await calls.write(self._db, request, pb.AddNoteResponse, note)

    async def ChangeTicketStatus(
        self, request: pb.ChangeTicketStatusRequest, context: Any
    ) -> pb.ChangeTicketStatusResponse:
        """Moves the ticket by hand."""

        async def move(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await work.change_status(tx, caller, target, request.status)

        return await calls.change(self._db, request, pb.ChangeTicketStatusResponse, move)

    async def UpdateTicket(self, request: pb.UpdateTicketRequest, context: Any) -> pb.UpdateTicketResponse:
        """Changes what is known of the ticket."""

        async def update(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await attributes.update_ticket(tx, caller, target, from_change(request))

        return await calls.change(self._db, request, pb.UpdateTicketResponse, update)

    async def PrioritizeTicket(
        self, request: pb.PrioritizeTicketRequest, context: Any
    ) -> pb.PrioritizeTicketResponse:
        """Changes the priority."""

        async def prioritize(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await work.prioritize(tx, caller, target, Priority(request.priority))

        return await calls.change(self._db, request, pb.PrioritizeTicketResponse, prioritize)

    async def EscalateTicket(
        self, request: pb.EscalateTicketRequest, context: Any
    ) -> pb.EscalateTicketResponse:
        """Hands the ticket to the next line."""

        async def escalate(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await escalation.escalate(tx, caller, target, _step(request))

        return await calls.change(self._db, request, pb.EscalateTicketResponse, escalate)

    async def ResolveTicket(self, request: pb.ResolveTicketRequest, context: Any) -> pb.ResolveTicketResponse:
        """Marks it solved."""

        async def resolve(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await work.resolve(tx, caller, target, calls.text(request.text))

        return await calls.change(self._db, request, pb.ResolveTicketResponse, resolve)

    async def CloseTicket(self, request: pb.CloseTicketRequest, context: Any) -> pb.CloseTicketResponse:
        """Closes it."""

        async def close(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await work.close(tx, caller, target, confirmed=request.confirmed)

        return await calls.change(self._db, request, pb.CloseTicketResponse, close)

    async def ReopenTicket(self, request: pb.ReopenTicketRequest, context: Any) -> pb.ReopenTicketResponse:
        """Opens it again."""
        return await calls.change(self._db, request, pb.ReopenTicketResponse, work.reopen)

    async def PutQueue(self, request: pb.PutQueueRequest, context: Any) -> pb.PutQueueResponse:
        """Creates or replaces a queue."""

        async def put(tx: Tx) -> pb.PutQueueResponse:
            queue = await desk.put_queue(tx, convert.from_queue(request.queue))
            return pb.PutQueueResponse(queue=convert.to_queue(queue))

        return await calls.write(self._db, request, pb.PutQueueResponse, put)

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Any) -> pb.ListQueuesResponse:
        """A page of queues."""
        async with self._db.tx() as tx:
            found = await lists.list_queues(tx, calls.page(request))
        queues = [convert.to_queue(each) for each in found.items]
        return pb.ListQueuesResponse(queues=queues, next_page_token=found.next_token)

    async def PutAgent(self, request: pb.PutAgentRequest, context: Any) -> pb.PutAgentResponse:
        """Creates or replaces an agent."""

        async def put(tx: Tx) -> pb.PutAgentResponse:
            agent = await desk.put_agent(tx, convert.from_agent(request.agent))
            return pb.PutAgentResponse(agent=convert.to_agent(agent))

        return await calls.write(self._db, request, pb.PutAgentResponse, put)

    async def ListAgents(self, request: pb.ListAgentsRequest, context: Any) -> pb.ListAgentsResponse:
        """A page of agents."""
        async with self._db.tx() as tx:
            found = await lists.list_agents(tx, calls.page(request))
        agents = [convert.to_agent(each) for each in found.items]
        return pb.ListAgentsResponse(agents=agents, next_page_token=found.next_token)


def _opening(request: pb.CreateTicketRequest, now: datetime) -> Opening:
    if request.contact.channel not in common_pb2.Channel.values()[1:]:
        raise calls.bad("contact.channel", "must be a channel of the contract")
    return Opening(
        queue=request.queue,
        sender=rules.contact(request.contact.channel, request.contact.address),
        sender_name=request.customer_name,
        subject=request.subject,
        text=calls.text(request.text),
        at=now,
        template=request.template,
        type=TicketType(request.type) if request.type else None,
        priority=Priority(request.priority) if request.priority else None,
        category=request.category,
        component=request.component,
        edition=request.edition,
        customer_number=request.customer_number,
        tags=list(dict.fromkeys(request.tags)),
        fields=from_values(request.fields),
        origin=request.origin,
        asked=True,
    )


def _letter(request: pb.ReplyToTicketRequest) -> Letter:
    return Letter(
        text=calls.text(request.text),
        to=request.to,
        cc=tuple(request.cc),
        subject=request.subject,
        attachment_ids=tuple(request.attachment_ids),
    )


def _filter(request: pb.ListTicketsRequest) -> lists.Filter:
    return lists.Filter(
        queue=request.queue,
        status_kinds=tuple(sorted(set(request.status_kinds))),
        assignee=request.assignee,
        unassigned=request.unassigned,
        line=request.line,
        customer_id=calls.uuid("customer_id", request.customer_id),
        created_after=calls.since(request.created_after),
        updated_after=calls.since(request.updated_after),
        account_manager=request.account_manager,
    )


def _customer_change(request: pb.UpdateCustomerRequest) -> customers.CustomerChange:
    return customers.CustomerChange(
        name=request.name,
        tier=Tier(request.tier) if request.tier else None,
        timezone=request.timezone,
        language=request.language,
        number=request.add_number,
        organisation=request.organisation,
    )


def _step(request: pb.EscalateTicketRequest) -> Step:
    return Step(
        Reason(request.reason),
        to_line=Line(request.to_line) if request.to_line else None,
        management=request.management,
        form=convert.from_form(request.form),
        stay=request.stay,
        criterion=request.criterion,
    )
