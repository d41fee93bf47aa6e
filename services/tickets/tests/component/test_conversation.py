"""What agents share while they talk to a customer: drafts, mentions, followers, teams, envelopes, macros."""

from typing import Any

import grpc
import pytest

from services.tickets.tests.builders import Desk, a_contact, an_inbound
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.notifier.v1 import delivery_pb2
from tickdesk.notifier.v1 import events_pb2 as notifier
from tickdesk.tickets.v1 import conversation_pb2, events_pb2, fields_pb2, ticket_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE, DENIED = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED
NOBODY = "01900000-0000-7000-8000-000000000000"


async def drafts(desk: Desk, ticket: str) -> list[tuple[str, str, bool]]:
    found = (await desk.call("ListDrafts", "agent:boris", ticket=ticket)).drafts
    return [(each.agent_name, each.text, each.writing) for each in found]


async def test_a_draft_is_kept_for_its_author_and_seen_by_colleagues(desk: Desk) -> None:
    """Anna is writing: the one who opens the ticket beside her sees it."""
    ticket = await desk.create()
    saved = await desk.call(
        "SaveDraft", ticket=ticket.key, text="Hel", cc=["lee@client.example"], subject="Fire"
    )
    assert (saved.draft.agent_id, saved.draft.ticket_id, list(saved.draft.cc)) == (
        "anna",
        ticket.id,
        ["lee@client.example"],
    )
    await desk.call("SaveDraft", ticket=ticket.id, text="Hello")
    await desk.call("SaveDraft", "agent:dina", ticket=ticket.id, text="Mine")
    assert await drafts(desk, ticket.id) == [("Anna", "Hello", True), ("Dina", "Mine", True)]
    assert (await desk.ticket(ticket.id)).version == 1
    await desk.call("ReplyToTicket", ticket=ticket.id, text="Hello, it is out.")
    assert await drafts(desk, ticket.id) == [("Dina", "Mine", True)]
    for _ in range(2):
        await desk.call("DeleteDraft", "agent:dina", ticket=ticket.id)
    assert await drafts(desk, ticket.id) == []


async def test_a_reply_that_is_refused_keeps_the_draft(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("SaveDraft", ticket=ticket.id, text="Hello")
    await desk.refusal("ReplyToTicket", ticket=ticket.id, text="Hello", status="nowhere")
    assert await drafts(desk, ticket.id) == [("Anna", "Hello", True)]


async def test_no_draft_leaves_by_an_event_or_among_the_messages(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("SaveDraft", ticket=ticket.id, text="secret words")
    await desk.call("AddNote", ticket=ticket.id, text="Odd")
    await desk.watch.next(events_pb2.NoteAdded)
    assert not any("secret" in str(event) for event in desk.watch.seen)
    assert not any("secret" in each.text for each in await desk.messages(ticket.id))


async def test_bad_drafts_are_refused(desk: Desk) -> None:
    ticket = await desk.create()
    bad: list[tuple[dict[str, Any], list[str]]] = [
        ({"text": "x" * 262_145}, ["text"]),
        ({"cc": ["x"] * 21}, ["cc"]),
        ({"attachment_ids": ["x"]}, ["attachment_ids[0]"]),
        ({"ticket": "?"}, ["ticket"]),
    ]
    for fields, where in bad:
        refusal = await desk.refusal("SaveDraft", **{"ticket": ticket.id, **fields})
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    assert (await desk.refusal("SaveDraft", ticket=NOBODY, text="x")).code == MISSING
    assert (await desk.refusal("SaveDraft", ticket=ticket.id, agent_id="boris")).code == DENIED
    assert (await desk.refusal("SaveDraft", "admin:demo", ticket=ticket.id)).fields == ["agent_id"]
    assert await drafts(desk, ticket.id) == []


async def team(desk: Desk, **fields: Any) -> Any:
    values = {"key": "billing", "name": "Billing", "members": ["boris", "dina"], **fields}
    return (await desk.call("PutTeam", "lead:olga", team=conversation_pb2.Team(**values))).team


async def test_a_note_calls_people_and_teams(desk: Desk) -> None:
    """YT-02, YT-04: who is named follows the ticket; the event tells whom, never what the note says."""
    ticket = await desk.create()
    await team(desk, email="billing@desk.example")
    text = "Ask @Dina, and @team:billing. Mail kim@client.example; `@property` is code, @dina again."
    answer = await desk.call("AddNote", ticket=ticket.id, text=text)
    assert list(answer.ticket.observers) == ["dina"]
    event = await desk.watch.next(events_pb2.PeopleMentioned)
    assert (list(event.agent_ids), [each.key for each in event.teams]) == (["dina"], ["billing"])
    assert (list(event.teams[0].members), event.teams[0].email) == (["boris", "dina"], "billing@desk.example")
    assert (event.message_id, event.actor.id) == (answer.message.id, "anna")
    assert event.ticket == answer.ticket
    assert not any("Ask" in str(each) for each in desk.watch.seen)


async def test_a_note_that_calls_nobody_tells_nobody(desk: Desk) -> None:
    ticket = await desk.create()
    answer = await desk.call("AddNote", ticket=ticket.id, text="a@b, @, ```\n@dina\n``` x@dina")
    assert answer.ticket.version == 2


async def test_who_is_not_known_cannot_be_called_and_the_note_is_not_kept(desk: Desk) -> None:
    ticket = await desk.create()
    gone = ticket_pb2.Agent(id="gone", name="Gone", active=False)
    await desk.call("PutAgent", "admin:demo", agent=gone)
    crowd = " ".join(f"@a{number}" for number in range(51))
    for text, named in (
        ("Hi @nina", "@nina"),
        ("@team:x @dina", "@team:x"),
        ("@gone", "@gone"),
        (crowd, "50"),
    ):
        refusal = await desk.refusal("AddNote", ticket=ticket.id, text=text)
        assert (refusal.code, refusal.fields) == (BAD, ["text"]), text
        assert named in refusal.message
    assert await desk.ticket(ticket.id) == ticket
    assert len(await desk.messages(ticket.id)) == 1


async def test_teams_are_put_and_listed(desk: Desk) -> None:
    assert (await team(desk)).version == 1
    assert (await team(desk, name="Bills", email="Bills@Desk.example")).version == 2
    await team(desk, key="qa", members=[])
    page = await desk.call("ListTeams", page_size=1)
    rest = await desk.call("ListTeams", page_size=1, page_token=page.next_page_token)
    found = [(each.key, each.name, each.email, list(each.members)) for each in [*page.teams, *rest.teams]]
    assert found == [("billing", "Bills", "bills@desk.example", ["boris", "dina"]), ("qa", "Billing", "", [])]


BAD_TEAMS: list[tuple[dict[str, Any], list[str]]] = [
    ({"key": "Big Team"}, ["team.key"]),
    ({"key": ""}, ["team.key"]),
    ({"name": ""}, ["team.name"]),
    ({"email": "nowhere"}, ["team.email"]),
    ({"members": ["boris", "nina"]}, ["team.members[1]"]),
    ({"members": ["boris", "boris"]}, ["team.members"]),
    ({"members": [f"a{number}" for number in range(201)]}, ["team.members"]),
]


async def test_bad_teams_are_refused_and_not_kept(desk: Desk) -> None:
    for fields, where in BAD_TEAMS:
        values = {"key": "billing", "name": "Billing", **fields}
        refusal = await desk.refusal("PutTeam", "lead:olga", team=conversation_pb2.Team(**values))
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    refusal = await desk.refusal("PutTeam", "agent:anna", team=conversation_pb2.Team(key="x", name="X"))
    assert refusal.code == DENIED
    assert not (await desk.call("ListTeams")).teams


async def test_agents_follow_and_stop_following(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("FollowTicket", ticket=ticket.id)
    await desk.call("FollowTicket", ticket=ticket.id)
    answer = await desk.call("FollowTicket", ticket=ticket.id, follower="dina")
    assert (list(answer.ticket.observers), answer.ticket.version) == (["anna", "dina"], 3)
    event = await desk.watch.next(events_pb2.TicketUpdated)
    assert list(event.changed) == ["observers"]
    answer = await desk.call("UnfollowTicket", "agent:boris", ticket=ticket.id, follower="dina")
    again = await desk.call("UnfollowTicket", "agent:boris", ticket=ticket.id)
    assert (list(again.ticket.observers), again.ticket.version) == (["anna"], answer.ticket.version)
    refusal = await desk.refusal("FollowTicket", ticket=ticket.id, follower="nina")
    assert (refusal.code, refusal.reason) == (MISSING, "AGENT_NOT_FOUND")


LEE = intake.Party(address="lee@client.example", name="Lee")


async def written(desk: Desk, **fields: Any) -> events_pb2.CustomerReplied:
    message = an_inbound(conversation_id="conv", **fields)
    await desk.tell(intake_events.MessageReceived(message=message), key="conv")
    event: events_pb2.CustomerReplied = await desk.watch.next(events_pb2.CustomerReplied)
    return event


async def test_a_ticket_shows_who_else_takes_part(desk: Desk) -> None:
    """KT-02: all participants on the card; who only got a copy is told apart until they write."""
    ticket = await desk.receive(
        conversation_id="conv", recipients=[LEE, intake.Party(address="max@client.example")]
    )
    people = [(each.address, each.name, each.wrote) for each in ticket.participants]
    assert people == [("lee@client.example", "Lee", False), ("max@client.example", "", False)]
    event = await written(desk, sender=LEE)
    assert [(each.address, each.wrote) for each in event.ticket.participants] == [
        ("lee@client.example", True),
        ("max@client.example", False),
    ]


async def test_an_answer_is_addressed_to_who_wrote_last(desk: Desk) -> None:
    """YT-07, YT-09."""
    ticket = await desk.receive(conversation_id="conv", recipients=[LEE])
    envelope = (await desk.call("PrepareReply", ticket=ticket.key)).envelope
    assert (getattr(envelope, "from"), envelope.to) == ("help@desk.example", "client@client.example")
    assert (list(envelope.cc), envelope.subject) == (["lee@client.example"], "Re: Printer on fire")
    assert (envelope.channel, envelope.conversation_id) == (common.CHANNEL_EMAIL, "conv")
    await written(desk, sender=LEE)
    envelope = (await desk.call("PrepareReply", ticket=ticket.key)).envelope
    assert (envelope.to, list(envelope.cc)) == ("lee@client.example", ["client@client.example"])
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Hello Lee", to=envelope.to)
    assert (answer.message.address, list(answer.message.cc)) == ("lee@client.example", [])
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Hello")
    assert answer.message.address == "client@client.example"


async def test_without_mail_an_answer_goes_to_the_field_from(desk: Desk) -> None:
    """YT-09: a form fills the field; otherwise the customer's first mail address is taken."""
    setup = (await desk.call("GetSetup", "lead:olga", queue="SUP")).setup
    setup.queue = "SUP"
    setup.fields.add(key="from", type=fields_pb2.FIELD_TYPE_TEXT).name.en = "Answer to"
    await desk.call("PutSetup", "lead:olga", setup=setup)
    form = {"channel": common.CHANNEL_WEB_FORM, "sender": intake.Party(address="visitor-1")}
    ticket = await desk.receive(conversation_id="conv", fields={"from": " Kim@Client.example "}, **form)
    envelope = (await desk.call("PrepareReply", ticket=ticket.id)).envelope
    assert (envelope.channel, envelope.to) == (common.CHANNEL_WEB_FORM, "kim@client.example")
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Hello")
    assert answer.message.address == "kim@client.example"
    plain = await desk.create(contact=a_contact("visitor-2", common.CHANNEL_WEB_FORM))
    assert (await desk.call("PrepareReply", ticket=plain.id)).envelope.to == ""


async def test_a_letter_goes_where_the_agent_says(desk: Desk) -> None:
    ticket = await desk.create()
    answer = await desk.call(
        "ReplyToTicket", ticket=ticket.id, text="Hi", to="Boss@Client.example", subject=" Your \n printer ",
        cc=["Lee@client.example", "lee@client.example", "boss@client.example"],
    )  # fmt: skip
    message = answer.message
    assert (message.address, list(message.cc)) == ("boss@client.example", ["lee@client.example"])
    assert message.subject == "Your printer"
    assert (await desk.watch.next(events_pb2.TicketReplied)).message == message


async def test_bad_addresses_are_refused_and_nothing_is_sent(desk: Desk) -> None:
    ticket = await desk.create()
    chat = await desk.create(contact=a_contact("42", common.CHANNEL_TELEGRAM))
    bad: list[tuple[dict[str, Any], list[str]]] = [
        ({"to": "kim"}, ["to"]),
        ({"to": "kim@x\r\nBcc: all@x.example"}, ["to"]),
        ({"to": "a@b..c"}, ["to"]),
        ({"cc": ["lee@client.example", "x y@z"]}, ["cc[1]"]),
        ({"cc": ["lee@client.example"] * 21}, ["cc"]),
        ({"subject": "x" * 501}, ["subject"]),
        ({"attachment_ids": [NOBODY]}, ["attachment_ids[0]"]),
        ({"attachment_ids": [NOBODY] * 2}, ["attachment_ids"]),
        ({"ticket": chat.id, "to": "kim@client.example"}, ["to"]),
        ({"ticket": chat.id, "cc": ["kim@client.example"]}, ["cc"]),
        ({"ticket": chat.id, "subject": "Hi"}, ["subject"]),
    ]
    for fields, where in bad:
        refusal = await desk.refusal("ReplyToTicket", **{"ticket": ticket.id, "text": "Hi", **fields})
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    assert (await desk.ticket(ticket.id)).version == (await desk.ticket(chat.id)).version == 1


async def test_a_copy_that_does_not_arrive_is_told_but_the_letter_was_sent(desk: Desk) -> None:
    ticket = await desk.create()
    sent = await desk.call("ReplyToTicket", ticket=ticket.id, text="Hi", cc=["lee@client.example"])
    for kind, recipient in (
        (notifier.DeliverySent, "client@client.example"),
        (notifier.DeliveryFailed, "lee@client.example"),
    ):
        delivery = delivery_pb2.Delivery(
            message_id=sent.message.id, ticket_id=ticket.id, recipient=recipient, detail="no such box"
        )
        await desk.tell(kind(delivery=delivery))
    await desk.watch.next(events_pb2.NoteAdded)
    _, letter, note = await desk.messages(ticket.id)
    assert letter.delivery_state == "sent"
    assert "lee@client.example" in note.text


async def test_files_of_the_ticket_may_be_sent_and_those_of_others_not(desk: Desk) -> None:
    """CP-06: a screenshot goes back and forth, but never to another customer."""
    own, foreign = "01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"
    file = common.Attachment(id=own, filename="fire.png", media_type="image/png", size_bytes=9, sha256="x")
    ticket = await desk.receive(conversation_id="conv", attachments=[file])
    other = common.Attachment(id=foreign, filename="x.png")
    await desk.receive(
        conversation_id="2", attachments=[other], sender=intake.Party(address="eve@client.example")
    )
    for method in ("ReplyToTicket", "AddNote"):
        answer = await desk.call(method, ticket=ticket.id, text="See", attachment_ids=[own])
        assert list(answer.message.attachments) == [file]
        refusal = await desk.refusal(method, ticket=ticket.id, text="See", attachment_ids=[own, foreign])
        assert (refusal.reason, refusal.fields) == ("ATTACHMENT_UNKNOWN", ["attachment_ids[1]"])


async def test_a_macro_is_shown_and_sent_in_the_customers_language(desk: Desk) -> None:
    """YT-18."""
    ticket = await desk.receive(language="ru")
    listed = (await desk.call("ListMacros", ticket=ticket.id)).macros
    assert [each.key for each in listed] == ["error_fixed", "wish_delivered"]
    use = {"ticket": ticket.id, "macro": "error_fixed"}
    shown = await desk.call("ApplyMacro", preview=True, **use)
    assert (shown.language, shown.HasField("message"), shown.ticket) == ("ru", False, ticket)
    assert "Kim Client" in shown.text
    sent = await desk.call("ApplyMacro", **use)
    assert (sent.message.text, sent.ticket.version) == (shown.text, 2)
    mine = await desk.call("ApplyMacro", text="Готово.", **use)
    assert mine.message.text == "Готово."
    refusal = await desk.refusal("ApplyMacro", ticket=ticket.id, macro="none")
    assert (refusal.code, refusal.reason) == (MISSING, "MACRO_NOT_FOUND")


async def wishes(desk: Desk, **fields: Any) -> list[tuple[str, int]]:
    return [(each.ticket_key, each.votes) for each in (await desk.call("ListWishes", **fields)).wishes]


async def test_wishes_are_ranked_by_who_wants_them(desk: Desk) -> None:
    """MP-14: counted once each, however often and by whom they vote."""
    people = [a_contact(f"{number}@client.example") for number in range(3)]
    wish = {"type": ticket_pb2.TICKET_TYPE_WISH}
    keys = [(await desk.create(contact=one, **wish)).key for one in people]
    await desk.create(contact=people[0])
    for key, votes in ((keys[2], people), (keys[1], people[:2])):
        for voter in votes:
            await desk.call("VoteForWish", ticket=key, contact=voter)
    answer = await desk.call("VoteForWish", "agent:boris", ticket=keys[1], contact=people[0])
    assert (answer.wish.ticket_key, answer.wish.votes) == (keys[1], 2)
    ranked = [(keys[2], 3), (keys[1], 2), (keys[0], 1)]
    assert await wishes(desk) == await wishes(desk, queue="SUP") == ranked
    assert await wishes(desk, queue="NONE") == []
    page = await desk.call("ListWishes", page_size=2)
    assert await wishes(desk, page_size=2, page_token=page.next_page_token) == ranked[2:]
    for _ in range(2):
        await desk.call("UnvoteWish", ticket=keys[2], contact=people[0])
    await desk.call("UnvoteWish", ticket=keys[2], contact=people[2])
    await desk.call("ResolveTicket", ticket=keys[0])
    assert await wishes(desk) == [(keys[1], 2), (keys[2], 2)]


async def test_votes_go_over_with_a_merge_and_count_once(desk: Desk) -> None:
    one, other, third = [a_contact(f"{number}@client.example") for number in range(3)]
    wish = {"type": ticket_pb2.TICKET_TYPE_WISH}
    into, ticket = await desk.create(contact=one, **wish), await desk.create(contact=other, **wish)
    await desk.create(contact=third)
    for each in (into, ticket):
        await desk.call("UpdateCustomer", customer_id=each.customer.id, organisation="Acme")
        await desk.call("VoteForWish", ticket=each.id, contact=third)
    await desk.call("MergeTickets", ticket=ticket.id, into=into.id)
    assert await wishes(desk) == [("SUP-1", 3)]


async def test_customers_who_turn_out_to_be_one_want_a_wish_once(desk: Desk) -> None:
    people = [a_contact(f"{number}@client.example") for number in range(3)]
    wish, *others = [await desk.create(contact=one, type=ticket_pb2.TICKET_TYPE_WISH) for one in people]
    for voter in people[1:]:
        await desk.call("VoteForWish", ticket=wish.id, contact=voter)
    ids = {"source_id": others[0].customer.id, "target_id": others[1].customer.id}
    await desk.call("MergeCustomers", "lead:olga", **ids)
    answer = await desk.call("VoteForWish", ticket=wish.id, contact=people[1])
    assert answer.wish.votes == 2


@pytest.mark.parametrize("method", ["VoteForWish", "UnvoteWish"])
async def test_bad_votes_are_refused(desk: Desk, method: str) -> None:
    question, wish = await desk.create(), await desk.create(type=ticket_pb2.TICKET_TYPE_WISH)
    bad: list[tuple[dict[str, Any], grpc.StatusCode, str, list[str]]] = [
        ({"ticket": question.id}, STATE, "NOT_A_WISH", []),
        ({"ticket": "SUP-99"}, MISSING, "TICKET_NOT_FOUND", []),
        ({"contact": a_contact("who@client.example")}, MISSING, "CUSTOMER_NOT_FOUND", ["contact"]),
        ({"contact": a_contact("nobody")}, BAD, "INVALID_INPUT", ["contact.address"]),
        ({"contact": a_contact(channel_=0)}, BAD, "INVALID_INPUT", ["contact.channel"]),
        ({"contact": None}, BAD, "INVALID_INPUT", ["contact"]),
    ]
    for fields, code, reason, where in bad:
        refusal = await desk.refusal(method, **{"ticket": wish.id, "contact": a_contact(), **fields})
        assert (refusal.code, refusal.reason, refusal.fields) == (code, reason, where), fields
    assert await wishes(desk) == [(wish.key, 1)]
