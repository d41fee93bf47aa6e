"""The knowledge base over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import knowledge_service_pb2 as pb
from tickdesk.tickets.v1.knowledge_service_pb2_grpc import KnowledgeServiceServicer
from tickets.convert import knowledge as convert
from tickets.convert.tickets import to_ticket
from tickets.domain.knowledge import ArticleState, Missing
from tickets.grpc_api import calls
from tickets.handlers import knowledge
from tickets.handlers.change import Target
from tickets.store import knowledge as store
from tickets.store import knowledge_lists as lists
from tickets.store import knowledge_search as searching
from tickets.store import tickets
from tickets.store.knowledge_lists import ArticleFilter
from tickets.store.knowledge_search import Place, Search

SERVICE = pb.DESCRIPTOR.services_by_name["KnowledgeService"]

_SUGGESTIONS = 5
_UNUSED_DAYS = 180


class KnowledgeApi(KnowledgeServiceServicer):
    """Serves tickdesk.tickets.v1.KnowledgeService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def CreateArticle(self, request: pb.CreateArticleRequest, context: Any) -> pb.CreateArticleResponse:
        """Adds a draft."""

        async def create(tx: Tx) -> pb.CreateArticleResponse:
            caller, content = calls.caller(request.agent_id), convert.from_content(request.content)
            made = await knowledge.create_article(tx, caller, request.key, content, request.comment)
            return pb.CreateArticleResponse(article=convert.to_article(made))

        return await calls.write(self._db, request, pb.CreateArticleResponse, create)

    async def UpdateArticle(self, request: pb.UpdateArticleRequest, context: Any) -> pb.UpdateArticleResponse:
        """Replaces what an article says."""

        async def update(tx: Tx) -> pb.UpdateArticleResponse:
            caller, content = calls.caller(request.agent_id), convert.from_content(request.content)
            target = Target(request.article, request.version)
            changed = await knowledge.update_article(tx, caller, target, content, request.comment)
            return pb.UpdateArticleResponse(article=convert.to_article(changed))

        return await calls.write(self._db, request, pb.UpdateArticleResponse, update)

    async def ChangeArticleState(
        self, request: pb.ChangeArticleStateRequest, context: Any
    ) -> pb.ChangeArticleStateResponse:
        """Publishes, archives, or takes back to a draft."""

        async def move(tx: Tx) -> pb.ChangeArticleStateResponse:
            caller, state = calls.caller(request.agent_id), ArticleState(request.state)
            target = Target(request.article, request.version)
            changed = await knowledge.change_state(tx, caller, target, state, request.comment)
            return pb.ChangeArticleStateResponse(article=convert.to_article(changed))

        return await calls.write(self._db, request, pb.ChangeArticleStateResponse, move)

    async def GetArticle(self, request: pb.GetArticleRequest, context: Any) -> pb.GetArticleResponse:
        """One article."""
        async with self._db.tx() as tx:
            if request.version:
                found = await store.load_version(tx, request.article, request.version)
            else:
                found = await store.load(tx, request.article)
        return pb.GetArticleResponse(article=convert.to_article(found))

    async def ListArticles(self, request: pb.ListArticlesRequest, context: Any) -> pb.ListArticlesResponse:
        """A page of articles."""
        async with self._db.tx() as tx:
            found = await lists.list_articles(tx, _filter(request), calls.page(request))
        articles = [convert.to_article(each) for each in found.items]
        return pb.ListArticlesResponse(articles=articles, next_page_token=found.next_token)

    async def ListArticleVersions(
        self, request: pb.ListArticleVersionsRequest, context: Any
    ) -> pb.ListArticleVersionsResponse:
        """A page of versions."""
        async with self._db.tx() as tx:
            article = await store.load(tx, request.article)
            found = await lists.list_versions(tx, article.id, calls.page(request))
        versions = [convert.to_version(each) for each in found.items]
        return pb.ListArticleVersionsResponse(versions=versions, next_page_token=found.next_token)

    async def ListStaleArticles(
        self, request: pb.ListStaleArticlesRequest, context: Any
    ) -> pb.ListStaleArticlesResponse:
        """A page of articles to look at."""
        days = request.unused_days or _UNUSED_DAYS
        async with self._db.tx() as tx:
            found = await lists.list_stale(tx, days, request.owner, calls.page(request))
        stale = [convert.to_stale(each) for each in found.items]
        return pb.ListStaleArticlesResponse(articles=stale, next_page_token=found.next_token)

    async def ListArticleOwners(
        self, request: pb.ListArticleOwnersRequest, context: Any
    ) -> pb.ListArticleOwnersResponse:
        """A page of owners."""
        async with self._db.tx() as tx:
            found = await lists.list_owners(tx, calls.page(request))
        owners = [convert.to_owner(each) for each in found.items]
        return pb.ListArticleOwnersResponse(owners=owners, next_page_token=found.next_token)

    async def SearchArticles(
        self, request: pb.SearchArticlesRequest, context: Any
    ) -> pb.SearchArticlesResponse:
        """A page of articles that have the words."""
        async with self._db.tx() as tx:
            place = Place(request.queue)
            if request.ticket:
                place = Place.of(await tickets.load_ticket(tx, request.ticket))
            found = await searching.search(tx, _search(request, place), calls.page(request))
        return pb.SearchArticlesResponse(
            hits=[convert.to_hit(each) for each in found.hits.items],
            next_page_token=found.hits.next_token,
            corrected_text=found.corrected,
            partial=found.partial,
        )

    async def SuggestArticles(
        self, request: pb.SuggestArticlesRequest, context: Any
    ) -> pb.SuggestArticlesResponse:
        """What may answer a ticket."""
        async with self._db.tx() as tx:
            ticket = await tickets.load_ticket(tx, request.ticket)
            hits = await searching.suggest(tx, ticket, request.limit or _SUGGESTIONS)
        return pb.SuggestArticlesResponse(hits=[convert.to_hit(each) for each in hits])

    async def LinkArticle(self, request: pb.LinkArticleRequest, context: Any) -> pb.LinkArticleResponse:
        """Notes that an article was used."""

        async def link(tx: Tx) -> pb.LinkArticleResponse:
            caller, target = calls.caller(request.agent_id), calls.target(request)
            ticket, used = await knowledge.link_article(
                tx, caller, target, request.article, sent=request.sent
            )
            return pb.LinkArticleResponse(ticket=to_ticket(ticket), article=convert.to_article(used))

        return await calls.write(self._db, request, pb.LinkArticleResponse, link)

    async def ListTicketArticles(
        self, request: pb.ListTicketArticlesRequest, context: Any
    ) -> pb.ListTicketArticlesResponse:
        """A page of articles used in a ticket."""
        async with self._db.tx() as tx:
            ticket = await tickets.load_ticket(tx, request.ticket)
            found = await lists.list_of_ticket(tx, ticket, calls.page(request))
        uses = [convert.to_use(each) for each in found.items]
        return pb.ListTicketArticlesResponse(uses=uses, next_page_token=found.next_token)

    async def ListArticleTickets(
        self, request: pb.ListArticleTicketsRequest, context: Any
    ) -> pb.ListArticleTicketsResponse:
        """A page of tickets in which an article was used."""
        async with self._db.tx() as tx:
            article = await store.load(tx, request.article)
            found = await lists.list_of_article(tx, article.id, calls.page(request))
        uses = [convert.to_use(each) for each in found.items]
        return pb.ListArticleTicketsResponse(uses=uses, next_page_token=found.next_token)

    async def ReportMissingArticle(
        self, request: pb.ReportMissingArticleRequest, context: Any
    ) -> pb.ReportMissingArticleResponse:
        """Notes that no article answers a ticket."""

        async def report(tx: Tx) -> pb.ReportMissingArticleResponse:
            caller = calls.caller(request.agent_id)
            ticket, author = await knowledge.report_missing(tx, caller, request.ticket, request.words)
            missing = Missing(ticket.id, ticket.key, request.words, author, tx.now)
            return pb.ReportMissingArticleResponse(missing=convert.to_missing(missing))

        return await calls.write(self._db, request, pb.ReportMissingArticleResponse, report)

    async def ListMissingArticles(
        self, request: pb.ListMissingArticlesRequest, context: Any
    ) -> pb.ListMissingArticlesResponse:
        """A page of tickets that no article answers."""
        async with self._db.tx() as tx:
            found = await lists.list_missing(tx, request.queue, calls.page(request))
        missing = [convert.to_missing(each) for each in found.items]
        return pb.ListMissingArticlesResponse(missing=missing, next_page_token=found.next_token)

    async def RateArticle(self, request: pb.RateArticleRequest, context: Any) -> pb.RateArticleResponse:
        """Says whether an article helped."""

        async def rate(tx: Tx) -> pb.RateArticleResponse:
            caller = calls.caller(request.agent_id)
            rated = await knowledge.rate_article(tx, caller, request.article, helpful=request.helpful)
            return pb.RateArticleResponse(article=convert.to_article(rated))

        return await calls.write(self._db, request, pb.RateArticleResponse, rate)


def _filter(request: pb.ListArticlesRequest) -> ArticleFilter:
    return ArticleFilter(
        state=request.state,
        kinds=tuple(sorted(set(request.kinds))),
        language=request.language,
        owner=request.owner,
        queue=request.queue,
        tag=request.tag,
        category=request.category,
    )


def _search(request: pb.SearchArticlesRequest, place: Place) -> Search:
    return Search(
        text=request.text,
        place=place,
        language=request.language,
        kinds=tuple(sorted(set(request.kinds))),
        for_customers=request.for_customers,
    )
