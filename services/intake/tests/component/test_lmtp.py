"""Mail through the open door: taken, refused with a reason, or asked to come again."""

import asyncio
import socket
from pathlib import Path

import pytest

from chassis.schema import migrate
from chassis.servers import start_postgres
from chassis.testing import eventually
from intake.adapters.lmtp import Door
from services.intake.tests.conftest import SUPPORT, Start, a_mail, mail_client
from tickdesk.common.v1.common_pb2 import CHANNEL_EMAIL
from tickdesk.intake.v1.intake_service_pb2 import (
    GetAttachmentRequest,
    GetMessageRequest,
    ListMessagesRequest,
)
from tickdesk.intake.v1.message_pb2 import AUTHOR_KIND_BOUNCE, AUTHOR_KIND_PERSON


async def listed(desk: object) -> object:
    return await desk.api.ListMessages(ListMessagesRequest(), timeout=5)  # type: ignore[attr-defined]


async def test_a_mail_becomes_an_announced_message_with_its_files_outside_the_database(
    start: Start, tmp_path: Path
) -> None:
    """YT-05, CP-06, KT-01."""
    mail = a_mail("Здравствуйте! Не печатает.\n\n-- \nАнна", Cc="Boss <boss@client.test>")
    mail.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="../../акт.pdf")
    async with start() as desk:
        message = await desk.accept(mail)
        raw = [piece async for piece in desk.api.GetAttachment(_file(message.raw_id), timeout=5)]
        file = [piece async for piece in desk.api.GetAttachment(_file(message.attachments[0].id), timeout=5)]
        again = await desk.api.GetMessage(GetMessageRequest(message_id=message.id), timeout=5)
    assert again.message == message
    assert (message.channel, message.account) == (CHANNEL_EMAIL, SUPPORT)
    assert (message.sender.address, message.sender.name) == ("ann@client.test", "Ann")
    assert [each.address for each in message.recipients] == ["boss@client.test"]
    assert message.reply_text == "Здравствуйте! Не печатает."
    assert message.author_kind == AUTHOR_KIND_PERSON
    assert message.language == "ru"
    assert message.conversation_started
    assert len(message.conversation_id) == 16
    assert message.attachments[0].filename == "акт.pdf"
    assert file[0].chunk == b"%PDF-1"
    assert b"Subject: Printer" in b"".join(piece.chunk for piece in raw)
    names = [path.name for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    assert sorted(names) == sorted([message.raw_id, message.attachments[0].id])


def _file(identity: str) -> GetAttachmentRequest:
    return GetAttachmentRequest(attachment_id=identity)


async def test_a_mail_with_only_a_picture_is_taken(start: Start) -> None:
    """KT-03: the first contact may be only a picture."""
    mail = a_mail("", Subject="")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="x.png")
    async with start() as desk:
        message = await desk.accept(mail)
    assert message.text == ""
    assert [each.filename for each in message.attachments] == ["x.png"]


async def test_each_recipient_gets_an_answer_over_lmtp(start: Start) -> None:
    """YT-05: a mailbox a queue."""
    async with start() as desk:
        answer = await desk.deliver(a_mail(), SUPPORT, "billing@desk.test", "support+x@desk.test")
        first, second = await desk.next(), await desk.next()
        page = await listed(desk)
    answers = answer.splitlines()
    assert [each[:17] for each in answers] == ["250 2.0.0 stored "] * 3
    assert answers[0] == answers[2] != answers[1]
    assert {first.account, second.account} == {SUPPORT, "billing@desk.test"}
    assert page.total_size == 2  # type: ignore[attr-defined]


async def test_the_same_mail_again_is_answered_250_and_only_counted(start: Start) -> None:
    """Row 2 of the faults: a mail server that did not hear the answer delivers again."""
    mail = a_mail()
    other_route = b"Received: from elsewhere.test by here.test; now\r\n" + mail.as_bytes()
    async with start() as desk:
        message = await desk.accept(mail)
        answer = await desk.deliver(other_route)
        page = await listed(desk)
    assert answer == f"250 2.0.0 duplicate of {message.id}"
    assert (page.total_size, page.duplicates_dropped) == (1, 1)  # type: ignore[attr-defined]
    assert len(desk.watch.seen) == 1


async def test_a_message_id_given_twice_to_different_mails_loses_neither(start: Start) -> None:
    """KT-01: some programs give all of their mails one Message-ID."""
    async with start() as desk:
        first = await desk.accept(a_mail("One", Message_ID="<fixed@scanner.test>"))
        second = await desk.accept(a_mail("Two", Message_ID="<fixed@scanner.test>"))
    assert first.id != second.id


async def test_equal_mails_without_a_message_id_are_one_within_the_window(start: Start) -> None:
    async with start() as desk:
        message = await desk.accept(a_mail(Message_ID=""))
        again = await desk.deliver(a_mail(Message_ID=""))
    async with start(duplicate_hours=0.0000001) as desk:
        later = await desk.deliver(a_mail(Message_ID=""))
    assert again == f"250 2.0.0 duplicate of {message.id}"
    assert later.startswith("250 2.0.0 stored as")


async def test_ten_copies_at_once_are_stored_once(start: Start) -> None:
    raw = a_mail().as_bytes()
    async with start() as desk:
        answers = await asyncio.gather(*(desk.deliver(raw) for _ in range(10)))
        page = await listed(desk)
    assert sum("stored as" in each for each in answers) == 1
    assert page.total_size == 1  # type: ignore[attr-defined]


async def test_a_client_that_hangs_up_before_the_answer_finds_its_mail_stored_when_it_comes_again(
    start: Start,
) -> None:
    mail = a_mail()
    async with start() as desk:
        async with mail_client(desk.settings.lmtp_port) as client:
            await client.envelope("ann@client.test", SUPPORT)
            await client.say("DATA")
            client.data(mail.as_bytes())
            await client.writer.drain()
        message = await desk.next()
        assert await desk.deliver(mail) == f"250 2.0.0 duplicate of {message.id}"


async def test_mail_for_a_stranger_is_refused(start: Start) -> None:
    async with start(mailboxes="support@desk.test, other.test") as desk:
        refused = await desk.deliver(a_mail(), "postmaster@desk.test")
        relayed = await desk.deliver(a_mail(), "victim@elsewhere.test")
        await desk.accept(a_mail(), "support+abc@desk.test")
        await desk.accept(a_mail(), "anything@other.test")
    assert refused == "550 5.1.1 postmaster@desk.test is no mailbox of this desk"
    assert relayed.startswith("550 5.1.1")


async def test_a_mail_that_is_too_large_is_refused_with_the_size(start: Start) -> None:
    """Bad input: a 50 MB message, told of its size or not."""
    async with start() as desk, mail_client(desk.settings.lmtp_port) as client:
        assert "SIZE 26214400" in await client.hello()
        assert (await client.say("MAIL FROM:<ann@client.test> SIZE=52428800")).startswith("552")
        line = b"x" * 998 + b"\r\n"
        answer = await client.deliver(a_mail().as_bytes() + line * (50 * 1024 * 1024 // len(line)))
        assert answer.startswith("552"), answer
        # The connection and the desk are none the worse for it.
        assert (await client.deliver(a_mail())).startswith("250 2.0.0 stored")


async def test_a_mail_with_ten_thousand_headers_is_refused_with_the_bound(start: Start) -> None:
    """Bad input: 10,000 headers."""
    raw = b"".join(b"X-%d: y\r\n" % number for number in range(10_000)) + a_mail().as_bytes()
    async with start() as desk:
        answer = await desk.deliver(raw)
        page = await listed(desk)
    assert answer == "554 5.6.0 the message has more than 1000 headers; at most 1000 headers are accepted"
    assert page.total_size == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:<a\x00b@client.test>", "553"),
        (b"MAIL FROM:<" + b"(" * 250 + b"@x.test>", "5"),
        (b"MAIL FROM:<" + b"a" * 400 + b"@x.test>", "553"),
        (b"MAIL FROM:<\xff\xfe@x.test>", "5"),
        (b"RCPT TO:<a\x00b@desk.test>", "5"),
        (b"\x00\x01\x02", "500"),
    ],
)
async def test_a_broken_envelope_is_refused_and_the_connection_lives(
    start: Start, line: bytes, code: str
) -> None:
    """Bad input: NUL bytes, crafted addresses."""
    async with start() as desk, mail_client(desk.settings.lmtp_port) as client:
        if line.startswith(b"RCPT"):
            await client.say("MAIL FROM:<ann@client.test>")
        assert (await client.say(line)).startswith(code)
        await client.say("RSET")
        assert (await client.deliver(a_mail())).startswith("250 2.0.0 stored")


async def test_nul_bytes_and_unknown_charsets_in_a_mail_are_read_around(start: Start) -> None:
    """Bad input: a NUL byte, an unknown charset, broken MIME."""
    raw = (
        b"From: ann@client.test\r\nSubject: a\x00b\r\nMessage-ID: <n@client.test>\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain; charset=x-klingon\r\n\r\n"
        + "Не работает\x00 вход".encode("cp1251")
        + b"\r\n"
    )
    async with start() as desk:
        message = await desk.accept(raw)
    assert message.subject == "a b"
    assert message.text == "Не работает вход"
    assert any("x-klingon" in each for each in message.warnings)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\r\n\r\n", "the message is empty"),
        (b"To: support@desk.test\r\n\r\nhello", "names no sender"),
    ],
)
async def test_what_is_no_mail_is_refused_with_the_reason(start: Start, raw: bytes, words: str) -> None:
    """Bad input: an empty body, a missing field. The null sender leaves nobody to take as author."""
    async with start() as desk:
        answer = await desk.deliver(raw, sender="")
    assert answer.startswith("554 5.6.0")
    assert words in answer


async def test_a_report_from_nobody_is_taken_as_a_bounce(start: Start) -> None:
    raw = (
        b"Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <r@mx.test>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        b"Final-Recipient: rfc822; gone@client.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    async with start() as desk:
        message = await desk.accept(raw, sender="")
    assert message.author_kind == AUTHOR_KIND_BOUNCE
    assert message.failed_address == "gone@client.test"
    assert message.sender.address == "mailer-daemon@desk.test"


async def test_a_bomb_is_stored_unread_as_a_file(start: Start) -> None:
    """Faults 5, DoS by one mail: a reader that takes too long is killed, the mail is a ticket."""
    async with start(parse_seconds=0.001) as desk:
        message = await desk.accept(a_mail())
    assert "could not be read" in message.text
    assert [each.filename for each in message.attachments] == ["message.eml"]
    assert message.subject == "Printer"
    assert message.sender.address == "ann@client.test"


async def test_the_reader_that_was_killed_is_replaced(start: Start) -> None:
    deep = (
        b"From: ann@client.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\n" * 200_000
    )
    async with start() as desk:
        bomb = await desk.accept(deep)
        message = await desk.accept(a_mail("still here"))
    assert "could not be read" in bomb.text
    assert message.text == "still here"


async def test_smtp_takes_mail_as_lmtp_does_with_one_answer_for_all(start: Start) -> None:
    async with start() as desk, mail_client(desk.settings.smtp_port, lmtp=False) as client:
        answer = await client.deliver(a_mail(), SUPPORT, "billing@desk.test")
        await desk.next()
        await desk.next()
    assert answer.startswith("250 2.0.0 stored as")


async def test_smtp_asks_a_peer_that_sends_too_much_to_come_later(start: Start) -> None:
    """Flooding: a bucket a peer, on the public listener only."""
    async with start(peer_per_minute=2) as desk:
        async with mail_client(desk.settings.smtp_port, lmtp=False) as client:
            answers = [await client.deliver(a_mail(str(number))) for number in range(4)]
        own = [await desk.deliver(a_mail(f"own {number}")) for number in range(4)]
    assert [each[:3] for each in answers][-1] == "451"
    assert sum(each.startswith("250") for each in answers) <= 2
    assert all(each.startswith("250") for each in own)


async def test_connections_beyond_the_bound_are_turned_away(start: Start) -> None:
    async with start(connections=2) as desk:
        port = desk.settings.lmtp_port
        async with mail_client(port), mail_client(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.readline()).startswith(b"421")
            writer.close()

        async def free() -> bool:
            try:
                async with mail_client(port) as client:
                    return (await client.deliver(a_mail())).startswith("250")
            except ConnectionError:
                return False

        assert await eventually(free)


async def test_without_the_database_mail_is_asked_to_come_again(
    start: Start, tmp_server_folder: Path
) -> None:
    """Invariant 1: nothing is acknowledged that is not stored."""
    postgres = start_postgres(tmp_server_folder / "pg")
    try:
        await migrate(postgres.url, "intake.migrations")
        async with start(database_url=postgres.url) as desk:
            await desk.accept(a_mail("before"))
            postgres.kill()
            answer = await desk.deliver(a_mail("meanwhile", Message_ID="<m@client.test>"))
            assert answer.startswith("451 4.3.0"), answer
            postgres.start()

            async def taken() -> bool:
                mail = a_mail("meanwhile", Message_ID="<m@client.test>")
                return (await desk.deliver(mail)).startswith("250")

            assert await eventually(taken, timeout=15)
            assert (await desk.next()).text == "meanwhile"
    finally:
        postgres.kill()


async def test_without_the_object_store_mail_is_asked_to_come_again(start: Start, tmp_path: Path) -> None:
    async with start() as desk:
        # A file where a folder should be stands for a store that takes nothing, for root as well.
        folder = tmp_path / "objects"
        folder.rmdir() if folder.exists() else None
        folder.write_text("")
        answer = await desk.deliver(a_mail())
        page = await listed(desk)
    assert answer.startswith("451 4.3.0")
    assert page.total_size == 0  # type: ignore[attr-defined]
    assert desk.watch.seen == []


async def test_two_listeners_cannot_share_a_port(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            async with start(lmtp_port=port):
                pass


def test_the_mail_library_may_inspect_the_door_on_every_python() -> None:
    """On Python 3.11.2 of Debian 12 a handler with slots raised TypeError at each connection."""
    assert "__slots__" not in vars(Door)
