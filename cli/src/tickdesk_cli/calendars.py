"""`tickdesk calendar eval`: questions to the calendar in, answers out, a line each."""

import signal
import sys
from collections.abc import Iterator
from typing import BinaryIO

from sla_clock.evaluate import MAX_LINE, answer
from tickdesk_cli.terminal import Problem

_CHUNK = 65_536


async def evaluate() -> None:
    """Answer standard input line by line until it ends."""
    if sys.stdin is None:
        raise Problem("standard input is closed", "Give questions, one JSON object a line.", 2)
    # Reading is all that is done here, and the loop does not hear of an interruption meanwhile.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for answers in answered(sys.stdin.buffer):
            sys.stdout.buffer.write(answers)
            # What was asked so far is answered before more is waited for.
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Problem(f"standard input cannot be read: {error.strerror or error}", code=2) from error


def answered(questions: BinaryIO) -> Iterator[bytes]:
    """Answers to whatever whole lines each read brings."""
    number = 0
    for lines in _lines(questions):
        told = bytearray()
        for line in lines:
            number += 1
            if line.strip():
                told += answer(line, number)
        if told:
            yield bytes(told)


def _lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """The lines that became whole with each read; one that is too long is cut where that shows."""
    rest, skip = b"", False
    while chunk := source.read1(_CHUNK):  # type: ignore[attr-defined]
        *lines, rest = (rest + chunk).split(b"\n")
        if skip and lines:
            lines, skip = lines[1:], False
        elif skip:
            rest = b""
        if len(rest) > MAX_LINE:
            lines, rest, skip = [*lines, rest], b"", True
        yield lines
    if rest and not skip:
        yield [rest]
