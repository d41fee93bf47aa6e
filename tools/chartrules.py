"""What must hold for the chart's objects and no schema says: each rule yields the problems it sees."""

from collections.abc import Callable, Iterator
from typing import Any

Manifest = dict[str, Any]
Rule = Callable[[list[Manifest]], Iterator[str]]

NAME_LIMIT = 63
CONFIG_LIMIT = 256 * 1024


def title(manifest: Manifest) -> str:
    """Kind and name, for messages."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Objects of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    """Objects that make pods."""
    return of_kind(manifests, "Deployment") + of_kind(manifests, "Job")


def pod(workload: Manifest) -> Manifest:
    """The pod's specification of a workload."""
    return dict(workload["spec"]["template"]["spec"])


def pod_labels(workload: Manifest) -> dict[str, str]:
    """The pod's labels of a workload."""
    return dict(workload["spec"]["template"]["metadata"]["labels"])


def selected(selector: dict[str, str], manifests: list[Manifest]) -> list[Manifest]:
    """Workloads whose pods a selector takes."""
    return [w for w in workloads(manifests) if selector.items() <= pod_labels(w).items()]


def references(value: Any) -> Iterator[str]:
    """Names of the Secrets and ConfigMaps that a piece of an object needs."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("secret", "configMap", "secretKeyRef", "configMapKeyRef", "secretRef", "configMapRef"):
                yield item.get("secretName") or item.get("name")
            elif key == "imagePullSecrets":
                yield from (secret["name"] for secret in item)
            else:
                yield from references(item)


def rendered_names(manifests: list[Manifest]) -> set[str]:
    """Names of the Secrets and ConfigMaps that the release brings itself."""
    return {m["metadata"]["name"] for m in manifests if m["kind"] in ("Secret", "ConfigMap")}


def selectors(manifests: list[Manifest]) -> Iterator[str]:
    """A selector takes the pods of exactly its own service."""
    for manifest in of_kind(manifests, "Deployment"):
        if selected(manifest["spec"]["selector"]["matchLabels"], manifests) != [manifest]:
            yield f"{title(manifest)} selects other pods than its own"
    for kind, path in (("Service", "selector"), ("PodDisruptionBudget", "selector.matchLabels")):
        for manifest in of_kind(manifests, kind):
            selector = manifest["spec"]
            for part in path.split("."):
                selector = selector[part]
            if len(selected(selector, manifests)) != 1:
                yield f"{title(manifest)} selects no pods or too many"


def port_names(workload: Manifest) -> set[str]:
    """Ports the containers of a workload name."""
    return {port["name"] for container in pod(workload)["containers"] for port in container.get("ports", [])}


def targets(manifests: list[Manifest]) -> Iterator[str]:
    """A Service's target is a port its pods name."""
    for service in of_kind(manifests, "Service"):
        named = set().union(*map(port_names, selected(service["spec"]["selector"], manifests)))
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in named:
                yield f"{title(service)} targets port {port['targetPort']}, which no container has"


def probes(manifests: list[Manifest]) -> Iterator[str]:
    """Every server is asked on a port of its own whether it has started, is ready and lives."""
    for workload in of_kind(manifests, "Deployment"):
        container = pod(workload)["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if container.get(probe, {}).get("httpGet", {}).get("port") not in port_names(workload):
                yield f"{title(workload)} has no {probe} on a port of its own"


def disruption(manifests: list[Manifest]) -> Iterator[str]:
    """A budget never blocks a drain and is there exactly when there are replicas to choose from."""
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1 or "minAvailable" in budget["spec"]:
            yield f"{title(budget)} can block a drain"
    for workload in of_kind(manifests, "Deployment"):
        budgets = [
            budget
            for budget in of_kind(manifests, "PodDisruptionBudget")
            if budget["spec"]["selector"]["matchLabels"].items() <= pod_labels(workload).items()
        ]
        replicas = workload["spec"].get("replicas", 1)
        if len(budgets) != int(isinstance(replicas, int) and replicas > 1):
            yield f"{title(workload)} has {len(budgets)} disruption budgets"


def resources(manifests: list[Manifest]) -> Iterator[str]:
    """Every container asks for what it needs and has a memory limit; CPU is never throttled."""
    for workload in workloads(manifests):
        for container in pod(workload)["containers"]:
            given = container.get("resources", {})
            missing = {"cpu", "memory", "ephemeral-storage"} - set(given.get("requests", {}))
            if missing:
                yield f"{title(workload)} requests no {', '.join(sorted(missing))}"
            if "memory" not in given.get("limits", {}):
                yield f"{title(workload)} has no memory limit"
            if "cpu" in given.get("limits", {}):
                yield f"{title(workload)} has a CPU limit"
        for volume in pod(workload).get("volumes", []):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{title(workload)} has an unbounded scratch volume"


def pod_security(manifests: list[Manifest]) -> Iterator[str]:
    """Pods meet the restricted profile and hold no token of the cluster."""
    for workload in workloads(manifests):
        spec = pod(workload)
        context = spec.get("securityContext", {})
        wanted = {
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "a user above 10000": context.get("runAsUser", 0) > 10000,
            "seccomp RuntimeDefault": context.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "automountServiceAccountToken: false": spec.get("automountServiceAccountToken") is False,
            "enableServiceLinks: false": spec.get("enableServiceLinks") is False,
            "no host namespaces": not any(spec.get(k) for k in ("hostNetwork", "hostPID", "hostIPC")),
            "no shared process namespace": not spec.get("shareProcessNamespace"),
            "no hostPath": not any("hostPath" in volume for volume in spec.get("volumes", [])),
        }
        yield from (f"{title(workload)} lacks {what}" for what, holds in wanted.items() if not holds)


def container_security(manifests: list[Manifest]) -> Iterator[str]:
    """Containers can neither gain rights nor write to their root."""
    for workload in workloads(manifests):
        for container in pod(workload)["containers"] + pod(workload).get("initContainers", []):
            context = container.get("securityContext", {})
            wanted = {
                "allowPrivilegeEscalation: false": context.get("allowPrivilegeEscalation") is False,
                "a read-only root": context.get("readOnlyRootFilesystem") is True,
                "capabilities dropped": context.get("capabilities", {}) == {"drop": ["ALL"]},
                "no privileges": not context.get("privileged"),
                "no host port": not any("hostPort" in port for port in container.get("ports", [])),
                "a pinned image": not container["image"].endswith(":latest") and ":" in container["image"],
            }
            yield from (f"{title(workload)} lacks {what}" for what, holds in wanted.items() if not holds)


def shutdown(manifests: list[Manifest]) -> Iterator[str]:
    """The pause before stopping and the drain fit into the grace period."""
    for workload in of_kind(manifests, "Deployment"):
        for container in pod(workload)["containers"]:
            command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
            drain = [e["value"] for e in container["env"] if e["name"].endswith("_DRAIN_SECONDS")]
            if len(command) != 2 or command[0] != "sleep" or not drain:
                yield f"{title(workload)} does not wait before it stops"
            elif int(command[1]) + int(drain[0]) >= pod(workload).get("terminationGracePeriodSeconds", 30):
                yield f"{title(workload)} is killed before it has drained"


def names(manifests: list[Manifest]) -> Iterator[str]:
    """Names and label values are as short as Kubernetes wants, and no two objects are the same."""
    for manifest in manifests:
        if len(manifest["metadata"]["name"]) > NAME_LIMIT:
            yield f"{title(manifest)} has a name over {NAME_LIMIT} characters"
        for key, value in manifest["metadata"].get("labels", {}).items():
            if len(str(value)) > NAME_LIMIT:
                yield f"{title(manifest)} has a label {key} over {NAME_LIMIT} characters"
        if manifest["kind"] == "ConfigMap" and len(str(manifest.get("data", ""))) > CONFIG_LIMIT:
            yield f"{title(manifest)} is over {CONFIG_LIMIT} bytes"
    titles = [title(manifest) for manifest in manifests]
    yield from (f"{twice} is there twice" for twice in sorted({t for t in titles if titles.count(t) > 1}))


def hooks(manifests: list[Manifest]) -> Iterator[str]:
    """A hook runs before the release exists, so it may need nothing that the release brings."""
    own = rendered_names(manifests)
    accounts = {m["metadata"]["name"] for m in of_kind(manifests, "ServiceAccount")}
    for manifest in manifests:
        annotations = manifest["metadata"].get("annotations", {})
        if "helm.sh/hook" not in annotations:
            continue
        if annotations["helm.sh/hook"] != "pre-install,pre-upgrade":
            yield f"{title(manifest)} runs at {annotations['helm.sh/hook']}, where --wait never lets it"
        needs = set(references(manifest)) & own
        if pod(manifest).get("serviceAccountName") in accounts:
            needs.add(pod(manifest)["serviceAccountName"])
        yield from (f"{title(manifest)} needs {name}, which is not there yet" for name in sorted(needs))


RULES: tuple[Rule, ...] = (
    selectors,
    targets,
    probes,
    disruption,
    resources,
    pod_security,
    container_security,
    shutdown,
    names,
    hooks,
)
