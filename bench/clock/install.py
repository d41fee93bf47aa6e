"""Installs the peers beside the project, never into its environment: by hash, in a folder git ignores."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "bench" / "peers"
FOLDER = ROOT / ".peers"
PYTHON = FOLDER / "python" / "bin" / "python"
MODULES = FOLDER / "node" / "node_modules"


class Missing(Exception):
    """A peer cannot be installed here; the message says why."""


def python() -> None:
    """The Python peers' environment. Raises Missing."""
    lock = PEERS / "requirements.lock"
    if _is_new(lock, FOLDER / "python"):
        print("   installing the Python peers", flush=True)
        uv = [str(Path(sys.executable).parent / "uv")]
        _run(*uv, "venv", "-q", "--seed", "--clear", "--python", sys.executable, str(FOLDER / "python"))
        hashed = ["--require-hashes", "-r", str(lock)]
        try:
            _run(*uv, "pip", "install", "-q", "--python", str(PYTHON), *hashed)
        except Missing:
            # uv does not read pip's configuration, so an index that only pip knows of is out of its reach.
            _run(str(PYTHON), "-m", "pip", "install", "-q", *hashed)
        _note(lock, FOLDER / "python")


def node() -> None:
    """The Node peers' modules. Raises Missing."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("node or npm is not on PATH")
    lock, folder = PEERS / "package-lock.json", FOLDER / "node"
    if _is_new(lock, folder):
        print("   installing the Node peers", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PEERS / name, folder)
        # Not `npm ci`: it refuses a lock that leaves out optional parts for other systems.
        _run("npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
        _note(lock, folder)


def _run(*command: str, folder: Path = ROOT) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-300:]}")


def _is_new(lock: Path, folder: Path) -> bool:
    stamp = folder / "installed"
    return not stamp.exists() or stamp.read_text() != hashlib.sha256(lock.read_bytes()).hexdigest()


def _note(lock: Path, folder: Path) -> None:
    (folder / "installed").write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
