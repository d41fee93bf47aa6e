"""Every method of every service says who may call it."""

import importlib

import pytest
from google.protobuf.descriptor import ServiceDescriptor

SERVICES = {
    "intake": ("tickdesk.intake.v1.intake_service_pb2", "intake.grpc_api"),
    "tickets": ("tickdesk.tickets.v1.tickets_service_pb2", "tickets.grpc_api"),
    "clocks": ("tickdesk.sla.v1.sla_service_pb2", "sla_clock.grpc_api.clocks"),
    "policies": ("tickdesk.sla.v1.policy_service_pb2", "sla_clock.grpc_api.policies"),
    "notifier": ("tickdesk.notifier.v1.notifier_service_pb2", "notifier.grpc_api"),
    "survey": ("tickdesk.survey.v1.survey_service_pb2", "survey.grpc_api"),
}
"""The contract of each and the module that serves it."""
ROLES = {"agent", "lead", "admin", "service", "adapter"}


def methods_of(service: str) -> set[str]:
    module = importlib.import_module(SERVICES[service][0])
    (found,) = module.DESCRIPTOR.services_by_name.values()
    assert isinstance(found, ServiceDescriptor)
    return {method.name for method in found.methods}


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_names_its_roles(service: str) -> None:
    permitted: dict[str, frozenset[str]] = importlib.import_module(SERVICES[service][1]).PERMITTED
    assert set(permitted) == methods_of(service)
    assert all(roles and roles <= ROLES for roles in permitted.values())


@pytest.mark.parametrize("service", SERVICES)
def test_an_adapter_only_brings_things_in(service: str) -> None:
    """Its token lies with another system: it must not read what customers wrote."""
    permitted: dict[str, frozenset[str]] = importlib.import_module(SERVICES[service][1]).PERMITTED
    assert {name for name, roles in permitted.items() if "adapter" in roles} <= {
        "SubmitRequest",
        "CreateTicket",
    }
