"""The baseline of an event from what the feeder head was metered on like days.

Days on which an event was run are left out, and those of which an interval is not known: what was
estimated is no measure of what was delivered. The window of the adjustment ends an hour before the
event, or when notice of it came if that was earlier: a battery that is filled because of the event
does not raise the baseline that the event is measured against. Nothing is adjusted by another day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import BadInputError
from grid.site import MeterRole, Site
from grid.store import Transaction, events, series
from meters.baseline import ADJUST_S, BEFORE_S, METHOD, Baseline, baseline, high_x_of_y
from meters.reading import MISSING
from meters.vee.like_days import day_class, reference_days
from meters.vee.quality import READ, Quality, one_of

Ints = npt.NDArray[np.int64]

BACK_DAYS: Final = 60
KNOWN: Final = READ | {Quality.SCALED, Quality.EDITED}
"""Qualities in which the feeder head counts as metered, as in settlement."""


@dataclass(frozen=True, eq=False)
class Found:
    """A baseline with the days it comes from.

    Attributes
    ----------
    baseline : Baseline
    days : tuple of date
        Those that it is the mean of.
    method : str
    """

    baseline: Baseline
    days: tuple[date, ...]
    method: str


def head(site: Site) -> str:
    """Return the meter at the connection."""
    return str(next(m.id for m in site.meter if m.role is MeterRole.FEEDER_HEAD))


def metered(
    tx: Transaction, site: Site, way: str, start_s: int, end_s: int
) -> tuple[Ints, npt.NDArray[np.uint16]]:
    """Return energy and quality at the feeder head, Wh; `MISSING` where it is not known."""
    register = f"{way}_wh"
    found = series.get_intervals(
        tx, [head(site)], start_s, end_s, time_zone=site.time_zone, registers=[register]
    )
    return found[register].values[0], found["quality"].values[0]


def of_event(
    tx: Transaction, site: Site, way: str, start_s: int, end_s: int, notice_s: int | None
) -> Found | None:
    """Return the baseline of ``[start_s, end_s)``; None when there are too few like days.

    Parameters
    ----------
    way : str
        ``"import"`` or ``"export"``.
    notice_s : int, optional
        When the event was received: nothing is adjusted by what came after it. None for no
        adjustment.
    """
    step_s, zone = site.interval_s, site.time_zone
    holidays = site.vee.holiday
    own_day = interval.local_day(start_s, zone)
    x, y = high_x_of_y(day_class(own_day, holidays))
    slots = list(range(start_s, end_s, step_s))
    ahead = _window(site, start_s, notice_s)
    back_s = (BACK_DAYS + 2) * interval.DAY_S
    taken = [(one.start_s, one.end_s) for one in events.during(tx, start_s - back_s, start_s)]
    known = series.bounds(tx)
    days: list[date] = []
    rows: list[Ints] = []
    for day in reference_days(own_day, holidays, back=BACK_DAYS):
        moved = [_moved(at_s, own_day, day, zone) for at_s in slots + ahead]
        first_s, last_s = min(moved), max(moved) + step_s
        if known is None or first_s < known[0] or len(days) == y:
            break
        if any(low < last_s and high > first_s for low, high in taken):
            continue
        row = _known(tx, site, way, moved)
        if row is not None:
            days.append(day)
            rows.append(row)
    if len(days) < x:
        return None
    table, n = np.array(rows), len(slots)
    own = _known(tx, site, way, ahead) if ahead else None
    before = None if own is None else table[:, n:]
    made = baseline(table[:, :n], x, before=before, own=own)
    told = METHOD.format(x=x, y=y)
    if notice_s is not None and own is None:
        why = "readings before it are missing" if ahead else "notice came before the hours for it"
        told += f", not adjusted: {why}"
    return Found(made, tuple(days[i] for i in made.chosen), told)


def _window(site: Site, start_s: int, notice_s: int | None) -> list[int]:
    """Return the intervals that adjust a baseline, all on the event's own day; none without."""
    if notice_s is None:
        return []
    until_s = min(start_s - BEFORE_S, interval.floor(notice_s, site.interval_s))
    own_day = interval.local_day(start_s, site.time_zone)
    begins_s, _ = interval.day_bounds(own_day, site.time_zone)
    if until_s - ADJUST_S < begins_s:
        return []
    return list(range(until_s - ADJUST_S, until_s, site.interval_s))


def limits_of_reduction(
    tx: Transaction, site: Site, start_s: int, powers_w: Sequence[int], now_s: int
) -> tuple[int, ...]:
    """Return the limits that reductions against the baseline come to, W.

    The baseline is that of now, without an adjustment by a day that is still to come.

    Raises
    ------
    BadInputError
        When there is no baseline.
    """
    end_s = start_s + len(powers_w) * site.interval_s
    found = of_event(tx, site, "import", start_s, end_s, None)
    if found is None:
        day = interval.local_day(start_s, site.time_zone)
        x, y = high_x_of_y(day_class(day, site.vee.holiday))
        raise BadInputError(
            f"event {interval.label(start_s)}: a reduction needs a baseline of {y} like days, at "
            f"least {x}, on which {head(site)} was read at these hours; there are fewer"
        )
    base_w = found.baseline.energy_wh * 3600 // site.interval_s
    return tuple(
        max(0, int(base) - power_w) for base, power_w in zip(base_w, powers_w, strict=True)
    )


def _known(tx: Transaction, site: Site, way: str, instants: Sequence[int]) -> Ints | None:
    """Return the energy of some intervals; None where it is not all known."""
    first_s, last_s = min(instants), max(instants) + site.interval_s
    energy, quality = metered(tx, site, way, first_s, last_s)
    places = [(at_s - first_s) // site.interval_s for at_s in instants]
    found = energy[places]
    if not one_of(quality[places], KNOWN).all() or (found == MISSING).any():
        return None
    return found


def _moved(at_s: int, own: date, day: date, zone: str) -> int:
    """Return the instant of the same civil time as far from `day` as `at_s` is from `own`."""
    away = interval.local_day(at_s, zone) - own
    there_s, _ = interval.day_bounds(day + away, zone)
    wanted = interval.minute_of_day(at_s, zone)
    moved_s = there_s + 60 * wanted
    return moved_s + 60 * (wanted - interval.minute_of_day(moved_s, zone))
