"""Scheduled messages of NATS itself: the server fires, an instant is when the stream stored the message."""

import asyncio
import os
import struct
import time
from datetime import UTC, datetime

import nats
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from tally import COUNT, FILE, INSTANT, URL, scheduled

WINDOW = 4000


async def main() -> None:
    """Schedule, then report what the stream stored."""
    link = await nats.connect(URL)
    js = link.jetstream(publish_async_max_pending=WINDOW)
    await js.add_stream(
        StreamConfig("BENCH", subjects=["bench.>"], allow_msg_schedules=True, allow_msg_ttl=True)
    )
    began, due = time.time(), datetime.fromtimestamp(INSTANT, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {"Nats-Schedule": f"@at {due}", "Nats-Schedule-Target": "bench.fired"}
    for number in range(COUNT):
        await js.publish_async(f"bench.plan.{number}", b"%d" % number, headers=headers)
    await js.publish_async_completed()
    scheduled(began)
    reports = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    config = ConsumerConfig(ack_policy=AckPolicy.NONE)
    subscription = await js.pull_subscribe("bench.fired", config=config)
    fired = 0
    while fired < COUNT:
        try:
            batch = await subscription.fetch(1000, timeout=1)
        except TimeoutError:
            continue
        told = ((float(message.data), message.metadata.timestamp.timestamp()) for message in batch)
        os.write(reports, b"".join(struct.pack("<dd", *one) for one in told))
        fired += len(batch)


asyncio.run(main())
