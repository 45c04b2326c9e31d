"""Which version and rate of a tariff an interval is charged at, by the site's civil time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import BadInputError
from grid.site import GridPrice, Tariff, TariffRate

_SATURDAY = 5
_QUARTER_MIN = 15


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """Energy that costs alike: one register while one version was in force.

    Attributes
    ----------
    version : int
        Place among the tariff's versions.
    rate : str
        The register.
    price : int or None
        Nano-currency per Wh where the rate's price is dynamic, else none.
    """

    version: int
    rate: str
    price: int | None = None


def head_price(steps: Sequence[GridPrice], start_s: int, time_zone: str) -> GridPrice:
    """Return the community's prices at the feeder head in the interval from `start_s`."""
    clock = interval.local_time(start_s, time_zone)
    return [step for step in steps if step.from_time <= clock][-1]


def rate_at(tariff: Tariff, start_s: int, time_zone: str) -> tuple[int, TariffRate]:
    """Return version and rate that the interval from `start_s` is charged at.

    An interval in which clocks are changed is charged at the civil time it starts at.

    Raises
    ------
    BadInputError
        Before the tariff's first version.
    """
    day = interval.local_day(start_s, time_zone)
    version = tariff.version_on(day)
    quarter = interval.minute_of_day(start_s, time_zone) // _QUARTER_MIN
    weekend = day.weekday() >= _SATURDAY
    return version, tariff.versions[version].rate_of(quarter, weekend=weekend)


def segment_at(tariff: Tariff, start_s: int, time_zone: str, series: Mapping[str, int]) -> Segment:
    """Return the segment of the interval from `start_s`.

    Parameters
    ----------
    series : Mapping
        The interval's price in each named series, nano-currency per Wh.

    Raises
    ------
    BadInputError
        Before the tariff's first version, or when its series has no price.
    """
    version, rate = rate_at(tariff, start_s, time_zone)
    if not rate.series:
        return Segment(version, rate.id)
    if rate.series not in series:
        when = interval.label(start_s)
        raise BadInputError(f"tariff {tariff.id} {when}: series {rate.series} has no price")
    return Segment(version, rate.id, rate.dynamic_price(series[rate.series]))


def places(
    tariff: Tariff, starts_s: npt.NDArray[np.int64], time_zone: str
) -> tuple[tuple[tuple[int, TariffRate], ...], npt.NDArray[np.int64]]:
    """Return every version and rate that some interval is charged at, and which each is.

    Returns
    -------
    tuple of (int, TariffRate)
        In the order of versions and registers.
    ndarray of int64
        For each interval its place among them.

    Raises
    ------
    BadInputError
        Before the tariff's first version.
    """
    known: dict[tuple[int, bool, int], tuple[int, TariffRate]] = {}
    versions: dict[date, int] = {}
    found = []
    for start_s in starts_s.tolist():
        day = interval.local_day(start_s, time_zone)
        if day not in versions:
            versions[day] = tariff.version_on(day)
        quarter = interval.minute_of_day(start_s, time_zone) // _QUARTER_MIN
        key = versions[day], day.weekday() >= _SATURDAY, quarter
        if key not in known:
            known[key] = rate_at(tariff, start_s, time_zone)
        found.append(known[key])
    order = {(version, rate.id): (version, rate) for version, rate in known.values()}
    place = {key: number for number, key in enumerate(sorted(order))}
    which = [place[version, rate.id] for version, rate in found]
    return tuple(order[key] for key in sorted(order)), np.array(which, np.int64)
