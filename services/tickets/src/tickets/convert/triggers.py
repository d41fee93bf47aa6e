"""Rules between contract and domain."""

from collections.abc import Iterable

from tickdesk.tickets.v1 import macros_pb2, triggers_pb2
from tickets.convert.fields import from_values
from tickets.convert.values import number, timestamp
from tickets.domain import triggers
from tickets.domain.attributes import Change
from tickets.domain.conditions import Language
from tickets.domain.label import Label
from tickets.domain.model import Line, Priority, TicketType
from tickets.domain.rule_runs import Run
from tickets.domain.triggers import Action, Rule, Texts


def from_trigger(trigger: triggers_pb2.Trigger, language: Language) -> Rule:
    """A trigger of a setup."""
    return Rule(
        key=trigger.key,
        name=Label(trigger.name.ru, trigger.name.en),
        off=trigger.off,
        when=tuple(trigger.when),
        condition=language.read(getattr(trigger, "if")),
        query=trigger.query,
        actions=tuple(_action(each) for each in trigger.then),
    )


def from_scheduled(rule: triggers_pb2.ScheduledRule, language: Language) -> Rule:
    """A scheduled rule of a setup."""
    return Rule(
        key=rule.key,
        name=Label(rule.name.ru, rule.name.en),
        off=rule.off,
        every=rule.every.ToTimedelta(),
        condition=language.read(getattr(rule, "if")),
        query=rule.query,
        actions=tuple(_action(each) for each in rule.then),
    )


def to_run(run: Run) -> triggers_pb2.RuleRun:
    """What a rule did."""
    return triggers_pb2.RuleRun(
        time=timestamp(run.time),
        ticket_id=run.ticket_id,
        ticket_key=run.ticket_key,
        rule=run.rule,
        event=run.event,
        outcome=number(run.outcome),
        actions=run.actions,
        reason=run.reason,
        version=run.version,
    )


def _action(action: triggers_pb2.RuleAction) -> Action:
    match action.WhichOneof("kind"):
        case "status":
            return triggers.SetStatus(action.status)
        case "assign":
            return triggers.Assign(action.assign.agent, action.assign.component_owner)
        case "reply":
            return triggers.Reply(_texts(action.reply.texts))
        case "note":
            return triggers.AddNote(_texts(action.note.texts))
        case "escalate":
            told = action.escalate
            line = Line(told.line) if told.line else None
            return triggers.Escalate(line, told.management, told.stay, told.note)
        case "webhook":
            return triggers.CallWebhook(action.webhook)
        case "notify":
            return _notify(action.notify)
    return _set(action.set)


def _set(values: triggers_pb2.SetValues) -> triggers.SetValues:
    change = Change(
        type=TicketType(values.type) if values.type else None,
        category=values.category or None,
        component=values.component or None,
        edition=values.edition or None,
        add_tags=tuple(values.add_tags),
        remove_tags=tuple(values.remove_tags),
        set_fields=from_values(values.fields),
        clear_fields=tuple(values.clear_fields),
    )
    return triggers.SetValues(change, Priority(values.priority) if values.priority else None)


def _notify(told: triggers_pb2.NotifyPeople) -> triggers.Notify:
    return triggers.Notify(
        texts=_texts(told.texts),
        audiences=tuple(told.audiences),
        agents=tuple(told.agents),
        chats=tuple(told.chats),
    )


def _texts(texts: Iterable[macros_pb2.MacroText]) -> Texts:
    return tuple((each.language, each.text) for each in texts)
