"""Intervals of time: UTC, half-open, labelled by their start.

Outside this module an instant is an ``int``: seconds since 1970-01-01T00:00Z
(`at_s`, `start_s`). Series carry the same instants as ``datetime64[s]`` on
their ``interval`` dimension. Civil time exists only here and at the meter's
door.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError

DAY_S = 86_400
_FIRST_S = int(datetime(1000, 1, 1, tzinfo=UTC).timestamp())
_LAST_S = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp())
"""Years of four digits, less what the civil day around an instant needs."""


def label(at_s: int) -> str:
    """Return `at_s` as an ISO 8601 label with minutes, e.g. ``2026-03-29T01:00Z``."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse(text: str) -> int:
    """Return the instant of an ISO 8601 text with a zone or a trailing ``Z``.

    Raises
    ------
    BadInputError
        When the text is no date-time, has no zone, or is at the edge of the calendar.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{text!r} is not an ISO 8601 date-time") from error
    if instant.tzinfo is None:
        raise BadInputError(f"{text!r} has no time zone: write it with a trailing Z or an offset")
    at_s = int(instant.timestamp())
    if not _FIRST_S <= at_s < _LAST_S:
        raise BadInputError(f"{text!r} must be within {label(_FIRST_S)} to {label(_LAST_S)}")
    return at_s


def parse_date(text: str) -> date:
    """Return a calendar day written as ``YYYY-MM-DD``.

    Raises
    ------
    BadInputError
        When the text is no such date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"{text!r} is not a date: write YYYY-MM-DD") from error


def parse_civil(text: str, time_zone: str) -> int:
    """Return the instant of a civil time such as ``2026-05-27T14:40``.

    Raises
    ------
    BadInputError
        When it is none, is before 1970, or comes never or twice because clocks are changed.
    """
    try:
        told = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=zone(time_zone))
        first, second = (told.replace(fold=n).timestamp() for n in (0, 1))
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{text!r} is not a civil time: write YYYY-MM-DDTHH:MM") from error
    if first < 0:
        raise BadInputError(f"{text} is before 1970")
    if first != second:
        count = "twice" if first < second else "never"
        raise BadInputError(f"{text} comes {count} in {time_zone}: clocks are changed then")
    return int(first)


def floor(at_s: int, interval_s: int) -> int:
    """Return the start of the interval that holds `at_s`."""
    return at_s - at_s % interval_s


def starts(start_s: int, count: int, interval_s: int) -> npt.NDArray[np.datetime64]:
    """Return `count` interval starts from `start_s` as ``datetime64[s]``."""
    seconds = start_s + interval_s * np.arange(count, dtype=np.int64)
    return seconds.astype("datetime64[s]")


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone `name`.

    Raises
    ------
    BadInputError
        When there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"{name!r} is not an IANA time zone") from error


def local_day(at_s: int, time_zone: str) -> date:
    """Return the civil day of `at_s` in `time_zone`."""
    return datetime.fromtimestamp(at_s, zone(time_zone)).date()


def day_bounds(day: date, time_zone: str) -> tuple[int, int]:
    """Return the first and the one-past-last instant of a civil day.

    The difference is 23, 24 or 25 hours: 92, 96 or 100 quarter-hours.
    """
    tz = zone(time_zone)
    start = datetime(day.year, day.month, day.day, tzinfo=tz)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=tz)
    return int(start.timestamp()), int(end.timestamp())


def month_bounds(at_s: int, time_zone: str) -> tuple[int, int]:
    """Return the bounds of the civil month that holds `at_s`."""
    day = local_day(at_s, time_zone)
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return day_bounds(first, time_zone)[0], day_bounds(following, time_zone)[0]


def month_label(at_s: int, time_zone: str) -> str:
    """Return the civil month of `at_s` as ``YYYY-MM``."""
    return local_day(at_s, time_zone).strftime("%Y-%m")


def local_time(at_s: int, time_zone: str) -> str:
    """Return the civil hour and minute of `at_s` as ``HH:MM``."""
    return datetime.fromtimestamp(at_s, zone(time_zone)).strftime("%H:%M")


def utc_offset_s(at_s: int, time_zone: str) -> int:
    """Return civil time minus UTC."""
    offset = datetime.fromtimestamp(at_s, zone(time_zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def minute_of_day(at_s: int, time_zone: str) -> int:
    """Return the minutes since civil midnight of `at_s`, 0 to 1439."""
    instant = datetime.fromtimestamp(at_s, zone(time_zone))
    return instant.hour * 60 + instant.minute


def parse_week(text: str) -> date:
    """Return the Monday of an ISO 8601 week such as ``2026-W05``.

    Raises
    ------
    BadInputError
        When the text is no such week.
    """
    try:
        if len(text) != 8 or text[4:6] != "-W":
            raise ValueError(text)
        return date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
    except ValueError as error:
        raise BadInputError(f"{text[:20]!r} is not a week: write YYYY-Www") from error


def week_of(day: date) -> date:
    """Return the Monday of the week of a civil day."""
    return day - timedelta(days=day.weekday())


def week_label(day: date) -> str:
    """Return the ISO 8601 week of a civil day as ``2026-W05``."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def week_bounds(monday: date, time_zone: str) -> tuple[int, int]:
    """Return the first and the one-past-last instant of a civil week, 167 to 169 hours."""
    following = monday + timedelta(days=7)
    return day_bounds(monday, time_zone)[0], day_bounds(following, time_zone)[0]
