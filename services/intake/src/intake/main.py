"""The composition root of intake."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from chassis import telemetry
from chassis.bus import Bus
from chassis.db import Database
from chassis.guard import roles_of
from chassis.outbox import relay_outbox
from chassis.run import App, run
from intake import handlers, metrics
from intake.adapters import lmtp
from intake.adapters.reader import Reader
from intake.adapters.vault import Vault
from intake.domain import Limits, Mailboxes
from intake.grpc_api import CHANNEL, SERVICE, IntakeApi
from intake.loop import pulse
from intake.settings import Settings, split_list
from tickdesk.common.v1.access_pb2 import access
from tickdesk.intake.v1.intake_service_pb2_grpc import add_IntakeServiceServicer_to_server

log = telemetry.logger(__name__)


async def build(app: App, settings: Settings) -> None:
    """Resources, gRPC, mail listeners, the relay."""
    channels = (lmtp.CHANNEL, CHANNEL)
    metrics.declare(channels)
    db = await app.open(Database(settings.database_url, service="intake"))
    bus = await app.open(Bus(settings.nats_url, service="intake", replicas=settings.stream_replicas))
    desk = handlers.Desk(
        vault=await app.open(Vault(settings.objects)),
        mailboxes=Mailboxes.of(split_list(settings.mailboxes)),
        reply_keys=reply_keys(settings),
        duplicate_window=timedelta(hours=settings.duplicate_hours),
    )
    limits = Limits(size=settings.mail_max_bytes, headers=settings.mail_max_headers)
    reader = await app.open(
        Reader(limits, settings.parse_workers, settings.parse_seconds, settings.parse_memory_mb)
    )
    receive = partial(handlers.receive_mail, desk=desk)
    bounds = lmtp_rules(settings)
    inner = lmtp.Door(db, reader, desk.mailboxes, receive, bounds, per_recipient=True)
    public = replace(bounds, peer_per_minute=settings.peer_per_minute)
    outer = lmtp.Door(db, reader, desk.mailboxes, receive, public, per_recipient=False)
    lmtp_in = await app.open(lmtp.Listener(inner, settings.host, settings.lmtp_port))
    smtp_in = await app.open(lmtp.Listener(outer, settings.host, settings.smtp_port))
    log.info("taking mail", lmtp_port=lmtp_in.port, smtp_port=smtp_in.port, mailboxes=settings.mailboxes)
    permitted = roles_of(SERVICE, access)
    app.serve_grpc(
        add_IntakeServiceServicer_to_server, IntakeApi(db, desk), SERVICE.full_name, permitted=permitted
    )
    app.spawn("pulse", pulse(db, channels))
    app.spawn("relay", relay_outbox(db, bus))


def lmtp_rules(settings: Settings) -> lmtp.Rules:
    """The bounds of the listeners."""
    return lmtp.Rules(
        max_bytes=settings.mail_max_bytes,
        max_recipients=settings.mail_max_recipients,
        connections=settings.connections,
        idle_seconds=settings.idle_seconds,
    )


def reply_keys(settings: Settings) -> str:
    """The signing keys. Raises RuntimeError without one: answers could not be told from forgeries."""
    keys = settings.reply_keys.get_secret_value()
    if not keys.strip(" ,"):
        raise RuntimeError("TICKDESK_INTAKE_REPLY_KEYS must be set, to the same value as notifier's")
    return keys


def main() -> None:
    """Entry of `python -m intake`."""
    run("intake", Settings, build, migrations="intake.migrations")
