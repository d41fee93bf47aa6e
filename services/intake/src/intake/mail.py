"""Bytes of a mail to what the desk understands of it: `understand(raw)` is the way in."""

import hashlib
import re
from dataclasses import replace

from chassis.errors import InvalidInput, Violation
from intake.domain import Address, Attachment, Kind, Limits, ParsedMail, Thread
from intake.reading import robots, thread
from intake.reading.body import Body, page_of, parse, read_body, text_of
from intake.reading.headers import Headers, clean_address, read_headers
from intake.reading.reply import own_text
from intake.reading.wording import is_nudge, language_of

_SUBJECT = 500
_REPORT = re.compile(r"multipart/report\b.*?report-type\s{0,3}=\s{0,3}[\"']?([\w-]{1,40})", re.IGNORECASE)


def understand(
    raw: bytes,
    *,
    limits: Limits | None = None,
    mail_from: str | None = None,
    recipients: tuple[str, ...] = (),
) -> ParsedMail:
    """Read a message. `mail_from` and `recipients` are the envelope's, where there was one.

    Broken MIME, odd charsets and missing headers are read as well as can be and remarked in `warnings`.
    Refuses (InvalidInput) only what is no message: empty, too large, or a bomb of headers."""
    limits = limits or Limits()
    headers = _open(raw, limits)
    known = _from_headers(headers, limits, mail_from, recipients)
    message = parse(raw)
    body = read_body(message, limits) if message is not None else None
    if message is None or body is None:
        return _original_only(raw, known, "its parts are too many or nest too deep")
    text = text_of(body, limits)
    if known.kind is Kind.BOUNCE:
        known = replace(known, failure=robots.failure_of(message, headers, text))
    return _with_body(known, body, text, limits)


def unreadable(
    raw: bytes, reason: str, *, limits: Limits | None = None, mail_from: str | None = None
) -> ParsedMail:
    """What is left of a message whose parts cannot be read: its headers, and the original as a file."""
    limits = limits or Limits()
    return _original_only(raw, _from_headers(_open(raw, limits), limits, mail_from, ()), reason)


def _open(raw: bytes, limits: Limits) -> Headers:
    if len(raw) > limits.size:
        raise _refusal("MAIL_TOO_LARGE", f"the message is larger than {limits.size // (1024 * 1024)} MiB")
    if not raw.strip():
        raise _refusal("MAIL_EMPTY", "the message is empty: it has neither headers nor text")
    return read_headers(raw, limits)


def _refusal(reason: str, message: str) -> InvalidInput:
    return InvalidInput(message, reason=reason, violations=[Violation("raw", message)])


def _original_only(raw: bytes, known: ParsedMail, reason: str) -> ParsedMail:
    original = Attachment("message.eml", "message/rfc822", raw, hashlib.sha256(raw).hexdigest())
    note = f"The message could not be read: {reason}. The original is attached as message.eml."
    return replace(known, text=note, reply=note, attachments=(original,)).warn(f"unreadable: {reason}")


def _from_headers(
    headers: Headers, limits: Limits, mail_from: str | None, recipients: tuple[str, ...]
) -> ParsedMail:
    sender, warnings = _sender(headers, mail_from)
    to, cc = headers.addresses("to", limits.addresses), headers.addresses("cc", limits.addresses)
    subject = headers.get("subject")[:_SUBJECT]
    delivered = _delivered(headers, recipients)
    report = _REPORT.search(headers.get("content-type")[:2000])
    kind, signs = robots.classify(
        headers, sender.address if sender else "", mail_from, report[1].lower() if report else ""
    )
    if max(len(to), len(cc)) >= limits.addresses:
        warnings.append(f"more than {limits.addresses} recipients; the others were left out")
    return ParsedMail(
        sender=sender,
        reply_to=headers.addresses("reply-to", 5),
        to=to,
        cc=cc,
        delivered_to=delivered,
        subject=subject,
        topic=thread.topic(subject),
        sent_at=headers.date("date"),
        message_id=next(iter(headers.ids("message-id")), ""),
        thread=_thread(headers, subject, [*delivered, *(each.address for each in (*to, *cc))]),
        kind=kind,
        robot_signs=signs,
        warnings=(*warnings, *_missing(headers)),
    )


def _sender(headers: Headers, mail_from: str | None) -> tuple[Address | None, list[str]]:
    """The author; Reply-To never counts, the envelope only where the headers name nobody."""
    warnings = ["several From headers: the first is taken"] if headers.count("from") > 1 else []
    found = [*headers.addresses("from", 2), *headers.addresses("sender", 1)]
    if len(found) > 1 and len(headers.addresses("from", 2)) > 1:
        warnings.append("several authors: the first is taken")
    if found:
        return found[0], warnings
    envelope = clean_address(mail_from or "")
    warnings.append("no usable From address" + (": the envelope's is taken" if envelope else ""))
    return (Address(envelope) if envelope else None), warnings


def _delivered(headers: Headers, recipients: tuple[str, ...]) -> tuple[str, ...]:
    """Where the message was delivered: the envelope first, then what servers on the way wrote down."""
    names = ("x-original-to", "delivered-to", "x-orig-to", "envelope-to")
    noted = (each.address for name in names for each in headers.addresses(name, 5))
    return tuple(dict.fromkeys(filter(None, [*map(clean_address, recipients), *noted])))


def _thread(headers: Headers, subject: str, addresses: list[str]) -> Thread:
    in_reply_to, references = headers.ids("in-reply-to", 10), headers.ids("references")
    return Thread(
        in_reply_to=in_reply_to,
        references=references,
        reply_token=thread.address_token(addresses),
        subject_token=thread.subject_token(subject),
        message_tokens=thread.message_tokens((*references, *in_reply_to)),
    )


def _missing(headers: Headers) -> list[str]:
    missing = [name for name in ("Date", "Message-ID") if not headers.get(name.lower())]
    absurd = headers.get("date") and headers.date("date") is None
    return [f"no {name} header" for name in missing] + (
        ["the Date header is not a usable date"] if absurd else []
    )


def _unsigned(reply: str, known: ParsedMail) -> str:
    """The reply without a last line that is only the sender's own name."""
    words, _, last = reply.rstrip().rpartition("\n")
    name = known.sender.name.casefold().split() if known.sender else []
    signed = last.strip(" ,.-").casefold().split()
    return words if signed and set(signed) <= set(name) else reply


def _with_body(known: ParsedMail, body: Body, text: str, limits: Limits) -> ParsedMail:
    reply = own_text(text, keep_forwarded=_keeps_history(known))
    files = _with_inline(body)
    asks = (
        known.kind is Kind.PERSON
        and all(each.inline for each in files)
        and is_nudge(_unsigned(reply, known) or known.topic)
    )
    html = page_of(body, limits)
    if not text and not files:
        body.warn("the message has no text")
    return replace(
        known,
        text=text,
        reply=reply,
        html=html,
        attachments=files,
        nudge=asks,
        language=language_of(f"{reply}\n{known.topic}"),
    ).warn(*body.warnings)


def _keeps_history(mail: ParsedMail) -> bool:
    """History below the text is content when it is passed on, or when nothing says that this is an answer."""
    answers = mail.thread.in_reply_to or mail.thread.references or thread.is_reply(mail.subject)
    return thread.is_forward(mail.subject) or not answers


def _with_inline(body: Body) -> tuple[Attachment, ...]:
    """Pictures that the HTML shows are inline whatever their own header says."""
    pages = "".join(body.pages)
    shown = {each for each in body.cids if each and f"cid:{each}" in pages}
    return tuple(
        replace(each, inline=True)
        if each.content_id in shown and each.media_type.startswith("image/")
        else each
        for each in body.attachments
    )
