"""How voltages answer to power injected at chosen buses.

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
from networks.injection import INPUTS, node_power
from networks.model import Complex, Float, NetworkModel

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
    if not buses:
        raise BadInputError("a voltage sensitivity needs at least one chosen bus")
    chosen = connected(model, buses)
    alive = model.node >= 0
    if np.isnan(dataset["vm_pu"].to_numpy()[step, alive]).any():
        raise BadInputError(f"network {model.source}: buses are dead at step {step}")
    if not dataset["grid_available"].to_numpy()[step]:
        model = model.islanded(int(dataset.attrs["forming_bus"]))
        alive = model.node >= 0
    op = operator(model)
    voltage = node_voltage(model, dataset, [step])
    power = node_power(model, *(dataset[name].to_numpy()[[step]] for name in INPUTS))
    change = sensitivity(model, op, voltage, power, model.node[chosen])[:, :, 0]
    rising = (voltage.conj() * change).real / np.abs(voltage)
    result = np.full((len(model.bus), len(chosen)), np.nan)
    result[alive] = rising[model.node[alive]]
    return result


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
    """Return dv (node, controllable, interval) per kW injected, complex per unit."""
    count, columns = voltage.shape
    inverse = 1.0 / voltage[op.others].conj()
    drive = np.zeros((count, len(nodes), columns), dtype=np.complex128)
    drive[nodes, np.arange(len(nodes))] = 1e-3 / model.base_mva
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
