"""What other programs ask our calendar: one JSON object in, one out, exact to the microsecond.

Every question brings its own calendar, so compiled ones are kept by their definition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from zoneinfo import ZoneInfo

from chassis.errors import DeskError
from sla_clock.calendar import HORIZON_YEARS, MICROS, Calendar, NoWorkingTime, micros, moment, wall_instant
from sla_clock.calendarfile import WEEKDAYS, holidays_of
from sla_clock.hours import ALWAYS, DatedDays, Day, Shift, Week, no_days, shift, zone
from sla_clock.yamltree import Malformed

MAX_LINE = 1_048_576
"""Bytes of the longest question."""


class Unclear(Exception):
    """What is wrong with a question; the text begins with the key that it speaks of."""


def _number(text: str) -> object:
    """The number; the text itself where it is none that can be counted with."""
    try:
        read = Decimal(text)
    except ArithmeticError:
        return text
    return read if read.is_finite() else text


def _plain(number: Decimal) -> object:
    told = float(number)
    return told if isfinite(told) else str(number)


# Made once: the shortcuts of the module make new ones for every line.
_READER = json.JSONDecoder(parse_float=_number, parse_constant=str)
_WRITER = json.JSONEncoder(default=_plain)
_DEEP = "the line is nested too deeply"
_KEPT = 512
_YEARS = range(1901, 9901)
_LONGEST = HORIZON_YEARS * 366 * 86_400
"""Seconds of what is reckoned at once."""
_PAIRS = (("from", "to"), ("start", "end"), ("opens", "closes"))
_CLOSED = (None, "closed", "")
_WRITE_HOURS = 'write ["09:00", "18:00"]'
_ROUND_THE_CLOCK = ("always", "24/7")

Pause = tuple[int, int | None]
"""When it begins and ends; None when it goes on."""


def answer(line: bytes, number: int) -> bytes:
    """The answer to one line: its `id` with `due`, `elapsed_s` or both, or with `error`."""
    try:
        told = _told(line)
        if told.get("id") is None and "error" in told:
            told["line"] = number
        return _WRITER.encode(told).encode() + b"\n"
    except RecursionError:
        return _WRITER.encode({"id": None, "error": _DEEP, "line": number}).encode() + b"\n"


def _told(line: bytes) -> dict[str, object]:
    identity: object = None
    try:
        question = _question(line)
        identity = question.get("id")
        return {"id": identity, **_answers(question)}
    except (Unclear, DeskError) as error:
        return {"id": identity, "error": str(error)}


def _question(line: bytes) -> Mapping[str, object]:
    if len(line) > MAX_LINE:
        raise Unclear(f"the line is longer than {MAX_LINE} bytes")
    try:
        # Some editors and shells put a byte order mark before the first line.
        question = _READER.decode(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unclear("the line is not UTF-8") from None
    except ValueError as error:
        raise Unclear(f"the line is not JSON: {error}") from None
    if not isinstance(question, dict):
        raise Unclear("the line is not a JSON object")
    return question


def _answers(question: Mapping[str, object]) -> dict[str, object]:
    calendar = _calendar(question)
    start = _instant("start", question.get("start"), calendar.zone)
    pauses = _pauses(question.get("pauses"), calendar.zone)
    told: dict[str, object] = {}
    if question.get("duration_s") is not None:
        due = due_with(calendar, start, _duration(question["duration_s"]), pauses)
        told["due"] = moment(due).astimezone(calendar.zone).isoformat()
    if question.get("end") is not None:
        end = _instant("end", question["end"], calendar.zone)
        if end - start > _LONGEST * MICROS:
            raise Unclear(f"end: is more than {HORIZON_YEARS} years after start; ask for a nearer end")
        told["elapsed_s"] = _seconds(worked_with(calendar, start, end, pauses))
    if not told:
        raise Unclear("duration_s: is missing, and so is end; give one of them, or both")
    return told


def due_with(calendar: Calendar, start: int, duration: int, pauses: list[Pause]) -> int:
    """The first instant at which `duration` has been worked since `start` outside the merged pauses."""
    if duration == 0:
        return start
    latest = start + _LONGEST * MICROS
    for begins, ends in pauses:
        if begins > latest:
            # No target reaches as far, and centuries would be compiled to learn it.
            break
        worked = calendar.between(start, begins)
        if worked >= duration:
            break
        if ends is None:
            raise NoWorkingTime(
                f"pauses: the pause from {_shown(begins, calendar.zone)} has no end and "
                f"{_seconds(duration - worked)} s are left then, so it never falls due",
                reason="NO_WORKING_TIME",
            )
        duration -= worked
        start = max(start, ends)
    return calendar.add(start, duration)


def worked_with(calendar: Calendar, start: int, end: int, pauses: list[Pause]) -> int:
    """Working time from start to end outside the merged pauses; 0 when the end is not after the start."""
    paused = sum(
        calendar.between(max(start, begins), end if ends is None else min(end, ends))
        for begins, ends in pauses
    )
    return calendar.between(start, end) - paused


def _duration(value: object) -> int:
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float) or not value >= 0:
        raise Unclear("duration_s: is not a number of seconds, 0 or more")
    if value > _LONGEST:
        raise Unclear(f"duration_s: is more than {HORIZON_YEARS} years of working time")
    return int((Decimal(value) * MICROS).to_integral_value())


def _seconds(duration: int) -> int | float:
    whole, rest = divmod(duration, MICROS)
    return duration / MICROS if rest else whole


def _instant(key: str, value: object, tz: ZoneInfo) -> int:
    """An instant; a wall time without offset is read in the calendar's zone, like its hours."""
    if not isinstance(value, str):
        raise Unclear(f"{key}: is missing" if value is None else f"{key}: is not a time in quotes")
    try:
        read = datetime.fromisoformat(value.strip())
        if read.year not in _YEARS:
            raise Unclear(f"{key}: {value!r} is not within the years {_YEARS[0]} to {_YEARS[-1]}")
    except ValueError:
        raise Unclear(f"{key}: {value!r} is not a time; write 2026-11-20T18:50:00+03:00") from None
    return wall_instant(tz, read) if read.tzinfo is None else micros(read)


def _shown(instant: int, tz: ZoneInfo) -> str:
    return moment(instant).astimezone(tz).isoformat()


def _pauses(value: object, tz: ZoneInfo) -> list[Pause]:
    """Pauses in order, overlapping and touching ones joined."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unclear("pauses: is not a list of [from, to]")
    read = sorted(
        (_pause(f"pauses[{at}]", item, tz) for at, item in enumerate(value)),
        key=lambda pause: pause[0],
    )
    merged: list[Pause] = []
    for begins, ends in read:
        if not merged or (merged[-1][1] is not None and merged[-1][1] < begins):
            merged.append((begins, ends))
            continue
        first, last = merged[-1]
        merged[-1] = (first, None if last is None or ends is None else max(last, ends))
    return merged


def _pause(key: str, value: object, tz: ZoneInfo) -> Pause:
    pair = _pair(key, value, "pause; write [from, to]")
    begins = _instant(f"{key}[0]", pair[0], tz)
    ends = None if pair[1] is None else _instant(f"{key}[1]", pair[1], tz)
    if ends is not None and ends < begins:
        raise Unclear(f"{key}: ends before it begins")
    return begins, ends


def _pair(key: str, value: object, what: str) -> tuple[object, object]:
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    if isinstance(value, dict):
        for first, last in _PAIRS:
            if first in value:
                return value[first], value.get(last)
    raise Unclear(f"{key}: is not a {what}")


def _calendar(question: Mapping[str, object]) -> Calendar:
    told = [question.get(key) for key in ("timezone", "weekly", "holidays", "overrides")]
    return _compiled(_WRITER.encode(told))


@lru_cache(maxsize=_KEPT)
def _compiled(definition: str) -> Calendar:
    name, weekly, holidays, overrides = json.loads(definition)
    if name is None:
        name = "UTC"
    if not isinstance(name, str):
        raise Unclear("timezone: is not the name of a zone, such as Europe/Moscow")
    try:
        tz = zone(name)
    except DeskError as error:
        raise Unclear(f"timezone: {error}") from None
    week = _week(weekly)
    public, dated = _holidays(holidays, week), dict(_overrides(overrides))

    def days(year: int) -> Mapping[date, Day]:
        return {**public(year), **{on: day for on, day in dated.items() if on.year == year}}

    return Calendar("of the question", tz, week, days)


def _week(weekly: object) -> Week:
    if isinstance(weekly, list) and len(weekly) == 7:
        weekly = dict(zip(WEEKDAYS, weekly, strict=True))
    if weekly in _ROUND_THE_CLOCK:
        return ALWAYS
    if not isinstance(weekly, dict):
        raise Unclear('weekly: is not hours by weekday, such as {"mon": [["09:00", "18:00"]]}')
    week: list[tuple[Shift, ...]] = [()] * 7
    for name, value in weekly.items():
        for weekday in _weekdays(name):
            week[weekday] += _hours(f"weekly.{name}", value)
    return tuple(week)


def _weekdays(name: str) -> Iterator[int]:
    """Weekdays of `mon`, `Monday`, `0` (Monday), `mon-fri`, `sat,sun`."""
    for part in name.split(","):
        first, dash, last = part.strip().partition("-")
        begin = _weekday(name, first)
        length = (_weekday(name, last) - begin) % 7 + 1 if dash else 1
        yield from ((begin + step) % 7 for step in range(length))


def _weekday(name: str, word: str) -> int:
    key = word.strip().casefold()
    for number, full in enumerate(_FULL):
        if key == str(number) or (len(key) >= 3 and full.startswith(key)):
            return number
    raise Unclear(f"weekly.{name}: is not a weekday; write mon, monday or 0 for Monday")


_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _hours(key: str, value: object) -> tuple[Shift, ...]:
    """Hours of a day: a list of ["09:00", "18:00"] or "09:00-18:00", one of them alone, closed when empty."""
    if value in _CLOSED:
        return ()
    if value in _ROUND_THE_CLOCK:
        return ALWAYS[0]
    if isinstance(value, str | dict) or (isinstance(value, list) and _is_pair(value)):
        value = [value]
    if not isinstance(value, list):
        raise Unclear(f'{key}: is not a list of hours, such as [["09:00", "18:00"]]')
    return tuple(_shift(f"{key}[{at}]" if len(value) > 1 else key, item) for at, item in enumerate(value))


def _is_pair(value: list[object]) -> bool:
    return len(value) == 2 and all(isinstance(item, str) and "-" not in item for item in value)


def _shift(key: str, value: object) -> Shift:
    if not isinstance(value, str):
        opens, closes = _pair(key, value, f"stretch of hours; {_WRITE_HOURS}")
        if closes is None:
            raise Unclear(f"{key}: has no closing time; {_WRITE_HOURS}")
        if not isinstance(opens, str) or not isinstance(closes, str):
            raise Unclear(f"{key}: is not two times in quotes; {_WRITE_HOURS}")
        value = f"{opens}-{closes}"
    try:
        # "9:00" is clear enough.
        parts = [part.strip() for part in value.split("-", 1)]
        return shift("-".join(part.zfill(5) if ":" in part else part for part in parts))
    except DeskError as error:
        raise Unclear(f"{key}: {error}") from None


def _holidays(value: object, week: Week) -> DatedDays:
    if not value:
        return no_days
    if isinstance(value, str) or (isinstance(value, dict) and "country" in value):
        try:
            return holidays_of(json.dumps(value), week)
        except Malformed as error:
            fault = error.faults[0]
            raise Unclear(f"{'.'.join(filter(None, ('holidays', fault.path)))}: {fault.text}") from None
    if isinstance(value, dict):
        named = {_date("holidays", on): Day(str(name)) for on, name in value.items()}
    elif isinstance(value, list):
        named = dict(_holiday(f"holidays[{at}]", item) for at, item in enumerate(value))
    else:
        raise Unclear("holidays: is neither a list of dates nor a country")
    return lambda year: {on: day for on, day in named.items() if on.year == year}


def _holiday(key: str, value: object) -> tuple[date, Day]:
    if isinstance(value, dict):
        return _date(key, value.get("date")), Day(str(value.get("name", "holiday")))
    return _date(key, value), Day("holiday")


def _overrides(value: object) -> Iterator[tuple[date, Day]]:
    if not value:
        return
    if not isinstance(value, dict):
        raise Unclear('overrides: is not hours by date, such as {"2026-12-31": [["09:00", "13:00"]]}')
    for name, hours in value.items():
        yield _date("overrides", name), Day("override", _hours(f"overrides.{name}", hours))


def _date(key: str, value: object) -> date:
    if not isinstance(value, str):
        raise Unclear(f"{key}: is not a date in quotes; write 2026-12-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Unclear(f"{key}: {value!r} is not a date; write 2026-12-31") from None
