"""The parts of a message: its text, its HTML and its files."""

import hashlib
import mimetypes
import re
import unicodedata
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import InvalidBase64LengthDefect
from email.message import Message
from email.policy import compat32

from intake.domain import Attachment, Limits
from intake.reading.charset import clean_line, clean_text, decode
from intake.reading.headers import decode_base64, decode_header, decode_words
from intake.reading.markup import html_text, safe_html, too_deep

# What the standard library's parser is known to raise on crafted messages.
HOSTILE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, AssertionError, OverflowError)

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s{0,3}=\s{0,3}[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_WORD = re.compile(rb"[A-Za-z0-9-]+")
_FORBIDDEN = re.compile(r"[<>:\"|?*/\\]")
_LABEL_LENGTH = 150
_REMARKS = {
    "application/pgp-encrypted": "the message is encrypted with PGP and cannot be read here",
    "application/ms-tnef": "Outlook packed the attachments into winmail.dat",
}


@dataclass(slots=True)
class Body:
    """What was gathered from the parts, in their order."""

    texts: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cids: set[str] = field(default_factory=set)
    parts: int = 0
    file_limit: int = 100

    def warn(self, remark: str) -> None:
        """Remember a remark once."""
        if remark and remark not in self.warnings and len(self.warnings) < 20:
            self.warnings.append(remark)


def parse(raw: bytes) -> Message | None:
    """The tree of parts, or None when the parser gives up."""
    try:
        return message_from_bytes(raw, policy=compat32)
    except HOSTILE:
        return None


def read_body(message: Message, limits: Limits) -> Body | None:
    """Walk the parts; None when there are too many or they nest too deep to be honest."""
    body = Body(file_limit=limits.files)
    waiting: list[tuple[Message, int, bool]] = [(message, 0, False)]
    while waiting:
        part, depth, alternative = waiting.pop()
        body.parts += 1
        if body.parts > limits.parts or depth > limits.depth:
            return None
        children = _children(part)
        if children is None:
            _read_part(part, body, limits, alternative=alternative)
            continue
        kind = part.get_content_subtype()
        body.warn("" if children else "an empty multipart")
        waiting += [(child, depth + 1, alternative or kind == "alternative") for child in reversed(children)]
    return body


def _children(part: Message) -> list[Message] | None:
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        return None
    return inner_messages(part)


def inner_messages(part: Message) -> list[Message]:
    """The messages or parts directly inside, if it holds such."""
    payload = part.get_payload() if part.is_multipart() else []
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def _mend_headers(part: Message) -> None:
    """The library loses bare 8-bit letters of file names, and does not know a folded or quoted encoding."""
    for name, value in part.raw_items():
        raw = str(value).encode("utf-8", "surrogateescape")
        if name.lower() == "content-transfer-encoding":
            found = _WORD.search(raw)
            part.replace_header(name, found[0].decode("ascii") if found else "")
        elif name.lower() in ("content-type", "content-disposition") and not raw.isascii():
            part.replace_header(name, clean_line(decode(raw)[0]))


def _read_part(part: Message, body: Body, limits: Limits, *, alternative: bool) -> None:
    _mend_headers(part)
    for defect in part.defects[:5]:
        body.warn(f"broken MIME: {_sentence(type(defect).__name__)}")
    media_type = part.get_content_type()
    body.warn(_REMARKS.get(media_type, ""))
    disposition, label = _disposition(part), file_label(part)
    textual = media_type in ("text/plain", "text/html") or media_type == "text/enriched"
    if part.get_content_maintype() == "multipart" and not textual:
        media_type, textual = "text/plain", True
    named = bool(label) and not alternative and bool(body.texts or body.pages or disposition)
    if textual and disposition != "attachment" and not named:
        _read_text(part, media_type, body, limits)
    elif media_type == "message/delivery-status" and disposition != "attachment":
        _attach(part, "delivery-status.txt", body, inline=False)
    else:
        inline = disposition == "inline" and part.get_content_maintype() == "image"
        _attach(part, label, body, inline=inline)


def _sentence(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Defect")).lower()
    return words.strip() or "defect"


def _disposition(part: Message) -> str:
    try:
        return str(part.get_content_disposition() or "")
    except HOSTILE:
        return ""


def _read_text(part: Message, media_type: str, body: Body, limits: Limits) -> None:
    data = payload_of(part)[: limits.html * 4]
    charset = _param(part, "charset")
    if not charset and media_type == "text/html":
        found = _META_CHARSET.search(data[:4096])
        charset = found[1].decode("ascii") if found else ""
    text, remark = decode(data, charset)
    body.warn(remark)
    if media_type == "text/html":
        body.pages.append(clean_text(text))
    elif _param(part, "format").lower() == "flowed":
        body.texts.append(unflow(clean_text(text), joined=_param(part, "delsp").lower() == "yes"))
    else:
        body.texts.append(clean_text(text))


def _param(part: Message, name: str) -> str:
    try:
        value = part.get_param(name)
    except HOSTILE:
        return ""
    return clean_line(str(value[2] if isinstance(value, tuple) else value or ""))


def payload_of(part: Message) -> bytes:
    """The decoded bytes of a part, as many as can be had."""
    if part.is_multipart():
        return b"\n".join(map(_serialised, inner_messages(part)))
    try:
        data = part.get_payload(decode=True)
    except HOSTILE:
        return b""
    if not isinstance(data, bytes):
        return b""
    # Base64 of an impossible length comes back undecoded; what is readable of it is kept.
    cut = any(isinstance(each, InvalidBase64LengthDefect) for each in part.defects)
    return decode_base64(data) if cut else data


def _serialised(part: Message) -> bytes:
    try:
        return part.as_bytes()
    except HOSTILE:
        return b""


def unflow(text: str, *, joined: bool) -> str:
    """Join the soft line breaks of format=flowed (RFC 3676) where the depth of quotes agrees."""
    lines: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare.removeprefix(" ")
        soft = bare.endswith(" ") and bare != "-- "
        content = bare[:-1] if soft and joined else bare
        if open_depth == depth and bare != "-- ":
            lines[-1] += content
        else:
            lines.append(f"{'>' * depth}{' ' if depth else ''}{content}")
        open_depth = depth if soft and len(lines[-1]) < 10_000 else -1
    return "\n".join(lines)


def file_label(part: Message) -> str:
    """The sender's file name as a harmless label, "" when there is none."""
    try:
        name = part.get_filename() or ""
    except HOSTILE:
        name = ""
    plain = name.encode("utf-8", "surrogateescape")
    return clean_label(decode_words(decode(plain)[0]))


def clean_label(name: str) -> str:
    """A name to show: normalised, no path, no invisible, bidi or reserved characters, no leading dot."""
    name = unicodedata.normalize("NFKC", clean_line(name[:2000]))
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(each for each in name if unicodedata.category(each)[0] != "C")
    name = _FORBIDDEN.sub("_", name).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if dot and len(name) > _LABEL_LENGTH:
        return f"{stem[: _LABEL_LENGTH - 20]}.{ending[:19]}".strip(" .")
    return name[:_LABEL_LENGTH].strip(" .")


def _attach(part: Message, label: str, body: Body, *, inline: bool) -> None:
    if len(body.attachments) >= body.file_limit:
        body.warn(f"more than {body.file_limit} files; the others are only in the original message")
        return
    content = payload_of(part)
    media_type = part.get_content_type()
    if not label:
        ending = ".eml" if media_type == "message/rfc822" else mimetypes.guess_extension(media_type) or ".bin"
        label = f"{_subject_label(part) or f'attachment-{len(body.attachments) + 1}'}{ending}"
    body.warn("" if content else "at least one attachment is empty")
    content_id = clean_line(str(part.get("content-id", ""))).strip("<> ")[:250]
    body.cids.add(content_id)
    digest = hashlib.sha256(content).hexdigest()
    body.attachments.append(Attachment(label, _media_type(media_type), content, digest, inline, content_id))


def _subject_label(part: Message) -> str:
    """A forwarded message is called by its subject."""
    inner = next(iter(inner_messages(part)), None)
    if inner is None or part.get_content_type() != "message/rfc822":
        return ""
    subject = next((str(value) for name, value in inner.raw_items() if name.lower() == "subject"), "")
    return clean_label(decode_header(subject.encode("utf-8", "surrogateescape")))[:80]


def _media_type(media_type: str) -> str:
    return (
        media_type
        if re.match(r"[\w.+-]{1,100}/[\w.+-]{1,100}\Z", media_type, re.ASCII)
        else "application/octet-stream"
    )


def text_of(body: Body, limits: Limits) -> str:
    """The whole text: the plain parts, or the pages as text when no plain part says anything."""
    plain = "\n\n".join(filter(None, (each.strip("\n") for each in body.texts)))
    if not plain.strip() or _placeholder(plain):
        converted = "\n\n".join(filter(None, (html_text(each, limits).strip() for each in body.pages)))
        plain = converted or plain
    if len(plain) > limits.text:
        body.warn(f"text cut at {limits.text} characters; the original message has all of it")
    return re.sub(r"\n{4,}", "\n\n\n", clean_text(plain[: limits.text])).strip()


def _placeholder(plain: str) -> bool:
    """Some programs send a plain part that only says that it is not the message."""
    return len(plain) < 300 and bool(_NO_TEXT.search(plain))


_NO_TEXT = re.compile(
    r"(?:does not|doesn't|не) (?:support|поддерживает)\w* html|html[- ]?(?:e-?mail|message|view|only)|"
    r"view (?:it|this) (?:e-?mail |message )?in (?:a|your) browser",
    re.IGNORECASE,
)


def page_of(body: Body, limits: Limits) -> str:
    """The pages made safe for display, "" when there are none or they are not fit for it."""
    html = "<hr>".join(body.pages)
    if html and (len(html) > limits.html or too_deep(html, limits.html_depth)):
        body.warn("the HTML of the message is too large or too deep and was left out")
        return ""
    return safe_html(html, limits).strip() if html else ""
