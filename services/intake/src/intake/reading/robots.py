"""Person or machine: who is behind a message, by its headers and its envelope."""

import re
from email.message import Message

from flufl.bounce import all_failures

from intake.domain import Failure, Kind
from intake.reading.body import inner_messages, payload_of
from intake.reading.headers import Headers, clean_address, parse_ids

_REPLY_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply-from", "x-mail-autoreply")
_AUTO_SUBJECT = re.compile(
    r"(?:auto(?:matic)?[ -]?(?:reply|response|answer)|auto:|автоответ|автоматическ\w+ (?:ответ|уведомл)|"
    r"out of (?:the )?office|ooo:|вне офиса|нет на (?:рабочем )?месте|abwesenheit|réponse automatique|"
    r"автоматты жауап)",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"(?:mailer-daemon|mailerdaemon|mail-daemon|postmaster|bounces?)[@+-]")
_NO_REPLY = re.compile(r"(?:no|do-?not|don-?t)[-_.]?reply|notifications?@|daemon@")
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status|failure|report|has failed)|returned (?:mail|to sender)|"
    r"mail delivery (?:failed|system)|"
    r"failure notice|не доставлен|недоставлен|ошибка доставки|сбой доставки|возврат",
    re.IGNORECASE,
)
_HOSTILE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, AssertionError)
_PERMANENT = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b|\b55\d\b")


def null_path(headers: Headers, mail_from: str | None) -> bool:
    """The envelope has no sender: by SMTP itself or by the header the last server wrote."""
    if mail_from is not None and mail_from.strip("<> ") == "":
        return True
    return any(value.strip() == b"<>" for value in headers.raw("return-path"))


def signs_of_robot(headers: Headers, sender: str, *, null: bool) -> dict[Kind, list[str]]:
    """What speaks for which kind, as short remarks that name the header."""
    signs: dict[Kind, list[str]] = {Kind.AUTO_REPLY: [], Kind.LIST: [], Kind.BOUNCE: []}
    submitted, precedence = headers.token("auto-submitted"), headers.token("precedence")
    if submitted and submitted != "no":
        signs[Kind.AUTO_REPLY].append(f"Auto-Submitted: {submitted[:40]}")
    signs[Kind.AUTO_REPLY] += [name for name in _REPLY_HEADERS if headers.get(name).lower() not in ("", "no")]
    if precedence in ("auto_reply", "auto-reply", "junk"):
        signs[Kind.AUTO_REPLY].append(f"Precedence: {precedence}")
    if _AUTO_SUBJECT.match(headers.get("subject")[:200]):
        signs[Kind.AUTO_REPLY].append("subject of an automatic reply")
    signs[Kind.LIST] += [name for name in ("list-id", "list-post", "list-unsubscribe") if headers.get(name)]
    if precedence in ("list", "bulk"):
        signs[Kind.LIST].append(f"Precedence: {precedence}")
    if _DAEMON.match(sender):
        signs[Kind.BOUNCE].append("sent by a mail server")
    if headers.get("x-failed-recipients"):
        signs[Kind.BOUNCE].append("X-Failed-Recipients")
    if null and _BOUNCE_SUBJECT.search(headers.get("subject")[:200]):
        signs[Kind.BOUNCE].append("subject of a delivery report")
    return signs


def weak_signs(headers: Headers, sender: str, *, null: bool) -> list[str]:
    """What alone makes a message automatic, but says less than a list's or a bounce's own headers."""
    signs = ["empty return path"] if null else []
    suppress = headers.get("x-auto-response-suppress").lower()
    if suppress and suppress != "none":
        signs.append("X-Auto-Response-Suppress")
    if _NO_REPLY.match(sender):
        signs.append("no-reply sender")
    return signs


def classify(
    headers: Headers, sender: str, mail_from: str | None, report: str
) -> tuple[Kind, tuple[str, ...]]:
    """Kind and its signs. `report` is the report-type of a multipart/report, "" otherwise."""
    null = null_path(headers, mail_from)
    signs = signs_of_robot(headers, sender, null=null)
    weak = weak_signs(headers, sender, null=null)
    if report == "delivery-status":
        return Kind.BOUNCE, (f"report {report}", *signs[Kind.BOUNCE])
    if report:
        return Kind.AUTO_REPLY, (f"report {report}", *signs[Kind.AUTO_REPLY])
    for kind in (Kind.BOUNCE, Kind.AUTO_REPLY, Kind.LIST):
        if signs[kind] and not (kind is Kind.AUTO_REPLY and _from_list(headers, signs)):
            return kind, tuple(signs[kind])
    return (Kind.AUTO_REPLY, tuple(weak)) if weak else (Kind.PERSON, ())


def _from_list(headers: Headers, signs: dict[Kind, list[str]]) -> bool:
    """A list's own mail is often marked auto-generated; only an answer outweighs the list."""
    generated = headers.token("auto-submitted") in ("auto-generated", "auto-notified")
    return bool(signs[Kind.LIST]) and generated and len(signs[Kind.AUTO_REPLY]) == 1


def failure_of(message: Message, headers: Headers, text: str) -> Failure:
    """Whom a bounce is about, as far as it can be told."""
    temporary, permanent = _scan(message)
    named = [clean_address(each) for each in re.split(r"[,\s]+", headers.get("x-failed-recipients"))[:20]]
    addresses = [*permanent, *temporary, *filter(None, named)]
    return Failure(
        addresses=tuple(dict.fromkeys(addresses))[:20],
        original_message_id=_original_id(message),
        permanent=bool(permanent) or (not temporary and bool(_PERMANENT.search(text[:20_000]))),
        reason=_diagnosis(message),
    )


def _scan(message: Message) -> tuple[list[str], list[str]]:
    """Temporary and permanent failures; the scanner's patterns may stumble over crafted reports."""
    try:
        found = all_failures(message)
    except _HOSTILE:
        return [], []
    temporary, permanent = (
        sorted(filter(None, (clean_address(each.decode("ascii", "replace")) for each in group)))
        for group in found
    )
    return temporary, permanent


def _original_id(message: Message) -> str:
    """The Message-ID of the returned message or of its headers."""
    for part in _reports(
        message, ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
    ):
        inner = next(iter(inner_messages(part)), None)
        headers = str(inner.get("message-id", "")) if inner is not None else _header_line(payload_of(part))
        found = parse_ids(headers[:1000])
        if found:
            return found[0]
    return ""


def _header_line(data: bytes) -> str:
    match = re.search(rb"^message-id:[ \t]*(\S{1,300})", data[:100_000], re.IGNORECASE | re.MULTILINE)
    return match[1].decode("utf-8", "replace") if match else ""


def _diagnosis(message: Message) -> str:
    for part in _reports(message, ("message/delivery-status", "message/global-delivery-status")):
        for block in inner_messages(part):
            code = str(block.get("diagnostic-code", "") or block.get("status", ""))
            if code:
                return " ".join(code.encode("utf-8", "replace").decode("utf-8").split())[:500]
    return ""


def _reports(message: Message, types: tuple[str, ...]) -> list[Message]:
    found: list[Message] = []
    waiting = [message]
    while waiting and len(found) < 20:
        part = waiting.pop(0)
        if part.get_content_type() in types:
            found.append(part)
        elif part.get_content_maintype() == "multipart":
            waiting += inner_messages(part)[:100]
    return found
