"""The one-line diagram: fed from the left, right-angled, each bus in its own place."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from grid.console.operator_diagram import Diagram, diagram
from grid.site import Site
from networks.sources.source import load


def _layout(lines: list[tuple[int, int]], trafos: list[tuple[int, int]], count: int) -> xr.Dataset:
    columns: dict[str, tuple[str, object]] = {
        "bus_name": ("bus", np.array([f"LV Bus {n}" for n in range(count)]))
    }
    for kind, pairs in (("line", lines), ("trafo", trafos)):
        ends = np.array(pairs, np.int64).reshape(-1, 2)
        columns[f"{kind}_from"], columns[f"{kind}_to"] = (kind, ends[:, 0]), (kind, ends[:, 1])
    return xr.Dataset(columns, coords={"bus": np.arange(count)})


def _drawn(layout: xr.Dataset, site: Site, vm: np.ndarray | None = None) -> Diagram:
    state = None if vm is None else xr.Dataset({"vm_pu": ("bus", vm)})
    drawn = diagram(layout, state, site)
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("seed", range(4))
def test_the_upstream_bus_is_leftmost_however_buses_are_numbered(site: Site, seed: int) -> None:
    """MV, transformer, busbar with three feeders, one of them branching."""
    new = np.random.default_rng(seed).permutation(10)
    edges = [(1, 2), (2, 3), (3, 4), (2, 5), (1, 6), (6, 7), (1, 8)]
    lines = [(int(new[b]), int(new[a])) for a, b in edges]
    drawn = _drawn(_layout(lines, [(int(new[0]), int(new[1]))], 10), site)
    x = [bus.x for bus in drawn.buses]
    assert x[new[0]] == min(x)
    assert drawn.source.name == f"LV Bus {new[0]}"
    (trafo,) = [branch for branch in drawn.branches if branch.transformer]
    assert x[new[0]] < trafo.x < x[new[1]]
    assert all(x[bus] > x[new[1]] for bus in new[2:9])
    assert drawn.buses[new[1]].bar_px > 0
    assert len(drawn.feeders) == 3


def test_a_real_feeder_of_97_buses_is_drawn_without_overlap(site: Site) -> None:
    model = load("simbench:1-LV-rural2--2-sw", source_voltage_pu=1.0)
    place = {int(bus): n for n, bus in enumerate(model.bus)}
    lines, trafos = (
        [(place[int(a)], place[int(b)]) for a, b in zip(table.from_bus, table.to_bus, strict=True)]
        for table in (model.line, model.trafo)
    )
    drawn = _drawn(_layout(lines, trafos, len(model.bus)), site)
    circles = [(bus.x, bus.y) for bus in drawn.buses if not bus.bar_px]
    near = [
        (a, b)
        for n, a in enumerate(circles)
        for b in circles[n + 1 :]
        if abs(a[0] - b[0]) < 16 and abs(a[1] - b[1]) < 30
    ]
    assert near == []
    assert drawn.labelled
    assert len(drawn.feeders) == 4
    assert all(re.fullmatch(r"M\S+ \S+V\S+H\S+", branch.path) for branch in drawn.branches)
    assert all(0 < bus.x < drawn.width and 0 < bus.y < drawn.height for bus in drawn.buses)


def test_loops_and_islands_are_drawn_too(site: Site) -> None:
    drawn = _drawn(_layout([(1, 2), (2, 3), (3, 1), (4, 5)], [(0, 1)], 6), site)
    assert len({(bus.x, bus.y) for bus in drawn.buses}) == 6
    assert len(drawn.branches) == 5


def test_voltages_are_judged_by_the_sites_limits(site: Site) -> None:
    low, high = site.network.voltage_min_pu, site.network.voltage_max_pu
    vm = np.array([1.0, low - 0.01, low + 0.001, 1.0, high - 0.001, high + 0.01, np.nan])
    drawn = _drawn(_layout([(n, n + 1) for n in range(6)], [], 7), site, vm)
    states = [bus.state for bus in drawn.buses]
    assert states == ["normal", "low", "near-low", "normal", "near-high", "high", "dead"]
    assert [bus.extreme for bus in drawn.buses].index("lowest") == 1
    assert [bus.extreme for bus in drawn.buses].index("highest") == 5


def test_before_the_first_state_the_feeder_stands_with_unknown_values(site: Site) -> None:
    drawn = _drawn(_layout([(0, 1)], [], 2), site)
    assert not drawn.known
    assert {bus.state for bus in drawn.buses} == {"unknown"}
    assert diagram(None, None, site) is None
