"""What an unbalanced power flow says about the limits, in words an operator can act on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from grid.errors import Finding, Severity
from grid.interval import label
from networks.model import Float
from networks.threephase.fortescue import PHASES
from networks.threephase.model import ThreePhaseModel

VOLTAGE_PU = (0.9, 1.1)
UNBALANCE_PERCENT = 2.0
"""EN 50160, 4.2.4: of 10-minute means, 95 % of a week."""
LOADING_PERCENT = 100.0


def findings(
    dataset: xr.Dataset,
    model: ThreePhaseModel,
    *,
    voltage_pu: tuple[float, float] = VOLTAGE_PU,
    unbalance_percent: float = UNBALANCE_PERCENT,
    loading_percent: float = LOADING_PERCENT,
) -> list[Finding]:
    """Return broken limits of a power flow, sorted: one for each element, phase and limit.

    Each is labelled with its worst interval. The current of a neutral is held
    against the rating of a phase, which a neutral of full section has too.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`networks.threephase.flow.flow`, with branches.
    voltage_pu : pair of float
        Lowest and highest voltage of a phase.
    """
    starts = dataset["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
    buses = [model.bus_label(position) for position in range(len(model.bus))]
    by_phase = [f"{bus} phase {phase}" for bus in buses for phase in PHASES]
    vm_pu = dataset["vm_pu"].to_numpy().reshape(len(starts), -1)
    low, high = voltage_pu
    found = _beyond("voltage_low", by_phase, starts, vm_pu, low, "pu", sign=-1.0)
    found += _beyond("voltage_high", by_phase, starts, vm_pu, high, "pu")
    unbalance = dataset["unbalance_percent"].to_numpy()
    found += _beyond("unbalance", buses, starts, unbalance, unbalance_percent, "%")
    for table in ("line", "trafo"):
        branches = getattr(model, table)
        names = [branch_label(model, table, row) for row in range(len(branches))]
        columns = [f"{name} phase {phase}" for name in names for phase in PHASES]
        loading = dataset[f"{table}_loading_percent"].to_numpy().reshape(len(starts), -1)
        found += _beyond(f"{table}_loading", columns, starts, loading, loading_percent, "%")
        rated_a = 1e3 * branches.rated_to_ka
        neutral = 100.0 * dataset[f"{table}_neutral_a"].to_numpy() / rated_a
        columns = [f"{name} neutral" for name in names]
        found += _beyond("neutral_loading", columns, starts, neutral, loading_percent, "%")
    return sorted(found)


def branch_label(model: ThreePhaseModel, table: str, row: int) -> str:
    """Return how a row of ``line`` or ``trafo`` is named: ``line 12 'LV2.101 Line 3'``."""
    branches = model.line if table == "line" else model.trafo
    text = f"{table} {branches.index[row]}"
    return f"{text} {branches.name[row]!r}" if branches.name[row] else text


def _beyond(
    kind: str,
    names: Sequence[str],
    starts: np.ndarray[tuple[int], np.dtype[np.int64]],
    values: Float,
    limit: float,
    unit: str,
    *,
    sign: float = 1.0,
) -> list[Finding]:
    excess = np.nan_to_num(sign * (values - limit), nan=-1.0)
    digits = 4 if unit == "pu" else 1
    found = []
    for column in np.flatnonzero((excess > 1e-9).any(axis=0)).tolist():
        worst = int(excess[:, column].argmax())
        at = label(int(starts[worst]))
        side = "below" if sign < 0 else "above"
        count = int((excess[:, column] > 1e-9).sum())
        found.append(
            Finding(
                f"network.{kind}",
                names[column],
                at,
                Severity.ALARM,
                f"{names[column]} {at}: {values[worst, column]:.{digits}f} {unit} is {side} "
                f"{limit:g} {unit} ({count} of {len(values)} intervals)",
            )
        )
    return found
