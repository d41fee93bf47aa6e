"""What the chart must refuse, and the faults its rules must see: each planted one turns the judgement red."""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import helm_python as helm
import pytest

from tools import chart, chartrules

Manifest = dict[str, Any]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"postgresql": {"enabled": True}}, "postgresql: this chart brings no postgresql"),
        ({"redis": {}}, "redis: this chart brings no redis"),
        (
            {"services": {"tickets": {"secrets": {"database_url": None}}}},
            "services.tickets.secrets.database_url",
        ),
        ({"services": {"tickets": {"settings": {"tokens": "x"}}}}, "tokens is in both settings and secrets"),
        ({"defaults": {"settings": {"grpc_port": 1}}}, "ports.grpc"),
        ({"defaults": {"settings": {"drain_seconds": 1}}}, "shutdown.drainSeconds"),
        ({"defaults": {"replicas": -1}}, "replicas"),
        ({"defaults": {"replicas": "two"}}, "replicas"),
        ({"defaults": {"ports": {"grpc": 80}}}, "grpc"),
        ({"image": {"digest": "sha256:short"}}, "digest"),
        ({"migrations": {"mode": "sometimes"}}, "mode"),
        ({"services": {"intake": {"settings": {"objects": ""}}}}, "services.intake.settings.objects"),
        ({"services": {"console": {}}}, "console"),
        ({"services": {"tickets": None}}, "tickets"),
        ({"services": {"survey": {"settings": {"public_url": ""}}}}, "services.survey.settings.public_url"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: Manifest, said: str) -> None:
    with pytest.raises(helm.HelmError, match="(?s)" + said.replace(".", r"\.")):
        chart.install(values)


def blocks(values: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the mappings in the chart's own values whose keys are fixed."""
    free = {
        "global",
        "settings",
        "secrets",
        "files",
        "ports",
        "annotations",
        "affinity",
        "nodeSelector",
    }
    free |= {"podAnnotations", "podLabels"}
    if not free & set(path):
        yield path
        for key, value in values.items():
            if isinstance(value, dict):
                yield from blocks(value, (*path, key))


@pytest.mark.parametrize("path", list(blocks(chart.load(chart.CHART / "values.yaml"))), ids=".".join)
def test_a_misspelt_key_is_refused_at_every_level(path: tuple[str, ...]) -> None:
    values: Manifest = {"mispelt": True}
    for key in reversed(path):
        values = {key: values}
    with pytest.raises(helm.HelmError, match="mispelt"):
        chart.install(values)


def deployment(manifests: list[Manifest]) -> Manifest:
    return next(m for m in manifests if chartrules.title(m) == "Deployment desk-tickdesk-tickets")


def job(manifests: list[Manifest]) -> Manifest:
    return next(m for m in manifests if chartrules.title(m) == "Job desk-tickdesk-tickets-migrate")


def budget(manifests: list[Manifest]) -> Manifest:
    return next(m for m in manifests if m["kind"] == "PodDisruptionBudget")


def template(manifests: list[Manifest]) -> Manifest:
    return dict(deployment(manifests)["spec"]["template"]["spec"])


def container(manifests: list[Manifest]) -> Manifest:
    found: Manifest = template(manifests)["containers"][0]
    return found


Fault = Callable[[list[Manifest]], object]

FAULTS: dict[str, tuple[str, Fault]] = {
    "misspelt field": ("schema", lambda m: deployment(m)["spec"].update(replicaz=2)),
    "wrong type": ("schema", lambda m: deployment(m)["spec"].update(replicas="two")),
    "unknown kind": (
        "schema",
        lambda m: m.append({"apiVersion": "v1", "kind": "Pood", "metadata": {"name": "x"}}),
    ),
    "removed version": ("schema", lambda m: budget(m).update(apiVersion="policy/v1beta1")),
    "foreign selector": (
        "selectors",
        lambda m: deployment(m)["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/component"),
    ),
    "service without pods": (
        "selectors",
        lambda m: chartrules.of_kind(m, "Service")[0]["spec"]["selector"].update(x="y"),
    ),
    "budget without pods": (
        "selectors",
        lambda m: budget(m)["spec"]["selector"]["matchLabels"].update(x="y"),
    ),
    "target nobody has": (
        "targets",
        lambda m: chartrules.of_kind(m, "Service")[0]["spec"]["ports"][0].update(targetPort="web"),
    ),
    "no readiness": ("probes", lambda m: container(m).pop("readinessProbe")),
    "no liveness": ("probes", lambda m: container(m).pop("livenessProbe")),
    "no start-up probe": ("probes", lambda m: container(m).pop("startupProbe")),
    "probe of another port": (
        "probes",
        lambda m: container(m)["livenessProbe"]["httpGet"].update(port="web"),
    ),
    "budget that blocks": ("disruption", lambda m: budget(m)["spec"].update(maxUnavailable=0)),
    "budget at one replica": ("disruption", lambda m: deployment(m)["spec"].update(replicas=1)),
    "budget missing": ("disruption", lambda m: m.remove(budget(m))),
    "no requests": ("resources", lambda m: container(m)["resources"].pop("requests")),
    "no memory limit": ("resources", lambda m: container(m)["resources"]["limits"].pop("memory")),
    "throttled": ("resources", lambda m: container(m)["resources"]["limits"].update(cpu="1")),
    "unbounded scratch": ("resources", lambda m: template(m)["volumes"][0].update(emptyDir={})),
    "root": ("pod_security", lambda m: template(m)["securityContext"].update(runAsNonRoot=False)),
    "low user": ("pod_security", lambda m: template(m)["securityContext"].update(runAsUser=1000)),
    "no seccomp": ("pod_security", lambda m: template(m)["securityContext"].pop("seccompProfile")),
    "token": (
        "pod_security",
        lambda m: deployment(m)["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
    ),
    "service links": (
        "pod_security",
        lambda m: deployment(m)["spec"]["template"]["spec"].pop("enableServiceLinks"),
    ),
    "host network": (
        "pod_security",
        lambda m: deployment(m)["spec"]["template"]["spec"].update(hostNetwork=True),
    ),
    "host path": (
        "pod_security",
        lambda m: template(m)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    ),
    "escalation": (
        "container_security",
        lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    "writable root": (
        "container_security",
        lambda m: container(m)["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    "capabilities": ("container_security", lambda m: container(m)["securityContext"].pop("capabilities")),
    "privileged": ("container_security", lambda m: container(m)["securityContext"].update(privileged=True)),
    "host port": ("container_security", lambda m: container(m)["ports"][0].update(hostPort=80)),
    "floating image": ("container_security", lambda m: container(m).update(image="tickdesk:latest")),
    "untagged image": ("container_security", lambda m: container(m).update(image="tickdesk")),
    "no pause before stop": ("shutdown", lambda m: container(m).pop("lifecycle")),
    "short grace": (
        "shutdown",
        lambda m: deployment(m)["spec"]["template"]["spec"].update(terminationGracePeriodSeconds=25),
    ),
    "long name": ("names", lambda m: deployment(m)["metadata"].update(name="n" * 64)),
    "long label": ("names", lambda m: deployment(m)["metadata"]["labels"].update(team="n" * 64)),
    "big ConfigMap": (
        "names",
        lambda m: m.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"x": "x" * 300_000}}
        ),
    ),
    "twice": ("names", lambda m: m.append(copy.deepcopy(budget(m)))),
    "hook with an account of the release": (
        "hooks",
        lambda m: job(m)["spec"]["template"]["spec"].update(serviceAccountName="desk-tickdesk"),
    ),
    "hook with a secret of the release": (
        "hooks",
        lambda m: m.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tickdesk-database"}}),
    ),
    "hook after install": (
        "hooks",
        lambda m: job(m)["metadata"]["annotations"].update({"helm.sh/hook": "post-install"}),
    ),
    "secret nobody has": (
        "references",
        lambda m: container(m).update(envFrom=[{"secretRef": {"name": "nobody"}}]),
    ),
}


@cache
def sound() -> list[Manifest]:
    return chart.install({})


@cache
def known() -> set[str]:
    return chart.existing({})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_its_rule_red(fault: str) -> None:
    rule, plant = FAULTS[fault]
    manifests = copy.deepcopy(sound())
    plant(manifests)
    judge = chart.judge if rule == "schema" else chart.against_rules
    problems = list(judge(manifests, known()))
    assert any(problem.startswith(rule) for problem in problems), problems


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule.__name__ for rule in chartrules.RULES} <= {rule for rule, _ in FAULTS.values()}
