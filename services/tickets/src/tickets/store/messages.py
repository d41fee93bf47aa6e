"""Messages and notes of tickets."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.db import Tx
from tickets.domain.model import Actor, ActorKind, Attachment, Message, Visibility
from tickets.store import body, tables, texts

_m = tables.message


async def add_message(tx: Tx, message: Message) -> None:
    """One more message or note, and its words."""
    said = insert(_m).values(message_row(message)).cte("said")
    await tx.execute(texts.more(message).add_cte(said))


async def has_message(tx: Tx, message_id: str) -> bool:
    """Whether a message of intake is here already."""
    return bool((await tx.execute(sa.select(sa.exists().where(_m.c.id == message_id)))).scalar())


async def load_message(tx: Tx, message_id: str) -> Message:
    """One message that is known to be there."""
    return to_message((await tx.execute(sa.select(_m).where(_m.c.id == message_id))).mappings().one())


async def last_question(tx: Tx, ticket_id: str) -> Message | None:
    """What a person of the customer's side wrote last."""
    query = sa.select(_m).where(
        _m.c.ticket_id == ticket_id,
        _m.c.author_kind == ActorKind.CUSTOMER,
        _m.c.visibility == Visibility.PUBLIC,
    )
    rows = await tx.execute(query.order_by(_m.c.created_time.desc(), _m.c.id.desc()).limit(1))
    row = rows.mappings().one_or_none()
    return to_message(row) if row else None


async def attachments(tx: Tx, ticket_id: str, ids: Sequence[str]) -> list[Attachment]:
    """Those of the files that messages of the ticket brought."""
    file = (
        sa.func.jsonb_array_elements(_m.c.attachments).table_valued(sa.column("value", JSONB)).lateral("file")
    )
    query = sa.select(file.c.value).select_from(_m).join(file, sa.true())
    rows = await tx.execute(
        query.where(_m.c.ticket_id == ticket_id, file.c.value["id"].astext.in_(list(ids)))
    )
    return body.to_attachments(list(rows.scalars()))


async def missing(tx: Tx, message_ids: list[str]) -> list[str]:
    """Those of the messages that are not here."""
    if not message_ids:
        return []
    rows = await tx.execute(sa.select(_m.c.id).where(_m.c.id.in_(message_ids)))
    known = {str(row.id) for row in rows}
    return [each for each in message_ids if each not in known]


async def is_copy(tx: Tx, message_id: str, recipient: str) -> bool:
    """Whether somebody only got a copy of an outgoing message."""
    query = sa.select(sa.exists().where(_m.c.id == message_id, _m.c.cc.contains([recipient])))
    return bool((await tx.execute(query)).scalar())


async def set_delivery(tx: Tx, message_id: str, state: str, recipient: str) -> bool:
    """Note the fate of an outgoing message; False when it is known or there is no such message.

    What became of a copy says nothing of the letter itself."""
    letter = sa.and_(_m.c.id == message_id, ~_m.c.cc.contains([recipient]))
    change = sa.update(_m).where(letter, _m.c.delivery_state.not_in(("", state)))
    return bool((await tx.execute(change.values(delivery_state=state))).rowcount)


def message_row(message: Message) -> dict[str, Any]:
    """The columns of a message."""
    return {
        **{name: getattr(message, name) for name in _PLAIN},
        "author_kind": message.author.kind,
        "author_id": message.author.id,
        "author_name": message.author.name,
        "attachments": body.from_attachments(message.attachments),
    }


def to_message(values: Mapping[Any, Any]) -> Message:
    """A message out of its row."""
    plain = {each.name: values[each.name] for each in _m.c if each.name not in (*_MAPPED, "visibility")}
    return Message(
        author=Actor(ActorKind(values["author_kind"]), values["author_id"], values["author_name"]),
        visibility=Visibility(values["visibility"]),
        attachments=body.to_attachments(values["attachments"]),
        **plain,
    )


_MAPPED = ("author_kind", "author_id", "author_name", "attachments")
_PLAIN = [each.name for each in _m.c if each.name not in _MAPPED]
