"""The composition root of notifier."""

from datetime import timedelta
from functools import partial

from chassis.bus import Bus
from chassis.db import Database
from chassis.guard import roles_of
from chassis.outbox import relay_outbox
from chassis.run import App, run
from notifier.adapters.files import Files, Source
from notifier.adapters.mail import Desk, Mail, Relay
from notifier.adapters.webhook import Webhooks
from notifier.consumers import subscriptions
from notifier.domain import Endpoint, Rules
from notifier.grpc_api import SERVICE, NotifierApi
from notifier.loop import deliver, forget, lanes, measure, ring
from notifier.settings import Settings, secret_key
from tickdesk.common.v1.access_pb2 import access
from tickdesk.notifier.v1.notifier_service_pb2_grpc import add_NotifierServiceServicer_to_server

# An attempt has this long after its own deadline to write its outcome before another worker repeats it.
_LEASE_MARGIN = 5.0


async def build(app: App, settings: Settings) -> None:
    """Resources, gRPC, consumers, loops."""
    db = await app.open(Database(settings.database_url, service="notifier", pool_size=16))
    bus = await app.open(Bus(settings.nats_url, service="notifier", replicas=settings.stream_replicas))
    chosen = rules(settings)
    relay = Relay.of(settings.smtp_url.get_secret_value())
    mail = await app.open(Mail(relay, desk(settings), await app.open(files(settings)), settings.send_seconds))
    private = settings.webhook_allow_private
    hooks = await app.open(Webhooks(chosen.endpoints, settings.webhook_seconds, allow_private=private))
    leases = (
        timedelta(seconds=settings.send_seconds + _LEASE_MARGIN),
        timedelta(seconds=settings.webhook_seconds + _LEASE_MARGIN),
    )
    ways = lanes(
        mail, hooks, (settings.smtp_connections, settings.webhook_connections), leases, chosen.digest_window
    )
    permitted = roles_of(SERVICE, access)
    app.serve_grpc(
        add_NotifierServiceServicer_to_server, NotifierApi(db, chosen), SERVICE.full_name, permitted=permitted
    )
    app.consume(bus, db, subscriptions(chosen, partial(ring, ways)))
    for number, way in enumerate(ways):
        app.spawn(f"deliver:{number}", deliver(db, way, chosen.first_retry))
    app.spawn("measure", measure(db))
    app.spawn("forget", forget(db, timedelta(days=settings.keep_days)))
    app.spawn("relay", relay_outbox(db, bus))


def desk(settings: Settings) -> Desk:
    """How letters are signed. Raises RuntimeError without a key: answers could not be told from forgeries."""
    keys = settings.reply_keys.get_secret_value()
    if not keys.strip(" ,"):
        raise RuntimeError("TICKDESK_NOTIFIER_REPLY_KEYS must be set, to the same value as intake's")
    return Desk(keys, settings.default_from, settings.default_timezone)


def files(settings: Settings) -> Files:
    """The way to intake's store."""
    secret = settings.intake_token or settings.tokens.get("service:notifier")
    # While a token is rotated there are two; callers use the new one.
    token = secret.get_secret_value().partition(",")[0].strip() if secret else ""
    source = Source(settings.intake_target, token, str(settings.intake_ca) if settings.intake_ca else None)
    return Files(source, settings.files_max_bytes)


def rules(settings: Settings) -> Rules:
    """What handlers need to know of the settings."""
    return Rules(
        promise_wait=timedelta(seconds=settings.promise_wait_seconds),
        replies_per_hour=settings.auto_replies_per_hour,
        replies_per_minute=settings.auto_replies_per_minute,
        robot_letters_per_hour=settings.robot_letters_per_hour,
        notices_per_minute=settings.notices_per_minute,
        digest_window=timedelta(seconds=settings.digest_seconds),
        first_retry=timedelta(seconds=settings.retry_seconds),
        keep_trying=timedelta(hours=settings.retry_hours),
        language=settings.default_language,
        own_domains=frozenset(one.strip().lower() for one in settings.own_domains.split(",") if one.strip()),
        endpoints=tuple(
            Endpoint(
                hook.url,
                secret_key(hook.secret),
                frozenset(hook.events),
                name=hook.name,
                format=hook.format,
                chat_id=hook.chat_id,
            )
            for hook in settings.webhooks
        ),
    )


def main() -> None:
    """Entry of `python -m notifier`."""
    run("notifier", Settings, build, migrations="notifier.migrations")
