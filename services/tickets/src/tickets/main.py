"""The composition root of tickets."""

from pydantic import SecretStr

from chassis.bus import Bus
from chassis.db import Database
from chassis.guard import roles_of
from chassis.outbox import relay_outbox
from chassis.run import App, run
from tickdesk.common.v1.access_pb2 import access
from tickdesk.tickets.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from tickdesk.tickets.v1.bulk_service_pb2_grpc import add_BulkServiceServicer_to_server
from tickdesk.tickets.v1.conversation_service_pb2_grpc import add_ConversationServiceServicer_to_server
from tickdesk.tickets.v1.customers_service_pb2_grpc import add_CustomerServiceServicer_to_server
from tickdesk.tickets.v1.escalation_service_pb2_grpc import add_EscalationServiceServicer_to_server
from tickdesk.tickets.v1.export_service_pb2_grpc import add_ExportServiceServicer_to_server
from tickdesk.tickets.v1.importing_service_pb2_grpc import add_ImportServiceServicer_to_server
from tickdesk.tickets.v1.incident_service_pb2_grpc import add_IncidentServiceServicer_to_server
from tickdesk.tickets.v1.knowledge_service_pb2_grpc import add_KnowledgeServiceServicer_to_server
from tickdesk.tickets.v1.links_service_pb2_grpc import add_LinkServiceServicer_to_server
from tickdesk.tickets.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from tickdesk.tickets.v1.reports_service_pb2_grpc import add_ReportServiceServicer_to_server
from tickdesk.tickets.v1.setup_service_pb2_grpc import add_SetupServiceServicer_to_server
from tickdesk.tickets.v1.tickets_service_pb2_grpc import add_TicketServiceServicer_to_server
from tickdesk.tickets.v1.triggers_service_pb2_grpc import add_TriggerServiceServicer_to_server
from tickdesk.tickets.v1.watch_service_pb2_grpc import add_WatchServiceServicer_to_server
from tickets.consumers import subscriptions
from tickets.grpc_api import (
    audit,
    bulk,
    conversation,
    customers,
    escalation,
    export,
    importing,
    incident,
    knowledge,
    links,
    query,
    reports,
    setup,
    tickets,
    triggers,
    watch,
)
from tickets.handlers.watch import Feed
from tickets.loop import (
    close_expired,
    count_open,
    follow_incidents,
    forget_bulks,
    run_bulks,
    run_schedules,
    spread_customers,
    spread_organisations,
    watch_bursts,
)
from tickets.settings import Settings


async def build(app: App, settings: Settings) -> None:
    """Wire the service; component tests call the same."""
    url = settings.database_url
    db = await app.open(Database(url, service="tickets"))
    searching = await app.open(reading_database(url, settings.search_seconds, settings.search_connections))
    reporting = await app.open(reading_database(url, settings.report_seconds, settings.report_connections))
    bus = await app.open(Bus(settings.nats_url, service="tickets", replicas=settings.stream_replicas))
    feed = Feed(db, bus, settings.max_watches)
    for add, servicer, service in (
        (add_TicketServiceServicer_to_server, tickets.TicketApi(db), tickets.SERVICE),
        (add_SetupServiceServicer_to_server, setup.SetupApi(db), setup.SERVICE),
        (add_QueryServiceServicer_to_server, query.QueryApi(db, searching), query.SERVICE),
        (add_ReportServiceServicer_to_server, reports.ReportApi(reporting), reports.SERVICE),
        (add_CustomerServiceServicer_to_server, customers.CustomerApi(db), customers.SERVICE),
        (add_KnowledgeServiceServicer_to_server, knowledge.KnowledgeApi(db), knowledge.SERVICE),
        (add_EscalationServiceServicer_to_server, escalation.EscalationApi(db), escalation.SERVICE),
        (add_IncidentServiceServicer_to_server, incident.IncidentApi(db), incident.SERVICE),
        (add_LinkServiceServicer_to_server, links.LinkApi(db), links.SERVICE),
        (add_ConversationServiceServicer_to_server, conversation.ConversationApi(db), conversation.SERVICE),
        (add_TriggerServiceServicer_to_server, triggers.TriggerApi(db), triggers.SERVICE),
        (add_AuditServiceServicer_to_server, audit.AuditApi(db), audit.SERVICE),
        (add_ExportServiceServicer_to_server, export.ExportApi(db), export.SERVICE),
        (add_ImportServiceServicer_to_server, importing.ImportApi(db), importing.SERVICE),
        (add_BulkServiceServicer_to_server, bulk.BulkApi(db), bulk.SERVICE),
        (add_WatchServiceServicer_to_server, watch.WatchApi(db, feed, lambda: app.draining), watch.SERVICE),
    ):
        app.serve_grpc(add, servicer, service.full_name, permitted=roles_of(service, access))
    app.consume(bus, db, subscriptions(settings.default_queue))
    app.spawn("relay", relay_outbox(db, bus))
    app.spawn("watch", feed.run())
    app.spawn("close", close_expired(db, settings))
    app.spawn("incidents", follow_incidents(db, settings))
    app.spawn("bulks", run_bulks(db, settings))
    app.spawn("old bulks", forget_bulks(db, settings))
    app.spawn("bursts", watch_bursts(db, settings))
    app.spawn("organisations", spread_organisations(db, settings))
    app.spawn("customers", spread_customers(db, settings))
    app.spawn("rules", run_schedules(db, settings))
    app.spawn("count", count_open(db, settings))


def reading_database(url: SecretStr, seconds: float, connections: int) -> Database:
    """Few connections that only read: a costly query ends by then and never keeps a ticket waiting."""
    server_settings = {
        "statement_timeout": str(int(seconds * 1000)),
        # Plans are made for the values that are asked: one for all of them would fit none.
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        # Pages are in memory or on disks that seek at once: a word's tickets are not worth a walk past all.
        "random_page_cost": "2",
        # Starting helpers takes longer than what they would help with.
        "max_parallel_workers_per_gather": "0",
    }
    return Database(
        url, "tickets", pool_size=connections, wait_seconds=max(5.0, seconds), server_settings=server_settings
    )


def main() -> None:
    """Run `python -m tickets [serve|migrate]`."""
    run("tickets", Settings, build, migrations="tickets.migrations")
