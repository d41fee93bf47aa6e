"""Queries that are kept under a name."""

from typing import Any

import grpc
import pytest

from services.tickets.tests.builders import Desk
from tickets.domain.rights import Grant
from tickets.store.rights import put_grants


async def test_filters_are_kept_shared_and_forgotten(desk: Desk) -> None:
    """YT-32: what an agent looks at every day has a name."""
    mine = (await desk.call("PutFilter", name="Mine", query="Assignee: me()")).filter
    assert (mine.owner, mine.version, mine.queue) == ("anna", 1, "")
    shared = (
        await desk.call("PutFilter", "lead:olga", name="Burning", query="Due: < now() + 1h", queue="SUP")
    ).filter
    names = [each.name for each in (await desk.call("ListFilters")).filters]
    assert names == ["Burning", "Mine"]
    assert [each.name for each in (await desk.call("ListFilters", "agent:boris")).filters] == ["Burning"]
    page = await desk.call("ListFilters", page_size=1)
    rest = await desk.call("ListFilters", page_size=1, page_token=page.next_page_token)
    assert ([each.name for each in rest.filters], rest.next_page_token) == (["Mine"], "")
    changed = await desk.call(
        "PutFilter", filter_id=mine.id, version=1, name="My open", query="Resolution: empty()"
    )
    assert (changed.filter.version, changed.filter.owner) == (2, "anna")
    stale = await desk.refusal("PutFilter", filter_id=mine.id, version=1, name="x", query="")
    assert (stale.reason, stale.metadata) == ("STALE_VERSION", {"version": "2"})
    for method in ("PutFilter", "DeleteFilter"):
        fields = {"name": "x", "query": ""} if method == "PutFilter" else {}
        refusal = await desk.refusal(method, "agent:boris", filter_id=shared.id, **fields)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "FILTER_NOT_YOURS")
    await desk.call("DeleteFilter", "lead:olga", filter_id=mine.id)
    assert (await desk.refusal("DeleteFilter", filter_id=mine.id)).reason == "FILTER_NOT_FOUND"
    assert [each.name for each in (await desk.call("ListFilters")).filters] == ["Burning"]


async def test_what_a_queue_shares_is_for_those_who_work_in_it(desk: Desk) -> None:
    """YT-03, YT-32: the names and queries of a closed queue's people tell what they do."""
    await desk.call("PutFilter", "lead:olga", name="Shared", query="", queue="SUP")
    own = (await desk.call("PutFilter", "agent:boris", name="Own", query="", queue="SUP")).filter

    async def seen(who: str, **fields: Any) -> list[str]:
        return [each.name for each in (await desk.call("ListFilters", who, **fields)).filters]

    async def grant(*grants: Grant) -> None:
        async with desk.db.tx() as tx:
            await put_grants(tx, "SUP", list(grants))

    await grant(Grant(agents=("anna",), view=True))
    assert (await seen("agent:anna"), await seen("agent:dina"), await seen("agent:dina", queue="SUP")) == (
        ["Own", "Shared"], [], [],
    )  # fmt: skip
    assert (await seen("lead:olga"), await seen("agent:boris")) == (["Own", "Shared"], ["Own"])
    for who, fields in (
        ("agent:dina", {"name": "New"}),
        ("agent:boris", {"name": "Own", "filter_id": own.id}),
    ):
        refusal = await desk.refusal("PutFilter", who, query="", queue="SUP", **fields)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RIGHTS_MISSING")
    await grant(Grant(agents=("anna",), view=True), Grant(agents=("dina",), component="crm", view=True))
    assert await seen("agent:dina") == ["Own", "Shared"]


@pytest.mark.parametrize(
    ("fields", "reason", "where"),
    [
        ({"query": "Stauts: new"}, "QUERY_INVALID", ["query"]),
        ({"queue": "NOPE"}, "QUEUE_NOT_FOUND", []),
        ({"name": ""}, "INVALID_INPUT", ["name"]),
        ({"name": "Taken"}, "FILTER_NAME_TAKEN", ["name"]),
        ({"filter_id": "x"}, "INVALID_INPUT", ["filter_id"]),
        ({"filter_id": "01900000-0000-7000-8000-000000000000"}, "FILTER_NOT_FOUND", []),
        ({"request_id": "short"}, "INVALID_INPUT", ["request_id"]),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(
    desk: Desk, fields: dict[str, Any], reason: str, where: list[str]
) -> None:
    await desk.call("PutFilter", name="Taken", query="")
    refusal = await desk.refusal("PutFilter", **{"name": "New", "query": "", **fields})
    assert (refusal.reason, refusal.fields) == (reason, where)
    assert [each.name for each in (await desk.call("ListFilters")).filters] == ["Taken"]
