"""Queries as SQL: what people wrote is a parameter, whatever it is."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from tickets.domain import fields as custom
from tickets.domain.label import Label
from tickets.domain.query.catalog import Kind, catalog
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.query.tree import quoted
from tickets.store import tables
from tickets.store.query import clauses, ordering, sort_keys

FIELDS = [
    custom.Field("sum", Label(), custom.FieldType.NUMBER),
    custom.Field("remark", Label(), custom.FieldType.TEXT),
    custom.Field("parts", Label(), custom.FieldType.MANY_OF, choices=()),
    custom.Field("day", Label(), custom.FieldType.DATE),
    custom.Field("at", Label(), custom.FieldType.TIME),
    custom.Field("boss", Label(), custom.FieldType.USER),
]
KNOWN = catalog(fields=FIELDS)
NAMES = [name for name in KNOWN.names() if not (field := KNOWN.find(name)) or not field.choices]
CONTEXT = Context("anna", datetime(2026, 11, 22, tzinfo=UTC), ZoneInfo("UTC"))
MARK = "zq"
VALUES = {
    Kind.NUMBER: ["1", "> 2.5", "0..9"],
    Kind.TIME: ["today()", "< now() - 1h", "2026-11-01..2026-11-02"],
    Kind.DAY: ["today()", "> 2026-11-01"],
    Kind.TICKET: ["SUP-1, 01900000-0000-7000-8000-000000000000"],
}


def sql(text: str) -> tuple[str, dict[str, Any]]:
    """The statement of a query and its parameters."""
    search = resolve(text, KNOWN, CONTEXT)
    query = sa.select(tables.ticket.c.id).where(*clauses(search, staff=False))
    compiled = query.order_by(*ordering(sort_keys(search.order))).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    return str(compiled), dict(compiled.params)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_word_of_a_query_reaches_the_statement(name: str, text: str) -> None:
    """YT-30: never unbound; the statement is the same whatever the word is."""
    field = KNOWN.find(name)
    assert field is not None
    if field.kind in VALUES:
        return
    statement, parameters = sql(f"{quoted(name)}: {quoted(MARK + text)}")
    assert MARK not in statement.lower()
    assert statement == sql(f"{quoted(name)}: {quoted(MARK)}")[0]
    assert MARK in repr(parameters).lower()


def test_every_field_becomes_a_statement() -> None:
    """Each kind of value, each operator, empty() and every order."""
    for field in KNOWN.fields:
        values = [*VALUES.get(field.kind, [quoted(next(iter(field.choices), MARK))])]
        if field.kind is Kind.SCALE:
            values.append(f"> {values[0]}")
        if field.kind is Kind.CLOCK:
            values += ["< now() + 1h", "breached"]
        if field.optional:
            values.append("empty()")
        for value in values:
            for text in (f"{quoted(field.name)}: {value}", f"NOT {quoted(field.name)}: {value}"):
                assert "WHERE" in sql(text)[0], text
        if field.sorts:
            assert "ORDER BY" in sql(f"ORDER BY {quoted(field.name)} DESC")[0]
