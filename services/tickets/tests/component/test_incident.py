"""Mass incidents over RPCs and events: many tickets answered as one."""

import asyncio
from typing import Any

import grpc
import pytest

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, furnish, kinds, set_up
from services.tickets.tests.component.test_export import exported
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, export_pb2, incident_pb2, ticket_pb2
from tickets.handlers import incident
from tickets.store import incident as store

BAD, STATE, MISSING = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
)
QUICK = {"incident_poll_seconds": 0.05, "burst_poll_seconds": 0.1, "incident_batch": 7}


@pytest.fixture
async def quick(start: Start) -> Desk:
    desk = await start(**QUICK)
    await furnish(desk)
    return desk


async def create_many(desk: Desk, count: int, subject: str = "Site is down") -> list[ticket_pb2.Ticket]:
    calls = (
        desk.create(subject=subject, contact=a_contact(f"{subject[:4]}{number}@client.example".lower()))
        for number in range(count)
    )
    return list(await asyncio.gather(*calls))


async def settled(desk: Desk, parent: str) -> incident_pb2.Incident:
    """The incident once all its tasks are finished."""

    async def done() -> incident_pb2.Incident | None:
        found: incident_pb2.Incident = (await desk.call("GetIncident", ticket=parent)).incident
        return found if all(each.HasField("finished_time") for each in found.tasks) else None

    found = await eventually(done, timeout=30)
    assert found is not None
    return found


async def test_fifty_requests_of_one_minute_are_handled_with_one_reply(quick: Desk) -> None:
    """KT-16: proposed by the desk, confirmed, answered and solved by one person."""
    desk = quick
    tickets = await create_many(desk, 50)
    proposed = await desk.watch.next(events_pb2.IncidentProposed, timeout=30)
    parent = proposed.ticket.id
    assert proposed.topic.startswith("words:")

    async def all_suggested() -> bool:
        return bool((await desk.call("GetIncident", ticket=parent)).incident.suggested_count == 49)

    await eventually(all_suggested, timeout=30)
    made = await desk.call("CreateIncident", ticket=parent, suggested=True)
    assert (made.ticket.incident, made.incident.child_count) == (True, 49)
    await desk.call("PrioritizeTicket", ticket=parent, priority=common.PRIORITY_CRITICAL)
    await desk.call("ReplyToTicket", ticket=parent, text="We know, it is being mended.")
    await desk.call("ResolveTicket", ticket=parent, text="It works again.")
    found = await settled(desk, parent)
    assert [(each.kind, each.done, each.total, len(each.failures)) for each in found.tasks] == [
        (incident_pb2.IncidentTask.KIND_RESOLVE, 49, 49, 0),
        (incident_pb2.IncidentTask.KIND_REPLY, 49, 49, 0),
        (incident_pb2.IncidentTask.KIND_REPLY, 49, 49, 0),
        (incident_pb2.IncidentTask.KIND_PRIORITY, 49, 49, 0),
        (incident_pb2.IncidentTask.KIND_JOIN, 49, 49, 0),
    ]
    for ticket in tickets:
        now = await desk.ticket(ticket.id)
        assert (now.status, now.priority, now.assignee) == ("resolved", common.PRIORITY_CRITICAL, "anna")
        assert now.parent_ticket_id == ("" if ticket.id == parent else parent)
        facts = [each for each in kinds(now) if each in ("priority_changed", "staff_replies", "resolved")]
        assert facts == ["priority_changed", "staff_replies", "resolved"]
    await eventually(lambda: len(desk.watch.of(events_pb2.TicketReplied)) >= 100)
    replies = desk.watch.of(events_pb2.TicketReplied)
    letters = [(each.message.address, each.message.text) for each in replies]
    assert len(letters) == len(set(letters)) == 100
    assert {address for address, _ in letters} == {each.customer.contacts[0].address for each in tickets}


async def test_what_came_later_is_suggested_and_gets_no_old_letter(quick: Desk) -> None:
    """KT-16."""
    desk = quick
    await create_many(desk, 10)
    parent = (await desk.watch.next(events_pb2.IncidentProposed, timeout=30)).ticket.id
    await desk.call("CreateIncident", ticket=parent, suggested=True)
    await desk.call("ReplyToTicket", ticket=parent, text="We know.")
    late = await desk.create(subject="Is the site down?", contact=a_contact("late@client.example"))

    async def suggested() -> list[str]:
        answer = await desk.call("ListIncidentTickets", ticket=parent, suggested=True)
        return [each.id for each in answer.tickets]

    await eventually(suggested, timeout=30)
    assert await suggested() == [late.id]
    await desk.call("AddToIncident", ticket=parent, suggested=True)
    await settled(desk, parent)
    now = await desk.ticket(late.id)
    assert (now.parent_ticket_id, "staff_replies" in kinds(now)) == (parent, False)
    await desk.call("ReplyToTicket", ticket=parent, text="Mended.")
    await settled(desk, parent)
    assert "staff_replies" in kinds(await desk.ticket(late.id))
    listed = (await desk.call("ListIncidents", queue="SUP")).incidents
    assert [(each.ticket_id, each.child_count) for each in listed] == [(parent, 10)]


async def test_what_a_rule_does_to_a_parent_is_done_to_its_children_by_no_person(quick: Desk) -> None:
    """A rule's letter stops no clock, and a rule takes no ticket."""
    desk = quick
    then = {"reply": {"texts": [{"language": "en", "text": "Mended."}]}}, {"status": "resolved"}
    rule = {"key": "mended", "when": ["TicketUpdated"], "then": then, "if": "'mended' in ticket.tags"}
    await set_up(desk, triggers=[rule])
    parent, child = await create_many(desk, 2)
    await desk.call("CreateIncident", ticket=parent.id, children=[child.id])
    await settled(desk, parent.id)
    await desk.call("UpdateTicket", ticket=parent.id, add_tags=["mended"])
    await settled(desk, parent.id)
    now = await desk.ticket(child.id)
    assert (now.status, now.assignee) == ("resolved", "")
    assert kinds(now)[-3:] == ["robot_replies", "status_changed", "resolved"]
    assert {"staff_replies", "taken"}.isdisjoint(kinds(now))


async def test_a_dismissed_topic_is_not_proposed_again(quick: Desk) -> None:
    desk = quick
    await create_many(desk, 10)
    parent = (await desk.watch.next(events_pb2.IncidentProposed, timeout=30)).ticket
    answer = await desk.call("DismissIncident", ticket=parent.id)
    assert answer.incident.state == incident_pb2.Incident.STATE_DISMISSED
    assert (await desk.call("ListIncidents")).incidents == []
    await create_many(desk, 10, "down site again")

    async def swallowed() -> bool:
        return bool((await desk.call("GetIncident", ticket=parent.id)).incident.suggested_count == 19)

    await eventually(swallowed, timeout=30)
    assert len(desk.watch.of(events_pb2.IncidentProposed)) == 1
    refusal = await desk.refusal("DismissIncident", ticket=parent.id)
    assert (refusal.code, refusal.reason) == (STATE, "NO_INCIDENT")


async def test_children_that_cannot_follow_are_listed_and_hold_nobody_up(quick: Desk) -> None:
    """KT-16: partial failure is told with its reason."""
    desk = quick
    parent, closed, plain, gone = [await desk.create(subject=name) for name in "abcd"]
    children = [closed.key, plain.id, gone.id]
    await desk.call("CreateIncident", ticket=parent.id, children=children)
    await settled(desk, parent.id)
    await desk.call("ResolveTicket", ticket=closed.id)
    await desk.call("CloseTicket", ticket=closed.id)
    left = await desk.call("RemoveFromIncident", ticket=parent.id, children=[gone.key])
    assert left.incident.child_count == 2
    assert (await desk.ticket(gone.id)).parent_ticket_id == ""
    await desk.call("ReplyToTicket", ticket=parent.id, text="Mended.")
    task = (await settled(desk, parent.id)).tasks[0]
    assert (task.done, task.total) == (2, 2)
    assert [(each.ticket_key, each.reason) for each in task.failures] == [(closed.key, "TICKET_CLOSED")]
    assert [each.text for each in await desk.messages(plain.id)][-1] == "Mended."
    assert len(await desk.messages(gone.id)) == 1
    by_child = (await desk.call("GetIncident", ticket=plain.key)).incident
    assert by_child.ticket_id == parent.id


async def test_a_failure_names_its_ticket_to_whoever_may_see_it(quick: Desk) -> None:
    """YT-03: the numbers stay, the key of another queue's ticket does not."""
    desk = quick
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    parent, ours, theirs = [await desk.create(queue=queue) for queue in ("SUP", "SUP", "OTH")]
    await desk.call("CreateIncident", ticket=parent.id, children=[ours.id, theirs.id])
    await settled(desk, parent.id)
    for child in (ours, theirs):
        await desk.call("ResolveTicket", ticket=child.id)
        await desk.call("CloseTicket", ticket=child.id)
    await desk.call("ReplyToTicket", ticket=parent.id, text="Mended.")
    task = (await settled(desk, parent.id)).tasks[0]
    assert {each.ticket_key for each in task.failures} == {ours.key, theirs.key}
    anna = ticket_pb2.Agent(id="anna", name="Anna", queues=["SUP"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=anna)
    task = (await desk.call("GetIncident", ticket=parent.id)).incident.tasks[0]
    assert ([each.ticket_key for each in task.failures], task.done) == ([ours.key], 2)
    olga = ticket_pb2.Agent(id="olga", name="Olga", queues=["SUP"], leads=[common.LINE_L1], active=True)
    await desk.call("PutAgent", "admin:demo", agent=olga)
    for who, told in (("lead:olga", {ours.key}), ("auditor:eve", {ours.key, theirs.key})):
        found = await exported(desk, export_pb2.EXPORT_KIND_INCIDENT_TASKS, who)
        assert {each.ticket_key for one in found for each in one.incident_task.task.failures} == told, who
    await desk.call("MoveTicket", "admin:demo", ticket=theirs.id, queue="SUP")
    task = (await desk.call("GetIncident", ticket=parent.id)).incident.tasks[0]
    assert {each.ticket_key for each in task.failures} == {ours.key, theirs.key}


async def anna_works_in_sup(desk: Desk) -> None:
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    anna = ticket_pb2.Agent(id="anna", name="Anna", queues=["SUP"], lines=[common.LINE_L1], active=True)
    await desk.call("PutAgent", "admin:demo", agent=anna)


async def test_nobody_lets_a_ticket_follow_that_they_may_not_see(desk: Desk) -> None:
    """YT-03, faults 5: else they would write to its customer; a ticket there is told as one that is none."""
    await anna_works_in_sup(desk)
    parent, ours, theirs = [await desk.create(queue=queue) for queue in ("SUP", "SUP", "OTH")]
    for wanted in (theirs.key, theirs.id, "OTH-99"):
        fields: dict[str, Any] = {"ticket": parent.id, "children": [ours.key, wanted]}
        refusal = await desk.refusal("CreateIncident", **fields)
        assert (refusal.code, refusal.reason) == (BAD, "NOT_A_CHILD")
        assert refusal.fields == ["children[1]"]
    await desk.call("CreateIncident", "admin:demo", ticket=parent.id, children=[theirs.key])
    for method in ("AddToIncident", "RemoveFromIncident"):
        refusal = await desk.refusal(method, ticket=parent.id, children=[theirs.key])
        assert (refusal.code, refusal.reason) == (BAD, "NOT_A_CHILD"), method
    assert (await desk.call("GetIncident", ticket=parent.id)).incident.child_count == 1


async def test_suggested_tickets_follow_whoever_may_see_them(desk: Desk) -> None:
    """YT-03."""
    await anna_works_in_sup(desk)
    parent, ours, theirs = [await desk.create(queue=queue) for queue in ("SUP", "SUP", "OTH")]
    await desk.call("CreateIncident", "admin:demo", ticket=parent.id)
    async with desk.db.tx() as tx:
        await store.add_children(tx, parent.id, [ours.id, theirs.id], follows=False)
    await desk.call("AddToIncident", ticket=parent.id, suggested=True)
    found = (await desk.call("GetIncident", ticket=parent.id)).incident
    assert (found.child_count, found.suggested_count) == (1, 1)


async def test_whoever_lets_a_ticket_follow_needs_the_right_to_change_it(desk: Desk) -> None:
    """YT-03: also of each ticket that is let go."""
    grants = [{"component": "web", "agents": ["boris"], "edit": True}, {"agents": ["anna"], "view": True},
              {"component": "web", "agents": ["anna"], "view": True},
              {"component": "app", "agents": ["anna"], "edit": True}]  # fmt: skip
    components = [{"key": each, "name": {"en": each}} for each in ("web", "app")]
    await set_up(desk, components=components, rights={"grants": grants})
    parent = await desk.create(component="app")
    child = await desk.create(component="web")
    refusal = await desk.refusal("CreateIncident", ticket=parent.id, children=[child.key])
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RIGHTS_MISSING")
    await desk.call("CreateIncident", "admin:demo", ticket=parent.id, children=[child.key])
    refusal = await desk.refusal("RemoveFromIncident", ticket=parent.id, children=[child.key])
    assert refusal.reason == "RIGHTS_MISSING"


async def test_an_incident_is_told_by_its_parent_s_queue_to_those_who_see_the_parent(desk: Desk) -> None:
    """YT-03: a child's owner hears nothing of a parent elsewhere; a parent takes its incident along."""
    await anna_works_in_sup(desk)
    parent, child = [await desk.create(queue=queue) for queue in ("SUP", "SUP")]
    await desk.call("CreateIncident", ticket=parent.id, children=[child.key])
    moved = (await desk.call("MoveTicket", "admin:demo", ticket=parent.id, queue="OTH")).ticket
    refusal = await desk.refusal("GetIncident", ticket=child.key)
    assert (refusal.code, refusal.reason) == (MISSING, "NO_INCIDENT")
    found = (await desk.call("GetIncident", "admin:demo", ticket=child.key)).incident
    assert found.ticket_key == moved.key
    for queue, count in (("OTH", 1), ("SUP", 0)):
        listed = (await desk.call("ListIncidents", "admin:demo", queue=queue)).incidents
        assert len(listed) == count, queue


async def test_an_interrupted_task_goes_on_where_it_stopped(desk: Desk) -> None:
    """KT-16: each child exactly once, whoever works on it; here the batches are made by hand, some lost."""
    parent, *children = [await desk.create(subject=str(number)) for number in range(8)]
    async with desk.db.tx() as tx:
        while await incident.advance(tx, 10):
            pass
    await desk.call("CreateIncident", ticket=parent.id, children=[each.id for each in children])
    await settled(desk, parent.id)
    await desk.call("ReplyToTicket", ticket=parent.id, text="Mended.")

    async def batch(*, lost: bool) -> None:
        async with desk.db.tx() as tx:
            await incident.advance(tx, 2)
            if lost:
                raise ConnectionError

    for _ in range(4):
        with pytest.raises(ConnectionError):
            await batch(lost=True)
        await asyncio.gather(batch(lost=False), batch(lost=False))
    task = (await settled(desk, parent.id)).tasks[0]
    assert (task.done, task.total, len(task.failures)) == (7, 7, 0)
    for child in children:
        assert [each.text for each in await desk.messages(child.id)] == ["It burns.", "Mended."]


BAD_CHILDREN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"children": ["SUP-99"]}, "NOT_A_CHILD"),
    ({"children": ["01900000-0000-7000-8000-000000000000"]}, "NOT_A_CHILD"),
    ({"children": ["not a ticket"]}, "NOT_A_CHILD"),
    ({"children": ["x"]}, "INVALID_INPUT"),
    ({"children": ["SUP-1"]}, "NOT_A_CHILD"),
)


async def test_who_cannot_be_a_child_is_named_and_nothing_changes(desk: Desk) -> None:
    parent, child, other, third = [await desk.create(subject=name) for name in "abcd"]
    for fields, reason in BAD_CHILDREN:
        refusal = await desk.refusal("CreateIncident", ticket=parent.id, **fields)
        assert (refusal.code, refusal.reason, refusal.fields) == (BAD, reason, ["children[0]"]), fields
    assert (await desk.ticket(parent.id)).version == 1
    await desk.call("CreateIncident", ticket=parent.id, children=[child.id])
    refusal = await desk.refusal("CreateIncident", ticket=child.id, children=[other.id])
    assert (refusal.code, refusal.reason) == (STATE, "FOLLOWS_ANOTHER")
    for taken in (child.id, parent.id):
        refusal = await desk.refusal("CreateIncident", ticket=other.id, children=[third.id, taken])
        assert (refusal.reason, refusal.fields) == ("NOT_A_CHILD", ["children[1]"])
    for method in ("AddToIncident", "RemoveFromIncident"):
        refusal = await desk.refusal(method, ticket=third.id, children=[child.id])
        assert (refusal.code, refusal.reason) == (STATE, "NO_INCIDENT")
    refusal = await desk.refusal("GetIncident", ticket=third.id)
    assert (refusal.code, refusal.reason) == (MISSING, "NO_INCIDENT")
    again = await desk.call("CreateIncident", ticket=parent.id, children=[child.id])
    assert again.incident.child_count == 1
    await desk.call("ResolveTicket", ticket=third.id)
    assert (await desk.refusal("CreateIncident", ticket=third.id)).reason == "TICKET_CLOSED"


async def test_two_who_make_incidents_of_each_other_at_once_make_no_circle(desk: Desk) -> None:
    one, other = [await desk.create(subject=name) for name in "ab"]
    pairs = ((one, other), (other, one))
    calls = (desk.call("CreateIncident", ticket=a.id, children=[b.id]) for a, b in pairs)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert len([each for each in results if isinstance(each, grpc.aio.AioRpcError)]) == 1


async def test_children_move_by_the_workflow_of_their_own_queue(quick: Desk) -> None:
    """KT-16, MP-03: a child gets a status that its queue has."""
    desk = quick
    await desk.call("CreateQueue", "admin:demo", key="BOARD", name="Board", template="kaiten")
    parent = await desk.create()
    child = await desk.create(queue="BOARD", subject="Down too")
    await desk.call("CreateIncident", ticket=parent.id, children=[child.id])
    await desk.call("ResolveTicket", ticket=parent.id)
    await settled(desk, parent.id)
    now = await desk.ticket(child.id)
    assert (now.status, now.assignee, now.parent_ticket_id) == ("done", "anna", parent.id)


# What each command of lines and incidents needs beside the ticket.
COMMANDS: dict[str, dict[str, Any]] = {
    "ReturnTicket": {"reason": 1, "answer": "Done"},
    "CreateIncident": {},
    "AddToIncident": {},
    "RemoveFromIncident": {"children": ["SUP-1"]},
    "DismissIncident": {},
}


async def test_commands_refuse_unknown_and_stale_tickets_strangers_and_other_roles(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("AddNote", ticket=ticket.id, text="now it is version 2")
    for method, fields in COMMANDS.items():
        refusal = await desk.refusal(method, ticket="SUP-99", **fields)
        assert (refusal.code, refusal.reason) == (MISSING, "TICKET_NOT_FOUND"), method
        stale = await desk.refusal(method, ticket=ticket.id, version=1, **fields)
        assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "STALE_VERSION"), method
        other = await desk.refusal(method, ticket=ticket.id, agent_id="boris", **fields)
        assert (other.code, other.reason) == (grpc.StatusCode.PERMISSION_DENIED, "AGENT_ID_NOT_YOURS")
        for who in ("adapter:crm", "auditor:eve", "nobody"):
            refusal = await desk.refusal(method, who, ticket=ticket.id, **fields)
            assert refusal.reason == "ROLE_NOT_PERMITTED", (who, method)
    assert (await desk.ticket(ticket.id)).version == 2


async def test_the_same_call_again_gives_the_first_answer(desk: Desk) -> None:
    parent, child = [await desk.create(subject=name) for name in "ab"]
    call: dict[str, Any] = {"ticket": parent.id, "children": [child.id], "request_id": "request-1"}
    first = await desk.call("CreateIncident", **call)
    assert await desk.call("CreateIncident", **call) == first
    refusal = await desk.refusal("CreateIncident", **{**call, "children": []})
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert len((await settled(desk, parent.id)).tasks) == 1
