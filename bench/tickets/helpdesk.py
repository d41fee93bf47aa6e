"""django-helpdesk beside the desk: one worker process, the same PostgreSQL, the public form."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import asyncpg

from bench.clock import install
from bench.create import TEXT, Call, request
from chassis.servers import free_port
from tickdesk_cli.desk import Desk

Side = tuple[Call, int]
"""What a caller does, and the process that serves it."""

_FORM = "/tickets/submit/"
_TOKEN = "0123456789abcdef" * 2
_START_SECONDS = 60


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[Side]:
    """What a visitor of its site does: post the form with its cookie. Raises RuntimeError."""
    url = await _database(desk)
    queue = (await asyncio.to_thread(_python, url, "helpdesk_site.py")).strip()
    port, cookies = free_port(), {"csrftoken": _TOKEN}
    site = aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookies=cookies)
    with _process(url, port) as process:
        async with site:
            await _answering(site, process)
            yield lambda: _submit(site, queue), process.pid


async def _submit(site: aiohttp.ClientSession, queue: str) -> None:
    asked = request()
    form = {"queue": queue, "title": asked.subject, "body": TEXT, "priority": "3"}
    form |= {"submitter_email": asked.contact.address, "csrfmiddlewaretoken": _TOKEN}
    async with site.post(_FORM, data=form, allow_redirects=False) as answer:
        # To the page of the new ticket; a form that was refused is shown again.
        if answer.status != 302:
            raise RuntimeError(f"django-helpdesk answered {answer.status}")


async def _database(desk: Desk) -> str:
    server = await asyncpg.connect(desk.servers.postgres.url)
    try:
        await server.execute("create database helpdesk")
    finally:
        await server.close()
    return desk.servers.postgres.url.rpartition("/")[0] + "/helpdesk"


def _python(url: str, *arguments: str) -> str:
    command, variables = [str(install.PYTHON), *arguments], {**os.environ, "DATABASE": url}
    done = subprocess.run(
        command, cwd=install.PEERS, env=variables, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


@contextmanager
def _process(url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """One worker with threads, so that it goes on while another request waits for PostgreSQL."""
    command = [str(install.PYTHON), "-m", "gunicorn", "--workers=1", "--worker-class=gthread", "--threads=8"]
    command += [f"--bind=127.0.0.1:{port}", "--log-level=error", "helpdesk_site"]
    process = subprocess.Popen(command, cwd=install.PEERS, env={**os.environ, "DATABASE": url})
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def _answering(site: aiohttp.ClientSession, process: subprocess.Popen[bytes]) -> None:
    """Wait for its form. Raises RuntimeError when there is none in time."""
    for _ in range(_START_SECONDS * 10):
        if process.poll() is not None or await _answers(site):
            break
        await asyncio.sleep(0.1)
    if not await _answers(site):
        raise RuntimeError("django-helpdesk does not answer")


async def _answers(site: aiohttp.ClientSession) -> bool:
    try:
        async with site.get(_FORM) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
