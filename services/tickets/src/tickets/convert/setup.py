"""Setups between contract, document and domain."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from tickdesk.tickets.v1 import setup_pb2
from tickets.convert.macros import from_macro
from tickets.convert.rights import from_rights
from tickets.convert.tickets import to_actor
from tickets.convert.triggers import from_scheduled, from_trigger
from tickets.convert.values import timestamp
from tickets.domain.conditions import Language
from tickets.domain.fields import read_fields
from tickets.domain.linesfile import read_escalations
from tickets.domain.model import TicketType
from tickets.domain.routing import read_routing
from tickets.domain.setup import Document, Kept, Remark, Setup, read_workflow
from tickets.domain.topics import read_topics

_OF_VERSION = ("queue", "version", "actor", "created_time")


def to_document(setup: setup_pb2.Setup) -> Document:
    """What a setup says, without what names its version."""
    document: dict[str, Any] = MessageToDict(setup, preserving_proto_field_name=True)
    return {name: part for name, part in document.items() if name not in _OF_VERSION}


def to_setup(queue: str, kept: Kept) -> setup_pb2.Setup:
    """A version of a queue's setup."""
    result = _parsed(kept.document)
    result.queue, result.version = queue, kept.version
    if kept.actor and kept.created_time:
        result.actor.CopyFrom(to_actor(kept.actor))
        result.created_time.FromDatetime(kept.created_time)
    return result


def to_summary(kept: Kept) -> setup_pb2.SetupSummary:
    """A version without its contents."""
    actor = to_actor(kept.actor) if kept.actor else None
    return setup_pb2.SetupSummary(
        version=kept.version, actor=actor, created_time=timestamp(kept.created_time)
    )


def to_findings(faults: Iterable[Remark], doubts: Iterable[Remark]) -> list[setup_pb2.SetupFinding]:
    """What is wrong, then what is doubtful."""
    kinds = setup_pb2.SetupFinding.SEVERITY_ERROR, setup_pb2.SetupFinding.SEVERITY_WARNING
    return [
        setup_pb2.SetupFinding(severity=severity, path=path, message=text)
        for severity, remarks in zip(kinds, (faults, doubts), strict=True)
        for path, text in remarks
    ]


def from_document(document: Document) -> Setup:
    """The setup that a document of the contract describes."""
    setup = _parsed(document)
    # Only what this release knows; a newer one may have written more.
    document = to_document(setup)
    defined = read_fields(document.get("fields", ()))
    of_change, of_ticket = Language(defined, of_change=True), Language(defined)
    return Setup(
        workflow=read_workflow(document["workflow"], defined),
        types=tuple(TicketType(each) for each in setup.types),
        fields=defined,
        topics=read_topics(document),
        routing=read_routing(document.get("routing", {})),
        escalations=read_escalations(document.get("escalations", {})),
        macros=tuple(from_macro(each) for each in setup.macros),
        grants=tuple(from_rights(setup.rights)),
        triggers=tuple(from_trigger(each, of_change) for each in setup.triggers),
        schedules=tuple(from_scheduled(each, of_ticket) for each in setup.scheduled_rules),
    )


def _parsed(document: Document) -> setup_pb2.Setup:
    # A document that a newer release wrote may say more than this one knows.
    return ParseDict(dict(document), setup_pb2.Setup(), ignore_unknown_fields=True)
