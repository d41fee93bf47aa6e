"""`tickdesk policy lint` and `test`: policies in files, without a desk."""

from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from chassis.clock import utcnow
from chassis.errors import InvalidInput
from sla_clock import cases
from sla_clock.lint import Finding, Severity, lint
from sla_clock.policy import Policy
from sla_clock.policyfile import load
from sla_clock.yamltree import MAX_LENGTH
from tickdesk_cli.terminal import Problem, bad_input, console, write

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold magenta"}


def read_text(path: Path) -> str:
    """What stands in the file. Raises Problem (code 2) when it cannot be read, or the desk would not."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_LENGTH + 1)
    except FileNotFoundError:
        raise bad_input(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise bad_input(f"{path}: is not text in UTF-8") from None
    except OSError as error:
        raise bad_input(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(text) > MAX_LENGTH:
        raise bad_input(f"{path}: is longer than {MAX_LENGTH} characters", "Shorten it: no desk takes more.")
    return text


def read_policy(path: Path) -> Policy:
    """The policy in the file. Raises Problem (code 2) that names every fault."""
    try:
        return load(read_text(path), file=str(path))
    except InvalidInput as error:
        raise bad_input(str(error), f"`tickdesk policy lint {path}` tells what else is doubtful.") from None


def read_cases(path: Path, policy: Policy) -> tuple[cases.Case, ...]:
    """The golden cases in the file. Raises Problem (code 2) that names every fault."""
    try:
        return cases.read(read_text(path), policy, str(path))
    except InvalidInput as error:
        raise bad_input(str(error)) from None


def tests_of(path: Path, tests: Path | None) -> Path:
    """The tests named, or those beside the policy: NAME.tests.yaml."""
    return tests or path.with_suffix(f".tests{path.suffix or '.yaml'}")


def policies_among(paths: list[Path]) -> list[Path]:
    """The files without those of golden cases, which `*.yaml` names too. Raises Problem when none is left."""
    found = [path for path in paths if not path.stem.endswith(".tests")]
    if not found:
        raise bad_input(f"{paths[0]}: holds golden cases, no policy", "Name the policy they stand beside.")
    return found


async def check(paths: list[Path], *, warnings: bool, as_json: bool) -> int:
    """Print what is wrong or doubtful; 1 when there is anything that counts."""
    today, paths = utcnow().date(), policies_among(paths)
    texts = [(path, read_text(path)) for path in paths]
    found = [(path, one) for path, text in texts for one in lint(text, str(path), today=today)]
    if as_json:
        write([{"file": str(path), **asdict(one)} for path, one in found])
    else:
        for path, one in found:
            console.print(_line(path, one), soft_wrap=True)
        console.print(_total([one.severity for _, one in found], len(paths)))
    counted = [one for _, one in found if one.severity is Severity.ERROR or not warnings]
    return 1 if counted else 0


def _line(path: Path, one: Finding) -> Text:
    return Text.assemble(
        f"{path}:{one.line}:{one.column}: ",
        (one.severity.value, _STYLES[one.severity]),
        f": {one.path}: " if one.path else ": ",
        one.message,
        (f" [{one.check}]", "dim"),
    )


def _total(severities: list[Severity], files: int) -> Text:
    if not severities:
        return Text.assemble(("fine", "green"), f": {_count(files, 'policy', 'policies')}, nothing to say")
    errors = severities.count(Severity.ERROR)
    told = f"{_count(errors, 'error')}, {_count(len(severities) - errors, 'warning')}"
    return Text(f"{told} in {_count(files, 'policy', 'policies')}", style="bold")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


async def test(paths: list[Path], tests: Path | None, *, as_json: bool) -> int:
    """Run the golden cases and print what did not hold; 1 when something did not."""
    paths = policies_among(paths)
    if tests is not None and len(paths) > 1:
        raise bad_input("--tests belongs to one policy", "Name one FILE, or leave --tests out.")
    told = [_tried(path, tests_of(path, tests)) for path in paths]
    failed = sum(not one.passed for _, results in told for one in results)
    if as_json:
        write(
            [
                {"file": str(file), "passed": one.passed, **asdict(one)}
                for file, results in told
                for one in results
            ]
        )
    else:
        for file, results in told:
            _print_results(file, results)
    return 1 if failed else 0


def _tried(path: Path, tests: Path) -> tuple[Path, list[cases.CaseResult]]:
    policy = read_policy(path)
    return tests, cases.run(policy, read_cases(tests, policy))


def _print_results(file: Path, results: list[cases.CaseResult]) -> None:
    for one in results:
        for unmet in one.unmet:
            told = Text.assemble(
                f"{file}:{unmet.line}: ",
                ("failed", "bold red"),
                f": {one.name}: {unmet.what}: wanted ",
                (unmet.wanted, "bold"),
                ", got ",
                (unmet.got, "bold"),
            )
            console.print(told, soft_wrap=True)
    failed = sum(not one.passed for one in results)
    style, word = ("bold red", f"{failed} failed") if failed else ("green", "all passed")
    console.print(Text.assemble((word, style), f": {file}, {_count(len(results), 'case')}"), soft_wrap=True)


def find_case(path: Path, tests: Path, policy: Policy, name: str) -> cases.Case:
    """The case of that name. Raises Problem (code 2) that lists those there are."""
    found = read_cases(tests, policy)
    for one in found:
        if one.name == name:
            return one
    known = "\n".join(f"  {one.name}" for one in found)
    wrong = f"there is no case {name!r}" if name else "say which case, --case NAME"
    raise Problem(f"{tests}: {wrong}; there are\n{known}", code=2)
