"""What lines may do, what handing on takes, and what escalates by itself."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import EnumDescriptor
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from chassis.errors import InvalidInput, Refused
from services.tickets.tests.unit.stories import START, a_customer, a_queue, a_ticket, at
from tickdesk.tickets.v1 import escalation_pb2 as pb
from tickets.domain import escalation, lines
from tickets.domain.escalation import Step
from tickets.domain.keywords import LEGAL, Matcher
from tickets.domain.label import Label
from tickets.domain.lines import (
    ContactRule,
    Criterion,
    Escalations,
    Goes,
    Guard,
    HandOver,
    automatic,
    complete,
    contact_times,
    contacts,
    is_repeated,
)
from tickets.domain.linesfile import read_escalations
from tickets.domain.model import Form, Line, Priority, Reason, Tier

BY_AGENT = Step(Reason.BY_AGENT)
RULE = ContactRule(count=3, window=timedelta(days=7), gap=timedelta(minutes=30))
DAY = 24 * 60


def a_guard(**fields: Any) -> Guard:
    return Guard(**{"key": "g", "name": Label(en="Guarded"), **fields})


def test_a_guard_holds_for_categories_tags_vips_and_reasons_of_its_lines() -> None:
    """CA-02: refunds, legal conflicts, VIP in a critical state, security incidents."""
    refunds = a_guard(categories=("payment/refund", "claims"))
    assert refunds.holds(a_ticket(category="payment/refund"))
    assert refunds.holds(a_ticket(category="claims/delivery"))
    assert not refunds.holds(a_ticket(category="payment/refunds"))
    assert not refunds.holds(a_ticket(category="claims", line=Line.L2))
    assert a_guard(tags=("security",)).holds(a_ticket(tags=["a", "security"]))
    vip = a_customer(tier=Tier.VIP)
    assert a_guard(vip_critical=True).holds(a_ticket(customer=vip, priority=Priority.CRITICAL))
    assert not a_guard(vip_critical=True).holds(a_ticket(customer=vip))
    told = a_ticket()
    escalation.escalate(told, Step(Reason.SECURITY, stay=True, management=True), Line.L3, at(1))
    assert a_guard(reasons=(Reason.SECURITY,)).holds(told)
    assert not a_guard(reasons=(Reason.COMPENSATION,)).holds(told)


def test_a_guarded_verb_is_refused_with_the_guard_and_the_remedy() -> None:
    """CA-02."""
    rules = Escalations(guards=(a_guard(tags=("refund",), may_reply=True), a_guard(key="h", tags=("x",))))
    ticket = a_ticket(tags=["refund"])
    rules.require_unguarded(ticket, "reply to", reply=True)
    with pytest.raises(Refused) as caught:
        rules.require_unguarded(ticket, "resolve")
    assert caught.value.reason == "LINE_GUARDED"
    assert caught.value.metadata == {"guard": "g", "line": "L1", "remedy": "EscalateTicket"}
    ticket.tags.append("x")
    with pytest.raises(Refused):
        rules.require_unguarded(ticket, "reply to", reply=True)


def test_every_missing_part_of_the_form_is_named() -> None:
    """CA-22."""
    needed = HandOver(required=("done", "checked", "ask", "deadline"))
    with pytest.raises(InvalidInput) as caught:
        complete(Step(Reason.BY_AGENT, form=Form(done="Looked")), needed, START)
    assert caught.value.reason == "FORM_INCOMPLETE"
    assert [each.field for each in caught.value.violations] == ["form.checked", "form.ask", "form.deadline"]
    whole = Step(Reason.BY_AGENT, form=Form(done="a", checked="4.2", ask="c", deadline=at(5)))
    assert complete(whole, needed, START) == whole
    with pytest.raises(InvalidInput) as caught:
        complete(whole, needed, at(5))
    assert [each.field for each in caught.value.violations] == ["form.deadline"]


def test_a_criterion_is_chosen_from_those_on_offer_and_brings_its_reason() -> None:
    """CA-18, CA-19."""
    needed = HandOver(criteria=(Criterion("bug", Label()), Criterion("breach", Label(), Reason.SECURITY)))
    assert complete(Step(Reason.BY_AGENT, criterion="breach"), needed, START).reason == Reason.SECURITY
    assert complete(Step(Reason.BY_AGENT, criterion="bug"), needed, START).reason == Reason.BY_AGENT
    assert complete(Step(Reason.COMPENSATION), needed, START).reason == Reason.COMPENSATION
    for criterion, reason in (("", "CRITERION_REQUIRED"), ("mood", "UNKNOWN_CRITERION")):
        with pytest.raises(InvalidInput) as caught:
            complete(Step(Reason.BY_AGENT, criterion=criterion), needed, START)
        assert (caught.value.reason, caught.value.metadata) == (reason, {"criteria": "bug, breach"})
    assert complete(BY_AGENT, HandOver(), START) == BY_AGENT


def test_the_form_reads_as_a_note_in_the_language_of_the_ticket() -> None:
    """CA-22."""
    form = Form(done="Проверены лимиты", ask="Проверить шлюз", deadline=START)
    text = lines.form_text(form, Line.L2, "ru")
    assert text.splitlines() == [
        "Передано на L2.",
        "Сделано: Проверены лимиты",
        "Причина и просьба: Проверить шлюз",
        "Срок: 2026-11-23 09:00 UTC",
    ]
    assert lines.form_text(form, Line.L2, "en").startswith("Handed to L2.\nDone so far: ")


def test_by_itself_a_ticket_only_goes_to_lines_that_write_to_customers() -> None:
    """CA-04, CA-21: else nobody could answer it."""
    queue = a_queue()
    moved = automatic(Step(Reason.KEYWORD), Goes.NEXT_LINE, a_ticket(), queue)
    assert moved is not None
    assert (moved.stay, moved.by_rule, moved.management) == (False, True, False)
    for ticket in (a_ticket(line=Line.L2), a_ticket(line=Line.L3)):
        stays = automatic(Step(Reason.KEYWORD), Goes.NEXT_LINE, ticket, queue)
        assert stays is not None
        assert stays.stay
    told = automatic(Step(Reason.KEYWORD), Goes.MANAGEMENT, a_ticket(), queue)
    assert told is not None
    assert (told.stay, told.management) == (True, True)
    assert automatic(Step(Reason.KEYWORD), Goes.NOBODY, a_ticket(), queue) is None


@pytest.mark.parametrize(
    ("minutes", "repeated"),
    [
        ([0], False),
        ([0, DAY], False),
        ([0, DAY, 2 * DAY], True),
        ([0, 10, 20], False),
        ([0, DAY, DAY + 10], False),
        ([0, DAY, 2 * DAY, 3 * DAY], False),
        ([0, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY], True),
        ([0, DAY, 2 * DAY, 2 * DAY + 10], False),
        ([0, 4 * DAY, 7 * DAY], False),
        ([0, 4 * DAY, 7 * DAY - 1], True),
    ],
)
def test_the_third_contact_within_a_week_is_one_too_many(minutes: list[int], repeated: bool) -> None:
    """CA-21: messages within half an hour are one contact; the sixth counts again."""
    assert is_repeated([at(each) for each in minutes], RULE) is repeated


@given(st.lists(st.integers(0, 20 * DAY), max_size=12), st.integers(0, 600))
def test_contacts_are_at_most_the_messages_and_a_longer_gap_counts_fewer(times: list[int], gap: int) -> None:
    moments = [at(each) for each in times]
    strict, loose = (ContactRule(gap=timedelta(minutes=each)) for each in (gap + 30, gap))
    assert contacts(moments, strict) <= contacts(moments, loose) <= len(moments)
    assert bool(moments) == bool(contacts(moments, strict))


def test_contacts_on_other_tickets_count_when_the_subject_is_the_same() -> None:
    """CA-21."""
    ticket = a_ticket(subject="Re: Printer on fire")
    earlier = [("Printer on  fire", [at(-9)]), ("Invoice", [at(-8)]), ("FW: printer on fire", [at(-7)])]
    assert contact_times(ticket, earlier) == [at(-9), at(-7), START]


def test_a_whole_document_is_read_and_an_empty_one_means_the_usual() -> None:
    """Names and enums of the contract; what is said is what is read."""
    message = pb.Escalations(
        steps=[
            pb.EscalationStep(
                **{"from": 1},
                required=[1, 6],  # type: ignore[list-item]
                criteria=[pb.EscalationCriterion(key="bug", reason=10)],  # type: ignore[arg-type]
            )
        ],
        guards=[pb.LineGuard(key="g", tags=["t"], reasons=[9], may_reply=True)],  # type: ignore[list-item]
        keywords=pb.Keywords(rules=[pb.KeywordRule(key="k", phrases=["help"], target=3)]),  # type: ignore[arg-type]
        repeated_contact=pb.ContactRule(count=4, target=2),  # type: ignore[arg-type]
        low_score=pb.ScoreRule(below=70),
        vip_critical=4,  # type: ignore[arg-type]
        compensation=pb.CompensationRule(field="amount", limit=500),
        burst=pb.BurstRule(count=50),
    )
    message.repeated_contact.window.FromTimedelta(timedelta(hours=5))
    message.burst.window.FromTimedelta(timedelta(minutes=1))
    told = read_escalations(json_format.MessageToDict(message, preserving_proto_field_name=True))
    step = told.hand_over(Line.L1)
    assert (step.required, step.criteria) == (
        ("done", "deadline"),
        (Criterion("bug", Label(), Reason.SECURITY),),
    )
    assert told.hand_over(Line.L2) == HandOver()
    guard = Guard("g", Label(), tags=("t",), reasons=(Reason.COMPENSATION,), may_reply=True)
    assert told.guards == (guard,)
    assert [(each.key, each.target) for each in told.matcher.rules] == [("k", Goes.MANAGEMENT)]
    assert told.contacts == ContactRule(4, timedelta(hours=5), RULE.gap, Goes.LEAD)
    assert (told.low_score.below, told.low_score.goes) == (70, Goes.LEAD)
    assert told.vip_critical == Goes.NOBODY
    assert told.compensation == lines.CompensationRule("amount", 500.0)
    assert told.burst == lines.BurstRule(50, timedelta(minutes=1))
    assert read_escalations({}) == Escalations()
    assert [each.key for each in read_escalations({}).matcher.rules] == ["legal", "unhappy"]
    assert read_escalations({"keywords": {}}).matcher.rules == ()


def test_names_and_numbers_are_those_of_the_contract() -> None:
    assert told_by(pb.FormPart.DESCRIPTOR, "FORM_PART_") == [each.upper() for each in lines.FORM_PARTS]
    assert told_by(pb.EscalationTarget.DESCRIPTOR, "ESCALATION_TARGET_") == [each.name for each in Goes]
    returns = [each.name for each in escalation.ReturnReason]
    assert told_by(pb.ReturnReason.DESCRIPTOR, "RETURN_REASON_") == returns


def told_by(enum: EnumDescriptor, prefix: str) -> list[str]:
    """Names of a contract's enum after the first, which says nothing; the numbers run from one."""
    assert [each.number for each in enum.values] == list(range(len(enum.values)))
    return [each.name.removeprefix(prefix) for each in enum.values[1:]]


GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "lines.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_setups_of_the_guide_are_right(block: str) -> None:
    """Each is the part `escalations` of a setup as `GetSetup` and `PutSetup` write it."""
    document = YAML(typ="safe", pure=True).load(block)["escalations"]
    message = json_format.ParseDict(document, pb.Escalations())
    told = read_escalations(json_format.MessageToDict(message, preserving_proto_field_name=True))
    assert list(lines.definition_faults(told)) == []
    assert told != Escalations() or told.matcher.rules != Escalations().matcher.rules


def test_the_guide_has_a_block_for_each_part_that_people_write() -> None:
    assert len(BLOCKS) == 3


def test_what_is_wrong_in_a_setup_is_named_by_its_path() -> None:
    told = Escalations(
        steps={Line.L1: HandOver(criteria=(Criterion("a", Label()), Criterion("a", Label())))},
        guards=(a_guard(tags=("t",)), a_guard()),
        matcher=Matcher((LEGAL, LEGAL)),
    )
    assert [path for path, _ in lines.definition_faults(told)] == [
        "guards[1]",
        "guards[1].key",
        "steps[L1].criteria",
        "keywords.rules[1].key",
    ]
    assert list(lines.definition_faults(Escalations())) == []
