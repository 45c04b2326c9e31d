"""Devices that stood at a meter's place one after the other.

Each is examined as a row of its own: after its removal the old device stands at
its last register, and until its installation the new one stood at its first. So
the interval of the exchange is the sum of two exact differences, and a gap around
it falls into two whose totals are both known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from meters.reading import CHANNELS, MISSING
from meters.vee.facts import Tenure

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stay:
    """The part of a window during which one device was there.

    Attributes
    ----------
    tenure : Tenure
    first, last : int
        Intervals ``[first, last)`` in which it counted, in some part.
    """

    tenure: Tenure
    first: int
    last: int

    @property
    def wrap_wh(self) -> int:
        """The energy at which its register goes round."""
        return self.tenure.wrap_wh


@dataclass(frozen=True, slots=True)
class Places:
    """Which devices are where in a window.

    Attributes
    ----------
    wrap_wh : ndarray of int64 (meter,)
        Where the register of the device that is there at the end goes round, 0 where unknown.
    serial : ndarray of str (meter,)
        What it calls itself, empty where unknown.
    changed : dict of row to list of Stay
        Meters whose device came or went within the window, with all their devices in order.
    """

    wrap_wh: Ints
    serial: npt.NDArray[np.str_]
    changed: dict[int, list[Stay]]


def places(tenures: Sequence[Tenure], meters: Sequence[str], at_s: Ints) -> Places:
    """Return the devices of each meter within a window.

    Parameters
    ----------
    tenures : sequence of Tenure
    meters : sequence of str
        The meter of each row.
    at_s : ndarray of int64 (boundary,)
    """
    wrap_wh = [0] * len(meters)
    serial = [""] * len(meters)
    changed: dict[int, list[Stay]] = {}
    if tenures and at_s.size > 1:
        place = {meter: row for row, meter in enumerate(meters)}
        low, high = int(at_s[0]), int(at_s[-1])
        for tenure in tenures:
            row = place.get(tenure.meter, -1)
            from_s, until_s = tenure.from_s, tenure.until_s
            if from_s is None and until_s is None and row >= 0:
                serial[row], wrap_wh[row] = tenure.serial, tenure.wrap_wh
                continue
            begins = from_s is not None and from_s > low
            ends = until_s is not None and until_s < high
            if row < 0 or (from_s or low) >= high or (until_s or high) <= low:
                continue
            if begins or ends:
                changed.setdefault(row, []).append(_stay(tenure, at_s))
            if not ends:
                serial[row] = tenure.serial
                wrap_wh[row] = tenure.wrap_wh
        for devices in changed.values():
            devices.sort(key=lambda stay: (stay.first, stay.last))
    return Places(np.array(wrap_wh, dtype=np.int64), np.array(serial, dtype=np.str_), changed)


def _stay(tenure: Tenure, at_s: Ints) -> Stay:
    low, high = int(at_s[0]), int(at_s[-1])
    from_s = low if tenure.from_s is None else max(tenure.from_s, low)
    until_s = high if tenure.until_s is None else min(tenure.until_s, high)
    first = int(np.searchsorted(at_s, from_s, side="right")) - 1
    return Stay(tenure, first, int(np.searchsorted(at_s, until_s, side="left")))


def registers_of(stay: Stay, known: Ints, at_s: Ints, channel: str) -> Ints:
    """Return the registers of one device from those read at its place.

    Parameters
    ----------
    stay : Stay
    known, at_s : ndarray of int64 (boundary,)
    channel : str
    """
    tenure, number = stay.tenure, CHANNELS.index(channel)
    mine = known.copy()
    if tenure.from_s is not None and tenure.from_s > at_s[0]:
        mine[at_s <= tenure.from_s] = MISSING
        if tenure.first is not None:
            mine[stay.first] = tenure.first[number]
    if tenure.until_s is not None and tenure.until_s <= at_s[-1]:
        mine[at_s >= tenure.until_s] = MISSING
        if tenure.last is not None:
            mine[stay.last] = tenure.last[number]
    return mine


def joined(parts: Sequence[Ints], devices: Sequence[Stay]) -> Ints:
    """Return the energies of a place from those of its devices, MISSING where one's is.

    Parameters
    ----------
    parts : sequence of ndarray of int64 (interval,)
    devices : sequence of Stay
    """
    total = np.zeros_like(parts[0])
    unknown = np.ones(total.shape, dtype=np.bool_)
    lost = np.zeros(total.shape, dtype=np.bool_)
    for energy, stay in zip(parts, devices, strict=True):
        span = slice(stay.first, stay.last)
        lost[span] |= energy[span] < 0
        total[span] += np.maximum(energy[span], 0)
        unknown[span] = False
    return np.where(unknown | lost, MISSING, total)
