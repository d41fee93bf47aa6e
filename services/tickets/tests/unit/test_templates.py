"""Templates that people write: what they may say, and what they never do."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.domain import templates
from tickets.domain.templates import Fault, TemplateFailed, faults, render

NAMES = ("ticket.key", "customer.name", "due", "field.city")
VALUES: dict[str, dict[str, str] | str] = {
    "ticket": {"key": "SUP-1"},
    "customer": {"name": "Kim {{ due }}"},
    "due": "",
    "field": {"city": "Omsk"},
}


def test_variables_conditions_and_filters_are_filled_in() -> None:
    """YT-18: values are values, never templates."""
    text = (
        "{# for Kim #}Hi {{ customer.name }},\n"
        "{% if due %}until {{ due }}{% elif field.city == 'Omsk' %}in {{ field.city | upper }}"
        "{% else %}-{% endif %}"
        " {{ ticket.key }} {{ field.none | default('nowhere') }}"
    )
    assert [each.text for each in faults(text, NAMES)] == ["there is no variable field.none"]
    assert render(text, VALUES) == "Hi Kim {{ due }},\nin OMSK SUP-1 nowhere"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Hi\n{{ customer.name", 2, "unexpected end"),
        ("\n\n{% if due %}", 3, "unexpected end"),
        ("{{ due }}\n{{ customer.nmae }}", 2, "no variable customer.nmae"),
        ("{{ nothing }}", 1, "no variable nothing"),
        ("{{ ticket.key|replace('a', 'b') }}", 1, "no filter replace"),
        ("\n{% for x in due %}{% endfor %}", 2, "for is not known"),
        ("{% set a = due %}", 1, "set is not known"),
        ("{% include 'x' %}", 1, "include is not known"),
        ("{% raw %}{{ ' {% endraw %}{{ due }}", 1, "raw is not known"),
        ("{{ 'x' * 100000 }}", 1, "* is not known"),
        ("{{ '}}' * 100000 }}", 1, "* is not known"),
        ("{# {{ ' #}{{ 'x' * 9 }}{# ' }} #}", 1, "* is not known"),
        ('{{ "\\"" * 9 }}', 1, "* is not known"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, words: str) -> None:
    found = faults(text, NAMES)
    assert any(each.line == line and words in each.text for each in found), found


BOMBS = (
    "{{ 'x' | indent(1000000000) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ ('a'*100000) | replace('a', 'a'*100000) }}",
    "{{ 'x' | batch(10000000000, 'y') }}",
    "{{ range(100000) | list }}",
    "{% set a = due ~ due %}{% set a = a ~ a %}",
    "{% for a in ['x' ~ 'x'] %}{% for b in [a ~ a] %}{{ b }}{% endfor %}{% endfor %}",
    "{% with a = 'x' ~ 'x' %}{{ a }}{% endwith %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ [1] * 1000000000 }}",
)


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_could_grow_without_end_is_not_taken(bomb: str) -> None:
    assert faults(bomb, NAMES)


def test_a_text_is_bounded_however_it_is_made() -> None:
    long = {**VALUES, "due": "x" * 1_000_000}
    assert len(render("{{ due }}", long)) == templates.MAX_VALUE
    with pytest.raises(TemplateFailed, match="characters"):
        render("{{ due }}" * 100, long)


@pytest.mark.parametrize(
    ("text", "line"), [("a\n{{ field.none }}", 2), ("{{ due.x }}", 1), ("{{ 1 / 0 }}", 1), ("\n{{ f() }}", 2)]
)
def test_a_template_that_fails_says_where(text: str, line: int) -> None:
    with pytest.raises(TemplateFailed) as caught:
        render(text, VALUES)
    assert isinstance(caught.value.fault, Fault)
    assert caught.value.fault.line == line


PIECES = (
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    " if ",
    " due ",
    "*",
    "'",
    '"',
    "\\",
    "|",
    "x",
    "\n",
    "ticket.key",
    "-",
)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_whatever_is_taken_can_be_rendered_and_holds_no_sign_to_grow_by(text: str) -> None:
    if not faults(text, NAMES):
        with suppress(TemplateFailed):
            assert len(render(text, VALUES)) <= 20 * len(text) + 20


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["{{ '", "{{", "{% ", "{#", "'\\", '{{ "'])
def test_checking_a_long_text_ends(piece: str) -> None:
    """Braces and quotes that close nothing are where a careless pattern would try everything, for minutes."""
    found = faults(piece * (60_000 // len(piece)), NAMES)
    assert bool(found) == (piece != "'\\")


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "-" * 19_000 + "due }}",
        "{{ due" + "+due" * 4_000 + " }}",
        "{{ due" + "~due" * 4_000 + " }}",
        "{{ " + "not " * 4_000 + "due }}",
        "{{ [{'a':{}}, " + "-" * 19_000 + "due] }}",
        "{% raw %}" + "{{" * 9_000 + "'{% endraw %}",
        "".join(f"{{{{v{number}}}}}" for number in range(1_900)),
    ],
)
def test_a_text_that_would_take_the_parser_down_is_refused_before_it_is_parsed(text: str) -> None:
    """Template bombs: a long row of signs ends the whole process where it is parsed."""
    assert faults(text[:20_000], NAMES)
