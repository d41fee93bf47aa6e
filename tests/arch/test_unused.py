"""What a service declares it also uses: a metric that never moves and a setting that does nothing mislead."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tools import shape

PACKAGES = sorted((shape.ROOT / "services").glob("*/src/*"))
CHASSIS = shape.ROOT / "libs" / "chassis" / "src" / "chassis"


def metrics_of(text: str) -> Iterator[str]:
    """Names that a module gives to counters, gauges and histograms."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            kind, target = node.value.func, node.targets[0]
            known = isinstance(kind, ast.Name) and kind.id in ("Counter", "Gauge", "Histogram")
            if known and isinstance(target, ast.Name):
                yield target.id


def settings_of(text: str) -> Iterator[str]:
    """Fields of a module's Settings class; `<x>_file` is read by the chassis as `<x>`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            fields = (each.target for each in node.body if isinstance(each, ast.AnnAssign))
            yield from (each.id for each in fields if isinstance(each, ast.Name) and each.id[-5:] != "_file")


def unused(names: Iterable[str], text: str, *, often: int) -> list[str]:
    """Names that stand in the text less often than that."""
    return [name for name in names if len(re.findall(rf"\b{name}\b", text)) < often]


def code(*folders: Path) -> str:
    return "\n".join(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))


def test_every_service_is_looked_at() -> None:
    assert [path.name for path in PACKAGES] == ["intake", "notifier", "sla_clock", "survey", "tickets"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_metric_is_counted_somewhere(package: Path) -> None:
    declared = list(metrics_of((package / "metrics.py").read_text()))
    assert declared
    assert unused(declared, code(package), often=2) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_setting_is_read_somewhere(package: Path) -> None:
    text = code(package)
    missing = [
        name
        for name in settings_of((package / "settings.py").read_text())
        if not re.search(rf"settings\.{name}\b", text)
    ]
    assert missing == []


def test_every_setting_of_the_chassis_is_read_somewhere() -> None:
    text = code(CHASSIS, *PACKAGES)
    declared = list(settings_of((CHASSIS / "settings.py").read_text()))
    assert len(declared) > 10
    assert [name for name in declared if not re.search(rf"settings\.{name}\b", text)] == []


def test_an_unused_metric_is_seen() -> None:
    text = 'A = Counter("a", "b")\nB = Gauge("b", "c")\nB.set(1)\n'
    assert unused(metrics_of(text), text, often=2) == ["A"]
