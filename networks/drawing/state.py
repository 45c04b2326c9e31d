"""How voltages and loadings stand to the limits, as the classes of a picture name it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from grid.site import Network
from networks.equipment import Float

NEAR_PU = 0.005
"""A voltage within this of its limit is shown as near it."""

NEAR_SHARE = 0.8
"""A loading above this share of its limit is shown as near it."""

NORMAL_95 = 1.959964
"""Standard deviations within which a normal variable lies 95 % of the time."""

SIGNS = {"low": "▼", "high": "▲", "near-low": "▽", "near-high": "△", "dead": "✕"}
"""What tells a state beside its colour."""


def voltage_state(vm_pu: float | None, limits: Network) -> str:
    """Return ``unknown``, ``dead``, ``low``, ``near-low``, ``normal``, ``near-high``, ``high``."""
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
    """Return ``unknown``, ``normal``, ``near`` or ``over``."""
    if loading_percent is None or loading_percent != loading_percent:
        return "unknown"
    if loading_percent > limits.loading_max_percent:
        return "over"
    return "near" if loading_percent > NEAR_SHARE * limits.loading_max_percent else "normal"


def ranges(limits: Network) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the states of voltages and of loadings with their ranges, for a legend."""
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


@dataclass(frozen=True, slots=True)
class Values:
    """What is known of each bus and branch; None where nothing is.

    Attributes
    ----------
    vm_pu : tuple (bus,)
        NaN where dead; None where nothing tells it.
    margin_pu : tuple (bus,)
        Half the 95 % interval of an estimated voltage.
    loading_percent : dict of kind to tuple (branch,)
    absorbed_kw : tuple (bus,)
    """

    vm_pu: tuple[float | None, ...]
    margin_pu: tuple[float | None, ...]
    loading_percent: dict[str, tuple[float | None, ...]]
    absorbed_kw: tuple[float | None, ...]

    def extremes(self, held: frozenset[int]) -> dict[int, str]:
        """Return ``lowest`` and ``highest`` of the buses whose voltage no source holds."""
        free = [
            (vm, bus)
            for bus, vm in enumerate(self.vm_pu)
            if vm is not None and vm == vm and bus not in held
        ]
        if not free or min(free)[0] == max(free)[0]:
            return {}
        low = min(free)
        high = max(free, key=lambda one: (one[0], -one[1]))
        return {low[1]: "lowest", high[1]: "highest"}


def column(state: xr.Dataset | None, name: str) -> Float:
    """Return a column of a network state of one interval, empty when it is not there."""
    if state is None or name not in state:
        return np.zeros(0)
    return np.asarray(state[name].values, np.float64).ravel()


def values(state: xr.Dataset | None, buses: int, branches: dict[str, int]) -> Values:
    """Return what a state of one interval says, as :func:`networks.flow.solve.flow` names it.

    An estimate has `vm_sd_pu` beside `vm_pu`, infinite where nothing tells a voltage.

    Raises
    ------
    BadInputError
        When a column has not one value for each bus or branch.
    """

    def told(name: str, count: int) -> tuple[float | None, ...]:
        found = column(state, name)
        if not found.size:
            return (None,) * count
        if found.size != count:
            raise BadInputError(f"{name} has {found.size} values, must be {count}: one interval")
        return tuple(found.tolist())

    deviation = told("vm_sd_pu", buses)
    return Values(
        # Nothing tells an unobservable voltage; that of a dead bus is known: there is none.
        vm_pu=tuple(
            None if sd == math.inf else vm
            for vm, sd in zip(told("vm_pu", buses), deviation, strict=True)
        ),
        margin_pu=tuple(
            NORMAL_95 * sd if sd is not None and math.isfinite(sd) else None for sd in deviation
        ),
        loading_percent={
            kind: told(f"{kind}_loading_percent", count) for kind, count in branches.items()
        },
        absorbed_kw=told("absorbed_kw", buses),
    )
