"""Where the energy of usage points came from, matched in each interval, and its CO2.

Only facts of the ledger are used, so that whoever replays it derives the same: what a plant
yields behind its connection, and is used there, is counted by no meter of the connection and is
not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.errors import BadInputError
from trading.mechanisms.shares import in_proportion

_UG_PER_MG = 1_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Imported energy by where it came from, and what it emitted.

    Attributes
    ----------
    local_wh : int
        Of the community's renewable plants, in the same intervals.
    grid_wh : int
        The rest.
    co2_mg : int or None
        Of the rest, half a milligram counts as one; none where it is not known.
    """

    local_wh: int
    grid_wh: int
    co2_mg: int | None

    @property
    def local_permille(self) -> int:
        """How much was local renewable energy, rounded down: a claim is not rounded up."""
        total = self.local_wh + self.grid_wh
        return self.local_wh * 1_000 // total if total else 0

    def facts(self) -> dict[str, int]:
        """Return what a bill or an invoice says of it; nothing of what is not known."""
        energy = {"grid_wh": self.grid_wh, "local_wh": self.local_wh}
        emitted = {} if self.co2_mg is None else {"co2_mg": self.co2_mg}
        return energy | {"local_permille": self.local_permille} | emitted


def matched_local(
    import_wh: Sequence[int], bought_wh: Sequence[int], export_wh: Sequence[int]
) -> list[int]:
    """Return what each usage point imported of the others' renewable exports in one interval.

    Who bought comes first, as far as it was consumed; what nobody bought goes to the imports
    that are left, in proportion. Wh that do not divide go to the largest remainders. No Wh is
    matched twice: the sum is at most that of the exports.

    Parameters
    ----------
    import_wh, bought_wh, export_wh : sequence of int
        By usage point: imported; of trades; renewable energy that went out.
    """
    imported = np.array(import_wh, np.int64)
    bought = np.minimum(np.array(bought_wh, np.int64), imported)
    left_wh = sum(export_wh)
    first = in_proportion(bought, min(left_wh, int(bought.sum())))
    others = imported - first
    rest = in_proportion(others, min(left_wh - int(first.sum()), int(others.sum())))
    return [int(wh) for wh in first + rest]


def origin(import_wh: int, local_wh: int, co2_mg_per_kwh: int) -> Origin:
    """Return the origin of imports of which `local_wh` were matched interval by interval.

    Parameters
    ----------
    co2_mg_per_kwh : int
        What the public network's energy emits, 0 where that is not known. Wh x mg/kWh = µg:
        only the sum is rounded.

    Raises
    ------
    BadInputError
        When more is matched than imported, or a value is negative.
    """
    if not 0 <= local_wh <= import_wh or co2_mg_per_kwh < 0:
        raise BadInputError(
            f"local_wh is {local_wh}, must be within 0 and the import_wh {import_wh}; "
            f"co2_mg_per_kwh is {co2_mg_per_kwh}, must be at least 0"
        )
    grid_wh = import_wh - local_wh
    emitted_mg = (grid_wh * co2_mg_per_kwh + _UG_PER_MG // 2) // _UG_PER_MG
    return Origin(local_wh, grid_wh, emitted_mg if co2_mg_per_kwh else None)
