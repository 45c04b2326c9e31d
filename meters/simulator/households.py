"""Households that use water as people do, by a seed: the test bed of leak detection.

Use is a list of events (litres at an instant, rounded by the meter's own register of
litres) drawn from rates by the hour; nothing in it knows the rules that are tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INTERVALS_A_DAY = 96
_HOUR = np.arange(24)


def _bump(centre: float, width: float) -> npt.NDArray[np.float64]:
    away = np.minimum(np.abs(_HOUR - centre), 24 - np.abs(_HOUR - centre))
    return np.asarray(np.exp(-0.5 * (away / width) ** 2), np.float64)


@dataclass(frozen=True)
class _Use:
    """A kind of use: events a day for each person, litres of one, and quarter-hours it takes."""

    rate: float
    low_l: float
    high_l: float
    quarters: int
    shape: npt.NDArray[np.float64]


_AWAKE = _bump(7.5, 1.5) + 0.6 * _bump(13, 3) + _bump(20, 2.5)
_USES = {
    "toilet by day": _Use(4.0, 4, 8, 1, _AWAKE),
    "toilet at night": _Use(0.5, 4, 8, 1, _bump(3, 2.5)),
    "tap": _Use(12.0, 0.3, 4, 1, _AWAKE),
    "shower": _Use(0.8, 30, 90, 1, _bump(7, 1) + 0.5 * _bump(21, 1.5)),
}
_HOUSE_USES = {
    "dishwasher": _Use(0.7, 8, 14, 4, _bump(20, 2) + 0.3 * _bump(2, 1.5)),
    "washing machine": _Use(0.6, 40, 70, 4, _bump(10, 4) + 0.2 * _bump(1, 2)),
    "bath": _Use(0.05, 120, 180, 1, _bump(20, 1)),
}


def month(draw: np.random.Generator, days: int = 30) -> npt.NDArray[np.int64]:
    """Return the litres of each quarter-hour of one household over some days, int64.

    Households have one to seven people; one in eight works shifts (its day is turned by
    8 to 12 hours), one in six has a softener that regenerates at night, one in five
    irrigates for hours in the evening or at night, one in ten is away for half of the
    time, one in twenty fills a pool for a day, and its meter counts each litre.
    """
    people = int(draw.choice([1, 2, 3, 4, 5, 7], p=[0.28, 0.32, 0.17, 0.14, 0.06, 0.03]))
    litres = np.zeros(days * INTERVALS_A_DAY)
    turn = int(draw.integers(8, 13)) if draw.random() < 1 / 8 else 0
    for uses, count in ((_USES, people), (_HOUSE_USES, 1)):
        for use in uses.values():
            _add(draw, litres, use, count, turn)
    if draw.random() < 1 / 6:
        _regular(draw, litres, every=int(draw.integers(3, 8)), hour=2, quarters=6, low_l=80)
    if draw.random() < 1 / 5:
        _regular(draw, litres, every=int(draw.integers(1, 4)), hour=int(draw.integers(20, 28)),
                 quarters=int(draw.integers(2, 13)), low_l=draw.uniform(100, 900))  # fmt: skip
    if draw.random() < 1 / 10:
        away = int(draw.integers(0, days // 2)) * INTERVALS_A_DAY
        litres[away : away + days // 2 * INTERVALS_A_DAY] = 0
    if draw.random() < 1 / 20:
        begin = int(draw.integers(0, litres.size - 60))
        litres[begin : begin + int(draw.integers(12, 60))] += draw.uniform(100, 250)
    total = np.floor(np.cumsum(litres)).astype(np.int64)
    return np.diff(total, prepend=np.int64(0))


def _add(
    draw: np.random.Generator, litres: npt.NDArray[np.float64], use: _Use, count: int, turn: int
) -> None:
    days = litres.size // INTERVALS_A_DAY
    share = np.roll(use.shape / use.shape.sum(), turn)
    number = int(draw.poisson(use.rate * count * days))
    hours = draw.choice(24, size=number, p=share)
    at = draw.integers(0, days, number) * INTERVALS_A_DAY + hours * 4 + draw.integers(0, 4, number)
    part = draw.uniform(use.low_l, use.high_l, number) / use.quarters
    for step in range(use.quarters):
        inside = at + step < litres.size
        np.add.at(litres, at[inside] + step, part[inside])


def _regular(
    draw: np.random.Generator, litres: npt.NDArray[np.float64], *, every: int, hour: int,
    quarters: int, low_l: float,
) -> None:  # fmt: skip
    for day in range(int(draw.integers(0, every)), litres.size // INTERVALS_A_DAY, every):
        begin = day * INTERVALS_A_DAY + hour * 4
        litres[begin : begin + quarters] += low_l * draw.uniform(1, 1.3) / quarters
