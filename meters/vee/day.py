"""What the rules see, and what they say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from meters.vee.facts import Facts
from meters.vee.thresholds import Columns

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Day:
    """A window of energies of some meters, usually a day.

    Attributes
    ----------
    meters : list of str
    energy : mapping of channel to ndarray of int64 (meter, interval)
        :data:`~meters.reading.MISSING` where not determined.
    total_wh : mapping of channel to ndarray of int64 (meter,)
        Over the window, MISSING where an interval is.
    limit_wh : ndarray of int64 (meter,)
    read : ndarray of bool (meter, interval)
        As the meter counted it, not estimated.
    serial : ndarray of str (meter,)
        What the device that should be there at the end calls itself, empty where unknown.
    starts_s : ndarray of int64 (interval,)
    interval_s : int
    facts : Facts
    thresholds : Columns
    """

    meters: list[str]
    energy: Mapping[str, Ints]
    total_wh: Mapping[str, Ints]
    limit_wh: Ints
    read: Bools
    serial: npt.NDArray[np.str_]
    starts_s: Ints
    interval_s: int
    facts: Facts
    thresholds: Columns

    @property
    def count(self) -> int:
        """Number of intervals."""
        return int(self.starts_s.size)

    @property
    def whole(self) -> bool:
        """Whether the window is a civil day or more, the shortest of which has 23 hours."""
        return self.count * self.interval_s >= 23 * 3600


@dataclass(frozen=True, slots=True)
class Hits:
    """Stretches of intervals ``[first, last)`` of rows that a rule noticed.

    `value` is what was found and `limit` what it was compared with.
    """

    row: Ints
    first: Ints
    last: Ints
    value: npt.NDArray[np.float64] | Ints
    limit: npt.NDArray[np.float64] | Ints

    @classmethod
    def days(
        cls,
        rows: npt.NDArray[np.intp],
        count: int,
        value: npt.NDArray[np.float64] | Ints,
        limit: npt.NDArray[np.float64] | Ints,
    ) -> Hits:
        """Return one hit over all intervals of each row."""
        at = rows.astype(np.int64)
        return cls(at, np.zeros_like(at), np.full_like(at, count), value, limit)

    @classmethod
    def intervals(
        cls,
        rows: npt.NDArray[np.intp],
        at: npt.NDArray[np.intp],
        value: npt.NDArray[np.float64] | Ints,
        limit: npt.NDArray[np.float64] | Ints,
    ) -> Hits:
        """Return one hit per interval."""
        first = at.astype(np.int64)
        return cls(rows.astype(np.int64), first, first + 1, value, limit)

    def elements(self) -> tuple[Ints, Ints]:
        """Return row and interval of everything within the stretches."""
        length = self.last - self.first
        start = np.cumsum(length) - length
        of = np.repeat(np.arange(length.size), length)
        return self.row[of], self.first[of] + np.arange(of.size) - start[of]


def no_hits() -> Hits:
    """Return that nothing was noticed."""
    none = np.zeros(0, dtype=np.int64)
    return Hits(none, none, none, none, none)
