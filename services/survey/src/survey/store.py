"""Tables of survey and every query."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import NotFound
from chassis.schema import chassis_tables
from survey.domain import GOOD, State, Survey

metadata = sa.MetaData()
chassis_tables(metadata)
COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""
_INSTANT = sa.DateTime(timezone=True)

survey_table = sa.Table(
    "survey",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("ticket_id", sa.Text, nullable=False),
    sa.Column("ticket_key", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("scale", sa.SmallInteger, nullable=False),
    sa.Column("threshold", sa.SmallInteger, nullable=False),
    sa.Column("ask_at", _INSTANT, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("recipient_name", sa.Text, nullable=False),
    sa.Column("ticket_subject", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("raw", sa.SmallInteger, nullable=False),
    sa.Column("score", sa.SmallInteger, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("answered_at", _INSTANT),
    sa.Column("expires_at", _INSTANT),
    # SHA-256 of the link's token: who reads the table cannot vote.
    sa.Column("token_hash", sa.LargeBinary, unique=True),
    sa.Index("survey_planned", "ask_at", postgresql_where=sa.text("state = 'planned'")),
    sa.Index("survey_asked", "expires_at", postgresql_where=sa.text("state = 'asked'")),
    sa.Index("survey_ticket", "ticket_id", "created_at"),
    sa.Index("survey_newest", "created_at", "id"),
)
# Tickets that a robot opened: nobody is there to be asked.
robot_table = sa.Table("robot", metadata, sa.Column("ticket_id", sa.Text, primary_key=True))
_s = survey_table.c
_FIELDS = [field.name for field in fields(Survey)]
_PLANNED, _ASKED = sa.text("state = 'planned'"), sa.text("state = 'asked'")


async def add_robot(tx: Tx, ticket_id: str) -> None:
    """Remember that a robot opened the ticket."""
    await tx.execute(insert(robot_table).values(ticket_id=ticket_id).on_conflict_do_nothing())


async def robots(tx: Tx, ticket_ids: Iterable[str]) -> set[str]:
    """Which of these tickets a robot opened."""
    found = sa.select(robot_table.c.ticket_id).where(robot_table.c.ticket_id.in_(list(ticket_ids)))
    return set((await tx.execute(found)).scalars())


async def add_survey(tx: Tx, survey: Survey) -> bool:
    """Add a survey; False when its cycle has one already."""
    row = {**asdict(survey), "state": survey.state.value}
    return bool((await tx.execute(insert(survey_table).values(row).on_conflict_do_nothing())).rowcount)


async def skip_planned(tx: Tx, survey_id: UUID, detail: str) -> bool:
    """Skip a survey that is not asked yet."""
    planned = sa.and_(_s.id == survey_id, _s.state == State.PLANNED)
    changes = {"state": State.SKIPPED.value, "detail": detail}
    return bool((await tx.execute(sa.update(survey_table).where(planned).values(changes))).rowcount)


async def lock_due(tx: Tx, limit: int) -> list[Survey]:
    """Surveys to be asked now, kept from other replicas until the end of the transaction."""
    due = sa.select(survey_table).where(_PLANNED, _s.ask_at <= tx.now).order_by(_s.ask_at).limit(limit)
    return [_survey(row) for row in await tx.execute(due.with_for_update(skip_locked=True))]


async def ask(tx: Tx, survey: Survey, token_hash: bytes) -> None:
    """Note that the question went out under this token."""
    changes = {"state": survey.state.value, "expires_at": survey.expires_at, "token_hash": token_hash}
    await tx.execute(sa.update(survey_table).where(_s.id == survey.id).values(changes))


async def expire(tx: Tx) -> int:
    """End the surveys whose link's term ran out; return how many."""
    over = sa.update(survey_table).where(_ASKED, _s.expires_at <= tx.now).values(state=State.EXPIRED.value)
    return (await tx.execute(over)).rowcount


async def find(tx: Tx, token_hash: bytes, *, lock: bool = False) -> Survey | None:
    """The survey behind a token."""
    wanted = sa.select(survey_table).where(_s.token_hash == token_hash)
    row = (await tx.execute(wanted.with_for_update() if lock else wanted)).first()
    return _survey(row) if row else None


async def save_answer(tx: Tx, survey: Survey) -> None:
    """Write the answer of a locked survey."""
    names = ("raw", "score", "comment", "answered_at")
    changes = {name: getattr(survey, name) for name in names} | {"state": survey.state.value}
    await tx.execute(sa.update(survey_table).where(_s.id == survey.id).values(changes))


async def get_survey(tx: Tx, survey_id: UUID) -> Survey:
    """One survey. Raises NotFound."""
    row = (await tx.execute(sa.select(survey_table).where(_s.id == survey_id))).first()
    if row is None:
        raise NotFound(f"there is no survey {survey_id}", reason="SURVEY_NOT_FOUND")
    return _survey(row)


async def list_surveys(
    tx: Tx, filters: dict[str, str], after: tuple[datetime, UUID] | None, size: int
) -> tuple[list[Survey], int, int]:
    """A page, newest first; how many match in all; the share of good answers among them in percent.

    Both look at the newest COUNT_LIMIT matches only.
    """
    chosen = [_s[name] == value for name, value in filters.items()]
    newest = (_s.created_at.desc(), _s.id.desc())
    seen = sa.select(_s.state, _s.score).where(*chosen).order_by(*newest).limit(COUNT_LIMIT).subquery().c
    votes = sa.func.count().filter(seen.state == State.ANSWERED)
    good = sa.func.count().filter(seen.state == State.ANSWERED, seen.score >= GOOD)
    counted = sa.select(sa.func.count(seen.state).label("total"), votes.label("votes"), good.label("good"))
    sums = (await tx.execute(counted)).one()
    page = sa.select(survey_table).where(*chosen).order_by(*newest).limit(size)
    if after:
        page = page.where(sa.tuple_(_s.created_at, _s.id) < after)
    found = [_survey(row) for row in await tx.execute(page)]
    return found, sums.total, round(100 * sums.good / sums.votes) if sums.votes else 0


def _survey(row: Any) -> Survey:
    return Survey(**{**{name: getattr(row, name) for name in _FIELDS}, "state": State(row.state)})
