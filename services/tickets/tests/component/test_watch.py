"""WatchQueue: every change of tickets that a caller may see, from a cursor on, none skipped."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
import sqlalchemy as sa
from pydantic import SecretStr, ValidationError

from chassis.channel import channel
from chassis.clock import utcnow
from chassis.db import Database
from chassis.identity import digest
from chassis.run import running
from chassis.testing import eventually
from services.tickets.tests.builders import ROLES, Desk, furnish, set_up
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickdesk.tickets.v1 import watch_service_pb2 as pb
from tickdesk.tickets.v1.watch_service_pb2_grpc import WatchServiceStub
from tickets.convert.watch import TYPES
from tickets.main import build
from tickets.settings import Settings
from tickets.store import watch as store
from tickets.store.tables import outbox
from tickets.store.watch import Place


@asynccontextmanager
async def watching(desk: Desk, who: str = "agent:anna", **fields: Any) -> AsyncIterator[Any]:
    """An open watch."""
    if who not in desk.channels:
        desk.channels[who] = await desk.connect(who)
    call: Any = WatchServiceStub(desk.channels[who]).WatchQueue(pb.WatchQueueRequest(**fields), timeout=90)
    try:
        yield call
    finally:
        call.cancel()


async def answers(call: Any, enough: Callable[[list[pb.WatchQueueResponse]], bool]) -> list[Any]:
    """Answers until there are enough, those without news left out."""
    found: list[pb.WatchQueueResponse] = []
    async with asyncio.timeout(30):
        while not enough(found):
            answer = await call.read()
            assert answer is not grpc.aio.EOF, "the watch has ended"
            if answer.HasField("change") or answer.view_changed:
                found.append(answer)
    return found


async def changes(call: Any, count: int) -> list[pb.WatchQueueResponse]:
    return await answers(call, lambda found: len(found) >= count)


def told(found: list[pb.WatchQueueResponse]) -> list[tuple[str, int]]:
    return [(each.change.event, each.change.ticket.version) for each in found]


async def over(desk: Desk) -> bool:
    """Whether a watch that begins now tells none of the changes so far: nothing older is still written."""
    async with desk.db.tx() as tx:
        here, _ = await store.present(tx)
        newest = sa.select(sa.func.max(sa.cast(sa.cast(outbox.c.xact, sa.Text), sa.BigInteger)))
        last = await tx.conn.scalar(newest)
    return last is None or here.xact > last


async def test_a_watch_tells_each_change_with_the_ticket_after_it_and_goes_on_where_it_was_left(
    desk: Desk,
) -> None:
    """YT-31, YT-36: a board that keeps itself; a reconnection skips and repeats nothing."""
    await desk.create()
    await eventually(lambda: over(desk))
    async with watching(desk) as call:
        first = await call.read()
        assert not first.HasField("change"), "the first answer is a cursor from now on"
        ticket = await desk.create()
        await desk.call("TakeTicket", ticket=ticket.id)
        note = f"secret-{uuid4().hex}"
        await desk.call("AddNote", ticket=ticket.id, text=note)
        now = (await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_HIGH)).ticket
        found = await changes(call, 4)
    assert told(found) == [("TicketOpened", 1), ("TicketTaken", 2), ("NoteAdded", 3), ("TicketUpdated", 4)]
    assert found[1].change.ticket.assignee == "anna"
    assert found[1].change.ticket.priority == ticket.priority, "as it was then"
    assert (found[3].change.ticket, found[3].change.actor.id) == (now, "anna")
    assert note not in str(found)
    for index, cursor in ((0, first.cursor), (2, found[1].cursor)):
        async with watching(desk, cursor=cursor) as call:
            again = await changes(call, 4 - index)
            assert [each.change for each in again] == [each.change for each in found[index:]]


async def test_a_hundred_watchers_on_two_replicas_hear_all_and_read_once(start: Start) -> None:
    """What they cost the database does not grow with them."""
    desk = await start()
    await furnish(desk)
    other = await start(url=desk.url)
    reads: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "pg_snapshot_xmin" in statement and "lateral" in statement:
            reads.append(statement)

    async with AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(watching(one, who))
            for one in (desk, other)
            for who in ("agent:anna", "lead:olga", "admin:demo", "auditor:eve", "service:sla-clock") * 10
        ]
        for call in calls:
            await call.read()
        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            ticket = await desk.create()
            await other.call("TakeTicket", ticket=ticket.id)
            found = await asyncio.gather(*(changes(call, 2) for call in calls))
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert {tuple(told(each)) for each in found} == {(("TicketOpened", 1), ("TicketTaken", 2))}
    assert 2 <= len(reads) < len(calls), "one watch each would read for itself"


async def test_nothing_is_lost_when_a_replica_goes_away_while_tickets_change(
    start: Start, nats_url: str
) -> None:
    """Nobody waits for the grace of the drain; the last cursor leads on at another replica."""
    desk = await start()
    await furnish(desk)
    knobs: dict[str, Any] = {"drain_pause_seconds": 0, "drain_seconds": 2, "nats_url": nats_url}
    tokens = {"agent:anna": SecretStr("token-of-agent:anna")}
    settings = Settings(database_url=SecretStr(desk.url), tokens=tokens, **knobs)
    seen: list[str] = []
    cursor = ""

    async def follow(call: Any) -> None:
        nonlocal cursor
        async for answer in call:
            cursor = answer.cursor
            if answer.HasField("change"):
                seen.append(answer.change.ticket.id)

    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running("tickets", settings, build))
        pipe = await stack.enter_async_context(channel(f"127.0.0.1:{app.grpc_port}", "token-of-agent:anna"))
        call: Any = WatchServiceStub(pipe).WatchQueue(pb.WatchQueueRequest(), timeout=60)
        cursor = (await call.read()).cursor
        reading = asyncio.get_running_loop().create_task(follow(call))
        made = [(await desk.create()).id for _ in range(5)]
        await eventually(lambda: len(seen) >= 2)
        gone = asyncio.get_running_loop().create_task(stack.aclose())
        made += [(await desk.create()).id for _ in range(5)]
        await gone
        await asyncio.wait([reading])
    async with watching(desk, cursor=cursor) as call:
        seen += [each.change.ticket.id for each in await changes(call, len(made) - len(seen))]
    assert seen == made


async def test_a_ticket_that_leaves_what_is_watched_is_told_without_a_word_of_it(desk: Desk) -> None:
    """YT-03, MP-19: neither its new key nor what it is now."""
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    ticket = await desk.create()
    await eventually(lambda: over(desk))
    async with watching(desk, queues=["SUP"]) as left, watching(desk, queues=["OTH"]) as come:
        await asyncio.gather(left.read(), come.read())
        await desk.call("MoveTicket", ticket=ticket.id, queue="OTH")
        await desk.call("TakeTicket", ticket=ticket.id)
        again = await desk.create()
        gone, opened = await changes(left, 2)
        arrived, *_ = await changes(come, 3)
    assert gone.change.left
    assert gone.change.ticket == ticket_pb2.Ticket(id=ticket.id, version=2)
    assert not gone.change.HasField("actor")
    assert (opened.change.ticket.id, opened.change.event) == (again.id, "TicketOpened")
    assert (arrived.change.ticket.queue, arrived.change.left) == ("OTH", False)


async def test_rights_are_those_of_the_moment(desk: Desk) -> None:
    """YT-03, YT-20: lost while the watch is open, lost between two connections, and lost altogether."""
    components = [{"key": "web", "name": {"en": "Web"}}]
    grants = [{"component": "web", "agents": ["olga"], "view": True, "edit": True}]
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    boris = ticket_pb2.Agent(id="boris", name="Boris", lines=[common.LINE_L1], active=True)
    async with watching(desk, "agent:boris") as call:
        began = await call.read()
        ticket = await desk.create()
        assert told(await changes(call, 1)) == [("TicketOpened", 1)]
        await set_up(desk, components=components, rights={"grants": grants})
        (turned,) = await changes(call, 1)
        assert turned.view_changed
        assert not turned.HasField("change")
        await desk.call("UpdateTicket", "lead:olga", ticket=ticket.id, component="web")
        (gone,) = await changes(call, 1)
        assert (gone.change.left, gone.change.ticket.id) == (True, ticket.id)
        await desk.call("PutAgent", "admin:demo", agent=boris_in(boris, "OTH"))
        assert (await changes(call, 1))[0].view_changed
        await desk.create()
        other = await desk.create(queue="OTH")
        (theirs,) = await changes(call, 1)
        assert theirs.change.ticket.id == other.id, "nothing of the other queue is told any more"
    async with watching(desk, "agent:boris", cursor=began.cursor) as call:
        first = await call.read()
        assert first.view_changed, "the list that he has was made with other rights"
        assert [each.change.ticket.id for each in await changes(call, 1)] == [other.id]
        boris.active = False
        await desk.call("PutAgent", "admin:demo", agent=boris)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await changes(call, 1)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def boris_in(boris: ticket_pb2.Agent, queue: str) -> ticket_pb2.Agent:
    found = ticket_pb2.Agent()
    found.CopyFrom(boris)
    found.queues.append(queue)
    return found


async def test_a_key_that_is_revoked_ends_its_watch(start: Start, tmp_path: Path) -> None:
    """Before anything more is told."""
    secret, path = "s" * 40, tmp_path / "keys"
    key = {
        "name": "agent:anna",
        "sha256": digest(secret),
        "scopes": ["tickets.read"],
        "expires": (utcnow() + timedelta(days=1)).isoformat(),
    }
    path.write_text(json.dumps(key))
    desk = await start(keys_file=path, callers=[each for each in ROLES if each != "agent:anna"])
    await furnish(desk)
    async with channel(desk.target, secret) as pipe:
        call: Any = WatchServiceStub(pipe).WatchQueue(pb.WatchQueueRequest(), timeout=60)
        assert (await call.read()).cursor
        path.write_text("")
        await desk.create()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await answers(call, lambda found: len(found) > 100)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_who_reads_slowly_gets_every_change_in_the_end(desk: Desk) -> None:
    """More than the process keeps and the connection holds; others are not kept waiting."""
    count = 1500
    async with watching(desk) as slow, watching(desk) as quick:
        await asyncio.gather(slow.read(), quick.read())
        ids = [str(uuid4()) for _ in range(count)]
        for start in range(0, count, 300):
            await emit(desk.db, ids[start : start + 300])
        assert [each.change.ticket.id for each in await changes(quick, count)] == ids
        assert [each.change.ticket.id for each in await changes(slow, count)] == ids


async def emit(db: Database, ids: list[str]) -> None:
    async with db.tx() as tx:
        for each in ids:
            ticket = ticket_pb2.Ticket(id=each, queue="SUP", subject="x" * 500)
            tx.emit(events_pb2.TicketUpdated(ticket=ticket), key=each)


async def no_room(desk: Desk, who: str) -> str:
    """What is said to who would watch, too."""
    async with watching(desk, who) as call:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return str(refused.value.details())


async def test_other_calls_are_answered_while_all_watches_are_open(start: Start) -> None:
    desk = await start(max_watches=3, max_calls=6)
    await furnish(desk)
    async with AsyncExitStack() as stack:
        for who in ("agent:anna", "service:sla-clock", "service:sla-clock"):
            await (await stack.enter_async_context(watching(desk, who))).read()
        for who, told in (("agent:anna", "one person"), ("agent:boris", "serves 3 watches")):
            assert told in await no_room(desk, who)
        assert (await desk.call("ListTickets")).total_size == 0

    async def again() -> bool:
        async with watching(desk) as call:
            try:
                return bool((await call.read()).cursor)
            except grpc.aio.AioRpcError:
                return False

    assert await eventually(again)
    knobs: dict[str, Any] = {"max_watches": 4, "max_calls": 6}
    with pytest.raises(ValidationError, match=r"max_watches must be at most half of max_calls \(6\)"):
        Settings(database_url=SecretStr("postgresql://x"), **knobs)


async def test_each_bad_watch_is_refused_in_words(desk: Desk) -> None:
    stale = int(time.time()) - 7 * 86400
    for fields, code, reason, words in (
        ({"cursor": "nonsense"}, "INVALID_ARGUMENT", "CURSOR_INVALID", "must be one that WatchQueue gave"),
        ({"cursor": "1-2-3"}, "INVALID_ARGUMENT", "CURSOR_INVALID", "must be one that WatchQueue gave"),
        ({"cursor": f"{'9' * 18}-1-1-0"}, "INVALID_ARGUMENT", "CURSOR_INVALID", "ahead of this database"),
        ({"cursor": f"1-1-{stale}-0"}, "FAILED_PRECONDITION", "CURSOR_EXPIRED", "read the list again"),
        ({"cursor": "1" * 101}, "INVALID_ARGUMENT", "INVALID_INPUT", "cursor: must be at most 100"),
        ({"queues": ["NOPE"]}, "NOT_FOUND", "QUEUE_NOT_FOUND", "NOPE"),
        ({"queues": ["sup"]}, "INVALID_ARGUMENT", "INVALID_INPUT", "queues"),
        ({"queues": ["SUP", "SUP"]}, "INVALID_ARGUMENT", "INVALID_INPUT", "queues"),
    ):
        async with watching(desk, **fields) as call:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
        trailing = dict(refused.value.trailing_metadata() or ())
        assert (refused.value.code().name, reason.encode() in trailing["grpc-status-details-bin"]) == (
            code,
            True,
        ), fields
        assert words in (refused.value.details() or "")


WRITERS, COMMITS, EACH = 8, 20, 3


async def write(db: Database, dice: random.Random, numbers: list[int]) -> None:
    """Transactions that begin and end in different orders, as those of several replicas do."""
    for _ in range(COMMITS):
        async with db.tx() as tx:
            await tx.execute(sa.select(sa.func.pg_current_xact_id()))
            for _ in range(EACH):
                numbers.append(len(numbers))
                ticket = ticket_pb2.Ticket(id=str(uuid4()), version=numbers[-1])
                tx.emit(events_pb2.TicketUpdated(ticket=ticket), key=ticket.id)
            await asyncio.sleep(dice.random() * 0.02)
            await tx.flush()
            tx._events.clear()
            await asyncio.sleep(dice.random() * 0.02)


async def follow(db: Database, over: asyncio.Event) -> list[int]:
    """What a reader by transactions sees; small pages, to be left anywhere."""
    place, seen = Place(0, 0), list[int]()
    while True:
        last = over.is_set()
        async with db.tx() as tx:
            page = await store.read_events(tx, place, TYPES, 2)
        seen += [events_pb2.TicketUpdated.FromString(each.payload).ticket.version for each in page.events]
        place = page.after
        if last and not page.events and not page.held:
            return seen
        await asyncio.sleep(0)


async def follow_numbers(db: Database, over: asyncio.Event) -> list[int]:
    """The control: a reader that goes on after the highest number it saw."""
    place, seen = 0, list[int]()
    while True:
        last = over.is_set()
        async with db.tx() as tx:
            query = sa.select(outbox.c.seq, outbox.c.payload).where(outbox.c.seq > place)
            found = (await tx.execute(query.order_by(outbox.c.seq))).all()
        seen += [events_pb2.TicketUpdated.FromString(each.payload).ticket.version for each in found]
        place = max([place, *(each.seq for each in found)])
        if last and not found:
            return seen
        await asyncio.sleep(0.002)


async def test_no_change_is_skipped_however_its_writers_overtake_each_other(
    database: Callable[[str], str],
) -> None:
    """The control, which remembers the highest number, loses what was committed behind it."""
    seed = time.time_ns() % 10**6
    dice = random.Random(seed)
    async with Database(database("tickets.migrations"), "test", pool_size=12) as db:
        over, written = asyncio.Event(), list[int]()

        async def all_writers() -> None:
            await asyncio.gather(*(write(db, dice, written) for _ in range(WRITERS)))
            over.set()

        seen, control, _ = await asyncio.gather(follow(db, over), follow_numbers(db, over), all_writers())
    assert len(written) == WRITERS * COMMITS * EACH
    assert sorted(seen) == sorted(written), f"seed {seed}: each once"
    assert len(control) < len(written), f"seed {seed}: the control saw everything, so this shows nothing"
