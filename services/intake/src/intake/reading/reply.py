"""What the sender wrote themselves: the text without quoted history and signature.

A classifier of lines. Every pattern is tried on a line cut to a fixed length and no pattern nests
quantifiers, so the time is linear in the text whatever it holds."""

import re
from dataclasses import dataclass
from enum import Enum, auto

_LOOK = 400
_INTRO_LENGTH = 500
_WRAPPED = 4
_SIGNATURE_LINES = 15
_DEVICE_LINES = 3
_CLOSING_LINES = 7
_CLOSING_LENGTH = 90


class Line(Enum):
    """What a line is."""

    TEXT = auto()
    BLANK = auto()
    QUOTE = auto()
    INTRO = auto()
    HISTORY = auto()
    FORWARD = auto()
    SIGNATURE = auto()
    MOBILE = auto()


@dataclass(frozen=True, slots=True)
class _Marked:
    text: str
    line: Line


_WROTE = (
    r"(?:wrote|writes|has written|написал\(?а?\)?|писал\(?а?\)?|пишет|написав\(?ла\)?|пише|жазды|жазған|"
    r"schrieb|schreef|a écrit|escribió|escreveu|ha scritto|napisał\(?a?\)?|pisze|napsal\(?a?\)?|skrev|"
    r"kirjoitti)"
)
_INTRO_END = re.compile(rf"(?:\b{_WROTE}|>|\)|[\w.+-]@[\w.-]+|(?P<moment>\d))\s?[:：]\s*\Z", re.IGNORECASE)
_INTRO_VERB = re.compile(rf"(?<!\w){_WROTE}(?!\w)", re.IGNORECASE)
_MOMENT = re.compile(r"\d{1,2}[:.ч]\d{2}|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_MAILBOX = re.compile(r"[^\s<>@]@[\w-]")
_INTRO_START = re.compile(
    r"\s{0,3}(?:[*_]{0,2})(?:on\b|le\b|el\b|am\b|em\b|il\b|den\b|op\b|w dniu\b|dne\b|at\b|"
    r"\d|[\"'«“]?[\w.'-]{1,30}[,\s]|<?[^\s@<>]{1,64}@|\S{1,40}\s<)",
    re.IGNORECASE,
)

_LABELS = {
    "from": ["from", "от", "отправитель", "von", "de", "da", "кімнен", "від", "od"] + ["от кого"],
    "sent": [
        "sent",
        "date",
        "отправлено",
        "дата",
        "gesendet",
        "datum",
        "envoyé",
        "enviado",
        "fecha",
        "жіберілді",
        "күні",
    ],
    "to": ["to", "кому", "an", "à", "para", "кімге"],
    "subject": ["subject", "тема", "betreff", "objet", "asunto", "тақырып", "тақырыбы"],
    "cc": [
        "cc",
        "копия",
        "kopie",
        "көшірме",
        "importance",
        "важность",
        "reply-to",
        "вложения",
        "attachments",
    ],
}
_LABEL = {name: kind for kind, names in _LABELS.items() for name in names}
_HEADER = re.compile(
    r"[\s>*_]{0,6}([^\W\d_][\w-]{0,12}(?: кого)?)\s{0,2}[*_]{0,2}\s?:[*_]{0,2}(?:\s|\Z|<|\")", re.IGNORECASE
)

_RULE = re.compile(r"\s{0,3}[-_=*─—]{5,}\s*\Z")
_BANNER = re.compile(r"\s{0,3}[-_=*─—]{2,40}\s{0,3}([^\W\d_][^-_=*─—]{2,60}[\w)])\s{0,3}[-_=*─—]{2,40}\s*\Z")
_ORIGINAL = re.compile(
    r"original (?:message|appointment)|исходное сообщение|оригинальное сообщение|первоначальное сообщение|"
    r"reply message|ursprüngliche nachricht|message d'origine|mensaje original|бастапқы хабар|"
    r"(?:please )?(?:type your )?reply above this line|ответ выше этой (?:линии|строки)|пишите выше",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"forwarded|begin forwarded message|пересылаем|пересланн|переадресован|перенаправлен|weitergeleitet|"
    r"message transféré|mensaje reenviado|қайта жіберілген",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    r"\W{0,6}(?:please )?(?:type your )?reply above this line|\W{0,6}[\w ,]{0,40}выше этой (?:линии|строки)",
    re.I,
)
_BEGIN_FORWARD = re.compile(
    r"\s{0,3}(?:begin forwarded message|начало (?:переадресованного|пересылаемого) сообщения)\s?:",
    re.I,
)

_DELIMITER = re.compile(r"\s?(?:-- ?|—|––|--_?)\s*\Z")
_DEVICE = re.compile(
    r"\s{0,3}[*_]?(?:sent (?:from|via|with|by)|get|posted from|отправлено (?:с|из|от|через|посредством|со)|"
    r"послано с|"
    r"скачать|получите|написано (?:с|из)|жіберілді|von meinem|enviado desde|envoyé de(?:puis)?)"
    r"(?: [\w'.«»\"+&’()-]{1,30}){1,8}[*_]?"
    r"(?:\s?<[^\s<>]{1,200}>|\s?\([^\s()]{1,200}\)|\s?\[[^\s]{1,200}\])?\s*\Z",
    re.IGNORECASE,
)
_DEVICE_END = re.compile(
    r"\s{0,3}менің .{2,40} жіберілді\.?\s*\Z|\s{0,3}.{2,40} құрылғы\w{0,8} жіберілді\.?\s*\Z", re.IGNORECASE
)
_GET = re.compile(
    r"\s{0,3}(?:get|скачать|получите)\s.{0,40}\b(?:outlook|mail|почт|boxer|proton|spark)", re.IGNORECASE
)
_CLOSING = re.compile(
    r"\s{0,3}(?:с (?:глубоким |большим )?уважением|с наилучшими(?: пожеланиями)?|с у\.|"
    r"всего (?:доброго|наилучшего)|"
    r"(?:with )?(?:best|kind|warm|kindest|warmest)(?: (?:regards|wishes))?|regards|sincerely(?: yours)?|"
    r"yours (?:sincerely|faithfully|truly)|cheers|құрметпен|ізгі ниетпен)\s{0,2}[,.!]?\s*(?P<rest>.{0,60})\Z",
    re.IGNORECASE,
)


def own_text(text: str, *, keep_forwarded: bool) -> str:
    """The sender's own words. `keep_forwarded`: what stands below a banner or header block is content.

    The whole text when nothing would be left, so that no words are ever lost."""
    marked = _classify(text.split("\n"), keep_forwarded=keep_forwarded)
    kept = _without_signatures(_without_history(marked))
    return _tidy(kept) or _tidy([each.text for each in marked])


def _classify(lines: list[str], *, keep_forwarded: bool) -> list[_Marked]:
    marked: list[_Marked] = []
    at, above = 0, Line.BLANK
    while at < len(lines):
        kind, length = _kind(lines, at, above)
        above = above if kind is Line.BLANK else kind
        if kind is Line.FORWARD or (kind is Line.HISTORY and keep_forwarded):
            return marked + [_Marked(each, Line.FORWARD) for each in lines[at:]]
        marked += [_Marked(each, kind) for each in lines[at : at + length]]
        at += length
    return marked


def _kind(lines: list[str], at: int, above: Line) -> tuple[Line, int]:
    """What begins at a line, and how many lines it takes."""
    line = lines[at][:_LOOK]
    stripped = line.strip()
    if not stripped:
        return Line.BLANK, 1
    if stripped.startswith(">") and not stripped.startswith((">>> ", ">From ")):
        return Line.QUOTE, 1
    if stripped.startswith(">>> "):
        # Three marks are a prompt of Python's, unless the line above is of a quote or this introduces one.
        quoted = above in (Line.QUOTE, Line.INTRO) or _is_intro(stripped.lstrip("> "))
        return (Line.QUOTE if quoted else Line.TEXT), 1
    history = _history(lines, at)
    if history is not Line.TEXT:
        return history, 1
    intro = _intro_length(lines, at)
    if intro:
        return Line.INTRO, intro
    if _DELIMITER.match(line):
        return Line.SIGNATURE, 1
    return (Line.MOBILE if _is_device(line) else Line.TEXT), 1


def _is_device(line: str) -> bool:
    return len(line) < 240 and bool(_DEVICE.match(line) and _likely_device(line) or _DEVICE_END.match(line))


def _likely_device(line: str) -> bool:
    return bool(_GET.match(line)) or not line.lstrip(" *_").lower().startswith(("get", "скачать", "получите"))


def _history(lines: list[str], at: int) -> Line:
    """HISTORY or FORWARD when a banner or a block of mail headers begins here, else TEXT."""
    line = lines[at][:_LOOK]
    if _BEGIN_FORWARD.match(line):
        return Line.FORWARD
    if _ABOVE.match(line):
        return Line.HISTORY
    banner = _BANNER.match(line)
    if banner and _FORWARDED.search(banner[1]):
        return Line.FORWARD
    if banner and _ORIGINAL.search(banner[1]):
        return Line.HISTORY
    start = _next_written(lines, at + 1) if _RULE.match(line) else at
    return Line.HISTORY if _header_block(lines, start) else Line.TEXT


def _next_written(lines: list[str], at: int) -> int:
    end = min(at + 3, len(lines))
    return next((each for each in range(at, end) if lines[each].strip()), at)


def _header_block(lines: list[str], at: int) -> bool:
    """Three different mail headers within a few lines, as mail programs put above history."""
    kinds: set[str] = set()
    for offset, line in enumerate(lines[at : at + 8]):
        match = _HEADER.match(line[:_LOOK])
        kind = _LABEL.get(match[1].lower()) if match else None
        if offset == 0 and kind not in ("from", "sent"):
            return False
        if kind:
            kinds.add(kind)
        elif not line.strip() and len(kinds) != 1:
            break
    return len(kinds) >= 3 and "from" in kinds and bool(kinds & {"sent", "subject"})


def _intro_length(lines: list[str], at: int) -> int:
    """How many lines an attribution such as "On ... X wrote:" takes from here; 0 when there is none."""
    if not _INTRO_START.match(lines[at][:_LOOK]):
        return 0
    joined = ""
    for count, line in enumerate(lines[at : at + _WRAPPED], 1):
        part = line.strip()
        if not part or part.startswith(">") or len(part) > _LOOK:
            return 0
        joined = f"{joined} {part}" if joined else part
        if part.endswith((":", "：")):
            return count if _is_intro(joined) else 0
        if count == 1 and not _opens_intro(part):
            return 0
    return 0


def _opens_intro(line: str) -> bool:
    """The first line of a wrapped attribution already shows a date or an address."""
    return bool(_MOMENT.search(line) or _MAILBOX.search(line))


def _is_intro(joined: str) -> bool:
    end = _INTRO_END.search(joined) if len(joined) <= _INTRO_LENGTH else None
    if end is None:
        return False
    moment, mailbox = _MOMENT.search(joined), _MAILBOX.search(joined)
    # A verb far from the end belongs to the attribution only if that gives the hour as well.
    if _INTRO_VERB.search(joined[-60:]) or (_CLOCK.search(joined) and _INTRO_VERB.search(joined)):
        return bool(moment or mailbox)
    return bool(mailbox and moment) and not end["moment"]


def _without_history(marked: list[_Marked]) -> list[_Marked]:
    """Drop quotes and attributions; all below a header block or an unmarked attribution is history."""
    kept: list[_Marked] = []
    written = False
    for each, quoted in zip(marked, _quoted_below(marked), strict=True):
        if each.line is Line.HISTORY or (each.line is Line.INTRO and written and not quoted):
            break
        if each.line not in (Line.QUOTE, Line.INTRO):
            kept.append(each)
            written = written or each.line is Line.TEXT
        elif kept and kept[-1].line is not Line.QUOTE:
            kept.append(_Marked("", Line.QUOTE))
    return kept


def _quoted_below(marked: list[_Marked]) -> list[bool]:
    """For each line, whether the next line that says something is a quote."""
    found: list[bool] = []
    quoted = False
    for each in reversed(marked):
        found.append(quoted)
        if each.line not in (Line.BLANK, Line.INTRO):
            quoted = each.line is Line.QUOTE
    return found[::-1]


def _without_signatures(marked: list[_Marked]) -> list[str]:
    """Each stretch between quotes ends before its signature."""
    texts: list[str] = []
    stretch: list[_Marked] = []
    for each in [*marked, _Marked("", Line.QUOTE)]:
        if each.line in (Line.QUOTE, Line.FORWARD):
            texts += [*_unsigned(stretch), "", each.text] if stretch else [each.text]
            stretch = []
        else:
            stretch.append(each)
    return texts


def _unsigned(stretch: list[_Marked]) -> list[str]:
    written = [at for at, each in enumerate(stretch) if each.line is not Line.BLANK]
    written = written[: _list_footer(stretch, written)]
    for place, at in enumerate(written):
        below = len(written) - place - 1
        kind = stretch[at].line
        if (kind is Line.SIGNATURE and below <= _SIGNATURE_LINES) or (
            kind is Line.MOBILE and below <= _DEVICE_LINES
        ):
            written = written[:place]
            break
    written = written[: _closing(stretch, written)]
    return [each.text for each in stretch[: written[-1] + 1]] if written else []


def _list_footer(stretch: list[_Marked], written: list[int]) -> int:
    """How many lines stand before what a list server adds: a long rule, a few lines and a link."""
    for place in range(max(0, len(written) - _CLOSING_LINES), len(written) - 1):
        below = [stretch[at].text for at in written[place + 1 :]]
        if _RULE.match(stretch[written[place]].text[:_LOOK]) and any("://" in each for each in below):
            return place
    return len(written)


def _closing(stretch: list[_Marked], written: list[int]) -> int:
    """How many lines stand before a "С уважением" or "Best regards" with a few short lines after it."""
    for place in range(max(1, len(written) - _CLOSING_LINES), len(written)):
        text = stretch[written[place]].text
        below = (stretch[at].text.strip() for at in written[place + 1 :])
        if len(text) < _CLOSING_LENGTH and _CLOSING.match(text) and all(map(_short, below)):
            return place
    return len(written)


def _short(line: str) -> bool:
    return (
        len(line) <= 80 and not line.endswith("?") and not re.match(r"p\.? ?s|з\.? ?ы", line, re.IGNORECASE)
    )


def _tidy(lines: list[str]) -> str:
    """No blank lines at the ends, never more than one in a row."""
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1]):
            kept.append(line.rstrip())
    return "\n".join(kept).strip("\n")
