"""kill -9 in the middle of deliveries: nothing accepted is lost, nothing is there twice."""

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import Any

from chassis.servers import free_port
from chassis.testing import events, eventually, open_bus
from services.intake.tests.conftest import KEYS, a_mail, mail_client
from tickdesk.intake.v1.events_pb2 import MessageReceived

MAILS = 60
KILLS = 4


class Process:
    """intake as a process of its own that can be killed and started again."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self.port = port
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "intake", env=self._environment, stdout=asyncio.subprocess.DEVNULL
        )

        async def listens() -> bool:
            try:
                async with mail_client(self.port):
                    return True
            except OSError:
                return False

        assert await eventually(listens, timeout=30)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


async def disturb(intake: Process, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        await intake.kill()
        await intake.start()


async def deliver(port: int, number: int) -> str:
    """As a mail server does: again until there is an answer that is not "later"."""
    mail = a_mail(f"number {number}", Message_ID=f"<{number}@client.test>")
    while True:
        try:
            async with mail_client(port) as client:
                answer = await client.deliver(mail)
        except OSError:
            answer = ""
        if answer.startswith("250"):
            return answer
        assert answer[:1] in ("", "4"), answer
        await asyncio.sleep(0.1)


async def test_kills_lose_and_double_nothing(database: Any, nats_url: str, tmp_path: Path) -> None:
    """Row 32 and invariant 1: a mail server repeats what it did not hear of; each mail is announced once."""
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    url, port = str(database("intake.migrations")), free_port()
    environment = {
        "TICKDESK_INTAKE_DATABASE_URL": url,
        "TICKDESK_INTAKE_NATS_URL": nats_url,
        "TICKDESK_INTAKE_LMTP_PORT": str(port),
        "TICKDESK_INTAKE_SMTP_PORT": "0",
        "TICKDESK_INTAKE_OBJECTS": str(tmp_path / "objects"),
        "TICKDESK_INTAKE_REPLY_KEYS": KEYS,
        "TICKDESK_INTAKE_TOKENS": '{"service:test": "x"}',
    }
    intake = Process(environment, port)
    await intake.start()
    try:
        async with open_bus(nats_url) as bus, events(bus, MessageReceived) as watch:
            async with asyncio.TaskGroup() as group:
                waiting = [group.create_task(_some(port, first)) for first in range(4)]
                await disturb(intake, chance)
            answers = [answer for task in waiting for answer in task.result()]
            await eventually(lambda: len({each.message.id for each in watch.seen}) == MAILS, timeout=20)
    finally:
        await intake.kill()
    announced = {each.message.external_id for each in watch.seen}
    assert announced == {f"{number}@client.test" for number in range(MAILS)}, f"seed {seed}"
    # An event may be published twice by a killed relay, never under two ids.
    assert len(set(watch.ids)) == len({each.message.id for each in watch.seen}) == MAILS, f"seed {seed}"
    assert {answer.split()[-1] for answer in answers} == {each.message.id for each in watch.seen}


async def _some(port: int, first: int) -> list[str]:
    return [await deliver(port, number) for number in range(first, MAILS, 4)]
