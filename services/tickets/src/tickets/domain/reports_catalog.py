"""Every figure that reports tell, and what exactly it is: pages, documents and calls say these words."""

from tickets.domain.label import Label
from tickets.domain.reports_metrics import EVERYWHERE, Metric, Source, Unit, View

_FIELDS = ", ".join(EVERYWHERE)
RULES = f"""
What `ReportService` counts, and the monthly page shows. Things are tickets, cycles of tickets, or clocks
of cycles; each belongs to the period in which its moment falls, and to one group. The moment stands above
each table.

- A **cycle** begins when a ticket is created or reopened and ends when it is reopened again. It is
  resolved once, at its first resolution. A ticket that was reopened and resolved again was resolved
  twice.
- A **merged** ticket was created, and leaves the backlog when it is merged; it is never resolved. What
  happened to it before counts.
- A **child of a mass incident** counts as any ticket to the customer (created, resolved, in time, CSAT),
  but is not handled by anybody and no first contact: one answer resolves them all.
- **Robots**: a letter of a robot is no reply; a ticket that a robot wrote is created and in the backlog,
  but nobody waits for a first reply until a person writes. What a rule resolves is resolved by who had
  the ticket.
- **Operator** and **line** are those of the moment, not of today. The other fields ({_FIELDS}) and the
  query speak of the ticket as it is now.
- **Business time** is what sla-clock counted on its clocks; tickets that a policy has no such clock for
  are not in it, nor those met before results were kept. **Wall** time is what passed, of all tickets.
- A **share** is unset where there is nothing to divide by, never 0. The number beside a figure says of
  how many things it speaks. Days are those of the zone that is asked for.
- A figure that misses its **goal** is marked. Read `sla` beside `reopened_share` and `csat` (view
  `honest`): what is closed early comes back, or is scored low.
"""


def _time(name: str, source: Source, ru: tuple[str, str], en: tuple[str, str]) -> tuple[Metric, Metric]:
    """An average and its median: title and meaning in each language."""
    average = Metric(
        name, source, Unit.SECONDS, Label(f"{ru[0]}, среднее", f"{en[0]}, average"), Label(ru[1], en[1])
    )
    median = Metric(
        f"{name}_median",
        source,
        Unit.SECONDS,
        Label(f"{ru[0]}, медиана", f"{en[0]}, median"),
        Label(f"То же, медиана. {ru[1]}", f"The same, median. {en[1]}"),
    )
    return average, median


_RU_CLOCK = "Рабочее время по часам {}, как его отсчитал sla-clock, по часам, остановленным в периоде."
_EN_CLOCK = "Business time of the clock {} as sla-clock counted it, over such clocks met in the period."
_RU_SLA = (
    "Доля выполненных в срок среди часов {}, остановленных в периоде; обращения без таких часов не считаются."
)
_EN_SLA = (
    "Share met in time of the clocks {} that were met in the period; tickets without one are not counted."
)


def _clock(name: str, clock: str, ru: str, en: str) -> tuple[Metric, Metric]:
    texts = (ru, _RU_CLOCK.format(clock)), (en, _EN_CLOCK.format(clock))
    return _time(name, Source.CLOCK, *texts)


def _solved_on(line: int, least: float | None, most: float | None) -> Metric:
    return Metric(
        f"solved_on_l{line}",
        Source.RESOLVED,
        Unit.SHARE,
        Label(f"Решено на L{line}", f"Solved on L{line}"),
        Label(
            f"Доля решённых циклов, самая высокая линия которых — L{line}.",
            f"Share of cycles resolved in the period whose highest line was L{line}.",
        ),
        least,
        most,
    )


METRICS = (
    Metric(
        "created",
        Source.OPENED,
        Unit.COUNT,
        Label("Создано", "Created"),
        Label(
            "Все обращения, созданные в периоде, в том числе от роботов, объединённые позже и "
            "дочерние массовых сбоев.",
            "Tickets created in the period; those of robots, those merged later and children of "
            "mass incidents count.",
        ),
    ),
    Metric(
        "resolved",
        Source.RESOLVED,
        Unit.COUNT,
        Label("Решено", "Resolved"),
        Label(
            "Циклы, решённые в периоде: переоткрытое и решённое снова обращение — два. "
            "Объединённое не решено.",
            "Cycles resolved in the period: a ticket reopened and resolved again is two. A "
            "merged ticket is none.",
        ),
    ),
    Metric(
        "backlog",
        Source.BACKLOG,
        Unit.COUNT,
        Label("В работе на конец", "Backlog"),
        Label(
            "Обращения, не решённые на конец периода (дня, недели, месяца).",
            "Tickets that were not resolved at the end of the period (of the day, week, month).",
        ),
    ),
    *_clock("first_response", "first_response", "Первый ответ", "First response"),
    *_time(
        "first_response_wall",
        Source.ANSWERED,
        ("Первый ответ, календарное время", "От создания до первого ответа человека тому, кто написал."),
        ("First response, wall time", "From creation to the first reply of a person to somebody who wrote."),
    ),
    *_clock("resolution", "resolution", "Решение", "Resolution"),
    *_time(
        "resolution_wall",
        Source.RESOLVED,
        ("Решение, календарное время", "От начала цикла (создания или переоткрытия) до его решения."),
        ("Resolution, wall time", "From the begin of the cycle (creation or reopening) to its resolution."),
    ),
    *_clock("idle", "pickup", "Простой до взятия", "Idle until taken"),
    *_time(
        "idle_wall",
        Source.TAKEN,
        ("Простой до взятия, календарное время", "От создания до первого взятия человеком."),
        ("Idle until taken, wall time", "From creation to the first time a person had it."),
    ),
    *_clock("reaction", "accepted_response", "Реакция", "Reaction"),
    *_time(
        "reaction_wall",
        Source.ANSWERED,
        (
            "Реакция, календарное время",
            "От первого взятия до первого ответа; отвеченные раньше взятия не считаются.",
        ),
        (
            "Reaction, wall time",
            "From first taken to the first reply; those answered before are not counted.",
        ),
    ),
    Metric(
        "waited_long",
        Source.CLOCK,
        Unit.SHARE,
        Label("Ждали больше 120 мин", "Waited over 120 min"),
        Label(
            "Доля взятых в периоде, чьи часы pickup насчитали больше 120 рабочих минут.",
            "Share of tickets taken in the period whose clock pickup counted more than 120 business minutes.",
        ),
        at_most=0.14,
    ),
    Metric(
        "answered_soon",
        Source.CLOCK,
        Unit.SHARE,
        Label("Ответ до 10 мин", "Answered within 10 min"),
        Label(
            "Доля отвеченных в периоде, чьи часы accepted_response насчитали не больше 10 рабочих минут.",
            "Share of replies of the period whose clock accepted_response counted at most 10 "
            "business minutes.",
        ),
        at_least=0.82,
    ),
    Metric(
        "sla",
        Source.CLOCK,
        Unit.SHARE,
        Label("Решено в срок (SLA)", "Resolved in time (SLA)"),
        Label(_RU_SLA.format("resolution"), _EN_SLA.format("resolution")),
    ),
    Metric(
        "sla_first_response",
        Source.CLOCK,
        Unit.SHARE,
        Label("Отвечено в срок", "Answered in time"),
        Label(_RU_SLA.format("first_response"), _EN_SLA.format("first_response")),
    ),
    Metric(
        "sla_all",
        Source.CLOCK,
        Unit.SHARE,
        Label("Все сроки SLA", "All SLA clocks"),
        Label(
            "Доля выполненных в срок среди всех часов, остановленных в периоде.",
            "Share met in time of all clocks that were met in the period.",
        ),
    ),
    Metric(
        "fcr",
        Source.RESOLVED,
        Unit.SHARE,
        Label("С первого обращения (FCR)", "First contact (FCR)"),
        Label(
            "Доля первых циклов без эскалации, без нового письма клиента между первым ответом и "
            "решением и не "
            "переоткрытых до сих пор; без дочерних массовых сбоев.",
            "Share of first cycles with no line moved up, no word of the customer between the "
            "first reply and the "
            "resolution, and not reopened until now; without children of mass incidents.",
        ),
        at_least=0.70,
    ),
    Metric(
        "reopened_share",
        Source.RESOLVED,
        Unit.SHARE,
        Label("Доля переоткрытых", "Reopened share"),
        Label(
            "Доля решённых в периоде циклов, переоткрытых до сих пор: у недавних ещё может вырасти.",
            "Share of cycles resolved in the period that were reopened until now: it may still "
            "grow for recent ones.",
        ),
        at_most=0.05,
    ),
    Metric(
        "reopened",
        Source.REOPENED,
        Unit.COUNT,
        Label("Переоткрытий", "Reopenings"),
        Label(
            "Переоткрытия решённых и закрытых обращений в периоде.",
            "Times that a resolved or closed ticket was opened again in the period.",
        ),
    ),
    Metric(
        "reopened_closed",
        Source.REOPENED,
        Unit.COUNT,
        Label("Закрыт → открыт", "Closed to open"),
        Label(
            "Переоткрытия обращений, которые уже были закрыты.",
            "Times that a ticket was opened again that had been closed.",
        ),
    ),
    Metric(
        "escalation_rate",
        Source.RESOLVED,
        Unit.SHARE,
        Label("Доля эскалаций", "Escalation rate"),
        Label(
            "Доля решённых циклов, в которых обращение поднялось на линию выше.",
            "Share of cycles resolved in the period in which the ticket went up a line.",
        ),
        at_most=0.25,
    ),
    _solved_on(1, 0.70, None),
    _solved_on(2, None, 0.25),
    _solved_on(3, None, 0.05),
    Metric(
        "reached_l2",
        Source.RESOLVED,
        Unit.SHARE,
        Label("Дошло до L2", "Reached L2"),
        Label(
            "Доля решённых циклов, самая высокая линия которых — L2 или выше; больше 30 % — тревога.",
            "Share of cycles resolved in the period whose highest line was L2 or above; over 30 "
            "% is an alarm.",
        ),
        at_most=0.30,
    ),
    Metric(
        "csat",
        Source.RATED,
        Unit.SHARE,
        Label("CSAT", "CSAT"),
        Label(
            "Доля оценок 4 и 5 из 5 (от 75 из 100 на любой шкале) среди оценок периода.",
            "Share of scores 4 and 5 of 5 (75 of 100 and more on any scale) among the scores of the period.",
        ),
        at_least=0.80,
    ),
    Metric(
        "ratings",
        Source.RATED,
        Unit.COUNT,
        Label("Оценок", "Ratings"),
        Label("Оценённые в периоде циклы.", "Cycles scored in the period."),
    ),
    Metric(
        "handled",
        Source.RESOLVED,
        Unit.COUNT,
        Label("Обработано", "Handled"),
        Label(
            "Решённые циклы без дочерних массовых сбоев: их решает один ответ.",
            "Cycles resolved in the period without children of mass incidents: one answer resolves those.",
        ),
    ),
    Metric(
        "handle_time",
        Source.SPENT,
        Unit.SECONDS,
        Label("Время обработки", "Handle time"),
        Label(
            "Календарное время в работе (статусы вида open) в циклах, решённых в периоде, на "
            "цикл; операторам — время, "
            "пока обращение было у них. Без дочерних массовых сбоев.",
            "Wall time in work (statuses of the kind open) of cycles resolved in the period, by "
            "cycle; of operators the "
            "time that they had the ticket. Without children of mass incidents.",
        ),
    ),
    Metric(
        "time_spent",
        Source.SPENT,
        Unit.SECONDS,
        Label("Время в статусе и линии", "Time spent"),
        Label(
            "Календарное время до решения циклов, решённых в периоде, на цикл, бывший в группе: "
            "по статусам, линиям.",
            "Wall time until the resolution of cycles resolved in the period, by cycle that was "
            "in the group: by status, "
            "line, operator.",
        ),
    ),
)
"""Those that belong together stand side by side."""

VIEWS = (
    View(
        "health",
        Label("Состояние", "Health"),
        (
            "created",
            "resolved",
            "backlog",
            "first_response",
            "resolution",
            "sla",
            "fcr",
            "reopened_share",
            "escalation_rate",
            "csat",
        ),
    ),
    View(
        "honest",
        Label("SLA рядом с качеством", "SLA beside quality"),
        ("sla", "reopened_share", "csat", "ratings"),
    ),
    View(
        "month_end",
        Label("Итоги месяца", "Month end"),
        ("handled", "idle", "idle_wall", "reaction", "reaction_wall", "waited_long", "answered_soon"),
    ),
    View(
        "pyramid",
        Label("Пирамида линий", "Pyramid of lines"),
        ("resolved", "solved_on_l1", "solved_on_l2", "solved_on_l3", "reached_l2", "escalation_rate"),
    ),
    View(
        "operators",
        Label("Операторы", "Operators"),
        ("handled", "handle_time", "sla", "sla_first_response", "fcr", "reopened_share", "csat"),
    ),
    View("flow", Label("Поток", "Flow"), ("created", "resolved", "backlog")),
)

BY_NAME = {each.name: each for each in METRICS}
