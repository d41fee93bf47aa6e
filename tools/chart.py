"""Lints, renders and judges the Helm chart without a cluster.

`python -m tools.chart` runs real helm (its Go SDK out of a wheel) over every values file of the chart's ci/
folder, validates each object strictly against the oldest and newest supported Kubernetes, and applies the
rules of `tools.chartrules` that no schema knows.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import yaml

from tools import chartrules

CHART = Path(__file__).resolve().parent.parent / "deploy" / "helm" / "tickdesk"
MINIMUM = CHART / "ci" / "minimal-values.yaml"
KUBERNETES = ("1.25", "1.37")
RELEASE = "desk"
NAMESPACE = "support"

Manifest = dict[str, Any]


def main() -> int:
    """Prints every problem; returns 1 when there is one."""
    problems = list(lint())
    for path in values_files():
        manifests = render(load(path))
        problems += [f"{path.name}: {problem}" for problem in judge(manifests, existing(load(path)))]
        print(f"chart: {path.name} renders {len(manifests)} objects")
    for problem in problems:
        print(problem)
    print(f"chart: {len(problems)} problems" if problems else f"chart: passed for Kubernetes {KUBERNETES}")
    return 1 if problems else 0


def values_files() -> list[Path]:
    """The values the chart must always render with."""
    return sorted((CHART / "ci").glob("*-values.yaml"))


def load(path: Path) -> Manifest:
    """Parses one YAML mapping."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def lint() -> Iterator[str]:
    """What `helm lint --strict` objects to, for every values file."""
    for path in values_files():
        report = helm.lint(str(CHART), load(path), strict=True)
        yield from (f"{path.name}: lint: {error}" for error in report["errors"])
        yield from (
            f"{path.name}: lint: {message['error']}"
            for message in report["messages"]
            if message["severity"] > 1
        )


def render(values: Mapping[str, Any], name: str = RELEASE, chart: Path = CHART) -> list[Manifest]:
    """Objects of an install with these values. Raises helm.HelmError on values the chart refuses."""
    loaded = helm.Chart.load(str(chart))
    loaded.validate_schema(dict(values))
    files = loaded.render(dict(values), name=name, namespace=NAMESPACE, revision=1, is_install=True)
    documents = (
        document
        for path, text in sorted(files.items())
        if not path.endswith("NOTES.txt")
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
    )
    return [document for document in documents if document]


def install(values: Mapping[str, Any], name: str = RELEASE) -> list[Manifest]:
    """Objects of an install with these values on top of the smallest ones."""
    return render(merge(load(MINIMUM), values), name)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Manifest:
    """Two mappings as Helm merges values: mappings key by key, all else replaced."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def notes(values: Mapping[str, Any]) -> str:
    """The text shown after an install with these values on top of the smallest ones."""
    whole = merge(load(MINIMUM), values)
    files = helm.Chart.load(str(CHART)).render(whole, name=RELEASE, namespace=NAMESPACE)
    return next(text for path, text in files.items() if path.endswith("NOTES.txt"))


def existing(values: Mapping[str, Any]) -> set[str]:
    """Names of Secrets and ConfigMaps that these values say exist before the release."""
    merged = helm.Chart.load(str(CHART)).merge_values(dict(values))
    blocks = [merged["defaults"], *merged["services"].values()]
    names = {secret["name"] for block in blocks for secret in block.get("secrets", {}).values()}
    names |= {merged["tls"]["existingSecret"], *merged["image"]["pullSecrets"]}
    for block in blocks:
        names |= set(chartrules.references(block.get("extraVolumes", []) + block.get("extraEnvFrom", [])))
    return names - {""}


def judge(manifests: list[Manifest], known: set[str]) -> Iterator[str]:
    """Problems of the objects. `known` are names that exist before the release."""
    for manifest in manifests:
        for version in KUBERNETES:
            yield from against_schema(manifest, version)
    yield from against_rules(manifests, known)


def against_rules(manifests: list[Manifest], known: set[str]) -> Iterator[str]:
    """What the rules say, each problem after the name of its rule."""
    for rule in chartrules.RULES:
        yield from (f"{rule.__name__}: {problem}" for problem in rule(manifests))
    for manifest in manifests:
        missing = set(chartrules.references(manifest)) - known - chartrules.rendered_names(manifests)
        yield from (f"references: {chartrules.title(manifest)} needs {name}" for name in sorted(missing))


def against_schema(manifest: Manifest, version: str) -> Iterator[str]:
    """What the schema of one Kubernetes version says; an unknown kind is a problem, not a remark."""
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"schema {version}: {error.message}"
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.path)
        yield f"schema {version}: {chartrules.title(manifest)}: {where}: {error.message}"


if __name__ == "__main__":
    sys.exit(main())
