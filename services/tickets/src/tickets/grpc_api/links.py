"""Links, merging, moving and wishes over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import links_service_pb2 as pb
from tickdesk.tickets.v1.links_service_pb2_grpc import LinkServiceServicer
from tickets.convert import links as convert
from tickets.convert.tickets import to_ticket
from tickets.domain.links import LinkKind, TaskState
from tickets.domain.model import Ticket
from tickets.grpc_api import calls
from tickets.handlers import links, merging, moving, wishes
from tickets.handlers.change import Caller, Target
from tickets.store import links as store
from tickets.store import lists
from tickets.store import tickets as tickets_store
from tickets.store import wishes as wishes_store

SERVICE = pb.DESCRIPTOR.services_by_name["LinkService"]


class LinkApi(LinkServiceServicer):
    """Serves tickdesk.tickets.v1.LinkService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def LinkTickets(self, request: pb.LinkTicketsRequest, context: Any) -> pb.LinkTicketsResponse:
        """Links two tickets."""

        async def link(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await links.link(tx, caller, target, request.other, LinkKind(request.kind))

        return await calls.change(self._db, request, pb.LinkTicketsResponse, link)

    async def UnlinkTickets(self, request: pb.UnlinkTicketsRequest, context: Any) -> pb.UnlinkTicketsResponse:
        """Takes a link away."""

        async def unlink(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await links.unlink(tx, caller, target, request.other, LinkKind(request.kind))

        return await calls.change(self._db, request, pb.UnlinkTicketsResponse, unlink)

    async def ListLinks(self, request: pb.ListLinksRequest, context: Any) -> pb.ListLinksResponse:
        """A page of links."""
        async with self._db.tx() as tx:
            ticket = await tickets_store.load_ticket(tx, request.ticket)
            found = await store.links(tx, ticket.id)
        page = lists.sliced(found, calls.page(request), ("links", ticket.id))
        told = [convert.to_link(each) for each in page.items]
        return pb.ListLinksResponse(links=told, next_page_token=page.next_token)

    async def PutExternalLink(
        self, request: pb.PutExternalLinkRequest, context: Any
    ) -> pb.PutExternalLinkResponse:
        """Adds or changes a page or task."""

        async def put(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await links.put_external(tx, caller, target, convert.from_external(request, tx.now))

        return await calls.change(self._db, request, pb.PutExternalLinkResponse, put)

    async def RemoveExternalLink(
        self, request: pb.RemoveExternalLinkRequest, context: Any
    ) -> pb.RemoveExternalLinkResponse:
        """Takes a page or task away."""

        async def remove(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await links.remove_external(tx, caller, target, request.url)

        return await calls.change(self._db, request, pb.RemoveExternalLinkResponse, remove)

    async def ListExternalLinks(
        self, request: pb.ListExternalLinksRequest, context: Any
    ) -> pb.ListExternalLinksResponse:
        """A page of pages and tasks."""
        async with self._db.tx() as tx:
            ticket = await tickets_store.load_ticket(tx, request.ticket)
            found = await store.externals(tx, ticket.id)
        page = lists.sliced(found, calls.page(request), ("external links", ticket.id))
        told = [convert.to_external(each) for each in page.items]
        return pb.ListExternalLinksResponse(links=told, next_page_token=page.next_token)

    async def SetTaskState(self, request: pb.SetTaskStateRequest, context: Any) -> pb.SetTaskStateResponse:
        """Tells how far a task is."""

        async def tell(tx: Tx) -> pb.SetTaskStateResponse:
            state = TaskState(request.state)
            waiting, resolved = await links.set_task_state(tx, calls.caller(), request.url, state)
            return pb.SetTaskStateResponse(tickets=waiting, resolved=resolved)

        return await calls.write(self._db, request, pb.SetTaskStateResponse, tell)

    async def MergeTickets(self, request: pb.MergeTicketsRequest, context: Any) -> pb.MergeTicketsResponse:
        """Puts a ticket into another."""

        async def merge(tx: Tx) -> pb.MergeTicketsResponse:
            caller, target = calls.caller(request.agent_id), calls.target(request)
            into, merged = await merging.merge(tx, caller, target, request.into)
            return pb.MergeTicketsResponse(ticket=to_ticket(into), merged=to_ticket(merged))

        return await calls.write(self._db, request, pb.MergeTicketsResponse, merge)

    async def SplitTicket(self, request: pb.SplitTicketRequest, context: Any) -> pb.SplitTicketResponse:
        """Makes a ticket of some messages."""

        async def split(tx: Tx) -> pb.SplitTicketResponse:
            caller, target = calls.caller(request.agent_id), calls.target(request)
            chosen = [each.lower() for each in request.message_ids]
            ticket, created = await merging.split(tx, caller, target, chosen, request.subject)
            return pb.SplitTicketResponse(ticket=to_ticket(ticket), created=to_ticket(created))

        return await calls.write(self._db, request, pb.SplitTicketResponse, split)

    async def MoveTicket(self, request: pb.MoveTicketRequest, context: Any) -> pb.MoveTicketResponse:
        """Moves a ticket to another queue."""

        async def move(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await moving.move(tx, caller, target, request.queue)

        return await calls.change(self._db, request, pb.MoveTicketResponse, move)

    async def VoteForWish(self, request: pb.VoteForWishRequest, context: Any) -> pb.VoteForWishResponse:
        """Counts who wants it."""

        async def vote(tx: Tx) -> pb.VoteForWishResponse:
            wish = await wishes.vote(tx, request.ticket, calls.contact(request.contact))
            return pb.VoteForWishResponse(wish=convert.to_wish(wish))

        return await calls.write(self._db, request, pb.VoteForWishResponse, vote)

    async def UnvoteWish(self, request: pb.UnvoteWishRequest, context: Any) -> pb.UnvoteWishResponse:
        """Counts them no more."""

        async def unvote(tx: Tx) -> pb.UnvoteWishResponse:
            wish = await wishes.unvote(tx, request.ticket, calls.contact(request.contact))
            return pb.UnvoteWishResponse(wish=convert.to_wish(wish))

        return await calls.write(self._db, request, pb.UnvoteWishResponse, unvote)

    async def ListWishes(self, request: pb.ListWishesRequest, context: Any) -> pb.ListWishesResponse:
        """A page of wishes."""
        async with self._db.tx() as tx:
            page = await wishes_store.list_wishes(tx, request.queue, calls.page(request))
        told = [convert.to_wish(each) for each in page.items]
        return pb.ListWishesResponse(wishes=told, next_page_token=page.next_token)
