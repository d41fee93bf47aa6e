"""Every metric against a history whose figures were counted by hand.

Days are Monday to Wednesday in UTC; minutes, shares and numbers beside a figure say how it comes about.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest

from chassis.db import Database, Tx
from chassis.errors import DeskError
from services.tickets.tests import histories
from services.tickets.tests.histories import MONDAY, Story
from tickets.domain.model import Line
from tickets.domain.query.catalog import catalog
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.reports import Figure, Group, Period, Table, question
from tickets.domain.reports_catalog import METRICS
from tickets.domain.reports_metrics import TIMES, Source, Unit
from tickets.store import reports

HISTORY = [
    Story("SUP-6", "Wed 09:00; Wed 15:00 taken anna", asked=False),
    Story(
        "SUP-1",
        "Mon 09:00; Mon 09:10 taken anna; Mon 09:20 replied anna; Mon 10:00 resolved anna; Mon 11:00 closed;"
        "Mon 12:00 rated 100",
        "pickup 1 10; first_response 1 20; accepted_response 1 10; resolution 1 60",
        "pay",
    ),
    Story(
        "SUP-2",
        "Mon 10:00; Mon 11:00 taken anna; Mon 11:30 replied anna; Mon 12:00 wrote; Mon 12:30 replied anna;"
        "Mon 13:00 resolved anna; Tue 09:00 rated 75",
        "pickup 1 60; first_response 1 90 late; accepted_response 1 30 late; resolution 1 180",
        "tech",
    ),
    Story(
        "SUP-3",
        "Mon 12:00; Mon 14:30 taken boris; Mon 14:35 replied boris; Mon 15:00 escalated;"
        "Mon 16:00 taken dina; Mon 17:00 resolved dina; Mon 18:00 closed;"
        "Tue 09:00 rated 50; Wed 09:00 reopened; Wed 10:00 resolved dina",
        "pickup 1 150 late; first_response 1 155 late; accepted_response 1 5; resolution 1 300 late;"
        "resolution 2 60",
        "tech",
    ),
    Story(
        "SUP-4",
        "Tue 09:00; Tue 09:05 robot; Tue 10:00 taken boris; Tue 10:05 replied boris;"
        "Tue 10:30 resolved boris; Tue 12:00 reopened",
        category="pay",
    ),
    Story("SUP-5", "Tue 10:00; Tue 12:30 merged SUP-4", category="pay"),
    Story("SUP-7", "Wed 10:00; Wed 11:00 resolved boris", category="tech", follows=True),
    Story(
        "OTH-1",
        "Sun 22:30; Mon 08:00 taken dina; Mon 08:30 replied dina; Mon 09:30 resolved dina",
        "resolution 1 30",
        line=Line.L2,
        vip=True,
    ),
]
PERIOD = Period(date(2025, 11, 3), date(2025, 11, 5), ZoneInfo("UTC"))
MON, TUE, WED = "2025-11-03", "2025-11-04", "2025-11-05"


@pytest.fixture
async def tx(database: Callable[..., str]) -> AsyncIterator[Tx]:
    """A unit of work that sees the history."""
    async with Database(database("tickets.migrations"), "tickets") as db, db.tx() as tx:
        await histories.write(tx, HISTORY)
        yield tx


async def ask(
    tx: Tx,
    metrics: Sequence[str],
    *group_by: str,
    query: str = "",
    period: Period = PERIOD,
    cumulative: bool = False,
) -> Table:
    search = resolve(query, catalog(), Context("anna", tx.now, period.zone))
    asked = question(period, metrics, group_by, cumulative=cumulative)
    return await reports.report(tx, asked, search, "", staff=True)


def minutes(group: Group) -> list[float | None]:
    """Values of times in minutes."""
    return [None if told.value is None else round(told.value / 60, 6) for told in group.values()]


def values(group: Group) -> list[float | None]:
    return [told.value for told in group.values()]


def shares(group: Group) -> list[Fraction]:
    """Values of shares over how many they were taken of."""
    return [Fraction(round((told.value or 0) * told.count), told.count) for told in group.values()]


def by_name(rows: dict[tuple[str, ...], Group]) -> dict[str, list[float | None]]:
    return {names[0]: values(group) for names, group in rows.items()}


async def test_what_came_what_was_resolved_and_what_is_left(tx: Tx) -> None:
    """CA-26, YT-34: by day, the days in between too; merged and reopened tickets, children of incidents."""
    table = await ask(tx, ["created", "resolved", "backlog"], "day")
    assert by_name(table.rows) == {
        MON: [3, 4, 0],  # came 1, 2, 3; resolved 1, 2, 3 and OTH-1
        TUE: [2, 1, 1],  # came 4, 5; resolved 4, open again at noon; 5 went into it
        WED: [2, 2, 2],  # came 6, 7; resolved 7, and 3 for the second time; open 4, 6
    }
    assert values(table.total) == [7, 7, 2]
    sums = await ask(tx, ["created", "resolved"], "day", cumulative=True)
    assert by_name(sums.rows) == {MON: [3, 4], TUE: [5, 5], WED: [7, 7]}
    month = await ask(tx, ["created", "backlog"], "month", "queue")
    assert {names: values(group) for names, group in month.rows.items()} == {("2025-11", "SUP"): [7, 2]}
    lines = await ask(tx, ["backlog"], "operator")
    assert by_name(lines.rows) == {"anna": [1], "boris": [1]}


async def test_backlogs_are_those_of_the_end_whichever_way_they_are_cut(tx: Tx) -> None:
    """They do not add up over days; a ticket that waits through days is in each."""
    table = await ask(tx, ["backlog"], "day", "operator")
    assert {names: values(group) for names, group in table.rows.items()} == {
        (MON, "anna"): [0], (MON, "boris"): [0], (TUE, "anna"): [0],
        (TUE, "boris"): [1], (WED, "anna"): [1], (WED, "boris"): [1],
    }  # fmt: skip
    assert by_name(table.first_sums) == {MON: [0], TUE: [1], WED: [2]}
    assert by_name(table.second_sums) == {"anna": [1], "boris": [1]}
    assert values(table.total) == [2]
    turned = await ask(tx, ["backlog"], "operator", "day")
    assert (turned.first_sums, turned.total) == (table.second_sums, table.total)
    # On Sunday night OTH-1 was waiting.
    sunday = Period(date(2025, 11, 2), date(2025, 11, 2), ZoneInfo("UTC"))
    assert values((await ask(tx, ["backlog"], period=sunday)).total) == [1]


async def test_days_begin_where_the_desk_is(tx: Tx) -> None:
    """OTH-1 came on Sunday 22:30 in UTC: on Monday in Moscow."""
    moscow = Period(date(2025, 11, 3), date(2025, 11, 5), ZoneInfo("Europe/Moscow"))
    table = await ask(tx, ["created"], "day", period=moscow)
    assert by_name(table.rows) == {MON: [4], TUE: [2], WED: [2]}


async def test_times_by_the_wall_and_in_business_time(tx: Tx) -> None:
    """CA-26, MP-06, CP-14: averages and medians; robots' letters are no replies."""
    walls = [f"{name}_wall" for name in ("first_response", "reaction", "idle", "resolution")]
    table = await ask(tx, [name for wall in walls for name in (wall, f"{wall}_median")])
    assert minutes(table.total) == [
        186, 90,  # 20, 90, 155, 65, 600 of OTH-1: 930 / 5
        16, 10,  # 10, 30, 5, 5, 30: 80 / 5
        round(1270 / 7, 6), 60,  # 10, 60, 150, 60, 360, 60, 570 of OTH-1
        round(1410 / 7, 6), 90,  # 60, 180, 300 and 60 of SUP-3, 90, 60, 660 of OTH-1
    ]  # fmt: skip
    assert [told.count for told in table.total.values()] == [5, 5, 5, 5, 7, 7, 7, 7]
    clocks = ("first_response", "reaction", "idle", "resolution")
    table = await ask(tx, [name for clock in clocks for name in (clock, f"{clock}_median")])
    assert minutes(table.total) == [
        round(265 / 3, 6), 90,  # 20, 90, 155
        15, 10,  # 10, 30, 5
        round(220 / 3, 6), 60,  # 10, 60, 150
        126, 60,  # 60, 180, 300, 60, 30: 630 / 5
    ]  # fmt: skip


async def test_shares_of_what_was_in_time(tx: Tx) -> None:
    """CA-17, MP-05, MP-07, KT-18: of clocks that were met; goals that are missed are marked."""
    table = await ask(tx, ["sla", "sla_first_response", "sla_all", "waited_long", "answered_soon"])
    assert shares(table.total) == [
        Fraction(4, 5),  # resolutions: SUP-3 was late once
        Fraction(1, 3),  # first replies: SUP-1
        Fraction(9, 14),  # 4 of 5, 1 of 3, pickups 2 of 3, accepted 2 of 3
        Fraction(1, 3),  # SUP-3 waited 150
        Fraction(2, 3),  # 10 and 5, not 30
    ]
    assert [told.off_goal for told in table.total.values()] == [False, False, False, True, True]
    own = await ask(tx, ["sla", "sla_first_response"], "operator")
    assert {names[0]: shares_or_none(group) for names, group in own.rows.items()} == {
        "anna": [Fraction(2, 2), Fraction(1, 2)],
        "boris": [None, Fraction(0, 1)],
        "dina": [Fraction(2, 3), None],
    }
    clocks = await ask(tx, ["sla_all"], "clock")
    assert {names[0]: shares(group)[0] for names, group in clocks.rows.items()} == {
        "accepted_response": Fraction(2, 3),
        "first_response": Fraction(1, 3),
        "pickup": Fraction(2, 3),
        "resolution": Fraction(4, 5),
    }


def shares_or_none(group: Group) -> list[Fraction | None]:
    return [share if told.count else None for told, share in zip(group.values(), _safe(group), strict=True)]


def _safe(group: Group) -> list[Fraction]:
    return shares({each: told if told.count else Figure(0, 1) for each, told in group.items()})


async def test_quality_first_contact_reopenings_escalations_and_scores(tx: Tx) -> None:
    """CA-24, CA-27, CP-10, CA-32: what was in time beside what lasted and what customers said."""
    table = await ask(tx, ["fcr", "reopened_share", "escalation_rate", "csat"])
    assert shares(table.total) == [
        Fraction(
            2, 5
        ),  # SUP-1, OTH-1; not 2 (wrote again), 3 (handed up), 4 (reopened); SUP-7 is no own case
        Fraction(2, 7),  # SUP-3 and SUP-4 after their first cycle
        Fraction(1, 7),  # SUP-3 in its first cycle
        Fraction(2, 3),  # 100 and 75, not 50
    ]
    assert [told.off_goal for told in table.total.values()] == [True, True, False, True]
    numbers = await ask(tx, ["reopened", "reopened_closed", "ratings"], "day")
    assert by_name(numbers.rows) == {MON: [0, 0, 1], TUE: [1, 0, 2], WED: [1, 1, 0]}
    categories = await ask(tx, ["csat"], "category")
    assert {names[0]: shares(group)[0] for names, group in categories.rows.items()} == {
        "pay": Fraction(1),
        "tech": Fraction(1, 2),
    }


async def test_the_pyramid_of_lines_raises_its_alarm(tx: Tx) -> None:
    """CA-05: SUP-3 twice and OTH-1 of seven reached the second line, that is more than 30 %."""
    table = await ask(tx, ["solved_on_l1", "solved_on_l2", "solved_on_l3", "reached_l2"])
    assert shares(table.total) == [Fraction(4, 7), Fraction(3, 7), Fraction(0), Fraction(3, 7)]
    assert [told.off_goal for told in table.total.values()] == [True, True, False, True]
    levels = await ask(tx, ["resolved", "resolution_wall"], "level")
    told = {names[0]: [*values(group)[:1], *minutes(group)[1:]] for names, group in levels.rows.items()}
    assert told == {"L1": [4, 97.5], "L2": [3, 340]}  # 60 + 180 + 90 + 60; 300 + 60 + 660


async def test_what_operators_handled_and_how_long_it_took(tx: Tx) -> None:
    """CA-28, CP-12: each has the time that they had the ticket; a child of an incident is not handled."""
    table = await ask(tx, ["handled"], "operator")
    assert by_name(table.rows) == {"anna": [2], "boris": [1], "dina": [3]}
    table = await ask(tx, ["handle_time"], "operator")
    assert {names[0]: minutes(group)[0] for names, group in table.rows.items() if names[0]} == {
        "anna": 85,  # 50, 120
        "boris": 30,  # 30 of SUP-3, 30
        "dina": 70,  # 60 and 60 of SUP-3, 90
    }
    assert minutes(table.total) == [round(440 / 6, 6)]  # the same of six cycles
    lines = await ask(tx, ["time_spent"], "line")
    assert {names[0]: minutes(group)[0] for names, group in lines.rows.items()} == {
        "L1": 114,  # 60, 180, 180, 90, 60: 570 / 5
        "L2": 280,  # 120 and 60 of SUP-3, 660 of OTH-1
    }
    statuses = await ask(tx, ["time_spent"], "status")
    assert {names[0]: minutes(group)[0] for names, group in statuses.rows.items()} == {
        "escalated": 60,
        "in_progress": round(440 / 6, 6),
        "new": round(910 / 6, 6),  # 10, 60, 150, 60, 60, 570
    }


async def test_a_query_chooses_tickets_and_fields_of_the_customer_make_groups(tx: Tx) -> None:
    table = await ask(tx, ["resolved"], "tier", query="Line: L2")
    assert by_name(table.rows) == {"standard": [2], "vip": [1]}
    assert values((await ask(tx, ["resolved"], query="Queue: OTH")).total) == [1]


@pytest.mark.parametrize(
    ("group_by", "metrics", "reason"),
    [
        (["status"], ["created"], "FIELD_NOT_GROUPED"),
        (["day", "week"], ["created"], "FIELD_NOT_GROUPED"),
        ([], ["creeated"], "METRIC_UNKNOWN"),
    ],
)
def test_what_cannot_be_told_is_refused(group_by: list[str], metrics: list[str], reason: str) -> None:
    with pytest.raises(DeskError) as caught:
        question(PERIOD, metrics, group_by)
    assert caught.value.reason == reason


NAMES = ("anna", "boris", "dina")
STEPS = (
    "taken {who}",
    "replied {who}",
    "wrote",
    "escalated",
    "resolved {who}",
    "closed",
    "reopened",
    "rated 75",
)


def a_random_story(number: int, drawn: random.Random) -> Story:
    """A ticket to which things happened that may happen, in any order."""
    minute = drawn.randrange(0, 2 * 1440)
    steps = [minute]
    words = []
    for _ in range(drawn.randrange(0, 12)):
        minute += drawn.randrange(0, 120)
        steps.append(minute)
        words.append(drawn.choice(STEPS).format(who=drawn.choice(NAMES)))
    at = [MONDAY + timedelta(minutes=each) for each in steps]
    told = [f"{each:%a %H:%M}" for each in at]
    past = [told[0], *(f"{time} {word}" for time, word in zip(told[1:], words, strict=True))]
    return Story(
        f"{drawn.choice(('SUP', 'OTH'))}-{number}", ";".join(past), category=drawn.choice(("", "a", "b"))
    )


def possible(story: Story) -> Story:
    """The story without the steps that the workflow refuses."""
    kept = story.past.split(";")[:1]
    for step in story.past.split(";")[1:]:
        try:
            histories.lived(Story(story.key, ";".join([*kept, step])), {})
        except (DeskError, KeyError):
            continue
        kept.append(step)
    return Story(story.key, ";".join(kept), category=story.category)


async def test_groups_add_up_to_the_whole_and_pivots_to_their_sums(database: Callable[..., str]) -> None:
    """YT-33: for every metric and every two fields, on a history drawn at random."""
    drawn = random.Random(33)
    stories = [possible(a_random_story(number, drawn)) for number in range(1, 81)]
    async with Database(database("tickets.migrations"), "tickets") as db, db.tx() as tx:
        await histories.write(tx, stories)
        names = [each.name for each in METRICS if each.source not in (Source.SPENT, Source.BACKLOG)]
        told = 0
        for first, second in combinations(("queue", "category", "operator", "line", "day"), 2):
            table = await ask(tx, names, first, second)
            _require_sums(table, table.first_sums, 0)
            _require_sums(table, table.second_sums, 1)
            told += sum(figure.count for figure in table.total.values())
            alone = await ask(tx, names, first)
            assert alone.rows == table.first_sums
            assert alone.total == table.total
        assert told > 1000
        for day in TIMES:
            table = await ask(tx, ["backlog"], day, "operator")
            alone = await ask(tx, ["backlog"], "operator")
            assert table.total == alone.total
            assert {k: v for k, v in table.second_sums.items() if values(v) != [0]} == alone.rows


def _require_sums(table: Table, sums: dict[tuple[str, ...], Group], place: int) -> None:
    assert _summed(sums.values()) == _summed([table.total])
    for (name,), group in sums.items():
        rows = [row for names, row in table.rows.items() if names[place] == name]
        assert _summed(rows) == _summed([group])


def _summed(groups: Iterable[Group]) -> dict[str, tuple[int, float]]:
    """How many things, and the values that add up: numbers, and averages times their number."""
    found: dict[str, tuple[int, float]] = {}
    for group in groups:
        for metric, told in group.items():
            if metric.name.endswith("_median"):
                continue
            count, total = found.get(metric.name, (0, 0.0))
            weight = 1 if metric.unit is Unit.COUNT else told.count
            found[metric.name] = count + told.count, round(total + (told.value or 0) * weight, 3)
    return found
