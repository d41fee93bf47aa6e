"""Times of queries: days and instants, moved by minutes, hours, days and weeks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tickets.domain.query.tree import Value

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_UTC = ZoneInfo("UTC")
_WHOLE_DAYS = ("d", "w")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """From `start` to before `end`; an instant ends where it starts."""

    start: datetime
    end: datetime


def moment(value: Value, now: datetime, zone: ZoneInfo, *, floating: bool = False) -> Moment | None:
    """The time that a value means; None when it means none. Floating days are those of UTC, whoever looks.

    A day moved by days or weeks is a day of the calendar again; moved by less it is an instant. Days of an
    instant have 24 hours. Raises OverflowError out of the years 1970 to 9997.
    """
    base = _base(value, now, zone)
    zone = _UTC if floating else zone
    for shift in value.shifts if base is not None else ():
        base = _moved(base, shift, zone)  # type: ignore[arg-type]
    if base is None:
        return None
    if isinstance(base, datetime):
        found = Moment(base, base)
    else:
        found = Moment(_midnight(base, zone), _midnight(base + timedelta(days=1), zone))
    if not _FIRST <= found.start <= _LAST:
        raise OverflowError
    return found


def _base(value: Value, now: datetime, zone: ZoneInfo) -> date | datetime | None:
    if value.call:
        return {"now": now, "today": now.astimezone(zone).date()}.get(value.text)
    try:
        if len(value.text) == len("2026-01-31"):
            return date.fromisoformat(value.text)
        read = datetime.fromisoformat(value.text) if ":" in value.text else None
    except ValueError:
        return None
    if read is None:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)


def _moved(base: date | datetime, shift: str, zone: ZoneInfo) -> date | datetime:
    sign, amount, unit = shift[0], int(shift[1:-1]), shift[-1]
    step = _UNITS[unit] * (amount if sign == "+" else -amount)
    if isinstance(base, datetime) or unit in _WHOLE_DAYS:
        return base + step
    return _midnight(base, zone) + step


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
