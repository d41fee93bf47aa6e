"""Files that the desk uploaded to intake."""

import grpc

from chassis.clock import uuid7
from chassis.testing import eventually
from services.tickets.tests.builders import Desk
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events

OLD = "01900000-0000-7000-8000-00000000000a"


async def test_a_file_that_was_uploaded_goes_with_a_letter_and_a_note(desk: Desk) -> None:
    """CP-06: a screenshot out of the clipboard; heard of twice, it is one file."""
    ticket = await desk.create()
    file = common.Attachment(id=OLD, filename="x.png", media_type="image/png", size_bytes=9, sha256="ab")
    for event_id in ("event-1", "event-2"):
        event = intake_events.FileUploaded(attachment=file, uploader="agent:anna")
        await desk.tell(event, event_id=event_id)

    async def noted() -> bool:
        try:
            answer = await desk.call("AddNote", ticket=ticket.id, text="See", attachment_ids=[OLD])
        except grpc.aio.AioRpcError:
            return False
        return list(answer.message.attachments) == [file]

    await eventually(noted)
    letter = await desk.call("ReplyToTicket", ticket=ticket.id, text="See", attachment_ids=[OLD.upper()])
    assert list(letter.message.attachments) == [file]


async def test_a_file_of_this_moment_may_be_on_its_way(desk: Desk) -> None:
    ticket = await desk.create()
    refusal = await desk.refusal("AddNote", ticket=ticket.id, text="See", attachment_ids=[str(uuid7())])
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "FILE_UNDER_WAY")
    far = "ffffffff-ffff-7fff-8fff-ffffffffffff"
    refusal = await desk.refusal("AddNote", ticket=ticket.id, text="See", attachment_ids=[far])
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ATTACHMENT_UNKNOWN")
    assert await desk.ticket(ticket.id) == ticket
