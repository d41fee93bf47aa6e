"""Customers over gRPC: one method per RPC."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import customers_pb2
from tickdesk.tickets.v1 import customers_service_pb2 as pb
from tickdesk.tickets.v1.customers_service_pb2_grpc import CustomerServiceServicer
from tickets.convert import customers as convert
from tickets.convert.tickets import to_customer
from tickets.domain.model import Customer
from tickets.grpc_api import calls
from tickets.handlers import customer_merges as merging
from tickets.handlers import customers
from tickets.handlers.change import Caller
from tickets.store import customer_lists as lists
from tickets.store import customer_merges as merges
from tickets.store import customers as store
from tickets.store import tickets

R = TypeVar("R", bound=Message)
SERVICE = pb.DESCRIPTOR.services_by_name["CustomerService"]


class CustomerApi(CustomerServiceServicer):
    """Serves tickdesk.tickets.v1.CustomerService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def SearchCustomers(
        self, request: pb.SearchCustomersRequest, context: Any
    ) -> pb.SearchCustomersResponse:
        """A page of customers who are like it."""
        async with self._db.tx() as tx:
            found = await lists.search_customers(tx, request.text, calls.page(request))
        hits = [
            customers_pb2.CustomerHit(customer=to_customer(who), score=score) for who, score in found.items
        ]
        return pb.SearchCustomersResponse(hits=hits, next_page_token=found.next_token)

    async def AddContact(self, request: pb.AddContactRequest, context: Any) -> pb.AddContactResponse:
        """Adds an address."""
        contact = calls.contact(request.contact)
        return await self._change(request, pb.AddContactResponse, customers.add_contact, contact)

    async def RemoveContact(self, request: pb.RemoveContactRequest, context: Any) -> pb.RemoveContactResponse:
        """Takes an address away."""
        contact = calls.contact(request.contact)
        return await self._change(request, pb.RemoveContactResponse, customers.remove_contact, contact)

    async def AddNumber(self, request: pb.AddNumberRequest, context: Any) -> pb.AddNumberResponse:
        """Adds a customer number."""
        return await self._change(request, pb.AddNumberResponse, customers.add_number, request.number)

    async def RemoveNumber(self, request: pb.RemoveNumberRequest, context: Any) -> pb.RemoveNumberResponse:
        """Takes a customer number away."""
        return await self._change(request, pb.RemoveNumberResponse, customers.remove_number, request.number)

    async def JoinOrganisation(
        self, request: pb.JoinOrganisationRequest, context: Any
    ) -> pb.JoinOrganisationResponse:
        """Puts a customer into an organisation."""
        key = request.organisation
        return await self._change(request, pb.JoinOrganisationResponse, customers.join_organisation, key)

    async def SetAccountManager(
        self, request: pb.SetAccountManagerRequest, context: Any
    ) -> pb.SetAccountManagerResponse:
        """Says who keeps a customer."""
        agent = request.account_manager
        return await self._change(request, pb.SetAccountManagerResponse, customers.set_account_manager, agent)

    async def ListEarlierTickets(
        self, request: pb.ListEarlierTicketsRequest, context: Any
    ) -> pb.ListEarlierTicketsResponse:
        """A page of what the customer asked before."""
        async with self._db.tx() as tx:
            ticket = await tickets.load_ticket(tx, request.ticket)
            found = await lists.list_earlier(tx, ticket, calls.page(request))
        earlier = [convert.to_earlier(each) for each in found.items]
        return pb.ListEarlierTicketsResponse(tickets=earlier, next_page_token=found.next_token)

    async def PutOrganisation(
        self, request: pb.PutOrganisationRequest, context: Any
    ) -> pb.PutOrganisationResponse:
        """Creates or replaces an organisation."""

        async def put(tx: Tx) -> pb.PutOrganisationResponse:
            wanted = convert.from_organisation(request.organisation)
            kept = await customers.put_organisation(tx, calls.caller(), wanted)
            return pb.PutOrganisationResponse(organisation=convert.to_organisation(kept))

        return await calls.write(self._db, request, pb.PutOrganisationResponse, put)

    async def GetOrganisation(
        self, request: pb.GetOrganisationRequest, context: Any
    ) -> pb.GetOrganisationResponse:
        """One organisation."""
        async with self._db.tx() as tx:
            found = await store.load_organisation(tx, request.organisation)
            count = await store.count_customers(tx, found.key)
        return pb.GetOrganisationResponse(organisation=convert.to_organisation(found), customer_count=count)

    async def ListOrganisations(
        self, request: pb.ListOrganisationsRequest, context: Any
    ) -> pb.ListOrganisationsResponse:
        """A page of organisations."""
        async with self._db.tx() as tx:
            found = await store.list_organisations(tx, calls.page(request))
        organisations = [convert.to_organisation(each) for each in found.items]
        return pb.ListOrganisationsResponse(organisations=organisations, next_page_token=found.next_token)

    async def MergeCustomers(
        self, request: pb.MergeCustomersRequest, context: Any
    ) -> pb.MergeCustomersResponse:
        """Makes one customer of two."""

        async def merge(tx: Tx) -> pb.MergeCustomersResponse:
            source, target = request.source_id.lower(), request.target_id.lower()
            made, customer = await merging.merge_customers(tx, calls.caller(), source, target)
            return pb.MergeCustomersResponse(merge=convert.to_merge(made), customer=to_customer(customer))

        return await calls.write(self._db, request, pb.MergeCustomersResponse, merge)

    async def UndoMerge(self, request: pb.UndoMergeRequest, context: Any) -> pb.UndoMergeResponse:
        """Takes a merge back."""

        async def undo(tx: Tx) -> pb.UndoMergeResponse:
            undone = await merging.undo_merge(tx, calls.caller(), request.merge_id)
            return pb.UndoMergeResponse(merge=convert.to_merge(undone))

        return await calls.write(self._db, request, pb.UndoMergeResponse, undo)

    async def ListMerges(self, request: pb.ListMergesRequest, context: Any) -> pb.ListMergesResponse:
        """A page of merges."""
        async with self._db.tx() as tx:
            found = await merges.list_merges(tx, request.customer_id, calls.page(request))
        listed = [convert.to_merge(each) for each in found.items]
        return pb.ListMergesResponse(merges=listed, next_page_token=found.next_token)

    async def _change(
        self,
        request: Any,
        answer: Callable[..., R],
        do: Callable[[Tx, Caller, str, Any], Awaitable[Customer]],
        value: object,
    ) -> R:
        """A change of one customer whose answer is the customer."""

        async def work(tx: Tx) -> R:
            changed = await do(tx, calls.caller(), request.customer_id, value)
            return answer(customer=to_customer(changed))

        return await calls.write(self._db, request, answer, work)  # type: ignore[arg-type]
