"""The one loop: ask what is due, end what is over."""

import asyncio

from chassis import telemetry
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.going import going
from survey import handlers
from survey.handlers import Rules

log = telemetry.logger(__name__)
_POLL_SECONDS = 1.0


async def ask_for_ever(db: Database, rules: Rules, bell: asyncio.Event) -> None:
    """Run until cancelled; any number of replicas may."""
    while going():
        bell.clear()
        try:
            async with db.tx() as tx:
                count = await handlers.ask_due(tx, rules)
                await handlers.expire(tx)
        except Unavailable as error:
            log.warning("cannot ask", detail=error.message)
            count = 0
        if count:
            log.info("surveys were due", surveys=count)
            continue
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await bell.wait()
        except TimeoutError:
            pass
