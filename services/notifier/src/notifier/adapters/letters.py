"""Letters out of templates: words and times in the reader's language, bounded work."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import minijinja
import orjson
from babel.dates import format_datetime, get_timezone_location

from chassis.errors import Refused
from notifier.domain import Parcel, duration_words, one_line, topic

_FUEL = 50_000
_ITEMS = 50
_FOLDER = files("notifier") / "templates"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a person reads; `html` is empty for letters that need none."""

    subject: str
    text: str
    html: str = ""


def compose(parcel: Parcel, default_zone: str) -> Letter:
    """Render a parcel: one letter, or a digest of several. Raises Refused when a template does not render."""
    delivery, language = parcel.first, parcel.first.language
    if len(parcel.deliveries) == 1:
        values = _values(parcel.values, language, parcel.zone or default_zone)
        return _render(delivery.template, language, values)
    lines = [
        _render(each.template, each.language, _values(_own_values(each), each.language, default_zone)).subject
        for each in parcel.deliveries[:_ITEMS]
    ]
    count = len(parcel.deliveries)
    return _render("digest", language, {"count": count, "lines": lines, "more": count - len(lines)})


def _own_values(delivery: Any) -> dict[str, Any]:
    return {**delivery.context, "number": delivery.ticket_key}


def _values(raw: dict[str, Any], language: str, zone: str) -> dict[str, Any]:
    words = _words(language)
    values = {**raw, "subject": topic(raw.get("subject", ""))}
    if isinstance(due := values.get("promised"), datetime):
        values["promised"] = instant_words(due, zone, language)
    if due := values.get("due"):
        values["due"] = instant_words(datetime.fromisoformat(due), zone, language)
    if "remaining" in values:
        values["left"] = duration_words(values["remaining"], language)
    for name in ("clock", "priority"):
        if name in values:
            values[name] = words[name].get(values[name], values[name])
    if "reasons" in values:
        values["reasons"] = [words["reason"].get(one, one) for one in values["reasons"]]
    return values


def _render(template: str, language: str, values: dict[str, Any]) -> Letter:
    env = _environment()
    name = f"{language}/{template}"
    try:
        head, _, body = env.render_template(f"{name}.txt", **values).partition("\n")
        html = env.render_template(f"{name}.html", **values) if f"{name}.html" in _names() else ""
    except minijinja.TemplateError as error:
        raise Refused(f"template {name}: {one_line(str(error))}", reason="TEMPLATE_FAILED") from error
    return Letter(one_line(head), body.strip() + "\n", html)


def instant_words(at: datetime, zone: str, language: str) -> str:
    """An instant in somebody's zone, which is named: `21 November 2026, 14:30 (Moscow, UTC+3)`."""
    here = ZoneInfo(zone if zone in _zones() else "UTC")
    local = at.astimezone(here)
    words = format_datetime(local, "d MMMM y, HH:mm", tzinfo=here, locale=language)
    offset = local.strftime("%z")
    if offset == "+0000":
        return f"{words} (UTC)"
    hours, minutes = offset[0] + str(int(offset[1:3])), offset[3:]
    city = get_timezone_location(here, locale=language, return_city=True)
    return f"{words} ({city}, UTC{hours}{'' if minutes == '00' else ':' + minutes})"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _words(language: str) -> dict[str, dict[str, str]]:
    words: dict[str, dict[str, str]] = orjson.loads((_FOLDER / language / "words.json").read_bytes())
    return words


@cache
def _names() -> frozenset[str]:
    folders = [_FOLDER / language for language in ("ru", "en")]
    return frozenset(f"{folder.name}/{entry.name}" for folder in folders for entry in folder.iterdir())


@cache
def _environment() -> minijinja.Environment:
    # Values are never templates; fuel bounds what an edited template can do, and a missing value is an error.
    return minijinja.Environment(
        templates={name: (_FOLDER / name).read_text(encoding="utf-8") for name in _names()},
        fuel=_FUEL,
        undefined_behavior="strict",
        auto_escape_callback=lambda name: name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
