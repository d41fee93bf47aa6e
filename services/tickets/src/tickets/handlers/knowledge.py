"""Articles: written, published, used in tickets, judged."""

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Violation
from tickets.convert.stale import of_article
from tickets.domain import knowledge
from tickets.domain.knowledge import Article, ArticleState, Content, Revision, Writer
from tickets.domain.model import Actor, ActorKind, Ticket
from tickets.handlers.change import Caller, Target, acting, acting_agent, locked, write_note
from tickets.handlers.stale import stale
from tickets.handlers.triggers import finish
from tickets.store import desk
from tickets.store import knowledge as store
from tickets.store import tickets as tickets_store

_USED = {
    "ru": ("Использована статья {key}: {title}", "Отправлена клиенту статья {key}: {title}"),
    "en": ("Article used: {key}, {title}", "Article sent to the customer: {key}, {title}"),
}


async def create_article(tx: Tx, caller: Caller, key: str, content: Content, comment: str) -> Article:
    """A draft in its first version. Raises AlreadyExists (ARTICLE_EXISTS), InvalidInput."""
    actor = await acting(tx, caller)
    article = Article(
        id=str(uuid7()),
        key=key,
        content=await _checked(tx, content, actor),
        author=actor.id,
        comment=comment,
        created_time=tx.now,
        updated_time=tx.now,
    )
    await store.create(tx, article)
    return article


async def update_article(tx: Tx, caller: Caller, target: Target, content: Content, comment: str) -> Article:
    """What an article says now. Raises NotFound, Stale, Denied, Refused, InvalidInput."""
    actor = await acting(tx, caller)
    article = await _locked(tx, target)
    knowledge.check_writer(article, _writer(caller, actor), article.state)
    knowledge.edit(article, await _checked(tx, content, actor), Revision(actor.id, comment, tx.now))
    await store.save(tx, article)
    return article


async def change_state(tx: Tx, caller: Caller, target: Target, state: ArticleState, comment: str) -> Article:
    """Publish, archive, or take back to a draft. Raises NotFound, Stale, Denied, InvalidInput."""
    actor = await acting(tx, caller)
    article = await _locked(tx, target)
    knowledge.check_writer(article, _writer(caller, actor), state)
    knowledge.move(article, state, Revision(actor.id, comment, tx.now))
    await store.save(tx, article)
    return article


async def link_article(
    tx: Tx, caller: Caller, target: Target, reference: str, *, sent: bool
) -> tuple[Ticket, Article]:
    """Note that an article was used in a ticket. Raises NotFound, Stale, Refused."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    article = await store.load(tx, reference, lock=True)
    knowledge.check_use(article, sent=sent)
    if await store.add_use(tx, article, ticket, actor.id, sent=sent):
        text = _USED.get(ticket.language, _USED["en"])[sent]
        await write_note(tx, ticket, actor, text.format(key=article.key, title=article.content.title))
        await finish(tx, ticket)
    return ticket, article


async def report_missing(tx: Tx, caller: Caller, reference: str, words: str) -> tuple[Ticket, str]:
    """Note that no article answers a ticket; returns it and who says so. Raises NotFound."""
    actor = await acting(tx, caller)
    ticket = await tickets_store.load_ticket(tx, reference)
    await store.report_missing(tx, ticket, words, actor.id)
    return ticket, actor.id


async def rate_article(tx: Tx, caller: Caller, reference: str, *, helpful: bool) -> Article:
    """An agent's opinion of an article. Raises NotFound, InvalidInput without an agent."""
    agent = await acting_agent(tx, caller)
    article = await store.load(tx, reference, lock=True)
    await store.vote(tx, article, agent.id, helpful=helpful)
    return article


async def _locked(tx: Tx, target: Target) -> Article:
    """An article to be changed. Raises NotFound, and Stale when the caller saw another version."""
    found = await store.load(tx, target.reference, lock=True)
    if found.version != target.version:
        raise stale(found.key, of_article(found))
    return found


def _writer(caller: Caller, actor: Actor) -> Writer:
    return Writer(caller.principal.role, actor.id)


async def _checked(tx: Tx, content: Content, actor: Actor) -> Content:
    """Content with an owner who is here. Raises InvalidInput."""
    owner = content.owner or (actor.id if actor.kind == ActorKind.AGENT else "")
    if not owner:
        text = "content.owner must name the agent who keeps the article right"
        raise InvalidInput(text, violations=[Violation("content.owner", text)])
    try:
        await desk.load_agent(tx, owner)
    except NotFound as error:
        text = f"content.owner: {error.message}"
        raise InvalidInput(text, violations=[Violation("content.owner", text)]) from error
    return knowledge.checked(content, owner)
