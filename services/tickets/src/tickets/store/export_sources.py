"""Where the records of each kind of an export come from."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from chassis.db import Tx
from tickets.domain.bulk import ItemState
from tickets.domain.drafts import Draft
from tickets.domain.export import (
    BulkRow,
    ClockResult,
    Edition,
    ExternalOf,
    Follower,
    FormerKey,
    ImportedName,
    KeptOf,
    Kind,
    LinkOf,
    VoteOf,
)
from tickets.domain.knowledge import Missing, Use, Version
from tickets.domain.links import Edge, LinkKind
from tickets.domain.query.found import SavedFilter
from tickets.store import (
    access_tables,
    audit_lists,
    bulk,
    customer_merges,
    customers,
    filters,
    history_tables,
    importing,
    incident,
    knowledge,
    tables,
)
from tickets.store.agents import to_agent
from tickets.store.desk import QUEUES, to_queue
from tickets.store.links import to_external
from tickets.store.setup import to_kept
from tickets.store.teams import to_team
from tickets.store.tickets import CONTACTS, to_customer

_t, _c, _l, _e = tables.ticket, tables.customer, tables.ticket_link, tables.external_link
_a, _s, _v, _f = access_tables.audit, tables.queue_setup, knowledge.article_version, filters.saved_filter
_d, _vote, _alias, _named = tables.draft, tables.vote, tables.ticket_alias, importing.imported_ticket
_incident, _child, _task = tables.incident, tables.incident_child, tables.incident_task
_b, _item, _merge, _result = (
    bulk.bulk,
    bulk.bulk_item,
    customer_merges.customer_merge,
    history_tables.clock_result,
)
_article, _use, _missing = knowledge.article, knowledge.article_use, knowledge.article_missing
_KEY = (_t.c.queue + "-" + sa.cast(_t.c.number, sa.Text)).label("ticket_key")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom rights of people bound: the agent, and the principal that they call as."""

    agent_id: str
    principal: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where records of a kind come from, in the order of a key, whose first column is of their own table.

    `of` are tickets that a row belongs to, `own` what people may see of it, `internal` the rows that hold
    words for the desk alone; `shorten` takes from a record what the caller may not see.
    """

    query: sa.Select[Any]
    key: tuple[sa.ColumnElement[Any], ...]
    read: Callable[[sa.Row[Any]], object]
    of: tuple[sa.ColumnElement[Any], ...] = ()
    own: Callable[[Owner], sa.ColumnElement[bool]] | None = None
    internal: sa.ColumnElement[bool] | None = None
    shorten: Callable[[Tx, Sequence[Any]], Awaitable[None]] | None = None


def _edition(row: sa.Row[Any]) -> Edition:
    content = knowledge.to_content(row.content)
    version = Version(row.version, content.title, row.state, row.author, row.comment, row.time)
    return Edition(row.article_id, version, content)


def _link(row: sa.Row[Any]) -> LinkOf:
    return LinkOf(Edge(LinkKind(row.kind), row.from_id, row.to_id), row.created_time)


def _bulk_row(row: sa.Row[Any]) -> BulkRow:
    return BulkRow(**{**row._asdict(), "state": ItemState(row.state)})


def _article_use(row: sa.Row[Any]) -> Use:
    return Use(
        ticket_id=row.ticket_id,
        ticket_key=row.ticket_key,
        article=knowledge.to_article(row._asdict()),
        article_version=row.article_version,
        author=row.user,
        sent=row.sent,
        time=row.used_time,
    )


def _own_filter(owner: Owner) -> sa.ColumnElement[bool]:
    return sa.or_(_f.c.owner == owner.agent_id, _f.c.queue != "")


def _own_bulk(owner: Owner) -> sa.ColumnElement[bool]:
    return _b.c.principal == owner.principal


def _columns(table: sa.Table, record: type) -> list[sa.Column[Any]]:
    return [table.c[each.name] for each in fields(record)]


SOURCES: Mapping[Kind, Source] = {
    Kind.CUSTOMERS: Source(sa.select(_c, CONTACTS), (_c.c.id,), lambda row: to_customer(row._asdict())),
    Kind.ORGANISATIONS: Source(
        customers.ORGANISATIONS, (customers.organisation.c.key,), customers.to_organisation
    ),
    Kind.QUEUES: Source(QUEUES, (tables.queue.c.key,), lambda row: to_queue(row._asdict())),
    Kind.SETUPS: Source(
        sa.select(_s), (_s.c.queue, _s.c.version), lambda row: KeptOf(row.queue, to_kept(row, row.document))
    ),
    Kind.AGENTS: Source(sa.select(tables.agent), (tables.agent.c.id,), lambda row: to_agent(row._asdict())),
    Kind.TEAMS: Source(sa.select(tables.team), (tables.team.c.key,), lambda row: to_team(row._asdict())),
    Kind.ARTICLES: Source(
        sa.select(*knowledge.WHOLE), (_article.c.id,), lambda row: knowledge.to_article(row._asdict())
    ),
    Kind.ARTICLE_VERSIONS: Source(sa.select(_v), (_v.c.article_id, _v.c.version), _edition),
    Kind.AUDIT: Source(sa.select(_a), (_a.c.id,), audit_lists.to_entry, of=(_a.c.ticket_id,)),
    Kind.LINKS: Source(
        sa.select(_l), (_l.c.kind, _l.c.from_id, _l.c.to_id), _link, of=(_l.c.from_id, _l.c.to_id)
    ),
    Kind.EXTERNAL_LINKS: Source(
        sa.select(_e),
        (_e.c.ticket_id, _e.c.url),
        lambda row: ExternalOf(row.ticket_id, to_external(row)),
        of=(_e.c.ticket_id,),
    ),
    Kind.FILTERS: Source(
        sa.select(_f), (_f.c.id,), lambda row: SavedFilter(**row._asdict()), own=_own_filter
    ),
    Kind.DRAFTS: Source(
        sa.select(_d, sa.func.coalesce(tables.agent.c.name, "").label("agent_name")).join_from(
            _d, tables.agent, tables.agent.c.id == _d.c.agent_id, isouter=True
        ),
        (_d.c.ticket_id, _d.c.agent_id),
        lambda row: Draft(**row._asdict()),
        of=(_d.c.ticket_id,),
        internal=sa.true(),
    ),
    Kind.VOTES: Source(
        sa.select(_vote),
        (_vote.c.ticket_id, _vote.c.customer_id),
        lambda row: VoteOf(**row._asdict()),
        of=(_vote.c.ticket_id,),
    ),
    Kind.INCIDENTS: Source(
        incident.INCIDENTS,
        (_incident.c.ticket_id,),
        lambda row: incident.to_incident(row._asdict()),
        of=(_incident.c.ticket_id,),
    ),
    Kind.INCIDENT_TICKETS: Source(
        sa.select(*_columns(_child, Follower)),
        (_child.c.ticket_id,),
        lambda row: Follower(**row._asdict()),
        of=(_child.c.ticket_id, _child.c.incident_id),
    ),
    Kind.INCIDENT_TASKS: Source(
        sa.select(_task),
        (_task.c.id,),
        lambda row: incident.to_task(row._asdict()),
        of=(_task.c.incident_id,),
        shorten=incident.leave_out_unseen,
    ),
    Kind.BULKS: Source(
        bulk.BULKS,
        (_b.c.id,),
        lambda row: bulk.to_bulk(row._asdict()),
        own=_own_bulk,
        internal=_b.c.action.has_any(sa.cast(["note", "escalate"], ARRAY(sa.Text))),
    ),
    Kind.BULK_ITEMS: Source(
        sa.select(*_columns(_item, BulkRow)).join_from(_item, _b, _b.c.id == _item.c.bulk_id),
        (_item.c.bulk_id, _item.c.position),
        _bulk_row,
        of=(_item.c.ticket_id,),
        own=_own_bulk,
    ),
    Kind.CUSTOMER_MERGES: Source(sa.select(_merge), (_merge.c.id,), customer_merges.to_merge),
    Kind.ARTICLE_USES: Source(
        sa.select(
            *(_use.c.ticket_id, _use.c.article_id, _use.c.article_version, _use.c.author.label("user")),
            *(_use.c.sent, _use.c.time.label("used_time"), _KEY, *knowledge.BRIEF),
        )
        .join_from(_use, _article, _article.c.id == _use.c.article_id)
        .join(_t, _t.c.id == _use.c.ticket_id),
        (_use.c.ticket_id, _use.c.article_id),
        _article_use,
        of=(_use.c.ticket_id,),
    ),
    Kind.MISSING_ARTICLES: Source(
        sa.select(_missing, _KEY).join_from(_missing, _t, _t.c.id == _missing.c.ticket_id),
        (_missing.c.ticket_id,),
        lambda row: Missing(**row._asdict()),
        of=(_missing.c.ticket_id,),
    ),
    Kind.CLOCK_RESULTS: Source(
        sa.select(*_columns(_result, ClockResult)),
        (_result.c.ticket_id, _result.c.clock, _result.c.cycle),
        lambda row: ClockResult(**row._asdict()),
        of=(_result.c.ticket_id,),
    ),
    Kind.FORMER_KEYS: Source(
        sa.select(_alias),
        (_alias.c.queue, _alias.c.number),
        lambda row: FormerKey(f"{row.queue}-{row.number}", row.ticket_id),
        of=(_alias.c.ticket_id,),
    ),
    Kind.IMPORTED_TICKETS: Source(
        sa.select(_named),
        (_named.c.external_id,),
        lambda row: ImportedName(**row._asdict()),
        of=(_named.c.ticket_id,),
    ),
}
