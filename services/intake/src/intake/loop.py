"""The one background loop: says that the mail channel could take a message, also when none comes."""

import asyncio

from chassis.db import Database
from chassis.errors import Unavailable
from chassis.going import going
from intake import metrics

_SECONDS = 30


async def pulse(db: Database, channels: tuple[str, ...]) -> None:
    """A quiet mailbox is no fault; a listener that cannot store is one, and its last success grows old."""
    while going():
        try:
            await db.ready()
        except Unavailable:
            pass
        else:
            for channel in channels:
                metrics.LAST_SUCCESS.labels(channel).set_to_current_time()
        await asyncio.sleep(_SECONDS)
