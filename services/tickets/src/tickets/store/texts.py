"""Full text: one document a ticket, of its subject and all its messages, kept in the statements that write.

Its words are stems by PostgreSQL's `russian`, which stems Latin words in English.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from chassis.db import Tx
from tickets.domain.model import Message, Ticket, Visibility
from tickets.domain.query.words import other_layout, searchable, spelled
from tickets.store import tables

_t, _m, _x, _w = tables.ticket, tables.message, tables.ticket_text, tables.word
_CONFIG: sa.ColumnElement[Any] = sa.literal_column("'russian'::regconfig")
_MAX_LEXEMES: sa.ColumnElement[int] = sa.literal_column("5000")
"""A document takes no more once it has so many stems: PostgreSQL's limit is a megabyte."""
_MAX_CHARACTERS: sa.ColumnElement[int] = sa.literal_column("100000")
_SPACE: sa.ColumnElement[str] = sa.literal_column("' '")


def _document(text: Any) -> sa.ColumnElement[Any]:
    """The stems of a text; without their places, which nothing asks for."""
    return sa.func.strip(sa.func.to_tsvector(_CONFIG, text))


NEW = insert(_x).values(
    ticket_id=sa.bindparam("document_ticket_id", type_=_x.c.ticket_id.type),
    document=_document(sa.bindparam("document_text", type_=sa.Text)),
)
"""The document of a new ticket; `of_new` has the parameters."""

_WORDS = sa.bindparam("document_words", type_=ARRAY(sa.Text))
NEW_WORDS = insert(_w).from_select(["word"], sa.select(sa.func.unnest(_WORDS))).on_conflict_do_nothing()
"""The words of its subject and of its customer's name."""


def of_new(ticket: Ticket, message: Message) -> dict[str, Any]:
    """Parameters of a new ticket's document and words."""
    return {
        "document_ticket_id": ticket.id,
        "document_text": searchable(f"{ticket.subject} {message.text}"),
        "document_words": spelled(ticket.subject, ticket.customer.name),
    }


def words(ticket: Ticket, messages: Sequence[Message]) -> str:
    """The text of a ticket's document."""
    return searchable(" ".join([ticket.subject, *(each.text for each in messages)]))


def more(message: Message) -> sa.Update:
    """The statement that puts a message's words into the document of its ticket."""
    words = _x.c.document.op("||")(_document(sa.literal(searchable(message.text), sa.Text)))
    room = sa.func.length(_x.c.document) < _MAX_LEXEMES
    return sa.update(_x).where(_x.c.ticket_id == message.ticket_id, room).values(document=words)


# As `searchable` cuts texts, and no more of them than a document takes.
_RENAMED = sa.text(
    r"""
    update ticket_text set document = strip(to_tsvector('russian', left(
        concat_ws(' ', cast(:subject as text), (
            select string_agg(regexp_replace(left(text, 10000), '\S{41,}', ' ', 'g'), ' ') from message
            where ticket_id = cast(:ticket_id as uuid)
        )), 100000
    )))
    where ticket_id = cast(:ticket_id as uuid)
    """
)


async def rename(tx: Tx, ticket: Ticket) -> None:
    """Make a document anew whose ticket has another subject."""
    await tx.execute(_RENAMED, {"ticket_id": ticket.id, "subject": searchable(ticket.subject)})
    await tx.execute(NEW_WORDS, {"document_words": spelled(ticket.subject)})


def says(phrase: str, *, staff: bool) -> sa.ColumnElement[bool]:
    """Tickets that have all words of a phrase; for those who are not staff, outside of internal notes."""
    found = _t.c.id.in_(sa.select(_x.c.ticket_id).where(_matches(_x.c.document, phrase)))
    if staff:
        return found
    public = sa.select(sa.func.string_agg(_searchable(_m.c.text), _SPACE)).where(
        _m.c.ticket_id == _t.c.id, _m.c.visibility == Visibility.PUBLIC
    )
    text = sa.func.concat_ws(_SPACE, _t.c.subject, public.correlate(_t).scalar_subquery())
    return sa.and_(found, _matches(_document(sa.func.left(text, _MAX_CHARACTERS)), phrase))


def _searchable(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """As much of a text as the document of its ticket has."""
    return sa.func.regexp_replace(
        sa.func.left(text, 10_000), sa.literal_column(r"'\S{41,}'"), _SPACE, sa.literal_column("'g'")
    )


def titled(phrase: str) -> sa.ColumnElement[bool]:
    """Tickets whose subject has all words of a phrase."""
    found = _t.c.id.in_(sa.select(_x.c.ticket_id).where(_matches(_x.c.document, phrase)))
    return sa.and_(found, _matches(_document(_t.c.subject), phrase))


def meant(words: Sequence[str]) -> sa.ColumnElement[Any]:
    """What misspelt words may have meant, as JSON: the same keys in the other layout, else the nearest."""
    swapped = [other_layout(word) for word in words]
    near = (
        _MEANT.bindparams(said=list(words), swapped=swapped).columns(said=sa.Text, meant=sa.Text).subquery()
    )
    told = sa.func.jsonb_object_agg(near.c.said, near.c.meant, type_=JSONB)
    return sa.select(told).where(near.c.meant != near.c.said).scalar_subquery()


_MEANT = sa.text(
    """
    select asked.said, coalesce(
        (select word from word where word = asked.said),
        (select word from word where word = asked.swapped),
        (select word from word where word % asked.said
            order by similarity(word, asked.said) desc, word limit 1)
    ) as meant
    from unnest(cast(:said as text[]), cast(:swapped as text[])) as asked(said, swapped)
    """
)


def _matches(column: sa.ColumnElement[Any], phrase: str) -> sa.ColumnElement[bool]:
    return column.bool_op("@@")(sa.func.plainto_tsquery(_CONFIG, phrase))
