"""What a watcher sees of a change."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from tickets.domain.rights import Person, Right, may


class Spot(NamedTuple):
    """Where a ticket is, as far as rights ask: its queue, its component, and who keeps its customer."""

    queue: str
    component: str
    account_manager: str = ""


class Sight(Enum):
    """How a change looks to somebody."""

    SEEN = "seen"
    LEFT = "left"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class View:
    """The tickets that somebody watches: of these queues (none: of all) those that they may see."""

    person: Person | None
    queues: Sequence[str] = field(default=())

    def holds(self, spot: Spot) -> bool:
        """Whether a ticket that is there belongs to it."""
        if self.queues and spot.queue not in self.queues:
            return False
        if may(self.person, Right.VIEW, spot.queue, spot.component):
            return True
        return self.person is not None and spot.account_manager == self.person.agent.id

    def sight(self, before: Spot, after: Spot) -> Sight:
        """How a change looks that took a ticket from one spot to another."""
        if self.holds(after):
            return Sight.SEEN
        # A new ticket was nowhere.
        return Sight.LEFT if before.queue and self.holds(before) else Sight.HIDDEN

    @cached_property
    def digest(self) -> str:
        """Short and the same in every replica for as long as the view holds the same spots."""
        if self.person is None:
            return "0"
        agent, grants = self.person.agent, self.person.grants
        rights = (
            agent.id,
            sorted(agent.queues),
            sorted(agent.lines),
            self.person.lead,
            [
                (queue, list(grants[queue]))
                for queue in sorted(grants)
                if not self.queues or queue in self.queues
            ],
        )
        return hashlib.sha256(repr(rights).encode()).hexdigest()[:8]
