"""`tickdesk keys` makes, shows and checks API keys."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.clock import utcnow
from chassis.identity import digest, read_keys
from tickdesk_cli.main import app

CREATE = "tickdesk.tickets.v1.TicketService/CreateTicket"


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["keys", *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_new_key_shows_its_secret_once_and_prints_an_entry_that_services_read(tmp_path: Path) -> None:
    code, entry, told = invoke("new", "adapter:crm", "--scope", CREATE, "--days", "30")
    secret = told.split()[-1]
    [key] = read_keys(entry)
    assert code == 0
    assert (key.name, key.scopes, key.sha256) == ("adapter:crm", (CREATE,), digest(secret))
    assert secret.startswith("tdk_")
    assert len(secret) == 47, "256 bits"
    assert secret not in entry
    assert timedelta(days=29) < key.expires - utcnow() <= timedelta(days=30)
    assert invoke("new", "adapter:crm", "--scope", CREATE)[2].split()[-1] != secret
    file = tmp_path / "keys.jsonl"
    file.write_text(entry)
    listed = invoke("list", str(file))[1]
    assert "adapter:crm" in listed
    assert key.sha256 not in listed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("crm", "--scope", "tickets"), "crm is no principal"),
        (("robot:crm", "--scope", "tickets"), "no role robot"),
        (("adapter:crm", "--scope", "ticket"), "no scope ticket, did you mean tickets?"),
        (("adapter:crm", "--scope", f"{CREATE}s"), f"did you mean {CREATE}?"),
    ],
)
def test_a_key_for_nobody_or_nothing_is_not_made(words: tuple[str, ...], said: str) -> None:
    code, entry, told = invoke("new", *words)
    assert (code, entry) == (2, "")
    assert said in " ".join(told.split())


def test_a_file_is_checked_as_services_read_it_and_for_scopes_that_do_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    entries = [json.loads(invoke("new", "auditor:eve", "--scope", "tickets.read", "--days", "10")[1])]
    entries.append({**json.loads(invoke("new", "agent:anna", "--scope", "sla")[1]), "scopes": ["sla.raed"]})
    entries.append({**entries[0], "sha256": digest("old"), "expires": "2020-01-01T00:00:00Z"})
    file.write_text("\n".join(json.dumps(each) for each in entries))
    code, out, _ = invoke("check", str(file))
    assert code == 1
    assert "no scope sla.raed, did you mean sla.read?" in out
    assert "3 keys, 1 expired, 1 expire within 14 days, 1 faults" in out
    file.write_text(json.dumps(entries[0]))
    assert invoke("check", str(file))[0] == 0
    file.write_text("{}")
    code, _, told = invoke("check", str(file))
    assert code == 1
    assert "line 1" in told
    assert invoke("list", str(tmp_path / "none"))[0] == 2
