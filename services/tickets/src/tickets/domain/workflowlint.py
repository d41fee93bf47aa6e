"""What is wrong or doubtful in a workflow, each with its path in the setup."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from tickets.domain.model import Line
from tickets.domain.statuses import NEEDED, REACHABLE, Status, StatusKind, Transition, Workflow
from tickets.domain.topics import required_faults

_MOST_STATUSES = 7


def faults(flow: Workflow, fields: Collection[str]) -> Iterator[tuple[str, str]]:
    """What makes it impossible; `fields` are the keys of the queue's custom fields."""
    yield from _status_faults(flow)
    yield from _kind_faults(flow)
    broken = False
    for index, transition in enumerate(flow.transitions):
        for path, text in _transition_faults(flow, transition, fields):
            broken = True
            yield f"workflow.transitions[{index}].{path}", text
    if not broken:
        yield from _ending_faults(flow)


def doubts(flow: Workflow) -> Iterator[tuple[str, str]]:
    """What may be meant, but is rarely."""
    if len(flow.statuses) > _MOST_STATUSES:
        text = f"has {len(flow.statuses)} statuses: more than {_MOST_STATUSES} are hard to keep apart (CA-08)"
        yield "workflow.statuses", text
    ways = _ways(flow)
    reached = {after.key for found in ways.values() for after in found}
    for index, status in enumerate(flow.statuses):
        path, kinds = f"workflow.statuses[{index}]", {each.kind for each in ways[status.key]}
        born = status.kind == StatusKind.NEW and flow.first(StatusKind.NEW, status.line) == status
        if status.key not in reached and not born:
            yield path, f"{status.key} is never reached: no transition leads to it"
        if status.kind == StatusKind.NEW and StatusKind.OPEN not in kinds:
            yield path, f"nobody can take a ticket that is {status.key}: no transition leads to the kind open"
        if status.kind == StatusKind.OPEN and StatusKind.NEW not in kinds:
            yield path, f"nobody can give back a ticket that is {status.key}: none leads to the kind new"


def _status_faults(flow: Workflow) -> Iterator[tuple[str, str]]:
    counts = Counter(each.key for each in flow.statuses)
    for index, status in enumerate(flow.statuses):
        if counts[status.key] > 1:
            yield f"workflow.statuses[{index}].key", f"{status.key} is the key of another status too"
        if not status.name["en"]:
            yield f"workflow.statuses[{index}].name", "must have words in Russian or English"


def _kind_faults(flow: Workflow) -> Iterator[tuple[str, str]]:
    kinds = {each.kind for each in flow.statuses}
    for kind in NEEDED:
        if kind not in kinds:
            yield "workflow.statuses", f"must have a status of the kind {kind.name.lower()}"
    yield from _missing(flow, list(Line)[: _last_named(flow)])


def line_faults(flow: Workflow, last_line: int) -> Iterator[tuple[str, str]]:
    """Statuses that tickets lack on lines which no status names: those above, up to the queue's last."""
    return _missing(flow, list(Line)[_last_named(flow) : last_line])


def _last_named(flow: Workflow) -> int:
    return max((each.line for each in flow.statuses), default=0)


def _missing(flow: Workflow, lines: Iterable[Line]) -> Iterator[tuple[str, str]]:
    """What tickets cannot become on a line."""
    for line in lines:
        for kind in flow.missing(line):
            name = kind.name.lower()
            yield "workflow.statuses", f"must have a status of the kind {name} for tickets on {line.name}"


def _transition_faults(
    flow: Workflow, transition: Transition, fields: Collection[str]
) -> Iterator[tuple[str, str]]:
    statuses = {each.key: each for each in flow.statuses}
    for index, key in enumerate(transition.from_):
        if key not in statuses:
            yield f"from[{index}]", f"{key} is no status of the workflow"
        elif key == transition.to:
            yield f"from[{index}]", f"{key} is where it leads to"
        elif transition.to in statuses and not _leads(statuses[key], statuses[transition.to]):
            before, after = statuses[key].kind.name.lower(), statuses[transition.to].kind.name.lower()
            yield f"from[{index}]", f"no verb leads from the kind {before} to {after}"
    if transition.to not in statuses:
        yield "to", f"{transition.to} is no status of the workflow"
    yield from required_faults(transition.required, fields)
    if transition.guard and transition.guard.fault:
        yield "guard", transition.guard.fault


def _ending_faults(flow: Workflow) -> Iterator[tuple[str, str]]:
    """Every ticket must be able to end, and a resolved one closes by itself when its term runs out."""
    ways = _ways(flow)
    ends = {each.key for each in flow.statuses if each.kind == StatusKind.CLOSED}
    for _ in flow.statuses:
        ends |= {key for key, found in ways.items() if any(after.key in ends for after in found)}
    for index, status in enumerate(flow.statuses):
        closes = any(after.kind == StatusKind.CLOSED for after in ways[status.key])
        if status.key not in ends:
            yield f"workflow.statuses[{index}]", f"a ticket that is {status.key} can never be closed"
        elif status.kind == StatusKind.RESOLVED and not closes:
            text = (
                f"a ticket that is {status.key} cannot be closed when its term runs out: none leads to closed"
            )
            yield f"workflow.statuses[{index}]", text


def _ways(flow: Workflow) -> dict[str, list[Status]]:
    """Where a ticket may go at once from each status, whatever its line is or becomes."""
    statuses = {each.key: each for each in flow.statuses}
    ways: dict[str, list[Status]] = {key: [] for key in statuses}
    for transition in flow.transitions:
        after = statuses.get(transition.to)
        for key in (transition.from_ or statuses) if after else ():
            if key in statuses and after and _leads(statuses[key], after):
                ways[key].append(after)
    return ways


def _leads(before: Status, after: Status) -> bool:
    """Whether a verb, or a move by hand, leads from one to the other."""
    return before.key != after.key and after.kind in REACHABLE[before.kind]
