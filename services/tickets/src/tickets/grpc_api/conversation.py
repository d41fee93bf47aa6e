"""Macros, drafts, followers and teams over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import conversation_service_pb2 as pb
from tickdesk.tickets.v1.conversation_service_pb2_grpc import ConversationServiceServicer
from tickets.convert import conversation as convert
from tickets.convert.macros import to_macro
from tickets.convert.tickets import to_message, to_ticket
from tickets.domain.drafts import Draft
from tickets.domain.model import Ticket
from tickets.grpc_api import calls
from tickets.handlers import conversation, macros
from tickets.handlers.change import Caller, Target
from tickets.handlers.macros import Use, Used
from tickets.store import desk, lists
from tickets.store import drafts as drafts_store
from tickets.store import teams as teams_store
from tickets.store import tickets as store

SERVICE = pb.DESCRIPTOR.services_by_name["ConversationService"]


class ConversationApi(ConversationServiceServicer):
    """Serves tickdesk.tickets.v1.ConversationService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def ListMacros(self, request: pb.ListMacrosRequest, context: Any) -> pb.ListMacrosResponse:
        """A page of macros."""
        async with self._db.tx() as tx:
            ticket = await store.load_ticket(tx, request.ticket)
            known = await macros.of_queue(tx, await desk.load_queue(tx, ticket.queue))
        found = [known[key] for key in sorted(known)]
        page = lists.sliced(found, calls.page(request), ("macros", ticket.queue))
        told = [to_macro(each) for each in page.items]
        return pb.ListMacrosResponse(macros=told, next_page_token=page.next_token)

    async def ApplyMacro(self, request: pb.ApplyMacroRequest, context: Any) -> pb.ApplyMacroResponse:
        """Shows or uses a macro."""
        use = Use(request.macro, calls.text(request.text))
        caller, target = calls.caller(request.agent_id), calls.target(request)
        if request.preview:
            async with self._db.tx() as tx:
                return _used(await macros.preview(tx, caller, target, use))

        async def apply(tx: Tx) -> pb.ApplyMacroResponse:
            return _used(await macros.apply(tx, caller, target, use))

        return await calls.write(self._db, request, pb.ApplyMacroResponse, apply)

    async def PrepareReply(self, request: pb.PrepareReplyRequest, context: Any) -> pb.PrepareReplyResponse:
        """How an answer would leave."""
        async with self._db.tx() as tx:
            ticket, envelope, account = await conversation.prepare_reply(tx, request.ticket)
        return pb.PrepareReplyResponse(envelope=convert.to_envelope(ticket, envelope, account))

    async def SaveDraft(self, request: pb.SaveDraftRequest, context: Any) -> pb.SaveDraftResponse:
        """Keeps what is written so far."""

        async def save(tx: Tx) -> pb.SaveDraftResponse:
            caller = calls.caller(request.agent_id)
            draft = await conversation.save_draft(tx, caller, request.ticket, _draft(request, tx))
            return pb.SaveDraftResponse(draft=convert.to_draft(draft, tx.now))

        return await calls.write(self._db, request, pb.SaveDraftResponse, save)

    async def DeleteDraft(self, request: pb.DeleteDraftRequest, context: Any) -> pb.DeleteDraftResponse:
        """Throws it away."""

        async def delete(tx: Tx) -> pb.DeleteDraftResponse:
            await conversation.delete_draft(tx, calls.caller(request.agent_id), request.ticket)
            return pb.DeleteDraftResponse()

        return await calls.write(self._db, request, pb.DeleteDraftResponse, delete)

    async def ListDrafts(self, request: pb.ListDraftsRequest, context: Any) -> pb.ListDraftsResponse:
        """A page of drafts."""
        async with self._db.tx() as tx:
            ticket_id = await store.find_id(tx, request.ticket)
            page = await drafts_store.list_drafts(tx, ticket_id, calls.page(request))
        found = [convert.to_draft(each, tx.now) for each in page.items]
        return pb.ListDraftsResponse(drafts=found, next_page_token=page.next_token)

    async def FollowTicket(self, request: pb.FollowTicketRequest, context: Any) -> pb.FollowTicketResponse:
        """Lets an agent follow."""

        async def follow(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await conversation.follow(tx, caller, target, request.follower)

        return await calls.change(self._db, request, pb.FollowTicketResponse, follow)

    async def UnfollowTicket(
        self, request: pb.UnfollowTicketRequest, context: Any
    ) -> pb.UnfollowTicketResponse:
        """Ends that."""

        async def unfollow(tx: Tx, caller: Caller, target: Target) -> Ticket:
            return await conversation.unfollow(tx, caller, target, request.follower)

        return await calls.change(self._db, request, pb.UnfollowTicketResponse, unfollow)

    async def PutTeam(self, request: pb.PutTeamRequest, context: Any) -> pb.PutTeamResponse:
        """Adds or replaces a team."""

        async def put(tx: Tx) -> pb.PutTeamResponse:
            team = await conversation.put_team(tx, convert.from_team(request.team))
            return pb.PutTeamResponse(team=convert.to_team(team))

        return await calls.write(self._db, request, pb.PutTeamResponse, put)

    async def ListTeams(self, request: pb.ListTeamsRequest, context: Any) -> pb.ListTeamsResponse:
        """A page of teams."""
        async with self._db.tx() as tx:
            page = await teams_store.list_teams(tx, calls.page(request))
        teams = [convert.to_team(each) for each in page.items]
        return pb.ListTeamsResponse(teams=teams, next_page_token=page.next_token)


def _used(used: Used) -> pb.ApplyMacroResponse:
    message = to_message(used.message) if used.message else None
    return pb.ApplyMacroResponse(
        ticket=to_ticket(used.ticket), message=message, text=used.text, language=used.language
    )


def _draft(request: pb.SaveDraftRequest, tx: Tx) -> Draft:
    return Draft(
        ticket_id="",
        agent_id="",
        text=calls.text(request.text),
        saved_time=tx.now,
        to=request.to,
        cc=list(request.cc),
        subject=request.subject,
        attachment_ids=list(request.attachment_ids),
    )
