"""A row of the benchmark: unbalanced power flow of the European LV feeder."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import numpy as np

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from grid.interval import starts
from networks.model import Float, Int
from networks.sources.source import read_net
from networks.threephase.compile import compile_net
from networks.threephase.flow import flow
from networks.threephase.model import ThreePhaseModel

SOURCE = "pandapower:ieee_european_lv_asymmetric"
STEPS, QUICK_STEPS = 1_440, 96
ERROR_PU = 1e-6
"""How far power-grid-model may be from us and still have done the same work."""

_SOURCE_PU = 1.05
_TOLERANCE_PU = 1e-8
_WINDINGS = {"Dyn": (2, 1), "YNyn": (1, 1)}


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the row, when it is measured.

    Parameters
    ----------
    quick : bool
        Few steps.
    """
    count = QUICK_STEPS if quick else STEPS
    rounds = 2 if quick else 3
    progress(f"networks: three-phase power flow of {count:,} steps")
    net, model = european()
    at, loads = _some_steps(model, count)
    when = starts(0, count, 60)
    vm_pu: list[Float] = []

    def ours(turn: int) -> None:
        state = flow(model, *loads, starts=when, at=at, branches=False)
        vm_pu[:] = [state["vm_pu"].to_numpy()]

    batch = Batch(net, at, loads) if find_spec("power_grid_model") is not None else None
    ours_ns, *batch_ns = alternate(rounds, ours, *([batch] if batch else []))
    gap_pu = float(np.abs(vm_pu[0] - batch.vm_pu).max()) if batch else 0.0
    yield Row(
        craft="networks",
        name="three-phase power flow, batched",
        work=f"{SOURCE.partition(':')[2]}, {len(model.bus)} buses, {count:,} steps",
        unit="steps",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="power-grid-model",
        theirs=Timing(count, batch_ns[0]) if batch else None,
        reach=faster(3),
        error=Error(gap_pu, "pu", ERROR_PU, "vm_pu of power-grid-model") if batch else None,
        note="voltages; iterative current" if batch else "power-grid-model is not installed",
    )


def european() -> tuple[Any, ThreePhaseModel]:
    """Return the European LV feeder and its model, behind its source impedance.

    The magnetising impedance in the zero sequence, which the feeder is shipped
    with as a single short-circuit impedance, is made as large as power-grid-model
    has it: infinite.
    """
    net = read_net(SOURCE)
    net.trafo["mag0_percent"] = 1e8
    model = compile_net(
        deepcopy(net),
        source=SOURCE,
        source_voltage_pu=_SOURCE_PU,
        base_dir=None,
        assume_zero_sequence=False,
    )
    return net, model.behind_impedance()


def _some_steps(model: ThreePhaseModel, count: int) -> tuple[Int, list[Float]]:
    """Return the customers' buses and inputs: 0 to 2 kW each, on the phase they are on."""
    used = np.flatnonzero(model.nominal_wye.any(axis=(0, 2)))
    phase = model.nominal_wye[0, used].argmax(axis=1)
    kw = np.random.default_rng(1).random((count, len(used))) * 2.0
    absorbed_kw = np.zeros((count, len(used), 3))
    absorbed_kw[:, np.arange(len(used)), phase] = kw
    nothing = np.zeros_like(absorbed_kw)
    return model.bus[used], [absorbed_kw, nothing, absorbed_kw / 3.0, nothing]


class Batch:
    """All steps as one batch of power-grid-model, with every core.

    Attributes
    ----------
    vm_pu : float64 (interval, bus, 3)
        After a call.
    """

    def __init__(self, net: Any, at: Int, loads: list[Float]) -> None:
        from power_grid_model import PowerGridModel, initialize_array

        where = {int(bus): position for position, bus in enumerate(net.bus.index)}
        count = len(net.bus)
        node = initialize_array("input", "node", count)
        node["id"], node["u_rated"] = np.arange(count), net.bus["vn_kv"] * 1e3
        line = _lines(net, where, count, initialize_array)
        trafo = _trafos(net, where, count + len(line), initialize_array)
        source = _sources(net, where, count + len(line) + len(trafo), initialize_array)
        first = count + len(line) + len(trafo) + len(source)
        load = initialize_array("input", "asym_load", len(at))
        load["id"] = first + np.arange(len(at))
        load["node"], load["status"], load["type"] = [where[int(bus)] for bus in at], 1, 0
        load["p_specified"] = load["q_specified"] = 0.0
        self._grid: Any = PowerGridModel(
            {"node": node, "line": line, "transformer": trafo, "source": source, "asym_load": load}
        )
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = loads
        update = initialize_array("update", "asym_load", (len(absorbed_kw), len(at)))
        update["id"] = load["id"]
        update["p_specified"] = (absorbed_kw - injected_kw) * 1e3
        update["q_specified"] = (absorbed_kvar - injected_kvar) * 1e3
        self._update = {"asym_load": update}
        self.vm_pu: Float = np.empty((0, count, 3))

    def __call__(self, turn: int) -> None:
        result = self._grid.calculate_power_flow(
            symmetric=False,
            update_data=self._update,
            calculation_method="iterative_current",
            error_tolerance=_TOLERANCE_PU,
            max_iterations=60,
            threading=0,
            output_component_types={"node": ["u_pu"]},
        )
        self.vm_pu = result["node"]["u_pu"]


def _lines(net: Any, where: dict[int, int], first: int, array: Any) -> Any:
    frame = net.line
    rows = array("input", "line", len(frame))
    rows["id"] = first + np.arange(len(frame))
    rows["from_node"] = [where[int(bus)] for bus in frame["from_bus"]]
    rows["to_node"] = [where[int(bus)] for bus in frame["to_bus"]]
    rows["from_status"] = rows["to_status"] = 1
    for sequence, suffix in (("1", ""), ("0", "0")):
        for name, unit, factor in (("r", "ohm", 1.0), ("x", "ohm", 1.0), ("c", "nf", 1e-9)):
            column = f"{name}{suffix}_{unit}_per_km"
            rows[f"{name}{sequence}"] = frame[column] * frame["length_km"] * factor
        rows[f"tan{sequence}"] = 0.0
    rows["i_n"] = frame["max_i_ka"] * 1e3
    return rows


def _trafos(net: Any, where: dict[int, int], first: int, array: Any) -> Any:
    frame = net.trafo
    rows = array("input", "transformer", len(frame))
    rows["id"] = first + np.arange(len(frame))
    rows["from_node"] = [where[int(bus)] for bus in frame["hv_bus"]]
    rows["to_node"] = [where[int(bus)] for bus in frame["lv_bus"]]
    rows["from_status"] = rows["to_status"] = 1
    rows["u1"], rows["u2"] = frame["vn_hv_kv"] * 1e3, frame["vn_lv_kv"] * 1e3
    rows["sn"], rows["uk"] = frame["sn_mva"] * 1e6, frame["vk_percent"] / 100.0
    rows["pk"] = frame["vkr_percent"] / 100.0 * frame["sn_mva"] * 1e6
    rows["i0"], rows["p0"] = frame["i0_percent"] / 100.0, frame["pfe_kw"] * 1e3
    windings = np.array([_WINDINGS[group] for group in frame["vector_group"]])
    rows["winding_from"], rows["winding_to"] = windings.T
    rows["clock"] = np.round(frame["shift_degree"] / 30.0) % 12
    rows["tap_side"], rows["tap_pos"], rows["tap_nom"] = 0, 0, 0
    rows["tap_min"], rows["tap_max"], rows["tap_size"] = 0, 0, 0.0
    return rows


def _sources(net: Any, where: dict[int, int], first: int, array: Any) -> Any:
    frame = net.ext_grid
    rows = array("input", "source", len(frame))
    rows["id"] = first + np.arange(len(frame))
    rows["node"] = [where[int(bus)] for bus in frame["bus"]]
    rows["status"], rows["u_ref"] = 1, frame["vm_pu"]
    # pandapower's source impedance carries the voltage factor c = 1.1 of IEC 60909.
    rows["sk"] = frame["s_sc_max_mva"] * 1e6 / 1.1
    rows["rx_ratio"] = frame["rx_max"]
    zero = (
        frame["x0x_max"] * np.sqrt(1 + frame["r0x0_max"] ** 2) / np.sqrt(1 + frame["rx_max"] ** 2)
    )
    rows["z01_ratio"] = zero
    return rows
