"""Brings open tickets under another policy."""

from __future__ import annotations

from dataclasses import replace

from sla_clock.handlers.follow import recompute
from sla_clock.handlers.works import Works
from sla_clock.store import tickets


async def recalculate(works: Works, limit: int) -> int:
    """Bring open tickets under the policy in force, at most so many; how many were."""
    async with works.db.tx() as tx:
        policy = await works.book.in_force(tx)
        outdated = await tickets.lock_outdated(tx, policy.version, limit)
        for row in outdated:
            anew = replace(row, policy_version=policy.version, revision=row.revision + 1)
            await recompute(works, tx, anew, policy, edit=f"policy {policy.name} {policy.version}")
    return len(outdated)
