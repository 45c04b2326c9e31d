"""What the rules compare with, per group of usage points.

All are integers, so that "exactly at the threshold" means what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError

Ints = npt.NDArray[np.int64]

_MOST: Final = {
    "_percent": 1_000_000,
    "_permille": 1_000,
    "_wh": 10**10,
    "_s": 86_400,
    "_days": 366,
    "_count": 1_000,
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of one group; a rule fires beyond its threshold, never at it.

    Attributes
    ----------
    spike_share_percent : int
        Spike: above its neighbours and the third-highest by this share of the limit of
        the connection. A load that runs for half an hour or more fills at least half of
        a neighbouring interval, so that it exceeds that one by no more than half.
    spike_rise_percent : int
        Spike: above the third-highest by this share of it.
    spike_usual_percent : int
        Spike: above this share of the highest interval of like days.
    sum_wh : int
        Sum check: interval sum against register difference.
    high_percent, high_wh : int
        High: a day above this share of the average day, and above this energy.
    low_percent, low_wh : int
        Low: a day below this share of an average day, where that is above `low_wh`.
    zero_days : int
        Zero: days without consumption.
    inactive_wh : int
        Inactive: energy of a day of a meter without a customer.
    length_s : int
        Interval length: distance of a read from its boundary.
    multiplier_percent, multiplier_wh : int
        Multiplier: distance from a known ratio that still is that ratio, and the least
        average day to tell a ratio by.
    sibling_count : int
        Siblings: distinct energies that two equal series must have.
    check_permille, check_wh : int
        Main and check meter: difference of their days.
    clock_s : int
        Clock change: how far the clock was set.
    voltage_percent : int
        Voltage: distance from nominal.
    feeder_permille, feeder_wh : int
        Feeder: what meters and losses leave of the head's energy, of an interval.
    estimated_days : int
        Prolonged estimation: days without a read.
    linear_s : int
        Estimation: the longest gap that is filled between its neighbours.
    """

    spike_share_percent: int = 60
    spike_rise_percent: int = 180
    spike_usual_percent: int = 300
    sum_wh: int = 10
    high_percent: int = 1_000
    high_wh: int = 20_000
    low_percent: int = 2
    low_wh: int = 2_000
    zero_days: int = 7
    inactive_wh: int = 500
    length_s: int = 30
    multiplier_percent: int = 5
    multiplier_wh: int = 1_000
    sibling_count: int = 12
    check_permille: int = 20
    check_wh: int = 100
    clock_s: int = 30
    voltage_percent: int = 20
    feeder_permille: int = 30
    feeder_wh: int = 500
    estimated_days: int = 5
    linear_s: int = 7_200

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            most = next(top for unit, top in _MOST.items() if one.name.endswith(unit))
            if type(value) is not int or not 0 <= value <= most:
                raise BadInputError(f"{one.name} is {value!r}: must be within 0 to {most}")


class Columns:
    """The thresholds of each meter, a column each.

    Parameters
    ----------
    groups : mapping of str to Thresholds
        What holds for each group.
    group : sequence of str
        The group of each meter.

    Raises
    ------
    BadInputError
        When a meter's group has no thresholds.
    """

    def __init__(self, groups: Mapping[str, Thresholds], group: Sequence[str]) -> None:
        names = sorted(groups)
        place = {name: index for index, name in enumerate(names)}
        for name in set(group) - set(names):
            raise BadInputError(f"group {name!r} has no thresholds, known are {', '.join(names)}")
        self._group = np.array([place[name] for name in group], dtype=np.intp)
        self._table = {
            one.name: np.array([getattr(groups[name], one.name) for name in names], dtype=np.int64)
            for one in fields(Thresholds)
        }

    @classmethod
    def uniform(cls, thresholds: Thresholds, count: int) -> Columns:
        """Return `thresholds` for each of `count` meters."""
        return cls({"": thresholds}, [""] * count)

    def __len__(self) -> int:
        return int(self._group.size)

    def __getitem__(self, name: str) -> Ints:
        found: Ints = self._table[name][self._group]
        return found

    def take(self, rows: npt.NDArray[np.intp]) -> Columns:
        """Return the thresholds of some meters."""
        part = object.__new__(Columns)
        part._group, part._table = self._group[rows], self._table
        return part
