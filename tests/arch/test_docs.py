"""The generated pages hold what the code declares, and the check of documents sees planted faults."""

from pathlib import Path

import pytest

from tools import describe, docs


def test_pages_hold_calls_events_settings_and_metrics() -> None:
    """`make docs-check` describes the real packages, each in a process; here one row of each kind will do."""
    setting = {"env": "TICKDESK_A_B", "type": "int", "default": "1", "description": "One | two."}
    metric = {"name": "tickdesk_a_total", "type": "counter", "labels": ["b"], "help": "How many."}
    opened = "tickdesk.tickets.v1.TicketOpened"
    described = {
        package: {"settings": [setting], "metrics": [metric], "consumes": [opened]}
        for package in docs.PACKAGES
    }
    files = docs.contracts()
    row = "| SubmitRequest | SubmitRequestRequest | SubmitRequestResponse |"
    assert f"{row} agent, lead, admin, adapter, service | Takes a message" in docs.api(files)
    assert f"| `{opened}` | intake, tickets, sla_clock, notifier, survey | " in docs.events(files, described)
    assert "| `TICKDESK_A_B` | int | 1 | One \\| two. |" in docs.settings(described)
    assert "| `tickdesk_a_total` | counter | b | How many. |" in docs.metrics(described)


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
