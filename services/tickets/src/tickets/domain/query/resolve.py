"""What a query means: names become fields, and what was written becomes values to compare with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any as Anything
from uuid import UUID
from zoneinfo import ZoneInfo

from tickets.domain.query.catalog import Catalog, Field, Kind, folded
from tickets.domain.query.faults import BadQuery, Fault, nearest
from tickets.domain.query.grammar import parse
from tickets.domain.query.times import Moment, moment
from tickets.domain.query.tree import Condition, Item, Node, Order, Span, Value, all_of, conditions

FUNCTIONS = ("me", "empty", "unassigned", "today", "now")
MAX_PHRASE = 300
"""Characters of words to look for."""
_MAX_FAULTS = 10
_MAX_SHOWN = 15
_COMPARED = (Kind.SCALE, Kind.NUMBER, Kind.TIME, Kind.DAY, Kind.CLOCK)
_MOVED = (Kind.TIME, Kind.DAY, Kind.CLOCK)


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks (an agent's id, or empty), when, and where days begin."""

    me: str
    now: datetime
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Test:
    """A field and what it is compared with.

    in: one of a tuple; within: from the first to before the second; between: from the first to the second;
    matches: words; state: what a clock does; empty; and < <= > >=.
    """

    field: Field
    operator: str
    value: Anything = None


@dataclass(frozen=True, slots=True)
class Search:
    """A query that can be carried out: of the tests of a condition one must hold."""

    where: Node | None
    tests: Mapping[Condition, tuple[Test, ...]]
    order: tuple[tuple[Field, bool], ...]
    """Fields to sort by, each with whether it descends."""

    @property
    def words(self) -> list[str]:
        """The words that it looks for, each once, in lower case."""
        tests = (test for each in conditions(self.where) for test in self.tests[each])
        phrases = (test.value for test in tests if test.operator == "matches")
        return list(dict.fromkeys(word for each in phrases for word in each.lower().split()))

    def also(self, other: "Search") -> "Search":
        """What both find, in the order of this one."""
        where = all_of(each for each in (self.where, other.where) if each)
        return Search(where, {**self.tests, **other.tests}, self.order)


def resolve(text: str, catalog: Catalog, context: Context) -> Search:
    """Read a query. Raises BadQuery with every fault, at most ten."""
    query = parse(text)
    resolver = _Resolver(catalog, context)
    tests = {each: resolver.tests(each) for each in conditions(query.where)}
    order = resolver.order(query.order)
    if resolver.faults:
        raise BadQuery(text, resolver.faults[:_MAX_FAULTS])
    return Search(query.where, tests, order)


class _Resolver:
    """Collects the faults on the way, so that all are told at once."""

    def __init__(self, catalog: Catalog, context: Context) -> None:
        self._catalog = catalog
        self._context = context
        self.faults: list[Fault] = []

    def tests(self, condition: Condition) -> tuple[Test, ...]:
        """What the items of a condition ask for."""
        field = self._field(condition.name, condition.span)
        if field is None:
            return ()
        found = [test for item in condition.items if (test := self._test(field, item))]
        equal = tuple(value for test in found if test.operator == "in" for value in test.value)
        others = [test for test in found if test.operator != "in"]
        return (*((Test(field, "in", equal),) if equal else ()), *others)

    def order(self, keys: Iterable[Order]) -> tuple[tuple[Field, bool], ...]:
        """The fields to sort by, each once."""
        found: dict[Field, bool] = {}
        for key in keys:
            field = self._field(key.name, key.span)
            if field and not field.sorts:
                sorting = tuple(each.name for each in self._catalog.fields if each.sorts)
                self._refuse(key.span, f"tickets cannot be sorted by {field.name}", sorting)
            elif field:
                found.setdefault(field, key.descending)
        return tuple(found.items())

    def _field(self, name: str, span: Span) -> Field | None:
        field = self._catalog.find(name)
        if field is None:
            self._refuse(span, f'unknown field "{name}"{nearest(name, self._catalog.names())}')
        return field

    def _test(self, field: Field, item: Item) -> Test | None:
        before = len(self.faults)
        for value in filter(None, (item.value, item.high)):
            self._check(field, item, value)
        if len(self.faults) > before:
            return None
        if item.value.call and item.value.text in ("empty", "unassigned"):
            return Test(field, "empty")
        if field.kind in _MOVED:
            return self._timed(field, item)
        return self._plain(field, item)

    def _check(self, field: Field, item: Item, value: Value) -> None:
        """Refuse functions, comparisons and shifts where they have no meaning."""
        if value.call and value.text not in FUNCTIONS:
            self._refuse(value.span, f'unknown function "{value.text}()"', _called(functions(field)))
        elif value.call and value.text not in functions(field):
            told = f'"{value.text}()" is no value of {field.name}'
            self._refuse(value.span, told, (field.kind.value, *_called(functions(field))))
        elif value.call and value.text in ("empty", "unassigned") and item.operator != "=":
            self._refuse(
                item.span, f'"{value.text}()" cannot be compared: write {field.name}: {value.text}()'
            )
        elif item.operator != "=" and field.kind not in _COMPARED:
            self._refuse(item.span, f"{field.name} has no order: list its values instead")
        elif value.shifts and (field.kind not in _MOVED or value.text in ("empty", "unassigned")):
            self._refuse(value.span, f'only times can be moved by "{value.shifts[0]}"')

    def _plain(self, field: Field, item: Item) -> Test | None:
        read = _READERS[field.kind]
        low = read(self, field, item.value)
        high = read(self, field, item.high) if item.high else None
        if low is None or (item.high and high is None):
            return None
        if field.kind is Kind.PHRASE:
            return Test(field, "matches", low)
        if item.high:
            return Test(field, "between", (low, high))
        return Test(field, "in", (low,)) if item.operator == "=" else Test(field, item.operator, low)

    def _timed(self, field: Field, item: Item) -> Test | None:
        if field.kind is Kind.CLOCK and item.operator == "=" and not item.value.call:
            state = self.choice(field, item.value)
            return Test(field, "state", state) if state else None
        low = self._moment(field, item.value)
        high = self._moment(field, item.high) if item.high else low
        if low is None or high is None:
            return None
        if item.operator in ("=", ".."):
            # An instant ends where it starts, and is meant to be in its range.
            return Test(field, "between" if high.start == high.end else "within", (low.start, high.end))
        return Test(field, *_bound(item.operator, low))

    def _moment(self, field: Field, value: Value) -> Moment | None:
        try:
            context, floating = self._context, field.kind is Kind.DAY
            found = moment(value, context.now, context.zone, floating=floating)
        except (OverflowError, ValueError):
            self._refuse(value.span, "the time is out of the years 1970 to 9997")
            return None
        if found is None:
            examples = ("2026-01-31", '"2026-01-31 18:00"', "today() - 30d", "now() + 1h")
            self._refuse(value.span, f'{field.name} takes times, "{value.text}" is none', examples)
        return found

    def word(self, field: Field, value: Value) -> str | None:
        """A word, one of the choices where there are any."""
        if field.choices:
            choice: str | None = self.choice(field, value)
            return choice
        return _CASES.get(field.key, str)(value.text)

    def choice(self, field: Field, value: Value) -> Anything:
        """The value that a choice stands for."""
        by_name = {folded(name): meaning for name, meaning in reversed(list(field.choices.items()))}
        if (meaning := by_name.get(folded(value.text))) is not None:
            return meaning
        told = f'{field.name} is never "{value.text}"{nearest(value.text, field.choices)}'
        self._refuse(value.span, told, tuple(field.choice_names().values()))
        return None

    def user(self, field: Field, value: Value) -> str | None:
        """An agent's id."""
        if not value.call:
            return value.text.lower()
        if not self._context.me:
            self._refuse(value.span, "me() means an agent, and no agent asks")
        return self._context.me or None

    def number(self, field: Field, value: Value) -> float | None:
        """A number that a column may hold."""
        try:
            number = float(value.text)
            if abs(number) < 1e15:
                return number
        except ValueError:
            pass
        self._refuse(value.span, f'{field.name} takes numbers, "{value.text}" is none')
        return None

    def ticket(self, field: Field, value: Value) -> tuple[str, int] | str | None:
        """A key as queue and number, or an id."""
        queue, dash, number = value.text.rpartition("-")
        if dash and queue.isalnum() and number.isdecimal() and len(number) < 16:
            return queue.upper(), int(number)
        try:
            return str(UUID(value.text))
        except ValueError:
            told = f'{field.name} takes keys such as SUP-12, and ids; "{value.text}" is neither'
            self._refuse(value.span, told)
            return None

    def phrase(self, field: Field, value: Value) -> str | None:
        """Words to look for."""
        if not any(map(str.isalnum, value.text)) or len(value.text) > MAX_PHRASE:
            self._refuse(value.span, f"{field.name} takes words of at most {MAX_PHRASE} characters in all")
            return None
        return value.text

    def _refuse(self, span: Span, text: str, expected: tuple[str, ...] = ()) -> None:
        self.faults.append(Fault(span, text, expected[:_MAX_SHOWN]))


def functions(field: Field) -> tuple[str, ...]:
    """The functions that may stand for a value of a field."""
    times = ("today", "now") if field.kind in _MOVED else ()
    found: tuple[str, ...] = ("me",) if field.kind is Kind.USER else times
    return (
        *found,
        *(["empty"] if field.optional else []),
        *(["unassigned"] if field.key == "assignee" else []),
    )


def _called(functions: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{each}()" for each in functions)


def _bound(operator: str, low: Moment) -> tuple[str, datetime]:
    """A comparison with a day as one with an instant: after a day is from its end on."""
    if low.start == low.end:
        return operator, low.start
    return {"<": ("<", low.start), "<=": ("<", low.end), ">": (">=", low.end), ">=": (">=", low.start)}[
        operator
    ]


_CASES: dict[str, Callable[[str], str]] = {"queue": str.upper, "language": str.lower}
_READERS: dict[Kind, Callable[[_Resolver, Field, Value], Anything]] = {
    Kind.WORD: _Resolver.word,
    Kind.PATH: _Resolver.word,
    Kind.SET: _Resolver.word,
    Kind.USER: _Resolver.user,
    Kind.CHOICE: _Resolver.choice,
    Kind.SCALE: _Resolver.choice,
    Kind.NUMBER: _Resolver.number,
    Kind.TICKET: _Resolver.ticket,
    Kind.PHRASE: _Resolver.phrase,
}
