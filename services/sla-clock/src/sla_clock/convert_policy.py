"""What is said of policies into messages: findings, cases, explanations, plans, simulations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sla_clock import convert
from sla_clock.calendar import micros
from sla_clock.cases import CaseResult
from sla_clock.explain import Explanation, Kind
from sla_clock.lint import Finding, Severity
from sla_clock.plan import Change, Summary
from sla_clock.plan import Kind as ChangeKind
from sla_clock.policy import Policy
from sla_clock.simulate import Figures, Report
from sla_clock.standing import Standings
from tickdesk.sla.v1 import clock_pb2, policy_pb2, policy_service_pb2, sla_service_pb2
from tickdesk.sla.v1.policy_pb2 import PlannedKind
from tickdesk.sla.v1.sla_service_pb2 import SegmentKind

if TYPE_CHECKING:
    from sla_clock.store.policies import PolicyLine

SEVERITIES = {one: policy_pb2.Severity.Value(f"SEVERITY_{one.name}") for one in Severity}
KINDS = {one: PlannedKind.Value(f"PLANNED_KIND_{one.name}") for one in ChangeKind}
SEGMENTS = {one: SegmentKind.Value(f"SEGMENT_KIND_{one.name}") for one in Kind}


def policy_line(one: PolicyLine) -> policy_service_pb2.PolicySummary:
    """A version of the policy without its text."""
    return policy_service_pb2.PolicySummary(
        name=one.name,
        version=one.version,
        origin=one.origin,
        applied_time=convert.timestamp(micros(one.applied_at)),
    )


def finding(one: Finding) -> policy_pb2.Finding:
    """Something about a policy's text."""
    return policy_pb2.Finding(
        severity=SEVERITIES[one.severity],
        check=one.check,
        line=one.line,
        column=one.column,
        path=one.path,
        message=one.message,
    )


def case_result(one: CaseResult) -> policy_pb2.PolicyCaseResult:
    """What came of a case."""
    unmet = [
        policy_pb2.UnmetExpectation(line=each.line, what=each.what, wanted=each.wanted, got=each.got)
        for each in one.unmet
    ]
    return policy_pb2.PolicyCaseResult(name=one.name, line=one.line, unmet=unmet)


def explanation(
    found: Explanation, policy: Policy, as_of: int, standings: Standings = ()
) -> sla_service_pb2.ExplainClockResponse:
    """Why a clock stands where it stands, without its ticket."""
    calendar = found.clock.terms.calendar
    generations = {(one.name, one.cycle): one.generation for one in standings}
    return sla_service_pb2.ExplainClockResponse(
        clock=convert.full_clock(found.clock, generations, as_of),
        segments=[
            sla_service_pb2.ClockSegment(
                start_time=convert.timestamp(one.start),
                end_time=convert.timestamp(one.end),
                kind=SEGMENTS[one.kind],
                name=one.name,
                counted=convert.duration(one.counted),
            )
            for one in found.stretches
        ],
        rows=[
            sla_service_pb2.PolicyRowVerdict(
                row=one.row,
                target=None if one.target is None else convert.duration(one.target),
                won=one.won,
                reason=one.reason,
            )
            for one in found.verdicts
        ],
        policy=convert.policy_ref(policy, calendar.name),
        timezone=calendar.zone.key,
    )


def planned(one: Change, ticket: clock_pb2.TicketRef, as_of: int) -> policy_pb2.PlannedChange:
    """A clock that would change."""
    return policy_pb2.PlannedChange(
        ticket=ticket,
        kind=KINDS[one.kind],
        before=convert.clock_message(one.before, as_of) if one.before else None,
        after=convert.clock_message(one.after, as_of) if one.after else None,
        breaches=one.breaches,
        fires=one.fires,
    )


def plan_summary(told: Summary) -> policy_pb2.PlanSummary:
    """What a plan comes to."""
    return policy_pb2.PlanSummary(
        tickets=told.tickets,
        changed_tickets=told.changed_tickets,
        **{kind.value: told.kinds[kind] for kind in ChangeKind},
        breaches=told.breaches,
        fires=told.fires,
        left_out=told.left_out,
    )


def report(told: Report) -> policy_pb2.SimulationReport:
    """The outcome of a simulation."""
    base, candidate = told.base, told.candidate
    return policy_pb2.SimulationReport(
        tickets=told.tickets,
        skipped=told.skipped,
        days=_rows(sorted({*base.days, *candidate.days}), base.days, candidate.days),
        clocks=_rows(dict.fromkeys((*base.clocks, *candidate.clocks)), base.clocks, candidate.clocks),
        total=_row("total", base.total, candidate.total),
        until_time=convert.timestamp(told.until),
    )


def _rows(
    labels: Iterable[str], base: dict[str, Figures], candidate: dict[str, Figures]
) -> Iterator[policy_pb2.SimulatedRow]:
    for label in labels:
        yield _row(label, base.get(label, Figures()), candidate.get(label, Figures()))


def _row(label: str, base: Figures, candidate: Figures) -> policy_pb2.SimulatedRow:
    return policy_pb2.SimulatedRow(label=label, base=_figures(base), candidate=_figures(candidate))


def _figures(told: Figures) -> policy_pb2.SimulatedFigures:
    return policy_pb2.SimulatedFigures(
        started=told.started,
        met_in_time=told.met_in_time,
        breached=told.breached,
        alerts=told.alerts,
        escalations=told.escalations,
        compliance=told.compliance,
    )
