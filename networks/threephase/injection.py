"""Where signs flip in three phases: pairs of non-negative columns outside, power at ports inside.

Inside the package complex power is positive where it enters the network, in per
unit of the base of one phase. :mod:`networks.injection` is the same for one phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.interval import label
from networks.injection import INPUTS
from networks.model import Complex, Float, Int
from networks.threephase.fortescue import PAIRS, PHASES
from networks.threephase.model import ThreePhaseModel
from networks.threephase.operator import Ports


def check_inputs(
    model: ThreePhaseModel,
    given: Sequence[npt.ArrayLike],
    starts: npt.NDArray[np.datetime64],
    at: Int,
    *,
    between: bool = False,
) -> tuple[Float, ...]:
    """Return the four inputs as float64 (interval, at, 3), checked.

    Parameters
    ----------
    given : four float (interval, at, 3)
        In the order of :data:`networks.injection.INPUTS`.
    at : int64 (at,)
        Positions of the buses.
    between : bool
        Whether the last dimension is phase pairs, not phases.

    Raises
    ------
    BadInputError
        Naming the column, bus, phase and interval that is not finite or below 0.
    """
    if len(given) != len(INPUTS):
        raise BadInputError(f"a three-phase load has {len(given)} columns, must be {len(INPUTS)}")
    shape = (len(starts), len(at), 3)
    checked = []
    for name, values in zip(INPUTS, given, strict=True):
        array = np.asarray(values, dtype=np.float64)
        if array.shape != shape:
            dims = "(interval, bus, pair)" if between else "(interval, bus, phase)"
            raise BadInputError(f"{name} has shape {array.shape}, must be {dims} {shape}")
        # One pass over the array in the good case: a NaN fails the comparison too.
        if array.size and not (array.min() >= 0.0 and array.max() < np.inf):
            step, column, phase = np.argwhere(~((array >= 0.0) & (array < np.inf)))[0]
            when = label(int(starts[step].astype("datetime64[s]").astype(np.int64)))
            where = (PAIRS if between else PHASES)[phase]
            raise BadInputError(
                f"{model.bus_label(int(at[column]))} {when}: {name} of {where} is "
                f"{array[step, column, phase]}, must be finite and not below 0"
            )
        checked.append(array)
    return tuple(checked)


def port_power(
    model: ThreePhaseModel,
    at: Int,
    wye: Sequence[Float],
    delta: Sequence[Float] | None = None,
) -> tuple[Ports, Complex]:
    """Return the ports in use and the complex power into the network there.

    Several buses of one node are summed; dead buses, and phases that carry no
    power in any interval, are left out.

    Returns
    -------
    ports : Ports
    power : complex128 (port, interval)
        Per unit.
    """
    nodes: list[Int] = []
    kinds: list[Int] = []
    powers: list[Complex] = []
    alive = model.node[at] >= 0
    scale = 1e-3 / model.base_mva
    for first, given in ((0, wye), (3, delta)):
        if given is None:
            continue
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = given
        used = alive[:, None] & np.any([values.any(axis=0) for values in given], axis=0)
        column, phase = np.nonzero(used)
        power = np.empty((len(column), len(absorbed_kw)), dtype=np.complex128)
        power.real = (injected_kw[:, column, phase] - absorbed_kw[:, column, phase]).T * scale
        power.imag = (injected_kvar[:, column, phase] - absorbed_kvar[:, column, phase]).T * scale
        nodes.append(model.node[at][column])
        kinds.append(phase.astype(np.int64) + first)
        powers.append(power)
    code, row = np.unique(np.concatenate(nodes) * 6 + np.concatenate(kinds), return_inverse=True)
    given_power = np.concatenate(powers)
    if len(code) == len(row):
        total = given_power[np.argsort(row)]
    else:
        total = np.zeros((len(code), given_power.shape[1]), dtype=np.complex128)
        np.add.at(total, row, given_power)
    return Ports(code // 6, code % 6), total


def pair_kw(model: ThreePhaseModel, power: Float) -> tuple[Float, Float]:
    """Return (positive part, negative part) in kW or kvar of per-unit power."""
    scaled = power * (model.base_mva * 1e3)
    return np.maximum(scaled, 0.0), np.maximum(-scaled, 0.0)
