"""The one-line diagram: public network, transformer, busbar, then its feeders to the right."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.console.operator_network import NORMAL_95, column, loading_state, voltage_state
from grid.console.operator_tree import WIDTH, Edge, Tree, columns_of, rows_of, tree_of
from grid.site import Site

_TOP, _BOTTOM = 68.0, 34.0
_LABEL_STEP_PX, _LABEL_ROW_PX = 16.0, 44.0


@dataclass(frozen=True, slots=True)
class BusMark:
    """A bus: where it stands, its half height when it is a busbar, and how it is.

    `margin_pu` is half the 95 % interval of an estimated voltage.
    `label` is what tells its name from the others', `tags` the devices behind it,
    `extreme` ``highest`` or ``lowest`` when no other bus is more so, `estimated` whether a
    reading behind it was.
    """

    name: str
    label: str
    x: float
    y: float
    bar_px: float
    vm_pu: float | None
    margin_pu: float | None
    state: str
    points: str
    devices: str
    tags: tuple[str, ...]
    extreme: str
    estimated: bool


@dataclass(frozen=True, slots=True)
class BranchMark:
    """A line or transformer: its path, and where its sign or label stands."""

    name: str
    path: str
    x: float
    y: float
    loading_percent: float | None
    state: str
    transformer: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """What the page draws, in units of its view box."""

    buses: list[BusMark]
    branches: list[BranchMark]
    source: BusMark
    feeders: list[tuple[float, float, int]]
    width: float
    height: float
    labelled: bool
    known: bool


def _pairs(layout: xr.Dataset, kind: str) -> list[Edge]:
    if f"{kind}_from" not in layout:
        return []
    ends = (layout[f"{kind}_from"].values, layout[f"{kind}_to"].values)
    return [(int(a), int(b)) for a, b in zip(*ends, strict=True)]


def _names(layout: xr.Dataset, kind: str, count: int) -> list[str]:
    name = f"{kind}_name"
    if name in layout.variables and layout[name].dtype.kind == "U":
        return [str(one) for one in layout[name].values]
    return [f"{kind} {number}" for number in range(count)]


def _indices(layout: xr.Dataset, count: int) -> list[int]:
    """Return the bus index of each position: the coordinate ``bus``, else the position."""
    if "bus" in layout.coords and layout["bus"].dtype.kind in "iu":
        return [int(one) for one in layout["bus"].values]
    return list(range(count))


def bus_names(layout: xr.Dataset) -> dict[int, str]:
    """Return the names of buses by their index in the network."""
    count = layout.sizes["bus"]
    return dict(zip(_indices(layout, count), _names(layout, "bus", count), strict=True))


def _extremes(vm: np.ndarray, root: int) -> dict[int, str]:
    """Return the buses with the highest and the lowest voltage beside the held one."""
    free = vm.copy()
    if free.size > root:
        free[root] = np.nan
    if not np.isfinite(free).any() or np.nanmax(free) == np.nanmin(free):
        return {}
    return {int(np.nanargmin(free)): "lowest", int(np.nanargmax(free)): "highest"}


def _behind(site: Site) -> dict[int, tuple[str, str, tuple[str, ...]]]:
    """Return by bus index its usage points, its devices and the short signs of these."""
    bus_of = {point.id: point.bus for point in site.usage_point}
    points: dict[int, list[str]] = {}
    devices: dict[int, list[tuple[str, str]]] = {}
    for point in site.usage_point:
        points.setdefault(point.bus, []).append(point.id)
    for tag, assets in (
        ("PV", site.solar), ("W", site.wind), ("B", site.battery), ("G", site.genset),
    ):  # fmt: skip
        for asset in assets:
            devices.setdefault(bus_of[asset.usage_point], []).append((tag, asset.id))
    return {
        bus: (
            ", ".join(sorted(names)),
            ", ".join(name for _, name in devices.get(bus, [])),
            tuple(dict.fromkeys(tag for tag, _ in devices.get(bus, []))),
        )
        for bus, names in points.items()
    }


def _path(tree: Tree, a: int, b: int, x: dict[int, float], y: dict[int, float]) -> str:
    """Return a right-angled path from the bus above to the one below; a loop goes straight."""
    if tree.parent[a] == b:
        a, b = b, a
    if tree.parent[b] != a:
        return f"M{x[a]} {y[a]}L{x[b]} {y[b]}"
    return f"M{x[a]} {y[a]}V{y[b]}H{x[b]}"


def diagram(
    layout: xr.Dataset | None,
    state: xr.Dataset | None,
    site: Site,
    estimated: Collection[str] = (),
) -> Diagram | None:
    """Return the marks of the one-line diagram, or ``None`` without a layout.

    Parameters
    ----------
    layout : xarray.Dataset
        ``bus_name`` (bus), ``line_from``, ``line_to``, ``line_name`` (line) and, when there
        are transformers, ``trafo_from`` (upstream), ``trafo_to``, ``trafo_name`` (trafo), as
        positions of buses.
    state : xarray.Dataset
        ``vm_pu`` (bus), ``line_loading_percent`` (line), ``trafo_loading_percent`` (trafo).
    estimated : collection of str
        Usage points whose reading in the state is an estimate.
    """
    if layout is None or not layout.sizes.get("bus"):
        return None
    lines, trafos = _pairs(layout, "line"), _pairs(layout, "trafo")
    count = layout.sizes["bus"]
    tree = tree_of(count, lines, trafos)
    row, rows = rows_of(tree)
    x, step_px = columns_of(tree, trafos)
    row_px = min(84.0, max(18.0, 700.0 / max(rows, 1)))
    y = {bus: round(_TOP + row[bus] * row_px, 1) for bus in row}
    vm, deviation = column(state, "vm_pu"), column(state, "vm_sd_pu")
    extremes = _extremes(vm, tree.root)
    indices, behind = _indices(layout, count), _behind(site)
    names, estimated = _names(layout, "bus", count), frozenset(estimated)
    buses = []
    for n, name in enumerate(names):
        sd_pu = float(deviation[n]) if n < deviation.size else float("nan")
        # Nothing tells an unobservable voltage; that of a dead bus is known: there is none.
        vm_pu = float(vm[n]) if n < vm.size and sd_pu != float("inf") else None
        points, devices, tags = behind.get(indices[n], ("", "", ()))
        ends = [y[one] for one in tree.children[n]]
        bar_px = (max(ends) - min(ends)) / 2 + 16 if tree.is_busbar(n) else 0.0
        buses.append(
            BusMark(
                name=name,
                label=name.split()[-1] if name.strip() else str(indices[n]),
                x=x[n],
                y=y[n],
                bar_px=20.0 if n == tree.root and trafos else bar_px,
                vm_pu=vm_pu,
                margin_pu=NORMAL_95 * sd_pu if np.isfinite(sd_pu) else None,
                state=voltage_state(vm_pu, site.network),
                points=points,
                devices=devices,
                tags=tags,
                extreme=extremes.get(n, ""),
                estimated=not estimated.isdisjoint(points.split(", ")),
            )
        )
    branches = []
    for kind, pairs in (("trafo", trafos), ("line", lines)):
        loading = column(state, f"{kind}_loading_percent")
        titles = _names(layout, kind, len(pairs))
        for n, ((a, b), name) in enumerate(zip(pairs, titles, strict=True)):
            value = float(loading[n]) if n < loading.size else None
            branches.append(
                BranchMark(
                    name=name,
                    path=_path(tree, a, b, x, y),
                    x=(x[a] + x[b]) / 2,
                    y=max(y[a], y[b]) if kind == "line" else y[b],
                    loading_percent=value,
                    state=loading_state(value, site.network),
                    transformer=kind == "trafo",
                )
            )
    busbar = next((bus for bus in tree.order if tree.is_busbar(bus)), None)
    heads = [] if busbar is None else tree.children[busbar]
    return Diagram(
        buses=buses,
        branches=branches,
        source=buses[tree.root],
        feeders=[(x[busbar or 0], y[bus], n) for n, bus in enumerate(heads, start=1)],
        width=WIDTH,
        height=round(_TOP + max(rows - 1, 1) * row_px + _BOTTOM, 1),
        labelled=step_px >= _LABEL_STEP_PX and row_px >= _LABEL_ROW_PX,
        known=state is not None,
    )
