"""Charts of reports as SVG that needs no script and prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 12, 12, 24
_STEPS = (1, 2, 5, 10)
_CLOSEST, _NAMES = 13, 190


@dataclass(frozen=True, slots=True)
class Series:
    """Values in their order, None where there is none; the style names its colour in the style sheet."""

    name: str
    style: str
    values: Sequence[float | None]


def bars(days: Sequence[date], series: Sequence[Series], line: Series) -> str:
    """Bars of each day side by side, and a line over them; weekends are shaded."""
    every = [value or 0 for one in (*series, line) for value in one.values]
    top = nice(max(every, default=0))
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(days), 1)
    parts = [
        f'<rect class="weekend" x="{_LEFT + index * slot:.1f}" y="{_TOP}" width="{slot:.1f}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
        for index, day in enumerate(days)
        if day.weekday() > 4
    ]
    parts += _grid(top, [f"{top * step / 4:g}" for step in range(5)])
    thick = slot * 0.8 / len(series)
    for number, one in enumerate(series):
        for index, value in enumerate(one.values):
            if value:
                place = _LEFT + index * slot + slot * 0.1 + number * thick
                parts.append(
                    _bar(one, place, thick, value / top, f"{days[index]:%d.%m} {one.name}: {value:g}")
                )
    middles = [_LEFT + (index + 0.5) * slot for index in range(len(days))]
    parts += _line(line, middles, top)
    parts += [_label(x, f"{day.day}") for x, day in zip(middles, days, strict=True)]
    return _svg(parts)


def lines(labels: Sequence[str], series: Sequence[Series]) -> str:
    """Shares over time, from 0 to 100 %, each line named at its end."""
    step = (WIDTH - _LEFT - _NAMES) / max(len(labels) - 1, 1)
    xs = [_LEFT + 8 + index * step for index in range(len(labels))]
    parts = _grid(1, [f"{quarter * 25}%" for quarter in range(5)], right=_NAMES - 8)
    ends = []
    for one in series:
        parts += _line(one, xs, 1, dots=True)
        known = [(x, value) for x, value in zip(xs, one.values, strict=True) if value is not None]
        if known:
            ends.append((_y(known[-1][1]), known[-1][0], one))
    lowest = 0.0
    for y, x, one in sorted(ends, key=lambda each: each[0]):
        # Names that would cover each other move down.
        lowest = max(y, lowest + _CLOSEST)
        parts.append(
            f'<text class="name {one.style}" x="{x + 9:.1f}" y="{lowest + 4:.1f}">{escape(one.name)}</text>'
        )
    parts += [_label(x, label) for x, label in zip(xs, labels, strict=True)]
    return _svg(parts)


def nice(value: float) -> float:
    """The least round number that is not below: 4, 8, 20, 40, 80..."""
    size = 1.0
    while size * 40 < value:
        size *= 10
    return next((4 * size * step for step in _STEPS if 4 * size * step >= value), 4 * size)


def _grid(top: float, labels: Sequence[str], right: int = _RIGHT) -> list[str]:
    found = []
    for index, label in enumerate(labels):
        y = _y(index / 4)
        found.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        found.append(f'<text class="tick" x="{_LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>')
    return found


def _bar(one: Series, x: float, width: float, share: float, told: str) -> str:
    y = _y(share)
    return (
        f'<rect class="{one.style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT - _BOTTOM - y:.1f}" rx="1"><title>{escape(told)}</title></rect>'
    )


def _line(one: Series, xs: Sequence[float], top: float, *, dots: bool = False) -> list[str]:
    points = [(x, _y(value / top)) for x, value in zip(xs, one.values, strict=True) if value is not None]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    found = [f'<polyline class="line {one.style}" points="{joined}"/>'] if len(points) > 1 else []
    if dots or len(points) == 1:
        found += [f'<circle class="{one.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return found


def _label(x: float, text: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>'


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
