"""What can be typed after `tickdesk policy` and `tickdesk calendar`, and nothing else."""

import typer

from tickdesk_cli import calendars, terminal

calendar = typer.Typer(no_args_is_help=True, help="Business time for other programs.")


@calendar.command("eval")
def calendar_eval() -> None:
    """Answer questions about business time: one JSON object a line in, one out, in the same order.

    A question has `id`, `timezone`, `weekly` ({"mon": [["09:00", "18:00"]]}), and as needed `holidays` (dates
    or a country), `overrides` ({date: hours}), `pauses` ([[from, to]]); then `start` with `duration_s` or
    `end`. The answer has `id` with `due`, `elapsed_s` or `error`; a line that cannot be answered does not
    stop the rest. Exit code 0 when the input was read to its end. See docs/guides/policies.md.

    Example: `tickdesk calendar eval < questions.jsonl > answers.jsonl`
    """
    terminal.run(calendars.evaluate())
