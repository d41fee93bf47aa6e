"""Files that the desk uploads to send or to note them."""

import grpc
import pytest

from chassis.testing import events
from services.intake.tests.component.test_grpc_api import told
from services.intake.tests.conftest import Start
from tickdesk.intake.v1.events_pb2 import FileUploaded
from tickdesk.intake.v1.intake_service_pb2 import FileUpload, GetAttachmentRequest, UploadFileRequest

PICTURE = FileUpload(filename="../снимок.png", media_type="Image/PNG", content=b"\x89PNG")


async def test_a_file_is_kept_announced_and_given_back(start: Start) -> None:
    """CP-06: a screenshot out of the clipboard."""
    async with start() as desk, events(desk.bus, FileUploaded) as watch:
        request = UploadFileRequest(request_id="upload-1", file=PICTURE)
        answer = await desk.api.UploadFile(request, timeout=5)
        again = await desk.api.UploadFile(request, timeout=5)
        event = await watch.next(FileUploaded)
        wanted = GetAttachmentRequest(attachment_id=answer.attachment.id)
        chunks = [each.chunk async for each in desk.api.GetAttachment(wanted, timeout=5)]
    file = answer.attachment
    assert again == answer
    assert (file.filename, file.media_type, file.size_bytes) == ("снимок.png", "image/png", 4)
    assert (event.attachment, event.uploader) == (file, "service:test")
    assert chunks == [b"\x89PNG"]


@pytest.mark.parametrize(
    ("file", "field"),
    [
        (None, "file"),
        (FileUpload(filename="x", content=b""), "file.content"),
        (FileUpload(filename="", content=b"x"), "file.filename"),
        (FileUpload(filename="x" * 256, content=b"x"), "file.filename"),
        (FileUpload(filename="x", content=b"x" * 3_145_729), "file.content"),
    ],
)
async def test_a_bad_file_is_refused(start: Start, file: FileUpload | None, field: str) -> None:
    async with start() as desk:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await desk.api.UploadFile(UploadFileRequest(request_id="upload-1", file=file), timeout=5)
    code, _, fields = told(error)
    assert (code, fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
