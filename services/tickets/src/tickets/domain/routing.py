"""Which line and which agent a ticket goes to. Pure: who is free, and the time, are given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from tickets.domain.fields import Field, FieldType, Value
from tickets.domain.model import Agent, Line, Priority, Queue, Ticket, Tier
from tickets.domain.shifts import Shift, on_duty, shift_faults
from tickets.domain.topics import Topics

_NEVER = datetime.min.replace(tzinfo=UTC)


class Strategy(IntEnum):
    """How the responsible agent is found when nothing names one."""

    NONE = 1
    ROUND_ROBIN = 2
    LEAST_LOADED = 3


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Where tickets go that meet all conditions which are given."""

    category: str = ""
    component: str = ""
    edition: str = ""
    tier: Tier | None = None
    line: Line | None = None
    strategy: Strategy | None = None
    agents: tuple[str, ...] = ()

    def holds(self, ticket: Ticket) -> bool:
        """Whether it speaks of this ticket."""
        return (
            (not self.category or f"{ticket.category}/".startswith(f"{self.category}/"))
            and self.component in ("", ticket.component)
            and self.edition in ("", ticket.edition)
            and self.tier in (None, ticket.customer.tier)
        )


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """An answer and the priority that it means (CP-02)."""

    field: str
    choice: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the tickets of a queue go, and to whom. A capacity of 0 sets no bound."""

    strategy: Strategy = Strategy.NONE
    capacity: int = 0
    capacities: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[RoutingRule, ...] = ()
    shifts: tuple[Shift, ...] = ()
    priorities: tuple[PriorityRule, ...] = ()

    def rule_of(self, ticket: Ticket) -> RoutingRule:
        """The first rule that speaks of the ticket; an empty one where none does."""
        return next((each for each in self.rules if each.holds(ticket)), RoutingRule())


@dataclass(frozen=True, slots=True)
class Load:
    """An active agent, how many open tickets are theirs, and when a strategy last gave them one."""

    agent: Agent
    open_tickets: int = 0
    turn_time: datetime | None = None


def read_routing(document: Mapping[str, Any]) -> Routing:
    """The routing of a setup document that follows the contract."""
    return Routing(
        strategy=_strategy(document) or Strategy.NONE,
        capacity=document.get("capacity", 0),
        capacities=document.get("capacities", {}),
        rules=tuple(_read_rule(each) for each in document.get("rules", ())),
        shifts=tuple(
            Shift(tuple(each["agents"]), each["timezone"], each["days"], each.get("hours", ""))
            for each in document.get("shifts", ())
        ),
        priorities=tuple(
            PriorityRule(each["field"], each["choice"], Priority[each["priority"].removeprefix("PRIORITY_")])
            for each in document.get("priorities", ())
        ),
    )


def priority_by_answers(routing: Routing, values: Mapping[str, Value]) -> Priority | None:
    """The priority that the answers mean; None when they mean none."""
    meant = (each.priority for each in routing.priorities if values.get(each.field) == each.choice)
    return next(meant, None)


def first_line(ticket: Ticket, routing: Routing, topics: Topics, queue: Queue) -> Line:
    """The line that a new ticket begins on: by its rule, else by its category, else by its queue."""
    wanted = routing.rule_of(ticket).line or topics.route_of(ticket.category).line or queue.first_line
    return min(max(wanted, queue.first_line), queue.last_line)


def named_agent(ticket: Ticket, topics: Topics) -> str:
    """Who is responsible by name: the component's owner, else whom the category names."""
    component = topics.component(ticket.component)
    if component and component.assign_by_default and component.owner:
        return component.owner
    return topics.route_of(ticket.category).assignee


def strategy_of(ticket: Ticket, routing: Routing) -> Strategy:
    """How an agent is found when nobody is responsible by name."""
    return routing.rule_of(ticket).strategy or routing.strategy


def route(
    ticket: Ticket, routing: Routing, topics: Topics, staff: Sequence[Load], now: datetime
) -> Agent | None:
    """The agent who becomes responsible; None leaves the ticket to whoever takes it.

    By name where a component or a category says so; else by the strategy, among the active agents of its
    line and queue who are on duty and have room.
    """
    named, strategy = named_agent(ticket, topics), strategy_of(ticket, routing)
    by_name = next((each.agent for each in staff if each.agent.id == named and each.agent.active), None)
    if by_name or strategy == Strategy.NONE:
        return by_name
    duty = on_duty(routing.shifts, now)
    free = [
        each for each in staff if _may_get(each, ticket, routing) and (duty is None or each.agent.id in duty)
    ]
    chosen = min(free, key=lambda each: _place(each, strategy), default=None)
    return chosen.agent if chosen else None


def definition_faults(routing: Routing, topics: Topics, custom: Sequence[Field]) -> Iterator[tuple[str, str]]:
    """What is wrong with the routing of a setup: paths such as `routing.rules[0].category`."""
    for index, shift in enumerate(routing.shifts):
        for name, text in shift_faults(shift):
            yield f"routing.shifts[{index}].{name}", text
    for index, rule in enumerate(routing.rules):
        if text := topics.category_fault(rule.category):
            yield f"routing.rules[{index}].category", text
        if text := topics.component_fault(rule.component):
            yield f"routing.rules[{index}].component", text
    yield from _priority_faults(routing, custom)


def people(routing: Routing, topics: Topics) -> Iterator[tuple[str, str]]:
    """Everybody that topics and routing name: the place in the setup, and the id."""
    for index, component in enumerate(topics.components):
        if component.owner:
            yield f"components[{index}].owner", component.owner
    for index, category in enumerate(topics.categories):
        if category.route.assignee:
            yield f"categories[{index}].route.assignee", category.route.assignee
    for name in ("rules", "shifts"):
        for index, part in enumerate(getattr(routing, name)):
            yield from ((f"routing.{name}[{index}].agents", agent) for agent in part.agents)
    yield from (("routing.capacities", agent) for agent in routing.capacities)


def _priority_faults(routing: Routing, custom: Sequence[Field]) -> Iterator[tuple[str, str]]:
    choices = {
        each.key: [choice.key for choice in each.choices] for each in custom if each.type == FieldType.ONE_OF
    }
    for index, answer in enumerate(routing.priorities):
        if answer.field not in choices:
            yield f"routing.priorities[{index}].field", "must be a one-of field"
        elif answer.choice not in choices[answer.field]:
            yield f"routing.priorities[{index}].choice", f"must be a choice of {answer.field}"


def _strategy(document: Mapping[str, Any]) -> Strategy | None:
    name = document.get("strategy", "").removeprefix("ASSIGNMENT_STRATEGY_")
    return Strategy[name] if name else None


def _read_rule(document: Mapping[str, Any]) -> RoutingRule:
    return RoutingRule(
        category=document.get("category", ""),
        component=document.get("component", ""),
        edition=document.get("edition", ""),
        tier=Tier[document["tier"].removeprefix("CUSTOMER_TIER_")] if "tier" in document else None,
        line=Line[document["line"].removeprefix("LINE_")] if "line" in document else None,
        strategy=_strategy(document),
        agents=tuple(document.get("agents", ())),
    )


def _may_get(load: Load, ticket: Ticket, routing: Routing) -> bool:
    agent = load.agent
    capacity = routing.capacities.get(agent.id, routing.capacity)
    among = routing.rule_of(ticket).agents
    return (
        agent.active
        and agent.works_on(ticket.line)
        and (not agent.queues or ticket.queue in agent.queues)
        and (not among or agent.id in among)
        and (not capacity or load.open_tickets < capacity)
    )


def _place(load: Load, strategy: Strategy) -> tuple[int, datetime, str]:
    open_tickets = load.open_tickets if strategy == Strategy.LEAST_LOADED else 0
    return open_tickets, load.turn_time or _NEVER, load.agent.id
