"""businesstimedelta and pandas: the same sums as our calendar, each timed; JSON in, JSON out.

In: zone, opens, closes (hours), holidays, and sums of [start in seconds since 1970, whole hours].
Out: by library the seconds that all sums took, and the answers.
"""

import json
import sys
import time
from datetime import UTC, date, datetime
from datetime import time as wall

import businesstimedelta
import pandas
import pytz
from pandas.tseries.offsets import CustomBusinessHour


def with_businesstimedelta(told: dict) -> tuple[float, list[float]]:
    """Rules made once; working hours added to each start."""
    zone = pytz.timezone(told["zone"])
    days = businesstimedelta.WorkDayRule(
        start_time=wall(told["opens"]), end_time=wall(told["closes"]), working_days=[0, 1, 2, 3, 4], tz=zone
    )
    closed = businesstimedelta.HolidayRule([date.fromisoformat(one) for one in told["holidays"]], tz=zone)
    rules = businesstimedelta.Rules([days, closed])
    sums = [(datetime.fromtimestamp(start, UTC).astimezone(zone), hours) for start, hours in told["sums"]]
    began = time.perf_counter()
    answers = [start + businesstimedelta.BusinessTimeDelta(rules, hours=hours) for start, hours in sums]
    return time.perf_counter() - began, [one.timestamp() for one in answers]


def with_pandas(told: dict) -> tuple[float, list[float]]:
    """Offsets made once for each number of hours; one added to each start."""
    opens, closes = f"{told['opens']:02}:00", f"{told['closes']:02}:00"
    offsets = {
        hours: CustomBusinessHour(n=hours, start=opens, end=closes, holidays=told["holidays"])
        for hours in {hours for _, hours in told["sums"]}
    }
    sums = [
        (pandas.Timestamp(start, unit="s", tz="UTC").tz_convert(told["zone"]), hours)
        for start, hours in told["sums"]
    ]
    began = time.perf_counter()
    answers = [start + offsets[hours] for start, hours in sums]
    return time.perf_counter() - began, [one.timestamp() for one in answers]


told = json.load(sys.stdin)
LIBRARIES = {"businesstimedelta": with_businesstimedelta, "pandas": with_pandas}
json.dump({name: library(told) for name, library in LIBRARIES.items()}, sys.stdout)
