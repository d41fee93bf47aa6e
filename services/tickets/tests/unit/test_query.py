"""The query language: what texts mean, and what is said of those that mean nothing."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from tickdesk.common.v1 import common_pb2
from tickets.domain import fields as custom
from tickets.domain.label import Label
from tickets.domain.query.catalog import CHANNELS, catalog
from tickets.domain.query.faults import BadQuery
from tickets.domain.query.grammar import MAX_DEPTH, MAX_LENGTH, MAX_VALUES, parse
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.query.suggest import suggest
from tickets.domain.query.tree import (
    Any,
    Condition,
    Item,
    Node,
    Not,
    Order,
    Query,
    Value,
    all_of,
    any_of,
    negated,
    to_text,
)
from tickets.domain.query.words import other_layout, respelt, searchable

NOW = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")
KNOWN = catalog()


def meaning(text: str, me: str = "anna") -> list[tuple[str, str, object]]:
    """Every test of a query as field, operator and value."""
    search = resolve(text, KNOWN, Context(me, NOW, MOSCOW))
    return [(test.field.key, test.operator, test.value) for tests in search.tests.values() for test in tests]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).astimezone(UTC)


def test_the_query_of_the_product_is_understood() -> None:
    """YT-30: field:value, AND, me(), empty(), today(), >=, relative days."""
    text = (
        'Queue: SUP AND Assignee: me() AND Resolution: empty() AND Created: >= today() - 30d "Sort by": Due'
    )
    assert meaning(text) == [
        ("queue", "in", ("SUP",)),
        ("assignee", "in", ("anna",)),
        ("resolution", "empty", None),
        ("created", ">=", at("2026-10-24")),
    ]
    assert [field.key for field, _ in resolve(text, KNOWN, Context("anna", NOW, MOSCOW)).order] == ["due"]


def test_russian_words_mean_the_same() -> None:
    """YT-30."""
    russian = "Очередь: SUP И (Исполнитель: me() ИЛИ НЕ Тип: инцидент) УПОРЯДОЧИТЬ ПО Срок ПО УБЫВАНИЮ"
    english = "Queue: SUP AND (Assignee: me() OR NOT Type: incident) ORDER BY Due DESC"
    assert meaning(russian) == meaning(english)
    context = Context("anna", NOW, MOSCOW)
    assert resolve(russian, KNOWN, context).order == resolve(english, KNOWN, context).order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Created: today()", ("within", (at("2026-11-23"), at("2026-11-24")))),
        ("Created: 2026-11-01", ("within", (at("2026-11-01"), at("2026-11-02")))),
        ("Created: 2026-11-01..2026-11-02", ("within", (at("2026-11-01"), at("2026-11-03")))),
        ("Created: > 2026-11-01", (">=", at("2026-11-02"))),
        ("Created: <= 2026-11-01", ("<", at("2026-11-02"))),
        ("Created: < 2026-11-01", ("<", at("2026-11-01"))),
        ("Created: >= today() - 2w", (">=", at("2026-11-09"))),
        ("Created: >= today() - 2h", (">=", at("2026-11-22 22:00"))),
        ("Created: > now() - 90m", (">", NOW - timedelta(minutes=90))),
        ("Created: > now() + 1d - 1h", (">", NOW + timedelta(hours=23))),
        ("Created: >= 2026-11-01T18:30", (">=", at("2026-11-01 18:30"))),
        ('Created: >= "2026-11-01 18:30"', (">=", at("2026-11-01 18:30"))),
        ("Created: >= 2026-11-01T18:30Z", (">=", datetime(2026, 11, 1, 18, 30, tzinfo=UTC))),
        ("CSAT: 0..60", ("between", (0.0, 60.0))),
        ("Priority: >= high", (">=", 3)),
        ("Line: L1..L2", ("between", (1, 2))),
        ("Key: sup-12", ("in", (("SUP", 12),))),
        ("Assignee: unassigned()", ("empty", None)),
        ("Due: empty()", ("empty", None)),
        ('"does not open"', ("matches", "does not open")),
    ],
)
def test_values_are_read_by_their_field(text: str, expected: tuple[str, object]) -> None:
    """YT-30: lists, ranges, relative times; days begin where the reader is."""
    assert [each[1:] for each in meaning(text)] == [expected]


def test_a_day_moved_over_the_change_of_the_clocks_stays_a_day() -> None:
    context = Context("anna", datetime(2026, 10, 26, 12, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    tests = resolve("Created: today() - 1d", KNOWN, context).tests
    (start, end) = next(iter(tests.values()))[0].value
    assert (start, end - start) == (datetime(2026, 10, 24, 22, tzinfo=UTC), timedelta(hours=25))


def test_a_clock_is_asked_for_its_state_or_its_time() -> None:
    """YT-31: lists by the SLA timer."""
    search = resolve("SLA.resolution: breached, < now() + 1h", KNOWN, Context("", NOW, MOSCOW))
    told = [(test.field.argument, test.operator, test.value) for test in next(iter(search.tests.values()))]
    later = NOW + timedelta(hours=1)
    assert told == [("resolution", "state", "breached"), ("resolution", "<", later)]


def test_custom_fields_are_found_by_key_and_by_name_and_never_hide_the_desks_own() -> None:
    """YT-15."""
    choices = (custom.Choice("cloud", Label(ru="Облако", en="Cloud")),)
    fields = [
        custom.Field("product", Label(ru="Продукт", en="Product"), custom.FieldType.ONE_OF, choices=choices),
        custom.Field("queue", Label(en="Queue"), custom.FieldType.TEXT),
    ]
    known = catalog(fields=fields)
    context = Context("anna", NOW, MOSCOW)
    for text in ("product: cloud", "Продукт: облако", "Product: Cloud"):
        assert [each[0].value for each in resolve(text, known, context).tests.values()] == [("cloud",)]
    found = known.find("Queue")
    assert found is not None
    assert found.key == "queue"


# A query, its place, what is said of it.
BAD = """
Asignee: me()
^^^^^^^
unknown field "Asignee", did you mean "Assignee"?

Queue SUP
      ^^^
"SUP" is not expected here; expected ":"

Queue: SUP AND
              ^
the query is not complete; expected a field, a text in quotes, "(" or NOT

Queue: SUP AND Status: nwe
                       ^^^
Status is never "nwe", did you mean "new"?; expected new, in_progress, waiting, escalated, resolved or closed

Text: "open
      ^^^^^
the quote is never closed

Queue: SUP)
          ^
")" is not expected here; expected ORDER BY or the end

Created: > ?
           ^
"?" is not expected here; expected a value, a function such as me() or a text in quotes

Assignee: mee()
          ^^^^^
unknown function "mee()"; expected me(), empty() or unassigned()

Created: me()
         ^^^^
"me()" is no value of Created; expected a time, today() or now()

Created: soon
         ^^^^
Created takes times, "soon" is none; expected 2026-01-31, "2026-01-31 18:00", today() - 30d or now() + 1h

Created: today() - 999999999w
         ^^^^^^^^^^^^^^^^^^^^
the time is out of the years 1970 to 9997

Status: < new
        ^^^^^
Status has no order: list its values instead

Status: != new, closed
        ^^^^^^
in a list != has no use: write NOT Status: and the values

Due: > empty()
     ^^^^^^^^^
"empty()" cannot be compared: write Due: empty()

Tag: a - 3d
     ^^^^^^
only times can be moved by "-3d"

CSAT: good
      ^^^^
CSAT takes numbers, "good" is none

Messages: 1e300
          ^^^^^
Messages takes numbers, "1e300" is none

Key: twelve
     ^^^^^^
Key takes keys such as SUP-12, and ids; "twelve" is neither

Text: "?!"
      ^^^^
Text takes words of at most 300 characters in all

ORDER BY Created, Tag
                  ^^^
tickets cannot be sorted by Tag; expected Status, Key, Queue, Priority, Line, Assignee, Created, Updated, \
Resolved, Closed, Due or Messages

ORDER BY Key, Queue, Line, Due
                           ^^^
a query sorts by at most 3 fields
"""


@pytest.mark.parametrize("case", BAD.strip().split("\n\n"))
def test_a_bad_query_is_told_with_its_place_and_what_was_expected(case: str) -> None:
    """Bad input: exact messages."""
    text, carets, words = case.split("\n")
    with pytest.raises(BadQuery) as caught:
        meaning(text)
    column = carets.index("^") + 1
    assert caught.value.message == f"line 1, column {column}: {words}\n  {text}\n  {carets}"
    assert caught.value.reason == "QUERY_INVALID"
    assert caught.value.metadata == {"line": "1", "column": str(column)}
    assert [each.field for each in caught.value.violations] == ["query"]


def test_the_place_is_found_in_a_query_of_several_lines() -> None:
    with pytest.raises(BadQuery) as caught:
        meaning("Queue: SUP\n  AND Stauts: new")
    assert caught.value.message.startswith('line 2, column 7: unknown field "Stauts", did you mean "Status"?')
    assert caught.value.message.endswith("\n    AND Stauts: new\n        ^^^^^^")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadQuery) as caught:
        meaning("Asignee: anna AND Stauts: new AND Created: x")
    assert [fault.span.start for fault in caught.value.faults] == [0, 18, 43]
    assert len(caught.value.violations) == 3


def test_me_needs_somebody_who_asks() -> None:
    with pytest.raises(InvalidInput, match=r"me\(\) means an agent, and no agent asks"):
        meaning("Assignee: me()", me="")


@pytest.mark.parametrize(
    "bomb",
    [
        "x" * (MAX_LENGTH + 1),
        "a: " + ",".join(["x"] * (MAX_VALUES + 1)),
        "a:b AND (a:b OR (" * (MAX_DEPTH // 2 + 1) + "a:b" + "))" * (MAX_DEPTH // 2 + 1),
    ],
)
def test_a_query_bomb_is_too_costly(bomb: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse(bomb)
    assert caught.value.reason == "QUERY_TOO_COSTLY"
    assert len(caught.value.message) < 500


def test_brackets_and_negations_of_any_depth_are_no_levels() -> None:
    assert parse("(" * 1900 + "a: b" + ")" * 1900) == parse("a: b")
    assert parse("NOT " * 900 + "a: b") == parse("a: b")
    assert parse("NOT " * 901 + "a: b") == parse("NOT a: b")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SHIFTS = st.builds(
    lambda s, n, u: f"{s}{n}{u}", st.sampled_from("+-"), st.integers(0, 999), st.sampled_from("mhdw")
)
CALLS = st.builds(
    lambda name, shifts: Value(name, call=True, shifts=tuple(shifts)),
    st.sampled_from(["me", "today", "empty", "сегодня"]),
    st.lists(SHIFTS, max_size=2),
)
WORDS = st.builds(lambda text, shifts: Value(text, shifts=tuple(shifts)), NAMES, st.lists(SHIFTS, max_size=1))
VALUES = st.one_of(WORDS, CALLS)
ITEMS = st.one_of(
    st.builds(Item, VALUES, st.sampled_from(["=", "<", "<=", ">", ">="])),
    st.builds(lambda low, high: Item(low, "..", high), VALUES, VALUES),
)
CONDITIONS = st.builds(
    lambda name, items: Condition(name, tuple(items)), NAMES, st.lists(ITEMS, min_size=1, max_size=3)
)
NODES: st.SearchStrategy[Node] = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(all_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(any_of, st.lists(inner, min_size=1, max_size=3)),
        st.builds(negated, inner),
    ),
    max_leaves=12,
)
ORDERS = st.lists(st.builds(Order, NAMES, st.booleans()), max_size=3).map(tuple)
QUERIES = st.builds(Query, st.one_of(st.none(), NODES), ORDERS)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(QUERIES)
def test_what_is_written_out_is_read_back(query: Query) -> None:
    """YT-30: tree to text to tree."""
    assert parse(to_text(query)) == query


PIECES = st.sampled_from(
    [
        *(
            "Queue",
            "Status",
            "SLA.resolution",
            "Created",
            "SUP-1",
            "2026-11-01",
            "L1",
            "новый",
            "me()",
            "today()",
        ),
        *(":", ",", "(", ")", "..", ">=", "!=", "-30d", "AND", "OR", "NOT", "И", "НЕ", '"Sort by":', "DESC"),
        *('"does not"', '"', "\\", "\n", "\0", "\u2028"),
    ]
)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map(" ".join)))
def test_no_text_makes_the_parser_fall(text: str) -> None:
    """Every text is a query, or a BadQuery whose places lie in it; and every place may be asked about."""
    try:
        meaning(text)
        spans = []
        assert parse(to_text(parse(text))) == parse(text)
    except BadQuery as error:
        spans = [fault.span for fault in error.faults]
    assert all(0 <= span.start <= len(text) for span in spans)
    place = suggest(text, len(text) // 2, KNOWN)
    assert 0 <= place.start <= len(text) // 2


@pytest.mark.parametrize(
    ("text", "start", "first"),
    [
        ("", 0, ["Status: ", "Key: "]),
        ("Qu", 0, ["Queue: "]),
        ("Очер", 0, ["Очередь: "]),
        ("Queue: SUP A", 11, ["AND"]),
        ("Queue: SUP ", 11, ["AND", "OR", "ORDER BY"]),
        ("Status: new, wa", 13, ["waiting"]),
        ("Assignee: ", 10, ["me()", "empty()", "unassigned()"]),
        ("Created: >= t", 12, ["today()", "today() - 7d"]),
        ("SLA.resolution: b", 16, ["breached"]),
        ('"Status k', 0, ['"Status kind": ']),
        ("ORDER BY Cr", 9, ["Created"]),
        ("ORDER BY Due ", 13, ["DESC", "ASC"]),
        ("x x ", 4, []),
    ],
)
def test_what_could_be_written_is_suggested(text: str, start: int, first: list[str]) -> None:
    place = suggest(text, len(text), KNOWN)
    assert place.start == start
    assert [each.text for each in place.suggestions][: len(first) or None] == first


def test_channels_are_those_of_the_contract() -> None:
    names = [name.removeprefix("CHANNEL_").lower() for name in common_pb2.Channel.keys()[1:]]
    assert list(CHANNELS) == names
    assert list(common_pb2.Channel.values()[1:]) == list(range(1, len(CHANNELS) + 1))


def test_words_are_replaced_only_where_words_are_sought() -> None:
    query = parse('Queue: ghbdtn AND (NOT Text: "Ghbdtn world" OR "принтир")')
    assert resolve(to_text(query), KNOWN, Context("", NOW, MOSCOW)).words == ["ghbdtn", "world", "принтир"]
    meant = {"ghbdtn": other_layout("ghbdtn"), "принтир": "принтер"}
    assert to_text(respelt(query, KNOWN, meant)) == (
        'Queue: ghbdtn AND (NOT Text: "привет world" OR Text: принтер)'
    )


def test_a_text_is_searched_as_far_as_words_go() -> None:
    assert searchable("a " + "b" * 41 + " c") == "a   c"
    assert len(searchable("ab " * 10_000)) == 10_000


def test_unlike_is_the_opposite_of_like() -> None:
    query = parse("Status: != new OR Status: new")
    assert query.where == Any((Not(Condition("Status", (Item(Value("new")),))), parse("Status: new").where))  # type: ignore[arg-type]
