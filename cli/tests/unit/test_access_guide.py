"""What docs/guides/access.md tells to type and to set works as it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format
from pydantic_settings import SettingsConfigDict
from ruamel.yaml import YAML

from chassis.identity import read_keys
from chassis.settings import ChassisSettings
from tickdesk.tickets.v1 import setup_pb2
from tickets.convert.rights import from_rights
from tickets.domain import rights
from tickets.domain.model import Agent, Line
from tickets.domain.rights import Person, Right

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "access.md").read_text()
KEYS, SETTINGS = (part.split("```")[0] for part in GUIDE.split("```sh\n")[1:])
RIGHTS = GUIDE.split("```yaml\n")[1].split("```")[0]


def test_the_commands_of_the_guide_make_a_file_that_services_take(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", KEYS],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    keys = read_keys((tmp_path / "keys.jsonl").read_text())
    assert [key.name for key in keys] == ["adapter:crm", "auditor:reports"]
    assert "2 keys, 0 expired, 0 expire within 14 days, 0 faults" in done.stdout


class Settings(ChassisSettings):
    model_config = SettingsConfigDict(env_prefix="TICKDESK_TICKETS_")


def test_the_settings_of_the_guide_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in SETTINGS.splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    assert list(Settings().oidc_roles.values()) == ["admin", "lead", "agent"]
    assert Settings().oidc_roles_claim == "realm_access.roles"


def test_the_rights_of_the_guide_do_what_it_says() -> None:
    setup = json_format.ParseDict(YAML(typ="safe").load(RIGHTS), setup_pb2.Setup())
    grants = {"SUP": from_rights(setup.rights)}
    assert list(rights.faults(grants["SUP"], ["refunds"])) == []
    anna, vera, dina = (
        Agent(name, name, lines=[line])
        for name, line in (("anna", Line.L1), ("vera", Line.L3), ("dina", Line.L3))
    )
    may = {
        agent.id: [
            "".join(
                right.value[0]
                for right in Right
                if rights.may(Person(agent, grants=grants), right, "SUP", component)
            )
            for component in ("", "refunds")
        ]
        for agent in (anna, vera, dina)
    }
    assert may == {"anna": ["cve", ""], "vera": ["v", ""], "dina": ["", "ve"]}
