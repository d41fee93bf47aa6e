"""What a setup says and what is wrong with it."""

from dataclasses import replace

import protovalidate
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from tickdesk.tickets.v1 import setup_pb2
from tickets.convert import setup as convert
from tickets.convert import templates
from tickets.convert import tickets as convert_tickets
from tickets.domain import setup, workflowlint
from tickets.domain.label import Label
from tickets.domain.model import Line, TicketType
from tickets.domain.statuses import LINES, REACHABLE, Mover, Status, StatusKind, Transition, Workflow

NAME = Label(en="x")
NEW, OPEN, RESOLVED, CLOSED = (
    Status(kind.name.lower(), kind, name=NAME)
    for kind in (StatusKind.NEW, StatusKind.OPEN, StatusKind.RESOLVED, StatusKind.CLOSED)
)
SMALL = Workflow(
    (NEW, OPEN, RESOLVED, CLOSED), tuple(Transition(each) for each in ("new", "open", "resolved", "closed"))
)


def faults(flow: Workflow) -> list[str]:
    return [f"{path}: {text}" for path, text in workflowlint.faults(flow, fields=("error_time",))]


def without(flow: Workflow, *keys: str) -> Workflow:
    return replace(flow, statuses=tuple(each for each in flow.statuses if each.key not in keys))


@pytest.mark.parametrize("template", templates.all_templates(), ids=lambda each: each.key)
def test_every_template_is_sound_and_within_the_bounds_of_the_contract(
    template: setup_pb2.QueueTemplate,
) -> None:
    """YT-01, CP-07, CA-08, MP-03: at most seven statuses, words in both languages, nothing to complain of."""
    whole = setup_pb2.QueueTemplate()
    whole.CopyFrom(template)
    whole.setup.queue = "SUP"
    protovalidate.validate(whole)
    found = convert.from_document(convert.to_document(template.setup))
    assert (setup.faults(found), setup.doubts(found)) == ([], [])
    assert all(each.name.ru and each.name.en for each in template.setup.workflow.statuses)
    assert template.name.ru
    assert template.name.en
    assert template.description.ru
    assert template.description.en


def test_the_template_lines_is_what_queues_without_a_setup_do() -> None:
    document = convert.to_document(templates.template("lines").setup)
    assert setup.read_workflow(document["workflow"]) == LINES
    assert setup.Setup() == convert.from_document(document)


def test_a_document_is_the_setup_without_what_names_its_version() -> None:
    whole = templates.template("crmai").setup
    versioned = setup_pb2.Setup()
    versioned.CopyFrom(whole)
    versioned.queue, versioned.version = "SUP", 7
    document = convert.to_document(versioned)
    assert document == convert.to_document(whole)
    assert convert.to_setup("SUP", setup.Kept(7, None, None, document)) == versioned
    found = convert.from_document(document)
    assert found.types == tuple(TicketType(each) for each in whole.types)
    assert found.workflow.confirmation_seconds == 3 * 86400


def test_a_document_of_a_newer_release_is_read_without_what_is_not_known() -> None:
    document = {**convert.to_document(templates.template("lines").setup), "telepathy": {"on": True}}
    assert convert.from_document(document).workflow == LINES
    assert "telepathy" not in MessageToDict(convert.to_setup("SUP", setup.Kept(1, None, None, document)))


def test_the_smallest_workflow_is_sound() -> None:
    assert faults(SMALL) == []
    assert list(workflowlint.doubts(SMALL)) == []


@pytest.mark.parametrize("kind", ["new", "open", "resolved", "closed"])
def test_a_kind_that_verbs_need_must_be_there(kind: str) -> None:
    assert f"workflow.statuses: must have a status of the kind {kind}" in faults(without(SMALL, kind))


@pytest.mark.parametrize(
    ("transition", "told"),
    [
        (Transition("gone"), "transitions[4].to: gone is no status of the workflow"),
        (Transition("open", ("gone",)), "transitions[4].from[0]: gone is no status of the workflow"),
        (Transition("open", ("open",)), "transitions[4].from[0]: open is where it leads to"),
        (Transition("closed", ("new",)), "transitions[4].from[0]: no verb leads from the kind new to closed"),
        (
            Transition("open", required=("fields.error_time", "error_time")),
            "transitions[4].required[1]: must be one of category, component, customer_number, edition, "
            "fields.error_time",
        ),
    ],
)  # fmt: skip
def test_a_bad_transition_is_named(transition: Transition, told: str) -> None:
    flow = replace(SMALL, transitions=(*SMALL.transitions, transition))
    assert faults(flow) == [f"workflow.{told}"]


def test_two_statuses_of_one_key_and_one_without_a_name_are_named() -> None:
    flow = replace(SMALL, statuses=(*SMALL.statuses, replace(OPEN, name=Label())))
    paths = [path for path, _ in workflowlint.faults(flow, fields=())]
    assert paths == [f"workflow.statuses[{place}]" for place in ("1].key", "4].key", "4].name")] or paths == [
        "workflow.statuses[1].key",
        "workflow.statuses[4].key",
        "workflow.statuses[4].name",
    ]


def test_a_ticket_that_could_never_end_is_a_fault() -> None:
    """CA-09: every resolved ticket can be closed when its term runs out."""
    stuck = replace(SMALL, transitions=tuple(each for each in SMALL.transitions if each.to != "resolved"))
    assert faults(stuck) == [
        "workflow.statuses[0]: a ticket that is new can never be closed",
        "workflow.statuses[1]: a ticket that is open can never be closed",
    ]
    again = Status("again", StatusKind.RESOLVED, name=NAME)
    moves = (*SMALL.transitions[:3], Transition("again"), Transition("closed", ("again",)))
    flow = Workflow((*SMALL.statuses, again), moves)
    assert faults(flow) == [
        "workflow.statuses[2]: a ticket that is resolved cannot be closed when its term runs out: "
        "none leads to closed"
    ]


def test_a_line_with_statuses_of_its_own_needs_one_of_every_kind() -> None:
    """YT-14."""
    flow = replace(SMALL, statuses=(replace(NEW, line=Line.L2), *SMALL.statuses[1:]))
    assert faults(flow) == ["workflow.statuses: must have a status of the kind new for tickets on L1"]


def test_lines_that_no_status_names_are_looked_at_up_to_the_last_of_the_queue() -> None:
    """YT-14: a ticket of L3 would have no status to go to."""
    own = [replace(each, key=f"{each.key}{line}", line=line) for line in (1, 2) for each in SMALL.statuses]
    flow = Workflow(tuple(own), tuple(Transition(each.key) for each in own))
    assert list(workflowlint.line_faults(flow, Line.L2)) == []
    told = [text for _, text in workflowlint.line_faults(flow, Line.L3)]
    assert told[0] == "must have a status of the kind new for tickets on L3"
    assert (flow.last_line(Line.L3), flow.last_line(Line.L1)) == (Line.L2, Line.L1)
    assert (SMALL.last_line(Line.L3), list(workflowlint.line_faults(SMALL, Line.L3))) == (Line.L3, [])


def test_every_template_serves_all_lines_of_its_queue() -> None:
    for model in templates.all_templates():
        flow = convert.from_document(convert.to_document(model.setup)).workflow
        last_line = convert_tickets.from_queue(model.queue).last_line
        assert list(workflowlint.line_faults(flow, last_line)) == [], model.key


def test_doubts_are_no_faults() -> None:
    """CA-08: more than seven statuses are hard to keep apart."""
    more = tuple(Status(f"s{number}", StatusKind.OPEN, name=NAME) for number in range(4))
    moves = (
        *(Transition(each.key, ("open",)) for each in more[:3]),
        Transition("open"),
        Transition("new", ("open",)),
    )
    flow = Workflow((*SMALL.statuses, *more), (*moves, *SMALL.transitions[2:]))
    told = [path for path, _ in workflowlint.doubts(flow)]
    assert told == ["workflow.statuses", *(f"workflow.statuses[{index}]" for index in (4, 5, 6, 7, 7))]
    assert faults(flow) == []


def test_what_a_next_workflow_takes_away_or_turns_round_is_told() -> None:
    turned = replace(SMALL, statuses=(NEW, replace(OPEN, kind=StatusKind.WAITING), RESOLVED, CLOSED))
    assert setup.removed(SMALL, turned) == [OPEN]
    assert setup.removed(SMALL, without(SMALL, "new")) == [NEW]
    assert setup.removed(SMALL, SMALL) == []


@pytest.mark.parametrize(
    ("mover", "may"),
    [
        (Mover("agent", (1,)), False),
        (Mover("agent", (2, 3)), True),
        (Mover("lead", (2,)), False),
        (Mover("agent"), True),
    ],
)
def test_a_transition_can_be_left_to_lines_and_roles(mover: Mover, may: bool) -> None:
    assert mover.may(Transition("open", lines=(2,), roles=("agent",))) is may


def test_the_names_of_the_contract_are_read() -> None:
    document = MessageToDict(
        ParseDict(
            {"workflow": {"statuses": [{"key": "new", "kind": 1, "line": 2}],
                          "transitions": [{"to": "new", "from": ["a"], "lines": [1], "roles": [2]}]}},
            setup_pb2.Setup(),
        ),
        preserving_proto_field_name=True,
    )  # fmt: skip
    flow = setup.read_workflow(document["workflow"])
    assert flow.statuses == (Status("new", StatusKind.NEW, Line.L2),)
    assert flow.transitions == (Transition("new", ("a",), lines=(1,), roles=("lead",)),)


def test_the_largest_workflow_is_checked_at_once() -> None:
    """A setup of every bound's size must not hold up the process that checks it: work grows with its text."""
    statuses = tuple(Status(f"s{number}", StatusKind.OPEN, name=NAME) for number in range(46))
    transitions = tuple(Transition(f"s{number % 46}") for number in range(196))
    flow = Workflow((*SMALL.statuses, *statuses), (*SMALL.transitions, *transitions))
    looked_at = 0

    class Counted(dict[StatusKind, tuple[StatusKind, ...]]):
        def __getitem__(self, key: StatusKind) -> tuple[StatusKind, ...]:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tickets.domain.workflowlint.REACHABLE", Counted(REACHABLE))
        assert faults(flow) == []
        list(workflowlint.doubts(flow))
    assert looked_at <= 2 * len(flow.statuses) * len(flow.transitions)


def test_a_workflow_without_a_beginning_is_told_so_and_looked_at_on() -> None:
    """Bad input: the doubts of a broken workflow are told beside its faults."""
    flow = without(SMALL, "new")
    assert "workflow.statuses: must have a status of the kind new" in faults(flow)
    assert ("workflow.statuses[0]", "open is never reached: no transition leads to it") in list(
        workflowlint.doubts(replace(flow, transitions=()))
    )
