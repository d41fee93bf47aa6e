"""Units of work and idempotent requests against a real PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from asyncpg import InternalClientError
from sqlalchemy.exc import DBAPIError, IntegrityError

from chassis.db import Database, Tx, idempotent
from chassis.dberrors import passing
from chassis.errors import AlreadyExists, Unavailable
from chassis.principal import Principal, current
from chassis.schema import create_database
from chassis.testing import eventually
from libs.chassis.tests.probe import Answer, Ask, create_tables, effect, rows


@pytest.fixture
async def url(database: Callable[..., str]) -> str:
    made = database()
    await create_tables(made)
    return made


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    async with Database(url, "test") as opened:
        yield opened


async def ask(db: Database, request_id: str, name: str = "a", *, entered: asyncio.Event | None = None) -> str:
    async def work() -> Any:
        if entered:
            entered.set()
        await tx.execute(sa.insert(effect), {"n": 1, "id": name})
        await asyncio.sleep(0.05)
        return Answer(text=f"done {name}")

    async with db.tx() as tx:
        return str((await idempotent(tx, request_id, Ask(name=name), Answer, work)).text)


async def test_two_calls_at_once_with_one_request_id_do_the_work_once(db: Database) -> None:
    answers = await asyncio.gather(*(ask(db, "r1") for _ in range(8)))
    assert answers == ["done a"] * 8
    assert len(await rows(db, "select 1 from effect")) == 1


async def test_a_request_id_with_another_body_is_refused(db: Database) -> None:
    await ask(db, "r1")
    with pytest.raises(AlreadyExists, match="new request_id"):
        await ask(db, "r1", "b")
    assert len(await rows(db, "select 1 from effect")) == 1


async def test_a_failed_call_may_be_repeated_under_its_request_id(db: Database) -> None:
    async def fail() -> Any:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        async with db.tx() as tx:
            await idempotent(tx, "r1", Ask(name="a"), Answer, fail)
    assert await ask(db, "r1") == "done a"


async def test_callers_do_not_see_each_others_request_ids(db: Database) -> None:
    async def as_caller(name: str) -> str:
        current.set(Principal.of(name))
        return await ask(db, "r1", name)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(as_caller(name)) for name in ("agent:anna", "agent:boris")]
    assert [task.result() for task in tasks] == ["done agent:anna", "done agent:boris"]


async def test_without_a_request_id_every_call_works(db: Database) -> None:
    await asyncio.gather(ask(db, ""), ask(db, ""))
    assert len(await rows(db, "select 1 from effect")) == 2


async def test_a_database_that_is_away_is_unavailable() -> None:
    async with Database("postgresql://x@127.0.0.1:1/x", "test") as db:
        with pytest.raises(Unavailable):
            async with db.tx():
                pass


async def test_a_lock_that_is_not_to_be_had_is_unavailable_and_a_broken_rule_is_not(
    db: Database, url: str
) -> None:
    async with db.tx() as holder:
        await holder.execute(sa.text("lock table effect"))
        with pytest.raises(Unavailable):
            await execute(db, "set local lock_timeout = '50ms'", "select 1 from effect")
    with pytest.raises(IntegrityError):
        await execute(db, *["insert into inbox values ('e', 'c', now())"] * 2)


async def execute(db: Database, *statements: str) -> None:
    async with db.tx() as tx:
        for statement in statements:
            await tx.execute(sa.text(statement))


async def test_callbacks_run_after_the_commit_only(db: Database) -> None:
    called: list[str] = []

    async def unit(name: str, *, fail: bool) -> None:
        async with db.tx() as tx:
            tx.after_commit(lambda: called.append(name))
            assert not called
            if fail:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        await unit("rolled back", fail=True)
    await unit("committed", fail=False)
    assert called == ["committed"]


async def test_a_unit_of_work_without_an_event_has_no_event_id(db: Database) -> None:
    async with db.tx() as tx:
        assert isinstance(tx, Tx)
        assert tx.now.utcoffset() is not None
        with pytest.raises(LookupError):
            _ = tx.event_id


async def test_a_database_is_created_once(url: str) -> None:
    first = await create_database(url, "made_by_test")
    assert await create_database(url, "made_by_test") == first
    async with Database(first, "test") as db:
        assert [row.n for row in await rows(db, "select current_database() as n")] == ["made_by_test"]
    async with Database(url, "test") as db, db.engine.connect() as conn:
        plain = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(sa.text("drop database made_by_test with (force)"))


async def cut(db: Database) -> None:
    """End the own connection from the server's side, by a statement of the driver."""
    async with db.tx() as tx:
        await tx.driver.execute("select pg_terminate_backend(pg_backend_pid())")


async def test_a_driver_statement_that_loses_its_server_is_unavailable_like_any_other(
    url: str,
) -> None:
    async with Database(url, "test") as db:
        with pytest.raises(Unavailable):
            await cut(db)
        await db.ready()


async def test_a_driver_that_lost_its_place_is_unavailable(db: Database) -> None:
    """Seen when PostgreSQL was killed: the driver began a statement while it still read another's answer."""
    lost = InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    with pytest.raises(Unavailable):
        async with db.driver():
            raise lost
    with pytest.raises(Unavailable):
        async with db.tx():
            raise lost
    translated = Exception()
    translated.__cause__ = lost
    assert passing(DBAPIError("select 1", {}, translated))


async def test_work_that_claims_by_itself_finds_nothing_to_claim_in_a_call_that_is_claimed(
    db: Database,
) -> None:
    """Else it would take its own call for a repetition, do nothing, and answer emptily."""

    async def work() -> Answer:
        claim = tx.claim
        return await idempotent(tx, "", Ask(name="a"), Answer, lambda: told(claim.id))

    async def told(claimed: str) -> Answer:
        return Answer(text=f"claimed {claimed!r}")

    async with db.tx() as tx:
        assert (await idempotent(tx, "r1", Ask(name="a"), Answer, work)).text == "claimed ''"


async def test_a_statement_that_is_never_answered_is_unavailable_and_its_connection_works_on(
    url: str,
) -> None:
    """Else it would end the loop that sent it, and the process with it."""
    async with Database(url, "test", pool_size=1) as db:
        with pytest.raises(Unavailable):
            async with db.tx() as tx:
                await tx.driver.execute("select pg_sleep(5)", timeout=0.05)
        await db.ready()


async def test_work_that_passes_over_a_failed_statement_is_not_taken_for_committed(db: Database) -> None:
    async def pass_over() -> None:
        async with db.tx() as tx:
            await tx.execute(sa.insert(effect), {"n": 1, "id": "kept?"})
            with pytest.raises(DBAPIError):
                await tx.execute(sa.text("select 1 / 0"))

    with pytest.raises(RuntimeError, match="nothing was committed"):
        await pass_over()
    assert await rows(db, "select id from effect") == []


async def test_a_unit_of_work_that_is_cancelled_anywhere_is_done_whole_or_not_at_all(url: str) -> None:
    """There is one connection: one that came back within a transaction would meet the next unit of work."""
    chance, done = random.Random(11), set[str]()

    async def work(single: Database, name: str, begun: asyncio.Event) -> None:
        async with single.tx() as tx:
            begun.set()
            assert await tx.driver.fetchval("select pg_current_xact_id_if_assigned() is null")
            for n in (1, 2):
                await tx.execute(sa.insert(effect), {"n": n, "id": f"{name}/{n}"})
                await tx.driver.execute("select pg_sleep(0.001)")
        done.add(name)

    async with Database(url, "test", pool_size=1) as single:
        for number in range(60):
            begun = asyncio.Event()
            task = asyncio.get_running_loop().create_task(work(single, str(number), begun))
            # A connection that is cut while it is made is the driver's own affair.
            await begun.wait()
            await asyncio.wait([task], timeout=chance.uniform(0, 0.015))
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or not task.exception()
        found = [row.id.partition("/")[0] for row in await rows(single, "select id from effect")]
    assert {found.count(each) for each in found} <= {2}
    assert done <= set(found)


async def test_whoever_waits_for_a_connection_gets_it_in_turn(database: Callable[..., str]) -> None:
    """Without turns, who gives a connection back takes it again first, and others wait until they give up."""
    rounds = dict.fromkeys("abcdef", 0)

    async def work(name: str) -> None:
        while max(rounds.values()) < 30:
            async with single.tx() as tx:
                await tx.execute(sa.text("select 1"))
            rounds[name] += 1

    async with Database(database(), "test", pool_size=1) as single:
        await asyncio.gather(*(work(name) for name in rounds))
    assert min(rounds.values()) >= 28, rounds


async def test_a_transaction_that_the_driver_did_not_end_is_not_met_by_who_comes_next(url: str) -> None:
    """So a `begin` leaves it that was never answered, or was cancelled; the next would write into nothing."""

    async def leave(single: Database) -> None:
        async with single.driver() as driver:
            await driver.transaction().start()
            raise TimeoutError

    async with Database(url, "test", pool_size=1) as single, Database(url, "test") as other:
        with pytest.raises(Unavailable):
            await leave(single)
        async with single.driver() as driver:
            await driver.execute("insert into effect values (1, 'plain')")
        async with single.driver() as driver, driver.transaction():
            await driver.execute("insert into effect values (2, 'own')")
        assert [row.id for row in await rows(other, "select id from effect order by id")] == ["own", "plain"]


async def test_a_plan_that_a_migration_made_stale_is_unavailable_once(url: str) -> None:
    """Services run on while their tables are migrated, and who called may call again."""

    async def read(single: Database, *, by_driver: bool) -> None:
        async with single.tx() as tx:
            query = "select n from effect"
            await (tx.driver.fetch(query) if by_driver else tx.execute(sa.text(query)))

    async with Database(url, "test", pool_size=1) as single, Database(url, "test") as other:
        for by_driver, kind in ((True, "integer"), (False, "numeric")):
            await read(single, by_driver=by_driver)
            await execute(other, f"alter table effect alter n type {kind}")
            with pytest.raises(Unavailable):
                await read(single, by_driver=by_driver)
            await read(single, by_driver=by_driver)


async def test_work_that_outlasts_its_database_leaves_no_connection_behind(url: str) -> None:
    """A drain that is over closes the database while a late call still holds a connection."""

    async def work(db: Database) -> None:
        async with db.tx() as tx:
            begun.set()
            await tx.driver.execute("select pg_sleep(0.2)")

    begun = asyncio.Event()
    async with Database(url, "late") as db:
        late = asyncio.get_running_loop().create_task(work(db))
        await begun.wait()
    await late
    query = "select pid from pg_stat_activity where application_name = 'tickdesk-late'"
    async with Database(url, "test") as other:

        async def ended() -> bool:
            return not await rows(other, query)

        assert await eventually(ended)
