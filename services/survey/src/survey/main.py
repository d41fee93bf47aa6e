"""The composition root of survey."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from chassis.bus import Bus
from chassis.db import Database
from chassis.guard import roles_of
from chassis.outbox import relay_outbox
from chassis.run import App, run
from survey.consumers import subscriptions
from survey.domain import Policy
from survey.grpc_api import SERVICE, SurveyApi
from survey.handlers import Rules
from survey.http_api import Limits, pages
from survey.loop import ask_for_ever
from survey.settings import QueuePolicy, Settings
from tickdesk.common.v1.access_pb2 import access
from tickdesk.survey.v1.survey_service_pb2_grpc import add_SurveyServiceServicer_to_server

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


async def build(app: App, settings: Settings) -> None:
    """Resources, pages, gRPC, consumers, the loop."""
    db = await app.open(Database(settings.database_url, service="survey"))
    bus = await app.open(Bus(settings.nats_url, service="survey", replicas=settings.stream_replicas))
    chosen = rules(settings)
    limits = Limits(settings.calls_per_minute, settings.trusted_proxies)
    port = app.serve_http(pages(db, chosen, limits), settings.http_port)
    chosen = replace(chosen, public_url=public_url(settings, port))
    bell = asyncio.Event()
    permitted = roles_of(SERVICE, access)
    app.serve_grpc(add_SurveyServiceServicer_to_server, SurveyApi(db), SERVICE.full_name, permitted=permitted)
    app.consume(bus, db, subscriptions(chosen, bell.set))
    app.spawn("ask", ask_for_ever(db, chosen, bell))
    app.spawn("relay", relay_outbox(db, bus))


def public_url(settings: Settings, port: int) -> str:
    """Where customers reach the pages. Raises RuntimeError when that cannot be known."""
    if settings.public_url:
        return settings.public_url
    if settings.host not in _LOOPBACK:
        raise RuntimeError("TICKDESK_SURVEY_PUBLIC_URL must be set: customers get links that begin with it")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def rules(settings: Settings) -> Rules:
    """What handlers need to know of the settings."""
    common = Policy(
        timedelta(seconds=settings.delay_seconds),
        settings.scale,
        settings.sample_percent,
        settings.low_threshold,
    )
    return Rules(
        policy=common,
        queues={queue: _policy(common, own) for queue, own in settings.policies.items()},
        term=timedelta(days=settings.link_days),
        window=timedelta(minutes=settings.edit_minutes),
        public_url="",
        language=settings.default_language,
    )


def _policy(common: Policy, own: QueuePolicy) -> Policy:
    given = own.model_dump(exclude_none=True)
    if "delay_seconds" in given:
        given["delay"] = timedelta(seconds=given.pop("delay_seconds"))
    return replace(common, **given)


def main() -> None:
    """Entry of `python -m survey`."""
    run("survey", Settings, build, migrations="survey.migrations")
