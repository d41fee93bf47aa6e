"""What is said of wrong marks, ladders and clocks, word for word."""

from __future__ import annotations

import pytest

from .policies import SMALL, changed, faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            SMALL + "marks: [{at: 50%}]\n",
            "10:9: marks[0]: 'action' is missing",
        ),
        (
            SMALL + "marks: [{action: remind}]\n",
            "10:9: marks[0]: say once where the mark stands: at: 70%, at: 1h, before: 30m or after: 2h",
        ),
        (
            SMALL + "marks: [{at: 50%, before: 1h, action: remind}]\n",
            "10:9: marks[0]: say once where the mark stands: at: 70%, at: 1h, before: 30m or after: 2h",
        ),
        (
            SMALL + "marks: [{at: 0%, action: remind}]\n",
            "10:14: marks[0].at: a share is above 0% and at most 1000%",
        ),
        (
            SMALL + "marks: [{at: half, action: remind}]\n",
            "10:14: marks[0].at: 'half' is not a duration; write 2h 30m, 90s or 3bd",
        ),
        (
            SMALL + "marks: [{at: 50%, action: shout}]\n",
            "10:27: marks[0].action: 'shout' is not one of remind, escalate_line, breach,"
            " escalate_management, overrun",
        ),
        (
            SMALL + "marks: [{at: 50%, action: remind, tell: boss}]\n",
            "10:41: marks[0].tell: 'boss' is not one of assignee, line, line_lead, management, duty",
        ),
        (
            SMALL + "marks: [{at: 150%, action: overrun}]\n",
            "10:28: marks[0].action: an overrun says whom it is for: tell: management",
        ),
        (
            SMALL + "marks: [{at: 50%, action: remind, clocks: speed}]\n",
            "10:43: marks[0].clocks: 'speed' is not one of pickup, acknowledge, first_response,"
            " accepted_response, next_response, resolution",
        ),
        (
            SMALL + "marks: [{at: 50%, action: remind, name: " + "x" * 41 + "}]\n",
            "10:41: marks[0].name: a mark's name has at most 40 characters",
        ),
        (
            SMALL
            + "marks: [{at: 50%, action: remind, clocks: pickup},"
            + " {at: 50%, action: breach, clocks: pickup}]\n",
            "10:52: marks[1]: two marks of pickup are called '50%'",
        ),
        (
            SMALL + "marks: [" + "{at: 50%, action: remind}, " * 201 + "]\n",
            "10:8: marks: a list of marks has at most 200",
        ),
        (
            SMALL + "ladders: {steep: []}\n",
            "10:18: ladders.steep: a ladder has at least one rung",
        ),
        (
            SMALL + "ladders: {Steep: [{at: 50%, action: remind}]}\n",
            "10:11: ladders.Steep: 'Steep' is not a name; use small letters, digits and _, at most 40",
        ),
        (
            SMALL + "ladders: {steep: [{at: 50%, action: remind, clocks: pickup}]}\n",
            "10:45: ladders.steep[0].clocks: 'clocks' is not known here (known: name, at, before, after,"
            " action, tell)",
        ),
        (
            SMALL + "ladder: steep\n",
            "10:9: ladder: there is no ladder 'steep' (write it under ladders)",
        ),
        (
            SMALL + "ladder: steep\nladders: {flat: [{at: 50%, action: remind}]}\n",
            "10:9: ladder: there is no ladder 'steep' (known: flat)",
        ),
        (
            SMALL
            + "ladders: {steep: [{at: 50%, action: remind}]}\nclocks: {pickup: {ladder: steep}}\n"
            + "marks: [{at: 50%, action: breach}]\n",
            "11:27: clocks.pickup.ladder: two marks of pickup are called '50%'",
        ),
        (
            SMALL + "clocks: {pickup: {ladder: {resolution: steep}}}\n",
            "10:27: clocks.pickup.ladder: beside a clock stands the name of a ladder, or a list of marks",
        ),
        (
            SMALL + "clocks: {mine: {start: created}}\n",
            "10:16: clocks.mine: 'stop' is missing",
        ),
        (
            SMALL + "clocks: {Mine: {start: created, stop: closed}}\n",
            "10:10: clocks.Mine: 'Mine' is not a name; use small letters, digits and _, at most 40",
        ),
        (
            SMALL + "clocks: {mine: {start: creatd, stop: closed}}\n",
            "10:24: clocks.mine.start: 'creatd' is not one of created, taken, returned, status_changed,"
            " line_changed, priority_changed, customer_messages, staff_replies, robot_replies,"
            " escalated, escalation_ended, resolved, reopened, closed, attributes_changed, merged; did"
            " you mean 'created'?",
        ),
        (
            SMALL + "clocks: {mine: {start: [{created: {}, closed: {}}], stop: closed}}\n",
            "10:25: clocks.mine.start[0]: one fact is wanted here, such as status_changed: {to: in_progress}",
        ),
        (
            SMALL + "clocks: {mine: {start: {creatd: {}}, stop: closed}}\n",
            "10:25: clocks.mine.start: 'creatd' is not one of created, taken, returned, status_changed,"
            " line_changed, priority_changed, customer_messages, staff_replies, robot_replies,"
            " escalated, escalation_ended, resolved, reopened, closed, attributes_changed, merged; did"
            " you mean 'created'?",
        ),
        (
            SMALL + "clocks: {mine: {start: {created: {colour: red}}, stop: closed}}\n",
            "10:35: clocks.mine.start.created.colour: 'colour' is not known here (known: line, priority,"
            " status, status_kind)",
        ),
        (
            SMALL + "clocks: {mine: {start: {line_changed: {to: l4}}, stop: closed}}\n",
            "10:44: clocks.mine.start.line_changed.to: 'l4' is not one of l1, l2, l3",
        ),
        (
            SMALL + "clocks: {resolution: {pause: {status_kind: waitng}}}\n",
            "10:44: clocks.resolution.pause.status_kind: 'waitng' is not one of new, open, waiting,"
            " escalated, resolved, closed; did you mean 'waiting'?",
        ),
        (
            SMALL + "clocks: {resolution: {pause: {weather: rain}}}\n",
            "10:31: clocks.resolution.pause.weather: 'weather' is not known here (known: status,"
            " status_kind, line, priority, assignee)",
        ),
        (
            SMALL
            + "clocks: {"
            + ", ".join(f"c{n}: {{start: created, stop: closed}}" for n in range(27))
            + "}\n",
            "10:9: clocks: there are more than 32 clocks",
        ),
        (
            changed("mon-fri: 09:00-18:00", "mon: 09:00-09:01").replace("1h", "20h")
            + "marks: [{at: 1000%, action: breach}]\n",
            "9:31: targets[0].targets.first_response: calendar office has not 20h and its marks in 100"
            " years; give it more hours",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, fault: str) -> None:
    assert faults(text) == [fault]
