"""The composition root of sla-clock."""

import gc
import zoneinfo
from datetime import timedelta

from chassis.bus import Bus
from chassis.db import Database
from chassis.guard import roles_of
from chassis.outbox import relay_outbox
from chassis.run import App, run
from sla_clock.consumers import subscriptions
from sla_clock.grpc_api import clocks, policies
from sla_clock.handlers.checking import Checks
from sla_clock.handlers.compare import tickets_channel
from sla_clock.handlers.policies import seed
from sla_clock.handlers.publish import note_sent
from sla_clock.handlers.recalculate import note_data
from sla_clock.handlers.watch import Watches
from sla_clock.handlers.works import Works
from sla_clock.loop import (
    arm_timers,
    check_late_notes,
    compare_tickets,
    fire_timers,
    follow_policy,
    patrol,
    prune_marks,
    tend,
)
from sla_clock.settings import Settings
from sla_clock.timers import Timers
from tickdesk.common.v1.access_pb2 import access
from tickdesk.sla.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from tickdesk.sla.v1.sla_service_pb2_grpc import add_SlaServiceServicer_to_server


async def build(app: App, settings: Settings) -> None:
    """Resources, policy, gRPC, consumers, loops."""
    # Time zones come out of the package, so that every replica counts by the same data and can name it.
    zoneinfo.reset_tzpath(to=())
    db = await app.open(Database(settings.database_url, service="sla-clock"))
    bus = await app.open(Bus(settings.nats_url, service="sla-clock", replicas=settings.stream_replicas))
    redis_url = settings.redis_url.get_secret_value()
    timers = await app.open(Timers(redis_url, lease_seconds=settings.lease_seconds))
    app.on_ready(timers.filled, vital=False)
    works = Works(db, bus, timers, batch=settings.batch)
    await seed(works, settings.policy_path)
    await note_data(works)
    checks = Checks(settings.check_seconds)
    sla = clocks.SlaApi(works, checks, Watches(settings.max_watches), lambda: app.draining)
    rules = policies.PolicyApi(works, checks)
    for add, servicer, service in (
        (add_SlaServiceServicer_to_server, sla, clocks.SERVICE),
        (add_PolicyServiceServicer_to_server, rules, policies.SERVICE),
    ):
        app.serve_grpc(add, servicer, service.full_name, permitted=roles_of(service, access))
    app.consume(bus, db, subscriptions(works))
    for number in range(settings.lanes):
        lane = timers.lane(number, settings.lanes, poll_seconds=settings.poll_seconds)
        app.spawn(f"fire-{number}", fire_timers(works, lane, settings.poll_seconds))
    app.spawn("hear", timers.listen())
    app.spawn("arm", arm_timers(works))
    app.spawn("note", note_sent(works))
    app.spawn("notes", check_late_notes(works))
    app.spawn("tend", tend(works, settings.sweep_seconds))
    app.spawn("patrol", patrol(works, settings.reconcile_seconds))
    app.spawn("prune", prune_marks(works, timedelta(days=settings.keep_marks_days)))
    app.spawn("policy", follow_policy(works))
    app.spawn("relay", relay_outbox(db, bus))
    desk = tickets_channel(settings)
    if desk is not None:
        app.spawn("compare", compare_tickets(works, await app.open(desk), settings.compare_seconds))


async def build_process(app: App, settings: Settings) -> None:
    """The same for a process of its own, which spares the collector what stays for good.

    Walking through it again and again took a fifth of the time of firing.
    """
    await build(app, settings)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main() -> None:
    """Entry of `python -m sla_clock`."""
    run("sla-clock", Settings, build_process, migrations="sla_clock.migrations")
