"""Tickets as their service would tell of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.bus import Outgoing
from chassis.clock import utcnow, uuid7
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import timeline_pb2 as facts
from tickdesk.tickets.v1.events_pb2 import TicketUpdated
from tickdesk.tickets.v1.ticket_pb2 import Ticket


def stamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def after(seconds: float) -> datetime:
    return utcnow() + timedelta(seconds=seconds)


@dataclass
class Story:
    """A ticket's life; each fact makes a version."""

    created: datetime
    priority: Any = common.PRIORITY_NORMAL
    id: str = field(default_factory=lambda: str(uuid7()))
    kind: Any = facts.STATUS_KIND_NEW
    facts: list[facts.Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = facts.Created(
            priority=self.priority, line=common.LINE_L1, status="new", status_kind=facts.STATUS_KIND_NEW
        )
        self.add(self.created, created=first)

    @property
    def version(self) -> int:
        return len(self.facts)

    def add(self, at: datetime, **fact: Any) -> Story:
        self.facts.append(facts.Fact(time=stamp(at), **fact))
        return self

    def replied(self, at: datetime) -> Story:
        run = facts.MessageRun(last_time=stamp(at), count=1, agent_id="anna")
        return self.add(at, staff_replies=run)

    def asked(self, at: datetime) -> Story:
        return self.add(at, customer_messages=facts.MessageRun(last_time=stamp(at), count=1))

    def reprioritised(self, to: str, at: datetime) -> Story:
        self.priority = common.Priority.Value(f"PRIORITY_{to.upper()}")
        return self.add(at, priority_changed=facts.PriorityChanged(to=self.priority))

    def status(self, name: str, at: datetime) -> Story:
        before, self.kind = self.kind, facts.StatusKind.Value(f"STATUS_KIND_{name.upper()}")
        changed = facts.StatusChanged(to=name, from_kind=before, to_kind=self.kind)
        return self.add(at, status_changed=changed)

    def ticket(self, version: int = 0) -> Ticket:
        """The ticket as it was at a version; the newest unless one is named."""
        version = version or self.version
        return Ticket(
            id=self.id,
            key="SUP-1",
            version=version,
            queue="SUP",
            subject="It does not print",
            priority=self.priority,
            line=common.LINE_L1,
            channel=common.CHANNEL_EMAIL,
            status_kind=self.kind,
            timeline=facts.Timeline(facts=self.facts[:version]),
        )

    def event(self, version: int = 0, copy: str = "") -> Outgoing:
        """What tickets publishes of a version; a copy has the event's id, but another for the stream."""
        ticket = self.ticket(version)
        identity = str(uuid5(UUID(self.id), str(ticket.version)))
        payload = TicketUpdated(ticket=ticket).SerializeToString()
        subject = TicketUpdated.DESCRIPTOR.full_name
        return Outgoing(subject, payload, identity, self.id, utcnow(), {}, f"{identity}{copy}")


def stories(rng: random.Random, count: int, within: float) -> list[Story]:
    """Tickets that are created within the next seconds, every fourth critical."""
    priorities = (common.PRIORITY_CRITICAL, *[common.PRIORITY_NORMAL] * 3)
    return [Story(after(rng.uniform(0, within)), rng.choice(priorities)) for _ in range(count)]
