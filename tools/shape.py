"""Fails on what no linter measures: long functions and files, foreign addresses and machine paths.

`python -m tools.shape` looks at every tracked or new file of the repository and names each offence.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES = 60
FILE_LINES = 400
GENERATED = ("proto/python/", "migrations/")
# Mail speaks of any host, so samples of it may; the licence text is not ours.
FOREIGN = ("examples/mailbox/", "services/intake/tests/", "LICENSE")
HOSTS = re.compile(
    r"(localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0"
    r"|([\w-]+\.)*(example|test|invalid|localhost|local|internal)(\.(com|org|net))?"
    r"|(www\.)?(w3\.org|apache\.org|github\.com|buf\.build|json-schema\.org|keepachangelog\.com|semver\.org"
    r"|kubernetes\.io|helm\.sh|nats\.io|prometheus\.io|opentelemetry\.io|postgresql\.org|valkey\.io|rfc-editor\.org))"
)
URL = re.compile(
    r"\b(?:https?|git\+https|git\+ssh)://(?:[^\s/@\"'`<>]*@)?([\w.-]+|\[[0-9a-f:]+\])", re.IGNORECASE
)
MACHINE = re.compile(r"(?<![\w./$}-])/(?:work|root|home/\w+|Users/\w+)/\S*")


def main() -> int:
    """Prints every offence; returns 1 when there is one."""
    offences = [offence for path in repository_files() for offence in inspect(path)]
    for offence in offences:
        print(offence)
    print(f"shape: {len(offences)} offences" if offences else "shape: passed")
    return 1 if offences else 0


def repository_files() -> list[str]:
    """Tracked files and those about to be, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = (name.decode() for name in listed.split(b"\0") if name)
    return sorted(path for path in paths if (ROOT / path).is_file())


def inspect(path: str) -> Iterator[str]:
    """Offences of one file, each as `path:line: what is wrong`."""
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    found = machine_paths(text) if path.startswith(FOREIGN) else [*addresses(text), *machine_paths(text)]
    yield from (f"{path}:{line}: {what}" for line, what in found)
    if path.endswith(".py") and not any(part in path for part in GENERATED):
        yield from (f"{path}:{line}: {what}" for line, what in lengths(text))


def addresses(text: str) -> Iterator[tuple[int, str]]:
    """Hosts that are neither examples nor known documentation, by line."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in URL.findall(line):
            if "." in host and not HOSTS.fullmatch(host.lower()):
                yield number, f"the address of {host} has no place here"


def machine_paths(text: str) -> Iterator[tuple[int, str]]:
    """Paths that exist on one machine only, by line."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in MACHINE.findall(line):
            yield number, f"{found} is a path of one machine"


def lengths(text: str) -> Iterator[tuple[int, str]]:
    """The file and its functions when they are too long; docstrings of functions do not count."""
    total = text.count("\n")
    if total > FILE_LINES:
        yield FILE_LINES, f"{total} lines, {FILE_LINES} are the limit: split the file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = body_lines(node)
            if size > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {size} lines, {FUNCTION_LINES} are the limit"


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` on, without its docstring."""
    size = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        size -= (first.end_lineno or first.lineno) - first.lineno + 1
    return size


if __name__ == "__main__":
    sys.exit(main())
