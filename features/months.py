"""Months as whole numbers (year * 12 + month - 1) and days as days since 1970-01-01.

An as-of is a month; it stands for that month's last day. Arrays of both are plain integers.
"""

import datetime as dt
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from features.errors import WrongUsage

NO_DAY = np.iinfo(np.int32).min
"""Stands for an absent date in an array of days."""

MANY = 1000

_MONTH = re.compile(r"(\d{4})-(\d{2})")


def parse_month(text: str) -> int:
    """Return the month number of ``YYYY-MM``; WrongUsage says what was wrong otherwise."""
    match = _MONTH.fullmatch(text.strip())
    if not match or not 1 <= int(match[2]) <= 12 or not 1900 <= int(match[1]) <= 2200:
        raise WrongUsage(f"'{text}' is not a month.", hint="Write it as YYYY-MM, for example 2023-06.")
    return int(match[1]) * 12 + int(match[2]) - 1


def month_text(month: int) -> str:
    """Return ``YYYY-MM``."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def month_of_day(days: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the month numbers of days (NO_DAY has no meaningful month)."""
    numbers = np.asarray(days)
    if numbers.size > MANY:
        first, last = int(numbers.min()), int(numbers.max())
        if 2 * (last - first) < numbers.size:  # many days of few years: each is looked up
            months: npt.NDArray[np.int32] = month_of_day(np.arange(first, last + 1))[numbers - first]
            return months
    dates = numbers.astype("int64").astype("datetime64[D]")
    return (dates.astype("datetime64[M]").astype("int64") + 1970 * 12).astype(np.int32)


def first_day(months: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the first day of each month, in days since 1970-01-01."""
    starts = (np.asarray(months, dtype="int64") - 1970 * 12).astype("datetime64[M]")
    return starts.astype("datetime64[D]").astype("int64").astype(np.int32)


def last_day(months: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the last day of each month, in days since 1970-01-01."""
    return first_day(np.asarray(months, dtype="int64") + 1) - np.int32(1)


def month_of(day: dt.date) -> int:
    """Return the month number of a date."""
    return day.year * 12 + day.month - 1


def month_end(month: int) -> dt.date:
    """Return the last day of the month as a date."""
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(last_day(month)))


def timestamps(days: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
    """Return days as datetime64[s], NaT where absent."""
    number = np.asarray(days, dtype="int64")
    dates = number.astype("datetime64[D]").astype("datetime64[s]")
    return np.where(number == NO_DAY, np.datetime64("NaT", "s"), dates).astype("datetime64[s]")


def day_numbers(dates: Any) -> npt.NDArray[np.int32]:
    """Return days since 1970-01-01 of datetime64 values, NO_DAY where absent."""
    stamps = np.asarray(dates).astype("datetime64[D]")
    number = stamps.astype("int64")
    return np.where(np.isnat(stamps), NO_DAY, number).astype(np.int32)
