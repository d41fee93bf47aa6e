"""What a queue lets its lines do, and what escalates by itself: guards, criteria, form, rules."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import pairwise

from chassis.errors import InvalidInput, Refused, Violation
from tickets.domain import keywords, rules
from tickets.domain import timeline as facts
from tickets.domain.escalation import Step
from tickets.domain.keywords import LEGAL, UNHAPPY, Matcher
from tickets.domain.label import Label
from tickets.domain.model import Form, Line, Priority, Queue, Reason, Ticket, Tier

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
FORM_PARTS = ("done", "checked", "missing", "ask", "urgency", "deadline", "promises")
"""Parts of the form in the order of the contract's numbers, from 1."""


_FORM_WORDS = {
    "ru": {
        "title": "Передано на {line}.",
        "done": "Сделано",
        "checked": "Проверенные версии",
        "missing": "Не хватает",
        "ask": "Причина и просьба",
        "urgency": "Срочность",
        "deadline": "Срок",
        "promises": "Ожидания клиента",
    },
    "en": {
        "title": "Handed to {line}.",
        "done": "Done so far",
        "checked": "Versions checked",
        "missing": "Missing",
        "ask": "Reason and ask",
        "urgency": "Urgency",
        "deadline": "Deadline",
        "promises": "What the customer expects",
    },
}


class Goes(IntEnum):
    """Where an automatic escalation goes."""

    NEXT_LINE = 1
    LEAD = 2
    MANAGEMENT = 3
    NOBODY = 4


@dataclass(frozen=True, slots=True)
class Criterion:
    """A reason that people choose from."""

    key: str
    name: Label
    reason: Reason = Reason.BY_AGENT
    missing_article: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """What handing a ticket on by hand takes."""

    required: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()

    @property
    def no_article(self) -> str:
        """The criterion that a report of a missing article meets; empty when there is none."""
        return next((each.key for each in self.criteria if each.missing_article), "")


@dataclass(frozen=True, slots=True)
class Guard:
    """What lines must not do themselves (CA-02)."""

    key: str
    name: Label
    lines: tuple[Line, ...] = (Line.L1,)
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    vip_critical: bool = False
    reasons: tuple[Reason, ...] = ()
    may_reply: bool = False

    def holds(self, ticket: Ticket) -> bool:
        """Whether the ticket falls under it where it is."""
        return ticket.line in self.lines and (
            any(is_under(ticket.category, each) for each in self.categories)
            or not set(self.tags).isdisjoint(ticket.tags)
            or (self.vip_critical and is_vip_critical(ticket))
            or not set(self.reasons).isdisjoint(_reasons_so_far(ticket))
        )


@dataclass(frozen=True, slots=True)
class ContactRule:
    """Which contact on one problem escalates, within how long; closer ones than `gap` are one."""

    count: int = 3
    window: timedelta = 7 * _DAY
    gap: timedelta = 30 * _MINUTE
    goes: Goes = Goes.NEXT_LINE


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """Scores of 100 below this escalate the follow-up."""

    below: int = 50
    goes: Goes = Goes.LEAD


@dataclass(frozen=True, slots=True)
class CompensationRule:
    """Amounts in a custom field above the limit escalate."""

    field: str
    limit: float
    goes: Goes = Goes.MANAGEMENT


@dataclass(frozen=True, slots=True)
class BurstRule:
    """So many tickets about one thing within so long propose a mass incident."""

    count: int = 10
    window: timedelta = 5 * _MINUTE
    off: bool = False


DEFAULT_KEYWORDS = (replace(LEGAL, target=Goes.MANAGEMENT), replace(UNHAPPY, target=Goes.NEXT_LINE))


@dataclass(frozen=True, slots=True)
class Escalations:
    """How a queue escalates."""

    steps: dict[Line, HandOver] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    matcher: Matcher = field(default_factory=lambda: Matcher(DEFAULT_KEYWORDS), compare=False)
    contacts: ContactRule = ContactRule()
    low_score: ScoreRule = ScoreRule()
    vip_critical: Goes = Goes.MANAGEMENT
    compensation: CompensationRule | None = None
    burst: BurstRule = BurstRule()

    def hand_over(self, line: Line) -> HandOver:
        """What handing on from a line takes."""
        return self.steps.get(line, HandOver())

    def guards_of(self, ticket: Ticket) -> list[Guard]:
        """The guards that the ticket falls under where it is."""
        return [each for each in self.guards if each.holds(ticket)]

    def require_unguarded(self, ticket: Ticket, verb: str, *, reply: bool = False) -> None:
        """Raise Refused (LINE_GUARDED) for what the ticket's line must leave to the next one."""
        guard = next((each for each in self.guards_of(ticket) if not (reply and each.may_reply)), None)
        if guard:
            raise Refused(
                f"{ticket.line.name} must not {verb} {ticket.key} ({guard.name['en']}): escalate it",
                reason="LINE_GUARDED",
                metadata={"guard": guard.key, "line": ticket.line.name, "remedy": "EscalateTicket"},
            )


def is_under(category: str, above: str) -> bool:
    """Whether a category is another one or lies under it."""
    return category == above or category.startswith(f"{above}/")


def is_vip_critical(ticket: Ticket) -> bool:
    """A VIP with a critical problem (CA-20)."""
    return ticket.priority == Priority.CRITICAL and ticket.customer.tier == Tier.VIP


def complete(step: Step, needed: HandOver, at: datetime) -> Step:
    """The step with the reason of its criterion, for one that moves a ticket on by hand.

    Raises InvalidInput: FORM_INCOMPLETE naming each part, CRITERION_REQUIRED, UNKNOWN_CRITERION.
    """
    form = step.form or Form()
    missing = [part for part in needed.required if not getattr(form, part)]
    if missing:
        text = f"the form lacks {', '.join(missing)}: the next line must not start from zero"
        fields_ = [Violation(f"form.{part}", "is needed to hand it on") for part in missing]
        raise InvalidInput(text, reason="FORM_INCOMPLETE", violations=fields_)
    if form.deadline and form.deadline <= at:
        text = "form.deadline must lie ahead"
        raise InvalidInput(text, violations=[Violation("form.deadline", text)])
    return _chosen(step, needed)


def form_text(form: Form, line: Line, language: str) -> str:
    """The form as a note for the next line."""
    names = _FORM_WORDS.get(language, _FORM_WORDS["en"])
    told = [names["title"].format(line=line.name)]
    for part in FORM_PARTS:
        value = getattr(form, part)
        if isinstance(value, datetime):
            value = value.strftime("%Y-%m-%d %H:%M UTC")
        if value:
            told.append(f"{names[part]}: {value}")
    return "\n".join(told)


def _chosen(step: Step, needed: HandOver) -> Step:
    offered = ", ".join(each.key for each in needed.criteria)
    if not step.criterion:
        if needed.criteria and step.reason == Reason.BY_AGENT:
            raise _bad_criterion("CRITERION_REQUIRED", offered)
        return step
    chosen = next((each for each in needed.criteria if each.key == step.criterion), None)
    if chosen is None:
        raise _bad_criterion("UNKNOWN_CRITERION", offered)
    return replace(step, reason=chosen.reason if step.reason == Reason.BY_AGENT else step.reason)


def automatic(step: Step, goes: Goes, ticket: Ticket, queue: Queue) -> Step | None:
    """The step as a rule takes it; None when the rule is off.

    A ticket is never moved by itself to where nobody may write to its customer.
    """
    if goes == Goes.NOBODY:
        return None
    above = Line(ticket.line + 1) if ticket.line < queue.last_line else None
    moves = goes == Goes.NEXT_LINE and above in queue.public_lines
    return replace(step, stay=not moves, management=goes == Goes.MANAGEMENT, by_rule=True)


def contact_times(ticket: Ticket, earlier: Iterable[tuple[str, list[datetime]]]) -> list[datetime]:
    """When the customer came with this problem: to this ticket, and to others with its subject."""
    topic = rules.topic(ticket.subject)
    same = [time for subject, times in earlier if rules.topic(subject) == topic for time in times]
    return [*same, *ticket.contacts]


def contacts(times: Sequence[datetime], rule: ContactRule) -> int:
    """How many contacts these messages are within the window that ends with the newest."""
    ordered = sorted(times)
    recent = [each for each in ordered if each > ordered[-1] - rule.window]
    return bool(recent) + sum(after - before >= rule.gap for before, after in pairwise(recent))


def is_repeated(times: Sequence[datetime], rule: ContactRule) -> bool:
    """Whether the newest message is one contact too many on its problem (CA-21)."""
    if rule.goes == Goes.NOBODY or not times:
        return False
    ordered = sorted(times)
    is_new = len(ordered) == 1 or ordered[-1] - ordered[-2] >= rule.gap
    return is_new and contacts(ordered, rule) % rule.count == 0


def is_too_much(ticket: Ticket, rule: CompensationRule) -> bool:
    """Whether the ticket's compensation is more than the desk may give (CA-20)."""
    amount: object = ticket.fields.get(rule.field)
    return isinstance(amount, float) and amount > rule.limit


def definition_faults(told: Escalations) -> Iterator[tuple[str, str]]:
    """What is wrong with the escalations of a setup: a path within it, and what is wanted."""
    for index, guard in enumerate(told.guards):
        if not (guard.categories or guard.tags or guard.vip_critical or guard.reasons):
            yield f"guards[{index}]", "must have categories, tags, vip_critical or reasons"
        if guard.key in [each.key for each in told.guards[:index]]:
            yield f"guards[{index}].key", f"{guard.key} is the key of another guard too"
    for line, step in told.steps.items():
        keys = [each.key for each in step.criteria]
        if len(set(keys)) < len(keys):
            yield f"steps[{line.name}].criteria", "must have a key of its own each"
    for path, text in keywords.faults(told.matcher.rules):
        yield f"keywords.{path}", text


def _bad_criterion(reason: str, offered: str) -> InvalidInput:
    text = f"criterion must be one of {offered}" if offered else "criterion must be empty: the setup has none"
    return InvalidInput(
        text, reason=reason, violations=[Violation("criterion", text)], metadata={"criteria": offered}
    )


def _reasons_so_far(ticket: Ticket) -> set[int]:
    """Why the ticket was escalated in its present cycle."""
    cycle = ticket.timeline[facts.cycle_start(ticket.timeline) :]
    return {fact.reason for fact in cycle if isinstance(fact, facts.Escalated)}
