"""When sessions start: the profile of a month by day and hour, in UTC.

Days 1 to 10 and hours 0 to 9 of October 2019 are measured (SPEC D7); the other days share what is left
of the month evenly but for a mild weekly pattern, the other hours follow the note in the calibration.
Every November has a sale from the 15th to the 17th.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt

from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.hashing import Floats

FIRST_MONTH = "2019-10"
LAST_MONTH = "2029-09"
HOUR = 3600
DAY = 24 * HOUR

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
# Monday to Sunday, after the measured days: most visits from Friday to Sunday.
_WEEKDAY = (0.96, 0.99, 0.98, 0.97, 1.04, 1.03, 1.03)
_NOVEMBER_SALE = {14: 1.4, 15: 2.8, 16: 3.0, 17: 2.9, 18: 1.3}
# Hours 10 to 15 against hour 9: "near the peak", then the peak.
_MIDDAY = (0.985, 0.98, 0.98, 0.995, 1.02, 1.06)
# Hour 16 against hour 23 on the straight fall of the evening.
_EVENING_FALL = (1.69, 0.31)
# Share of events 0, 1, 2, ... hours after the hour in which their session started; a result of
# inter_event_times.py, where ids are taken up again up to days later.
_LATER_HOURS = (0.7795, 0.1832, 0.0181, 0.0048, 0.0024, *([0.0120 / 19] * 19))


def month_number(month: str) -> int:
    """Months since October 2019.

    Args:
        month: such as "2019-11".

    Returns:
        0 for "2019-10", 1 for "2019-11", and so on.

    Raises:
        ValueError: the month is not written as YYYY-MM or is outside 2019-10 .. 2029-09.
    """
    match = _MONTH.fullmatch(month)
    if match is None:
        raise ValueError(f"{month!r} is not a month: write it as YYYY-MM, such as {FIRST_MONTH}.")
    if not FIRST_MONTH <= month <= LAST_MONTH:
        raise ValueError(f"{month} is out of range: take a month from {FIRST_MONTH} to {LAST_MONTH}.")
    return (int(match[1]) - 2019) * 12 + int(match[2]) - 10


def hour_weights() -> Floats:
    """Relative number of events in each hour of a day.

    Returns:
        24 shares that add up to 1.
    """
    october = load_calibration().october
    measured = np.array(october["events_by_hour_utc_0_to_9"], dtype=np.float64)
    midday = measured[-1] * np.array(_MIDDAY)
    left = october["events"] - measured.sum() - midday.sum()
    fall = np.linspace(*_EVENING_FALL, num=8)
    weights = np.concatenate([measured, midday, left * fall / fall.sum()])
    return np.asarray(weights / weights.sum())


def starting_hour_weights() -> Floats:
    """Relative number of sessions that start in each hour, so that their events fall by `hour_weights`.

    Returns:
        24 shares that add up to 1.
    """
    wanted = hour_weights()
    later = np.array([[_LATER_HOURS[(event - start) % 24] for start in range(24)] for event in range(24)])
    starting = wanted.copy()
    for _ in range(50):
        starting = starting * (later.T @ (wanted / (later @ starting)))
    return np.asarray(starting / starting.sum())


def day_weights(month: str) -> Floats:
    """Relative number of events on each day of a month.

    Args:
        month: such as "2019-10".

    Returns:
        One share per day; together 1.
    """
    year, number = int(month[:4]), int(month[5:])
    first_weekday, days = calendar.monthrange(year, number)
    weights = np.array([_WEEKDAY[(first_weekday + day) % 7] for day in range(days)])
    if month == FIRST_MONTH:
        weights = _with_measured_days(weights)
    if number == 11:
        for day, factor in _NOVEMBER_SALE.items():
            weights[day - 1] *= factor
    return np.asarray(weights / weights.sum())


def _with_measured_days(weights: Floats) -> Floats:
    october = load_calibration().october
    measured = np.array(october["events_by_day_1_to_10"], dtype=np.float64)
    rest = weights[len(measured) :]
    return np.concatenate([measured, (october["events"] - measured.sum()) * rest / rest.sum()])


class MonthClock:
    """Turns a share of the month's sessions into a second of the month.

    Attributes:
        start: first second of the month, in seconds since 1970 (UTC).
        seconds: length of the month.
    """

    def __init__(self, month: str) -> None:
        days = day_weights(month)
        hourly = np.outer(days, starting_hour_weights()).ravel()
        self.start = int(datetime(int(month[:4]), int(month[5:]), 1, tzinfo=timezone.utc).timestamp())
        self.seconds = len(days) * DAY
        self._second = np.arange(len(hourly) + 1, dtype=np.float64) * HOUR
        self._share = np.concatenate([[0.0], np.cumsum(hourly)])
        self._share[-1] = 1.0

    def second_at(self, shares: Floats) -> npt.NDArray[np.int32]:
        """Seconds since the month's start by which the given shares of the sessions have started.

        Args:
            shares: numbers from 0 to 1.

        Returns:
            int32 array of whole seconds, within the month.
        """
        seconds = np.interp(shares, self._share, self._second)
        return np.minimum(seconds, self.seconds - 1).astype(np.int32)
