"""Reading the part `escalations` of a setup's document: the message Escalations as JSON."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tickets.domain.keywords import Keywords, Matcher
from tickets.domain.label import Label
from tickets.domain.lines import (
    BurstRule,
    CompensationRule,
    ContactRule,
    Criterion,
    Escalations,
    Goes,
    Guard,
    HandOver,
    ScoreRule,
)
from tickets.domain.model import Line, Reason

Part = Mapping[str, Any]


def read_escalations(part: Part) -> Escalations:
    """How a queue escalates, out of a document that follows the contract; an empty one means the defaults."""
    usual = Escalations()
    return Escalations(
        steps={_line(each["from"]): _hand_over(each) for each in part.get("steps", ())},
        guards=tuple(_guard(each) for each in part.get("guards", ())),
        matcher=_matcher(part["keywords"]) if "keywords" in part else usual.matcher,
        contacts=_contacts(part.get("repeated_contact", {}), usual.contacts),
        low_score=_score(part.get("low_score", {}), usual.low_score),
        vip_critical=_goes(part, "vip_critical", usual.vip_critical),
        compensation=_compensation(part["compensation"]) if "compensation" in part else None,
        burst=_burst(part.get("burst", {}), usual.burst),
    )


def _hand_over(part: Part) -> HandOver:
    return HandOver(
        required=tuple(each.removeprefix("FORM_PART_").lower() for each in part.get("required", ())),
        criteria=tuple(
            Criterion(
                *(each["key"], _label(each), _reason(each.get("reason", "BY_AGENT"))),
                missing_article=each.get("missing_article", False),
            )
            for each in part.get("criteria", ())
        ),
    )


def _guard(part: Part) -> Guard:
    return Guard(
        key=part["key"],
        name=_label(part),
        lines=tuple(_line(each) for each in part.get("lines", ())) or (Line.L1,),
        categories=tuple(part.get("categories", ())),
        tags=tuple(part.get("tags", ())),
        vip_critical=part.get("vip_critical", False),
        reasons=tuple(_reason(each) for each in part.get("reasons", ())),
        may_reply=part.get("may_reply", False),
    )


def _matcher(part: Part) -> Matcher:
    return Matcher(
        tuple(
            Keywords(
                key=each["key"],
                phrases=tuple(each["phrases"]),
                except_=tuple(each.get("except", ())),
                target=_goes(each, "target", Goes.NEXT_LINE),
            )
            for each in part.get("rules", ())
        )
    )


def _contacts(part: Part, usual: ContactRule) -> ContactRule:
    return ContactRule(
        count=part.get("count", usual.count),
        window=_duration(part, "window", usual.window),
        gap=_duration(part, "gap", usual.gap),
        goes=_goes(part, "target", usual.goes),
    )


def _score(part: Part, usual: ScoreRule) -> ScoreRule:
    return ScoreRule(part.get("below", usual.below), _goes(part, "target", usual.goes))


def _compensation(part: Part) -> CompensationRule:
    return CompensationRule(part["field"], part.get("limit", 0.0), _goes(part, "target", Goes.MANAGEMENT))


def _burst(part: Part, usual: BurstRule) -> BurstRule:
    return BurstRule(
        count=part.get("count", usual.count),
        window=_duration(part, "window", usual.window),
        off=part.get("off", False),
    )


def _goes(part: Part, name: str, usual: Goes) -> Goes:
    told = part.get(name, "ESCALATION_TARGET_UNSPECIFIED").removeprefix("ESCALATION_TARGET_")
    return usual if told == "UNSPECIFIED" else Goes[told]


def _duration(part: Part, name: str, usual: timedelta) -> timedelta:
    return timedelta(seconds=float(part[name].removesuffix("s"))) if name in part else usual


def _label(part: Part) -> Label:
    return Label(**part.get("name", {}))


def _line(name: str) -> Line:
    return Line[name.removeprefix("LINE_")]


def _reason(name: str) -> Reason:
    reason = name.removeprefix("ESCALATION_REASON_")
    return Reason.BY_AGENT if reason == "UNSPECIFIED" else Reason[reason]
