"""Where the energy of a usage point came from, matched interval by interval, and its CO2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.quantities import INT64_MAX

_UG_PER_MG = 1_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Energy by where it came from, and what it emitted.

    Attributes
    ----------
    own_wh : int
        Of the usage point's own renewable plants.
    local_wh : int
        Of the community's renewable plants, in the same intervals.
    grid_wh : int
        The rest.
    co2_mg : int
        Of the rest; half a milligram counts as one.
    """

    own_wh: int
    local_wh: int
    grid_wh: int
    co2_mg: int

    @property
    def local_permille(self) -> int:
        """How much was own or local renewable energy, rounded down: a claim is not rounded up."""
        total = self.own_wh + self.local_wh + self.grid_wh
        return (self.own_wh + self.local_wh) * 1_000 // total if total else 0


def origin(
    own_wh: npt.NDArray[np.int64],
    local_wh: npt.NDArray[np.int64],
    import_wh: npt.NDArray[np.int64],
    co2_mg_per_kwh: npt.NDArray[np.int64],
) -> Origin:
    """Return the origin of the energy of some intervals.

    Parameters
    ----------
    own_wh, local_wh, import_wh : ndarray of int64 [interval]
        Used of own renewable plants; matched with the community's in the same interval;
        metered, `local_wh` included. A surplus of one interval says nothing of another.
    co2_mg_per_kwh : ndarray of int64 [interval]
        What the public network's energy emits. Wh x mg/kWh = µg: only the sum is rounded.

    Raises
    ------
    BadInputError
        When lengths differ, a value is negative, more is matched than imported, or the
        sum may be beyond int64.
    """
    given = {
        "own_wh": own_wh, "local_wh": local_wh, "import_wh": import_wh,
        "co2_mg_per_kwh": co2_mg_per_kwh,
    }  # fmt: skip
    for name, values in given.items():
        if values.shape != import_wh.shape:
            raise BadInputError(f"{name} has shape {values.shape}, must have {import_wh.shape}")
        if values.size and int(values.min()) < 0:
            raise BadInputError(f"{name} is {int(values.min())}, must be at least 0")
    if over := np.flatnonzero(local_wh > import_wh).tolist():
        at = over[0]
        raise BadInputError(
            f"local_wh[{at}] is {local_wh[at]}, must be at most import_wh {import_wh[at]}"
        )
    highest = [int(values.max(initial=1)) for values in given.values()]
    if max(highest[:3]) * max(highest[3], 1) * max(import_wh.size, 1) > INT64_MAX:
        raise BadInputError(f"{import_wh.size} intervals of {highest} may be beyond {INT64_MAX}")
    grid_wh = import_wh - local_wh
    emitted_ug = int((grid_wh * co2_mg_per_kwh).sum())
    return Origin(
        own_wh=int(own_wh.sum()),
        local_wh=int(local_wh.sum()),
        grid_wh=int(grid_wh.sum()),
        co2_mg=(emitted_ug + _UG_PER_MG // 2) // _UG_PER_MG,
    )
