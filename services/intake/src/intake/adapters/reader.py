"""Reads mail in processes that can be killed: a bomb costs a worker and ten seconds, never the service."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

import orjson

from chassis import telemetry
from chassis.errors import InvalidInput, Violation
from intake import metrics
from intake.adapters import child
from intake.domain import Limits, ParsedMail
from intake.mail import unreadable

log = telemetry.logger(__name__)

# A worker is replaced after so many mails, against memory that a big one left behind.
_MAILS = 2000
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV")


@dataclass(slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    mails: int = 0


class Reader:
    """A few reading processes; mails wait for a free one. An async context manager."""

    def __init__(self, limits: Limits, workers: int, seconds: float, memory_mb: int) -> None:
        self._limits = limits
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._free = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []

    async def __aenter__(self) -> Self:
        self._idle.append(await self._start())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._idle:
            await _end(worker)
        self._idle.clear()

    async def read(self, raw: bytes, mail_from: str | None, recipients: tuple[str, ...]) -> ParsedMail:
        """What a mail says. One that cannot be read in time comes back as its headers and itself as a file.

        Raises InvalidInput for a mail that is refused."""
        request = child.pack({"mail_from": mail_from, "recipients": recipients}, raw)
        try:
            async with self._worker() as worker, asyncio.timeout(self._seconds):
                head, body = await _ask(worker, request)
                parsed = _result(head, body)
        except TimeoutError:
            return self._unread(raw, mail_from, "timeout", f"it took longer than {self._seconds:g} s")
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            log.warning("reading a mail ended its process", error=type(error).__name__)
            return self._unread(raw, mail_from, "died", "its reader gave up")
        return parsed

    def _unread(self, raw: bytes, mail_from: str | None, reason: str, words: str) -> ParsedMail:
        metrics.PARSE_FAILURES.labels(reason).inc()
        return unreadable(raw, words, limits=self._limits, mail_from=mail_from)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[_Worker]:
        """A worker for one mail; one that did not finish it, for whatever reason, is ended."""
        async with self._free:
            worker = self._idle.pop() if self._idle else await self._start()
            try:
                yield worker
            except InvalidInput:
                self._idle.append(worker)
                raise
            except BaseException:
                await asyncio.shield(_end(worker))
                raise
            worker.mails += 1
            if worker.mails < _MAILS:
                self._idle.append(worker)
            else:
                await _end(worker)

    async def _start(self) -> _Worker:
        # The environment of a service holds secrets that the reader has no use for.
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        limits = orjson.dumps(asdict(self._limits)).decode()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            child.__name__,
            limits,
            str(self._memory_mb),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        return _Worker(process)


async def _ask(worker: _Worker, request: bytes) -> tuple[bytes, bytes]:
    source, target = worker.process.stdout, worker.process.stdin
    if source is None or target is None:
        raise OSError("the reader has no pipes")
    target.write(request)
    await target.drain()
    return await _receive(source), await _receive(source)


async def _receive(source: asyncio.StreamReader) -> bytes:
    length = child.LENGTH.unpack(await source.readexactly(child.LENGTH.size))[0]
    return await source.readexactly(length)


def _result(head: bytes, body: bytes) -> ParsedMail:
    told = orjson.loads(head)
    if "refused" in told:
        message, reason = str(told["refused"]), str(told["reason"])
        raise InvalidInput(message, reason=reason, violations=[Violation("raw", message)])
    return child.load(body)


async def _end(worker: _Worker) -> None:
    if worker.process.returncode is None:
        worker.process.kill()
    await worker.process.wait()
