"""What can be typed after `tickdesk policy` and `tickdesk calendar`, and nothing else."""

import zoneinfo
from pathlib import Path
from typing import Annotated

import typer


def _zones() -> None:
    """Zones come out of the package, as in the service, so that their version can be named."""
    zoneinfo.reset_tzpath(to=())


policy = typer.Typer(
    callback=_zones,
    no_args_is_help=True,
    help="Policies as code: check, test, explain, plan, simulate and apply what customers are promised.",
)
calendar = typer.Typer(callback=_zones, no_args_is_help=True, help="Business time for other programs.")


def _plain(value: bool) -> None:
    from tickdesk_cli import terminal

    terminal.console.no_color = terminal.console.no_color or value


File = Annotated[Path, typer.Argument(help="A policy file.", metavar="FILE")]
Files = Annotated[list[Path], typer.Argument(help="Policy files.", metavar="FILE")]
Tests = Annotated[
    Path | None,
    typer.Option(
        "--tests", help="Tests of the policy. Default: NAME.tests.yaml beside it.", show_default=False
    ),
]
Queue = Annotated[str, typer.Option("--queue", help="Only tickets of this queue.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Print without colours.", callback=_plain)]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Folder of the desk. Default: $TICKDESK_HOME, else .tickdesk here.",
        show_default=False,
        file_okay=False,
    ),
]


@policy.command()
def lint(
    files: Files,
    warnings: Annotated[bool, typer.Option("--allow-warnings", help="Exit code 1 for errors only.")] = False,
    as_json: AsJson = False,
    no_color: NoColor = False,
) -> None:
    """Tell what is wrong or doubtful about policies, with line and column; needs no desk.

    Finds what cannot be read, rows that can never win, tickets that no row catches, marks that are never
    reached. Exit code 0 when there is nothing to say, 1 with findings, 2 when a file cannot be read.

    Examples: `tickdesk policy lint policy.yaml`, `tickdesk policy lint policies/*.yaml --json`
    """
    from tickdesk_cli import policyfiles, terminal

    terminal.run(policyfiles.check(files, warnings=warnings, as_json=as_json))


@policy.command("test")
def run_tests(files: Files, tests: Tests = None, as_json: AsJson = False, no_color: NoColor = False) -> None:
    """Run the golden cases that stand beside policies; needs no desk.

    Exit code 0 when all hold, 1 when some do not, 2 when a file cannot be read.

    Examples: `tickdesk policy test policy.yaml`, `tickdesk policy test policy.yaml --tests cases.yaml`
    """
    from tickdesk_cli import policyfiles, terminal

    terminal.run(policyfiles.test(files, tests, as_json=as_json))


@policy.command()
def explain(  # noqa: PLR0913 - options are read from the signature
    target: Annotated[
        str, typer.Argument(help="Key or id of a ticket; with --case a policy file.", metavar="TICKET")
    ],
    clock: Annotated[str, typer.Argument(help="Name of the clock, such as resolution.", metavar="CLOCK")],
    case: Annotated[str, typer.Option("--case", help="A golden case of the policy file.")] = "",
    tests: Tests = None,
    cycle: Annotated[
        int | None, typer.Option("--cycle", help="Its cycle. Default: the newest.", min=1, show_default=False)
    ] = None,
    under: Annotated[
        Path | None, typer.Option("--policy", help="Explain under this policy instead.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Say why a clock stands where it stands: every stretch of its life, a picture of the week, the rows.

    The counted stretches up to the due instant sum exactly to the target. A case needs no desk.

    Examples: `tickdesk policy explain SUP-12 resolution`,
    `tickdesk policy explain SUP-12 resolution --policy new.yaml`,
    `tickdesk policy explain policy.yaml first_response --case "Friday evening"`
    """
    from tickdesk_cli import policies, terminal
    from tickdesk_cli.desk import Desk

    subject = policies.Subject(target, clock, case, tests, cycle or 0, under)
    terminal.run(policies.explain(Desk(folder), subject, as_json))


@policy.command()
def plan(  # noqa: PLR0913 - options are read from the signature
    file: File,
    queue: Queue = "",
    limit: Annotated[
        int, typer.Option("--limit", help="Show at most this many changes.", min=1, max=100_000)
    ] = 1000,
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Show which clocks of open tickets would change under a policy, and how; nothing is changed.

    Example: `tickdesk policy plan new.yaml --queue SUP`
    """
    from tickdesk_cli import policies, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(policies.plan(Desk(folder), file, queue, limit, as_json))


@policy.command()
def simulate(  # noqa: PLR0913 - options are read from the signature
    file: File,
    base: Annotated[
        Path | None,
        typer.Option("--base", help="Policy to compare with. Default: the one in force.", show_default=False),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="A history of any desk, one row a ticket, see docs/guides/policies.md. With --base it needs "
            "no desk. Default: the desk's own tickets.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[str, typer.Option("--from", help="Only tickets created from then on.")] = "",
    until: Annotated[str, typer.Option("--until", help="History up to then. Default: now.")] = "",
    queue: Queue = "",
    zone: Annotated[
        str, typer.Option("--zone", help="Zone of days and of times without offset. Default: the policy's.")
    ] = "",
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Replay history under another policy: compliance, missed targets and alerts by day, side by side.

    Examples: `tickdesk policy simulate new.yaml --from 2026-10-01`,
    `tickdesk policy simulate new.yaml --base old.yaml --csv history.csv --zone Europe/Moscow`
    """
    from tickdesk_cli import policies, simulation, terminal
    from tickdesk_cli.desk import Desk

    limits = simulation.Limits(since, until, queue, zone)
    terminal.run(policies.report(Desk(folder), file, (base, csv), limits, as_json))


@policy.command("apply")
def apply_policy(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Only check; put nothing in force.")] = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Put a policy in force and wait until the open tickets are under it.

    A bad policy is refused and changes nothing. Interrupting only ends the waiting.

    Examples: `tickdesk policy apply policy.yaml`, `tickdesk policy apply policy.yaml --check`
    """
    from tickdesk_cli import policies, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(policies.apply(Desk(folder), file, check))


@policy.command("show")
def show_policy(
    version: Annotated[
        int | None,
        typer.Option("--version", help="Version. Default: the one in force.", min=1, show_default=False),
    ] = None,
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """Print the text of a policy as it was applied.

    Examples: `tickdesk policy show`, `tickdesk policy show --version 3 > old.yaml`
    """
    from tickdesk_cli import policies, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(policies.show(Desk(folder), version or 0, as_json))


@policy.command("list")
def list_policies(as_json: AsJson = False, no_color: NoColor = False, folder: Folder = None) -> None:
    """List the versions of the policy, newest first; the first is in force.

    Examples: `tickdesk policy list`, `tickdesk policy list --json`
    """
    from tickdesk_cli import policies, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(policies.overview(Desk(folder), as_json))


@calendar.command("eval")
def calendar_eval() -> None:
    """Answer questions about business time: one JSON object a line in, one out, in the same order.

    A question has `id`, `timezone`, `weekly` ({"mon": [["09:00", "18:00"]]}), and as needed `holidays` (dates
    or a country), `overrides` ({date: hours}), `pauses` ([[from, to]]); then `start` with `duration_s` or
    `end`. The answer has `id` with `due`, `elapsed_s` or `error`; a line that cannot be answered does not
    stop the rest. Exit code 0 when the input was read to its end. See docs/guides/policies.md.

    Example: `tickdesk calendar eval < questions.jsonl > answers.jsonl`
    """
    from tickdesk_cli import calendars, terminal

    terminal.run(calendars.evaluate())
