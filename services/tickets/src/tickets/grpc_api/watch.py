"""The gRPC face of watching."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from chassis.db import Database
from chassis.principal import principal
from tickdesk.tickets.v1 import watch_service_pb2 as pb
from tickdesk.tickets.v1.watch_service_pb2_grpc import WatchServiceServicer
from tickets.handlers.watch import Asked, Feed, watch

SERVICE = pb.DESCRIPTOR.services_by_name["WatchService"]


class WatchApi(WatchServiceServicer):
    """Serves tickdesk.tickets.v1.WatchService; watches end once `is_over`, as in a drain."""

    def __init__(self, db: Database, feed: Feed, is_over: Callable[[], bool]) -> None:
        self._db = db
        self._feed = feed
        self._is_over = is_over

    async def WatchQueue(
        self, request: pb.WatchQueueRequest, context: Any
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        """Changes from a cursor on."""
        asked = Asked(principal(), tuple(request.queues), request.cursor)
        with self._feed.one(asked.principal):
            async for change, cursor, turned in watch(self._db, self._feed, asked, self._is_over):
                yield pb.WatchQueueResponse(cursor=cursor, change=change, view_changed=turned)
