"""Trying rules on what happened: tickets as they were, and what rules would have done to them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.errors import InvalidInput, Refused
from tickets.domain import rule_actions
from tickets.domain.audit import Change, Entry
from tickets.domain.conditions import Facts, Happened
from tickets.domain.fields import Field, FieldType, User, Value
from tickets.domain.model import Line, Priority, Ticket, TicketType
from tickets.domain.rule_actions import MAX_SECONDS, MAX_STEPS, TOO_LONG, TOO_MANY, Known
from tickets.domain.rule_runs import Outcome, Run, actor_of
from tickets.domain.triggers import Rule


@dataclass(frozen=True, slots=True)
class Said:
    """What a customer wrote."""

    ticket_id: str
    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Rules to try: what they have to know, which tickets their queries find, what differs in a ticket.

    The clock counts the seconds of the processor.
    """

    rules: Sequence[Rule]
    known: Known
    found: dict[str, Collection[str]]
    changes: Callable[[Ticket], tuple[Change, ...]]
    clock: Callable[[], float]


def happened_in(entry: Entry, said: Iterable[Said]) -> Happened:
    """The event that an entry of the audit tells of; `said` are the customer's words, newest first."""
    wrote = entry.event in ("TicketOpened", "CustomerReplied")
    words = (each.text for each in said if wrote and each.time <= entry.time)
    return Happened(entry.event, entry.actor, entry.version, entry.changes, next(words, ""))


def as_of(ticket: Ticket, later: Iterable[Entry], fields: Sequence[Field]) -> Ticket:
    """A copy of a ticket as it was before these entries, which come newest first."""
    copy, kinds = rule_actions.copy_of(ticket), {each.key: each.type for each in fields}
    for entry in later:
        copy.version, copy.updated_time = entry.version - 1, entry.time
        for change in entry.changes:
            _undo(copy, change, kinds)
    return copy


def replay(ticket: Ticket, happened: Happened, trial: Trial) -> list[Run]:
    """What the rules would have done to a ticket, as they do it: also on the events they cause."""
    trial.changes(ticket)
    waiting, runs, steps, began = [happened], list[Run](), 0, trial.clock()
    while waiting:
        event = waiting.pop(0)
        for rule in (each for each in trial.rules if each.waits_for(event.event)):
            if trial.clock() - began > MAX_SECONDS:
                late = _run_of(ticket, rule, event, trial.known)
                return [*runs, replace(late, outcome=Outcome.NOT_RUN, reason=TOO_LONG)]
            run, after, caused = _try(ticket, rule, event, trial)
            if run is None:
                continue
            steps += run.outcome == Outcome.DONE
            if steps > MAX_STEPS:
                return [*runs, replace(run, outcome=Outcome.NOT_RUN, actions=[], reason=TOO_MANY)]
            runs.append(run)
            ticket = after
            waiting += caused
    return runs


def rehearse(ticket: Ticket, rule: Rule, known: Known) -> Run | None:
    """What a scheduled rule would do to a ticket now."""
    run = Run(known.now, ticket.id, rule.key, "Schedule", Outcome.DONE, version=ticket.version)
    run = replace(run, ticket_key=ticket.key)
    try:
        if not rule.condition.holds(Facts(ticket, known.now)):
            return None
        told = rule_actions.rehearse(ticket, rule, known)
    except (Refused, InvalidInput) as error:
        return replace(run, outcome=Outcome.FAILED, reason=error.message)
    return replace(run, actions=told) if told else None


def _try(
    ticket: Ticket, rule: Rule, event: Happened, trial: Trial
) -> tuple[Run | None, Ticket, list[Happened]]:
    """What a rule did, the ticket after it, and the events it caused."""
    known, copy = trial.known, rule_actions.copy_of(ticket)
    run = _run_of(ticket, rule, event, known)
    told, caused = [], []
    try:
        if not _holds(ticket, rule, event, trial):
            return None, ticket, []
        for action in rule.actions:
            done = rule_actions.apply(copy, action, known)
            told += [done.told] if done.told else []
            if done.event:
                copy.version += 1
                caused.append(Happened(done.event, actor_of(rule.key), copy.version, trial.changes(copy)))
    except (Refused, InvalidInput) as error:
        return replace(run, outcome=Outcome.FAILED, reason=error.message), ticket, []
    return (replace(run, actions=told), copy, caused) if told else (None, ticket, [])


def _run_of(ticket: Ticket, rule: Rule, event: Happened, known: Known) -> Run:
    run = Run(known.now, ticket.id, rule.key, event.event, Outcome.DONE, version=event.version)
    return replace(run, ticket_key=ticket.key)


def _holds(ticket: Ticket, rule: Rule, event: Happened, trial: Trial) -> bool:
    if not rule.condition.holds(Facts(ticket, trial.known.now, event)):
        return False
    return not rule.query or ticket.id in trial.found.get(rule.key, ())


def _undo(ticket: Ticket, change: Change, kinds: dict[str, FieldType]) -> None:
    """Give a ticket the value that it had before a change, where the audit tells it."""
    name, old = change.name, change.old
    if name in _TEXTS:
        setattr(ticket, name, old)
    elif name in _ENUMS and old:
        setattr(ticket, name, _ENUMS[name][old.upper()])
    elif name in ("tags", "observers"):
        setattr(ticket, name, old.split(", ") if old else [])
    elif name in ("resolved_time", "closed_time"):
        setattr(ticket, name, datetime.fromisoformat(old) if old else None)
    elif name.startswith("fields.") and (key := name.removeprefix("fields.")) in kinds:
        ticket.fields.pop(key, None)
        if old:
            # The audit shortens long values, and another queue may have had another type.
            with suppress(ValueError, OverflowError):
                ticket.fields[key] = _value(old, kinds[key])
    if name == "status" and old:
        ticket.status_kind = ticket.workflow.status(old, ticket.status_kind).kind


_TEXTS = (
    "category", "component", "edition", "language", "status", "assignee", "customer_number",
)  # fmt: skip
_ENUMS: dict[str, Any] = {"priority": Priority, "line": Line, "type": TicketType}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _value(told: str, kind: FieldType) -> Value:
    """A value as rows hold it, times as microseconds. Raises ValueError, OverflowError."""
    match kind:
        case FieldType.NUMBER:
            return float(told)
        case FieldType.DATE | FieldType.TIME:
            return _EPOCH + timedelta(microseconds=int(told))
        case FieldType.MANY_OF:
            return tuple(told.split(", "))
        case FieldType.USER:
            return User(told)
    return told
