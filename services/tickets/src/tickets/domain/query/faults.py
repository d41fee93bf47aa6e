"""What is wrong with a query, told with the place of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from chassis.errors import InvalidInput, Violation
from tickets.domain.query.tree import Span

_AROUND = 60
"""Characters shown on each side of a fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `expected` is what could stand there instead."""

    span: Span
    text: str
    expected: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The fault and what was expected, on one line."""
        return f"{self.text}; expected {joined(self.expected)}" if self.expected else self.text


class BadQuery(InvalidInput):
    """A query that cannot be carried out, with everything that is wrong with it."""

    default_reason = "QUERY_INVALID"

    def __init__(self, query: str, faults: Sequence[Fault], reason: str | None = None) -> None:
        line, column = place(query, faults[0].span.start)
        super().__init__(
            "\n".join(pointed(query, each) for each in faults),
            reason=reason,
            violations=[Violation("query", _told(query, each)) for each in faults],
            metadata={"line": str(line), "column": str(column)},
        )
        self.faults = tuple(faults)


def place(query: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    before = query[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def pointed(query: str, fault: Fault) -> str:
    """The fault with its line of the query and a caret under it; of a long line what is around it."""
    start, end = fault.span.start, fault.span.end
    line, column = place(query, start)
    shown = query.split("\n")[line - 1]
    cut = max(0, column - 1 - _AROUND)
    stretch = shown[cut : column - 1 + _AROUND]
    width = max(1, min(end - start, len(stretch) - (column - 1 - cut)))
    return f"{_told(query, fault)}\n  {stretch}\n  {' ' * (column - 1 - cut)}{'^' * width}"


def nearest(name: str, known: Iterable[str]) -> str:
    """ ", did you mean ...?" for a name that resembles a known one, else nothing."""
    by_folded = {each.casefold(): each for each in known}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.65)
    return f', did you mean "{by_folded[found[0]]}"?' if found else ""


def joined(words: Sequence[str]) -> str:
    """ "a, b or c"."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _told(query: str, fault: Fault) -> str:
    line, column = place(query, fault.span.start)
    return f"line {line}, column {column}: {fault.sentence()}"
