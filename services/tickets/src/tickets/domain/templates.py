"""Texts with variables that people of the desk write: minijinja, of which only what cannot grow is let in.

Fuel counts instructions, not bytes: one filter or a string that doubles itself may take all memory within it.
So a template has variables, `if` and a few filters; its text is linear in what it is filled with.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import minijinja

FUEL = 20_000
MAX_TEXT = 262_144
"""Characters that a rendered text may have."""
MAX_VALUE = 10_000
"""Characters of a value that are taken."""
FILTERS = ("capitalize", "default", "length", "lower", "title", "trim", "upper")
STATEMENTS = ("if", "elif", "else", "endif")
_GLOBALS = ("debug", "dict", "namespace", "range")
# A comment, or a tag whose strings are taken as a whole: what stands in them is no code.
_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_STRING = re.compile(_QUOTED, re.DOTALL)
_TAG = re.compile(
    rf"""\{{#.*?#\}}|\{{([{{%])[-+]?((?:{_QUOTED}|[^'"])*?)[-+]?[}}%]\}}|(\{{[{{%#]).*""", re.DOTALL
)
_MAX_TAG = 500
# Text that is added to itself, and what the parser follows as deep as it goes.
_OPERATOR = re.compile(r"[-+*~{]")
_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.\w+)*")
_FILTER = re.compile(r"\|\s*([A-Za-z_]\w*)")


Values: TypeAlias = Mapping[str, Mapping[str, str] | str]
"""Values of variables: `ticket.key` is the key of the group "ticket"."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a template, and on which of its lines."""

    line: int
    text: str


class TemplateFailed(Exception):
    """A template that could not be rendered."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def faults(template: str, variables: Iterable[str]) -> list[Fault]:
    """What is wrong with a template: its syntax, what is not let in, variables that nobody knows."""
    if found := list(_forbidden(template)):
        # Not parsed at all: the parser has no bound for how deep it goes.
        return found
    try:
        used = _environment().undeclared_variables_in_str(template, nested=True)
    except minijinja.TemplateError as error:
        return [Fault(error.line or 1, _one_line(error.detail or error.message))]
    return sorted(_unknown(template, used, set(variables)), key=lambda each: each.line)


def render(template: str, values: Values) -> str:
    """Fill a template. Raises TemplateFailed: a missing value, no fuel left, too long."""
    try:
        text = _environment().render_str(template, **{name: _cut(value) for name, value in values.items()})
    except minijinja.TemplateError as error:
        raise TemplateFailed(Fault(error.line or 1, _one_line(error.detail or error.message))) from error
    if len(text) > MAX_TEXT:
        raise TemplateFailed(Fault(1, f"makes more than {MAX_TEXT} characters"))
    return text.strip()


@cache
def _environment() -> minijinja.Environment:
    env = minijinja.Environment(
        fuel=FUEL, undefined_behavior="strict", pycompat=False, trim_blocks=True, lstrip_blocks=True
    )
    for name in _GLOBALS:
        env.remove_global(name)
    return env


def _forbidden(template: str) -> Iterable[Fault]:
    for found in _TAG.finditer(template):
        opener, code = found[1], _STRING.sub("''", found[2] or "")
        line = template.count("\n", 0, found.start()) + 1
        if found[3]:
            yield Fault(line, f"unexpected end: {found[3]} has none")
        if len(found[2] or "") > _MAX_TAG:
            yield Fault(line, f"what stands in braces has at most {_MAX_TAG} characters")
        if opener == "%" and (word := "".join(code.split()[:1])) not in STATEMENTS:
            yield Fault(line, f"{word} is not known here; there are {', '.join(STATEMENTS)}")
        if operator := _OPERATOR.search(code):
            yield Fault(line, f"{operator[0]} is not known here")
        for name in _FILTER.findall(code):
            if name not in FILTERS:
                yield Fault(line, f"there is no filter {name}; there are {', '.join(FILTERS)}")


def _unknown(template: str, used: Iterable[str], variables: set[str]) -> Iterable[Fault]:
    groups, lines = {each.partition(".")[0] for each in variables}, _lines(template)
    for name in sorted(used):
        if name not in variables and name not in groups:
            yield Fault(lines.get(name, 1), f"there is no variable {name}")


def _lines(template: str) -> dict[str, int]:
    """The line on which each name stands first."""
    lines: dict[str, int] = {}
    for found in _TAG.finditer(template):
        for word in _WORD.finditer(found[0]):
            lines.setdefault(word[0], template.count("\n", 0, found.start() + word.start()) + 1)
    return lines


def _cut(value: Mapping[str, str] | str) -> dict[str, str] | str:
    if isinstance(value, str):
        return value[:MAX_VALUE]
    return {name: each[:MAX_VALUE] for name, each in value.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
