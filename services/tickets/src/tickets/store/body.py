"""The nested parts of a ticket as JSON, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from tickets.domain import timeline
from tickets.domain.fields import User, Value
from tickets.domain.model import (
    Attachment,
    Conversation,
    Csat,
    Escalation,
    FinishedEscalation,
    Form,
    Line,
    Participant,
    Reason,
    Ticket,
)

Json = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """An instant as whole microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The instant of whole microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


def to_body(ticket: Ticket) -> Json:
    """The column `body`: parts that are empty are left out."""
    parts: Json = {
        "observers": ticket.observers,
        "conversations": [_plain(each) for each in ticket.conversations],
        "escalation": _from_escalation(ticket.escalation) if ticket.escalation else None,
        "finished": [_from_finished(each) for each in ticket.finished],
        "contacts": [micros(each) for each in ticket.contacts],
        "incident": ticket.incident,
        "csat": _from_csat(ticket.csat),
        "timeline": [_from_fact(each) for each in ticket.timeline],
        "from_robot": ticket.from_robot,
        "participants": [_plain(each) for each in ticket.participants],
        "merged_into": [ticket.merged_into_id, ticket.merged_into_key] if ticket.merged_into_id else None,
    }
    return {name: part for name, part in parts.items() if part}


def from_body(body: Mapping[str, Any]) -> Json:
    """The nested parts as keyword arguments of a ticket."""
    escalation, csat = body.get("escalation"), body.get("csat")
    merged_into_id, merged_into_key = body.get("merged_into", ("", ""))
    return {
        "observers": body.get("observers", []),
        "conversations": [Conversation(**each) for each in body.get("conversations", [])],
        "escalation": _to_escalation(escalation) if escalation else None,
        "finished": [_to_finished(each) for each in body.get("finished", [])],
        "contacts": [instant(each) for each in body.get("contacts", [])],
        "incident": body.get("incident", False),
        "csat": Csat(**{**csat, "answered_time": instant(csat["answered_time"])}) if csat else None,
        "timeline": [_to_fact(each) for each in body.get("timeline", [])],
        "from_robot": body.get("from_robot", False),
        "participants": [Participant(**each) for each in body.get("participants", [])],
        "merged_into_id": merged_into_id,
        "merged_into_key": merged_into_key,
    }


def from_fields(fields: Mapping[str, Value]) -> Json:
    """The column `fields`: each value under the name that its kind has in the contract."""
    return {key: _from_value(value) for key, value in fields.items()}


def to_fields(column: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    """Values of custom fields out of their column."""
    return {key: _to_value(*next(iter(value.items()))) for key, value in column.items()}


def from_attachments(attachments: list[Attachment]) -> list[Json]:
    """Files of a message for their column."""
    return [_plain(each) for each in attachments]


def to_attachments(value: list[Json]) -> list[Attachment]:
    """Files of a message out of their column."""
    return [Attachment(**each) for each in value]


def _plain(part: Conversation | Participant | Attachment) -> Json:
    # `asdict` copies each value, which none of these needs, at ten times the cost.
    return {name: getattr(part, name) for name in part.__slots__}


def _from_value(value: Value) -> Json:
    match value:
        case str():
            return {"text": value}
        case datetime():
            return {"time": micros(value)}
        case tuple():
            return {"choices": list(value)}
        case User():
            return {"user": value.id}
    return {"number": value}


def _to_value(kind: str, data: Any) -> Value:
    match kind:
        case "number":
            return float(data)
        case "time":
            return instant(data)
        case "choices":
            return tuple(data)
        case "user":
            return User(data)
    return str(data)


def _from_fact(fact: timeline.Fact) -> Json:
    row: Json = {"kind": timeline.NAMES[type(fact)]}
    for name in timeline.FIELDS[type(fact)]:
        value = getattr(fact, name)
        row[name] = micros(value) if isinstance(value, datetime) else value
    return row


def _to_fact(row: Json) -> timeline.Fact:
    values = {name: value for name, value in row.items() if name != "kind"}
    for name in ("time", "last_time"):
        if name in values:
            values[name] = instant(values[name])
    if "names" in values:
        values["names"] = tuple(values["names"])
    return timeline.KINDS[row["kind"]](**values)


def _from_escalation(escalation: Escalation) -> Json:
    row = {**asdict(escalation), "started_time": micros(escalation.started_time)}
    if escalation.form and escalation.form.deadline:
        row["form"]["deadline"] = micros(escalation.form.deadline)
    return row


def _to_escalation(value: Json) -> Escalation:
    return Escalation(
        started_time=instant(value["started_time"]),
        from_line=Line(value["from_line"]),
        to_line=Line(value["to_line"]),
        reasons=[Reason(each) for each in value["reasons"]],
        management=value["management"],
        form=_to_form(value["form"]) if value["form"] else None,
        criterion=value.get("criterion", ""),
    )


def _to_form(value: Json) -> Form:
    deadline = value.get("deadline")
    return Form(**{**value, "deadline": instant(deadline) if deadline else None})


def _from_finished(over: FinishedEscalation) -> Json:
    return {
        "escalation": _from_escalation(over.escalation),
        "ended_time": micros(over.ended_time),
        "answer": over.answer,
    }


def _to_finished(value: Json) -> FinishedEscalation:
    escalation = _to_escalation(value["escalation"])
    return FinishedEscalation(escalation, instant(value["ended_time"]), value["answer"])


def _from_csat(csat: Csat | None) -> Json | None:
    return {**asdict(csat), "answered_time": micros(csat.answered_time)} if csat else None
