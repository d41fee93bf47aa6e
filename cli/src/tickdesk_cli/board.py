"""What the demo knows of the desk: a card per ticket, kept up by events, and a sentence for each event."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message

from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import delivery_pb2
from tickdesk.sla.v1 import clock_pb2
from tickdesk.tickets.v1 import timeline_pb2

_KEPT = 400


@dataclass(slots=True)
class Dial:
    """One clock of a ticket: what it does, what it may take (seconds), when it runs out."""

    name: str
    state: int = clock_pb2.CLOCK_STATE_PENDING
    target: float = 0
    due: datetime | None = None
    left: float = 0
    breached: bool = False

    def remaining(self, now: datetime) -> float:
        """Seconds left; negative beyond the target."""
        if self.state == clock_pb2.CLOCK_STATE_RUNNING and self.due is not None:
            return (self.due - now).total_seconds()
        return self.left


@dataclass(slots=True)
class Card:
    """One ticket as the board shows it."""

    ticket: Any
    dials: dict[str, Dial] = field(default_factory=dict)
    mark: str = ""

    @property
    def key(self) -> str:
        """Its number."""
        return str(self.ticket.key)

    @property
    def closed(self) -> bool:
        """True when nothing runs for it any more."""
        return bool(self.ticket.status_kind == timeline_pb2.STATUS_KIND_CLOSED)

    def dial(self, now: datetime) -> Dial | None:
        """The running clock that ends first."""
        running = [each for each in self.dials.values() if each.state == clock_pb2.CLOCK_STATE_RUNNING]
        return min(running, key=lambda each: each.remaining(now), default=None)


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of the feed. `minor` ones are for the moving picture only."""

    who: str
    text: str
    style: str = ""
    minor: bool = False


class Board:
    """All cards by ticket id, where each message went, and the sentences so far."""

    def __init__(self, said: Callable[[Line], None] = lambda _: None) -> None:
        self.cards: dict[str, Card] = {}
        self.by_message: dict[str, str] = {}
        self.opened: set[str] = set()
        self.seen: Counter[str] = Counter()
        self.marks: Counter[int] = Counter()
        self.lines: list[Line] = []
        self.rated: set[str] = set()
        self.followed = 0
        self.sent_to_customers = 0
        self._reached: set[tuple[str, str, int]] = set()
        self.said = said

    def say(self, line: Line) -> None:
        """Add a sentence."""
        self.lines = [*self.lines[-_KEPT:], line]
        self.said(line)

    def take(self, event: Message) -> None:
        """Follow an event."""
        name = event.DESCRIPTOR.name
        self.seen[name] += 1
        handler = _HANDLERS.get(name)
        line = handler(self, event) if handler else None
        if line is not None:
            self.say(line)

    def card(self, key: str) -> Card | None:
        """The card with this number."""
        return next((card for card in self.cards.values() if card.key == key), None)

    def reached(self, ticket: str, clock: str, action: int) -> bool:
        """Whether a mark with this action fell on a clock of the ticket."""
        return (ticket, clock, action) in self._reached

    def mark(self, ticket: str, clock: str, action: int) -> None:
        """Remember a mark."""
        self._reached.add((ticket, clock, action))
        self.marks[action] += 1

    def put(self, ticket: Any) -> Card:
        """Remember the newest state of a ticket."""
        card = self.cards.setdefault(ticket.id, Card(ticket))
        if ticket.version >= card.ticket.version:
            card.ticket = ticket
        return card


def _opened(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    board.by_message[event.message.id] = event.ticket.id
    board.opened.add(event.message.id)
    name = event.ticket.customer.name or event.message.address
    board.followed += bool(event.ticket.parent_ticket_id)
    if event.ticket.parent_ticket_id:
        return Line(card.key, f"opened by a low score, follows {_parent(board, event.ticket)}", "bold green")
    robot = " by a robot" if event.from_robot else ""
    return Line(card.key, f"opened{robot}: {_short(event.ticket.subject)} ({name})", "green")


def _parent(board: Board, ticket: Any) -> str:
    card = board.cards.get(ticket.parent_ticket_id)
    return card.key if card else "another ticket"


def _customer(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    board.by_message[event.message.id] = event.ticket.id
    return Line(card.key, f"customer wrote again: {_short(event.message.text)}", "cyan")


def _replied(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    return Line(card.key, f"{_actor(event)} answered: {_short(event.message.text)}", "bright_blue")


def _simple(words: str, style: str = "", minor: bool = False) -> Callable[[Board, Any], Line]:
    def tell(board: Board, event: Any) -> Line:
        card = board.put(event.ticket)
        return Line(card.key, words.format(who=_actor(event), ticket=event.ticket), style, minor)

    return tell


def _noted(board: Board, event: Any) -> Line:
    # A robot's message that belongs to a ticket is kept as a note under its own id.
    board.by_message[event.message_id] = event.ticket.id
    return Line(board.put(event.ticket).key, f"note by {_actor(event)}", "dim", minor=True)


def _updated(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    tier = common_pb2.CustomerTier.Name(event.ticket.customer.tier).removeprefix("CUSTOMER_TIER_").lower()
    priority = common_pb2.Priority.Name(event.ticket.priority).removeprefix("PRIORITY_").lower()
    values = {"tier": f"customer is {tier.upper()}", "priority": f"priority {priority}"}
    return Line(card.key, ", ".join(values.get(name, f"{name} changed") for name in event.changed), "magenta")


def _escalated(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    reason = timeline_pb2.EscalationReason.Name(event.reason).removeprefix("ESCALATION_REASON_").lower()
    line = common_pb2.Line.Name(event.ticket.escalation.to_line).removeprefix("LINE_")
    words = (
        f"escalated to {line}" if event.started and line != "UNSPECIFIED" else "one more reason to escalate"
    )
    return Line(card.key, f"{words}: {reason.replace('_', ' ')}", "bold magenta")


def _rated(board: Board, event: Any) -> Line:
    card = board.put(event.ticket)
    board.rated.add(event.ticket.id)
    csat = event.ticket.csat
    comment = f" «{_short(csat.comment)}»" if csat.comment else ""
    return Line(card.key, f"rated {csat.raw} of {csat.scale}{comment}", "bold yellow")


def _clock(board: Board, event: Any) -> Line | None:
    """Turn the dial; only what is odd is worth a sentence, the bars show the rest."""
    card = board.cards.get(event.ticket.id)
    if card is None:
        return None
    _turn(card, event.clock)
    name = _spaced(event.clock.name)
    if event.DESCRIPTOR.name == "ClockRecalculated":
        seconds = event.clock.target.ToTimedelta().total_seconds()
        return Line(card.key, f"{name} now within {seconds:.0f} s ({event.clock.policy_row})", "magenta")
    if event.DESCRIPTOR.name == "ClockMet" and event.clock.breached:
        return Line(card.key, f"{name} done, too late", "red")
    return None


def _turn(card: Card, clock: Any) -> None:
    dial = card.dials.setdefault(clock.name, Dial(clock.name))
    dial.state = clock.state
    dial.target = clock.target.ToTimedelta().total_seconds()
    dial.due = clock.due_time.ToDatetime(tzinfo=UTC) if clock.HasField("due_time") else None
    dial.left = dial.target - clock.elapsed.ToTimedelta().total_seconds()
    dial.breached = clock.breached


_ACTIONS = {
    clock_pb2.MARK_ACTION_REMIND: ("reminder", "yellow"),
    clock_pb2.MARK_ACTION_ESCALATE_LINE: ("to the next line", "magenta"),
    clock_pb2.MARK_ACTION_BREACH: ("BREACH", "bold red"),
    clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT: ("overrun, management is told", "bold red"),
}


def _mark(board: Board, event: Any) -> Line:
    board.mark(event.ticket.id, event.clock, event.mark.action)
    card = board.cards.get(event.ticket.id)
    words, style = _ACTIONS.get(event.mark.action, ("mark", ""))
    if card is not None:
        card.mark = event.mark.name
        dial = card.dials.get(event.clock)
        if dial is not None and event.mark.action == clock_pb2.MARK_ACTION_BREACH:
            dial.breached = True
    left = event.remaining.ToTimedelta().total_seconds()
    time = f"{left:.1f} s left" if left > 0 else f"{-left:.1f} s over" if left < 0 else "time is up"
    return Line(event.ticket.key, f"{words}: {_spaced(event.clock)} at {event.mark.name}, {time}", style)


def _sent(board: Board, event: Any) -> Line | None:
    delivery = event.delivery
    board.sent_to_customers += delivery.audience == delivery_pb2.AUDIENCE_CUSTOMER
    if delivery.template in ("auto_reply", "reminder"):
        return None  # there are many, and the mark or the ticket was told already
    audience = delivery_pb2.Audience.Name(delivery.audience).removeprefix("AUDIENCE_").lower()
    text = f"{_spaced(delivery.template)} sent to {audience} {delivery.recipient}"
    return Line(delivery.ticket_key or "mail", text, "blue")


def _failed(board: Board, event: Any) -> Line:
    delivery = event.delivery
    return Line(delivery.ticket_key or "mail", f"{delivery.template} failed: {delivery.detail}", "red")


def _asked(board: Board, event: Any) -> Line:
    return Line(event.survey.ticket_key, f"survey asked: {event.survey.recipient}", "yellow", minor=True)


def _answered(board: Board, event: Any) -> Line:
    survey = event.survey
    low = ", low" if survey.low else ""
    return Line(survey.ticket_key, f"survey answered: {survey.raw} of {survey.scale}{low}", "bold yellow")


def _actor(event: Any) -> str:
    return str(event.actor.name or event.actor.id or "the desk")


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _short(text: str, size: int = 60) -> str:
    line = " ".join(text.split()) or "(no words)"
    return line if len(line) <= size else line[: size - 1] + "…"


_HANDLERS: dict[str, Callable[[Board, Any], Line | None]] = {
    "TicketOpened": _opened,
    "CustomerReplied": _customer,
    "TicketReplied": _replied,
    "TicketTaken": _simple("taken by {who}", "bright_blue", minor=True),
    "TicketAssigned": _simple("assigned to {ticket.assignee}", "bright_blue", minor=True),
    "TicketStatusChanged": _simple("{ticket.status}", "dim", minor=True),
    "TicketUpdated": _updated,
    "TicketEscalated": _escalated,
    "TicketResolved": _simple("resolved by {who}", "green"),
    "TicketClosed": _simple("closed", "green"),
    "TicketReopened": _simple("opened again", "cyan"),
    "TicketRated": _rated,
    "NoteAdded": _noted,
    "ClockStarted": _clock,
    "ClockPaused": _clock,
    "ClockResumed": _clock,
    "ClockMet": _clock,
    "ClockRecalculated": _clock,
    "ClockCancelled": _clock,
    "MarkReached": _mark,
    "DeliverySent": _sent,
    "DeliveryFailed": _failed,
    "SurveyAsked": _asked,
    "SurveyAnswered": _answered,
}
