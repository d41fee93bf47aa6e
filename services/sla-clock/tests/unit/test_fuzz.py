"""Whatever stands in a file, what is said of it is InvalidInput or findings, in bounded time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from sla_clock import cases
from sla_clock.lint import Severity, lint
from sla_clock.policyfile import load

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"
POLICY = (EXAMPLES / "core12.yaml").read_text()
CASES = (EXAMPLES / "core12.tests.yaml").read_text()
GOOD = load(POLICY)

SHARDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "\n",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "'",
            '"',
            "|",
            ">",
            "%",
            "#",
            "\t",
            "&a ",
            "*a",
        ),
        *(
            "none",
            "0",
            "-1h",
            "9999999999h",
            "bd",
            "2026-02-30",
            "0001-01-01",
            "9999-12-31",
            "24:00",
            "99:99",
        ),
        *(
            "mon-sun",
            "always",
            "null",
            "~",
            "!!python/object:os.system",
            "<<",
            "\x00",
            "\ud800",
            "\u2028",
            "🕰",
        ),
        *(
            "+87000h",
            "9999-12-31T23:59:59+00:00",
            "fields['a']['b']",
            "matches(priority, '(a+)+$')",
            "1/0 == 1",
        ),
    ]
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """The text with a few stretches replaced."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        text = text[:start] + draw(SHARDS | st.text(max_size=8)) + text[start + length :]
    return text


@settings(max_examples=25, deadline=None)
@given(damaged(POLICY))
def test_a_damaged_policy_is_refused_or_read(text: str) -> None:
    errors = [
        finding for finding in lint(text, today=date(2026, 11, 22)) if finding.severity is Severity.ERROR
    ]
    try:
        policy = load(text)
    except InvalidInput as error:
        told = len(error.violations)
    else:
        told = 0
        cases.run(policy, cases.read(CASES, GOOD))
    assert told == len(errors)


@settings(max_examples=60, deadline=None)
@given(damaged(CASES))
def test_a_damaged_case_is_refused_or_run(text: str) -> None:
    try:
        read = cases.read(text, GOOD)
    except InvalidInput:
        return
    assert len(cases.run(GOOD, read)) == len(read)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    assert lint(text)
    with pytest.raises(InvalidInput):
        load(text)
    with pytest.raises(InvalidInput):
        cases.read(text, GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "- " * 50_000 + "x",
        "? " * 50_000 + "x",
        "[" * 100_000,
        "&a [*a]",
        "a: &a [1, 1]\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1 if n else ''}, *a{n - 1 if n else ''}]\n" for n in range(60)),
        "\n".join(" " * depth + "a:" for depth in range(400)),
        "{" + ", ".join(f"k{n}: 1" for n in range(3000)) + "}",
        "name: x\n" * 1000,
        "%YAML 9.9\n---\na: b",
    ],
)
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        load(text)
