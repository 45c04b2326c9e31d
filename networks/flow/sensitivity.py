"""How voltages and loadings answer to power injected at chosen buses.

The derivative of ``v = w + Z conj(s / v)`` at the operating point solves
``dv = Z (conj(ds / v) - conj(s / v^2 dv))``, by the same operator and the same
kind of iteration as the power flow: all chosen buses and all intervals are one
batch. It is the exact Jacobian sensitivity, without a Jacobian.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, SolverError
from networks.flow.operator import Operator, operator
from networks.flow.solve import loading_scale
from networks.injection import INPUTS, node_power
from networks.model import Branches, Complex, Float, NetworkModel

_ACCURACY = 1e-9
_MAX_ITERATIONS = 60


def node_voltage(
    model: NetworkModel, dataset: xr.Dataset, steps: Sequence[int] | slice = slice(None)
) -> Complex:
    """Return node voltages (node, interval) from the bus voltages of a power flow."""
    magnitude = dataset["vm_pu"].to_numpy()[steps].T
    angle = np.radians(dataset["va_degree"].to_numpy()[steps].T)
    voltage = np.zeros((len(model.node_kv), magnitude.shape[1]), dtype=np.complex128)
    alive = model.node >= 0
    voltage[model.node[alive]] = (magnitude * np.exp(1j * angle))[alive]
    return voltage


def voltage_sensitivity(
    model: NetworkModel, dataset: xr.Dataset, buses: Sequence[int], step: int
) -> Float:
    """Return how voltages answer to power, (bus, chosen bus), per unit per kW injected.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`networks.flow.solve.flow`.
    buses : sequence of int
        The chosen buses, at least one, none cut off.
    step : int
        The interval whose state is the operating point.

    Raises
    ------
    BadInputError
        Naming a chosen bus that is cut off, or a step at which the feeder is not whole.
    """
    part, chosen, voltage, change = _answer(model, dataset, buses, step)
    rising = (voltage.conj() * change).real / np.abs(voltage)
    alive = part.node >= 0
    result = np.full((len(model.bus), len(chosen)), np.nan)
    result[alive] = rising[part.node[alive]]
    return result


def flow_sensitivity(
    model: NetworkModel, dataset: xr.Dataset, buses: Sequence[int], step: int, table: str = "line"
) -> Float:
    """Return how loadings answer to power, (branch, chosen bus), percent per kW injected.

    The loading is that of the more loaded end at the operating point, so that a branch whose
    current turns round has a slope to either side. A branch that carries no current at all has
    slope 0, one that is not connected NaN.

    Parameters
    ----------
    dataset, buses, step
        See :func:`voltage_sensitivity`.
    table : str
        ``line`` or ``trafo``.

    Raises
    ------
    BadInputError
        See :func:`voltage_sensitivity`; another table.
    """
    if table not in ("line", "trafo"):
        raise BadInputError(f"a flow sensitivity is of line or trafo, not of {table!r}")
    part, chosen, voltage, change = _answer(model, dataset, buses, step)
    branches: Branches = getattr(part, table)
    on = np.flatnonzero(branches.from_node >= 0)
    result = np.full((len(branches), len(chosen)), np.nan)
    result[on] = loading_slope(part, branches, on, voltage[:, 0], change)
    return result


def loading_slope(
    model: NetworkModel,
    branches: Branches,
    rows: npt.NDArray[np.intp],
    voltage: Complex,
    change: Complex,
) -> Float:
    """Return percent of loading per kW, (row, controllable), of the more loaded end of branches.

    Parameters
    ----------
    rows : int (row,)
        Branches that are on.
    voltage : complex128 (node,)
    change : complex128 (node, controllable)
        Of the voltages per kW, from :func:`sensitivity`.
    """
    f, t = branches.from_node[rows], branches.to_node[rows]
    yff, yft, ytf, ytt = (
        getattr(branches, name)[rows, None] for name in ("yff", "yft", "ytf", "ytt")
    )
    v, scales = voltage[:, None], loading_scale(model, branches, rows)
    ends = []
    for y_f, y_t, scale in ((yff, yft, scales[0][:, None]), (ytf, ytt, scales[1][:, None])):
        current = y_f * v[f] + y_t * v[t]
        moved = y_f * change[f] + y_t * change[t]
        size = np.abs(current)
        slope = (current.conj() * moved).real / np.maximum(size, 1e-12) * scale
        ends.append((size * scale, slope))
    (at_from, from_slope), (at_to, to_slope) = ends
    found: Float = np.where(at_from >= at_to, from_slope, to_slope)
    return found


def _answer(
    model: NetworkModel, dataset: xr.Dataset, buses: Sequence[int], step: int
) -> tuple[NetworkModel, list[int], Complex, Complex]:
    """Return the network, chosen positions, its voltages (node, 1) and dv (node, chosen bus)."""
    if not buses:
        raise BadInputError("a sensitivity needs at least one chosen bus")
    chosen = connected(model, buses)
    alive = model.node >= 0
    if np.isnan(dataset["vm_pu"].to_numpy()[step, alive]).any():
        raise BadInputError(f"network {model.source}: buses are dead at step {step}")
    if not dataset["grid_available"].to_numpy()[step]:
        model = model.islanded(int(dataset.attrs["forming_bus"]))
    voltage = node_voltage(model, dataset, [step])
    power = node_power(model, *(dataset[name].to_numpy()[[step]] for name in INPUTS))
    change = sensitivity(model, operator(model), voltage, power, model.node[chosen])
    return model, chosen, voltage, change[:, :, 0]


def connected(model: NetworkModel, buses: Sequence[int]) -> list[int]:
    """Return the positions of buses of which none is cut off."""
    chosen = [model.position(bus) for bus in buses]
    for position in chosen:
        if model.node[position] < 0:
            raise BadInputError(f"{model.bus_label(position)}: is cut off and cannot be controlled")
    return chosen


def sensitivity(
    model: NetworkModel,
    op: Operator,
    voltage: Complex,
    power: Complex,
    nodes: npt.NDArray[np.int64],
) -> Complex:
    """Return dv (node, controllable, interval) per kW injected, complex per unit.

    A controllable without a node (-1: dead in an island) changes nothing.
    """
    count, columns = voltage.shape
    inverse = 1.0 / voltage[op.others].conj()
    drive = np.zeros((count, len(nodes), columns), dtype=np.complex128)
    live = np.flatnonzero(nodes >= 0)
    drive[nodes[live], live] = 1e-3 / model.base_mva
    forcing = drive[op.others] * inverse[:, None, :]
    feedback = (power[op.others].conj() * inverse**2)[:, None, :]
    shape = forcing.shape
    change = np.zeros(shape, dtype=np.complex128)
    for _ in range(_MAX_ITERATIONS):
        current = forcing - feedback * change.conj()
        updated = op.solve(current.reshape(shape[0], -1)).reshape(shape)
        gap = float(np.max(np.abs(updated - change), initial=0.0))
        change = updated
        if gap <= _ACCURACY * float(np.max(np.abs(change), initial=1e-30)):
            full = np.zeros(drive.shape, dtype=np.complex128)
            full[op.others] = change
            return full
    raise SolverError(
        f"network {model.source}: sensitivities do not converge near voltage collapse"
    )
