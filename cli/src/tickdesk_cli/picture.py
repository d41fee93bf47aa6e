"""A clock's life as a picture: a row a day with its hours across."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from rich.text import Text

from sla_clock.calendar import moment, wall_instant
from tickdesk.sla.v1 import sla_service_pb2 as pb

COUNTED, PAUSED, HOLIDAY, CLOSED = (
    pb.SEGMENT_KIND_COUNTED,
    pb.SEGMENT_KIND_PAUSED,
    pb.SEGMENT_KIND_HOLIDAY,
    pb.SEGMENT_KIND_CLOSED,
)
WORDS: dict[int, str] = {COUNTED: "counted", PAUSED: "paused", HOLIDAY: "holiday", CLOSED: "closed"}
# Colours that can be read on dark and on light ground; without colours the shapes tell them apart.
GLYPHS: dict[int, tuple[str, str]] = {
    COUNTED: ("█", "green"),
    PAUSED: ("░", "dark_orange"),
    HOLIDAY: ("▒", "magenta"),
    CLOSED: ("·", "dim"),
}
HEADING = ("─", "dim")
DUE, MET = ("◆", "bold red"), ("✓", "bold green")
_ORDER = tuple(GLYPHS)
_LABEL = 11
_MOST, _ENDS = 24, 11
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Stretch:
    """Real time from start to end (microseconds) and what it meant."""

    start: int
    end: int
    kind: int
    name: str
    counted: int


@dataclass(frozen=True, slots=True)
class Life:
    """One cycle of a clock: its stretches, where its target is reached, when it was met."""

    stretches: Sequence[Stretch]
    zone: ZoneInfo
    due: int | None
    met: int | None

    def on(self, instant: int) -> date:
        """The local date."""
        return moment(instant).astimezone(self.zone).date()


def life_of(told: pb.ExplainClockResponse) -> Life:
    """The life that an explanation tells."""
    stretches = [
        Stretch(
            one.start_time.ToMicroseconds(),
            one.end_time.ToMicroseconds(),
            one.kind,
            one.name,
            one.counted.ToMicroseconds(),
        )
        for one in told.segments
    ]
    met = told.clock.met_time.ToMicroseconds() if told.clock.HasField("met_time") else None
    return Life(stretches, ZoneInfo(told.timezone), _due(stretches, told.clock.target.ToMicroseconds()), met)


def _due(stretches: Sequence[Stretch], target: int) -> int | None:
    total = 0
    for one in stretches:
        total += one.counted
        if one.counted and total == target:
            return one.end
    return None


def week(life: Life, width: int) -> Text:
    """The days of a life, a week at least, as wide as fits: a cell is a quarter, half or whole hour."""
    if not life.stretches:
        return Text()
    cells = next((each for each in (4, 2) if _LABEL + 24 * each + 20 <= width), 1)
    picture = _axis(cells)
    shown = _days(life)
    for day in shown:
        if day is None:
            picture.append(f"\n{'':{_LABEL}}... {_hidden(life)} more days ...", "dim")
            continue
        picture.append("\n")
        row = Text(f"{day:%a %d %b} ".ljust(_LABEL), "" if _lived(life, day) else "dim")
        row.append_text(_strip(life, day, cells))
        row.append_text(_note(life, day))
        row.rstrip()
        row.truncate(width, overflow="ellipsis")
        picture.append_text(row)
    return picture


def legend(life: Life) -> Text:
    """What the shapes mean, as far as they are there."""
    kinds = {one.kind for one in life.stretches}
    told = [(*GLYPHS[kind], WORDS[kind]) for kind in _ORDER if kind in kinds]
    if life.met is not None and life.due is not None and life.met < life.due:
        told.append((*HEADING, "not needed any more"))
    told += [(*MET, "met")] if life.met is not None else []
    told += [(*DUE, "due")] if life.due is not None else []
    return Text("   ").join(Text.assemble((glyph, style), f" {word}") for glyph, style, word in told)


def _axis(cells: int) -> Text:
    every = {1: 3, 2: 2, 4: 1}[cells]
    hours = "".join(f"{hour:02}".ljust(every * cells) for hour in range(0, 24, every))
    return Text(" " * _LABEL + hours, "dim")


def _days(life: Life) -> list[date | None]:
    """The dates of the rows; None stands for those left out in the middle of a long life."""
    all_days = _all_days(life)
    if len(all_days) <= _MOST:
        return list(all_days)
    return [*all_days[:_ENDS], None, *all_days[-_ENDS:]]


def _all_days(life: Life) -> list[date]:
    first = life.on(life.stretches[0].start)
    # What ends at midnight is seen there: it has reached the day that begins.
    last = max(life.on(life.stretches[-1].end - 1), life.on(life.due or 0), life.on(life.met or 0))
    length = max(_WEEK, (last - first).days + 1)
    return [first + timedelta(days=step) for step in range(length)]


def _hidden(life: Life) -> int:
    return len(_all_days(life)) - 2 * _ENDS


def _lived(life: Life, day: date) -> bool:
    return life.on(life.stretches[0].start) <= day <= life.on(life.stretches[-1].end)


def _strip(life: Life, day: date, cells: int) -> Text:
    midnight = datetime.combine(day, time.min)
    step = timedelta(hours=1) / cells
    edges = [wall_instant(life.zone, midnight + step * at) for at in range(24 * cells + 1)]
    within = [one for one in life.stretches if one.start < edges[-1] and one.end > edges[0]]
    return Text.assemble(*(_cell(life, within, start, end) for start, end in pairwise(edges)))


def _cell(life: Life, within: Sequence[Stretch], start: int, end: int) -> tuple[str, str]:
    if life.due is not None and start <= life.due < end:
        return DUE
    if life.met is not None and start <= life.met < end:
        return MET
    there = [one for one in within if one.start < end and one.end > start]
    if not there or start >= end:
        return " ", ""
    kind = min((one.kind for one in there), key=_ORDER.index)
    if kind == COUNTED and life.met is not None and start >= life.met:
        return HEADING
    late = kind == COUNTED and life.due is not None and start >= life.due
    return (GLYPHS[kind][0], "red") if late else GLYPHS[kind]


def _note(life: Life, day: date) -> Text:
    told = Text("  ")
    names = dict.fromkeys(_names(life, day))
    told.append(", ".join(names), "dim")
    for at, word, style in ((life.met, "met", MET[1]), (life.due, "due", DUE[1])):
        if at is not None and life.on(at) == day:
            told.append(f"{', ' if len(told) > 2 else ''}{word} {clock_time(at, life.zone)}", style)
    return told


def _names(life: Life, day: date) -> Iterator[str]:
    for one in life.stretches:
        if one.name and life.on(one.start) <= day <= life.on(one.end - 1):
            yield one.name.partition(" to ")[2] or one.name


def clock_time(instant: int, zone: ZoneInfo) -> str:
    """The time of day, with whole seconds where there are any; lengths beside it are exact."""
    local = moment(instant).astimezone(zone)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def when(instant: int, zone: ZoneInfo) -> str:
    """The local time as `Fri 20 Nov 18:50`."""
    return f"{moment(instant).astimezone(zone):%a %d %b} {clock_time(instant, zone)}"
