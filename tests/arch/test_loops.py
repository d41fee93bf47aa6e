"""No background loop runs for ever without asking whether it should (chassis.going says why)."""

import ast

import pytest

from tools.shape import ROOT, repository_files

ENDLESS = "async def loop():\n    while True:\n        await work()\n"
ENDING = (
    "async def pages():\n    while True:\n        yield await work()\n        if last:\n            return\n"
)


def endless(text: str) -> list[int]:
    """Lines of `while True` without a way out, inside coroutines."""
    found = []
    for outer in ast.walk(ast.parse(text)):
        if isinstance(outer, ast.AsyncFunctionDef):
            loops = (node for node in ast.walk(outer) if isinstance(node, ast.While))
            found += [one.lineno for one in loops if isinstance(one.test, ast.Constant) and not _ends(one)]
    return found


def _ends(loop: ast.While) -> bool:
    return any(isinstance(node, ast.Break | ast.Return) for node in ast.walk(loop))


@pytest.mark.parametrize(("text", "lines"), [(ENDLESS, [2]), (ENDING, [])])
def test_the_check_sees_an_endless_loop(text: str, lines: list[int]) -> None:
    assert endless(text) == lines


def test_loops_ask_whether_to_go_on() -> None:
    sources = [path for path in repository_files() if "/src/" in path and path.endswith(".py")]
    assert len(sources) > 100
    found = [f"{path}:{line}" for path in sources for line in endless((ROOT / path).read_text("utf-8"))]
    assert found == []
