"""arq: one worker, 500 jobs at once."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import arq
from arq.connections import RedisSettings
from arq.worker import Worker
from tally import COUNT, INSTANT, URL, note, scheduled


async def job(_: dict[Any, Any], number: int) -> None:
    """The job."""
    note(number)


async def main() -> None:
    """Schedule, then work."""
    settings = RedisSettings.from_dsn(URL)
    pool = await arq.create_pool(settings)
    began, due = time.time(), datetime.fromtimestamp(INSTANT, UTC)
    for first in range(0, COUNT, 500):
        numbers = range(first, min(first + 500, COUNT))
        await asyncio.gather(*(pool.enqueue_job("job", number, _defer_until=due) for number in numbers))
    scheduled(began)
    worker = Worker([job], redis_settings=settings, queue_name=pool.default_queue_name, max_jobs=500,
                    poll_delay=0.1, keep_result=0, handle_signals=False)  # fmt: skip
    await worker.main()


asyncio.run(main())
