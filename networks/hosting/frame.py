"""A network with its series and limits, as a search for hosting capacity sees them.

A limit that an interval breaks already counts as kept as long as the addition does not make it
worse: a line that is overloaded by its loads does not forbid the plant that relieves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import label
from networks.flow.kernel import arguments
from networks.flow.operator import Operator, iterate, operator
from networks.flow.solve import loading_scale
from networks.hosting.intervals import Additions, Intervals
from networks.hosting.limits import LOW_VOLTAGE_KV, HostingLimits
from networks.injection import INPUTS
from networks.limits.findings import branch_namer
from networks.model import Bool, Complex, Float, Int, NetworkModel

_OPEN = 1e6


@dataclass(frozen=True, eq=False)
class Frame:
    """A network with its series and limits, as the search sees them.

    A *row* is a node: first those whose voltage is not held, in the order of the factors.

    Attributes
    ----------
    model : NetworkModel
    limits : HostingLimits
    inputs : four float64 (interval, column)
        In the order of :data:`networks.injection.INPUTS`.
    positions : int64 (column,)
        Position of each column's bus.
    starts : datetime64[s] (interval,)
    profile : float64 (interval,)
    """

    model: NetworkModel
    limits: HostingLimits
    inputs: tuple[Float, ...]
    positions: Int
    starts: Any
    profile: Float

    @cached_property
    def op(self) -> Operator:
        """The network's operator."""
        return operator(self.model)

    @cached_property
    def solver(self) -> tuple[Any, ...]:
        """What compiled code needs to solve."""
        factors, _, idle, limits = arguments(self.op)
        return factors, idle, limits

    @property
    def held(self) -> Complex:
        """Voltages of the last rows."""
        return self.op.held_pu

    @cached_property
    def order(self) -> Int:
        """Node of each row."""
        return np.concatenate([self.op.others[self.op.factor.order], self.op.held])

    @cached_property
    def place(self) -> Int:
        """Row of each node."""
        place = np.empty(len(self.order), dtype=np.int64)
        place[self.order] = np.arange(len(self.order))
        return place

    @cached_property
    def branches(self) -> tuple[tuple[str, int], ...]:
        """Table and row of each live branch, lines first."""
        return tuple(
            (table, int(row))
            for table in ("line", "trafo")
            for row in np.flatnonzero(getattr(self.model, table).from_node >= 0)
        )

    @cached_property
    def rows(self) -> tuple[Any, ...]:
        """Ends, two-ports and scales (percent squared per unit squared) of the live branches."""
        f, t, y, scale = [], [], [], []
        for table in (self.model.line, self.model.trafo):
            on = np.flatnonzero(table.from_node >= 0)
            f.append(self.place[table.from_node[on]])
            t.append(self.place[table.to_node[on]])
            ports = [table.yff[on], table.yft[on], table.ytf[on], table.ytt[on]]
            y.append(np.stack(ports, axis=1))
            scale.append(np.stack(loading_scale(self.model, table, on), axis=1) ** 2)
        return np.concatenate(f), np.concatenate(t), np.concatenate(y), np.concatenate(scale)

    @cached_property
    def low_voltage(self) -> Bool:
        """Whether each row is of low voltage."""
        return np.asarray(self.model.node_kv[self.order] <= LOW_VOLTAGE_KV, dtype=np.bool_)

    def node_power(self, steps: Int, *, plants: bool = True) -> Complex:
        """Return what is there at some steps, per unit into each node (node, step)."""
        absorbed, injected, absorbed_q, injected_q = (values[steps] for values in self.inputs)
        active = (injected if plants else 0.0) - absorbed
        power = np.zeros((len(self.order), len(steps)), dtype=np.complex128)
        node = self.model.node[self.positions]
        live = node >= 0
        total = (active + 1j * (injected_q - absorbed_q)).T * (1e-3 / self.model.base_mva)
        np.add.at(power, node[live], total[live])
        return power

    def intervals(self, steps: Int) -> Intervals:
        """Return some steps of the series, with what is allowed in each.

        Raises
        ------
        SolverError
            Naming an interval that has no solution before anything is added.
        """
        power = self.node_power(steps)
        state = self._state(power, steps)
        vm_pu, limits = np.abs(state[self.order]), self.limits
        high = np.full(vm_pu.shape, limits.voltage_max_pu)
        by_rise = np.zeros(vm_pu.shape, dtype=np.bool_)
        if limits.rise_max_percent is not None:
            bare = np.abs(self._state(self.node_power(steps, plants=False), steps)[self.order])
            risen = np.where(
                self.low_voltage[:, None], bare * (1.0 + limits.rise_max_percent / 100.0), _OPEN
            )
            by_rise = risen < high
            high = np.minimum(high, risen)
        allowed = np.maximum(self.loading(state), limits.loading_max_percent)
        return Intervals(
            position=np.asarray(steps, dtype=np.int64),
            power=np.ascontiguousarray(power[self.order[: len(self.op.others)]]),
            profile=np.ascontiguousarray(self.profile[steps]),
            high=np.maximum(high, vm_pu) ** 2,
            low=np.minimum(limits.voltage_min_pu, vm_pu) ** 2,
            by_rise=by_rise,
            allowed=allowed**2,
            state=state,
        )

    def _state(self, power: Complex, steps: Int) -> Complex:
        voltage, _, converged = iterate(self.op, power)
        if not converged.all():
            at = self.starts[steps[int(np.argmin(converged))]]
            raise SolverError(
                f"network {self.model.source} {label(int(at.astype(np.int64)))}: no power flow "
                "solution before anything is added"
            )
        return voltage

    def currents(self, state: Complex) -> tuple[Complex, Complex]:
        """Return currents into the live branches at their ends, per unit (branch, step)."""
        f, t, y, _ = self.rows
        v_from, v_to = state[self.order][f], state[self.order][t]
        return (
            y[:, :1] * v_from + y[:, 1:2] * v_to,
            y[:, 2:3] * v_from + y[:, 3:] * v_to,
        )

    def loading(self, state: Complex) -> Float:
        """Return the loading of the live branches in percent (branch, step)."""
        scale = np.sqrt(self.rows[3])
        i_from, i_to = self.currents(state)
        loading: Float = np.maximum(np.abs(i_from) * scale[:, :1], np.abs(i_to) * scale[:, 1:])
        return loading

    def additions(self, shares: Sequence[dict[int, float]], per_kw: complex) -> Additions:
        """Return candidates that add at nodes; what is at a source changes nothing.

        Parameters
        ----------
        shares : sequence of dict
            For each candidate, what part of its size is at which node.
        per_kw : complex
            kW and kvar into the network for a kW of size.
        """
        others = len(self.op.others)
        start, row, value = [0], [], []
        for share in shares:
            for node, part in share.items():
                if self.place[node] < others:
                    row.append(self.place[node])
                    value.append(part * per_kw * 1e-3 / self.model.base_mva)
            start.append(len(row))
        return Additions(
            np.array(start, np.int64), np.array(row, np.int64), np.array(value, np.complex128)
        )

    def limit(self, broken: int, intervals: Intervals, step: int) -> tuple[str, str]:
        """Return (kind, words) of a limit from its number and the interval it is broken in."""
        nodes = len(self.order)
        if broken < 0:
            return "no_solution", "no power flow solution"
        if broken >= 2 * nodes:
            table, row = self.branches[broken - 2 * nodes]
            name = branch_namer(self.model, table)(row)
            return table, f"{name} loading {self.limits.loading_max_percent:g} %"
        bus = self.model.bus_label(self._bus_of(int(self.order[broken % nodes])))
        if broken >= nodes:
            return "voltage_low", f"{bus} voltage {self.limits.voltage_min_pu:g} pu"
        if intervals.by_rise[broken, step]:
            return "voltage_rise", f"{bus} voltage rise {self.limits.rise_max_percent:g} %"
        return "voltage_high", f"{bus} voltage {self.limits.voltage_max_pu:g} pu"

    def _bus_of(self, node: int) -> int:
        return int(np.flatnonzero(self.model.node == node)[0])


def frame_of(
    model: NetworkModel, inputs: xr.Dataset, limits: HostingLimits, profile: Float
) -> Frame:
    """Return what a search is told.

    Parameters
    ----------
    inputs : xarray.Dataset
        As :func:`networks.flow.year.year` takes them.
    profile : float64 (interval,)

    Raises
    ------
    BadInputError
        A profile that is not as long as the series or not within 0 to 1.
    """
    count = inputs.sizes["interval"]
    if profile.shape != (count,) or not ((profile >= 0.0) & (profile <= 1.0)).all():
        raise BadInputError(
            f"the profile of the addition must have {count} values within 0 to 1, one an interval"
        )
    if not (profile > 0.0).any():
        raise BadInputError("the profile of the addition is 0 in every interval")
    positions = [model.position(int(bus)) for bus in inputs["bus"].to_numpy()]
    return Frame(
        model=model,
        limits=limits,
        inputs=tuple(np.asarray(inputs[name].to_numpy(), dtype=np.float64) for name in INPUTS),
        positions=np.array(positions, dtype=np.int64),
        starts=inputs["interval"].to_numpy().astype("datetime64[s]"),
        profile=np.asarray(profile, dtype=np.float64),
    )
