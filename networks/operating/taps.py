"""Off-load taps: the fixed position that keeps the band best over a long series.

A position is a network of its own with factors of its own, solved once for the whole series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from grid.site import Network
from networks.flow.year import Instants, year
from networks.limits.findings import TOLERANCE
from networks.model import NetworkModel


@dataclass(frozen=True, slots=True)
class TapTrial:
    """A fixed tap position over a long series.

    Attributes
    ----------
    position : int
    violation_hours : float
        With any bus outside the band.
    vm_pu_lowest, vm_pu_highest : float
    margin_pu : float
        To the nearer edge of the band; below 0 outside it.
    losses_kwh : float
    """

    position: int
    violation_hours: float
    vm_pu_lowest: float
    vm_pu_highest: float
    margin_pu: float
    losses_kwh: float


@dataclass(frozen=True, slots=True)
class TapChoice:
    """The fixed position that keeps the band best, and all that were tried.

    Attributes
    ----------
    trafo, position, present : int
    trials : tuple of TapTrial
        By position.
    """

    trafo: int
    position: int
    present: int
    trials: tuple[TapTrial, ...]


def fixed_tap(model: NetworkModel, inputs: xr.Dataset, network: Network, trafo: int) -> TapChoice:
    """Return the fixed tap position that keeps the voltage band best over a long series.

    The fewest hours outside the band win, then the largest margin to its edges, then what moves
    least.

    Parameters
    ----------
    inputs : xarray.Dataset
        As :func:`networks.flow.year.year` takes them.
    network : grid.site.Network
        The band.

    Raises
    ------
    BadInputError
        When the transformer is not there or has one position only.
    SolverError
        When an interval has no solution at some position.
    """
    row = tapped_row(model, trafo)
    positions = range(
        int(model.equipment.tap_lowest[row]), int(model.equipment.tap_highest[row]) + 1
    )
    trials = tuple(_trial(model, inputs, network, trafo, position) for position in positions)
    present = int(model.switching.tap_position[row])

    def rank(one: TapTrial) -> tuple[float, float, int]:
        return one.violation_hours, -round(one.margin_pu, 9), abs(one.position - present)

    return TapChoice(trafo, min(trials, key=rank).position, present, trials)


def tapped_row(model: NetworkModel, trafo: int) -> int:
    """Return the row of a transformer that has a tap changer.

    Raises
    ------
    BadInputError
        When it is not there or has one position only.
    """
    found = np.flatnonzero(model.equipment.trafo.index == trafo)
    if not found.size:
        raise BadInputError(f"trafo {trafo} is not in the network {model.source}")
    row = int(found[0])
    low, high = int(model.equipment.tap_lowest[row]), int(model.equipment.tap_highest[row])
    if low == high:
        raise BadInputError(f"trafo {trafo}: has one tap position, {low}, must have 2 or more")
    return row


def _trial(
    model: NetworkModel, inputs: xr.Dataset, network: Network, trafo: int, position: int
) -> TapTrial:
    done = year(model.switched(taps={trafo: position}), inputs)
    low, high = done["vm_pu_lowest"].to_numpy(), done["vm_pu_highest"].to_numpy()
    hours = length_s(done["interval"].to_numpy()) / 3600.0
    outside = (low < network.voltage_min_pu - TOLERANCE) | (
        high > network.voltage_max_pu + TOLERANCE
    )
    lowest, highest = float(low.min()), float(high.max())
    return TapTrial(
        position=position,
        violation_hours=float(outside.sum()) * hours,
        vm_pu_lowest=lowest,
        vm_pu_highest=highest,
        margin_pu=min(lowest - network.voltage_min_pu, network.voltage_max_pu - highest),
        losses_kwh=float(done["losses_kw"].sum()) * hours,
    )


def length_s(starts: Instants) -> float:
    """Return the length of the intervals; an hour when there is one only."""
    if len(starts) < 2:
        return 3600.0
    return float(np.diff(starts[:2].astype("datetime64[s]")).astype(np.int64)[0])
