"""Tables of intake and every query on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import NotFound
from chassis.schema import chassis_tables
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1.message_pb2 import InboundMessage

metadata = sa.MetaData()
chassis_tables(metadata)
INSTANT = sa.DateTime(timezone=True)
COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""

conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("started_at", INSTANT, nullable=False),
)
participant = sa.Table(
    "participant",
    metadata,
    sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id"), primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
)
message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("channel", sa.SmallInteger, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id"), nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("author_kind", sa.SmallInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("received_at", INSTANT, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("message_digest", "digest", "received_at"),
    sa.Index("message_external", "external_id", postgresql_where=sa.text("external_id <> ''")),
    sa.Index("message_conversation", "conversation_id", "id"),
    sa.Index("message_sender", "sender", "id"),
)
attachment = sa.Table(
    "attachment",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("message_id", sa.Uuid, sa.ForeignKey("message.id"), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Index("attachment_message", "message_id"),
)
upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("uploader", sa.Text, nullable=False),
    sa.Column("uploaded_at", INSTANT, nullable=False),
)
tally = sa.Table(
    "tally",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)
_DUPLICATES = "duplicates"


@dataclass(frozen=True, slots=True)
class Known:
    """A conversation that a message refers to, and whether its sender takes part in it."""

    conversation_id: str
    takes_part: bool


async def find_copy(tx: Tx, digest: bytes, window: timedelta | None) -> InboundMessage | None:
    """The stored message of this digest; deliveries of one digest wait for each other from here on.

    `window`: how far back a copy counts; None means for ever."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(digest[:8], "big", signed=True))))
    query = sa.select(message.c.body).where(message.c.digest == digest).order_by(message.c.received_at)
    if window is not None:
        query = query.where(message.c.received_at > tx.now - window)
    row = (await tx.execute(query.limit(1))).first()
    return InboundMessage.FromString(row.body) if row else None


async def count_duplicate(tx: Tx) -> None:
    """Note that a delivery was dropped as a duplicate."""
    row = insert(tally).values(name=_DUPLICATES, count=1)
    await tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"count": tally.c.count + 1}))


async def duplicates(tx: Tx) -> int:
    """How many deliveries were dropped as duplicates, over all time."""
    query = sa.select(tally.c.count).where(tally.c.name == _DUPLICATES)
    return (await tx.execute(query)).scalar() or 0


async def conversations_of(tx: Tx, ids: tuple[str, ...], sender: str) -> list[Known]:
    """The conversations that hold these message ids, in the order of the ids."""
    if not ids:
        return []
    query = (
        sa.select(message.c.external_id, message.c.conversation_id, participant.c.address)
        .outerjoin_from(
            message,
            participant,
            (participant.c.conversation_id == message.c.conversation_id) & (participant.c.address == sender),
        )
        .where(message.c.external_id.in_(ids))
        .where(message.c.external_id != "")
        .limit(200)
    )
    rows = sorted((await tx.execute(query)).all(), key=lambda row: ids.index(row.external_id))
    return list(dict.fromkeys(Known(row.conversation_id, row.address is not None) for row in rows))


async def existing(tx: Tx, ids: Iterable[str]) -> list[str]:
    """Those of the conversations that exist."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return []
    query = sa.select(conversation.c.id).where(conversation.c.id.in_(wanted))
    return sorted((await tx.execute(query)).scalars(), key=wanted.index)


async def takes_part(tx: Tx, conversation_id: str, address: str) -> bool:
    """Whether an address belongs to a conversation."""
    query = sa.select(participant.c.address).where(
        participant.c.conversation_id == conversation_id, participant.c.address == address
    )
    return (await tx.execute(query)).first() is not None


async def open_conversation(tx: Tx, conversation_id: str, account: str, people: Iterable[str]) -> bool:
    """Make sure that a conversation exists with these people in it; True when it is new."""
    row = {"id": conversation_id, "account": account, "started_at": tx.now}
    made = await tx.execute(insert(conversation).values(row).on_conflict_do_nothing())
    rows = [{"conversation_id": conversation_id, "address": each} for each in sorted(set(people))]
    if rows:
        await tx.execute(insert(participant).on_conflict_do_nothing(), rows)
    return bool(made.rowcount)


async def preceding(tx: Tx, inbound: InboundMessage) -> list[str]:
    """The newest stored message of the same sender and of each conversation that it is in or refers to."""
    conversations = [inbound.conversation_id, *inbound.related_conversation_ids]
    same = [message.c.sender == inbound.sender.address]
    same += [message.c.conversation_id == each for each in conversations]
    newest = [
        sa.select(message.c.id).where(one).order_by(message.c.id.desc()).limit(1).scalar_subquery()
        for one in same
    ]
    row = (await tx.execute(sa.select(*newest))).one()
    return sorted({str(each) for each in row if each is not None})


async def add_message(tx: Tx, inbound: InboundMessage, digest: bytes, raw: Mapping[str, Any] | None) -> None:
    """Store a message and the list of its files; `raw` describes the message as it came."""
    await tx.execute(
        sa.insert(message),
        {
            "id": UUID(inbound.id),
            "channel": inbound.channel,
            "account": inbound.account,
            "external_id": inbound.external_id,
            "conversation_id": inbound.conversation_id,
            "sender": inbound.sender.address,
            "author_kind": inbound.author_kind,
            "digest": digest,
            "received_at": tx.now,
            "body": inbound.SerializeToString(),
        },
    )
    rows = [
        {"id": UUID(each.id), "size": each.size_bytes, "sha256": each.sha256} for each in inbound.attachments
    ]
    if raw:
        rows.append(dict(raw))
    if rows:
        await tx.execute(sa.insert(attachment), [{**row, "message_id": UUID(inbound.id)} for row in rows])


async def get_message(tx: Tx, identity: UUID) -> InboundMessage:
    """One message. Raises NotFound."""
    row = (await tx.execute(sa.select(message.c.body).where(message.c.id == identity))).first()
    if row is None:
        raise NotFound(f"there is no message {identity}", reason="MESSAGE_NOT_FOUND")
    return InboundMessage.FromString(row.body)


async def list_messages(
    tx: Tx, filters: Mapping[str, Any], before: UUID | None, limit: int
) -> tuple[list[InboundMessage], int]:
    """A page of messages, newest first, and how many match in all, counted up to COUNT_LIMIT.

    Filters: `conversation_id`, `author_kind`, `received_after`."""
    matching = list(_conditions(filters))
    query = sa.select(message.c.body).where(*matching).order_by(message.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(message.c.id < before)
    bodies = (await tx.execute(query)).scalars().all()
    counted = sa.select(message.c.id).where(*matching).limit(COUNT_LIMIT).subquery()
    total = (await tx.execute(sa.select(sa.func.count()).select_from(counted))).scalar()
    return [InboundMessage.FromString(each) for each in bodies], total or 0


def _conditions(filters: Mapping[str, Any]) -> Iterable[sa.ColumnElement[bool]]:
    if "conversation_id" in filters:
        yield message.c.conversation_id == filters["conversation_id"]
    if "author_kind" in filters:
        yield message.c.author_kind == filters["author_kind"]
    if "received_after" in filters:
        moment: datetime = filters["received_after"]
        yield message.c.received_at >= moment


async def has_file(tx: Tx, identity: UUID) -> bool:
    """Whether a file or raw message of this id belongs to a stored message, or was uploaded."""
    ours = [sa.exists().where(table.c.id == identity) for table in (attachment, upload)]
    return bool((await tx.execute(sa.select(sa.or_(*ours)))).scalar())


async def add_upload(tx: Tx, file: common_pb2.Attachment, uploader: str) -> None:
    """Remember a file that the desk uploaded."""
    row = {
        "id": UUID(file.id),
        "filename": file.filename,
        "media_type": file.media_type,
        "size": file.size_bytes,
        "sha256": file.sha256,
        "uploader": uploader,
        "uploaded_at": tx.now,
    }
    await tx.execute(sa.insert(upload), row)
