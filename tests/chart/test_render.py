"""The chart renders what it says, the same each time, under every name a release may have."""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from tools import chart, chartrules

SERVICES = ("intake", "tickets", "sla-clock", "notifier", "survey")
SELECTORS = Path(__file__).parent / "selectors.yaml"

# A value for each key of `defaults` that differs from the chart's own.
SAMPLES: dict[str, Any] = {
    "replicas": 1,
    "settings": {"log_level": "debug"},
    "secrets": {"tokens": {"name": "other", "key": "json"}},
    "files": {"policy_path": "version: 1"},
    "ports": {"ops": 9091},
    "service": {"annotations": {"sample": "yes"}},
    "resources": {"requests": {"cpu": "7m"}},
    "shutdown": {"preStopSeconds": 0},
    "startupProbe": {"periodSeconds": 7},
    "readinessProbe": {"periodSeconds": 7},
    "livenessProbe": {"periodSeconds": 7},
    "podAnnotations": {"sample": "yes"},
    "podLabels": {"sample": "yes"},
    "nodeSelector": {"sample": "yes"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "high",
    "egress": [{"ports": [{"port": 587, "protocol": "TCP"}]}],
    "extraEnv": [{"name": "SAMPLE", "value": "yes"}],
    "extraEnvFrom": [{"secretRef": {"name": "sample"}}],
    "extraVolumes": [{"name": "sample", "emptyDir": {"sizeLimit": "1Mi"}}],
    "extraVolumeMounts": [{"name": "sample", "mountPath": "/sample"}],
}


def by_title(values: dict[str, Any]) -> dict[str, Any]:
    base = {"networkPolicy": {"enabled": True}}
    return {chartrules.title(manifest): manifest for manifest in chart.install({**base, **values})}


@cache
def plain() -> dict[str, Any]:
    return by_title({})


def changed(values: dict[str, Any]) -> set[str]:
    """Services whose objects these values change."""
    before, after = plain(), by_title(values)
    titles = {title for title in before.keys() | after.keys() if before.get(title) != after.get(title)}
    return {service for service in SERVICES for title in titles if f"-{service}" in title}


@pytest.mark.parametrize("path", chart.values_files(), ids=lambda path: path.stem)
def test_every_values_file_of_the_chart_is_without_problems(path: Path) -> None:
    values = chart.load(path)
    assert list(chart.judge(chart.render(values), chart.existing(values))) == []


def test_a_default_install_is_without_problems_and_lint_agrees() -> None:
    assert list(chart.judge(chart.install({}), chart.existing({}))) == []
    assert list(chart.lint()) == []


@pytest.mark.parametrize("mode", ["hook", "job", "disabled"])
def test_each_migration_mode_renders_its_jobs(mode: str) -> None:
    jobs = chartrules.of_kind(chart.install({"migrations": {"mode": mode}}), "Job")
    assert len(jobs) == (0 if mode == "disabled" else len(SERVICES))
    assert all(("helm.sh/hook" in job["metadata"].get("annotations", {})) == (mode == "hook") for job in jobs)
    assert all(job["metadata"]["name"].endswith("-1") == (mode == "job") for job in jobs)


@pytest.mark.parametrize("name", ["d", "tickdesk", "r" * 53, "a-" * 26 + "a"])
@pytest.mark.parametrize("mode", ["hook", "job"])
def test_a_release_of_any_name_is_without_problems(name: str, mode: str) -> None:
    values = {"migrations": {"mode": mode}}
    assert list(chart.against_rules(chart.install(values, name), chart.existing(values))) == []


def test_the_same_values_render_the_same_objects() -> None:
    assert chart.install({}) == chart.install({})


def test_selectors_stay_as_they_were_released() -> None:
    """A changed selector makes every upgrade fail until the Deployment is deleted by hand."""
    deployments = chartrules.of_kind(chart.install({}), "Deployment")
    selectors = {d["metadata"]["name"]: d["spec"]["selector"]["matchLabels"] for d in deployments}
    assert selectors == yaml.safe_load(SELECTORS.read_text(encoding="utf-8"))


def test_every_key_of_defaults_has_a_sample_here() -> None:
    assert SAMPLES.keys() == chart.load(chart.CHART / "values.yaml")["defaults"].keys()


@pytest.mark.parametrize(("number", "key"), list(enumerate(SAMPLES)))
def test_a_default_works_on_every_service_and_a_service_overrides_it(number: int, key: str) -> None:
    assert changed({"defaults": {key: SAMPLES[key]}}) == set(SERVICES)
    service = SERVICES[number % len(SERVICES)]
    assert changed({"services": {service: {key: SAMPLES[key]}}}) == {service}


def test_a_number_of_many_digits_stays_a_number() -> None:
    """Templates print 10485760 as 1.048576e+07 unless they are told better."""
    deployment = by_title({"defaults": {"settings": {"max_message_bytes": 10485760, "call_seconds": 2.5}}})
    env = deployment["Deployment desk-tickdesk-tickets"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "TICKDESK_TICKETS_MAX_MESSAGE_BYTES", "value": "10485760"} in env
    assert {"name": "TICKDESK_TICKETS_CALL_SECONDS", "value": "2.5"} in env


def test_a_changed_file_restarts_the_pods_of_its_service_and_keeps_its_text() -> None:
    text = 'a: {{ "braces" }}\n# привет\n'
    first, second = (
        by_title({"services": {"sla-clock": {"files": {"policy_path": t}}}}) for t in (text, "b: 1")
    )
    title = "desk-tickdesk-sla-clock"
    assert first[f"ConfigMap {title}"]["data"] == {"policy_path": text}
    pods = [m[f"Deployment {title}"]["spec"]["template"]["metadata"]["annotations"] for m in (first, second)]
    assert pods[0] != pods[1]
    assert f"ConfigMap {title}" not in by_title({"services": {"sla-clock": {"files": {"policy_path": ""}}}})


def test_a_secret_can_be_taken_away_by_null() -> None:
    manifests = by_title({"services": {"tickets": {"secrets": {"nats_url": None}}}})
    volumes = manifests["Deployment desk-tickdesk-tickets"]["spec"]["template"]["spec"]["volumes"]
    assert "nats_url" not in str(volumes)


def test_tls_replaces_the_permission_to_go_without() -> None:
    plain, guarded = str(chart.install({})), str(chart.install({"tls": {"existingSecret": "desk-tls"}}))
    assert "_INSECURE" in plain
    assert "_INSECURE" not in guarded
    assert "TICKDESK_TICKETS_TLS_CERT" in guarded


def test_notes_name_every_secret_that_must_exist() -> None:
    text = chart.notes({})
    for name in chart.existing({}):
        assert name in text


def test_the_chart_works_inside_an_umbrella_and_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(
        "apiVersion: v2\nname: umbrella\nversion: 1.0.0\n"
        "dependencies:\n  - {name: tickdesk, version: 0.1.0, condition: tickdesk.enabled}\n"
    )
    shutil.copytree(chart.CHART, tmp_path / "charts" / "tickdesk")
    values = {"global": {"region": "x"}, "tickdesk": chart.load(chart.MINIMUM)}
    inside = chart.render(values, chart=tmp_path)
    assert len(chartrules.of_kind(inside, "Deployment")) == len(SERVICES)
    assert chart.render({"tickdesk": {"enabled": False}}, chart=tmp_path) == []


def test_a_network_policy_opens_the_ports_of_its_service_only() -> None:
    policy = by_title({})["NetworkPolicy desk-tickdesk-intake"]
    opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert opened == {"grpc", "lmtp", "smtp", "ops"}


def test_helm_is_the_one_that_is_locked() -> None:
    assert helm.helm_sdk_version().lstrip("v").startswith("4.")
