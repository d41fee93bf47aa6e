"""The flow: a message comes in, is stored with its files, finds its conversation, and is announced."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Refused, Violation
from chassis.sign import verify
from intake import convert, metrics, store
from intake.adapters.vault import Vault
from intake.domain import (
    Kind,
    Mailboxes,
    Parcel,
    Receipt,
    Token,
    claims,
    content_digest,
    referred_ids,
    sender_of,
    signatories,
)
from intake.reading import thread
from intake.reading.body import clean_label
from intake.reading.charset import clean_line, clean_text
from intake.reading.headers import clean_address
from intake.reading.wording import is_nudge, language_of
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import events_pb2, intake_service_pb2, message_pb2

_RELATED = 5
_PEOPLE = 50
_FILES_BYTES = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with besides the transaction."""

    vault: Vault
    mailboxes: Mailboxes
    reply_keys: str
    duplicate_window: timedelta


@dataclass(frozen=True, slots=True)
class Place:
    """The conversation a message goes to, and those it only claims."""

    conversation_id: str
    started: bool
    related: tuple[str, ...] = ()


async def receive_mail(tx: Tx, parcel: Parcel, desk: Desk) -> Receipt:
    """Store a mail with its files and announce it; a copy of a stored one is only counted.

    Raises InvalidInput for a mail without a sender."""
    digest = content_digest(parcel)
    window = None if parcel.mail.message_id else desk.duplicate_window
    copy = await store.find_copy(tx, digest, window)
    if copy is not None:
        await store.count_duplicate(tx)
        return Receipt(copy.id, duplicate=True)
    message = convert.inbound_mail(parcel, desk.mailboxes)
    await desk.vault.put(message.raw_id, parcel.raw)
    for described, file in zip(message.attachments, parcel.mail.attachments, strict=True):
        await desk.vault.put(described.id, file.content)
    place = await find_place(tx, desk, parcel)
    raw = {
        "id": UUID(message.raw_id),
        "size": len(parcel.raw),
        "sha256": hashlib.sha256(parcel.raw).hexdigest(),
    }
    await _settle(tx, message, place, _people(parcel, message))
    await store.add_message(tx, message, digest, raw)
    return Receipt(message.id, started=place.started)


def _people(parcel: Parcel, message: message_pb2.InboundMessage) -> list[str]:
    """Who may go on with the conversation: no mail server, and those in copy only of a person's mail."""
    if parcel.mail.kind is Kind.BOUNCE:
        return []
    others = message.recipients if parcel.mail.kind is Kind.PERSON else ()
    return [message.sender.address, *(each.address for each in others)][:_PEOPLE]


async def _settle(tx: Tx, message: message_pb2.InboundMessage, place: Place, people: list[str]) -> None:
    """Put a message into its conversation and announce it."""
    await store.open_conversation(tx, place.conversation_id, message.account, people)
    message.conversation_id = place.conversation_id
    message.conversation_started = place.started
    message.related_conversation_ids.extend(place.related)
    message.preceding_message_ids.extend(await store.preceding(tx, message))
    message.received_time.FromDatetime(tx.now)
    tx.emit(convert.received(message), key=_line(message.sender.address))


def _line(sender: str) -> str:
    """What orders events: one sender's mails follow each other even from conversation to conversation.

    Ordered by conversation, each mail of a burst would have to wait and come again. No address: keys are
    logged."""
    return hashlib.sha256(sender.encode()).hexdigest()[:16]


async def find_place(tx: Tx, desk: Desk, parcel: Parcel) -> Place:
    """The conversation that a message proves it belongs to, or a new one.

    Proof is a token signed for the sender, or a reference to a message of a conversation the sender is in."""
    mail, sender = parcel.mail, sender_of(parcel)
    tokens = claims(mail)
    proven = next((each for each in tokens if _is_proven(desk, each, signatories(mail, sender))), None)
    if proven is not None:
        known = await store.existing(tx, [proven.conversation_id])
        return Place(proven.conversation_id, started=not known)
    found = await store.conversations_of(tx, referred_ids(mail), sender.address)
    joined = next((each for each in found if each.takes_part), None)
    if joined is not None:
        return Place(joined.conversation_id, started=False)
    claimed = [*(each.conversation_id for each in tokens), *(each.conversation_id for each in found)]
    related = (await store.existing(tx, claimed))[:_RELATED]
    if related:
        metrics.FORGED.inc()
    return Place(new_conversation(), started=True, related=tuple(related))


def _is_proven(desk: Desk, token: Token, addresses: tuple[str, ...]) -> bool:
    size = len(token.mac)
    return any(
        verify(
            desk.reply_keys,
            thread.PURPOSE,
            token.conversation_id,
            address.lower(),
            signature=token.mac,
            size=size,
        )
        for address in addresses
    )


def new_conversation() -> str:
    """A conversation id: 80 random bits as 16 letters and digits."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


async def submit_request(
    tx: Tx, desk: Desk, request: intake_service_pb2.SubmitRequestRequest
) -> intake_service_pb2.SubmitRequestResponse:
    """Take a message from another program. Raises InvalidInput, NotFound or Refused."""
    check_request(request, desk.mailboxes)
    account = clean_address(request.account)
    identity = clean_line(request.external_id)
    facts = f"{request.channel}\0{account}\0{identity}" if identity else str(uuid7())
    digest = hashlib.sha256(f"request\0{facts}".encode()).digest()
    copy = await store.find_copy(tx, digest, None) if identity else None
    if copy is not None:
        await store.count_duplicate(tx)
        return intake_service_pb2.SubmitRequestResponse(message=copy, duplicate=True)
    message = _requested(request, account, identity)
    place = await _requested_place(tx, request, message.sender.address)
    for file, described in zip(request.files, message.attachments, strict=True):
        await desk.vault.put(described.id, file.content)
    await _settle(tx, message, place, [message.sender.address])
    await store.add_message(tx, message, digest, None)
    return intake_service_pb2.SubmitRequestResponse(message=message)


async def upload_file(
    tx: Tx, vault: Vault, file: intake_service_pb2.FileUpload, uploader: str
) -> common_pb2.Attachment:
    """Keep a file of the desk's own. Raises InvalidInput when it is empty, Unavailable without a store."""
    if not file.content:
        text = "file.content must not be empty"
        raise InvalidInput(text, violations=[Violation("file.content", text)])
    described = _uploaded(file)
    await vault.put(described.id, file.content)
    await store.add_upload(tx, described, uploader)
    tx.emit(events_pb2.FileUploaded(attachment=described, uploader=uploader), key=described.id)
    return described


def check_request(request: intake_service_pb2.SubmitRequestRequest, mailboxes: Mailboxes) -> None:
    """What the contract's own rules cannot say. Raises InvalidInput that names every bad field."""
    wrong: list[Violation] = []
    account = clean_address(request.account)
    if not account or not mailboxes.takes(account):
        wrong.append(Violation("account", "must be an address of a queue of this desk"))
    if not clean_line(request.sender.address):
        wrong.append(Violation("sender.address", "must say where the sender can be reached"))
    elif len(request.sender.address) > 320 or len(request.sender.name) > 300:
        wrong.append(Violation("sender", "takes an address of 320 and a name of 300 characters"))
    if not clean_text(request.text).strip() and not request.files:
        wrong.append(Violation("text", "must not be empty unless there are files"))
    if sum(len(each.content) for each in request.files) > _FILES_BYTES:
        wrong.append(Violation("files", f"may have {_FILES_BYTES // 1024 // 1024} MiB in all"))
    if wrong:
        names = ", ".join(each.field for each in wrong)
        raise InvalidInput(f"the request cannot be taken: see {names}", violations=wrong)


async def _requested_place(tx: Tx, request: intake_service_pb2.SubmitRequestRequest, sender: str) -> Place:
    wanted = request.conversation_id
    if not wanted:
        return Place(new_conversation(), started=True)
    if not await store.existing(tx, [wanted]):
        raise NotFound(f"there is no conversation {wanted!r}", reason="CONVERSATION_NOT_FOUND")
    if not await store.takes_part(tx, wanted, sender):
        raise Refused(
            f"the sender takes no part in conversation {wanted}: leave conversation_id empty to start one",
            reason="NOT_A_PARTICIPANT",
        )
    return Place(wanted, started=False)


def _requested(
    request: intake_service_pb2.SubmitRequestRequest, account: str, identity: str
) -> message_pb2.InboundMessage:
    text = clean_text(request.text).strip()
    address = clean_line(request.sender.address)
    message = message_pb2.InboundMessage(
        id=str(uuid7()),
        channel=request.channel,
        account=account,
        external_id=identity,
        sender=message_pb2.Party(
            address=clean_address(address) or address, name=clean_line(request.sender.name)
        ),
        subject=clean_line(request.subject),
        text=text,
        reply_text=text,
        author_kind=message_pb2.AUTHOR_KIND_PERSON,
        nudge=not request.files and is_nudge(text),
        language=language_of(text),
        customer_number=clean_line(request.customer_number),
        fields={clean_line(key): clean_text(value) for key, value in request.fields.items()},
        topic=clean_line(request.topic),
    )
    message.attachments.extend(_uploaded(each) for each in request.files)
    return message


def _uploaded(file: intake_service_pb2.FileUpload) -> common_pb2.Attachment:
    return common_pb2.Attachment(
        id=str(uuid7()),
        filename=clean_label(file.filename) or "file",
        media_type=clean_line(file.media_type).lower() or "application/octet-stream",
        size_bytes=len(file.content),
        sha256=hashlib.sha256(file.content).hexdigest(),
    )
