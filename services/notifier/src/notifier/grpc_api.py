"""NotifierService over gRPC."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.db import Database, idempotent
from chassis.pages import page_start, page_token
from notifier import convert
from notifier.domain import Rules
from notifier.handlers import deliveries
from notifier.store import ledger
from tickdesk.notifier.v1 import delivery_pb2, notifier_service_pb2, notifier_service_pb2_grpc

SERVICE = notifier_service_pb2.DESCRIPTOR.services_by_name["NotifierService"]
_PAGE = 50


class NotifierApi(notifier_service_pb2_grpc.NotifierServiceServicer):
    """Shows deliveries and sends failed ones again."""

    def __init__(self, db: Database, rules: Rules) -> None:
        self._db = db
        self._rules = rules

    async def GetDelivery(
        self, request: notifier_service_pb2.GetDeliveryRequest, context: Any
    ) -> notifier_service_pb2.GetDeliveryResponse:
        """See the contract."""
        async with self._db.tx() as tx:
            delivery = await ledger.get_delivery(tx, UUID(request.delivery_id))
        return notifier_service_pb2.GetDeliveryResponse(delivery=convert.delivery_message(delivery))

    async def ListDeliveries(
        self, request: notifier_service_pb2.ListDeliveriesRequest, context: Any
    ) -> notifier_service_pb2.ListDeliveriesResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        filters = _filters(request)
        scope = ("deliveries", filters)
        after = page_start(request.page_token, scope, _place)
        async with self._db.tx() as tx:
            found, total = await ledger.list_deliveries(tx, filters, after, size + 1)
        page = found[:size]
        ended = (page[-1].created_at.isoformat(), str(page[-1].id)) if len(found) > size else None
        return notifier_service_pb2.ListDeliveriesResponse(
            deliveries=map(convert.delivery_message, page),
            next_page_token=page_token(scope, *ended) if ended else "",
            total_size=total,
        )

    async def RetryDelivery(
        self, request: notifier_service_pb2.RetryDeliveryRequest, context: Any
    ) -> notifier_service_pb2.RetryDeliveryResponse:
        """See the contract."""
        async with self._db.tx() as tx:

            async def work() -> notifier_service_pb2.RetryDeliveryResponse:
                delivery = await deliveries.retry_delivery(tx, UUID(request.delivery_id), self._rules)
                return notifier_service_pb2.RetryDeliveryResponse(delivery=convert.delivery_message(delivery))

            response_type = notifier_service_pb2.RetryDeliveryResponse
            return await idempotent(tx, request.request_id, request, response_type, work)


def _filters(request: notifier_service_pb2.ListDeliveriesRequest) -> dict[str, str]:
    filters = {"ticket_id": request.ticket_id, "template": request.template}
    if request.state != delivery_pb2.DELIVERY_STATE_UNSPECIFIED:
        filters["state"] = convert.state_name(request.state)
    if request.audience != delivery_pb2.AUDIENCE_UNSPECIFIED:
        filters["audience"] = convert.audience_name(request.audience)
    return {name: value for name, value in filters.items() if value}


def _place(at: str, identity: str) -> tuple[datetime, UUID]:
    """Where a page ended."""
    return datetime.fromisoformat(at).astimezone(UTC), UUID(identity)
