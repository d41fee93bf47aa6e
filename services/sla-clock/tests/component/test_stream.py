"""Who reads only the stream SLA knows all that GetClocks knows."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from chassis.clock import utcnow
from chassis.testing import eventually
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2, policy_service_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.tickets.v1 import timeline_pb2

from .desk import Case, Desk, a_desk

POLICY = """\
name: test
calendars:
  office: {zone: Europe/Moscow, hours: {mon-sun: ["00:00-11:00", "11:30-24:00"]}}
targets:
  - name: critical
    priority: critical
    targets: {pickup: 4m, first_response: 10m, next_response: 10m, resolution: 90m}
  - name: all
    targets: {pickup: 15m, first_response: 1h, accepted_response: 20m, next_response: 1h, resolution: 10h}
"""
EDITED = (
    POLICY.replace("first_response: 1h", "first_response: 45m")
    .replace("pickup: 15m, ", "")
    .replace("resolution: 90m", "acknowledge: 5m, resolution: 3h")
    + "marks:\n  - {at: 50%, action: remind}\n  - {at: 100%, action: breach}\n"
)
PENDING, CANCELLED = clock_pb2.CLOCK_STATE_PENDING, clock_pb2.CLOCK_STATE_CANCELLED
OVER = (clock_pb2.CLOCK_STATE_MET, CANCELLED)
Key = tuple[str, str, int]


@dataclass
class Picture:
    """All that a reader of the stream keeps; the order of arrival of clocks and marks does not matter."""

    clocks: dict[Key, clock_pb2.Clock] = field(default_factory=dict)
    reached: dict[tuple[Key, int], set[str]] = field(default_factory=dict)

    def take(self, event: Any) -> None:
        """One event."""
        if isinstance(event, sla.MarkReached):
            key = (event.ticket.id, event.clock, event.cycle)
            told = self.reached.setdefault((key, event.generation), set())
            told.update([event.mark.name, *event.folded_marks])
        elif hasattr(event, "clock"):
            key = (event.ticket.id, event.clock.name, event.clock.cycle)
            self.clocks[key] = event.clock

    def of(self, ticket_id: str) -> dict[tuple[str, int], tuple[object, ...]]:
        """The clocks of a ticket, without those that the policy dropped."""
        return {
            key[1:]: told(clock, self.reached.get((key, clock.generation), set()))
            for key, clock in self.clocks.items()
            # A dropped clock says no more than that it is no more: not even when it began.
            if key[0] == ticket_id and not (clock.state == CANCELLED and not clock.HasField("started_time"))
        }


def told(clock: clock_pb2.Clock, reached: Iterable[str]) -> tuple[object, ...]:
    """What both say of a clock; what depends on the present (elapsed of a running one) is left out.

    The event that ends a clock says all that was reached; until then marks are told as they come.
    """
    over = clock.state in OVER
    passed = {one.name for one in clock.marks if one.reached or (not over and one.name in reached)}
    missed = any(one.action == clock_pb2.MARK_ACTION_BREACH and one.name in passed for one in clock.marks)
    return (
        clock_pb2.ClockState.Name(clock.state),
        clock.target.ToMicroseconds(),
        clock.started_time.ToMicroseconds(),
        clock.due_time.ToMicroseconds(),
        clock.met_time.ToMicroseconds(),
        clock.breached or missed,
        clock.policy_row,
        clock.elapsed.ToMicroseconds() if over else None,
        tuple((one.name, one.due_time.ToMicroseconds()) for one in clock.marks),
        frozenset(passed),
    )


async def shown(desk: Desk, case: Case) -> dict[tuple[str, int], tuple[object, ...]]:
    """The same out of GetClocks; a pending clock has nothing to tell, so the stream says nothing of it."""
    answer = await (await desk.stub()).GetClocks(pb.GetClocksRequest(ticket_id=case.id), timeout=5)
    return {(one.name, one.cycle): told(one, ()) for one in answer.clocks if one.state != PENDING}


async def generations(desk: Desk, case: Case) -> dict[Key, int]:
    """Of the newest cycles, as GetClocks says."""
    answer = await (await desk.stub()).GetClocks(pb.GetClocksRequest(ticket_id=case.id), timeout=5)
    return {
        (case.id, one.name, one.cycle): one.generation
        for one in answer.clocks
        if one.generation and one.state != PENDING
    }


@pytest.fixture
async def desk(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[Desk]:
    url = database("sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path, policy=POLICY) as opened:
        yield opened


class Story:
    """A ticket's life by chance: facts in the order of time, told in pieces, some of them late or twice."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.at = utcnow() - timedelta(minutes=dice.randint(20, 3000))
        priority = dice.choice((common.PRIORITY_CRITICAL, common.PRIORITY_NORMAL))
        self.case = Case(self.at, priority)
        self.kind = "new"

    def go_on(self) -> None:
        """One more fact, some minutes later."""
        self.at = min(self.at + timedelta(minutes=self.dice.randint(1, 90)), utcnow() - timedelta(seconds=1))
        getattr(self, self.dice.choice(self._possible()))()

    def _possible(self) -> list[str]:
        if self.kind in ("resolved", "closed"):
            return ["reopened", "closed"] if self.kind == "resolved" else ["reopened"]
        return ["customer", "customer", "staff", "staff", "taken", "waiting", "open", "resolved", "priority"]

    def customer(self) -> None:
        run = timeline_pb2.MessageRun(count=1)
        self.case.add(customer_messages=run, at=self.at)

    def staff(self) -> None:
        self.case.replied(self.at)

    def taken(self) -> None:
        agent = self.dice.choice(("anna", "boris", ""))
        self.case.add(taken=timeline_pb2.Taken(agent_id=agent), at=self.at)

    def waiting(self) -> None:
        self._move("waiting")

    def open(self) -> None:
        self._move("open")

    def resolved(self) -> None:
        self.case.add(resolved=timeline_pb2.Resolved(), at=self.at)
        self._move("resolved")

    def closed(self) -> None:
        if self.kind != "closed":
            self.case.add(closed=timeline_pb2.Closed(), at=self.at)
        self._move("closed")

    def reopened(self) -> None:
        self.case.add(reopened=timeline_pb2.Reopened(), at=self.at)
        self._move("open")

    def priority(self) -> None:
        changed = timeline_pb2.PriorityChanged(to=common.PRIORITY_NORMAL)
        if self.case.priority == common.PRIORITY_NORMAL:
            changed.to = common.PRIORITY_CRITICAL
        self.case.priority = changed.to
        self.case.add(priority_changed=changed, at=self.at)

    def _move(self, kind: str) -> None:
        self.kind = kind
        self.case.status(kind, self.at)


async def lived(desk: Desk, dice: random.Random, count: int) -> list[Case]:
    """Stories told piece by piece, their pieces shuffled among each other."""
    stories = [Story(dice) for _ in range(count)]
    pieces = [story for story in stories for _ in range(dice.randint(1, 8))]
    dice.shuffle(pieces)
    for story in pieces:
        for _ in range(dice.randint(0, 3)):
            story.go_on()
        await desk.tell(story.case, twice=dice.random() < 0.1)
    for story in stories:
        await desk.tell(story.case)
    return [story.case for story in stories]


def picture(seen: list[Message]) -> Picture:
    found = Picture()
    for event in seen:
        found.take(event)
    return found


async def in_the_end(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; a failure shows what differs."""
    with suppress(AssertionError):
        await eventually(check, 60)
    assert await check()


async def agrees(desk: Desk, cases: list[Case]) -> bool:
    """Whether both pictures are the same; asserts so that a failure shows what differs."""
    seen = picture(desk.watch.seen)
    for case in cases:
        assert seen.of(case.id) == await shown(desk, case)
    for case in cases:
        told_now = {key: seen.clocks[key].generation for key in await generations(desk, case)}
        assert told_now == await generations(desk, case)
    return True


async def test_the_stream_alone_tells_all_that_get_clocks_tells(desk: Desk) -> None:
    """States, cycles, due instants, marks reached, generations: over random lives of many tickets."""
    seed = time.time_ns() % 10**6
    cases = await lived(desk, random.Random(seed), 40)
    sys.stdout.write(f"seed {seed}\n")
    await in_the_end(lambda: agrees(desk, cases))


async def test_the_stream_tells_what_an_edit_of_the_policy_does(desk: Desk) -> None:
    """Targets, marks, clocks that come and go. What was over before it stays as it was told."""
    seed = time.time_ns() % 10**6
    sys.stdout.write(f"seed {seed}\n")
    cases = await lived(desk, random.Random(seed), 20)
    await in_the_end(lambda: agrees(desk, cases))
    request = policy_service_pb2.ApplyPolicyRequest(request_id="request-1", yaml=EDITED)
    await (await desk.policies()).ApplyPolicy(request, timeout=20)

    async def follows() -> bool:
        seen = picture(desk.watch.seen)
        for case in cases:
            now = {key: one for key, one in (await shown(desk, case)).items() if _runs(one)}
            assert {key: one for key, one in seen.of(case.id).items() if _runs(one)} == now
        return True

    await in_the_end(follows)
    assert desk.watch.of(sla.RecalculationFinished)


def _runs(one: tuple[object, ...]) -> bool:
    return one[0] in ("CLOCK_STATE_RUNNING", "CLOCK_STATE_PAUSED")
