"""The baseline of an event from what the feeder head was metered on like days.

Days on which an event was run are left out, and those of which an interval is not known: what was
estimated is no measure of what was delivered. The window of the adjustment ends an hour before the
event, or when notice of it came if that was earlier: a battery that is filled because of the event
does not raise the baseline that the event is measured against.
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
    kind = day_class(own_day, holidays)
    x, y = high_x_of_y(kind)
    until_s = (
        start_s if notice_s is None else min(start_s - BEFORE_S, interval.floor(notice_s, step_s))
    )
    slots = list(range(start_s, end_s, step_s))
    ahead = [] if notice_s is None else list(range(until_s - ADJUST_S, until_s, step_s))
    days: list[date] = []
    rows: list[Ints] = []
    for day in reference_days(own_day, holidays, back=BACK_DAYS):
        row = _like(tx, site, way, own_day, day, slots + ahead)
        if row is not None:
            days.append(day)
            rows.append(row)
        if len(days) == y:
            break
    if len(days) < x:
        return None
    table, n = np.array(rows), len(slots)
    before, own = None, None
    if ahead:
        energy, quality = metered(tx, site, way, ahead[0], ahead[-1] + step_s)
        if one_of(quality, KNOWN).all() and (energy != MISSING).all():
            before, own = table[:, n:], energy
    made = baseline(table[:, :n], x, before=before, own=own)
    told = METHOD.format(x=x, y=y)
    if ahead and own is None:
        told += ", not adjusted: readings before it are missing"
    return Found(made, tuple(days[i] for i in made.chosen), told)


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


def _like(
    tx: Transaction, site: Site, way: str, own: date, day: date, slots: Sequence[int]
) -> Ints | None:
    """Return the energy of another day at the same times of day; None where it is not all known."""
    zone, step_s = site.time_zone, site.interval_s
    moved = [_moved(at_s, own, day, zone) for at_s in slots]
    first_s, last_s = min(moved), max(moved) + step_s
    if events.during(tx, first_s, last_s):
        return None
    energy, quality = metered(tx, site, way, first_s, last_s)
    places = [(at_s - first_s) // step_s for at_s in moved]
    taken = energy[places]
    if not one_of(quality[places], KNOWN).all() or (taken == MISSING).any():
        return None
    return taken


def _moved(at_s: int, own: date, day: date, zone: str) -> int:
    """Return the instant of the same civil time as far from `day` as `at_s` is from `own`."""
    away = interval.local_day(at_s, zone) - own
    there_s, _ = interval.day_bounds(day + away, zone)
    wanted = interval.minute_of_day(at_s, zone)
    moved_s = there_s + 60 * wanted
    return moved_s + 60 * (wanted - interval.minute_of_day(moved_s, zone))
