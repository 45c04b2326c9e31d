"""The network as the operator judges it: extremes, and what is near or past a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.site import Network
from networks.drawing.state import NORMAL_95, column


@dataclass(frozen=True, slots=True)
class Extremes:
    """The worst of the feeder: voltages in pu, loadings in percent, with their names."""

    vm_min_pu: float
    vm_max_pu: float
    line_loading_max_percent: float
    trafo_loading_max_percent: float
    dead_buses: int
    losses_kw: float | None
    low_ok: bool
    high_ok: bool
    line_ok: bool
    trafo_ok: bool


@dataclass(frozen=True, slots=True)
class Confidence:
    """How well an estimated state is known.

    `silent` of `points` usage points told nothing; `within_percent` of nominal is the 95 %
    interval of the bus that is known least, `bus` its index; `unobservable` counts buses of which
    nothing is known; `verdict` is that on the measurements.
    """

    silent: int
    points: int
    within_percent: float | None
    bus: int | None
    unobservable: int
    verdict: str


def confidence(state: xr.Dataset | None, points: int) -> Confidence | None:
    """Return how well a state is known, or ``None`` when it was not estimated."""
    if state is None or "vm_sd_pu" not in state:
        return None
    deviation = column(state, "vm_sd_pu")
    known = np.isfinite(deviation)
    worst = int(np.argmax(np.where(known, deviation, -1.0))) if known.any() else None
    return Confidence(
        silent=int(state["silent"]),
        points=points,
        within_percent=None if worst is None else 100.0 * NORMAL_95 * float(deviation[worst]),
        bus=None if worst is None else int(state["bus"].values[worst]),
        unobservable=int(np.isinf(deviation).sum()),
        verdict=str(state["verdict"].values),
    )


def _worst(values: npt.NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def extremes(state: xr.Dataset | None, limits: Network) -> Extremes | None:
    """Return the extremes of a network state, or ``None`` when there is none."""
    if state is None:
        return None
    vm = column(state, "vm_pu")
    line, trafo = column(state, "line_loading_percent"), column(state, "trafo_loading_percent")
    low, high = -_worst(-vm), _worst(vm)
    losses = column(state, "losses_kw")
    return Extremes(
        vm_min_pu=low,
        vm_max_pu=high,
        line_loading_max_percent=_worst(line),
        trafo_loading_max_percent=_worst(trafo),
        dead_buses=int((np.isnan(vm) & ~np.isinf(_deviation(state, vm))).sum()),
        losses_kw=float(losses[0]) if losses.size else None,
        low_ok=not low < limits.voltage_min_pu,
        high_ok=not high > limits.voltage_max_pu,
        line_ok=not _worst(line) > limits.loading_max_percent,
        trafo_ok=not _worst(trafo) > limits.loading_max_percent,
    )


def _deviation(state: xr.Dataset, vm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    deviation = column(state, "vm_sd_pu")
    return deviation if deviation.size else np.zeros(vm.size)
