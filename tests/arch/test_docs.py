"""The generated pages hold what the code declares, and the check of documents sees planted faults."""

from pathlib import Path

import pytest

from tools import describe, docs


def test_pages_hold_calls_events_settings_and_metrics() -> None:
    pages = docs.pages()
    assert "SubmitRequest" in pages["api.md"]
    assert "`tickdesk.tickets.v1.TicketOpened`" in pages["events.md"]
    assert "`TICKDESK_<SERVICE>_DATABASE_URL`" in pages["settings.md"]
    assert "`tickdesk_events_published_total`" in pages["metrics.md"]


def test_a_page_that_is_out_of_date_is_named() -> None:
    assert list(docs.stale({"none.md": "text"})) == ["docs/reference/none.md is out of date, run `make docs`"]


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[a](b.md)", ["b.md"]),
        ("[a](there.md#part) ![p](there.md)", []),
        ("[a](https:" + "//example.com/x) [b](#part)", []),
        ("```\n[a](b.md)\n``` and `[a](b.md)`", []),
        ("[a](../c.md) [b](d/)", ["../c.md", "d/"]),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, text: str, dead: list[str]) -> None:
    (tmp_path / "there.md").touch()
    assert list(docs.dead_targets(text, tmp_path)) == dead


def test_a_setting_shows_its_variable_type_default_and_meaning() -> None:
    found = {field["field"]: field for field in describe.settings("chassis")}
    assert found["grpc_port"]["env"] == "TICKDESK_<SERVICE>_GRPC_PORT"
    assert found["grpc_port"]["default"] == "0"
    assert found["database_url"]["type"] == "secret"
    assert all(field["description"] for field in found.values())
