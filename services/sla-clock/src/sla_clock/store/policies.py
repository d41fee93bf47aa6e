"""Versions of the policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from chassis.db import Tx
from chassis.errors import NotFound
from sla_clock.store.tables import policy_table

_POLICY_LOCK = 0x706F6C69


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A version of the policy as it was applied."""

    version: int
    name: str
    yaml: str
    origin: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A version of the policy without its text."""

    version: int
    name: str
    origin: str
    applied_at: datetime


async def policy_version(tx: Tx) -> int:
    """The version in force; 0 when there is none."""
    return await tx.conn.scalar(_IN_FORCE) or 0


_IN_FORCE = sa.select(sa.func.max(policy_table.c.version))


async def find_policy(tx: Tx, version: int) -> StoredPolicy:
    """A version of the policy. Raises NotFound."""
    query = sa.select(policy_table).where(policy_table.c.version == version)
    found = (await tx.execute(query)).mappings().first()
    if found is None:
        what = f"there is no version {version} of the policy" if version else "no policy is in force yet"
        raise NotFound(what, reason="POLICY_NOT_FOUND")
    return StoredPolicy(**found)


async def list_policies(tx: Tx, below: int | None, limit: int) -> list[PolicyLine]:
    """Versions below that one, or all, newest first."""
    query = _LINES if below is None else _LINES.where(policy_table.c.version < below)
    found = await tx.execute(query.order_by(policy_table.c.version.desc()).limit(limit))
    return [PolicyLine(**one) for one in found.mappings()]


_LINES = sa.select(*(policy_table.c[name] for name in PolicyLine.__dataclass_fields__))


async def newest_policy(tx: Tx, origin: str) -> StoredPolicy | None:
    """The newest version that came from there (`file` or `api`)."""
    wanted = policy_table.c.origin == origin
    query = sa.select(policy_table).where(wanted).order_by(policy_table.c.version.desc()).limit(1)
    found = (await tx.execute(query)).mappings().first()
    return None if found is None else StoredPolicy(**found)


async def lock_policies(tx: Tx) -> None:
    """Let nobody else apply a policy until this unit of work is over."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_POLICY_LOCK)))


async def add_policy(tx: Tx, stored: StoredPolicy) -> None:
    """Put a version in force."""
    values = {name: getattr(stored, name) for name in StoredPolicy.__dataclass_fields__}
    await tx.execute(sa.insert(policy_table), values)
