"""Prints what one package declares, as JSON: settings, metrics, events it consumes.

`python -m tools.describe tickets`. A process per package, because two services may declare a metric alike and
one registry takes a name once.
"""

import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from google.protobuf.message import Message
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

# Modules of the chassis that are no part of a running service.
SKIPPED = {"chassis.servers", "chassis.testing"}


def main() -> int:
    """Describes the package named on the command line."""
    package = sys.argv[1]
    described = {
        "settings": list(settings(package)),
        "metrics": sorted(metrics(package), key=lambda metric: str(metric["name"])),
        "consumes": sorted(consumes(package)),
    }
    json.dump(described, sys.stdout)
    return 0


def settings(package: str) -> Iterator[dict[str, str]]:
    """Each field of the package's settings class that it adds itself, in the order of the source."""
    name = "chassis.settings" if package == "chassis" else f"{package}.settings"
    if importlib.util.find_spec(name) is None:
        return
    kind = getattr(importlib.import_module(name), "ChassisSettings" if package == "chassis" else "Settings")
    prefix = kind.model_config.get("env_prefix") or "TICKDESK_<SERVICE>_"
    inherited = kind.__mro__[1].model_fields if package != "chassis" else {}
    for field, info in kind.model_fields.items():
        if field in inherited and info.default == inherited[field].default:
            continue
        default = info.get_default(call_default_factory=True)
        yield {
            "field": field,
            "env": prefix + field.upper(),
            "type": type_name(info.annotation),
            "default": "" if default is PydanticUndefined else json_like(default),
            "description": info.description or "",
        }


def type_name(annotation: Any) -> str:
    """A type as a reader of the settings writes it."""
    text = (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else str(annotation)
    )
    for module in ("pydantic.types.", "pathlib.", "typing.", "datetime."):
        text = text.replace(module, "")
    return text.replace("SecretStr", "secret").replace("str", "text").replace(" | None", "")


def json_like(value: Any) -> str:
    """A default as it would stand in the environment."""
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if value is None or value in ({}, ()):
        return ""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def metrics(package: str) -> Iterator[dict[str, Any]]:
    """Every metric that a module of the package declares."""
    for module in modules(package):
        for value in vars(module).values():
            if isinstance(value, MetricWrapperBase):
                family = next(iter(value.describe()))
                yield {
                    "name": family.name + ("_total" if family.type == "counter" else ""),
                    "type": family.type,
                    "labels": list(value._labelnames),  # noqa: SLF001 - the library shows them nowhere else
                    "help": family.documentation,
                }


def modules(package: str) -> Iterator[ModuleType]:
    """Modules that may declare metrics: metrics.py of a service, any of the chassis."""
    if package != "chassis":
        if importlib.util.find_spec(f"{package}.metrics") is not None:
            yield importlib.import_module(f"{package}.metrics")
        return
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if found.name not in SKIPPED:
            yield importlib.import_module(found.name)


def consumes(package: str) -> set[str]:
    """Full names of the events in the tables of the package's consumers.py."""
    if package == "chassis" or importlib.util.find_spec(f"{package}.consumers") is None:
        return set()
    tables = (
        value
        for value in vars(importlib.import_module(f"{package}.consumers")).values()
        if isinstance(value, tuple | list)
    )
    kinds = (event_type(row) for table in tables for row in table)
    return {kind.DESCRIPTOR.full_name for kind in kinds if kind is not None}


def event_type(row: Any) -> type[Message] | None:
    """The event of one row: a Subscription, or a tuple that starts with the event's class."""
    kind = getattr(row, "event_type", None) or (row[0] if isinstance(row, tuple) and row else None)
    return kind if isinstance(kind, type) and issubclass(kind, Message) else None


if __name__ == "__main__":
    sys.exit(main())
