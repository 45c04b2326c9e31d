"""What a standard says of a week of voltages, as facts.

EN 50160 judges 10-minute means over each period of a week under normal operation, without
interruptions. Shares are of the means that there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from grid.errors import BadInputError

MEAN_S = 600
"""Length of the means that EN 50160 judges (aggregated as IEC 61000-4-30 says)."""

INTERRUPTED_PU = 0.05
"""EN 50160:2010: below 5 % of its reference the supply is interrupted."""


class Verdict(IntEnum):
    """What a week of a point comes to."""

    INSUFFICIENT = 0
    KEPT = 1
    NOT_KEPT = 2
    INDICATIVE_KEPT = 3
    INDICATIVE_NOT_KEPT = 4

    @property
    def words(self) -> str:
        """As it is told: ``not kept``."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Band:
    """A range that a share of a week's values must keep.

    Attributes
    ----------
    low, high : float
        Per unit of the nominal or declared voltage; percent for unbalance.
    share_percent : float
        Of the values, at least these must be within.
    each_side : bool
        Whether the share is asked of either limit by itself, not of both together.
    """

    low: float
    high: float
    share_percent: float
    each_side: bool = False


@dataclass(frozen=True)
class Rules:
    """A set of rules, named with its edition.

    Attributes
    ----------
    name : str
    edition : str
        Standard, edition and clause.
    usual : Band
        What most values keep.
    all_values : Band
        What every value keeps.
    unbalance : Band
        Of the ratio of negative to positive sequence voltage, percent.
    """

    name: str
    edition: str
    usual: Band
    all_values: Band
    unbalance: Band


_UNBALANCE = Band(0.0, 2.0, 95.0)

RULES: dict[str, Rules] = {
    one.name: one
    for one in (
        Rules(
            "lv",
            "EN 50160:2010, 4.2.2 and 4.2.4 (low voltage)",
            Band(0.90, 1.10, 95.0),
            Band(0.85, 1.10, 100.0),
            _UNBALANCE,
        ),
        Rules(
            "lv-island",
            "EN 50160:2010, 4.2.2 and 4.2.4 (low voltage, no synchronous connection)",
            Band(0.85, 1.10, 100.0),
            Band(0.85, 1.10, 100.0),
            _UNBALANCE,
        ),
        Rules(
            "mv",
            "EN 50160:2010, 5.2.2 and 5.2.4 (medium voltage)",
            Band(0.90, 1.10, 99.0, each_side=True),
            Band(0.85, 1.15, 100.0),
            _UNBALANCE,
        ),
    )
}


def rules(name: str) -> Rules:
    """Return a set of rules.

    Raises
    ------
    BadInputError
        When there is none of that name.
    """
    try:
        return RULES[name]
    except KeyError as error:
        raise BadInputError(f"rules {name!r} are none of {', '.join(RULES)}") from error
