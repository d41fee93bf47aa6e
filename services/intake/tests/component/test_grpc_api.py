"""The API for other programs."""

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.intake.tests.conftest import SUPPORT, Start, a_mail
from tickdesk.common.v1.common_pb2 import CHANNEL_PHONE
from tickdesk.intake.v1.intake_service_pb2 import (
    FileUpload,
    GetAttachmentRequest,
    GetMessageRequest,
    ListMessagesRequest,
    SubmitRequestRequest,
)
from tickdesk.intake.v1.message_pb2 import AUTHOR_KIND_AUTO_REPLY, Party

NOWHERE = "019aa0c2-7c00-7000-8000-0000000000a1"


def a_request(request_id: str = "request-1", **changes: object) -> SubmitRequestRequest:
    values: dict[str, object] = {
        "request_id": request_id,
        "channel": CHANNEL_PHONE,
        "account": SUPPORT,
        "sender": Party(address="+70000000001", name="Олег"),
        "subject": "Звонок",
        "text": "Не открывается кабинет",
        **changes,
    }
    return SubmitRequestRequest(**values)  # type: ignore[arg-type]


def told(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[grpc.StatusCode, str, list[str]]:
    """Code, reason and fields of a refusal."""
    status = rpc_status.from_call(error.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else []:
        detail.Unpack(info) if detail.Is(info.DESCRIPTOR) else detail.Unpack(bad)
    return error.value.code(), info.reason, [each.field for each in bad.field_violations]


async def test_a_request_of_another_program_is_stored_and_announced(start: Start) -> None:
    """YT-36, CP-15: a call centre opens a request with files and fields."""
    files = [FileUpload(filename="../запись.ogg", media_type="Audio/OGG", content=b"OggS")]
    request = a_request(files=files, fields={"app": "mobile"}, customer_number="1048", topic="login")
    async with start() as desk:
        answer = await desk.api.SubmitRequest(request, timeout=5)
        message = await desk.next()
        file = GetAttachmentRequest(attachment_id=message.attachments[0].id)
        chunks = [each.chunk async for each in desk.api.GetAttachment(file, timeout=5)]
    assert answer.message == message
    assert not answer.duplicate
    assert message.attachments[0].filename == "запись.ogg"
    assert message.attachments[0].media_type == "audio/ogg"
    assert chunks == [b"OggS"]
    assert dict(message.fields) == {"app": "mobile"}
    assert (message.customer_number, message.topic, message.language) == ("1048", "login", "ru")


async def test_a_repeated_request_has_one_effect(start: Start) -> None:
    async with start() as desk:
        first = await desk.api.SubmitRequest(a_request(), timeout=5)
        again = await desk.api.SubmitRequest(a_request(), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await desk.api.SubmitRequest(a_request(text="other"), timeout=5)
        page = await desk.api.ListMessages(ListMessagesRequest(), timeout=5)
    assert again == first
    assert told(error)[:2] == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert page.total_size == 1


async def test_the_same_external_id_is_a_duplicate(start: Start) -> None:
    async with start() as desk:
        first = await desk.api.SubmitRequest(a_request(external_id="call-7"), timeout=5)
        again = await desk.api.SubmitRequest(a_request("request-2", external_id="call-7"), timeout=5)
    assert again.duplicate
    assert again.message.id == first.message.id


async def test_a_conversation_goes_on_for_its_participants_only(start: Start) -> None:
    async with start() as desk:
        first = await desk.api.SubmitRequest(a_request(), timeout=5)
        place = first.message.conversation_id
        more = await desk.api.SubmitRequest(a_request("request-2", conversation_id=place), timeout=5)
        other = a_request("request-3", conversation_id=place, sender=Party(address="eve"))
        with pytest.raises(grpc.aio.AioRpcError) as stranger:
            await desk.api.SubmitRequest(other, timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await desk.api.SubmitRequest(a_request("request-4", conversation_id="nowhere"), timeout=5)
    assert more.message.conversation_id == place
    assert not more.message.conversation_started
    assert told(stranger)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_A_PARTICIPANT")
    assert told(unknown)[:2] == (grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account": "elsewhere@other.test"}, "account"),
        ({"account": "no address"}, "account"),
        ({"sender": Party(address="\0 ")}, "sender.address"),
        ({"sender": None}, "sender"),
        ({"text": "\0\n"}, "text"),
        ({"channel": 0}, "channel"),
        ({"text": "x" * 262_145}, "text"),
        ({"files": [FileUpload(filename="a", content=b"x" * 2_000_000)] * 2}, "files"),
    ],
)
async def test_a_bad_request_names_its_field_and_changes_nothing(
    start: Start, changes: dict[str, Any], field: str
) -> None:
    """Bad input: INVALID_ARGUMENT with field violations."""
    async with start(mailboxes="desk.test") as desk:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await desk.api.SubmitRequest(a_request(**changes), timeout=5)
        page = await desk.api.ListMessages(ListMessagesRequest(), timeout=5)
    code, _, fields = told(error)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in fields
    assert page.total_size == 0


async def test_a_long_text_is_whole_in_the_answer_and_cut_in_the_event(start: Start) -> None:
    """An event must fit the bus whatever the request holds."""
    text = "ы" * 262_144
    async with start() as desk:
        answer = await desk.api.SubmitRequest(a_request(text=text), timeout=5)
        event = await desk.next()
    assert answer.message.text == text
    assert event.reply_text == text
    assert 0 < len(event.text) < len(text)
    assert any("text is cut" in each for each in event.warnings)


async def test_messages_are_listed_newest_first_by_pages_and_filters(start: Start) -> None:
    async with start() as desk:
        first = await desk.accept(a_mail("one"))
        second = await desk.accept(a_mail("two", References=f"<{first.external_id}>"))
        robot = await desk.accept(a_mail("three", Auto_Submitted="auto-replied"))
        page = await desk.api.ListMessages(ListMessagesRequest(page_size=2), timeout=5)
        rest = ListMessagesRequest(page_size=2, page_token=page.next_page_token)
        last = await desk.api.ListMessages(rest, timeout=5)
        inside = ListMessagesRequest(conversation_id=first.conversation_id)
        of_one = await desk.api.ListMessages(inside, timeout=5)
        inside.page_token = page.next_page_token
        with pytest.raises(grpc.aio.AioRpcError) as elsewhere:
            await desk.api.ListMessages(inside, timeout=5)
        robots = await desk.api.ListMessages(
            ListMessagesRequest(author_kind=AUTHOR_KIND_AUTO_REPLY), timeout=5
        )
        later = ListMessagesRequest(received_after=robot.received_time)
        recent = await desk.api.ListMessages(later, timeout=5)
    assert [each.id for each in page.messages] == [robot.id, second.id]
    assert [each.id for each in last.messages] == [first.id]
    assert told(elsewhere)[1:] == ("PAGE_TOKEN_INVALID", ["page_token"])
    assert (page.total_size, last.next_page_token) == (3, "")
    assert [each.id for each in of_one.messages] == [second.id, first.id]
    assert [each.id for each in robots.messages] == [robot.id]
    assert [each.id for each in recent.messages] == [robot.id]


async def test_the_count_ends_at_its_limit(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists: a page costs the same however many rows match."""
    monkeypatch.setattr("intake.store.COUNT_LIMIT", 2)
    async with start() as desk:
        for name in ("one", "two", "three"):
            await desk.accept(a_mail(name))
        page = await desk.api.ListMessages(ListMessagesRequest(), timeout=5)
    assert (len(page.messages), page.total_size) == (3, 2)


async def test_what_is_not_there_is_not_found(start: Start) -> None:
    async with start() as desk:
        with pytest.raises(grpc.aio.AioRpcError) as message:
            await desk.api.GetMessage(GetMessageRequest(message_id=NOWHERE), timeout=5)
        stream = desk.api.GetAttachment(GetAttachmentRequest(attachment_id=NOWHERE), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as file:
            await anext(aiter(stream))
        with pytest.raises(grpc.aio.AioRpcError) as page:
            await desk.api.ListMessages(ListMessagesRequest(page_token="nonsense"), timeout=5)
        absurd = ListMessagesRequest(received_after=Timestamp(seconds=10**15))
        with pytest.raises(grpc.aio.AioRpcError) as time:
            await desk.api.ListMessages(absurd, timeout=5)
    assert told(message)[:2] == (grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND")
    assert told(file)[:2] == (grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND")
    assert told(page)[2] == ["page_token"]
    assert told(time)[2] == ["received_after"]
