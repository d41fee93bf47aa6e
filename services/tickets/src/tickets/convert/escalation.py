"""Lines and escalations to the contract."""

from tickdesk.tickets.v1 import escalation_pb2 as pb
from tickdesk.tickets.v1.label_pb2 import Label as LabelMessage
from tickets.convert.tickets import to_escalation
from tickets.convert.values import number, numbers, timestamp
from tickets.domain.label import Label
from tickets.domain.lines import FORM_PARTS, Criterion, Guard
from tickets.domain.model import FinishedEscalation


def to_parts(parts: tuple[str, ...]) -> list[pb.FormPart.ValueType]:
    """Parts of the form."""
    return [pb.FormPart.Value(f"FORM_PART_{each.upper()}") for each in FORM_PARTS if each in parts]


def to_criterion(criterion: Criterion) -> pb.EscalationCriterion:
    """A reason to choose."""
    return pb.EscalationCriterion(
        key=criterion.key,
        name=_label(criterion.name),
        reason=number(criterion.reason),
        missing_article=criterion.missing_article,
    )


def to_guard(guard: Guard) -> pb.LineGuard:
    """What lines must not do."""
    return pb.LineGuard(
        key=guard.key,
        name=_label(guard.name),
        lines=numbers(guard.lines),
        categories=guard.categories,
        tags=guard.tags,
        vip_critical=guard.vip_critical,
        reasons=numbers(guard.reasons),
        may_reply=guard.may_reply,
    )


def to_finished(over: FinishedEscalation) -> pb.FinishedEscalation:
    """An escalation that is over."""
    return pb.FinishedEscalation(
        escalation=to_escalation(over.escalation), ended_time=timestamp(over.ended_time), answer=over.answer
    )


def _label(label: Label) -> LabelMessage:
    return LabelMessage(ru=label.ru, en=label.en)
