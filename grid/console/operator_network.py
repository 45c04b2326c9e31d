"""The network as the operator judges it: extremes, and what is near or past a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.site import Network

NEAR_PU = 0.005
"""A voltage within this of its limit is shown as near it."""

NEAR_SHARE = 0.8
"""A loading above this share of its limit is shown as near it."""


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


def _worst(values: npt.NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def column(state: xr.Dataset | None, name: str) -> npt.NDArray[np.float64]:
    """Return a column of a network state, empty when it is not there."""
    if state is None or name not in state:
        return np.zeros(0)
    return np.asarray(state[name].values, np.float64).ravel()


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
        dead_buses=int(np.isnan(vm).sum()),
        losses_kw=float(losses[0]) if losses.size else None,
        low_ok=not low < limits.voltage_min_pu,
        high_ok=not high > limits.voltage_max_pu,
        line_ok=not _worst(line) > limits.loading_max_percent,
        trafo_ok=not _worst(trafo) > limits.loading_max_percent,
    )


def voltage_state(vm_pu: float | None, limits: Network) -> str:
    """Return how a voltage stands to its limits, as the diagram's classes name it."""
    if vm_pu is None:
        return "unknown"
    if vm_pu != vm_pu:
        return "dead"
    if vm_pu < limits.voltage_min_pu:
        return "low"
    if vm_pu > limits.voltage_max_pu:
        return "high"
    if vm_pu < limits.voltage_min_pu + NEAR_PU:
        return "near-low"
    return "near-high" if vm_pu > limits.voltage_max_pu - NEAR_PU else "normal"


def loading_state(loading_percent: float | None, limits: Network) -> str:
    """Return how a loading stands to its limit, as the diagram's classes name it."""
    if loading_percent is None or loading_percent != loading_percent:
        return "unknown"
    if loading_percent > limits.loading_max_percent:
        return "over"
    return "near" if loading_percent > NEAR_SHARE * limits.loading_max_percent else "normal"


def legend(limits: Network) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the classes of voltages and of loadings with their ranges."""
    low, high, full = limits.voltage_min_pu, limits.voltage_max_pu, limits.loading_max_percent
    voltages = [
        ("low", f"< {low:.3f}"),
        ("near-low", f"{low:.3f}–{low + NEAR_PU:.3f}"),
        ("normal", f"{low + NEAR_PU:.3f}–{high - NEAR_PU:.3f}"),
        ("near-high", f"{high - NEAR_PU:.3f}–{high:.3f}"),
        ("high", f"> {high:.3f}"),
    ]
    loadings = [
        ("normal", f"≤ {NEAR_SHARE * full:.0f}"),
        ("near", f"{NEAR_SHARE * full:.0f}–{full:.0f}"),
        ("over", f"> {full:.0f}"),
    ]
    return voltages, loadings
