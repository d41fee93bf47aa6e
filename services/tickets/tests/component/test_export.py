"""Exports over RPCs: everything that is kept, as of one moment, for those who may read it."""

from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, set_up
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import export_pb2, export_service_pb2, ticket_pb2
from tickdesk.tickets.v1.export_pb2 import ExportKind, ExportRecord
from tickdesk.tickets.v1.importing_pb2 import ImportMessage, ImportTicket
from tickets.domain.export import Kind
from tickets.store import export as store
from tickets.store.export_sources import SOURCES

PARTS = {
    "contact": "customer",
    "conversation": "ticket",
    "organisation_domain": "organisation",
    "queue_address": "queue",
    "ticket_clock": "ticket",
}
"""Tables that come with the records of another."""
LEFT_OUT = {
    "alembic_version": "the program's",
    "inbox": "transport: what was heard",
    "outbox": "transport: what was not told yet",
    "request": "transport: answers to requests that come twice",
    "ticket_text": "made from tickets and messages",
    "word": "made from tickets and customers",
    "article_word": "made from articles",
    "ticket_span": "made from the timeline of the ticket",
    "ticket_cycle": "made from the timeline of the ticket",
    "queue_rights": "made from the setups in force",
    "agent_turn": "whose turn it is, which the next ticket changes",
    "rule_schedule": "where scheduled rules are; the setup says what they do",
    "rule_mark": "where scheduled rules are",
    "customer_spread": "where a change of a customer is",
    "organisation_spread": "where a change of an organisation is",
    "customer_merge_ticket": "serves the undoing of a merge, which this desk alone can do",
    "article_vote": "counted in the article; who voted is shown to nobody",
    "upload": "files without a message; those of messages stand there",
}
"""Tables that are not exported, and why."""
_METHOD = "/tickdesk.tickets.v1.ExportService/ExportRecords"


async def a_call(desk: Desk, who: str, kind: ExportKind.ValueType, **fields: Any) -> Any:
    if who not in desk.channels:
        desk.channels[who] = await desk.connect(who)
    request = export_service_pb2.ExportRecordsRequest(kind=kind, **fields)
    call = desk.channels[who].unary_stream(
        _METHOD,
        export_service_pb2.ExportRecordsRequest.SerializeToString,
        export_service_pb2.ExportRecordsResponse.FromString,
    )
    return call(request, timeout=30)


async def exported(
    desk: Desk, kind: ExportKind.ValueType, who: str = "admin:demo", **fields: Any
) -> list[ExportRecord]:
    return [each.record async for each in await a_call(desk, who, kind, **fields)]


async def refused(
    desk: Desk, kind: ExportKind.ValueType, who: str = "admin:demo", **fields: Any
) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exported(desk, kind, who, **fields)
    info, status = error_details_pb2.ErrorInfo(), rpc_status.from_call(caught.value)
    for detail in status.details if status else ():
        detail.Unpack(info)
    return caught.value.code().name, info.reason


async def test_tickets_come_whole_each_followed_by_its_messages(desk: Desk) -> None:
    """MP-30: nothing is kept that cannot be taken along."""
    tickets = [await desk.create(contact=a_contact(f"kim{each}@client.example")) for each in range(3)]
    await desk.call("AddNote", ticket=tickets[1].id, text="Odd")
    found = await exported(desk, export_pb2.EXPORT_KIND_TICKETS)
    assert [each.WhichOneof("record") for each in found] == [
        *("ticket", "message"),
        *("ticket", "message", "message"),
        *("ticket", "message"),
    ]
    whole = [each.ticket for each in found if each.HasField("ticket")]
    assert whole == [await desk.ticket(each.id) for each in sorted(tickets, key=lambda each: each.id)]
    said = [each.message for each in found if each.message.ticket_id == tickets[1].id]
    assert said == await desk.messages(tickets[1].id)
    assert [bool(each.page_token) for each in found] == [each.HasField("ticket") for each in found]


async def test_a_call_goes_on_from_any_token_and_only_with_the_same_request(desk: Desk) -> None:
    """MP-30: an export of a large desk survives a broken connection."""
    for number in range(4):
        await desk.create(contact=a_contact(f"kim{number}@client.example"))
    whole = await exported(desk, export_pb2.EXPORT_KIND_TICKETS)
    for index, each in enumerate(whole):
        if each.page_token:
            rest = await exported(desk, export_pb2.EXPORT_KIND_TICKETS, page_token=each.page_token)
            assert rest == whole[index:]
    token = whole[2].page_token
    for kind, fields in (
        (export_pb2.EXPORT_KIND_TICKETS, {"query": "Queue: SUP"}),
        (export_pb2.EXPORT_KIND_TICKETS, {"public_only": True}),
        (export_pb2.EXPORT_KIND_CUSTOMERS, {}),
    ):
        told = await refused(desk, kind, page_token=token, **fields)
        assert told == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def a_full_desk(desk: Desk) -> None:
    """At least one record of each kind."""
    await set_up(desk, types=["TICKET_TYPE_QUESTION", "TICKET_TYPE_WISH"])
    first, second = await desk.create(), await desk.create()
    await desk.call("LinkTickets", ticket=first.id, other=second.id, kind="LINK_KIND_RELATES")
    await desk.call(
        "PutExternalLink", ticket=first.id, url="http://127.0.0.1/1", title="Task", kind="EXTERNAL_KIND_PAGE"
    )
    await desk.call("PutOrganisation", "admin:demo", organisation={"key": "acme", "name": "Acme"})
    await desk.call("PutTeam", "admin:demo", team={"key": "billing", "name": "Billing", "members": ["anna"]})
    await desk.call("PutFilter", name="Mine", query="Assignee: me()")
    await an_article_and_its_uses(desk, first, second)
    await desk.call("SaveDraft", ticket=first.id, text="Hel")
    wish = await desk.create(type=ticket_pb2.TICKET_TYPE_WISH, contact=a_contact("lee@client.example"))
    await desk.call("VoteForWish", ticket=wish.id, contact=a_contact())
    await desk.call("CreateIncident", ticket=first.id, children=[second.id])
    await desk.call("StartBulk", action={"take": {}}, list={"tickets": [wish.id]})
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    await desk.call("MoveTicket", ticket=wish.id, queue="OTH")
    people = {"source_id": wish.customer.id, "target_id": first.customer.id}
    await desk.call("MergeCustomers", "lead:olga", **people)
    await desk.call("ImportTickets", "admin:demo", tickets=[an_old_ticket()])
    await a_result_of_a_clock(desk, first)
    assert await eventually(lambda: nothing_is_under_way(desk))


async def nothing_is_under_way(desk: Desk) -> bool:
    """Whether the background is done: records that are read twice are the same then."""
    items = await exported(desk, export_pb2.EXPORT_KIND_BULK_ITEMS)
    tasks = await exported(desk, export_pb2.EXPORT_KIND_INCIDENT_TASKS)
    async with desk.db.tx() as tx:
        spreads = (await tx.execute(sa.text("select count(*) from customer_spread"))).scalar_one()
    over = [each.bulk_item.HasField("time") for each in items]
    return not spreads and all(over + [each.incident_task.task.HasField("finished_time") for each in tasks])


async def an_article_and_its_uses(desk: Desk, first: ticket_pb2.Ticket, second: ticket_pb2.Ticket) -> None:
    content = {"kind": "ARTICLE_KIND_FAQ", "language": "en", "title": "Reset", "body": "Press."}
    made = (await desk.call("CreateArticle", key="reset", content=content)).article
    await desk.call("ChangeArticleState", article="reset", version=made.version, state=2)
    await desk.call("LinkArticle", ticket=first.id, article="reset")
    await desk.call("ReportMissingArticle", ticket=second.id, words="reset twice")


def an_old_ticket() -> ImportTicket:
    said = ImportMessage(text="It burns.", visibility=ticket_pb2.VISIBILITY_PUBLIC)
    said.author.kind = common.Actor.KIND_CUSTOMER
    old = ImportTicket(
        external_id="old:1",
        queue="SUP",
        subject="Fire",
        contact=a_contact(),
        status="closed",
        messages=[said],
    )
    old.created_time.FromSeconds(1_700_000_000)
    old.messages[0].created_time.FromSeconds(1_700_000_000)
    return old


async def a_result_of_a_clock(desk: Desk, ticket: ticket_pb2.Ticket) -> None:
    clock = clock_pb2.Clock(name="resolution", cycle=1, state=clock_pb2.CLOCK_STATE_MET)
    clock.met_time.FromSeconds(1_700_000_000)
    clock.as_of_time.FromSeconds(1_700_000_000)
    clock.elapsed.FromSeconds(600)
    ref = clock_pb2.TicketRef(id=ticket.id, version=1, line=common.LINE_L1, assignee="anna")
    await desk.tell(sla.ClockMet(ticket=ref, clock=clock))

    async def noted() -> bool:
        return bool(await exported(desk, export_pb2.EXPORT_KIND_CLOCK_RESULTS))

    assert await eventually(noted)


async def test_every_kind_is_exported_in_the_order_of_its_tokens(desk: Desk) -> None:
    """MP-30."""
    await a_full_desk(desk)
    for kind in SOURCES:
        found = await exported(desk, kind.value)  # type: ignore[arg-type]
        assert found, kind
        assert {each.WhichOneof("record") for each in found} == {kind.name.lower().removesuffix("s")}
        rest = await exported(desk, kind.value, page_token=found[-1].page_token)  # type: ignore[arg-type]
        assert rest == found[-1:], kind


async def test_a_new_table_is_exported_or_says_why_not(desk: Desk) -> None:
    """MP-30: what the service keeps is taken along unless somebody decided otherwise."""
    query = "select tablename from pg_tables where schemaname = current_schema()"
    async with desk.db.tx() as tx:
        kept = set((await tx.execute(sa.text(query))).scalars())
    sent = {source.key[0].table.name for source in SOURCES.values()} | {"ticket", "message"}
    assert not sent & PARTS.keys()
    assert not (sent | PARTS.keys()) & LEFT_OUT.keys()
    assert sent | PARTS.keys() | LEFT_OUT.keys() == kept


async def test_what_belongs_to_a_ticket_goes_where_the_ticket_goes(desk: Desk) -> None:
    """YT-03, faults 5: a lead of another queue gets no draft, vote, incident, bulk or name of it."""
    await a_full_desk(desk)
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="NEW", name="New"))
    olga = ticket_pb2.Agent(id="olga", name="Olga", queues=["NEW"], leads=[common.LINE_L1], active=True)
    await desk.call("PutAgent", "admin:demo", agent=olga)
    for kind, source in SOURCES.items():
        if source.of or kind is Kind.BULKS:
            found = await exported(desk, kind.value, "lead:olga")  # type: ignore[arg-type]
            assert not [each for each in found if each.audit.ticket_id or not each.HasField("audit")], kind


async def test_a_lead_gets_bulks_of_their_own_as_in_lists_of_bulks(desk: Desk) -> None:
    """YT-03."""
    ticket = await desk.create()
    for who in ("agent:anna", "lead:olga"):
        await desk.call("StartBulk", who, action={"note": {"text": "Odd"}}, list={"tickets": [ticket.id]})
    for kind in (export_pb2.EXPORT_KIND_BULKS, export_pb2.EXPORT_KIND_BULK_ITEMS):
        assert len(await exported(desk, kind, "lead:olga")) == 1
        assert len(await exported(desk, kind, "auditor:eve")) == 2


async def test_words_for_the_desk_alone_are_left_out_of_every_kind(desk: Desk) -> None:
    """Faults 7: a draft was not said yet, and a bulk holds the note that it writes."""
    word, ticket = f"marker-{uuid4().hex}", await desk.create()
    await desk.call("SaveDraft", ticket=ticket.id, text=word)
    for action in ({"note": {"text": word}}, {"escalate": {"form": {"ask": word}}}):
        await desk.call("StartBulk", action=action, list={"tickets": [ticket.id]})
    for kind in SOURCES:
        found = await exported(desk, kind.value, public_only=True)  # type: ignore[arg-type]
        assert not [each for each in found if word in str(each)], kind
    for internal, count in ((export_pb2.EXPORT_KIND_DRAFTS, 1), (export_pb2.EXPORT_KIND_BULKS, 2)):
        assert len([each for each in await exported(desk, internal) if word in str(each)]) == count


def test_every_kind_of_the_contract_has_its_source() -> None:
    assert {each.value for each in (*SOURCES, Kind.TICKETS)} == set(ExportKind.values()) - {0}


async def test_a_lead_gets_what_they_may_see_and_others_nothing(desk: Desk) -> None:
    """YT-03, faults 5."""
    mine = await desk.create()
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    theirs = await desk.create(queue="OTH", contact=a_contact("other@client.example"))
    olga = ticket_pb2.Agent(id="olga", name="Olga", queues=["SUP"], leads=[common.LINE_L1], active=True)
    await desk.call("PutAgent", "admin:demo", agent=olga)
    await desk.call("PutFilter", "agent:boris", name="His own", query="Assignee: me()")
    for kind in (export_pb2.EXPORT_KIND_TICKETS, export_pb2.EXPORT_KIND_AUDIT):
        told = b"".join(each.SerializeToString() for each in await exported(desk, kind, "lead:olga"))
        assert mine.id.encode() in told
        assert theirs.id.encode() not in told
    assert await exported(desk, export_pb2.EXPORT_KIND_FILTERS, "lead:olga") == []
    assert len(await exported(desk, export_pb2.EXPORT_KIND_FILTERS)) == 1
    for who in ("agent:anna", "adapter:crm", "service:sla-clock", "nobody"):
        told_to = await refused(desk, export_pb2.EXPORT_KIND_TICKETS, who)
        assert told_to == ("PERMISSION_DENIED", "ROLE_NOT_PERMITTED")


async def test_notes_are_left_out_where_that_is_asked(desk: Desk) -> None:
    """Faults 7: what is handed to somebody outside holds no word of them."""
    word = f"marker-{uuid4().hex}"
    ticket = await desk.create()
    await desk.call("AddNote", ticket=ticket.id, text=word)
    # A form is kept as a note, and stands in the ticket too while the escalation is open.
    form = ticket_pb2.EscalationForm(ask=word)
    await desk.call("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    for public_only in (False, True):
        found = await exported(desk, export_pb2.EXPORT_KIND_TICKETS, public_only=public_only)
        assert any(word.encode() in each.SerializeToString() for each in found) == (not public_only)


async def test_a_query_chooses_tickets_and_nothing_else(desk: Desk) -> None:
    first = await desk.create(subject="Printer")
    await desk.create(subject="Keyboard", contact=a_contact("other@client.example"))
    found = await exported(desk, export_pb2.EXPORT_KIND_TICKETS, query='Subject: "Printer"')
    assert [each.ticket.id for each in found if each.HasField("ticket")] == [first.id]
    told = await refused(desk, export_pb2.EXPORT_KIND_AGENTS, query="Queue: SUP")
    assert told == ("INVALID_ARGUMENT", "QUERY_NOT_OF_TICKETS")
    told = await refused(desk, export_pb2.EXPORT_KIND_TICKETS, query="Colour: red")
    assert told == ("INVALID_ARGUMENT", "QUERY_INVALID")


async def test_what_changes_meanwhile_is_not_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """MP-30: records of one export fit each other, though they are read with many statements."""
    monkeypatch.setattr(store, "_AT_ONCE", 1)
    for number in range(3):
        await desk.create(contact=a_contact(f"kim{number}@client.example"), text="x" * 200_000)
    stream = aiter(await a_call(desk, "admin:demo", export_pb2.EXPORT_KIND_TICKETS))
    await anext(stream)
    for each in (await desk.call("ListTickets")).tickets:
        await desk.call("AddNote", ticket=each.id, text="Too late")
    rest = [each.record async for each in stream]
    assert [each.WhichOneof("record") for each in rest] == [
        "message",
        "ticket",
        "message",
        "ticket",
        "message",
    ]


async def test_a_third_export_waits_for_its_turn(desk: Desk) -> None:
    for number in range(40):
        await desk.create(contact=a_contact(f"kim{number}@client.example"), text="x" * 200_000)
    running = [aiter(await a_call(desk, "admin:demo", export_pb2.EXPORT_KIND_TICKETS)) for _ in range(2)]
    for each in running:
        await anext(each)
    told = await refused(desk, export_pb2.EXPORT_KIND_AGENTS)
    assert told == ("RESOURCE_EXHAUSTED", "EXPORTS_BUSY")
    for each in running:
        assert len([one async for one in each if one.record.HasField("ticket")]) == 39
    assert await exported(desk, export_pb2.EXPORT_KIND_AGENTS)


async def test_an_export_goes_on_at_the_longest_name_and_address(desk: Desk) -> None:
    """MP-30: a broken call goes on whatever the key of its last record is."""
    ticket, old = await desk.create(), an_old_ticket()
    old.external_id = "ж" * 200
    await desk.call("ImportTickets", "admin:demo", tickets=[old])
    page = "http://127.0.0.1/" + "p" * 1980
    await desk.call("PutExternalLink", ticket=ticket.id, url=page, title="Task", kind="EXTERNAL_KIND_PAGE")
    for kind in (export_pb2.EXPORT_KIND_IMPORTED_TICKETS, export_pb2.EXPORT_KIND_EXTERNAL_LINKS):
        found = await exported(desk, kind)
        assert await exported(desk, kind, page_token=found[-1].page_token) == found[-1:]
