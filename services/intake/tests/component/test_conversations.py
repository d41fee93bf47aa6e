"""Which conversation a mail joins, and which it must not."""

import base64
import secrets

from services.intake.tests.conftest import SUPPORT, Start, a_mail, token
from tickdesk.intake.v1.message_pb2 import AUTHOR_KIND_BOUNCE


async def test_an_answer_to_ones_own_mail_joins_it(start: Start) -> None:
    """YT-08: the whole history in one ticket."""
    async with start() as desk:
        first = await desk.accept(a_mail())
        answer = await desk.accept(a_mail("More", In_Reply_To=f"<{first.external_id}>"))
        third = await desk.accept(a_mail("Even more", References=f"<x@y.test> <{answer.external_id}>"))
    assert {first.conversation_id} == {answer.conversation_id, third.conversation_id}
    assert (first.conversation_started, answer.conversation_started) == (True, False)


async def test_a_colleague_in_copy_joins_and_a_stranger_does_not(start: Start) -> None:
    """Ticket Trick: a reference that anybody can read in a forwarded mail is no right to join."""
    async with start() as desk:
        first = await desk.accept(a_mail(Cc="bob@client.test"))
        reference = f"<{first.external_id}>"
        bob = await desk.accept(a_mail("Me too", From="bob@client.test", In_Reply_To=reference))
        eve = await desk.accept(
            a_mail("Let me in", From="Ann <eve@evil.test>", Reply_To="ann@client.test", References=reference)
        )
    assert bob.conversation_id == first.conversation_id
    assert eve.conversation_id != first.conversation_id
    assert eve.conversation_started
    assert list(eve.related_conversation_ids) == [first.conversation_id]


async def test_the_signed_reply_address_joins(start: Start) -> None:
    """YT-08: our notice's reply address is enough, whatever the mail program did to References."""
    async with start() as desk:
        first = await desk.accept(a_mail())
        to = f"support+{first.conversation_id}.{token(first.conversation_id, 'ann@client.test')}@desk.test"
        answer = await desk.accept(a_mail("Yes", To=to), to)
        shouted = await desk.accept(a_mail("Yes!", To=to.upper()), to.upper())
    assert answer.conversation_id == first.conversation_id == shouted.conversation_id
    assert answer.account == SUPPORT
    assert list(answer.recipients) == []


async def test_the_signed_subject_and_the_signed_message_id_join(start: Start) -> None:
    async with start() as desk:
        first = await desk.accept(a_mail())
        place = first.conversation_id
        subject = f"Re: Printer [#SUP-1 {place}.{token(place, 'ann@client.test', 16)}]"
        by_subject = await desk.accept(a_mail("By subject", Subject=subject))
        reference = f"<{place}.{token(place, 'ann@client.test')}.0123abcd@desk.test>"
        by_id = await desk.accept(a_mail("By id", In_Reply_To=reference))
    assert by_subject.conversation_id == by_id.conversation_id == place


async def test_a_token_signed_for_another_person_does_not_join(start: Start) -> None:
    """CVE-2026-47123: a MAC for recipient A used by B opens nothing."""
    async with start() as desk:
        first = await desk.accept(a_mail())
        to = f"support+{first.conversation_id}.{token(first.conversation_id, 'ann@client.test')}@desk.test"
        other = await desk.accept(a_mail("Hi", From="eve@evil.test", To=to), to)
    assert other.conversation_id != first.conversation_id
    assert list(other.related_conversation_ids) == [first.conversation_id]


async def test_forged_tokens_join_nothing(start: Start) -> None:
    """Guessed MACs of right length, cut MACs, MACs of another key, in all three places."""
    async with start() as desk:
        first = await desk.accept(a_mail())
        place = first.conversation_id
        for number in range(30):
            guess = base64.b32encode(secrets.token_bytes(20)).decode().lower()
            mail = a_mail(
                f"Forged {number}",
                To=f"support+{place}.{guess[:26]}@desk.test",
                Subject=f"Re: [#SUP-1 {place}.{guess[:16]}]",
                In_Reply_To=f"<{place}.{guess[:26]}.x@desk.test>",
            )
            forged = await desk.accept(mail)
            assert forged.conversation_id != place
            assert list(forged.related_conversation_ids) == [place]


async def test_a_bounce_of_our_notice_finds_its_conversation(start: Start) -> None:
    """MP and CA rows on delivery: the desk learns that a customer cannot be reached."""
    async with start() as desk:
        first = await desk.accept(a_mail())
        place = first.conversation_id
        notice = f"{place}.{token(place, 'ann@client.test')}.77@desk.test"
        raw = (
            "From: Mail Delivery System <MAILER-DAEMON@mx.test>\r\nSubject: Undelivered\r\n"
            "Message-ID: <b@mx.test>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
            "Final-Recipient: rfc822; ann@client.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
            f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{notice}>\r\n\r\n--b--\r\n"
        ).encode()
        to = f"support+{place}.{token(place, 'ann@client.test')}@desk.test"
        bounce = await desk.accept(raw, to, sender="")
        later = a_mail("Pretend", From="MAILER-DAEMON@mx.test", In_Reply_To=f"<{first.external_id}>")
        assert (await desk.accept(later)).conversation_id != place
    assert bounce.author_kind == AUTHOR_KIND_BOUNCE
    assert bounce.failed_address == "ann@client.test"
    assert bounce.conversation_id == place


async def test_a_signed_token_of_a_conversation_that_others_began_opens_it_here(start: Start) -> None:
    """A ticket made by an agent has a conversation that intake has not seen yet."""
    place = "abcdefghijkl2345"
    to = f"support+{place}.{token(place, 'ann@client.test')}@desk.test"
    async with start() as desk:
        answer = await desk.accept(a_mail("Hello", To=to), to)
        more = await desk.accept(a_mail("More", References=f"<{answer.external_id}>"))
    assert answer.conversation_id == more.conversation_id == place


async def test_asking_for_news_in_a_new_mail_is_marked(start: Start) -> None:
    """CA-33: a repeated "any news?" must join the open ticket; tickets does so by this mark."""
    async with start() as desk:
        asked = await desk.accept(a_mail("Any news?"))
        told = await desk.accept(a_mail("Any news about the new feature called Z? It broke."))
    assert (asked.nudge, told.nudge) == (True, False)


async def test_a_burst_of_one_sender_is_kept_in_order_by_its_key(start: Start) -> None:
    """Unlike keys would run side by side, and each mail but the first would wait for another one."""
    async with start() as desk:
        for text in ("One.", "Two."):
            await desk.accept(a_mail(text))
        await desk.accept(a_mail("Three.", From="lee@client.test"))
        stored = [await desk.bus.js.get_msg("INTAKE", number) for number in (1, 2, 3)]
    first, second, other = ((each.headers or {})["Tickdesk-Key"] for each in stored)
    assert first == second != other
    assert "client.test" not in first
