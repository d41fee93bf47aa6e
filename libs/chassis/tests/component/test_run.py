"""The life of a process: start, readiness, drain on SIGTERM, exit codes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from chassis.channel import channel
from chassis.db import Database
from chassis.run import App, running
from chassis.schema import expected_head, lagging_revision, migrate, plain_engine
from chassis.servers import Server, start_postgres
from chassis.settings import load_settings
from chassis.testing import eventually
from libs.chassis.tests.probe import Ask, do, rows
from libs.chassis.tests.service import Settings, build

MIGRATIONS = "libs.chassis.tests.migrations"
ROOT = Path(__file__).parents[4]


class Process:
    """The probe service as a process, with what it logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def logged(self, event: str) -> dict[str, Any]:
        """Read the log until this event. Raises AssertionError when the process ends before it."""
        assert self.process.stderr
        async with self._patience():
            while line := await self.process.stderr.readline():
                self.lines.append(json.loads(line) if line.startswith(b"{") else {"text": line.decode()})
                if self.lines[-1].get("event") == event:
                    return self.lines[-1]
        raise AssertionError(f"ended without {event!r}: {self.lines}")

    async def ended(self) -> int:
        """Wait for the end; returns the exit code."""
        async with self._patience():
            assert self.process.stderr
            rest = await self.process.stderr.read()
            self.lines += [{"text": line} for line in rest.decode().splitlines()]
            return await self.process.wait()

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """Give the process a minute; then let it say where it stands."""
        limit = asyncio.timeout(60)
        try:
            async with limit:
                yield
        except TimeoutError:
            assert self.process.stderr
            self.process.send_signal(signal.SIGABRT)
            rest = await self.process.stderr.read()
            raise AssertionError(f"stuck after {self.lines}\n{rest.decode()}") from None


@asynccontextmanager
async def process(*args: str, **env: str) -> AsyncIterator[Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "faulthandler",
        "-m",
        "libs.chassis.tests.service",
        *args,
        cwd=ROOT,
        env={**os.environ, **{f"TICKDESK_PROBE_{key}": value for key, value in env.items()}},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(started)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


def environment(url: str, nats_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": url,
        "NATS_URL": nats_url,
        "TOKENS": '{"agent:anna": "t"}',
        "STARTUP_SECONDS": "15",
    }


async def test_sigterm_finishes_the_running_call_and_exits_with_0(
    database: Callable[..., str], nats_url: str
) -> None:
    url = database(MIGRATIONS)
    async with process(**environment(url, nats_url)) as service:
        ready = await service.logged("ready")
        async with channel(f"127.0.0.1:{ready['grpc_port']}", "t") as opened:
            assert (await do(opened)(Ask(name="one"), timeout=5)).text == "done"
            call = do(opened)(Ask(name="two"), timeout=5)
            await call.wait_for_connection()
            service.process.send_signal(signal.SIGTERM)
            assert (await call).text == "done"
        assert await service.ended() == 0
    async with Database(url, "test") as db:
        assert {row.key for row in await rows(db, "select key from outbox")} == {"one", "two"}


async def test_a_crashed_loop_ends_the_process_with_1(database: Callable[..., str], nats_url: str) -> None:
    async with process(**environment(database(MIGRATIONS), nats_url), CRASH="true") as service:
        crashed = await service.logged("crashed")
        assert "bug" in crashed["exception"]
        assert await service.ended() == 1


async def test_migrate_then_serve(database: Callable[..., str], nats_url: str) -> None:
    url = database()
    async with (
        process(**environment(url, nats_url)) as waiting,
        process("migrate", **environment(url, nats_url)) as job,
    ):
        assert await job.ended() == 0
        assert await waiting.logged("ready")


async def test_without_a_migrated_database_the_start_fails_and_says_so(
    database: Callable[..., str], nats_url: str
) -> None:
    async with process(**{**environment(database(), nats_url), "STARTUP_SECONDS": "1"}) as service:
        line = await service.logged("database not usable")
        assert "run the migrate command" in line["reason"]
        assert await service.ended() == 1


async def test_without_nats_the_start_fails_and_says_so(database: Callable[..., str]) -> None:
    env = {**environment(database(MIGRATIONS), "nats://127.0.0.1:1"), "STARTUP_SECONDS": "1"}
    async with process(**env) as service:
        assert "NATS" in (await service.logged("start failed"))["error"]
        assert await service.ended() == 1


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            {"GRPC_PROT": "1"},
            "TICKDESK_PROBE_GRPC_PROT: unknown setting, did you mean TICKDESK_PROBE_GRPC_PORT?",
        ),
        ({"GRPC_PORT": "99999"}, "TICKDESK_PROBE_GRPC_PORT: "),
        ({"TOKENS": "secret-not-json"}, "tokens"),
        ({"TOKENS": '{"agent:anna": ""}'}, "TICKDESK_PROBE_TOKENS: token of agent:anna is empty"),
        ({"DATABASE_URL_FILE": "/nowhere/url"}, "database_url_file: cannot read /nowhere/url"),
    ],
)
def test_a_bad_setting_names_its_variable_and_exits_with_2(
    env: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in env.items():
        monkeypatch.setenv(f"TICKDESK_PROBE_{key}", value)
    with pytest.raises(SystemExit) as caught:
        load_settings(Settings)
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert said in text
    assert "secret-not-json" not in text


async def test_mounted_files_give_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    (tmp_path / "tokens").write_text('{"agent:anna": "t"}')
    monkeypatch.setenv("TICKDESK_PROBE_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("TICKDESK_PROBE_TOKENS_FILE", str(tmp_path / "tokens"))
    settings = Settings()
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.tokens["agent:anna"].get_secret_value() == "t"
    assert "u:p" not in repr(settings)


@pytest.fixture
async def app(database: Callable[..., str], nats_url: str) -> AsyncIterator[App]:
    settings = Settings(
        database_url=SecretStr(database(MIGRATIONS)), nats_url=nats_url, tokens={"agent:anna": SecretStr("t")}
    )
    async with running("probe", settings, build) as service:
        yield service


async def get(app: App, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"http://127.0.0.1:{app.ops_port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_health_readiness_and_metrics_are_served(app: App) -> None:
    assert (await get(app, "/healthz"))[0] == 200
    assert (await get(app, "/readyz"))[0] == 200
    status, text = await get(app, "/metrics", Accept="application/openmetrics-text")
    assert status == 200
    assert "tickdesk_outbox_pending" in text
    assert text.endswith("# EOF\n")


async def test_what_is_not_vital_is_told_and_takes_nobody_out_of_service(app: App) -> None:
    class Index:
        async def filled(self) -> bool:
            return False

    app.on_ready(Index().filled, vital=False)
    # Answers are kept for half a second.
    told = await eventually(lambda: degraded(app))
    assert told == {"ready": True, "failing": [], "degraded": ["index"]}
    assert await is_ready(app, 200)


async def degraded(app: App) -> dict[str, object]:
    answer: dict[str, object] = json.loads((await get(app, "/readyz"))[1])
    return answer if answer["degraded"] else {}


async def test_readiness_follows_nats_away_and_back(app: App, nats_server: Server) -> None:
    nats_server.kill()
    await eventually(lambda: is_ready(app, 503))
    assert json.loads((await get(app, "/readyz"))[1])["failing"] == ["bus"]
    nats_server.start()
    await eventually(lambda: is_ready(app, 200), 10)


async def test_the_process_survives_the_database_being_killed(nats_url: str, tmp_server_folder: Path) -> None:
    # Durable: the fast mode commits asynchronously and may lose its last moments to a kill.
    postgres = start_postgres(tmp_server_folder / "pg", durable=True)
    try:
        await migrate(postgres.url, MIGRATIONS)
        settings = Settings(
            database_url=SecretStr(postgres.url), nats_url=nats_url, tokens={"agent:anna": SecretStr("t")}
        )
        async with (
            running("probe", settings, build) as service,
            channel(f"127.0.0.1:{service.grpc_port}", "t") as opened,
        ):
            postgres.kill()
            await eventually(lambda: is_ready(service, 503))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await do(opened)(Ask(name="one"), timeout=5)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            postgres.start()
            await eventually(lambda: is_ready(service, 200), 10)
            await do(opened)(Ask(name="two"), timeout=5)
            async with Database(postgres.url, "test") as db:
                assert await eventually(lambda: rows(db, "select id from effect"), 15) == [("two",)]
    finally:
        postgres.kill()


async def is_ready(app: App, status: int) -> bool:
    return (await get(app, "/readyz"))[0] == status


async def test_an_event_goes_all_the_way_round(app: App) -> None:
    async with channel(f"127.0.0.1:{app.grpc_port}", "t") as opened:
        await do(opened)(Ask(name="round"), timeout=5)
    async with Database(app.settings.database_url, "test") as db:
        assert await eventually(lambda: rows(db, "select id from effect")) == [("round",)]


async def test_replicas_may_migrate_at_once_and_a_newer_schema_is_fine(
    database: Callable[..., str],
) -> None:
    url = database()
    assert await lagging_revision(url, MIGRATIONS) == "empty"
    await asyncio.gather(*(migrate(url, MIGRATIONS) for _ in range(3)))
    assert expected_head(MIGRATIONS) == "0001"
    assert await lagging_revision(url, MIGRATIONS) is None
    engine = plain_engine(url)
    async with engine.begin() as conn:
        await conn.execute(sa.text("update alembic_version set version_num = '0002'"))
    await engine.dispose()
    assert await lagging_revision(url, MIGRATIONS) is None
