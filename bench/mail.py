"""From LMTP's 250 to TicketOpened at a consumer of the stream."""

import asyncio
import time
from pathlib import Path
from typing import Any

import nats

from bench.desks import a_desk
from bench.report import machine, medians, quantiles, save
from tickdesk.tickets.v1.events_pb2 import TicketOpened
from tickdesk_cli import ingest
from tickdesk_cli.desk import Desk
from tickdesk_cli.lmtp import Envelope, Sender

RUNS, LETTERS = 5, 100
LETTER = (
    "From: Olga <olga{n}@client.example.com>\r\nTo: support@desk.example.org\r\n"
    "Subject: Report {n} is empty\r\n"
    "Message-ID: <bench-{run}-{n}@client.example.com>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n\r\nSince this morning report {n} shows no rows.\r\n"
)


async def measure() -> Path:
    """Five runs of a hundred letters, one after the other over one connection."""
    about = machine()
    async with a_desk() as (desk, client):
        opened: dict[str, float] = {}
        watcher = await nats.connect(desk.servers.nats.url)

        async def note(message: Any) -> None:
            event = TicketOpened.FromString(message.data)
            opened[event.message.id] = time.perf_counter()

        await watcher.subscribe(TicketOpened.DESCRIPTOR.full_name, cb=note)
        boxes = await ingest.mailboxes(client)
        runs = [await run(desk, boxes[0], number, opened) for number in range(RUNS)]
        await watcher.close()
    middle = medians(runs)
    print(f"   250 to TicketOpened: p50 {middle['p50'] * 1e3:.1f} ms, p99 {middle['p99'] * 1e3:.1f} ms; "
          f"{middle['letters_per_second']:.0f} letters/s over one connection")  # fmt: skip
    return save("mail", {"unit": "seconds", "runs": RUNS, "letters": LETTERS, "medians": middle}, about)


async def run(desk: Desk, box: str, number: int, opened: dict[str, float]) -> dict[str, float]:
    """Deliver, then wait for every ticket."""
    accepted: dict[str, float] = {}
    began = time.perf_counter()
    async with Sender(desk.ports["intake.lmtp"]) as sender:
        for n in range(LETTERS):
            raw = LETTER.format(n=n + number * LETTERS, run=number).encode()
            answer = await sender.send(Envelope("olga@client.example.com", box), raw)
            match = ingest._UUID.search(answer.text)  # noqa: SLF001 - the id as the desk words it
            assert match is not None, answer
            accepted[match[0]] = time.perf_counter()
    took = time.perf_counter() - began
    deadline = time.perf_counter() + 30
    while not accepted.keys() <= opened.keys() and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    # An event may be seen before the client has read its 250: that counts as no wait.
    waits = [max(0.0, opened[each] - at) for each, at in accepted.items()]
    return {"letters_per_second": round(LETTERS / took, 1), **quantiles(waits)}
