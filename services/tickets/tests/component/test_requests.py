"""What holds for the requests of every method: repeated, malformed, about something that is not there.

Methods and their bad values are found in the contracts, so a new method is asked without a line here.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from services.tickets.tests import matrix
from services.tickets.tests.builders import METHODS, Desk, furnish
from services.tickets.tests.component.test_access import contents
from services.tickets.tests.conftest import Start
from services.tickets.tests.matrix import Scene

CALLERS = ("lead:olga", "admin:demo", "auditor:eve")
RESTING = {f"{what}_poll_seconds": 300 for what in ("close", "spread", "incident", "burst", "bulk", "rule")}
"""The background looks once, at the start: afterwards nothing changes but by a request."""
UNKNOWN = {
    "ticket": ("SUP-999999", "TICKET_NOT_FOUND"),
    "article": ("no-such-article", "ARTICLE_NOT_FOUND"),
    "customer_id": (str(uuid4()), "CUSTOMER_NOT_FOUND"),
}
FILTERS = (("ListTickets", "customer_id"), ("ListMerges", "customer_id"))
"""Fields that narrow a list: nothing is found then."""


def caller_of(method: MethodDescriptor) -> str:
    roles = matrix.roles_of(method)
    return next(who for who in CALLERS if who.partition(":")[0] in roles)


async def a_scene(desk: Desk) -> Scene:
    return Scene(await desk.create(), await desk.create())


async def test_a_repeated_request_answers_the_same_and_changes_nothing(start: Start) -> None:
    """Whatever a method answers, it answers again; its request_id is good for nothing else."""
    desk = await start(**RESTING)
    await furnish(desk)
    done, wrong = list[str](), dict[str, object]()
    for method in filter(matrix.changes, await matrix.served(desk)):
        who, request = caller_of(method), matrix.request_of(method, await a_scene(desk))
        first = await matrix.ask(desk, who, method, request)
        before = await contents(desk)
        again = await matrix.ask(desk, who, method, request)
        after = await contents(desk)
        changed = [table for table in after if after[table] != before[table]]
        # A refusal may name an id of its own.
        if changed or (again.code, again.reason) != (first.code, first.reason):
            wrong[method.name] = (changed, first.code, first.reason, again.code, again.reason)
        elif first.code == "OK":
            done.append(method.name)
            if again.told != first.told or not await is_taken(desk, who, request):
                wrong[method.name] = (again.told == first.told, first.told, again.told)
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert len(done) > 30, "most requests are carried out"


async def is_taken(desk: Desk, who: str, request: Any) -> bool:
    """Whether its request_id is refused for another request."""
    given = {"ticket": (await desk.create()).id, "text": "x", "request_id": request.request_id}
    reused = await desk.refusal("AddNote", who, agent_id="anna", **given)
    return (reused.reason, reused.fields) == ("REQUEST_ID_REUSED", ["request_id"])


async def test_each_field_that_the_contract_bounds_is_refused_beyond_its_bounds(desk: Desk) -> None:
    """With the name of the field, and nothing is changed."""
    scene = await a_scene(desk)
    before, asked, wrong = await contents(desk), 0, dict[str, object]()
    for method in await matrix.served(desk):
        for field, request in spoilt(method, scene):
            asked += 1
            outcome = await matrix.ask(desk, caller_of(method), method, request)
            told = field.encode() in outcome.told
            if (outcome.code, outcome.reason, told) != ("INVALID_ARGUMENT", "INVALID_INPUT", True):
                wrong[f"{method.name}.{field}"] = (outcome.code, outcome.reason)
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert asked > 3 * len(METHODS)
    assert await contents(desk) == before


async def test_what_is_not_there_is_told_by_its_name(desk: Desk) -> None:
    scene = await a_scene(desk)
    before, wrong = await contents(desk), dict[str, object]()
    for method in await matrix.served(desk):
        for field, (value, reason) in UNKNOWN.items():
            request = matrix.request_of(method, scene)
            if not getattr(request, field, "") or (method.name, field) in FILTERS:
                continue
            setattr(request, field, value)
            outcome = await matrix.ask(desk, caller_of(method), method, request)
            if (outcome.code, outcome.reason) != ("NOT_FOUND", reason):
                wrong[f"{method.name}.{field}"] = (outcome.code, outcome.reason)
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert await contents(desk) == before


def spoilt(method: MethodDescriptor, scene: Scene) -> Iterator[tuple[str, Message]]:
    """Requests of which one field is outside of its bounds."""
    for field in method.input_type.fields:
        if field.is_repeated or field.message_type is not None:
            continue
        for value in beyond(field):
            request: Any = matrix.request_of(method, scene)
            setattr(request, field.name, value)
            yield field.name, request


def beyond(field: FieldDescriptor) -> list[Any]:
    """Values outside of what the contract's rules allow."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.type == FieldDescriptor.TYPE_STRING:
        long, short = rules.string.HasField("max_len"), rules.string.min_len
        return [*(["x" * (rules.string.max_len + 1)] if long else []), *([""] if short else [])]
    if field.type == FieldDescriptor.TYPE_ENUM:
        return [*([99] if rules.enum.defined_only else []), *([0] if 0 in rules.enum.not_in else [])]
    bounds = {FieldDescriptor.CPPTYPE_INT32: rules.int32, FieldDescriptor.CPPTYPE_INT64: rules.int64}
    if field.cpp_type not in bounds:
        return []
    bound = bounds[field.cpp_type]
    ends = (("lte", 1), ("gte", -1))
    return [getattr(bound, end) + step for end, step in ends if bound.HasField(end)]
