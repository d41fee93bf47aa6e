"""How a queue works, as one document: what it says, and what is wrong with it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from tickets.domain import fields, lines, macros, rights, routing, topics, triggers, workflowlint
from tickets.domain.conditions import Language
from tickets.domain.fields import Field
from tickets.domain.label import Label
from tickets.domain.lines import Escalations
from tickets.domain.macros import Macro
from tickets.domain.model import Actor, Line, TicketType
from tickets.domain.rights import Grant
from tickets.domain.routing import Routing
from tickets.domain.statuses import LINES, Status, StatusKind, Transition, Workflow
from tickets.domain.topics import Topics
from tickets.domain.triggers import Rule

Document: TypeAlias = Mapping[str, Any]
"""The message Setup as JSON, with the names of the contract and without what names the version."""

Remark: TypeAlias = tuple[str, str]
"""A path in the document such as `workflow.transitions[2].to`, and what is wanted there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A version of a setup; without its document in lists, and without an author where nobody put it."""

    version: int
    actor: Actor | None
    created_time: datetime | None
    document: Document


@dataclass(frozen=True, slots=True)
class Setup:
    """How the tickets of a queue live. The first type is that of new tickets; none means all."""

    workflow: Workflow = LINES
    types: tuple[TicketType, ...] = ()
    fields: tuple[Field, ...] = ()
    topics: Topics = Topics()
    routing: Routing = Routing()
    escalations: Escalations = field(default_factory=Escalations)
    macros: tuple[Macro, ...] = ()
    grants: tuple[Grant, ...] = ()
    triggers: tuple[Rule, ...] = ()
    schedules: tuple[Rule, ...] = ()

    @property
    def field_keys(self) -> tuple[str, ...]:
        """Keys of the fields that take values."""
        return tuple(each.key for each in self.fields if not each.archived)

    def type_fault(self, kind: TicketType) -> str:
        """Why a ticket may not have this type; empty when it may."""
        if not self.types or kind in self.types:
            return ""
        return f"must be one of {', '.join(each.name for each in self.types)}"


def faults(setup: Setup) -> list[Remark]:
    """All that makes a setup impossible; what is wrong between it and the tickets is not looked at."""
    return [remark for part in _FAULTS for remark in part(setup)]


def doubts(setup: Setup) -> list[Remark]:
    """What somebody should look at, though it may be meant."""
    return [remark for part in _DOUBTS for remark in part(setup)]


def removed(before: Workflow, after: Workflow) -> list[Status]:
    """Statuses that the next workflow does not have, or has as another kind."""
    kinds = {each.key: each.kind for each in after.statuses}
    return [each for each in before.statuses if kinds.get(each.key) != each.kind]


def used_faults(removed_keys: Iterable[str]) -> list[Remark]:
    """Removed statuses that tickets are in."""
    text = "must keep {} and its kind: tickets are in it, move them first"
    return [("workflow.statuses", text.format(key)) for key in removed_keys]


def read_workflow(document: Document, fields: Iterable[Field] = ()) -> Workflow:
    """The workflow out of its part of a document that follows the contract; guards may name these fields."""
    language = Language(fields, of_time=False)
    return Workflow(
        statuses=tuple(_status(each) for each in document.get("statuses", ())),
        transitions=tuple(_transition(each, language) for each in document.get("transitions", ())),
        confirmation_seconds=int(float(document.get("confirmation_term", "0s").removesuffix("s"))),
    )


def _status(document: Document) -> Status:
    return Status(
        key=document["key"],
        kind=StatusKind[document["kind"].removeprefix("STATUS_KIND_")],
        line=_line(document["line"]) if "line" in document else 0,
        name=Label(**document.get("name", {})),
    )


def _transition(document: Document, language: Language) -> Transition:
    return Transition(
        to=document["to"],
        from_=tuple(document.get("from", ())),
        required=tuple(document.get("required", ())),
        lines=tuple(_line(each) for each in document.get("lines", ())),
        roles=tuple(each.removeprefix("ROLE_").lower() for each in document.get("roles", ())),
        guard=language.read(document["guard"]) if "guard" in document else None,
    )


def _line(name: str) -> Line:
    return Line[name.removeprefix("LINE_")]


# One function per part of the document and sort of remark.
_FAULTS: tuple[Callable[[Setup], Iterable[Remark]], ...] = (
    lambda setup: workflowlint.faults(setup.workflow, fields=setup.field_keys),
    lambda setup: fields.definition_faults(setup.fields),
    lambda setup: topics.definition_faults(setup.topics, setup.fields),
    lambda setup: routing.definition_faults(setup.routing, setup.topics, setup.fields),
    lambda setup: (
        (f"escalations.{path}", text) for path, text in lines.definition_faults(setup.escalations)
    ),
    lambda setup: macros.faults(setup.macros, setup.fields, [each.key for each in setup.workflow.statuses]),
    triggers.faults,
    lambda setup: rights.faults(setup.grants, (each.key for each in setup.topics.components)),
)
_DOUBTS: tuple[Callable[[Setup], Iterable[Remark]], ...] = (
    lambda setup: workflowlint.doubts(setup.workflow),
)
