"""Finding tickets by the query language, and the queries that people keep."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import Denied, InvalidInput, Violation
from tickets.convert.stale import of_filter
from tickets.domain import rights
from tickets.domain.query.catalog import Catalog, Field, Kind
from tickets.domain.query.faults import BadQuery, Fault, nearest
from tickets.domain.query.found import Counts, SavedFilter, TicketSummary
from tickets.domain.query.grammar import parse
from tickets.domain.query.resolve import Context, Search, resolve
from tickets.domain.query.suggest import Place, Suggestion, SuggestionKind, suggest
from tickets.domain.query.tree import to_text
from tickets.domain.query.words import respelt
from tickets.handlers.change import Caller, agent_of
from tickets.handlers.stale import stale
from tickets.store import counts, desk, filters
from tickets.store.catalog import catalog_for, catalog_in_force
from tickets.store.lists import Listed, Page
from tickets.store.rights import person_of
from tickets.store.search import Hits, search_tickets

_STAFF = ("agent", "lead", "admin")
_HEADS = ("lead", "admin")
_OPEN_OR_OWN = "Resolution: empty() OR Assignee: me(), unassigned()"
"""What an agent counts by assignee: what others have finished are their figures (CA-28)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, who asks it, and the zone in which their days begin."""

    query: str
    caller: Caller
    zone: ZoneInfo

    @property
    def staff(self) -> bool:
        """Whether internal notes may help to find a ticket."""
        return self.caller.principal.role in _STAFF


@dataclass(frozen=True, slots=True)
class FilterChange:
    """What a saved filter shall be; without an id a new one."""

    filter_id: str
    version: int
    name: str
    query: str
    queue: str


@dataclass(frozen=True, slots=True)
class Found:
    """A page of tickets, and the query they were found by when that is another than was asked."""

    page: Listed[TicketSummary]
    corrected: str = ""


async def search(tx: Tx, asked: Asked, page: Page) -> Found:
    """A page of tickets; where nothing is found, that of the query with its words spelt as the desk does.

    Raises BadQuery, Exhausted (QUERY_TOO_COSTLY).
    """
    query = parse(asked.query)
    known = await catalog_for(tx, query)
    found = await _hits(tx, asked, asked.query, known, page)
    corrected = to_text(respelt(query, known, found.meant))
    if corrected == to_text(query):
        return Found(found.page)
    again = await _hits(tx, asked, corrected, known, page)
    return Found(again.page, corrected) if again.page.items else Found(found.page)


async def resolved(tx: Tx, asked: Asked) -> Search:
    """What a query finds, for statements of others. Raises BadQuery."""
    return _resolved(tx, asked, asked.query, await catalog_for(tx, parse(asked.query)))


async def count(tx: Tx, asked: Asked, group_by: str, split_by: str) -> Counts:
    """Tickets by one field or two; for agents by assignee without what others finished.

    Raises BadQuery, InvalidInput (FIELD_NOT_GROUPED), Exhausted.
    """
    known = await catalog_in_force(tx)
    by = [
        _counted(known, path, name) for path, name in (("group_by", group_by), ("split_by", split_by)) if name
    ]
    wanted = _resolved(tx, asked, asked.query, known)
    if asked.caller.principal.role == "agent" and any(each.key == "assignee" for each in by):
        wanted = wanted.also(_resolved(tx, asked, _OPEN_OR_OWN, known))
    return await counts.count_tickets(tx, wanted, by, asked.zone, staff=asked.staff)


async def check(tx: Tx, query: str, cursor: int | None) -> tuple[list[Fault], str, Place | None]:
    """The faults of a query, how the language writes it, and what fits at the cursor."""
    known = await catalog_in_force(tx)
    place = None if cursor is None else await _with_names(tx, suggest(query, cursor, known))
    try:
        _check(tx, query, known)
    except BadQuery as error:
        return list(error.faults), "", place
    return [], to_text(parse(query)), place


async def put_filter(tx: Tx, caller: Caller, change: FilterChange) -> SavedFilter:
    """Keep a query under a name, or change one that is kept.

    Raises BadQuery, NotFound (FILTER_NOT_FOUND, QUEUE_NOT_FOUND), Denied, Stale, AlreadyExists.
    """
    _check(tx, change.query, await catalog_in_force(tx))
    if change.queue:
        await desk.load_queue(tx, change.queue)
        rights.require_work(await person_of(tx), change.queue)
    if change.filter_id:
        saved = await _own(tx, caller, change.filter_id)
        if change.version not in (0, saved.version):
            raise stale("the filter", of_filter(saved))
        saved.version += 1
    else:
        saved = SavedFilter(str(uuid7()), _owner(caller), "", "", "", tx.now)
    saved.name, saved.query, saved.queue = change.name, change.query, change.queue
    saved.updated_time = tx.now
    await filters.put_filter(tx, saved)
    return saved


async def delete_filter(tx: Tx, caller: Caller, filter_id: str) -> None:
    """Forget a filter. Raises NotFound (FILTER_NOT_FOUND), Denied (FILTER_NOT_YOURS)."""
    await _own(tx, caller, filter_id)
    await filters.delete_filter(tx, filter_id)


async def list_filters(tx: Tx, caller: Caller, queue: str, page: Page) -> Listed[SavedFilter]:
    """The caller's own filters and those that are shared."""
    return await filters.list_filters(tx, _owner(caller), queue, page)


async def _hits(tx: Tx, asked: Asked, query: str, known: Catalog, page: Page) -> Hits:
    wanted = _resolved(tx, asked, query, known)
    return await search_tickets(tx, wanted, page, f"{query}\0{asked.zone.key}", staff=asked.staff)


def _resolved(tx: Tx, asked: Asked, query: str, known: Catalog) -> Search:
    return resolve(query, known, Context(agent_of(asked.caller), tx.now, asked.zone))


def _check(tx: Tx, query: str, known: Catalog) -> None:
    # Whoever will ask it has an id.
    resolve(query, known, Context("me", tx.now, ZoneInfo("UTC")))


def _counted(known: Catalog, path: str, name: str) -> Field:
    field = known.find(name)
    if field is None or not counts.counted(field):
        able = [each.name for each in known.fields if counts.counted(each)]
        told = f'must be one of {", ".join(able)}; "{name}" is none{nearest(name, able)}'
        raise InvalidInput(f"{path} {told}", reason="FIELD_NOT_GROUPED", violations=[Violation(path, told)])
    return field


async def _with_names(tx: Tx, place: Place) -> Place:
    """The suggestions and those of the desk's own queues and people."""
    if place.field is None:
        return place
    names: list[tuple[str, str]] = []
    if place.field.kind is Kind.USER:
        names = await desk.agents_like(tx, place.prefix)
    elif place.field.key == "queue":
        names = await desk.queues_like(tx, place.prefix)
    own = tuple(Suggestion(key, SuggestionKind.VALUE, name) for key, name in names)
    return Place(place.start, place.prefix, place.field, (*own, *place.suggestions))


async def _own(tx: Tx, caller: Caller, filter_id: str) -> SavedFilter:
    saved = await filters.load_filter(tx, filter_id)
    if saved.owner != _owner(caller) and caller.principal.role not in _HEADS:
        raise Denied(f"the filter is {saved.owner}'s: ask them, or a lead", reason="FILTER_NOT_YOURS")
    return saved


def _owner(caller: Caller) -> str:
    return agent_of(caller) or caller.principal.name
