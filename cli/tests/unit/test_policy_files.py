"""`tickdesk policy` without a desk: what is typed, what is printed, which exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickdesk_cli.main import app
from tickdesk_cli.terminal import console

POLICY = """\
name: shop
calendars:
  office:
    zone: Europe/Moscow
    hours: {mon-fri: 09:00-18:00}
    days:
      2026-11-23: {hours: closed, name: Founders' day}
targets:
  - {name: vip, tier: vip, targets: {first_response: 30m}}
  - {name: all, targets: {first_response: 1h, resolution: 8h}}
"""
TESTS = """\
cases:
  - name: Friday evening
    created: Fri 17:50
    expect: {first_response: {due: Tue 09:50}}
  - name: answered
    created: Thu 10:00
    then: [{replied: Thu 10:20}, {waiting: Thu 10:30}, {customer: Thu 11:00}]
    expect: {first_response: met}
"""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKDESK_HOME", str(tmp_path / "desk"))
    monkeypatch.setattr(console, "width", 80)
    (tmp_path / "shop.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "shop.tests.yaml").write_text(TESTS, encoding="utf-8")


def typed(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["policy", *words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("name", ["lint", "test", "explain", "plan", "simulate", "apply", "show", "list"])
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    assert "Example" in typed(name, "-h")


def test_lint_has_nothing_to_say_about_a_good_policy() -> None:
    assert typed("lint", "shop.yaml") == "fine: 1 policy, nothing to say\n"
    assert json.loads(typed("lint", "shop.yaml", "--json")) == []


def test_lint_names_file_line_and_column_and_counts() -> None:
    Path("bad.yaml").write_text(POLICY.replace("Moscow", "Moskow"), encoding="utf-8")
    assert typed("lint", "shop.yaml", "bad.yaml", code=1) == (
        "bad.yaml:4:11: error: calendars.office.zone: there is no time zone 'Europe/Moskow'; "
        "write one like Europe/Moscow [POLICY_INVALID]\n"
        "1 error, 0 warnings in 2 policies\n"
    )
    (found,) = json.loads(typed("lint", "bad.yaml", "--json", code=1))
    assert (found["file"], found["line"], found["column"], found["severity"]) == ("bad.yaml", 4, 11, "error")


def test_golden_cases_are_not_taken_for_policies() -> None:
    assert typed("lint", "shop.yaml", "shop.tests.yaml") == "fine: 1 policy, nothing to say\n"
    assert typed("test", "shop.yaml", "shop.tests.yaml").count("all passed") == 1
    assert typed("lint", "shop.tests.yaml", code=2) == (
        "error: shop.tests.yaml: holds golden cases, no policy\nName the policy they stand beside.\n"
    )


def test_warnings_count_unless_they_are_allowed() -> None:
    never = POLICY + "  - {name: never, targets: {first_response: 2h}}\n"
    Path("shop.yaml").write_text(never, encoding="utf-8")
    assert "shop.yaml:11:" in typed("lint", "shop.yaml", code=1)
    assert "0 errors, 1 warning in 1 policy" in typed("lint", "shop.yaml", "--allow-warnings")


def test_golden_cases_hold_or_say_what_was_wanted_and_what_came() -> None:
    assert typed("test", "shop.yaml") == "all passed: shop.tests.yaml, 2 cases\n"
    Path("other.yaml").write_text(TESTS.replace("Tue 09:50", "Mon 09:50"), encoding="utf-8")
    assert typed("test", "shop.yaml", "--tests", "other.yaml", code=1) == (
        "other.yaml:4: failed: Friday evening: first_response.due: wanted Mon 2026-11-23 09:50, "
        "got Tue 2026-11-24 09:50\n"
        "1 failed: other.yaml, 2 cases\n"
    )
    told = json.loads(typed("test", "shop.yaml", "--tests", "other.yaml", "--json", code=1))
    assert [(one["name"], one["passed"], len(one["unmet"])) for one in told] == [
        ("Friday evening", False, 1),
        ("answered", True, 0),
    ]


def test_explain_shows_stretches_the_week_marks_and_rows() -> None:
    told = typed("explain", "shop.yaml", "first_response", "--case", "Friday evening")
    assert lines(told)[:1] + lines(told)[5:24] == [
        "Friday evening",
        "from              to                what                      counted       sum",
        "Fri 20 Nov 17:50  Fri 20 Nov 18:00  █ counted                     10m       10m",
        "Fri 20 Nov 18:00  Mon 23 Nov 00:00  · closed",
        "Mon 23 Nov 00:00  Tue 24 Nov 00:00  ▒ holiday: Founders' day",
        "Tue 24 Nov 00:00  Tue 24 Nov 09:00  · closed",
        "Tue 24 Nov 09:00  Tue 24 Nov 09:50  █ counted                     50m        1h",
        "                  Tue 24 Nov 09:50  ◆ due                              = target",
        "",
        "           00  02  04  06  08  10  12  14  16  18  20  22",
        "Fri 20 Nov                                    █············",
        "Sat 21 Nov ················································",
        "Sun 22 Nov ················································",
        "Mon 23 Nov ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒  Founders' day",
        "Tue 24 Nov ··················█◆                              due 09:50",
        "Wed 25 Nov",
        "Thu 26 Nov",
        "█ counted   ▒ holiday   · closed   ◆ due",
        "",
        "mark  asks for             at",
    ]
    assert "✓ all      1h  the first row that fits" in told
    assert "  vip     30m  tier is standard, not vip" in told


def test_explain_shows_a_pause_a_met_clock_and_what_it_was_heading_for() -> None:
    told = typed("explain", "shop.yaml", "first_response", "--case", "answered")
    assert "met Thu 2026-11-19 10:20, in time, due Thu 2026-11-19 11:00" in told
    assert "Thu 19 Nov 10:20  Thu 19 Nov 11:00  ─ not needed" in told
    assert "Thu 19 Nov                     ✓─◆" in told
    paused = typed("explain", "shop.yaml", "resolution", "--case", "answered")
    assert "Thu 19 Nov 10:30  Thu 19 Nov 11:00  ░ paused: status_changed" in paused
    told_to_programs = json.loads(typed("explain", "shop.yaml", "resolution", "--case", "answered", "--json"))
    assert sum(float(one["counted"].removesuffix("s")) for one in told_to_programs["segments"]) == 8 * 3600


@pytest.mark.parametrize(("width", "cells"), [(132, 96), (80, 48), (50, 24)])
def test_the_picture_is_as_fine_as_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, width: int, cells: int
) -> None:
    monkeypatch.setattr(console, "width", width)
    told = lines(typed("explain", "shop.yaml", "first_response", "--case", "Friday evening"))
    assert max(map(len, told)) <= width
    (saturday,) = [line for line in told if line.startswith("Sat 21 Nov")]
    assert saturday.count("·") == cells


CSV = """\
id,created,first_reply,resolved,tier
1,2026-11-20 10:00,2026-11-20 10:40,2026-11-20 12:00,standard
2,2026-11-20 11:00,2026-11-20 11:40,2026-11-20 12:00,vip
3,soon,,,
"""


def test_a_csv_is_replayed_under_two_files_without_a_desk() -> None:
    Path("new.yaml").write_text(POLICY.replace("first_response: 1h", "first_response: 30m"), encoding="utf-8")
    Path("history.csv").write_text(CSV, encoding="utf-8")
    command = ("simulate", "new.yaml", "--base", "shop.yaml", "--csv", "history.csv")
    told = lines(typed(*command))
    assert told == [
        "day         cycles       in time  missed  alerts  escalations",
        "2026-11-20       4  75.0 → 50.0 %   1 → 2   4 → 8        1 → 2",
    ] or told[1].split() == [
        "2026-11-20",
        "4",
        "75.0",
        "→",
        "50.0",
        "%",
        "1",
        "→",
        "2",
        "4",
        "→",
        "8",
        "1",
        "→",
        "2",
    ]
    assert told[-3:] == [
        "2 tickets replayed; each figure is told as base → candidate",
        "skipped:",
        "  line 4, column created: 'soon' is not a time; write 2026-11-20 18:50 or 2026-11-20T18:50+03:00",
    ]
    report = json.loads(typed(*command, "--json"))
    assert report["total"]["base"]["met_in_time"] == "3"
    assert report["total"]["candidate"]["breached"] == "2"
    assert json.loads(typed(*command, "--json", "--from", "2026-11-20 10:30"))["tickets"] == "1"
    assert json.loads(typed(*command, "--json", "--until", "2026-11-20T10:30+03:00"))["tickets"] == "1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lint", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["lint", "."], ".: is a directory"),
        (["lint", "bytes.yaml"], "bytes.yaml: is not text in UTF-8"),
        (
            ["lint", "long.yaml"],
            "long.yaml: is longer than 131072 characters\nShorten it: no desk takes more.\n",
        ),
        (["lint", "/dev/zero"], "/dev/zero: is longer than 131072 characters"),
        (["test", "long.yaml"], "long.yaml: is longer than 131072 characters"),
        (["test", "shop.yaml", "--tests", "long.yaml"], "long.yaml: is longer than 131072 characters"),
        (["apply", "long.yaml"], "long.yaml: is longer than 131072 characters"),
        (
            ["explain", "long.yaml", "pickup", "--case", "answered"],
            "long.yaml: is longer than 131072 characters",
        ),
        (["lint"], "FILE"),
        (["test", "shop.yaml", "shop.yaml", "--tests", "shop.tests.yaml"], "--tests belongs to one policy"),
        (["test", "shop.yaml", "--tests", "shop.yaml"], "shop.yaml:1:1: name: 'name' is not known here"),
        (["explain", "shop.yaml", "pickup"], "shop.tests.yaml: say which case, --case NAME; there are"),
        (
            ["explain", "shop.yaml", "pickup", "--case", "x"],
            "shop.tests.yaml: there is no case 'x'; there are",
        ),
        (
            ["explain", "shop.yaml", "pickup", "--case", "answered"],
            "case 'answered': the ticket has no clock 'pickup' (it has: first_response, resolution)",
        ),
        (
            ["explain", "shop.yaml", "resolution", "--case", "answered", "--cycle", "2"],
            "case 'answered': clock 'resolution' has no cycle 2, its newest is 1",
        ),
        (
            ["explain", "shop.yaml", "resolution", "--case", "answered", "--policy", "shop.yaml"],
            "--policy is for live tickets",
        ),
        (["explain", "SUP-12", "resolution"], "no desk in this folder"),
        (["plan", "shop.yaml"], "no desk in this folder"),
        (["apply", "shop.yaml"], "no desk in this folder"),
        (["apply", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["show"], "no desk in this folder"),
        (["list"], "no desk in this folder"),
        (["simulate", "shop.yaml"], "no desk in this folder"),
        (["simulate", "shop.yaml", "--csv", "history.csv"], "no desk in this folder"),
        (
            ["simulate", "shop.yaml", "--base", "shop.yaml", "--csv", "nowhere.csv"],
            "nowhere.csv: no such file",
        ),
        (
            ["simulate", "shop.yaml", "--base", "shop.yaml", "--csv", "shop.yaml"],
            "shop.yaml: line 1, column 1: 'id' is missing: each row needs it",
        ),
        (
            ["simulate", "shop.yaml", "--base", "shop.yaml", "--csv", "shop.yaml", "--zone", "Mars"],
            "--zone: there is no time zone 'Mars'; write one like Europe/Moscow",
        ),
        (
            ["simulate", "shop.yaml", "--base", "shop.yaml", "--csv", "shop.yaml", "--from", "soon"],
            "--from: 'soon' is not a time; write 2026-11-01 or 2026-11-01T09:00+03:00",
        ),
        (
            [
                "simulate",
                "shop.yaml",
                "--base",
                "shop.yaml",
                "--csv",
                "x",
                "--from",
                "2026-02-01",
                "--until",
                "2026-01-01",
            ],
            "--until: must not lie before --from",
        ),
    ],
)
def test_bad_input_is_told_in_words_with_exit_code_2(words: list[str], message: str) -> None:
    Path("bytes.yaml").write_bytes(b"name: \xff")
    Path("long.yaml").write_text("#" * 131_073)
    assert message in typed(*words, code=2)
