"""What a power flow says about the limits, in words an operator can act on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import Finding, Severity
from grid.interval import label
from grid.site import Network
from networks.model import Float, NetworkModel

TOLERANCE = 1e-9


def findings(dataset: xr.Dataset, model: NetworkModel, network: Network) -> list[Finding]:
    """Return broken limits and dead buses of a power flow, sorted.

    One finding for each bus and limit, line and transformer, labelled with its
    worst interval; one for each run of intervals in which the same buses are dead.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`networks.flow.solve.flow`.
    network : grid.site.Network
        The limits.
    """
    starts = dataset["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
    vm_pu = dataset["vm_pu"].to_numpy()
    found = _beyond(
        "network.voltage_high", vm_pu, network.voltage_max_pu, starts, model.bus_label, "pu"
    )
    found += _beyond(
        "network.voltage_low",
        vm_pu,
        network.voltage_min_pu,
        starts,
        model.bus_label,
        "pu",
        low=True,
    )
    for table in ("line", "trafo"):
        loading = dataset[f"{table}_loading_percent"].to_numpy()
        found += _beyond(
            f"network.{table}_loading",
            loading,
            network.loading_max_percent,
            starts,
            branch_namer(model, table),
            "%",
        )
    return sorted(found + _dead(dataset, model, starts, vm_pu))


def branch_namer(model: NetworkModel, table: str) -> Callable[[int], str]:
    """Return how rows of ``line`` or ``trafo`` are named: ``line 12 'LV2.101 Line 3'``."""
    branches = model.line if table == "line" else model.trafo

    def name(row: int) -> str:
        text = f"{table} {branches.index[row]}"
        return f"{text} {branches.name[row]!r}" if branches.name[row] else text

    return name


def _beyond(
    code: str,
    values: Float,
    limit: float,
    starts: npt.NDArray[np.int64],
    name: Callable[[int], str],
    unit: str,
    *,
    low: bool = False,
) -> list[Finding]:
    sign = -1.0 if low else 1.0
    excess = sign * (values - limit)
    broken = np.nan_to_num(excess, nan=-1.0) > TOLERANCE
    found = []
    for column in np.flatnonzero(broken.any(axis=0)):
        subject = name(int(column))
        worst = int(np.nanargmax(excess[:, column]))
        at = label(int(starts[worst]))
        count = int(broken[:, column].sum())
        digits = 4 if unit == "pu" else 1
        found.append(
            Finding(
                code,
                subject,
                at,
                Severity.ALARM,
                f"{subject} {at}: {values[worst, column]:.{digits}f} {unit} is "
                f"{'below' if low else 'above'} {limit:g} {unit} "
                f"({count} of {len(values)} intervals)",
            )
        )
    return found


def _dead(
    dataset: xr.Dataset, model: NetworkModel, starts: npt.NDArray[np.int64], vm_pu: Float
) -> list[Finding]:
    dead = np.isnan(vm_pu)
    unserved = dataset["unserved_kw"].to_numpy()
    found = []
    first = 0
    for step in range(1, len(starts) + 1):
        if step < len(starts) and (dead[step] == dead[first]).all():
            continue
        run = slice(first, step)
        if dead[first].any():
            at = label(int(starts[first]))
            found.append(
                Finding(
                    "network.dead_bus",
                    "network",
                    at,
                    Severity.ALARM,
                    f"{at}: {int(dead[first].sum())} of {len(model.bus)} buses are dead for "
                    f"{step - first} intervals, up to {unserved[run].max():.1f} kW not served: "
                    f"bus {_ranges(model.bus[dead[first]])}",
                )
            )
        first = step
    return found


def _ranges(buses: npt.NDArray[np.int64]) -> str:
    """Return sorted indices as ``0-4, 7, 9-11``."""
    ordered = np.sort(buses)
    breaks = np.flatnonzero(np.diff(ordered) != 1) + 1
    runs = np.split(ordered, breaks)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
