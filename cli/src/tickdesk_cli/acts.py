"""The acts of the demo: mail comes in, agents answer, clocks run out on the rest, customers vote."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

import grpc.aio

from tickdesk.common.v1.common_pb2 import CUSTOMER_TIER_VIP, Priority
from tickdesk.sla.v1.clock_pb2 import MARK_ACTION_BREACH, MARK_ACTION_ESCALATE_MANAGEMENT
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.tickets_service_pb2 import (
    ChangeTicketStatusRequest,
    CloseTicketRequest,
    PrioritizeTicketRequest,
    ReplyToTicketRequest,
    ResolveTicketRequest,
    TakeTicketRequest,
    UpdateCustomerRequest,
)
from tickdesk_cli import ingest, mailbox, page
from tickdesk_cli.board import Board, Card, Line
from tickdesk_cli.catcher import Catcher, Caught
from tickdesk_cli.client import SECONDS, Client
from tickdesk_cli.desk import Desk
from tickdesk_cli.feed import Feed
from tickdesk_cli.lmtp import Envelope, Sender
from tickdesk_cli.story import Confirmation, Reply, Story, Vote
from tickdesk_cli.terminal import describe

_PACE = 0.06
_PATIENCE = 25.0


@dataclass(slots=True)
class Stage:
    """Everything an act needs; `missed` collects what was waited for in vain."""

    desk: Desk
    admin: Client
    agents: dict[str, Client]
    feed: Feed
    board: Board
    catcher: Catcher
    story: Story
    mails: Path
    enter: Callable[[str], None]
    report: ingest.Report = field(default_factory=ingest.Report)
    messages: dict[str, str] = field(default_factory=dict)
    extra: int = 0
    missed: list[str] = field(default_factory=list)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)

    def card(self, file: str) -> Card | None:
        """The ticket that a message of the mailbox is in."""
        return self.board.cards.get(self.board.by_message.get(self.messages.get(file, ""), ""))

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = _PATIENCE) -> bool:
        """Wait for something; when it does not come, go on and tell at the end."""
        came = await self.feed.until(holds, seconds)
        if not came:
            self.missed.append(f"within {seconds:.0f} s: {what}")
        return came

    async def call(self, work: Awaitable[Any], what: str) -> None:
        """Await a call; when the desk refuses it, go on and tell at the end."""
        try:
            await work
        except grpc.aio.AioRpcError as error:
            self.missed.append(f"{what}: {describe(error)[0]}")

    async def ticket(self, file: str) -> Ticket | None:
        """The ticket of a message, once its event has come."""
        await self.until(lambda: self.card(file) is not None, f"a ticket of {file}")
        card = self.card(file)
        return card.ticket if card else None


async def deliver(stage: Stage) -> None:
    """The mailbox over LMTP, one message after the other."""
    stage.enter("a mailbox arrives over LMTP")
    boxes = await ingest.mailboxes(stage.admin)
    async with Sender(stage.desk.ports["intake.lmtp"]) as sender:
        for letter in mailbox.letters([stage.mails]):
            part = await ingest.deliver([letter], sender, boxes)
            result = part.results[0]
            stage.report.results.append(result)
            stage.messages[Path(letter.name).name] = result.message_id
            if result.outcome != "pending":
                stage.board.say(
                    Line("intake", f"{Path(letter.name).name}: {result.outcome} {result.reason}", "yellow")
                )
            await asyncio.sleep(_PACE)
    stage.delivered.set()


async def answer(stage: Stage) -> None:
    """Agents answer as the mail comes in, each at their own pace; what is solved is solved after it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_promote(stage))
        for agent in stage.agents:
            group.create_task(
                _answer_all(stage, [each for each in stage.story.answers if each.agent == agent])
            )
    await stage.delivered.wait()
    stage.enter("agents solve what they can, some tickets nobody takes")
    await _answer_all(stage, stage.story.again)
    for reply in stage.story.answers:
        await _finish(stage, reply)
    for file in stage.story.junk:
        ticket = await stage.ticket(file)
        if ticket is not None:
            await _resolve(stage, "anna", ticket)


async def _answer_all(stage: Stage, replies: Iterable[Reply]) -> None:
    for reply in replies:
        await _reply(stage, reply)


async def _promote(stage: Stage) -> None:
    ticket = await stage.ticket(stage.story.vip.file)
    if ticket is None:
        return
    tickets = stage.admin.tickets
    tier = UpdateCustomerRequest(request_id=_id(), customer_id=ticket.customer.id, tier=CUSTOMER_TIER_VIP)
    await stage.call(tickets.UpdateCustomer(tier, timeout=SECONDS), f"{ticket.key}: VIP")
    priority = Priority.Value(f"PRIORITY_{stage.story.vip.priority.upper()}")
    urgent = PrioritizeTicketRequest(request_id=_id(), ticket=ticket.id, priority=priority)
    await stage.call(tickets.PrioritizeTicket(urgent, timeout=SECONDS), f"{ticket.key}: priority")


async def _reply(stage: Stage, reply: Reply) -> None:
    ticket = await stage.ticket(reply.file)
    if ticket is not None:
        await _write(stage, reply.agent, ticket, reply.text)


async def _write(stage: Stage, agent: str, ticket: Ticket, text: str) -> None:
    tickets = stage.agents[agent].tickets
    take = TakeTicketRequest(request_id=_id(), ticket=ticket.id)
    await stage.call(tickets.TakeTicket(take, timeout=SECONDS), f"{ticket.key}: take")
    letter = ReplyToTicketRequest(request_id=_id(), ticket=ticket.id, text=text.strip())
    await stage.call(tickets.ReplyToTicket(letter, timeout=SECONDS), f"{ticket.key}: reply")


async def _finish(stage: Stage, reply: Reply) -> None:
    card = stage.card(reply.file)
    if card is None:
        return
    if reply.waits:
        waiting = ChangeTicketStatusRequest(request_id=_id(), ticket=card.ticket.id, status="waiting")
        tickets = stage.agents[reply.agent].tickets
        await stage.call(tickets.ChangeTicketStatus(waiting, timeout=SECONDS), f"{card.key}: wait")
    if reply.solved:
        await _resolve(stage, reply.agent, card.ticket)


async def _resolve(stage: Stage, agent: str, ticket: Ticket) -> None:
    request = ResolveTicketRequest(request_id=_id(), ticket=ticket.id)
    await stage.call(
        stage.agents[agent].tickets.ResolveTicket(request, timeout=SECONDS), f"{ticket.key}: resolve"
    )


async def confirm(stage: Stage) -> None:
    """Customers answer the letters they got: only the signed address joins them to their ticket."""
    stage.enter("customers answer the letters they got")
    for each in stage.story.confirms:
        await _confirm(stage, each)


async def _confirm(stage: Stage, act: Confirmation) -> None:
    card = stage.card(act.file)
    if card is None:
        return
    letter = await _letter(stage, card, "the answer", lambda each: _is_answer(stage, act, each))
    if letter is None:
        return
    raw, envelope = _answer_to(letter, act.text)
    before = stage.board.seen["CustomerReplied"]
    async with Sender(stage.desk.ports["intake.lmtp"]) as sender:
        await sender.send(envelope, raw)
    stage.extra += 1
    if not await stage.until(
        lambda: stage.board.seen["CustomerReplied"] > before, f"{card.key} joined by its customer"
    ):
        return
    tickets = stage.agents[act.agent].tickets
    thanks = ReplyToTicketRequest(request_id=_id(), ticket=card.ticket.id, text=act.thanks)
    await stage.call(tickets.ReplyToTicket(thanks, timeout=SECONDS), f"{card.key}: last words")
    await _resolve(stage, act.agent, card.ticket)
    closing = CloseTicketRequest(request_id=_id(), ticket=card.ticket.id, confirmed=True)
    await stage.call(tickets.CloseTicket(closing, timeout=SECONDS), f"{card.key}: close")


def _is_answer(stage: Stage, act: Confirmation, letter: Caught) -> bool:
    words = next(each.text for each in stage.story.answers if each.file == act.file).split()[:6]
    return " ".join(words) in " ".join(letter.text.split())


async def _letter(stage: Stage, card: Card, what: str, fits: Callable[[Caught], Any]) -> Caught | None:
    address = card.ticket.customer.contacts[0].address

    def found() -> Caught | None:
        return next(
            (each for each in stage.catcher.letters if address in each.recipients and fits(each)), None
        )

    await stage.until(lambda: found() is not None, f"{what} on {card.key} in the mailbox of {address}")
    return found()


def _answer_to(letter: Caught, text: str) -> tuple[bytes, Envelope]:
    """An answer as a mail program makes it: quote below, In-Reply-To, to the Reply-To of the letter."""
    author = letter.recipients[0]
    quote = "\n".join(f"> {line}" for line in letter.text.splitlines()[:8])
    message = EmailMessage()
    message["From"], message["To"] = author, letter.reply_to
    message["Subject"] = f"Re: {letter.subject}"
    message["Date"], message["Message-ID"] = (
        formatdate(localtime=True),
        make_msgid(domain=author.partition("@")[2]),
    )
    message["In-Reply-To"] = message["References"] = letter.id
    message.set_content(
        f"{text}\n\nOn Mon, Nov 16, 2026 at 12:00 PM the desk <{letter.reply_to}> wrote:\n{quote}\n"
    )
    return message.as_bytes(), Envelope(author, letter.reply_to)


async def breach(stage: Stage) -> None:
    """Nobody answers the rest: the next line takes over, the breach comes, management is told."""
    stage.enter("clocks run out on what nobody answered")
    ids = [card.ticket.id for file in stage.story.left if (card := stage.card(file)) is not None]
    async with asyncio.TaskGroup() as group:
        for reply in stage.story.late:
            group.create_task(_answer_late(stage, reply))
    await stage.until(
        lambda: all(stage.board.reached(each, "first_response", MARK_ACTION_BREACH) for each in ids),
        "a breach of each ticket that was left",
    )
    late = {reply.file for reply in stage.story.late}
    rest = [card.ticket.id for file in stage.story.left if file not in late and (card := stage.card(file))]
    await stage.until(
        lambda: all(
            stage.board.reached(each, "first_response", MARK_ACTION_ESCALATE_MANAGEMENT) for each in rest
        ),
        "management told of each ticket still unanswered",
    )


async def _answer_late(stage: Stage, reply: Reply) -> None:
    ticket = await stage.ticket(reply.file)
    if ticket is None:
        return
    await stage.until(
        lambda: stage.board.reached(ticket.id, "first_response", MARK_ACTION_BREACH),
        f"a breach of {ticket.key}",
    )
    await _reply(stage, reply)


async def vote(stage: Stage) -> None:
    """Surveys come by mail; opening the link votes for nothing, the button does."""
    for each in stage.story.votes:
        await _vote(stage, each)
    low = sum(1 for each in stage.story.votes if each.score <= page.LOW)
    await stage.until(lambda: stage.board.followed >= low, "a follow-up ticket of the low score")
    callback = stage.story.callback
    for ticket in [card.ticket for card in stage.board.cards.values() if card.ticket.parent_ticket_id]:
        await _write(stage, callback.agent, ticket, callback.text)


async def _vote(stage: Stage, act: Vote) -> None:
    card = stage.card(act.file)
    if card is None:
        return
    base = f"http://127.0.0.1:{stage.desk.ports['survey.http']}/"
    letter = await _letter(
        stage,
        card,
        "a survey",
        lambda each: any(link.startswith(base) for link in each.links) and _about(each, card),
    )
    if letter is None:
        return
    link = next(link for link in letter.links if link.startswith(base))
    await page.look(link)
    if stage.board.seen["SurveyAnswered"] and card.ticket.id in stage.board.rated:
        stage.missed.append(f"{card.key}: opening the survey's link must not vote")
    await page.vote(link, act.score, act.comment)
    await stage.until(lambda: card.ticket.id in stage.board.rated, f"the score on {card.key}")


def _about(letter: Caught, card: Card) -> bool:
    return card.key in letter.subject or card.key in letter.text or card.ticket.subject in letter.text


async def perform(stage: Stage) -> None:
    """All acts: mail first, then answers, then what happens at once on different tickets."""
    async with asyncio.TaskGroup() as group:
        for act in (deliver, answer):
            group.create_task(act(stage))
    async with asyncio.TaskGroup() as group:
        for act in (confirm, breach, vote):
            group.create_task(act(stage))


def _id() -> str:
    return str(uuid.uuid4())
