"""The guide of the query language says what the language does."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tickets.domain.query.catalog import catalog
from tickets.domain.query.faults import BadQuery
from tickets.domain.query.resolve import Context, resolve

KNOWN = catalog()
CONTEXT = Context("anna", datetime(2026, 11, 22, tzinfo=UTC), ZoneInfo("UTC"))
GUIDE = (Path(__file__).resolve().parents[4] / "docs" / "guides" / "query.md").read_text("utf-8")


def test_every_query_of_the_guide_is_one() -> None:
    """The examples of the language and the queries of every day."""
    sections = GUIDE.split("\n## ")
    language, daily = (
        next(each for each in sections if each.startswith(name)) for name in ("How a query", "Queries of")
    )
    queries = re.findall(r"\| `([^|]+)` \|\n", language + daily)
    assert len(queries) >= 20
    for query in queries:
        resolve(query, KNOWN, CONTEXT)


def test_the_guide_names_every_field_and_choice() -> None:
    names = {name.strip('"') for name in re.findall(r"`([^`\n]+)`", GUIDE)}
    for field in KNOWN.fields:
        assert field.name in names or f"{field.name}.<clock>" in names, field.name
        for choice in field.choice_names().values() if field.key not in ("escalation", "status") else ():
            assert choice in GUIDE, (field.name, choice)


def test_the_error_of_the_guide_is_what_is_said() -> None:
    shown = GUIDE.split("```")[-2].strip("\n")
    query = shown.split("\n")[1].strip()
    with pytest.raises(BadQuery) as caught:
        resolve(query, KNOWN, CONTEXT)
    assert caught.value.message == shown
