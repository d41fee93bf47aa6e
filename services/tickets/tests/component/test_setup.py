"""Setups of queues over RPCs: versions, faults, templates, and what verbs do in other workflows."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, furnish
from services.tickets.tests.component.test_flow import of_calls, statements
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import access_pb2
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import (
    events_pb2,
    fields_pb2,
    label_pb2,
    setup_pb2,
    ticket_pb2,
    timeline_pb2,
    workflow_pb2,
)
from tickets.handlers import setup as handlers
from tickets.store import setup as store

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


async def setup_of(desk: Desk, queue: str = "SUP", version: int = 0) -> setup_pb2.Setup:
    found: setup_pb2.Setup = (await desk.call("GetSetup", queue=queue, version=version)).setup
    return found


async def put(desk: Desk, setup: setup_pb2.Setup, **fields: Any) -> Any:
    return await desk.call("PutSetup", "lead:olga", setup=setup, **fields)


def a_status(key: str, kind: timeline_pb2.StatusKind.ValueType, **fields: Any) -> workflow_pb2.Status:
    return workflow_pb2.Status(key=key, kind=kind, name=label_pb2.Label(en=key), **fields)


async def with_triage(desk: Desk) -> setup_pb2.Setup:
    """The default with one more status between new and in progress."""
    setup = await setup_of(desk)
    setup.workflow.statuses.append(a_status("triage", timeline_pb2.STATUS_KIND_NEW))
    setup.workflow.transitions.add(to="triage")
    return setup


async def test_a_queue_that_nobody_set_up_works_like_the_template_lines(desk: Desk) -> None:
    """YT-01, CA-08."""
    setup = await setup_of(desk)
    assert (setup.queue, setup.version, setup.HasField("actor")) == ("SUP", 0, False)
    keys = [each.key for each in setup.workflow.statuses]
    assert keys == ["new", "in_progress", "waiting", "escalated", "resolved", "closed"]
    assert (await desk.call("ListSetups", queue="SUP")).setups == []


async def test_a_setup_is_put_listed_and_put_back(desk: Desk) -> None:
    """MP-03: statuses come and go without a release, and every version stays."""
    first = await with_triage(desk)
    one = (await put(desk, first)).setup
    assert (one.version, one.actor.id, one.workflow) == (1, "olga", first.workflow)
    ticket = await desk.create()
    moved = await desk.call("ChangeTicketStatus", ticket=ticket.id, status="triage")
    assert (moved.ticket.status, moved.ticket.status_kind) == ("triage", timeline_pb2.STATUS_KIND_NEW)
    await desk.call("TakeTicket", ticket=ticket.id)
    back = await setup_of(desk)
    del back.workflow.statuses[-1], back.workflow.transitions[-1]
    assert (await put(desk, back)).setup.version == 2
    refused = await desk.refusal("ChangeTicketStatus", ticket=ticket.id, status="triage")
    assert (refused.code, refused.fields) == (BAD, ["status"])
    page = await desk.call("ListSetups", queue="SUP", page_size=1)
    rest = await desk.call("ListSetups", queue="SUP", page_token=page.next_page_token)
    assert [each.version for each in (*page.setups, *rest.setups)] == [2, 1]
    assert (await setup_of(desk, version=1)).workflow == first.workflow
    told = [await desk.watch.next(events_pb2.QueueChanged) for _ in range(3)]
    assert [(each.queue.version, each.queue.setup_version) for each in told] == [(1, 0), (2, 1), (3, 2)]


async def test_a_field_that_comes_back_keeps_its_type_while_a_ticket_holds_a_value_of_it(desk: Desk) -> None:
    """YT-03: taken away first and added anew, it would be what its values are not."""
    setup = await setup_of(desk)
    for key in ("sum", "free"):
        setup.fields.add(key=key, type=fields_pb2.FIELD_TYPE_TEXT).name.en = key
    await put(desk, setup)
    ticket = await desk.create(fields={"sum": ticket_pb2.FieldValue(text="nine")})
    setup = await setup_of(desk)
    del setup.fields[:]
    await put(desk, setup)
    setup = await setup_of(desk)
    for key in ("sum", "free"):
        setup.fields.add(key=key, type=fields_pb2.FIELD_TYPE_NUMBER).name.en = key
    refused = await desk.refusal("PutSetup", "lead:olga", setup=setup)
    assert (refused.reason, refused.fields) == ("SETUP_INVALID", ["setup.fields[0].type"])
    assert (await setup_of(desk)).version == 2
    await desk.call("UpdateTicket", ticket=ticket.id, clear_fields=["sum"])
    assert (await put(desk, setup)).setup.version == 3


async def test_a_queue_gets_no_line_that_its_setup_does_not_serve_nor_a_setup_that_serves_too_few(
    desk: Desk,
) -> None:
    """YT-14: a ticket there would have no status to go to."""
    low = ticket_pb2.Queue(key="LOW", name="Low", first_line=common.LINE_L1, last_line=common.LINE_L2)
    await desk.call("PutQueue", "admin:demo", queue=low)
    setup = await setup_of(desk, "LOW")
    kinds = {each.key: each.kind for each in setup.workflow.statuses}
    del setup.workflow.statuses[:], setup.workflow.transitions[:]
    for line in (common.LINE_L1, common.LINE_L2):
        for key, kind in kinds.items():
            setup.workflow.statuses.append(a_status(f"{key}_{line}", kind, line=line))
            setup.workflow.transitions.add(to=f"{key}_{line}")
    await put(desk, setup)
    low.last_line = common.LINE_L3
    refused = await desk.refusal("PutQueue", "admin:demo", queue=low)
    assert (refused.code, set(refused.fields)) == (BAD, {"queue.last_line"})
    setup.queue, setup.version = "SUP", 0
    refused = await desk.refusal("PutSetup", "lead:olga", setup=setup)
    assert (refused.reason, set(refused.fields)) == ("SETUP_INVALID", {"setup.workflow.statuses"})


async def test_the_same_setup_again_changes_nothing_and_the_same_call_again_answers_the_same(
    desk: Desk,
) -> None:
    setup = await setup_of(desk)
    assert (await put(desk, setup)).setup.version == 0
    wanted = await with_triage(desk)
    answers = [await put(desk, wanted, request_id="put-once-1") for _ in range(2)]
    assert [each.setup.version for each in answers] == [1, 1]
    assert len((await desk.call("ListSetups", queue="SUP")).setups) == 1


async def test_a_setup_made_from_an_old_version_is_refused_with_the_present_one(desk: Desk) -> None:
    stale = await with_triage(desk)
    await put(desk, stale)
    refused = await desk.refusal("PutSetup", "lead:olga", setup=stale)
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "STALE_VERSION")
    assert refused.metadata["version"] == "1"


async def test_of_two_who_put_at_once_one_wins(desk: Desk) -> None:
    setup = await with_triage(desk)
    other = setup_pb2.Setup()
    other.CopyFrom(setup)
    other.workflow.statuses[-1].name.en = "Sorting"
    told = await asyncio.gather(put(desk, setup), put(desk, other), return_exceptions=True)
    lost = [each for each in told if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [grpc.StatusCode.ABORTED]
    assert [each.version for each in (await desk.call("ListSetups", queue="SUP")).setups] == [1]


async def test_all_faults_are_told_with_their_paths_and_nothing_changes(desk: Desk) -> None:
    setup = await setup_of(desk)
    setup.workflow.transitions.add(to="gone", required=["fields.nothing"])
    setup.workflow.transitions.add(to="waiting", **{"from": ["closed"]})
    refused = await desk.refusal("PutSetup", "lead:olga", setup=setup)
    assert (refused.code, refused.reason) == (BAD, "SETUP_INVALID")
    paths = ["transitions[6].to", "transitions[6].required[0]", "transitions[7].from[0]"]
    assert refused.fields == [f"setup.workflow.{each}" for each in paths]
    checked = await desk.call("CheckSetup", "lead:olga", setup=setup)
    assert [each.path for each in checked.findings] == [f"workflow.{each}" for each in paths]
    assert (await setup_of(desk)).version == 0


async def test_more_than_seven_statuses_are_taken_with_a_warning(desk: Desk) -> None:
    """CA-08: five to seven at most."""
    setup = await setup_of(desk)
    for key in ("triage", "parked"):
        setup.workflow.statuses.append(a_status(key, timeline_pb2.STATUS_KIND_NEW))
        setup.workflow.transitions.add(to=key)
    warnings = (await put(desk, setup)).warnings
    assert [each.path for each in warnings] == ["workflow.statuses"]
    assert warnings[0].severity == setup_pb2.SetupFinding.SEVERITY_WARNING


async def test_a_status_that_tickets_are_in_stays(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    setup = await setup_of(desk)
    del setup.workflow.statuses[2], setup.workflow.transitions[2]
    del setup.workflow.transitions[2].__getattribute__("from")[2]
    del setup.workflow.transitions[3].__getattribute__("from")[2]
    refused = await desk.refusal("PutSetup", "lead:olga", setup=setup)
    assert (refused.reason, refused.fields) == ("SETUP_INVALID", ["setup.workflow.statuses"])
    assert "waiting" in refused.message
    await desk.call("TakeTicket", ticket=ticket.id)
    assert (await put(desk, setup)).setup.version == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"queue": "NONE"}, "QUEUE_NOT_FOUND"), ({"queue": "SUP", "version": 7}, "SETUP_NOT_FOUND")],
)
async def test_what_is_not_there_is_not_found(desk: Desk, fields: dict[str, Any], reason: str) -> None:
    refused = await desk.refusal("GetSetup", **fields)
    assert (refused.code, refused.reason) == (MISSING, reason)


async def test_only_leads_and_admins_put_setups(desk: Desk) -> None:
    setup = await setup_of(desk)
    for method, fields in (("PutSetup", {"setup": setup}), ("CreateQueue", {"key": "NEW"})):
        refused = await desk.refusal(method, "agent:anna", **fields)
        assert refused.reason == "ROLE_NOT_PERMITTED"


async def test_a_page_token_of_another_list_is_refused(desk: Desk) -> None:
    refused = await desk.refusal("ListSetups", queue="SUP", page_token="x")
    assert (refused.code, refused.reason) == (BAD, "PAGE_TOKEN_INVALID")


async def test_a_queue_is_made_out_of_each_template(desk: Desk) -> None:
    """YT-01: types and statuses are ready, tickets can be opened at once."""
    templates = (await desk.call("ListQueueTemplates")).templates
    for index, template in enumerate(templates):
        key = f"Q{index}"
        made = await desk.call(
            "CreateQueue", "lead:olga", key=key, name=template.name.en, template=template.key
        )
        assert (made.queue.key, made.queue.version, made.queue.setup_version) == (key, 2, 1)
        assert made.setup.workflow == template.setup.workflow
        ticket = await desk.create(queue=key)
        assert ticket.status == next(
            each.key for each in template.setup.workflow.statuses if each.kind == timeline_pb2.STATUS_KIND_NEW
        )
    assert [each.key for each in templates] == sorted(each.key for each in templates)


async def test_putting_a_queue_leaves_its_setup(desk: Desk) -> None:
    await put(desk, await with_triage(desk))
    queue = next(each for each in (await desk.call("ListQueues")).queues)
    queue.name, queue.setup_version = "Renamed", 9
    answer = await desk.call("PutQueue", "admin:demo", queue=queue)
    assert (answer.queue.name, answer.queue.setup_version) == ("Renamed", 1)
    assert (await setup_of(desk)).workflow.statuses[-1].key == "triage"


async def test_queues_out_of_templates_refuse_bad_input(desk: Desk) -> None:
    wanted = {"key": "BIL", "name": "Billing", "template": "lines"}
    unknown = await desk.refusal("CreateQueue", "lead:olga", **{**wanted, "template": "magic"})
    assert (unknown.code, unknown.reason) == (MISSING, "TEMPLATE_NOT_FOUND")
    exists = await desk.refusal("CreateQueue", "lead:olga", **{**wanted, "key": "SUP"})
    assert (exists.code, exists.reason) == (grpc.StatusCode.ALREADY_EXISTS, "QUEUE_EXISTS")
    taken = await desk.refusal("CreateQueue", "lead:olga", **wanted, addresses=["help@desk.example"])
    assert taken.reason == "ADDRESS_TAKEN"
    address = await desk.refusal("CreateQueue", "lead:olga", **wanted, addresses=["nonsense"])
    assert address.fields == ["queue.addresses[0]"]
    assert [each.key for each in (await desk.call("ListQueues")).queues] == ["SUP"]


async def test_of_two_who_make_a_queue_at_once_one_wins(desk: Desk) -> None:
    made = await asyncio.gather(
        *(
            desk.call("CreateQueue", "lead:olga", key="BIL", name=name, template="lines")
            for name in ("One", "Two")
        ),
        return_exceptions=True,
    )
    lost = [each for each in made if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [grpc.StatusCode.ALREADY_EXISTS]


async def test_a_screen_names_what_is_missing_and_lets_go_once_it_is_filled_in(desk: Desk) -> None:
    """CP-07, CP-08: New, Open, In progress, Resolved, Closed; opening asks for the error."""
    queue = {"key": "PUSH", "name": "Push", "addresses": ["push@desk.example"]}
    await desk.call("CreateQueue", "lead:olga", **queue, template="chatpush")
    ticket = await desk.create(queue="PUSH")
    refused = await desk.refusal("TakeTicket", ticket=ticket.id)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FIELDS_MISSING")
    assert refused.fields == ["fields.error_time", "fields.error_description"]
    assert refused.metadata["missing"] == "fields.error_time, fields.error_description"
    assert (await desk.ticket(ticket.id)).version == ticket.version
    form = {"error_time": "2026-11-22T09:03:00Z", "error_description": "500"}
    await desk.receive(account="push@desk.example", fields=form)
    ticket = await desk.receive(account="push@desk.example", fields=form, subject="Again")
    verbs: list[tuple[str, dict[str, Any], str]] = [
        ("TakeTicket", {}, "open"),
        ("ChangeTicketStatus", {"status": "in_progress"}, "in_progress"),
        ("ResolveTicket", {}, "resolved"),
        ("CloseTicket", {}, "closed"),
        ("ReopenTicket", {}, "open"),
    ]
    for verb, fields, status in verbs:
        assert (await desk.call(verb, ticket=ticket.id, **fields)).ticket.status == status


async def test_who_may_not_move_is_told_who_may(desk: Desk) -> None:
    setup = await with_triage(desk)
    move = setup.workflow.transitions[-1]
    move.lines.append(common.LINE_L2)
    move.roles.extend([access_pb2.ROLE_AGENT, access_pb2.ROLE_ADMIN])
    await put(desk, setup)
    ticket = await desk.create()
    for who, acts in (("agent:anna", {}), ("lead:olga", {"agent_id": "dina"})):
        refused = await desk.refusal("ChangeTicketStatus", who, ticket=ticket.id, status="triage", **acts)
        assert refused.reason == "MOVER_NOT_PERMITTED"
        assert (refused.metadata["lines"], refused.metadata["roles"]) == ("L2", "admin, agent")
    moved = await desk.call("ChangeTicketStatus", "agent:dina", ticket=ticket.id, status="triage")
    assert moved.ticket.status == "triage"


async def test_a_line_that_is_a_status_follows_the_escalation(desk: Desk) -> None:
    """YT-14."""
    await desk.call("CreateQueue", "lead:olga", key="YT", name="Tracker", template="tracker")
    ticket = await desk.create(queue="YT")
    assert ticket.status == "first_line"
    await desk.call("TakeTicket", ticket=ticket.id)
    raised = await desk.call("EscalateTicket", ticket=ticket.id, reason=1)
    assert (raised.ticket.status, raised.ticket.line) == ("second_line", common.LINE_L2)
    allowed = await desk.refusal("ChangeTicketStatus", "agent:dina", ticket=ticket.id, status="first_line")
    assert "first_line" not in allowed.metadata["allowed"]


async def test_the_playbook_keeps_the_first_line_from_what_is_not_its_own(desk: Desk) -> None:
    """CA-02, CA-18: law, refunds, compensations and the rest go to the second line, for a named reason."""
    await desk.call("CreateQueue", "lead:olga", key="CRM", name="Playbook", template="crmai")
    ticket = await desk.create(queue="CRM", tags=["legal"], category="consultation")
    await desk.call("TakeTicket", ticket=ticket.id)
    refused = await desk.refusal("ResolveTicket", ticket=ticket.id)
    assert (refused.reason, refused.metadata["guard"]) == ("LINE_GUARDED", "legal")
    form = {"done": "read", "ask": "answer", "urgency": "today", "promises": "none"}
    bare = await desk.refusal("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    assert bare.reason == "CRITERION_REQUIRED"
    raised = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, form=form, criterion="no_answer")
    assert (raised.ticket.status, raised.ticket.line) == ("escalated", common.LINE_L2)
    await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    await desk.call("ResolveTicket", "agent:dina", ticket=ticket.id)


async def test_each_queue_closes_after_its_own_term(start: Start) -> None:
    """CA-09: the term is the workflow's, the setting stands in for it."""
    desk = await start(confirmation_seconds=3600, close_poll_seconds=0.05)
    await furnish(desk)
    setup = await setup_of(desk)
    setup.workflow.confirmation_term.CopyFrom(Duration(seconds=60))
    await put(desk, setup)
    await desk.call("CreateQueue", "lead:olga", key="SLOW", name="Slow", template="lines")
    quick, slow = await desk.create(), await desk.create(queue="SLOW")
    for ticket in (quick, slow):
        await desk.call("ResolveTicket", ticket=ticket.id)
    async with desk.db.tx() as tx:
        await tx.conn.exec_driver_sql(
            "update ticket set resolved_time = resolved_time - interval '2 minutes'"
        )

    async def closed() -> bool:
        return bool((await desk.ticket(quick.id)).status == "closed")

    await eventually(closed)
    assert (await desk.ticket(slow.id)).status == "resolved"


async def test_a_ticket_in_a_status_that_was_taken_away_meanwhile_goes_on(desk: Desk) -> None:
    """A move that began before the setup was put may end after it: nothing is lost by that."""
    ticket = await desk.create()
    async with desk.db.tx() as tx:
        await tx.conn.exec_driver_sql("update ticket set status = 'parked', status_kind = 3")
    taken = await desk.call("TakeTicket", ticket=ticket.id)
    assert taken.ticket.status == "in_progress"


async def test_a_setup_costs_no_statement_once_it_was_read(desk: Desk) -> None:
    """Opening a ticket takes three statements in any queue, and a verb as many as without a setup."""
    await desk.call("CreateQueue", "lead:olga", key="NEW", name="New", template="crmai")
    counts = []
    for queue in ("SUP", "NEW"):
        await desk.call("TakeTicket", ticket=(await desk.create(queue=queue)).id)
        with statements() as seen:
            ticket = await desk.create(queue=queue)
        assert len(of_calls(seen)) == 3, "\n".join(of_calls(seen))
        with statements() as seen:
            await desk.call("TakeTicket", ticket=ticket.id)
        counts.append(len(of_calls(seen)))
    assert counts[0] == counts[1]


async def test_a_process_remembers_the_setups_it_has_read(desk: Desk) -> None:
    await put(desk, await with_triage(desk))
    async with desk.db.tx() as tx:
        setup_id = (await tx.conn.exec_driver_sql("select setup_id::text from queue")).scalar_one()
        known = await handlers.setup_of(tx, setup_id)
        assert await store.workflow_of(tx, setup_id) == known.workflow
        await tx.conn.exec_driver_sql("update queue set setup_id = null")
        await tx.conn.exec_driver_sql("delete from queue_setup")
        assert await handlers.setup_of(tx, setup_id) is known
        assert await store.workflow_of(tx, setup_id) == known.workflow
