"""Rules of a queue: what sets them off, what must hold, what they do, and what is wrong with them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from tickets.domain import macros, templates
from tickets.domain.attributes import Change
from tickets.domain.conditions import ALWAYS, Condition
from tickets.domain.fields import Field, User, value_faults
from tickets.domain.label import Label
from tickets.domain.model import Line, Priority
from tickets.domain.query.catalog import Catalog, catalog
from tickets.domain.query.faults import BadQuery
from tickets.domain.query.resolve import Context, Search, resolve

if TYPE_CHECKING:
    from tickets.domain.setup import Setup

EVENTS = (
    "TicketOpened", "CustomerReplied", "TicketReplied", "NoteAdded", "TicketTaken", "TicketAssigned",
    "TicketStatusChanged", "TicketUpdated", "TicketEscalated", "TicketReturned", "IncidentProposed",
    "TicketResolved", "TicketClosed", "TicketReopened", "TicketMerged", "PeopleMentioned", "TicketRated",
    "WebhookRequested", "NoticeRequested", "MarkReached",
)  # fmt: skip
"""What a trigger may wait for: events of tickets, and marks of their clocks."""
_BY_NAME = ("MarkReached", "WebhookRequested", "NoticeRequested")
"""What a trigger must name to wait for it: not changes, or only what rules say."""
Texts: TypeAlias = tuple[tuple[str, str], ...]
"""Templates by language."""
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class SetValues:
    """Give values."""

    change: Change
    priority: Priority | None = None


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Move to a status."""

    key: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Give the ticket to an agent or to the owner of its component; neither means back to the queue."""

    agent: str = ""
    component_owner: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Write to the customer."""

    texts: Texts


@dataclass(frozen=True, slots=True)
class AddNote:
    """Write a note."""

    texts: Texts


@dataclass(frozen=True, slots=True)
class Escalate:
    """Hand the ticket to a line, and perhaps tell management."""

    line: Line | None = None
    management: bool = False
    stay: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class CallWebhook:
    """Tell another system."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people of the desk; audiences by the numbers of the contract."""

    texts: Texts
    audiences: tuple[int, ...] = ()
    agents: tuple[str, ...] = ()
    chats: tuple[str, ...] = ()


Action: TypeAlias = SetValues | SetStatus | Assign | Reply | AddNote | Escalate | CallWebhook | Notify


@dataclass(frozen=True, slots=True)
class Rule:
    """A trigger, or with `every` a rule that runs by the clock."""

    key: str
    actions: tuple[Action, ...]
    name: Label = Label()
    off: bool = False
    when: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    query: str = ""
    every: timedelta | None = None

    def waits_for(self, event: str) -> bool:
        """Whether the event sets it off."""
        return not self.off and (event in self.when if self.when else event not in _BY_NAME)

    @property
    def calls(self) -> bool:
        """Whether it tells another system."""
        return any(isinstance(each, CallWebhook) for each in self.actions)


_TEXTS: dict[type[Action], str] = {Reply: "reply", AddNote: "note", Notify: "notify"}


def search(rule: Rule, names: Catalog, now: datetime) -> Search:
    """The query of a rule. Raises BadQuery; nobody is `me()` in a rule."""
    return resolve(rule.query, names, Context("", now, _UTC))


def names_of(setup: "Setup") -> Catalog:
    """What queries of the rules of a queue may name."""
    return catalog([setup.workflow], setup.fields)


def people(rules: Sequence[Rule], part: str) -> Iterator[tuple[str, str]]:
    """Everybody whom rules name: the place in the setup, and the id."""
    for index, rule in enumerate(rules):
        for number, action in enumerate(rule.actions):
            path = f"{part}[{index}].then[{number}]"
            match action:
                case Assign(agent=agent) if agent:
                    yield f"{path}.assign.agent", agent
                case Notify(agents=agents):
                    yield from ((f"{path}.notify.agents[{at}]", agent) for at, agent in enumerate(agents))
                case SetValues(change=change):
                    users = ((key, each) for key, each in change.set_fields.items() if isinstance(each, User))
                    yield from ((f"{path}.set.fields.{key}", user.id) for key, user in users)


def faults(setup: "Setup") -> Iterator[tuple[str, str]]:
    """What is wrong with the rules of a setup: paths such as `triggers[2].if`, and what is wanted there."""
    counts, names = Counter(each.key for each in (*setup.triggers, *setup.schedules)), names_of(setup)
    for part, rules in (("triggers", setup.triggers), ("scheduled_rules", setup.schedules)):
        for index, rule in enumerate(rules):
            if counts[rule.key] > 1:
                yield f"{part}[{index}].key", f"{rule.key} is the key of another rule too"
            for path, text in _rule_faults(rule, setup, names):
                yield f"{part}[{index}].{path}", text


def _rule_faults(rule: Rule, setup: "Setup", names: Catalog) -> Iterator[tuple[str, str]]:
    for index, event in enumerate(rule.when):
        if event not in EVENTS:
            yield f"when[{index}]", f"must be one of {', '.join(EVENTS)}"
    if rule.condition.fault:
        yield "if", rule.condition.fault
    if rule.query:
        try:
            search(rule, names, datetime(2026, 1, 1, tzinfo=UTC))
        except BadQuery as error:
            yield "query", " ".join(error.message.split())
    for index, action in enumerate(rule.actions):
        for path, text in _action_faults(action, setup):
            yield f"then[{index}].{path}", text


def _action_faults(action: Action, setup: "Setup") -> Iterator[tuple[str, str]]:
    match action:
        case SetValues():
            yield from _value_faults(action, setup)
        case SetStatus(key=key):
            known = [each.key for each in setup.workflow.statuses]
            if key not in known:
                yield "status", f"must be one of {', '.join(known)}"
        case Escalate(stay=stay, management=management, line=line):
            if stay and (line or not management):
                yield "escalate.stay", "tells management and no line: it needs management, and no line"
        case Reply() | AddNote() | Notify():
            yield from _text_faults(_TEXTS[type(action)], action, setup.fields)


def _value_faults(action: SetValues, setup: "Setup") -> Iterator[tuple[str, str]]:
    change, known = action.change, [each.key for each in setup.fields]
    told = {
        "type": setup.type_fault(change.type) if change.type else "",
        "category": setup.topics.category_fault(change.category or ""),
        "component": setup.topics.component_fault(change.component or ""),
    }
    yield from ((f"set.{name}", text) for name, text in told.items() if text)
    if set(change.add_tags) & set(change.remove_tags):
        yield "set.remove_tags", "must not hold what the rule adds"
    for fault in value_faults(setup.fields, change.set_fields):
        yield f"set.{fault.field}", fault.description
    for index, key in enumerate(change.clear_fields):
        if key not in known or key in change.set_fields:
            yield f"set.clear_fields[{index}]", "must be a field of the queue that the rule does not set"


def _text_faults(
    part: str, action: Reply | AddNote | Notify, fields: Sequence[Field]
) -> Iterator[tuple[str, str]]:
    texts = action.texts
    if isinstance(action, Notify) and not (action.audiences or action.agents or action.chats):
        yield part, "must name somebody: audiences, agents or chats"
    variables = [*macros.VARIABLES, *(f"field.{each.key}" for each in fields)]
    if len(dict(texts)) < len(texts):
        yield f"{part}.texts", "must hold one text a language"
    for index, (_, text) in enumerate(texts):
        for fault in templates.faults(text, variables):
            yield f"{part}.texts[{index}].text", f"line {fault.line}: {fault.text}"
