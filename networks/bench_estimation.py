"""Rows of the benchmark: state estimation beside power-grid-model on the same measurements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from networks.bench_batch import branches
from networks.estimation.problem import BY_INTERVAL, Accuracy, Problem, problem
from networks.estimation.solve import solve
from networks.estimation.trial import show, trial
from networks.model import Float
from networks.sources.source import load

SOURCE = "simbench:1-LV-semiurb4--0-sw"
SHARE = 0.2
DAYS = 20
ERROR_PU = 1e-6
_STIFF_VA = 1e20


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the row.

    Parameters
    ----------
    quick : bool
        One day.
    """
    days = 1 if quick else DAYS
    progress(f"networks: estimating {days * 96:,} steps of {SOURCE.partition(':')[2]}")
    tried = trial(load(SOURCE, source_voltage_pu=1.0))
    accuracy = Accuracy(floor_kw=0.001)
    shown = [show(tried, 60 + 15 * day, SHARE, 1, accuracy) for day in range(days)]
    # power-grid-model takes measurements as independent.
    parts = [
        problem(
            tried.model, one.measured,
            replace(one.expected, shared=one.expected.shared[:, :0]), accuracy,
        )
        for one in shown
    ]  # fmt: skip
    known = _joined(parts)
    found: list[Float] = []
    peer = _Peer(known) if find_spec("power_grid_model") else None
    rounds = 2 if quick else 3
    ours_ns, *theirs_ns = alternate(
        rounds,
        lambda _: found.append(np.abs(solve(known).voltage)),
        *([peer] if peer else []),
    )
    count = len(known.starts)
    gap_pu = float(np.abs(peer.u_pu.T - found[-1]).max()) if peer else 0.0
    yield Row(
        craft="networks",
        name="state estimation",
        work=f"{SOURCE.partition(':')[2]}, {SHARE:.0%} metered, {count:,} steps in one batch",
        unit="steps",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="power-grid-model",
        theirs=Timing(count, theirs_ns[0]) if peer else None,
        reach=faster(3),
        error=Error(gap_pu, "pu", ERROR_PU, "voltages of power-grid-model") if peer else None,
        note="Newton-Raphson" if peer else "power-grid-model is not installed",
    )


def _joined(parts: list[Problem]) -> Problem:
    """Return one problem of all intervals; each part has the same meters."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in parts]) for name in BY_INTERVAL
    }
    return replace(parts[0], **joined)


class _Peer:
    """The same measurements for power-grid-model, as one batch with every core.

    Attributes
    ----------
    u_pu : float64 (interval, node)
        After a call.
    """

    def __init__(self, known: Problem) -> None:
        from power_grid_model import MeasuredTerminalType, PowerGridModel, initialize_array

        self._known, model = known, known.model
        count, points = len(model.node_kv), len(known.node)
        node = initialize_array("input", "node", count)
        node["id"], node["u_rated"] = np.arange(count), model.node_kv * 1e3
        branch = np.concatenate(
            [branches(model, table, initialize_array) for table in (model.line, model.trafo)]
        )
        branch["id"] = count + np.arange(len(branch))
        first = count + len(branch)
        source = initialize_array("input", "source", 1)
        source["id"], source["node"], source["status"] = first, model.held_node[0], 1
        source["u_ref"], source["sk"] = 1.0, _STIFF_VA
        load = initialize_array("input", "sym_load", points)
        load["id"], load["node"] = first + 1 + np.arange(points), known.node
        load["status"], load["type"] = 1, 0
        load["p_specified"] = load["q_specified"] = 0.0
        voltages = len(known.vm_node)
        volt = initialize_array("input", "sym_voltage_sensor", voltages)
        volt["id"] = first + 1 + points + np.arange(voltages)
        volt["measured_object"] = known.vm_node
        power = initialize_array("input", "sym_power_sensor", points + 1)
        power["id"] = first + 1 + points + voltages + np.arange(points + 1)
        power["measured_object"] = np.append(load["id"], first)
        power["measured_terminal_type"] = MeasuredTerminalType.load
        power["measured_terminal_type"][-1] = MeasuredTerminalType.source
        self._update = self._measurements(volt["id"], power["id"], initialize_array)
        for name in ("u_measured", "u_sigma"):
            volt[name] = self._update["sym_voltage_sensor"][name][0]
        for name in ("p_measured", "q_measured", "p_sigma", "q_sigma"):
            power[name] = self._update["sym_power_sensor"][name][0]
        self._grid = PowerGridModel({
            "node": node, "generic_branch": branch, "source": source, "sym_load": load,
            "sym_voltage_sensor": volt, "sym_power_sensor": power,
        })  # fmt: skip
        self.u_pu: Float = np.empty((0, count))

    def _measurements(self, volts: Any, powers: Any, array: Any) -> dict[str, Any]:
        known, steps = self._known, len(self._known.starts)
        base_va, points = known.model.base_mva * 1e6, len(known.node)
        volt = array("update", "sym_voltage_sensor", (steps, len(volts)))
        volt["id"] = volts
        rated = known.model.node_kv[known.vm_node] * 1e3
        volt["u_measured"] = known.value[:, :-2] * rated
        volt["u_sigma"] = np.sqrt(known.spread[:, :-2]) * rated
        power = array("update", "sym_power_sensor", (steps, len(powers)))
        power["id"] = powers
        for row, name in enumerate(("p", "q")):
            part = slice(row * points, (row + 1) * points)
            # A load's power is what it takes.
            power[f"{name}_measured"][:, :-1] = -known.mean[:, part] * base_va
            power[f"{name}_sigma"][:, :-1] = np.sqrt(known.variance[:, part]) * base_va
            power[f"{name}_measured"][:, -1] = known.value[:, row - 2] * base_va
            power[f"{name}_sigma"][:, -1] = np.sqrt(known.spread[:, row - 2]) * base_va
        return {"sym_voltage_sensor": volt, "sym_power_sensor": power}

    def __call__(self, turn: int) -> None:
        from power_grid_model import ComponentType

        result: Any = self._grid.calculate_state_estimation(
            update_data=self._update,
            calculation_method="newton_raphson",
            error_tolerance=1e-8,
            threading=0,
            output_component_types={ComponentType.node: ["u_pu"]},
        )
        self.u_pu = result[ComponentType.node]["u_pu"]
