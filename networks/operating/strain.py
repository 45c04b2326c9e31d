"""How hard a state strains a network: only what limits are held against, and which are broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.site import Network
from networks.flow.operator import iterate, operator
from networks.flow.sensitivity import node_voltage
from networks.flow.solve import branch_state, injected
from networks.limits.findings import TOLERANCE, branch_namer
from networks.model import Complex, Float, NetworkModel
from networks.operating.state import Injections, solved


@dataclass(frozen=True, eq=False)
class Strain:
    """What limits are held against.

    Attributes
    ----------
    vm_pu : float64 (interval, bus)
        NaN where dead.
    line_percent, trafo_percent : float64 (interval, branch)
        Loading.
    """

    vm_pu: Float
    line_percent: Float
    trafo_percent: Float


@dataclass(frozen=True, slots=True)
class Broken:
    """A limit that a state breaks.

    Attributes
    ----------
    kind : str
        ``voltage_low``, ``voltage_high`` (per unit), ``line`` or ``trafo`` (percent of loading).
    subject : str
    value, limit : float
        The value of the worst interval.
    excess : float
        Beyond the limit: of a loading as a share of its limit, of a voltage as a share of half the
        band.
    """

    kind: str
    subject: str
    value: float
    limit: float
    excess: float

    def __str__(self) -> str:
        if self.kind.startswith("voltage"):
            side = "below" if self.kind == "voltage_low" else "above"
            return f"{self.subject} {self.value:.4f} pu, {side} {self.limit:g}"
        return f"{self.subject} loaded {self.value:.0f} %, above {self.limit:g} %"


def broken(model: NetworkModel, state: xr.Dataset | Strain, network: Network) -> tuple[Broken, ...]:
    """Return the limits that a state breaks in any interval, the worst first."""
    strain = state if isinstance(state, Strain) else _strain(state)
    half_band_pu = (network.voltage_max_pu - network.voltage_min_pu) / 2.0
    alive = np.flatnonzero(model.node >= 0)
    found = []
    for kind, sign, limit in (
        ("voltage_low", -1.0, network.voltage_min_pu),
        ("voltage_high", 1.0, network.voltage_max_pu),
    ):
        excess = sign * (strain.vm_pu[:, alive] - limit)
        worst = excess.max(axis=0, initial=-np.inf)
        for column in np.flatnonzero(worst > TOLERANCE):
            size = float(worst[column])
            name = model.bus_label(int(alive[column]))
            found.append(Broken(kind, name, limit + sign * size, limit, size / half_band_pu))
    limit = network.loading_max_percent
    for table, percent in (("line", strain.line_percent), ("trafo", strain.trafo_percent)):
        loading = percent.max(axis=0, initial=0.0)
        name_of = branch_namer(model, table)
        for row in np.flatnonzero(loading - limit > TOLERANCE):
            value = float(loading[row])
            found.append(Broken(table, name_of(int(row)), value, limit, value / limit - 1.0))
    return tuple(sorted(found, key=lambda one: (-one.excess, one.kind, one.subject)))


def _strain(state: xr.Dataset) -> Strain:
    return Strain(
        state["vm_pu"].to_numpy(),
        state["line_loading_percent"].to_numpy(),
        state["trafo_loading_percent"].to_numpy(),
    )


def strain(model: NetworkModel, drawn: Injections) -> Strain:
    """Return of a power flow what limits are held against: :func:`solved` without the rest.

    Raises
    ------
    SolverError
        When an interval has no solution.
    """
    voltage = node_voltages(model, drawn)
    vm_pu = np.full(drawn.inputs[0].shape, np.nan)
    alive = model.node >= 0
    vm_pu[:, alive] = np.abs(voltage)[model.node[alive]].T
    percent = []
    for branches in (model.line, model.trafo):
        loading = np.zeros((len(vm_pu), len(branches)))
        on = np.flatnonzero(branches.from_node >= 0)
        loading[:, on] = branch_state(model, branches, on, voltage)[0].T
        percent.append(loading)
    return Strain(vm_pu, *percent)


def node_voltages(model: NetworkModel, drawn: Injections) -> Complex:
    """Return the node voltages of a power flow, (node, interval).

    Raises
    ------
    SolverError
        When an interval has no solution.
    """
    power, dependent = injected(model, drawn.inputs, drawn.voltage_share)
    voltage, _, converged = iterate(operator(model), power, dependent)
    if converged.all():
        return voltage
    # Where the iteration does not contract, Newton's method decides.
    return node_voltage(model, solved(model, drawn))


def severity(limits: Sequence[Broken]) -> float:
    """Return the sum of the excesses: 0 where every limit is kept."""
    return sum(one.excess for one in limits)
