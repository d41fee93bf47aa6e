"""Answers that agents have begun."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """What an agent has written so far; one an agent and ticket."""

    ticket_id: str
    agent_id: str
    text: str
    saved_time: datetime
    to: str = ""
    cc: list[str] = field(default_factory=list)
    subject: str = ""
    attachment_ids: list[str] = field(default_factory=list)
    agent_name: str = ""
