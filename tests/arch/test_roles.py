"""Every method of every service says in its contract who may call it."""

import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from chassis.guard import Roles, roles_of
from tickdesk.common.v1 import access_pb2

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = sorted((ROOT / "proto" / "tickdesk").rglob("*_service.proto"))
BRINGS = {"SubmitRequest", "CreateTicket", "SetTaskState"}
"""What an adapter may call: its token lies with another system, which must not read what customers wrote."""
READS = ("Get", "List", "Search", "Count", "Watch", "Forecast", "ExplainClock", "CheckQuery", "Export")
"""How the names of methods begin that only show what is there."""
TRIES = ("Check", "DryRun", "Lint", "Test", "Plan", "Simulate", "Suggest", "Prepare")
"""And of those that try something out and keep nothing."""


def services_of(path: Path) -> list[ServiceDescriptor]:
    parts = path.relative_to(ROOT / "proto").with_suffix("").parts
    module = importlib.import_module(".".join(parts) + "_pb2")
    return list(module.DESCRIPTOR.services_by_name.values())


SERVICES = {each.name: each for path in CONTRACTS for each in services_of(path)}


def test_all_contracts_were_looked_at() -> None:
    assert len(SERVICES) >= 6


@pytest.mark.parametrize("name", SERVICES)
def test_every_method_names_its_roles(name: str) -> None:
    table = roles_of(SERVICES[name], access_pb2.access)
    assert set(table) == {method.name for method in SERVICES[name].methods}
    assert not any("unspecified" in roles for roles in table.values())


@pytest.mark.parametrize("name", SERVICES)
def test_an_adapter_only_brings_things_in(name: str) -> None:
    table: Roles = roles_of(SERVICES[name], access_pb2.access)
    assert {method for method, roles in table.items() if "adapter" in roles} <= BRINGS


@pytest.mark.parametrize("name", SERVICES)
def test_an_auditor_reads_everything_and_changes_nothing(name: str) -> None:
    """What is a secret is in no answer."""
    table = roles_of(SERVICES[name], access_pb2.access)
    reads = {method for method in table if method.startswith(READS)}
    assert {method for method, roles in table.items() if "auditor" in roles} == reads


@pytest.mark.parametrize("name", SERVICES)
def test_every_method_that_changes_something_has_a_request_id(name: str) -> None:
    """A caller who heard no answer asks again without fear."""
    methods = [each for each in SERVICES[name].methods if not each.name.startswith((*READS, *TRIES))]
    assert [each.name for each in methods if "request_id" not in each.input_type.fields_by_name] == []


def test_a_service_with_a_method_without_a_rule_does_not_start() -> None:
    health = importlib.import_module("grpc_health.v1.health_pb2").DESCRIPTOR.services_by_name["Health"]
    with pytest.raises(ValueError, match="grpc.health.v1.Health.Check does not say who may call it"):
        roles_of(health, access_pb2.access)
