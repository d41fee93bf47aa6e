"""The import linter sees the whole product and fails when a rule is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "chassis": "libs/chassis/src/chassis",
    "intake": "services/intake/src/intake",
    "tickets": "services/tickets/src/tickets",
    "sla_clock": "services/sla-clock/src/sla_clock",
    "notifier": "services/notifier/src/notifier",
    "survey": "services/survey/src/survey",
    "tickdesk_cli": "cli/src/tickdesk_cli",
    "tickdesk": "proto/python/tickdesk",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the linter over copies of the packages in a folder."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config", "pyproject.toml"]
    paths = {"PYTHONPATH": str(folder), "PATH": "", "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("product")
    for package, source in PACKAGES.items():
        shutil.copytree(ROOT / source, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def copied(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "product"))


def test_the_linter_analyses_every_module_and_keeps_every_contract(original: Path) -> None:
    modules = sum(1 for package in PACKAGES for _ in (original / package).rglob("*.py"))
    result = lint(original)
    assert result.returncode == 0, result.stdout
    analysed = next(line for line in result.stdout.splitlines() if line.startswith("Analyzed"))
    assert modules >= 150
    assert int(analysed.split()[1]) >= modules  # the count holds libraries, too


@pytest.mark.parametrize(
    ("where", "line", "contract"),
    [
        ("tickets/consumers.py", "import survey.domain", "Services never import each other"),
        ("chassis/sign.py", "import tickets.domain", "The chassis knows no service"),
        ("chassis/sign.py", "import tickdesk.common.v1.common_pb2", "The chassis knows no service"),
        ("tickets/domain/model.py", "import tickets.handlers", "Inside a service, imports point down"),
        ("notifier/store/desk.py", "import notifier.handlers", "Inside a service, imports point down"),
        ("survey/domain.py", "import sqlalchemy", "A domain is pure"),
        ("sla_clock/domain.py", "import chassis.rpc", "A domain is pure"),
        ("intake/utils.py", "", "Inside a service, imports point down"),
    ],
)
def test_a_planted_violation_fails(copied: Path, where: str, line: str, contract: str) -> None:
    with (copied / where).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    result = lint(copied)
    assert result.returncode != 0
    broken = [text for text in result.stdout.splitlines() if "BROKEN" in text or "utils" in text]
    assert any(contract in text or "utils" in text for text in broken), result.stdout


def test_package_files_are_empty() -> None:
    """An import in one would load at run time without the linter seeing why."""
    files = [
        path
        for part in ("libs", "services", "cli", "proto/python")
        for path in (ROOT / part).rglob("__init__.py")
        if ".venv" not in path.parts
    ]
    assert len(files) > 10
    assert [str(path) for path in files if path.read_text(encoding="utf-8").strip()] == []
