"""How an interval came to its value, in the codes of IEC 61968-9.

A code is ``system.category.index``: system 1 is the meter, 3 is meter data
management; category 0 valid, 5 reasonability, 7 edited, 8 estimated,
11 derived. The index within category 8 names our estimation rule.
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
    """

    MISSING = 0
    VALID = 1
    ESTIMATED_LINEAR = 2
    ESTIMATED_LIKE_DAY = 3
    SCALED = 4
    BACKFILLED = 5
    EDITED = 6
    SUSPECT = 7

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
}

# An interval has one quality over all its channels: that of the least certain.
_UNCERTAINTY: Final = np.array([7, 0, 4, 5, 3, 1, 2, 6], dtype=np.uint16)
_BY_UNCERTAINTY: Final = np.argsort(_UNCERTAINTY).astype(np.uint16)


def least_certain(
    first: npt.NDArray[np.uint16], second: npt.NDArray[np.uint16]
) -> npt.NDArray[np.uint16]:
    """Return elementwise the quality that promises less."""
    worst = np.maximum(_UNCERTAINTY[first], _UNCERTAINTY[second])
    return _BY_UNCERTAINTY[worst]
