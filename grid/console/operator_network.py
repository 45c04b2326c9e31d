"""The one-line diagram of the feeder, from its stored layout and state."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.site import Network, Site

_WIDTH, _HEIGHT, _MARGIN = 1000.0, 560.0, 24.0


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
class BusMark:
    """A bus of the diagram: where it stands and how it is."""

    name: str
    x: float
    y: float
    vm_pu: float | None
    state: str
    has: str


@dataclass(frozen=True, slots=True)
class LineMark:
    """A line or transformer of the diagram."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float
    loading_percent: float | None
    state: str
    transformer: bool = False


def _worst(values: npt.NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def _column(state: xr.Dataset | None, name: str) -> npt.NDArray[np.float64]:
    if state is None or name not in state:
        return np.zeros(0)
    return np.asarray(state[name].values, np.float64).ravel()


def extremes(state: xr.Dataset | None, limits: Network) -> Extremes | None:
    """Return the extremes of a network state, or ``None`` when there is none."""
    if state is None:
        return None
    vm = _column(state, "vm_pu")
    line, trafo = _column(state, "line_loading_percent"), _column(state, "trafo_loading_percent")
    low, high = -_worst(-vm), _worst(vm)
    losses = _column(state, "losses_kw")
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


def _pairs(layout: xr.Dataset, kind: str) -> list[tuple[int, int]]:
    if f"{kind}_from" not in layout:
        return []
    ends = (layout[f"{kind}_from"].values, layout[f"{kind}_to"].values)
    return [(int(a), int(b)) for a, b in zip(*ends, strict=True)]


def _names(layout: xr.Dataset, kind: str, count: int) -> list[str]:
    for name in (f"{kind}_name", kind):
        if name in layout.variables and layout[name].dtype.kind == "U":
            return [str(one) for one in layout[name].values]
    return [f"{kind} {number}" for number in range(count)]


def _radial(count: int, edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of a tree from bus 0: depth to the right, leaves spread downwards."""
    near: dict[int, list[int]] = {bus: [] for bus in range(count)}
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    x, y = np.full(count, np.nan), np.full(count, np.nan)
    row = 0.0
    for root in range(count):
        if not np.isnan(x[root]):
            continue
        x[root], parent, order, queue = 0.0, {root: root}, [], deque([root])
        while queue:
            bus = queue.pop()
            order.append(bus)
            for other in near[bus]:
                if other not in parent:
                    parent[other], x[other] = bus, x[bus] + 1
                    queue.append(other)
        for bus in reversed(order):
            under = [y[b] for b in near[bus] if parent[b] == bus and b != bus]
            if under:
                y[bus] = float(np.mean(under))
            else:
                y[bus], row = row, row + 1
    return x, y


def _fit(values: np.ndarray, size: float) -> np.ndarray:
    low, span = values.min(), float(np.ptp(values))
    scaled = (values - low) / span if span else np.full(values.shape, 0.5)
    return _MARGIN + scaled * (size - 2 * _MARGIN)


def diagram(layout: xr.Dataset | None, state: xr.Dataset | None, site: Site) -> Any:
    """Return the marks of the one-line diagram.

    Parameters
    ----------
    layout : xarray.Dataset
        ``x``, ``y``, ``bus_name`` (bus), ``line_from``, ``line_to``, ``line_name`` (line) and,
        when given, ``trafo_from``, ``trafo_to``, ``trafo_name`` (trafo), as positions of buses.
    state : xarray.Dataset
        ``vm_pu`` (bus), ``line_loading_percent`` (line), ``trafo_loading_percent`` (trafo).
    """
    if layout is None or "x" not in layout:
        return None
    lines, trafos = _pairs(layout, "line"), _pairs(layout, "trafo")
    x, y = (np.asarray(layout[name].values, np.float64) for name in ("x", "y"))
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or not np.ptp(x) + np.ptp(y):
        x, y = _radial(x.size, trafos + lines)
    else:
        y = -y
    x, y = _fit(x, _WIDTH), _fit(y, _HEIGHT)
    vm = _column(state, "vm_pu")
    indices = _indices(layout, x.size)
    buses = [
        BusMark(
            name=name,
            x=round(float(x[n]), 1),
            y=round(float(y[n]), 1),
            vm_pu=float(vm[n]) if n < vm.size else None,
            state=_voltage_state(float(vm[n]) if n < vm.size else None, site.network),
            has=_behind(site, indices[n]),
        )
        for n, name in enumerate(_names(layout, "bus", x.size))
    ]
    marks: list[LineMark] = []
    for kind, pairs in (("trafo", trafos), ("line", lines)):
        loading = _column(state, f"{kind}_loading_percent")
        for n, ((a, b), name) in enumerate(
            zip(pairs, _names(layout, kind, len(pairs)), strict=True)
        ):
            value = float(loading[n]) if n < loading.size else None
            marks.append(
                LineMark(
                    name,
                    buses[a].x,
                    buses[a].y,
                    buses[b].x,
                    buses[b].y,
                    value,
                    _loading_state(value, site.network),
                    kind == "trafo",
                )
            )
    return {"buses": buses, "lines": marks, "width": _WIDTH, "height": _HEIGHT}


def _indices(layout: xr.Dataset, count: int) -> list[int]:
    """Return the bus index of each position: the coordinate ``bus``, else the position."""
    if "bus" in layout.coords and layout["bus"].dtype.kind in "iu":
        return [int(one) for one in layout["bus"].values]
    return list(range(count))


def _behind(site: Site, bus: int) -> str:
    points = {point.id for point in site.usage_point if point.bus == bus}
    assets = [asset.id for asset in site.assets if getattr(asset, "usage_point", None) in points]
    return ", ".join([*sorted(points), *assets])


def _voltage_state(vm_pu: float | None, limits: Network) -> str:
    if vm_pu is None:
        return "unknown"
    if vm_pu != vm_pu:
        return "dead"
    if vm_pu < limits.voltage_min_pu:
        return "low"
    return "high" if vm_pu > limits.voltage_max_pu else "normal"


def _loading_state(loading_percent: float | None, limits: Network) -> str:
    if loading_percent is None or loading_percent != loading_percent:
        return "unknown"
    return "over" if loading_percent > limits.loading_max_percent else "normal"
