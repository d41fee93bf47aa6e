"""Conditions of rows: CEL expressions over a ticket's attributes, checked when they are read."""

from __future__ import annotations

import re

from cel_expr_python import cel

from chassis.errors import InvalidInput, Violation
from sla_clock.domain import Attributes

TEXTS = (
    "priority",
    "tier",
    "channel",
    "queue",
    "category",
    "line",
    "type",
    "component",
    "edition",
    "customer",
    "organisation",
    "language",
)
"""Attributes that a row may compare and a condition may name; besides them `tags`, `fields`, `robot`."""

CALLED = {name: name for name in TEXTS} | {"type": "ticket_type"}
"""Names within a condition: `type` means something else in CEL."""

MAX_LENGTH = 2000
"""Characters of one condition."""

_ENV = cel.NewEnv(
    variables={
        **dict.fromkeys(CALLED.values(), cel.Type.STRING),
        "robot": cel.Type.BOOL,
        "tags": cel.Type.List(cel.Type.STRING),
        "fields": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    }
)
_STRINGS = re.compile(r"""r?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_WORD = re.compile(r"[A-Za-z_]\w*")


class Condition:
    """A CEL expression over a ticket's attributes; a value that is not there makes it false."""

    def __init__(self, text: str) -> None:
        """Check and compile; raises InvalidInput that says where the expression is wrong."""
        self.text = text
        if len(text) > MAX_LENGTH:
            raise _bad_condition(f"a condition has at most {MAX_LENGTH} characters, this one {len(text)}")
        try:
            self._expression = _ENV.compile(text)
        except RuntimeError as error:
            raise _bad_condition(_cel_fault(str(error))) from None
        kind = self._expression.return_type()
        if kind != cel.Type.BOOL:
            raise _bad_condition(f"a condition is true or false, this one is {kind.name().lower()}")

    def holds(self, attributes: Attributes) -> bool:
        """Whether it is true for a ticket with these attributes."""
        data = {called: getattr(attributes, name) for name, called in CALLED.items()}
        data |= {"robot": attributes.from_robot}
        data |= {"tags": list(attributes.tags), "fields": dict(attributes.fields)}
        try:
            return self._expression.eval(data=data).value() is True
        except RuntimeError:
            # The iteration budget of the expression ran out: a row that cannot be decided does not win.
            return False

    def names(self) -> frozenset[str]:
        """The attributes that it may look at."""
        words = set(_WORD.findall(_STRINGS.sub("''", self.text)))
        texts = {name for name, called in CALLED.items() if called in words}
        return frozenset(texts | (words & {"tags", "fields", "robot"}))


def _cel_fault(report: str) -> str:
    """The first line of CEL's report, without its code, its made-up file name and its grammar."""
    first = report.splitlines()[0]
    _, _, fault = first.partition("<input>:")
    told = (fault.strip() or first).partition(" expecting {")[0].replace("'<EOF>'", "the end")
    if " (in container " in told:
        known = ", ".join([*CALLED.values(), "robot", "tags", "fields"])
        told = f"{told.partition(' (in container ')[0]} (known: {known})"
    return f"at {told}" if fault else told


def _bad_condition(message: str) -> InvalidInput:
    return InvalidInput(message, reason="CONDITION_INVALID", violations=(Violation("when", message),))
