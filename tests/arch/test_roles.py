"""Every method of every service says who may call it."""

import importlib

import pytest
from google.protobuf.descriptor import ServiceDescriptor

SERVICES = ("intake", "tickets", "sla", "notifier", "survey")
ROLES = {"agent", "lead", "admin", "service", "adapter"}


def methods_of(service: str) -> set[str]:
    module = importlib.import_module(f"tickdesk.{service}.v1.{service}_service_pb2")
    (found,) = module.DESCRIPTOR.services_by_name.values()
    assert isinstance(found, ServiceDescriptor)
    return {method.name for method in found.methods}


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_names_its_roles(service: str) -> None:
    package = "sla_clock" if service == "sla" else service
    permitted: dict[str, frozenset[str]] = importlib.import_module(f"{package}.grpc_api").PERMITTED
    assert set(permitted) == methods_of(service)
    assert all(roles and roles <= ROLES for roles in permitted.values())


@pytest.mark.parametrize("service", SERVICES)
def test_an_adapter_only_brings_things_in(service: str) -> None:
    """Its token lies with another system: it must not read what customers wrote."""
    package = "sla_clock" if service == "sla" else service
    permitted: dict[str, frozenset[str]] = importlib.import_module(f"{package}.grpc_api").PERMITTED
    assert {name for name, roles in permitted.items() if "adapter" in roles} <= {
        "SubmitRequest",
        "CreateTicket",
    }
