"""Dead letters: list them, send one back to its consumers, or drop it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from chassis.bus import DEAD_LETTERS, Ack, Bus, Outgoing, stream_of
from chassis.errors import NotFound, Unavailable


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event a consumer could not handle, and why."""

    number: int
    consumer: str
    event: str
    event_id: str
    key: str
    reason: str
    detail: str
    time: datetime
    payload: bytes


async def list_letters(bus: Bus, limit: int = 100) -> AsyncIterator[DeadLetter]:
    """Yield the oldest dead letters."""
    await bus.ensure_stream(DEAD_LETTERS)
    state = (await bus.js.stream_info(DEAD_LETTERS)).state
    number, left = state.first_seq, limit
    while left > 0 and number <= state.last_seq:
        try:
            letter = await bus.js.get_msg(DEAD_LETTERS, seq=number, next=True, subject="dlq.>")
        except NotFoundError:
            return
        yield _read(letter)
        number, left = (letter.seq or number) + 1, left - 1


async def replay_letter(bus: Bus, number: int) -> DeadLetter:
    """Publish the event once more and drop the letter; consumers that have its effect skip it.

    Raises NotFound when there is no such letter.
    """
    letter = await find_letter(bus, number)
    raw = await bus.js.get_msg(DEAD_LETTERS, number)
    kept = {name: text for name, text in (raw.headers or {}).items() if not name.startswith("Tickdesk-Dlq-")}
    await bus.ensure_stream(stream_of(letter.event))
    # The event keeps its id, for the inboxes, under a message id the stream has not seen.
    once = f"replay/{number}/{letter.event_id}"
    again = Outgoing(letter.event, letter.payload, letter.event_id, letter.key, letter.time, kept, once)
    ack = (await bus.publish([again]))[0]
    if not isinstance(ack, Ack):
        raise Unavailable(f"the stream did not take the event: {ack}")
    await bus.js.delete_msg(DEAD_LETTERS, number)
    return letter


async def drop_letter(bus: Bus, number: int) -> DeadLetter:
    """Delete a dead letter for good. Raises NotFound when there is none of that number."""
    letter = await find_letter(bus, number)
    await bus.js.delete_msg(DEAD_LETTERS, number)
    return letter


async def find_letter(bus: Bus, number: int) -> DeadLetter:
    """Return one dead letter. Raises NotFound."""
    await bus.ensure_stream(DEAD_LETTERS)
    try:
        return _read(await bus.js.get_msg(DEAD_LETTERS, number))
    except NotFoundError as error:
        raise NotFound(f"no dead letter {number}: list them first", reason="DEAD_LETTER_NOT_FOUND") from error


def _read(raw: RawStreamMsg) -> DeadLetter:
    headers = raw.headers or {}
    return DeadLetter(
        number=raw.seq or 0,
        consumer=headers.get("Tickdesk-Dlq-Consumer", ""),
        event=headers.get("Tickdesk-Dlq-Subject", ""),
        event_id=headers.get("Tickdesk-Event-Id", ""),
        key=headers.get("Tickdesk-Key", ""),
        reason=headers.get("Tickdesk-Dlq-Reason", ""),
        detail=headers.get("Tickdesk-Dlq-Detail", ""),
        time=datetime.fromisoformat(headers.get("Tickdesk-Time") or "1970-01-01T00:00:00+00:00"),
        payload=raw.data or b"",
    )
