"""Who may do what with which ticket: the one place that decides (YT-03, YT-20, MP-19, CA-28)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from chassis.errors import Denied
from tickets.domain.model import Agent, Line, Ticket


class Right(Enum):
    """What a grant can give; whoever may edit may view."""

    CREATE = "create"
    VIEW = "view"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Grant:
    """What one group may do with the tickets of a queue, or only with those of a component."""

    agents: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    component: str = ""
    create: bool = False
    view: bool = False
    edit: bool = False

    def names(self, agent: Agent) -> bool:
        """Whether the agent is of the group; without agents and lines everybody of the queue is."""
        if not self.agents and not self.lines:
            return True
        return agent.id in self.agents or any(agent.works_on(line) for line in self.lines)

    def gives(self, right: Right) -> bool:
        """Whether the group may do it."""
        return getattr(self, right.value) is True or (right == Right.VIEW and self.edit)


_EVERYTHING = (Grant(create=True, view=True, edit=True),)


@dataclass(frozen=True, slots=True)
class Person:
    """An agent or lead who calls, and the grants of the queues that have any.

    Where a function takes None instead, nobody bounds the caller: an admin, an auditor (who has no method
    that changes anything) or a service.
    """

    agent: Agent
    lead: bool = False
    grants: Mapping[str, Sequence[Grant]] = field(default_factory=dict)


def may(person: Person | None, right: Right, queue: str, component: str = "") -> bool:
    """Whether somebody may do it with tickets of a queue that have this component."""
    if person is None:
        return True
    if person.agent.queues and queue not in person.agent.queues:
        return False
    if person.lead:
        return True
    grants = person.grants.get(queue, ())
    own = [grant for grant in grants if component and grant.component == component]
    general = [grant for grant in grants if not grant.component]
    asked = own or general or _EVERYTHING
    return any(grant.gives(right) for grant in asked if grant.names(person.agent))


def works_in(person: Person | None, queue: str) -> bool:
    """Whether any of a queue's tickets may be theirs to see: what its people share is for them."""
    if may(person, Right.VIEW, queue):
        return True
    parts = {grant.component for grant in person.grants.get(queue, ())} if person else ()
    return any(may(person, Right.VIEW, queue, part) for part in parts)


def sees(person: Person | None, ticket: Ticket) -> bool:
    """Whether the ticket exists for somebody; account managers see their clients' tickets everywhere."""
    if may(person, Right.VIEW, ticket.queue, ticket.component):
        return True
    return person is not None and ticket.customer.account_manager == person.agent.id


def require_edit(person: Person | None, ticket: Ticket) -> None:
    """Raise Denied (RIGHTS_MISSING) when somebody who sees the ticket may not change it."""
    require_edit_in(person, ticket.queue, ticket.component)


def require_edit_in(person: Person | None, queue: str, component: str) -> None:
    """Raise Denied (RIGHTS_MISSING) when somebody may not change tickets of a queue with this component."""
    if not may(person, Right.EDIT, queue, component):
        where = f"component {component} of {queue}" if component else queue
        raise _missing(f"you may not change tickets of {where}", queue)


def require_work(person: Person | None, queue: str) -> None:
    """Raise Denied (RIGHTS_MISSING) when nothing of a queue is somebody's to see."""
    if not works_in(person, queue):
        raise _missing(f"you do not work in {queue}", queue)


def require_create(person: Person | None, queue: str) -> None:
    """Raise Denied (RIGHTS_MISSING) when somebody may not open tickets in the queue."""
    if not may(person, Right.CREATE, queue):
        raise _missing(f"you may not open tickets in {queue}", queue)


def sees_figures(person: Person | None, operator: Agent) -> bool:
    """Whether somebody may see how an operator does: operators their own figures, leads those of their lines.

    Figures of people are for coaching (CA-28, KT-18), so colleagues do not see each other's.
    """
    if person is None or person.agent.id == operator.id:
        return True
    return person.lead and any(operator.works_on(line) for line in person.agent.leads)


def faults(grants: Iterable[Grant], components: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the grants of a queue that has these components: paths in its setup, and why."""
    known = set(components)
    for index, grant in enumerate(grants):
        path = f"rights.grants[{index}]"
        if grant.component and grant.component not in known:
            yield f"{path}.component", f"no component {grant.component} in this queue"
        if grant.component and grant.create:
            yield f"{path}.create", "a grant for a component gives view and edit only"
        if not (grant.create or grant.view or grant.edit):
            yield path, "must give create, view or edit"


def _missing(text: str, queue: str) -> Denied:
    return Denied(text, reason="RIGHTS_MISSING", metadata={"queue": queue})
