"""Files that go with letters and notes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis.db import Tx
from chassis.errors import InvalidInput, Unavailable, Violation
from tickdesk.intake.v1 import events_pb2 as intake
from tickets.convert import tickets as convert
from tickets.domain.model import Attachment, Ticket
from tickets.store import messages, uploads

_UNDER_WAY_SECONDS = 15


async def file_uploaded(tx: Tx, event: intake.FileUploaded) -> None:
    """The desk has a file that it may send."""
    await uploads.add(tx, convert.from_attachment(event.attachment), event.uploader)


async def usable(tx: Tx, ticket: Ticket, ids: Sequence[str]) -> list[Attachment]:
    """The files, in their order: uploads of the desk, and what this ticket's own messages brought.

    Raises InvalidInput (ATTACHMENT_UNKNOWN) for any other, since a file of another ticket is another
    customer's, and Unavailable for one that may have been uploaded a moment ago.
    """
    wanted = [str(UUID(each)) for each in ids]
    known = {each.id: each for each in await uploads.find(tx, wanted)} if wanted else {}
    if any(each not in known for each in wanted):
        known |= {each.id: each for each in await messages.attachments(tx, ticket.id, wanted)}
    strange = [index for index, each in enumerate(wanted) if each not in known]
    if any(_is_fresh(wanted[index], tx.now) for index in strange):
        raise Unavailable("the file is on its way here, try again", reason="FILE_UNDER_WAY")
    if strange:
        fields = [f"attachment_ids[{index}]" for index in strange]
        text = "must be a file that was uploaded, or one of a message of this ticket"
        violations = [Violation(each, text) for each in fields]
        raise InvalidInput(f"{fields[0]} {text}", reason="ATTACHMENT_UNKNOWN", violations=violations)
    return [known[each] for each in wanted]


def _is_fresh(identity: str, now: datetime) -> bool:
    """Whether an id was made just now; those of version 7 begin with their milliseconds."""
    value = UUID(identity)
    return value.version == 7 and abs(now.timestamp() - (value.int >> 80) / 1000) < _UNDER_WAY_SECONDS
