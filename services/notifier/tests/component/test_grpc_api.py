"""NotifierService over the wire."""

from uuid import uuid4

import grpc
import pytest

from chassis.channel import channel
from chassis.testing import eventually
from services.notifier.tests.component.builders import a_ticket, replied
from services.notifier.tests.component.conftest import Running, Start
from tickdesk.notifier.v1 import delivery_pb2, notifier_service_pb2
from tickdesk.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub

LIST = notifier_service_pb2.ListDeliveriesRequest
SENT = delivery_pb2.DELIVERY_STATE_SENT


async def sent(desk: Running, count: int) -> None:
    async def look() -> bool:
        return bool((await desk.api.ListDeliveries(LIST(state=SENT), timeout=5)).total_size == count)

    await eventually(look)


async def test_pages_hold_every_delivery_once_newest_first(start: Start) -> None:
    """AIP-158: pages join up."""
    async with start() as desk:
        for number in range(5):
            await desk.tell(replied(a_ticket(key=f"SUP-{number}"), "hello"))
        await sent(desk, 5)
        seen: list[delivery_pb2.Delivery] = []
        token = ""
        while True:
            page = await desk.api.ListDeliveries(LIST(page_size=2, page_token=token, state=SENT), timeout=5)
            seen += page.deliveries
            token = page.next_page_token
            assert page.total_size == 5
            if not token:
                break
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await desk.api.ListDeliveries(LIST(page_size=2, page_token=token), timeout=5)
            assert (refused.value.code(), refused.value.details()) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "page_token must be the next_page_token of the same list with the same filters; "
                "empty is the first page",
            )
        got = await desk.api.GetDelivery(
            notifier_service_pb2.GetDeliveryRequest(delivery_id=page.deliveries[-1].id), timeout=5
        )
    assert {one.ticket_key for one in seen} == {f"SUP-{number}" for number in range(5)}
    assert len(seen) == 5
    times = [one.created_time.ToNanoseconds() for one in seen]
    assert times == sorted(times, reverse=True)
    assert got.delivery == page.deliveries[-1]
    assert got.delivery.subject.startswith("Re: Printer on fire")


async def test_the_count_ends_at_its_limit(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists: a page costs the same however many rows match."""
    async with start() as desk:
        for number in range(3):
            await desk.tell(replied(a_ticket(key=f"SUP-{number}"), "hello"))
        await sent(desk, 3)
        monkeypatch.setattr("notifier.store.ledger.COUNT_LIMIT", 2)
        page = await desk.api.ListDeliveries(LIST(state=SENT), timeout=5)
    assert (len(page.deliveries), page.total_size) == (3, 2)


async def test_bad_calls_are_refused_by_name(start: Start) -> None:
    """Bad input gets a clear error and changes nothing."""
    nobody = str(uuid4())
    async with start() as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        await sent(desk, 1)
        (delivery,) = (await desk.api.ListDeliveries(LIST(), timeout=5)).deliveries
        calls = [
            (desk.api.ListDeliveries, LIST(page_token="made up"), "INVALID_ARGUMENT"),
            (desk.api.ListDeliveries, LIST(page_size=1000), "INVALID_ARGUMENT"),
            (
                desk.api.GetDelivery,
                notifier_service_pb2.GetDeliveryRequest(delivery_id="x"),
                "INVALID_ARGUMENT",
            ),
            (desk.api.GetDelivery, notifier_service_pb2.GetDeliveryRequest(delivery_id=nobody), "NOT_FOUND"),
            (desk.api.RetryDelivery, _retry(nobody), "NOT_FOUND"),
            (desk.api.RetryDelivery, _retry(delivery.id), "FAILED_PRECONDITION"),
        ]
        for call, request, code in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(request, timeout=5)
            assert refused.value.code().name == code


def _retry(delivery_id: str) -> notifier_service_pb2.RetryDeliveryRequest:
    return notifier_service_pb2.RetryDeliveryRequest(request_id=str(uuid4()), delivery_id=delivery_id)


async def test_nothing_is_shown_without_a_token(start: Start) -> None:
    """Invariant 10: recipients and subjects are not public."""
    async with start() as desk, channel(f"127.0.0.1:{desk.app.grpc_port}", "wrong") as wire:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await NotifierServiceStub(wire).ListDeliveries(LIST(), timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
