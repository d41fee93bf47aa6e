"""The words and numbers of reports, in Russian and in English."""

from dataclasses import dataclass
from datetime import date, datetime

from tickdesk.tickets.v1 import reports_pb2

LANGUAGES = ("ru", "en")
_MONTHS_RU = [
    "Январь",
    "Февраль",
    "Март",
    "Апрель",
    "Май",
    "Июнь",
    "Июль",
    "Август",
    "Сентябрь",
    "Октябрь",
    "Ноябрь",
    "Декабрь",
]
_MONTHS_EN = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
_WORDS = {
    "title": ("Отчёт службы поддержки", "Support desk report"),
    "figure": ("показатель", "figure"),
    "now": ("месяц", "month"),
    "before": ("прошлый", "before"),
    "goal": ("цель", "goal"),
    "none": ("—", "—"),
    "all": ("все", "all"),
    "health": ("Состояние", "Health"),
    "honest": ("SLA рядом с качеством", "SLA beside quality"),
    "honest_note": (
        "Сроки читают вместе с переоткрытиями и оценками: закрытое раньше времени возвращается.",
        "Read what was in time beside what came back and how it was scored: what is closed early returns.",
    ),
    "month_end": ("Итоги месяца", "Month end"),
    "pyramid": ("Пирамида линий", "Pyramid of lines"),
    "alarm": ("Тревога: до второй линии дошло больше 30 %.", "Alarm: more than 30% reached the second line."),
    "levels": ("Решено по высшей линии", "Resolved by highest line"),
    "operators": ("Операторы", "Operators"),
    "operators_note": ("Для обучения, не для наказания.", "For coaching, not for punishment."),
    "categories": ("Темы", "Categories"),
    "lines": ("Время по линиям", "Time by line"),
    "statuses": ("Время по статусам", "Time by status"),
    "days": ("Создано и решено по дням", "Created and resolved by day"),
    "trend": ("Полгода", "Half a year"),
    "definitions": ("Что значат показатели", "What the figures mean"),
    "written": ("Составлено", "Written"),
    "only": ("Только", "Only"),
    "more": ("ещё", "more"),
    "total": ("всего", "in all"),
    "queue": ("очередь", "queue"),
    "level": ("линия", "line"),
    "operator": ("оператор", "operator"),
    "category": ("тема", "category"),
    "line": ("линия", "line"),
    "status": ("статус", "status"),
    "d": ("д", "d"),
    "h": ("ч", "h"),
    "min": ("мин", "min"),
    "s": ("с", "s"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """What is said in one language."""

    language: str

    def __getitem__(self, key: str) -> str:
        """A word or sentence of the page."""
        return _WORDS[key][LANGUAGES.index(self.language)]

    def month(self, first: date) -> str:
        """ "November 2026"."""
        names = _MONTHS_RU if self.language == "ru" else _MONTHS_EN
        return f"{names[first.month - 1]} {first.year}"

    def moment(self, at: datetime) -> str:
        """A time in UTC."""
        return f"{at:%d.%m.%Y %H:%M} UTC" if self.language == "ru" else f"{at:%Y-%m-%d %H:%M} UTC"

    def title(self, metric: reports_pb2.Metric) -> str:
        """What a metric is called."""
        return metric.title_ru if self.language == "ru" else metric.title

    def meaning(self, metric: reports_pb2.Metric) -> str:
        """What a metric is."""
        return metric.meaning_ru if self.language == "ru" else metric.meaning

    def goal(self, metric: reports_pb2.Metric) -> str:
        """ "≥ 80%"."""
        if metric.HasField("at_least"):
            return f"≥ {self.share(metric.at_least, 0)}"
        return f"≤ {self.share(metric.at_most, 0)}" if metric.HasField("at_most") else ""

    def value(self, metric: reports_pb2.Metric, told: reports_pb2.Figure) -> str:
        """A figure as people read it."""
        if not told.HasField("value"):
            return self["none"]
        match metric.unit:
            case reports_pb2.METRIC_UNIT_SHARE:
                return self.share(told.value)
            case reports_pb2.METRIC_UNIT_SECONDS:
                return self.length(told.value)
        return self.number(told.value)

    def number(self, value: float) -> str:
        """A whole number, its thousands apart."""
        return f"{value:,.0f}".replace(",", "\u00a0" if self.language == "ru" else ",")

    def share(self, value: float, digits: int = 1) -> str:
        """A share as per cent."""
        text = f"{value * 100:.{digits}f}"
        return f"{text.replace('.', ',')}\u00a0%" if self.language == "ru" else f"{text}%"

    def length(self, seconds: float) -> str:
        """A time in its two largest units."""
        left, parts = round(seconds), []
        for unit, size in _UNITS:
            number, left = divmod(left, size)
            if number:
                parts.append(f"{number}\u00a0{self[unit]}")
        return " ".join(parts[:2]) or f"{round(seconds)}\u00a0{self['s']}"


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)
