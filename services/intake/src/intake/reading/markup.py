"""HTML of strangers: made harmless for display, and turned into text with its quotes marked."""

import re
from html import unescape

import nh3
from inscriptis import get_annotated_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from lxml.etree import LxmlError

from intake.domain import Limits

_TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
    ]
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign"},
    "ol": {"start"},
    "blockquote": {"type"},
}
_SILENT = frozenset(
    {"script", "style", "head", "title", "noscript", "template", "svg", "math", "object", "iframe"}
)
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})

# libxml2 drops what lies deeper than 256 elements.
_PARSER_DEPTH = 200

# Elements whose end may be left out do not say how deep a document nests.
_NESTING = re.compile(
    r"<(/?)(?:div|span|table|tbody|ul|ol|dl|blockquote|center|font|b|i|u|s|a|em|strong|small|big|sub|sup|pre|q|"
    r"section|article|header|footer|main|nav|aside|form|fieldset|svg|g|math|object)(?=[\s>/])",
    re.IGNORECASE,
)
_DROPPED = re.compile(r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"<(?:br|p|div|tr|li|h[1-6])\b[^>]*>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")

_CONFIG = ParserConfig(
    css=CSS_PROFILES["strict"].copy(),
    annotation_rules={"blockquote": ["quote"], "#class=gmail_signature": ["signature"]},
)


def too_deep(html: str, limit: int) -> bool:
    """Whether elements nest deeper than a browser-made message ever does; one pass."""
    depth = 0
    for match in _NESTING.finditer(html):
        depth = max(depth - 1, 0) if match[1] else depth + 1
        if depth > limit:
            return True
    return False


def safe_html(html: str, limits: Limits) -> str:
    """HTML without script, style, form or remote picture; links give no referrer. "" when too large."""
    if len(html) > limits.html or too_deep(html, limits.html_depth):
        return ""
    return nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags=set(_SILENT),
        attributes=_ATTRIBUTES,
        attribute_filter=_filter,
        url_schemes=set(_SCHEMES),
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    ).replace("\0", "")


def _filter(tag: str, name: str, value: str) -> str | None:
    """Pictures come only from the message itself: a remote one tells its owner who reads."""
    if tag == "img" and name == "src":
        return value if value.lower().startswith("cid:") else None
    if name == "href" and value.lower().startswith("cid:"):
        return None
    return value


def html_text(html: str, limits: Limits) -> str:
    """HTML as text; quoted blocks get "> " before their lines, a marked signature "-- "."""
    html = html[: limits.html].replace("\0", "")
    if too_deep(html, _PARSER_DEPTH):
        return _crude_text(html)
    try:
        found = get_annotated_text(html, _CONFIG)
    except (LxmlError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return _crude_text(html)
    return _marked(found.get("text", ""), found.get("label", []))


def _crude_text(html: str) -> str:
    """Tags cut out, nothing laid out: for markup that no parser should be fed."""
    return unescape(_ANY_TAG.sub("", _BREAKS.sub("\n", _DROPPED.sub(" ", html))))


def _marked(text: str, labels: list[tuple[int, int, str]]) -> str:
    """Put the marks of quotes and signatures at the starts of the lines they cover."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    changes = [0] * (len(lines) + 2)
    signatures = set()
    for begin, end, label in labels:
        first, last = _line(starts, begin), _line(starts, max(begin, end - 1))
        if label == "quote":
            changes[first] += 1
            changes[last + 1] -= 1
        else:
            signatures.add(first)
    return "\n".join(_prefixed(lines, changes, signatures))


def _line(starts: list[int], offset: int) -> int:
    low, high = 0, len(starts) - 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if starts[middle] <= offset else (low, middle - 1)
    return low


def _prefixed(lines: list[str], changes: list[int], signatures: set[int]) -> list[str]:
    marked: list[str] = []
    depth, before = 0, ""
    for number, line in enumerate(lines):
        depth += changes[number]
        mark = "> " * min(depth, 5)
        if number in signatures and before not in ("--", "—"):
            marked.append(mark + "-- ")
        before = line.strip() or before
        marked.append(mark + (line.strip() if depth else line.rstrip()))
    return marked
