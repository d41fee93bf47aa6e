"""How the services of one machine are wired: which ports they have and which settings they are given."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICES = ("tickets", "intake", "sla-clock", "notifier", "survey")
MODULES = {name: name.replace("-", "_") for name in SERVICES}
PORTS = (
    *(f"{name}.{use}" for name in SERVICES for use in ("grpc", "ops")),
    "intake.lmtp",
    "intake.smtp",
    "survey.http",
)


@dataclass(frozen=True, slots=True)
class Wires:
    """All that the services' settings are made of. `given` are the user's own variables, which win."""

    folder: Path
    ports: Mapping[str, int]
    tokens: Mapping[str, str]
    keys: Mapping[str, str]
    databases: Mapping[str, str]
    nats_url: str
    valkey_url: str
    given: Mapping[str, str]


def environment(service: str, wires: Wires) -> dict[str, str]:
    """The variables of one service."""
    prefix = f"TICKDESK_{MODULES[service].upper()}_"
    values = {**_common(service, wires), **_own(service, wires)}
    named = {prefix + key.upper(): value for key, value in values.items()}
    outside = {**wires.given, **{key: value for key, value in os.environ.items() if key.startswith(prefix)}}
    return {**named, **{key: value for key, value in outside.items() if key.startswith(prefix)}}


def _common(service: str, wires: Wires) -> dict[str, str]:
    return {
        "database_url": wires.databases[service],
        "nats_url": wires.nats_url,
        "grpc_port": str(wires.ports[f"{service}.grpc"]),
        "ops_port": str(wires.ports[f"{service}.ops"]),
        "tokens": json.dumps(dict(wires.tokens)),
        "startup_seconds": "90",
    }


def _own(service: str, wires: Wires) -> dict[str, str]:
    table: dict[str, dict[str, str]] = {
        "intake": {
            "lmtp_port": str(wires.ports["intake.lmtp"]),
            "smtp_port": str(wires.ports["intake.smtp"]),
            "objects": str(wires.folder / "objects"),
            "reply_keys": wires.keys["reply"],
        },
        "tickets": {},
        "sla-clock": {
            "redis_url": wires.valkey_url,
            "tickets_target": f"127.0.0.1:{wires.ports['tickets.grpc']}",
            # Folders that are older than this token have the administrator's only.
            "tickets_token": wires.tokens.get("service:sla-clock", wires.tokens["admin:desk"]),
            **_policy(wires.folder),
        },
        "notifier": {
            "reply_keys": wires.keys["reply"],
            "intake_target": f"127.0.0.1:{wires.ports['intake.grpc']}",
            "intake_token": wires.tokens.get("service:notifier", wires.tokens["admin:desk"]),
        },
        "survey": {
            "http_port": str(wires.ports["survey.http"]),
            "public_url": f"http://127.0.0.1:{wires.ports['survey.http']}",
        },
    }
    return table[service]


def _policy(folder: Path) -> dict[str, str]:
    path = folder / "policy.yaml"
    return {"policy_path": str(path)} if path.exists() else {}
