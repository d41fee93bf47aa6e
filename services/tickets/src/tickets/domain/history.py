"""What a timeline says in rows: the spans that are over, and what each cycle came to.

Everything here is a pure function of the timeline and the score: written live and made again, rows are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import singledispatch

from tickets.domain import timeline as facts
from tickets.domain.timeline import Fact


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is over, in which a ticket was in one state."""

    from_time: datetime
    to_time: datetime
    cycle: int
    status: str
    status_kind: int
    line: int
    assignee: str


@dataclass(slots=True)
class Cycle:
    """What a cycle came to. A moment that was not has no time; who and on which line go with it.

    `escalated`: it went up a line. `came_back`: the customer wrote between the first reply and the solution.
    """

    cycle: int
    began_time: datetime
    highest_line: int
    taken_time: datetime | None = None
    taken_by: str | None = None
    taken_line: int | None = None
    replied_time: datetime | None = None
    replied_by: str | None = None
    replied_line: int | None = None
    resolved_time: datetime | None = None
    resolved_by: str | None = None
    resolved_line: int | None = None
    closed_time: datetime | None = None
    reopened_time: datetime | None = None
    rated_time: datetime | None = None
    score: int | None = None
    escalated: bool = False
    came_back: bool = False

    @property
    def tells(self) -> bool:
        """Whether there is something to report of it."""
        return any((self.taken_time, self.replied_time, self.resolved_time, self.closed_time))


@dataclass(frozen=True, slots=True)
class History:
    """Spans in their order, and cycles by number."""

    spans: Sequence[Span] = ()
    cycles: Sequence[Cycle] = ()

    def since(self, earlier: "History") -> "History":
        """What is new or different since then."""
        last = earlier.spans[-1].to_time if earlier.spans else None
        spans = [each for each in self.spans if last is None or each.to_time > last]
        return History(spans, [each for each in self.cycles if each not in earlier.cycles])


@dataclass(slots=True)
class _Walk:
    """A walk along the facts: the state at hand, when it began, and what was seen."""

    since: datetime
    state: Span
    cycle: Cycle
    spans: list[Span] = field(default_factory=list)
    cycles: list[Cycle] = field(default_factory=list)
    asked: bool = False

    def enter(self, at: datetime, **state: str | int) -> None:
        """Go on in another state; what lasted no time was never there."""
        changed = replace(self.state, **state)  # type: ignore[arg-type]
        if changed == self.state:
            return
        if at > self.since:
            self.spans.append(replace(self.state, from_time=self.since, to_time=at))
            self.since = at
        self.state = changed


def history(timeline: Sequence[Fact], rated: tuple[int, int, datetime] | None = None) -> History:
    """The rows of a timeline; `rated` is the cycle that was rated, its score, and when."""
    if not timeline or not isinstance(timeline[0], facts.Created):
        return History()
    birth = timeline[0]
    state = Span(birth.time, birth.time, 1, birth.status, birth.status_kind, birth.line, "")
    walk = _Walk(birth.time, state, Cycle(1, birth.time, birth.line))
    walk.cycles.append(walk.cycle)
    for fact in timeline:
        _pass(fact, walk)
    for cycle in walk.cycles:
        if rated and cycle.cycle == rated[0]:
            cycle.score, cycle.rated_time = rated[1:]
    return History(walk.spans, [each for each in walk.cycles if each.tells])


@singledispatch
def _pass(fact: Fact, walk: _Walk) -> None:
    """Most facts are no part of the history."""


@_pass.register
def _(fact: facts.StatusChanged, walk: _Walk) -> None:
    walk.enter(fact.time, status=fact.to, status_kind=fact.to_kind)


@_pass.register
def _(fact: facts.LineChanged, walk: _Walk) -> None:
    walk.enter(fact.time, line=fact.to)
    walk.cycle.highest_line = max(walk.cycle.highest_line, fact.to)
    walk.cycle.escalated |= fact.to > fact.from_


@_pass.register
def _(fact: facts.Taken, walk: _Walk) -> None:
    walk.enter(fact.time, assignee=fact.agent_id)
    cycle = walk.cycle
    if fact.agent_id and cycle.taken_time is None:
        cycle.taken_time, cycle.taken_by, cycle.taken_line = fact.time, fact.agent_id, walk.state.line


@_pass.register
def _(fact: facts.CustomerMessages, walk: _Walk) -> None:
    walk.asked = True
    walk.cycle.came_back |= walk.cycle.replied_time is not None and walk.cycle.resolved_time is None


@_pass.register
def _(fact: facts.StaffReplies, walk: _Walk) -> None:
    cycle = walk.cycle
    # What nobody asked is no answer.
    if walk.asked and cycle.replied_time is None:
        cycle.replied_time, cycle.replied_by, cycle.replied_line = fact.time, fact.agent_id, walk.state.line


@_pass.register
def _(fact: facts.Resolved, walk: _Walk) -> None:
    cycle = walk.cycle
    if cycle.resolved_time is None:
        cycle.resolved_time, cycle.resolved_line = fact.time, walk.state.line
        cycle.resolved_by = fact.agent_id or walk.state.assignee


@_pass.register
def _(fact: facts.Closed, walk: _Walk) -> None:
    walk.cycle.closed_time = fact.time


@_pass.register
def _(fact: facts.Reopened, walk: _Walk) -> None:
    walk.cycle.reopened_time = fact.time
    walk.enter(fact.time, cycle=fact.cycle)
    walk.cycle = Cycle(fact.cycle, fact.time, walk.state.line)
    walk.cycles.append(walk.cycle)
