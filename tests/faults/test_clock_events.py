"""News of tickets comes late, twice and in any order; the clocks end as if it had come well."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from chassis.bus import Outgoing
from chassis.clock import utcnow
from sla_clock import convert
from sla_clock.policy import clocks
from tests.faults.clockwork import SOAK, Clockwork, since
from tests.faults.history import Effect, Key, early, expected
from tests.faults.story import Story, after
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1.clock_pb2 import Clock
from tickdesk.tickets.v1 import timeline_pb2 as facts

pytestmark = [pytest.mark.timeout(3600 if SOAK else 240), pytest.mark.xdist_group("desk")]
LIVES, OVERDUE = (1000, 300) if SOAK else (60, 40)
TOLD = ("name", "cycle", "state", "target", "started_time", "due_time", "met_time", "elapsed")

Step = Callable[[Story, datetime], Story]
STEPS: tuple[Step, ...] = (
    Story.replied,
    Story.asked,
    lambda story, at: story.add(at, taken=facts.Taken(agent_id="anna")),
    lambda story, at: story.status("waiting", at),
    lambda story, at: story.status("open", at),
    lambda story, at: story.status("resolved", at).add(at, resolved=facts.Resolved(agent_id="anna")),
    lambda story, at: story.status("open", at).add(at, reopened=facts.Reopened()),
)


def life(rng: random.Random) -> Story:
    """A ticket that goes through anything within the seconds before and after now."""
    at = after(-rng.uniform(3, 6))
    story = Story(at, rng.choice((common.PRIORITY_CRITICAL, common.PRIORITY_HIGH)))
    for _ in range(rng.randint(0, 8)):
        at += timedelta(seconds=rng.uniform(0, 1.5))
        rng.choice(STEPS)(story, at)
    return story


def shuffled(rng: random.Random, lives: list[Story]) -> list[Outgoing]:
    """Every version of every ticket, some of them twice, in any order."""
    told = [story.event(version) for story in lives for version in range(1, story.version + 1)]
    again = [story.event(rng.randint(1, story.version), copy="-again") for story in lives]
    return rng.sample(told + again, len(told + again))


async def test_events_reordered_repeated_and_delayed_leave_the_clocks_of_the_model(
    work: Clockwork, rng: random.Random
) -> None:
    """faults 5, 6: tickets is away for a while, then its news comes at once, and not in order."""
    lives = [life(rng) for _ in range(LIVES)]
    events = shuffled(rng, lives)
    await work.publish(events[: len(events) // 2])
    await asyncio.sleep(3)
    await work.publish(events[len(events) // 2 :])
    for story, answer in zip(lives, await work.heard(lives), strict=True):
        assert list(map(told, answer.clocks)) == list(map(told, model(work, story, answer.clocks)))
    final = [expected(story.ticket(), work.policy) for story in lives]
    effects = await work.complete({key for one in final for key in one})
    assert not early(effects)
    assert wrong(work, lives, effects) == []


def told(clock: Clock) -> list[object]:
    return [getattr(clock, name) for name in TOLD]


def model(work: Clockwork, story: Story, answer: Sequence[Clock]) -> list[Clock]:
    """What the pure core says of the ticket's facts, at the instant of the answer."""
    ticket = story.ticket()
    known = clocks(convert.timeline(ticket.timeline, convert.attributes(ticket)), work.policy)
    as_of = answer[0].as_of_time.ToMicroseconds() if answer else 0
    return [convert.clock_message(one, as_of) for one in convert.all_cycles(known)]


def wrong(work: Clockwork, lives: list[Story], effects: list[Effect]) -> list[str]:
    """Marks that never came, came more often than they had instants, or that no version knows."""
    count: Counter[Key] = Counter(key for effect in effects for key in effect.keys)
    exact = Counter((*effect.key, effect.due) for effect in effects)
    found = [f"{key} told {times} times" for key, times in exact.items() if times > 1]
    for story in lives:
        final = expected(story.ticket(), work.policy)
        versions = [expected(story.ticket(each), work.policy) for each in range(1, story.version + 1)]
        known = {key: {one[key] for one in versions if key in one} for one in versions for key in one}
        found += [f"{key} never told" for key in final if not count[key]]
        mine = [key for key in count if key[0] == story.id]
        found += [f"{key} told {count[key]} times" for key in mine if count[key] > len(known.get(key, ()))]
    return found


async def test_after_an_outage_each_overdue_mark_is_told_once_and_people_get_one_message(
    work: Clockwork,
) -> None:
    """All replicas are away while reminders, the breach and the overrun pass: reminders are folded.

    Half of the tickets were known before, half are heard of only afterwards.
    """
    # Time enough to be heard of, one after the other, before the first mark.
    lead = 10 + OVERDUE / 10
    known = [Story(after(lead), common.PRIORITY_CRITICAL) for _ in range(OVERDUE)]
    await work.tell(known)
    await work.heard(known)
    for replica in work.replicas:
        await replica.kill()
    assert not work.witness.keys, "this machine is too slow to end the replicas before the first mark"
    await work.tell(Story(after(1), common.PRIORITY_CRITICAL) for _ in range(OVERDUE))
    last = since(max(work.wanted().values()))
    await asyncio.sleep((last - utcnow()).total_seconds() + 0.1)
    for replica in work.replicas:
        replica.start()
    effects = await work.exactly_once()
    assert Counter(effect.mark for effect in effects) == dict.fromkeys(("50%", "100%", "150%"), 2 * OVERDUE)
    assert {effect.folded for effect in effects if effect.mark == "100%"} == {("25%", "75%")}
    assert all(effect.lateness > 0 for effect in effects)
