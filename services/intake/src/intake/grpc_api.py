"""IntakeService over gRPC."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from chassis.db import Database, idempotent
from chassis.errors import DeskError, NotFound, Unavailable
from chassis.pages import page_start, page_token
from chassis.principal import principal
from intake import convert, handlers, metrics, store
from intake.handlers import Desk
from tickdesk.intake.v1 import intake_service_pb2, intake_service_pb2_grpc, message_pb2

SERVICE = intake_service_pb2.DESCRIPTOR.services_by_name["IntakeService"]
CHANNEL = "api"
_PAGE = 50


class IntakeApi(intake_service_pb2_grpc.IntakeServiceServicer):
    """Takes requests of other programs and shows what came in."""

    def __init__(self, db: Database, desk: Desk) -> None:
        self._db = db
        self._desk = desk

    async def SubmitRequest(
        self, request: intake_service_pb2.SubmitRequestRequest, context: Any
    ) -> intake_service_pb2.SubmitRequestResponse:
        """See the contract."""
        kind = intake_service_pb2.SubmitRequestResponse
        with metrics.SECONDS.labels(CHANNEL).time(), _refusals_counted():
            async with self._db.tx() as tx:

                async def work() -> intake_service_pb2.SubmitRequestResponse:
                    return await handlers.submit_request(tx, self._desk, request)

                answer = await idempotent(tx, request.request_id, request, kind, work)
        metrics.LAST_SUCCESS.labels(CHANNEL).set_to_current_time()
        metrics.MESSAGES.labels(CHANNEL, _outcome(answer)).inc()
        return answer

    async def GetMessage(
        self, request: intake_service_pb2.GetMessageRequest, context: Any
    ) -> intake_service_pb2.GetMessageResponse:
        """See the contract."""
        async with self._db.tx() as tx:
            message = await store.get_message(tx, UUID(request.message_id))
        return intake_service_pb2.GetMessageResponse(message=message)

    async def ListMessages(
        self, request: intake_service_pb2.ListMessagesRequest, context: Any
    ) -> intake_service_pb2.ListMessagesResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        filters = _filters(request)
        scope = ("messages", filters)
        before = page_start(request.page_token, scope, UUID)
        async with self._db.tx() as tx:
            found, total = await store.list_messages(tx, filters, before, size + 1)
            dropped = await store.duplicates(tx)
        page, more = convert.page_of(found, size)
        return intake_service_pb2.ListMessagesResponse(
            messages=page,
            next_page_token=page_token(scope, page[-1].id) if more else "",
            total_size=total,
            duplicates_dropped=dropped,
        )

    async def UploadFile(
        self, request: intake_service_pb2.UploadFileRequest, context: Any
    ) -> intake_service_pb2.UploadFileResponse:
        """See the contract."""
        kind = intake_service_pb2.UploadFileResponse
        async with self._db.tx() as tx:

            async def work() -> intake_service_pb2.UploadFileResponse:
                file = await handlers.upload_file(tx, self._desk.vault, request.file, principal().name)
                return intake_service_pb2.UploadFileResponse(attachment=file)

            return await idempotent(tx, request.request_id, request, kind, work)

    async def GetAttachment(
        self, request: intake_service_pb2.GetAttachmentRequest, context: Any
    ) -> AsyncIterator[intake_service_pb2.GetAttachmentResponse]:
        """See the contract."""
        identity = UUID(request.attachment_id)
        async with self._db.tx() as tx:
            known = await store.has_file(tx, identity)
        if not known:
            raise NotFound(f"there is no file {identity}", reason="ATTACHMENT_NOT_FOUND")
        async for piece in self._desk.vault.read(str(identity)):
            yield intake_service_pb2.GetAttachmentResponse(chunk=piece)


def _filters(request: intake_service_pb2.ListMessagesRequest) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    if request.conversation_id:
        filters["conversation_id"] = request.conversation_id
    if request.author_kind != message_pb2.AUTHOR_KIND_UNSPECIFIED:
        filters["author_kind"] = request.author_kind
    if request.HasField("received_after"):
        filters["received_after"] = convert.moment(request.received_after, "received_after")
    return filters


@contextmanager
def _refusals_counted() -> Iterator[None]:
    try:
        yield
    except DeskError as error:
        metrics.MESSAGES.labels(CHANNEL, "failed" if isinstance(error, Unavailable) else "rejected").inc()
        raise


def _outcome(answer: intake_service_pb2.SubmitRequestResponse) -> str:
    if answer.duplicate:
        return "duplicate"
    return "created" if answer.message.conversation_started else "appended"
