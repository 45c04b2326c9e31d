"""How an interval came to its value, in the codes of IEC 61968-9.

A code is ``system.category.index``: system 1 is the meter, 3 is meter data
management; category 0 valid, 2 power quality, 4 date and time, 5 reasonability,
7 edited, 8 estimated, 11 derived. The index within category 8 names our
estimation rule. Values are stored: new ones are appended, old ones stay.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class Quality(IntEnum):
    """Quality of one interval, stored as ``uint16``.

    Attributes
    ----------
    MISSING
        Not determined; every channel may be unknown.
    VALID
        Difference of two registers that were read, all rules passed.
    ESTIMATED_LINEAR
        Between or from the neighbouring valid intervals.
    ESTIMATED_LIKE_DAY
        The mean of reference days.
    SCALED
        An estimate scaled so that the gap equals the register difference.
    BACKFILLED
        Difference of registers of which one came from the load profile.
    EDITED
        Set by a person.
    SUSPECT
        As read, possible for the connection, but unlike the meter: to be looked at.
    POWER_FAILURE
        As read, in an interval with a loss of power: zero is legitimate.
    CLOCK_FORWARD, CLOCK_BACK
        As read, in an interval in which the meter's clock was set: it is shorter or
        longer than it should be.
    INVALID
        Marked by the meter itself as not usable; a mark of what comes in, for
        validation estimates the interval.
    ESTIMATED_LOAD_SHAPE
        The shape of the meter's group on this day, at the meter's level.
    ESTIMATED_FEEDER
        A share of what the feeder head measured and no meter accounts for.
    """

    MISSING = 0
    VALID = 1
    ESTIMATED_LINEAR = 2
    ESTIMATED_LIKE_DAY = 3
    SCALED = 4
    BACKFILLED = 5
    EDITED = 6
    SUSPECT = 7
    POWER_FAILURE = 8
    CLOCK_FORWARD = 9
    CLOCK_BACK = 10
    INVALID = 11
    ESTIMATED_LOAD_SHAPE = 12
    ESTIMATED_FEEDER = 13

    @property
    def code(self) -> str:
        """The reading quality code of IEC 61968-9."""
        return _CODES[self]

    @property
    def label(self) -> str:
        """Short text for people."""
        return _LABELS[self]


_CODES: Final = {
    Quality.MISSING: "3.5.259",
    Quality.VALID: "1.0.0",
    Quality.ESTIMATED_LINEAR: "3.8.1",
    Quality.ESTIMATED_LIKE_DAY: "3.8.2",
    Quality.SCALED: "3.8.3",
    Quality.BACKFILLED: "3.11.0",
    Quality.EDITED: "3.7.0",
    Quality.SUSPECT: "3.5.258",
    Quality.POWER_FAILURE: "1.2.32",
    Quality.CLOCK_FORWARD: "1.4.64",
    Quality.CLOCK_BACK: "1.4.65",
    Quality.INVALID: "1.5.258",
    Quality.ESTIMATED_LOAD_SHAPE: "3.8.4",
    Quality.ESTIMATED_FEEDER: "3.8.5",
}

_LABELS: Final = {
    Quality.MISSING: "missing",
    Quality.VALID: "valid",
    Quality.ESTIMATED_LINEAR: "estimated from neighbouring intervals",
    Quality.ESTIMATED_LIKE_DAY: "estimated from like days",
    Quality.SCALED: "spread over the register difference",
    Quality.BACKFILLED: "from the meter's load profile",
    Quality.EDITED: "edited",
    Quality.SUSPECT: "suspect",
    Quality.POWER_FAILURE: "with a loss of power",
    Quality.CLOCK_FORWARD: "the meter's clock was set forward",
    Quality.CLOCK_BACK: "the meter's clock was set back",
    Quality.INVALID: "marked invalid by the meter",
    Quality.ESTIMATED_LOAD_SHAPE: "estimated from the shape of its group",
    Quality.ESTIMATED_FEEDER: "estimated from what the feeder head leaves",
}

READ: Final = frozenset(
    {
        Quality.VALID,
        Quality.BACKFILLED,
        Quality.SUSPECT,
        Quality.POWER_FAILURE,
        Quality.CLOCK_FORWARD,
        Quality.CLOCK_BACK,
    }
)
"""What the meter counted in that interval."""

ESTIMATED: Final = frozenset(
    {
        Quality.ESTIMATED_LINEAR,
        Quality.ESTIMATED_LIKE_DAY,
        Quality.SCALED,
        Quality.ESTIMATED_LOAD_SHAPE,
        Quality.ESTIMATED_FEEDER,
    }
)
"""Not what the meter counted in that interval."""

# An interval has one quality over all its channels: that of the least certain.
_BY_UNCERTAINTY: Final = np.array(
    [
        Quality.VALID,
        Quality.POWER_FAILURE,
        Quality.CLOCK_FORWARD,
        Quality.CLOCK_BACK,
        Quality.BACKFILLED,
        Quality.EDITED,
        Quality.SCALED,
        Quality.ESTIMATED_LINEAR,
        Quality.ESTIMATED_LIKE_DAY,
        Quality.ESTIMATED_LOAD_SHAPE,
        Quality.ESTIMATED_FEEDER,
        Quality.SUSPECT,
        Quality.INVALID,
        Quality.MISSING,
    ],
    dtype=np.uint16,
)
_UNCERTAINTY: Final = np.argsort(_BY_UNCERTAINTY).astype(np.uint16)


def least_certain(
    first: npt.NDArray[np.uint16], second: npt.NDArray[np.uint16]
) -> npt.NDArray[np.uint16]:
    """Return elementwise the quality that promises less."""
    worst = np.maximum(_UNCERTAINTY[first], _UNCERTAINTY[second])
    return _BY_UNCERTAINTY[worst]


def uncertainty(quality: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return elementwise a rank that rises with how little `quality` promises."""
    rank: npt.NDArray[np.uint16] = _UNCERTAINTY[quality]
    return rank


def one_of(quality: npt.NDArray[np.uint16], kinds: frozenset[Quality]) -> npt.NDArray[np.bool_]:
    """Return elementwise whether `quality` is one of `kinds`."""
    table = np.zeros(len(Quality), dtype=np.bool_)
    table[sorted(kinds)] = True
    found: npt.NDArray[np.bool_] = table[quality]
    return found
