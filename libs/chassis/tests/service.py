"""A whole service made of nothing but the chassis, run as a process by `test_run.py`."""

import asyncio
from typing import Any

import sqlalchemy as sa
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.bus import Bus, Subscription
from chassis.db import Database, Tx
from chassis.outbox import relay_outbox
from chassis.run import App, run
from chassis.settings import ChassisSettings
from libs.chassis.tests.probe import SERVICE, Answer, Happened, Probe, add_probe, effect


class Settings(ChassisSettings):
    """Settings of the probe service."""

    model_config = SettingsConfigDict(env_prefix="TICKDESK_PROBE_")

    crash: bool = Field(default=False, description="End the loop with an error.")


async def build(app: App, settings: Settings) -> None:
    """Wire it as every service is wired."""
    db = await app.open(Database(settings.database_url, service="probe"))
    bus = await app.open(Bus(settings.nats_url, service="probe", startup_seconds=settings.startup_seconds))

    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.3)
        async with db.tx() as tx:
            tx.emit(Happened(id=request.name), key=request.name)
        return Answer(text="done")

    async def handle(tx: Tx, event: Any) -> None:
        await tx.execute(sa.insert(effect), {"n": event.n, "id": event.id})

    app.serve_grpc(add_probe, Probe(answer), SERVICE)
    app.consume(bus, db, [Subscription(Happened, handle)])
    app.spawn("relay", relay_outbox(db, bus))
    if settings.crash:
        app.spawn("crash", crash())


async def crash() -> None:
    """Fail as a loop with a bug would."""
    raise ValueError("bug")


if __name__ == "__main__":
    run("probe", Settings, build, migrations="libs.chassis.tests.migrations")
