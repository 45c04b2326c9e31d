"""Where signs flip: pairs of non-negative columns outside, complex power inside.

Inside the package complex power is positive where it enters the network, in per
unit of the model's base. This is the only file that knows both conventions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.interval import label
from networks.model import Complex, Float, Int, NetworkModel

INPUTS = ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar")


def check_inputs(
    model: NetworkModel,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    absorbed_kvar: npt.ArrayLike,
    injected_kvar: npt.ArrayLike,
    starts: npt.NDArray[np.datetime64],
) -> tuple[Float, Float, Float, Float]:
    """Return the four inputs as float64 (interval, bus), checked.

    Raises
    ------
    BadInputError
        Naming the column, interval and bus that is not finite or below 0.
    """
    shape = (len(starts), len(model.bus))
    checked = []
    values = (absorbed_kw, injected_kw, absorbed_kvar, injected_kvar)
    for name, given in zip(INPUTS, values, strict=True):
        array = np.asarray(given, dtype=np.float64)
        if array.shape != shape:
            raise BadInputError(f"{name} has shape {array.shape}, must be (interval, bus) {shape}")
        # One pass over the array in the good case: a NaN fails the comparison too.
        if array.size and not (array.min() >= 0.0 and array.max() < np.inf):
            step, position = np.argwhere(~((array >= 0.0) & (array < np.inf)))[0]
            at = label(int(starts[step].astype("datetime64[s]").astype(np.int64)))
            raise BadInputError(
                f"{model.bus_label(int(position))} {at}: {name} is {array[step, position]}, "
                "must be finite and not below 0"
            )
        checked.append(array)
    return checked[0], checked[1], checked[2], checked[3]


def node_power(
    model: NetworkModel, absorbed_kw: Float, injected_kw: Float, absorbed_kvar: Float,
    injected_kvar: Float,
) -> Complex:  # fmt: skip
    """Return complex power into the network, per unit (node, interval); dead buses left out."""
    scale = 1e-3 / model.base_mva
    power = np.empty((len(model.bus), len(absorbed_kw)), dtype=np.complex128)
    power.real = (injected_kw - absorbed_kw).T * scale
    power.imag = (injected_kvar - absorbed_kvar).T * scale
    alive = model.node >= 0
    nodes: Int = model.node[alive]
    total = np.zeros((len(model.node_kv), power.shape[1]), dtype=np.complex128)
    if len(np.unique(nodes)) == len(nodes):
        total[nodes] = power[alive]
    else:
        np.add.at(total, nodes, power[alive])
    return total


def pair_kw(model: NetworkModel, power: Float) -> tuple[Float, Float]:
    """Return (positive part, negative part) in kW or kvar of per-unit power (interval,)."""
    scaled = power * (model.base_mva * 1e3)
    return np.maximum(scaled, 0.0), np.maximum(-scaled, 0.0)
