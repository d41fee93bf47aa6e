"""`python -m tests.faults.frozen`: a sla-clock that freezes in the worst place for longer than its lease.

That is after it has read what is due and before it enters it, as by a machine that swaps or a debugger.
With BROKEN=1 it has no ledger: neither the ticket's revision nor the mark's own key stops who comes second.
"""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from chassis.db import Driver
from sla_clock.main import main
from sla_clock.store import firing, ledger
from sla_clock.store.ledger import Mark

SECONDS = float(os.environ["FREEZE"])
TIMES = 3
_REVISION = " and wake.revision = given.revision"
_KEY = "on conflict do nothing"
_AGAIN = "on conflict (ticket_id, clock, cycle, mark, generation) do update set fired_at = excluded.fired_at"
_enter = firing.enter
_left = TIMES


async def enter(
    conn: Driver, woken: Sequence[firing.Woken], marks: Sequence[Mark], fired_at: datetime
) -> firing.Entered:
    """The same, but late."""
    global _left
    if _left:
        _left -= 1
        # Not asyncio.sleep: a frozen process does nothing else either.
        time.sleep(SECONDS)
    return await _enter(conn, woken, marks, fired_at)


def forget_the_ledger() -> None:
    """Take the mechanism away; fails when it is not where it was."""
    assert _REVISION in firing._ENTER
    assert _KEY in firing._ENTER
    firing._ENTER = firing._ENTER_NEW = firing._ENTER.replace(_REVISION, "").replace(_KEY, _AGAIN)
    ledger._event_id = lambda *_: str(uuid4())


if __name__ == "__main__":
    firing.enter = enter
    if os.environ.get("BROKEN"):
        forget_the_ledger()
    main()
