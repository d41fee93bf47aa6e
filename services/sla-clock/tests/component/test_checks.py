"""Policies that anybody sends: checked beside the process that fires marks, one at a time, with an end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from chassis.errors import Exhausted, InvalidInput, Unavailable
from chassis.testing import eventually
from sla_clock import checks
from sla_clock.checks import Prove
from sla_clock.handlers.checking import WAITING, Checks
from sla_clock.handlers.replaying import replaying
from sla_clock.handlers.tools import Progress, Trial, simulate
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk.sla.v1 import sla_service_pb2 as clocks_pb
from tickdesk.sla.v1.policy_service_pb2_grpc import PolicyServiceStub
from tickdesk.sla.v1.sla_service_pb2_grpc import SlaServiceStub

from .desk import POLICY, Case, Desk, a_desk, ago, some_works
from .processes import replays
from .test_tools import BAD, CSV, STRICTER, TESTS, known, refused, row

STRETCHES = ", ".join(
    f"{hour:02}:{minute}0-{hour:02}:{minute + 2}0" for hour in range(24) for minute in (0, 3)
)
SLOW = (
    "name: slow\ncalendars:\n"
    + "".join(f"  c{at}: {{zone: Europe/Moscow, hours: {{mon: [{STRETCHES}]}}}}\n" for at in range(100))
    + "calendar: c0\ntargets:\n"
    + "".join(f"  - {{name: r{at}, calendar: c{at}, targets: {{resolution: 5000h}}}}\n" for at in range(100))
)
"""Each calendar is compiled for a century, which takes seconds: all of them take minutes."""


AGENT, LEAD = ((("authorization", f"Bearer {name}-token"),) for name in ("agent", "admin"))


Urls = tuple[str, str, str]


@pytest.fixture
def urls(database: Callable[[str], str], nats_url: str, valkey_url: str) -> Urls:
    """What a desk of its own settings needs."""
    return database("sla_clock.migrations"), nats_url, valkey_url


@pytest.fixture
async def patient(urls: Urls, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose checks go on for as long as a slow machine needs to fire some marks."""
    async with a_desk(*urls, tmp_path, check_seconds=60) as opened:
        yield opened


WAYS = ("LintPolicy", "TestPolicy", "ApplyPolicy", "PlanPolicy", "SimulatePolicy", "ExplainClock")


@pytest.mark.parametrize("way", WAYS)
async def test_a_policy_that_takes_minutes_to_read_is_read_beside_the_service(
    patient: Desk, way: str
) -> None:
    """Marks fire and calls are answered meanwhile; its process ends with the call."""
    desk, case = patient, Case(ago(60))
    await known(desk, case)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{desk.apps[0].grpc_port}") as pipe:
        asked: dict[str, Any] = {
            "LintPolicy": pb.LintPolicyRequest(yaml=SLOW),
            "TestPolicy": pb.TestPolicyRequest(yaml=SLOW, tests=TESTS),
            "ApplyPolicy": pb.ApplyPolicyRequest(request_id="request-1", yaml=SLOW),
            "PlanPolicy": pb.PlanPolicyRequest(yaml=SLOW),
            "SimulatePolicy": pb.SimulatePolicyRequest(yaml=SLOW),
            "ExplainClock": clocks_pb.ExplainClockRequest(ticket_id=case.id, clock="resolution", yaml=SLOW),
        }
        clocks: Any = SlaServiceStub(pipe)
        stub: Any = PolicyServiceStub(pipe)
        chosen = clocks if way == "ExplainClock" else stub
        who = AGENT if way == "ExplainClock" else LEAD
        call = getattr(chosen, way)(asked[way], timeout=120, metadata=who)
        await eventually(lambda: len(replays()) == 1)
        urgent = Case(ago(6), common.PRIORITY_CRITICAL)
        await desk.tell(urgent)
        for _ in range(4):
            assert (await desk.mark(15)).ticket.id == urgent.id
        assert (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5, metadata=LEAD)).version == 1
        assert len(replays()) == 1, "marks were told while it was read"
        call.cancel()
        await eventually(lambda: not replays())


async def test_a_check_that_takes_too_long_is_ended_with_a_reason() -> None:
    quick = Checks(0.5)
    for check in (quick.lint(SLOW), quick.read(SLOW), quick.test(SLOW, TESTS)):
        with pytest.raises(Exhausted) as told:
            await check
        assert told.value.message == (
            "the check took longer than 0.5 s and was ended: send fewer rows, calendars or cases, or nearer "
            "targets; `tickdesk policy` checks files without a limit"
        )
        assert (told.value.code, told.value.reason) == ("RESOURCE_EXHAUSTED", "CHECK_TOO_LONG")
        assert not replays()


async def test_what_takes_too_long_to_check_is_neither_put_in_force_nor_tried(
    urls: Urls, tmp_path: Path
) -> None:
    async with a_desk(*urls, tmp_path, check_seconds=1.5) as desk:
        stub = await desk.policies()
        for call in (
            stub.ApplyPolicy(pb.ApplyPolicyRequest(request_id="request-1", yaml=SLOW), timeout=60),
            stub.PlanPolicy(pb.PlanPolicyRequest(yaml=SLOW), timeout=60),
            stub.SimulatePolicy(pb.SimulatePolicyRequest(yaml=SLOW, timezone="UTC"), timeout=60),
            stub.SimulatePolicy(pb.SimulatePolicyRequest(yaml=STRICTER, base_yaml=SLOW), timeout=60),
        ):
            code, _, reason, _ = await refused(call)
            assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CHECK_TOO_LONG")
        kept = await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)
        assert (kept.version, kept.yaml) == (1, POLICY)


async def test_a_lint_does_not_wait_for_a_simulation(
    database: Callable[[str], str], nats_url: str, valkey_url: str
) -> None:
    async with some_works(database, nats_url, valkey_url) as works:
        trial = Trial(STRICTER, "UTC", csv=CSV + row(1))
        async with aclosing(simulate(works, trial)) as steps:
            # It stays in the middle of its work, since nobody asks for more.
            assert [await anext(steps), await anext(steps)] == [Progress(0, 2), Progress(1, 2)]
            assert len(replays()) == 1
            assert await Checks(600).lint(BAD)
            assert len(replays()) == 1
    assert not replays()


async def test_one_check_too_many_is_refused_and_a_place_given_up_is_free_again() -> None:
    """Nobody waits in a queue that he cannot see the end of."""
    own = Checks(600)
    async with asyncio.TaskGroup() as group:
        first, *others = [group.create_task(own.lint(SLOW)) for _ in range(1 + WAITING)]
        await eventually(lambda: len(replays()) == 1)
        with pytest.raises(Exhausted) as told:
            await own.read(POLICY)
        for call in others:
            call.cancel()
        await asyncio.wait(others)
        last = group.create_task(own.read(POLICY))
        first.cancel()
    assert last.result().name == "test"
    assert (told.value.reason, told.value.message) == (
        "CHECKS_EXHAUSTED",
        "one check is being made and 4 wait: ask again in a minute; "
        "`tickdesk policy` checks files on your own machine at once",
    )


async def test_a_check_that_dies_is_told_and_the_next_one_works() -> None:
    own = Checks(60)

    async def kill() -> None:
        await eventually(lambda: len(replays()) == 1)
        os.kill(replays()[0], signal.SIGKILL)

    died, _ = await asyncio.gather(own.lint(SLOW), kill(), return_exceptions=True)
    assert isinstance(died, Unavailable)
    assert died.message == "the replay ended before its report, try again"
    assert (await own.read(POLICY)).name == "test"


async def test_an_answer_that_no_client_takes_is_refused_in_words() -> None:
    text = "x" * 4000
    wants = f"[&a {{row: {text}}}" + ", *a" * 1000 + "]"
    tests = f"cases: [{{name: many, created: Mon 09:00, expect: {{resolution: {wants}}}}}]"
    with pytest.raises(InvalidInput) as told:
        await Checks(60).test(POLICY, tests)
    assert (told.value.reason, told.value.message) == (
        "ANSWER_TOO_LONG",
        f"the answer is longer than {checks.MAX_ANSWER} characters: mend what comes first, or send less",
    )


async def test_a_check_that_is_given_up_with_its_answer_on_the_way_ends() -> None:
    """Nobody reads the answer any more, so flow control holds its rest back: that must not hold the call."""
    # Three bytes a letter: more than twice what may wait unread.
    wants = ", ".join(f"{{row: {'€' * 4000}{number}}}" for number in range(30))
    tests = f"cases: [{{name: many, created: Mon 09:00, expect: {{resolution: [{wants}]}}}}]"

    def held_back() -> bool:
        pipes = [one for one in gc.get_objects() if isinstance(one, asyncio.ReadTransport)]
        both = asyncio.WriteTransport
        return any(
            not isinstance(one, both) and not one.is_reading() and not one.is_closing() for one in pipes
        )

    async with asyncio.timeout(60), replaying(Prove(POLICY, tests)) as ask:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(()), 0.001)
        await eventually(held_back, 30)
    assert not replays()
