"""Lints, tests, reads and tries policies that callers send, beside the process that fires marks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from chassis.clock import utcnow
from chassis.errors import Exhausted
from sla_clock.cases import CaseResult
from sla_clock.checks import Check, Explain, Good, Lint, Prove, Read
from sla_clock.handlers.replaying import replaying
from sla_clock.lint import Finding
from tickdesk.sla.v1.sla_service_pb2 import ExplainClockResponse

WAITING = 4
"""How many checks may wait for their turn: callers would give up before more of them had theirs."""


class Checks:
    """One check at a time; simulations have a turn of their own, since they take minutes.

    A check may take so many seconds, the start of its process included, the wait for its turn not.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Semaphore(1)
        self._here = 0

    async def read(self, yaml: str, file: str = "policy.yaml") -> Good:
        """A policy that can be put in force. Raises InvalidInput, Exhausted."""
        found: Good = await self._make(Read(yaml, file))
        return found

    async def lint(self, yaml: str) -> Sequence[Finding]:
        """What is wrong or doubtful today. Raises InvalidInput, Exhausted."""
        found: Sequence[Finding] = await self._make(Lint(yaml, utcnow().date()))
        return found

    async def test(self, yaml: str, tests: str) -> Sequence[CaseResult]:
        """What comes of golden cases. Raises InvalidInput, Exhausted."""
        told: Sequence[CaseResult] = await self._make(Prove(yaml, tests))
        return told

    async def explain(self, question: Explain) -> ExplainClockResponse:
        """Why a clock would stand where it would stand. Raises InvalidInput, NotFound, Exhausted."""
        told: ExplainClockResponse = await self._make(question)
        return told

    async def _make(self, check: Check) -> Any:
        async with self._place(), self._turn:
            limit = asyncio.timeout(self._seconds)
            try:
                async with limit, replaying(check) as ask:
                    return await ask(())
            except TimeoutError:
                if not limit.expired():
                    raise
                raise Exhausted(
                    f"the check took longer than {self._seconds:g} s and was ended: send fewer rows, "
                    "calendars or cases, or nearer targets; `tickdesk policy` checks files without a limit",
                    reason="CHECK_TOO_LONG",
                ) from None

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among those that wait or have their turn. Raises Exhausted when all are taken."""
        if self._here > WAITING:
            raise Exhausted(
                f"one check is being made and {WAITING} wait: ask again in a minute; "
                "`tickdesk policy` checks files on your own machine at once",
                reason="CHECKS_EXHAUSTED",
            )
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1
