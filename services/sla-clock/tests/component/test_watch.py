"""WatchMarks: every mark that fires, from a cursor on, none skipped."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import grpc.aio
import pytest
import sqlalchemy as sa
from pydantic import SecretStr, ValidationError

from chassis.channel import channel
from chassis.clock import utcnow
from chassis.db import Database, Tx
from chassis.testing import eventually
from sla_clock.settings import Settings
from sla_clock.store.ledger import LedgerRow
from sla_clock.store.tables import batch_table, ledger_table
from sla_clock.store.watching import OLDEST, Place, present, read_marks
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.sla.v1.sla_service_pb2_grpc import SlaServiceStub

from .desk import Case, Desk, a_desk, ago

CRITICAL = common.PRIORITY_CRITICAL
Key = tuple[str, str, str]


@asynccontextmanager
async def watching(desk: Desk, **fields: Any) -> AsyncIterator[Any]:
    """An open watch."""
    call = (await desk.stub()).WatchMarks(pb.WatchMarksRequest(**fields), timeout=60)
    try:
        yield call
    finally:
        call.cancel()


async def marks_of(call: Any, count: int, seconds: float = 10) -> list[pb.WatchMarksResponse]:
    """The next marks, heartbeats left out."""
    found: list[pb.WatchMarksResponse] = []
    async with asyncio.timeout(seconds):
        while len(found) < count:
            answer = await call.read()
            assert answer is not grpc.aio.EOF, "the watch has ended"
            if answer.HasField("mark"):
                found.append(answer)
    return found


def key(one: pb.WatchMarksResponse) -> Key:
    return one.mark.ticket.id, one.mark.clock, one.mark.mark.name


async def over(desk: Desk) -> bool:
    """Whether a watch that begins now tells none of the marks so far: nothing older is still being written.

    On the server that the tests share, that may be a transaction of any of them.
    """
    async with desk.db.tx() as tx:
        here, _ = await present(tx)
        newest = await tx.conn.scalar(
            sa.select(sa.func.max(sa.cast(sa.cast(batch_table.c.xact, sa.Text), sa.BigInteger)))
        )
    return newest is not None and here.xact > newest


async def test_a_watch_tells_marks_as_they_fire_and_goes_on_where_it_was_left(desk: Desk) -> None:
    """YT-31: the card changes colour at once; a reconnection skips and repeats nothing."""
    before = Case(ago(16), CRITICAL)
    await desk.tell(before)
    # Those before the breach are folded into it; the last is the overrun.
    await eventually(lambda: len(desk.watch.of(sla.MarkReached)) == 3)
    await eventually(lambda: over(desk))
    async with watching(desk) as call:
        first = await call.read()
        assert not first.HasField("mark"), "the first answer is a heartbeat with a cursor"
        case = Case(ago(9.5), CRITICAL)
        await desk.tell(case)
        told = await marks_of(call, 2)
        assert {one.mark.ticket.id for one in told} == {case.id}
    async with watching(desk, cursor=told[0].cursor) as call:
        rest = await marks_of(call, 3)
        assert [key(one) for one in (told[0], *rest)] == [
            (case.id, "first_response", name) for name in ("70%", "80%", "90%", "100%")
        ]
        folded = [one.mark.folded for one in (told[0], *rest)]
        # Of the third it depends on the instant at which it was looked at.
        assert (folded[:2], folded[3]) == ([True, False], False)
        assert folded == [each[3] for each in await desk.ledger(case.id)][:4]
    async with watching(desk, cursor="0") as call:
        everything = await marks_of(call, 9)
        assert len({key(one) for one in everything}) == 9
        assert everything[-1].cursor == rest[-1].cursor


async def test_a_watch_wakes_at_once_and_hears_other_replicas(desk: Desk) -> None:
    await desk.start()
    async with watching(desk) as call:
        await call.read()
        cases = [Case(ago(9), CRITICAL) for _ in range(8)]
        for case in cases:
            await desk.tell(case)
        found = await marks_of(call, 4 * len(cases), 15)
    seen = utcnow()
    assert {one.mark.ticket.id for one in found} == {case.id for case in cases}
    assert len({key(one) for one in found}) == len(found)
    assert max(one.mark.reached_time.ToDatetime(seen.tzinfo) for one in found) <= seen


async def test_a_watch_tells_only_what_was_asked_for(desk: Desk) -> None:
    ops, sup = Case(ago(11), CRITICAL, queue="OPS"), Case(ago(11), CRITICAL)
    for case in (ops, sup):
        await desk.tell(case)
    await eventually(lambda: len(desk.watch.of(sla.MarkReached)) == 4, 10)
    for fields, expected in (
        ({"queue": "OPS"}, [(ops.id, name) for name in ("70%", "80%", "90%", "100%")]),
        ({"ticket_id": sup.id, "action": clock_pb2.MARK_ACTION_BREACH}, [(sup.id, "100%")]),
    ):
        async with watching(desk, cursor="0", **fields) as call:
            found = await marks_of(call, len(expected))
            assert [(one.mark.ticket.id, one.mark.mark.name) for one in found] == expected
    async with watching(desk, cursor="0", queue="NONE") as call:
        beat = await call.read()
        assert not beat.HasField("mark")
        assert beat.cursor != "0-0-0", "a heartbeat moves on over what was left out"


async def last_cursor(call: Any, answer: Any) -> str:
    """Where a watch that is over was left."""
    cursor = ""
    async with asyncio.timeout(10):
        while answer is not grpc.aio.EOF:
            cursor, answer = answer.cursor, await call.read()
    return cursor


async def test_a_watch_ends_cleanly_when_its_replica_goes_away(desk: Desk) -> None:
    """Nobody waits for the grace of the drain; the last cursor leads on elsewhere."""
    async with channel(f"127.0.0.1:{desk.apps[0].grpc_port}", "admin-token") as pipe:
        call: Any = SlaServiceStub(pipe).WatchMarks(pb.WatchMarksRequest(), timeout=60)
        first = await call.read()
        cursor, _ = await asyncio.gather(last_cursor(call, first), desk.stack.aclose())
        assert await call.code() is grpc.StatusCode.OK
    desk.apps.clear()
    await desk.start()
    await desk.tell(Case(ago(11), CRITICAL))
    async with watching(desk, cursor=cursor) as call:
        assert len(await marks_of(call, 4)) == 4


async def test_other_calls_are_answered_while_all_watches_are_open(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    """A watch is a call that never ends: those of a few boards must not take all that a replica serves."""
    url = database("sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path, max_watches=4, max_calls=8) as desk:
        async with AsyncExitStack() as stack:
            calls = [await stack.enter_async_context(watching(desk)) for _ in range(4)]
            for call in calls:
                await call.read()
            stub = await desk.stub()
            for _ in range(8):
                await refused_watch(stub)
            asked = pb.ListMarksRequest(page_size=1)
            told = await asyncio.gather(*(stub.ListMarks(asked, timeout=5) for _ in range(4)))
            assert [one.total_size for one in told] == [0] * 4
        assert await eventually(lambda: watched_again(desk))


async def refused_watch(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.WatchMarks(pb.WatchMarksRequest(), timeout=5).read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == (
        "this replica serves 4 watches, as many as it may: end one, watch at another replica, "
        "or raise max_watches"
    )
    trailing = dict(refused.value.trailing_metadata() or ())
    assert b"WATCHES_EXHAUSTED" in trailing["grpc-status-details-bin"]


async def watched_again(desk: Desk) -> bool:
    async with watching(desk) as call:
        try:
            return await call.read() is not grpc.aio.EOF
        except grpc.aio.AioRpcError:
            return False


@pytest.mark.parametrize(("watches", "calls"), [(64, 127), (1, 1), (129, 256)])
def test_watches_leave_half_of_the_calls_to_others(watches: int, calls: int) -> None:
    knobs: dict[str, Any] = {"max_watches": watches, "max_calls": calls}
    with pytest.raises(
        ValidationError, match=rf"max_watches must be at most half of max_calls \({calls}\): lower it"
    ):
        Settings(database_url=SecretStr("postgresql://x"), **knobs)


SHAPE = 'cursor must be one that WatchMarks gave, "0" for the oldest mark kept, or empty for now on'
AHEAD = 'cursor is ahead of this database, which was restored since: begin anew with "0" or empty'


@pytest.mark.parametrize(
    ("request_", "reason", "message"),
    [
        (pb.WatchMarksRequest(cursor="nonsense"), "CURSOR_INVALID", SHAPE),
        (pb.WatchMarksRequest(cursor="1-2"), "CURSOR_INVALID", SHAPE),
        (pb.WatchMarksRequest(cursor="-1-2-3"), "CURSOR_INVALID", SHAPE),
        (pb.WatchMarksRequest(cursor="1" * 19 + "-1-1"), "CURSOR_INVALID", SHAPE),
        (pb.WatchMarksRequest(cursor="9" * 18 + "-1-1"), "CURSOR_INVALID", AHEAD),
        (pb.WatchMarksRequest(cursor="1" * 101), "INVALID_INPUT", "cursor: must be at most 100 characters"),
        (
            pb.WatchMarksRequest(ticket_id="SUP-1"),
            "INVALID_INPUT",
            "ticket_id must be the UUID of a ticket, or empty for all",
        ),
        (pb.WatchMarksRequest(queue="ELEVENCHARS"), "INVALID_INPUT", "queue: must be at most 10 characters"),
        (
            pb.WatchMarksRequest(action=99),  # type: ignore[arg-type]
            "INVALID_INPUT",
            "action: value must be one of the defined enum values",
        ),
    ],
)
async def test_each_malformed_watch_is_refused_in_words(
    desk: Desk, request_: pb.WatchMarksRequest, reason: str, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await desk.stub()).WatchMarks(request_, timeout=5).read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == message
    trailing = dict(refused.value.trailing_metadata() or ())
    assert reason.encode() in trailing["grpc-status-details-bin"]


WRITERS, BATCHES, MARKS = 8, 25, 3


async def write(db: Database, dice: random.Random, numbers: list[int]) -> None:
    """Batches whose transactions begin and end in different orders, as those of several replicas do."""
    for _ in range(BATCHES):
        async with db.tx() as tx:
            batch = await _batch(tx)
            await asyncio.sleep(dice.random() * 0.02)
            for place in range(MARKS):
                numbers.append(batch * MARKS + place)
                await tx.execute(sa.insert(ledger_table), _row(batch, place))
            await asyncio.sleep(dice.random() * 0.02)


async def _batch(tx: Tx) -> int:
    values = {"fired_at": tx.now, "marks": MARKS, "xact": sa.func.pg_current_xact_id()}
    found = await tx.execute(sa.insert(batch_table).values(values).returning(batch_table.c.id))
    return int(found.scalar_one())


def _row(batch: int, place: int) -> dict[str, Any]:
    row = LedgerRow(
        *(UUID(int=batch), "c", 1, f"m{place}", 1, "remind"),
        *(utcnow(), utcnow(), False, b"", ""),
        batch=batch,
        place=place,
    )
    return {column.name: getattr(row, column.name) for column in ledger_table.c}


async def follow(db: Database, over: asyncio.Event) -> list[int]:
    """What a reader by transactions sees; pages smaller than a batch, to be left anywhere."""
    place, seen = OLDEST, list[int]()
    while True:
        last = over.is_set()
        async with db.tx() as tx:
            page = await read_marks(tx, place, 2)
        seen += [row.batch * MARKS + row.place for row, _ in page.marks]
        place = page.after
        # Held back: a transaction of anybody on this server began before the last writer ended.
        if last and not page.marks and not page.held:
            return seen
        await asyncio.sleep(0)


async def follow_ids(db: Database, over: asyncio.Event) -> list[int]:
    """The control: a reader that goes on after the highest id it saw."""
    place, seen = 0, list[int]()
    while True:
        last = over.is_set()
        query = sa.select(ledger_table.c.batch, ledger_table.c.place).where(ledger_table.c.batch > place)
        async with db.tx() as tx:
            found = (await tx.execute(query.order_by(ledger_table.c.batch, ledger_table.c.place))).all()
        seen += [one.batch * MARKS + one.place for one in found]
        place = max([place, *(one.batch for one in found)])
        if last and not found:
            return seen
        await asyncio.sleep(0.002)


async def test_no_mark_is_skipped_however_its_writers_overtake_each_other(
    database: Callable[[str], str],
) -> None:
    """The control, which remembers the highest id, loses what was committed behind it."""
    seed = time.time_ns() % 10**6
    dice = random.Random(seed)
    async with Database(database("sla_clock.migrations"), "test", pool_size=12) as db:
        over, written = asyncio.Event(), list[int]()

        async def all_writers() -> None:
            await asyncio.gather(*(write(db, dice, written) for _ in range(WRITERS)))
            over.set()

        seen, control, _ = await asyncio.gather(follow(db, over), follow_ids(db, over), all_writers())
    assert len(written) == WRITERS * BATCHES * MARKS
    assert sorted(seen) == sorted(written), f"seed {seed}: each once"
    assert len(control) < len(written), f"seed {seed}: the control saw everything, so this shows nothing"


async def test_what_an_older_transaction_holds_back_is_told_when_it_ends(
    database: Callable[[str], str],
) -> None:
    async with Database(database("sla_clock.migrations"), "test") as db:
        async with db.tx() as slow:
            await slow.execute(sa.select(sa.func.pg_current_xact_id()))
            async with db.tx() as quick:
                await quick.execute(sa.insert(ledger_table), _row(await _batch(quick), 0))
            async with db.tx() as tx:
                page = await read_marks(tx, OLDEST, 10)
            assert (page.marks, page.held) == ([], True)

        async def told() -> list[int]:
            # Transactions of other databases of the server hold it back, too.
            async with db.tx() as tx:
                found = await read_marks(tx, page.after, 10)
            assert all(after < found.after for _, after in found.marks)
            return [row.batch for row, _ in found.marks]

        assert len(await eventually(told)) == 1
        async with db.tx() as tx:
            now, following = await present(tx)
        assert page.after <= now <= Place(following, 0, 0)
