"""Brings open tickets under another policy, or other time zones and holidays, in the background."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from functools import partial

from chassis import telemetry
from chassis.db import Tx
from sla_clock.calendar import MICROS, micros
from sla_clock.convert import duration, timestamp
from sla_clock.domain import State
from sla_clock.handlers.follow import Computed, compute, tell
from sla_clock.handlers.works import Works
from sla_clock.metrics import RECALCULATED
from sla_clock.policy import Policy
from sla_clock.standing import Change, Turn
from sla_clock.store import ledger, policies, tickets
from sla_clock.store import recalculations as store
from sla_clock.store.recalculations import Recalculation, Written
from sla_clock.store.tickets import TicketRow
from tickdesk.sla.v1 import policy_pb2 as pb
from tickdesk.sla.v1.events_pb2 import RecalculationFinished

log = telemetry.logger(__name__)

_AT_ONCE = 8
"""Tickets computed in a row: marks that fall due wait for so many at most."""


async def note_data(works: Works) -> None:
    """Begin a recalculation when time zones or holidays are not those that tickets were computed with."""
    async with works.db.tx() as tx:
        await policies.lock_policies(tx)
        known = await store.find_recalculation(tx)
        version = await policies.policy_version(tx)
        if version == 0 or (known is not None and known.data == works.data):
            return
        cause = _data_cause(known.data, works.data) if known else "upgrade"
        name = (await policies.find_policy(tx, version)).name
        await store.begin_recalculation(tx, name, version, works.data, cause)
    log.info("recalculating", cause=cause)


def _data_cause(old: str, new: str) -> str:
    """`tzdata 2026b -> 2026c`: what differs."""
    before, after = (dict(part.split(" ", 1) for part in text.split(", ")) for text in (old, new))
    moved = [f"{name} {before.get(name)} -> {at}" for name, at in after.items() if before.get(name) != at]
    return ", ".join(moved)


async def recalculate(works: Works, limit: int) -> int:
    """Bring some open tickets under the policy and the data in force; how many were looked at.

    Rows are held while they are computed, and so passed over by other replicas; their wake-ups are not, so
    that they fire meanwhile: such a ticket is left for the next round.
    """
    started = time.monotonic()
    async with works.db.tx() as tx:
        under = await store.find_recalculation(tx)
        if under is None or under.data != works.data:
            # Another replica has newer data: who has it does this.
            return 0
        policy = await works.book.version(tx, under.version)
        rows = await store.lock_outdated(tx, policy.version, works.data, limit)
        if rows:
            if under.total is None:
                total = await store.count_outdated(tx, policy.version, works.data)
                await store.set_total(tx, under, total)
            await _rewrite(works, tx, rows, (policy, under), started)
        elif under.finished_at is None:
            await _finish(works, tx, policy, under)
    return len(rows)


async def _rewrite(
    works: Works, tx: Tx, rows: list[TicketRow], under: tuple[Policy, Recalculation], started: float
) -> None:
    policy, recalculation = under
    edit = recalculation.cause
    if edit == "policy":
        edit = f"policy {policy.name} {policy.version}"
    found: list[tuple[int, Computed]] = []
    now = await tickets.instant(tx)
    for number, row in enumerate(await ledger.with_told(tx, rows), 1):
        anew = replace(row, policy_version=policy.version, data=works.data, revision=row.revision + 1)
        found.append((row.revision, compute(anew, policy, now, edit)))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    written = await store.write_tickets(tx, [Written(one.row, one.running, known) for known, one in found])
    figures: Counter[str] = Counter()
    for _, one in found:
        if one.row.ticket_id in written:
            tell(works, tx, one, policy)
            figures.update(filter(None, map(moved, one.changes)))
    RECALCULATED.inc(len(written))
    # A straggler after the end changes no figures that were told.
    if recalculation.finished_at is None:
        took = int((time.monotonic() - started) * MICROS)
        await tx.flush()
        await store.add_progress(tx, recalculation, {**figures, "done": len(written), "took": took})


def moved(change: Change) -> str:
    """What an edit did to a clock: `earlier`, `later`, `added`, `dropped`, or nothing of these."""
    if change.turn is Turn.CANCELLED and change.clock is None:
        return "dropped"
    if change.before is None or change.before.state is State.PENDING:
        return "added" if change.turn is Turn.STARTED else ""
    if change.clock is None or change.clock.due is None or change.before.due is None:
        return ""
    if change.clock.due == change.before.due:
        return ""
    return "earlier" if change.clock.due < change.before.due else "later"


async def _finish(works: Works, tx: Tx, policy: Policy, under: Recalculation) -> None:
    """Tell that it is through, unless a replica is still at the last tickets, or has told it."""
    if await store.any_outdated(tx, policy.version, works.data):
        return
    done = await store.finish_recalculation(tx, under)
    if done is None:
        return
    tx.emit(RecalculationFinished(recalculation=recalculation_message(done)), key=done.policy)
    told = {name: getattr(done, name) for name in ("done", "earlier", "later", "added", "dropped")}
    tx.after_commit(
        partial(log.info, "recalculated", cause=done.cause, seconds=round(done.took / MICROS, 3), **told)
    )


def recalculation_message(one: Recalculation) -> pb.Recalculation:
    """How far it is, for the wire."""
    return pb.Recalculation(
        policy=one.policy,
        version=one.version,
        cause=one.cause,
        total=max(one.total or 0, one.done),
        done=one.done,
        earlier=one.earlier,
        later=one.later,
        added=one.added,
        dropped=one.dropped,
        started_time=timestamp(micros(one.started_at)),
        finished_time=timestamp(micros(one.finished_at)) if one.finished_at else None,
        took=duration(one.took),
    )
