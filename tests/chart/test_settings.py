"""The chart and the services speak of the same settings: none misspelt, no port forgotten."""

import importlib
from typing import Any

import pytest
from pydantic import SecretStr

from chassis.settings import ChassisSettings
from tools import chart, chartrules

SERVICES = ("intake", "tickets", "sla-clock", "notifier", "survey")


def settings_of(service: str) -> type[ChassisSettings]:
    module = importlib.import_module(f"{service.replace('-', '_')}.settings")
    kind: type[ChassisSettings] = module.Settings
    assert issubclass(kind, ChassisSettings)
    return kind


def environment(kind: str, service: str) -> dict[str, str]:
    """Variables of the service's container, by name, in a release where every door is open."""
    for values in (chart.load(path) for path in chart.values_files()):
        for workload in chartrules.of_kind(chart.render(values), kind):
            container: dict[str, Any] = chartrules.pod(workload)["containers"][0]
            if container["args"][0] == service.replace("-", "_"):
                return {entry["name"]: entry.get("value", "") for entry in container["env"]}
    raise AssertionError(f"no {kind} of {service}")


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_of_the_chart_is_a_setting_of_the_service(service: str, kind: str) -> None:
    """Services refuse to start with a setting they do not know."""
    declared = settings_of(service)
    prefix = str(declared.model_config.get("env_prefix"))
    known = {prefix + field.upper() for field in declared.model_fields}
    given = {name for name in environment(kind, service) if name.startswith("TICKDESK_")}
    assert given - known == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_a_service_may_listen_on_has_a_number_in_the_chart(service: str) -> None:
    declared = settings_of(service)
    prefix = str(declared.model_config.get("env_prefix"))
    ports = {prefix + field.upper() for field in declared.model_fields if field.endswith("_port")}
    assert ports - environment("Deployment", service).keys() == set()


@pytest.mark.parametrize("service", SERVICES)
def test_every_secret_a_service_cannot_do_without_is_mounted(service: str) -> None:
    """A secret without a default is one that somebody has to give."""
    declared = settings_of(service)
    prefix = str(declared.model_config.get("env_prefix"))
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in declared.model_fields.items()
    }
    wanted = {
        f"{prefix}{name.upper()}_FILE"
        for name, default in defaults.items()
        if isinstance(default, SecretStr) and not default.get_secret_value()
    }
    assert f"{prefix}DATABASE_URL_FILE" in wanted
    assert wanted - environment("Deployment", service).keys() == set()
