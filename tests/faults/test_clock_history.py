"""The judge of histories sees each fault that it is there to see."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from chassis.bus import Outgoing
from chassis.clock import utcnow
from chassis.db import Database
from sla_clock.policyfile import load
from tests.faults.clockwork import LEASE, POLICY, Servers, clockwork
from tests.faults.history import Effect, Verdict, expected, judge
from tests.faults.story import Story, after
from tickdesk.sla.v1.events_pb2 import MarkReached

pytestmark = pytest.mark.xdist_group("desk")

STORY = Story(after(-60))
WANTED = expected(STORY.ticket(), load(POLICY))
TOLD = [
    Effect(*key, due=at, reached=at + 5, lateness=5, seen=at + 9)
    for key, at in WANTED.items()
    if key[3] not in ("25%", "75%")
]
TOLD[-2] = replace(TOLD[-2], folded=("25%", "75%"))


def faults(*effects: Effect) -> list[str]:
    verdict = judge(WANTED, effects)
    return [name for name in Verdict.__slots__ if getattr(verdict, name)]


def test_a_history_without_faults_is_clean() -> None:
    assert [key[3] for key in WANTED] == ["25%", "50%", "75%", "100%", "150%"]
    assert judge(WANTED, TOLD).clean


@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        ("missing", TOLD[:-1]),
        ("missing", [*TOLD[:-2], replace(TOLD[-2], folded=("25%",)), TOLD[-1]]),
        ("doubled", [*TOLD, TOLD[0]]),
        ("doubled", [*TOLD, replace(TOLD[0], mark="25%", due=WANTED[STORY.id, "resolution", 1, "25%"])]),
        ("early", [*TOLD[:-1], replace(TOLD[-1], seen=TOLD[-1].due - 1)]),
        ("unexpected", [*TOLD, replace(TOLD[0], cycle=2)]),
        ("untrue", [*TOLD[:-1], replace(TOLD[-1], lateness=0)]),
        ("untrue", [*TOLD[:-1], replace(TOLD[-1], due=TOLD[-1].due + 1)]),
    ],
)
def test_each_fault_is_seen(fault: str, effects: list[Effect]) -> None:
    assert fault in faults(*effects)
    assert not judge(WANTED, effects).clean


async def test_the_verdict_waits_for_what_is_still_to_be_sent(
    servers: Servers, database: Callable[..., str], tmp_path: Path
) -> None:
    """A worker that dies has its batch sent again seconds later; a double would come no sooner."""
    mark = Outgoing(
        MarkReached.DESCRIPTOR.full_name, MarkReached().SerializeToString(), "late", "late", utcnow(), {}
    )
    enter = "insert into mark_batch (xact, fired_at, marks) values (pg_current_xact_id(), now(), 1)"
    async with (
        clockwork(servers, database(), tmp_path) as work,
        Database(servers.postgres_url, "test") as db,
        asyncio.TaskGroup() as group,
    ):
        async with db.tx() as tx:
            await tx.execute(sa.text(enter))
        verdict = group.create_task(work.complete(set()))
        await asyncio.sleep(4 * LEASE)
        await work.publish([mark])
        async with db.tx() as tx:
            await tx.execute(sa.text("update mark_batch set published_at = now()"))
        assert len(await verdict) == 1
