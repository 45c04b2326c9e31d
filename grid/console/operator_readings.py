"""What the newest network state rests on: readings, estimates, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.console.web_quality import ESTIMATED, FLAGGED
from grid.site import Site
from grid.store import Transaction, series
from meters.vee.quality import Quality

_LOOK_BACK = 8


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of the newest complete interval, and the intervals after it.

    Attributes
    ----------
    at_s : int or None
        Start of the newest complete interval.
    flagged : list of (str, int)
        Usage points in it that were not simply read, with their quality.
    waiting : list of str
        Usage points that keep later intervals incomplete, from `from_s` to `until_s`.
    """

    at_s: int | None
    count: int
    flagged: list[tuple[str, int]]
    waiting: list[str]
    from_s: int
    until_s: int

    @property
    def estimated(self) -> list[str]:
        """Usage points whose reading is an estimate."""
        return [name for name, quality in self.flagged if Quality(quality) in ESTIMATED]


def readings(tx: Transaction, site: Site, at_s: int | None, now_s: int | None) -> Readings | None:
    """Return how the state at `at_s` is known, and what newer ones wait for, at `now_s`."""
    if now_s is None:
        return None
    step_s = site.interval_s
    # The interval before the clock's is read in the clock's own cycle.
    until_s = max(now_s - step_s, at_s + step_s if at_s is not None else 0)
    start_s = at_s if at_s is not None else until_s - _LOOK_BACK * step_s
    names = [str(point.id) for point in site.usage_point]
    quality = series.get_quality(tx, names, start_s, until_s, time_zone=site.time_zone)
    first = 0 if at_s is None else 1
    missing = quality[:, first:] == Quality.MISSING
    waiting = missing.any(axis=0) & ~missing.all(axis=0)
    where = np.flatnonzero(waiting)
    flagged = [
        (name, int(code))
        for name, code in zip(names, quality[:, 0] if first else [], strict=False)
        if Quality(int(code)) in FLAGGED
    ]
    return Readings(
        at_s=at_s,
        count=len(names),
        flagged=flagged,
        waiting=[n for n, row in zip(names, missing[:, waiting], strict=True) if row.any()],
        from_s=start_s + (first + int(where[0])) * step_s if where.size else until_s,
        until_s=until_s,
    )


def with_estimates(tx: Transaction, site: Site, start_s: int, end_s: int) -> list[int]:
    """Return the intervals of ``[start_s, end_s)`` in which a usage point is estimated."""
    names = [str(point.id) for point in site.usage_point]
    quality = series.get_quality(tx, names, start_s, end_s, time_zone=site.time_zone)
    some = np.isin(quality, sorted(ESTIMATED)).any(axis=0)
    return [start_s + int(column) * site.interval_s for column in np.flatnonzero(some)]
