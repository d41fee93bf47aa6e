"""Who may call what with which ticket, asked of every method that there is (faults 5: IDOR)."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa

from services.tickets.tests import builders, matrix
from services.tickets.tests.builders import COMMANDS, Desk, furnish
from services.tickets.tests.conftest import Start
from services.tickets.tests.matrix import Scene
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import ticket_pb2
from tickets.domain.rights import Grant
from tickets.store.rights import put_grants

BAD, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
SEES_NOTHING = ("agent:frank", "lead:fred", "agent:nora")
"""Of another queue; an agent and a lead. Of the queue, without a right in it."""
LOOKS_ONLY = ("agent:vera",)
CALLERS = (*builders.ROLES, *SEES_NOTHING, *LOOKS_ONLY)
ROLE, RIGHTS, UNSEEN = (
    ("PERMISSION_DENIED", "ROLE_NOT_PERMITTED"),
    ("PERMISSION_DENIED", "RIGHTS_MISSING"),
    ("NOT_FOUND", "TICKET_NOT_FOUND"),
)
BROKEN = ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "UNAUTHENTICATED", "DEADLINE_EXCEEDED")


@pytest.fixture
async def desk(start: Start) -> Desk:
    """Two queues; in SUP everybody may everything but vera, who may look, and nora, who may nothing."""
    desk = await start(callers=CALLERS)
    await furnish(desk)
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    for agent in (
        ticket_pb2.Agent(id="frank", name="Frank", queues=["OTH"], active=True),
        ticket_pb2.Agent(id="fred", name="Fred", queues=["OTH"], leads=[common.LINE_L1], active=True),
        ticket_pb2.Agent(id="vera", name="Vera", active=True),
        ticket_pb2.Agent(id="nora", name="Nora", active=True),
    ):
        await desk.call("PutAgent", "admin:demo", agent=agent)
    theirs = Grant(agents=("anna", "boris", "dina"), create=True, view=True, edit=True)
    async with desk.db.tx() as tx:
        await put_grants(tx, "SUP", [theirs, Grant(agents=("vera",), view=True)])
    return desk


async def a_scene(desk: Desk) -> tuple[Scene, list[bytes]]:
    """A ticket of SUP with a note, and what nobody else may find in an answer."""
    marks = [f"{word}-{uuid4().hex}" for word in ("subject", "text", "note")]
    ticket = await desk.create(subject=marks[0], text=marks[1])
    await desk.call("AddNote", ticket=ticket.id, text=marks[2])
    return Scene(ticket, await desk.create()), [each.encode() for each in (*marks, ticket.id, ticket.key)]


def refusal_of(method: Any, who: str, request: Any) -> tuple[str, str] | None:
    """What the contract's roles and the rights of the queue refuse; None when it is allowed."""
    if who.partition(":")[0] not in matrix.roles_of(method):
        return ROLE
    if method.name == "CreateTicket" and who in (*SEES_NOTHING, *LOOKS_ONLY):
        return RIGHTS
    if not getattr(request, "ticket", ""):
        return None
    if who in SEES_NOTHING:
        return UNSEEN
    changed = matrix.changes(method) and method.name not in matrix.ELSEWHERE
    return RIGHTS if who in LOOKS_ONLY and changed else None


async def contents(desk: Desk) -> dict[str, Any]:
    """Every row of every table, as a digest; of events only which there are."""
    tables = "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    found = {}
    async with desk.db.tx() as tx:
        for table in sorted((await tx.execute(sa.text(tables))).scalars()):
            row = "t.id::text" if table == "outbox" else "t::text"
            digest = sa.text(f"select md5(string_agg({row}, '' order by {row})) from \"{table}\" t")
            found[table] = (await tx.execute(digest)).scalar()
    return found


async def asked(
    desk: Desk, who: str, scene: Scene, *, refused: bool
) -> AsyncIterator[tuple[Any, Any, tuple[str, str] | None]]:
    for method in await matrix.served(desk):
        request = matrix.request_of(method, scene)
        expected = refusal_of(method, who, request)
        if refused == (expected is not None):
            yield method, request, expected


@pytest.mark.parametrize("who", CALLERS)
async def test_each_caller_is_refused_what_roles_and_rights_refuse_and_changes_nothing(
    desk: Desk, who: str
) -> None:
    """YT-03, YT-20: and what is refused tells nothing of the ticket either."""
    scene, marks = await a_scene(desk)
    before, wrong = await contents(desk), {}
    async for method, request, expected in asked(desk, who, scene, refused=True):
        outcome = await matrix.ask(desk, who, method, request)
        leaks = [mark for mark in marks if mark in outcome.told and mark not in request.SerializeToString()]
        if (outcome.code, outcome.reason) != expected or leaks:
            wrong[method.name] = (outcome, leaks)
    assert wrong == {}
    assert await contents(desk) == before


@pytest.mark.parametrize("who", CALLERS)
async def test_each_caller_may_do_all_that_nothing_refuses(desk: Desk, who: str) -> None:
    """And whoever sees nothing of a queue finds nothing of its tickets in any answer."""
    wrong = {}
    scene, marks = await a_scene(desk)
    async for method, request, _ in asked(desk, who, scene, refused=False):
        if matrix.changes(method):
            scene = (await a_scene(desk))[0]
            request = matrix.request_of(method, scene)
        outcome = await matrix.ask(desk, who, method, request)
        hidden = marks if who in SEES_NOTHING else []
        leaks = [mark for mark in hidden if mark in outcome.told and mark not in request.SerializeToString()]
        if outcome.code in BROKEN or (outcome.code, outcome.reason) in (ROLE, RIGHTS, UNSEEN) or leaks:
            wrong[method.name] = (outcome, leaks)
    assert wrong == {}


async def test_an_agent_acts_for_nobody_else_but_a_lead_may(desk: Desk) -> None:
    ticket = await desk.create()
    for method, fields in COMMANDS.items():
        refusal = await desk.refusal(method, ticket=ticket.id, agent_id="boris", **fields)
        assert (refusal.code, refusal.reason) == (DENIED, "AGENT_ID_NOT_YOURS"), method
    answer = await desk.call("TakeTicket", "lead:olga", ticket=ticket.id, agent_id="boris")
    assert answer.ticket.assignee == "boris"
    nameless = await desk.refusal("ReplyToTicket", "admin:demo", ticket=ticket.id, text="Hi")
    assert (nameless.code, nameless.fields) == (BAD, ["agent_id"])
    ghost = await desk.refusal("TakeTicket", "admin:demo", ticket=ticket.id, agent_id="ghost")
    assert ghost.reason == "AGENT_NOT_FOUND"


async def test_somebody_who_left_sees_nothing_any_more(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("PutAgent", "admin:demo", agent=ticket_pb2.Agent(id="boris", name="Boris", active=False))
    for method, fields in (
        ("GetTicket", {"ticket": ticket.id}),
        ("ListTickets", {}),
        ("TakeTicket", {"ticket": ticket.id}),
    ):
        refusal = await desk.refusal(method, "agent:boris", **fields)
        assert refusal.reason == "AGENT_NOT_FOUND", method
