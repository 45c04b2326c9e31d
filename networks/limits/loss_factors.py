"""Marginal loss factors: how the losses of a network answer to power at each bus.

Losses are ``L = sum_i Re(v_i conj(i_i))`` over all nodes: what is injected, together with what
the sources give, and no bus takes. Its differential is ``dL = Re(c^H dv)`` with
``c = (Y + Y^H) v`` at the nodes that no source holds, and :mod:`networks.flow.adjoint` gives the
slope for every bus at once. It is exact at the operating point.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from networks.flow.adjoint import adjoint
from networks.flow.operator import operator
from networks.flow.sensitivity import node_voltage
from networks.flow.solve import CHUNK, regimes
from networks.flow.year import chunks
from networks.injection import INPUTS, node_power
from networks.model import Complex, Float, NetworkModel

NAMES = ("p_loss_factor", "q_loss_factor")
_UNITS = {"p_loss_factor": "kW/kW", "q_loss_factor": "kW/kvar", "scale": "1"}


def loss_factors(model: NetworkModel, dataset: xr.Dataset, *, scaled: bool = False) -> xr.Dataset:
    """Return the marginal loss factors of a power flow.

    A factor is positive where another kW injected at the bus adds to the losses, and negative
    where it saves some: power drawn there counts with the opposite sign. The sources make up
    the balance, so that at their own nodes all factors are 0.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`networks.flow.solve.flow`, of constant power.
    scaled : bool
        Return average factors instead: marginal ones times the `scale` of their interval, with
        which factors times powers (kW and kvar, injected less absorbed) recover all losses. It is
        about a half where losses go with the square of the currents, and more where much is lost
        without any load, as in a transformer's iron.

    Returns
    -------
    xarray.Dataset
        (interval, bus): `p_loss_factor`, kW of losses per kW injected, and `q_loss_factor`, kW
        per kvar; NaN where dead. With `scaled`, (interval,): `scale`, NaN with all factors of an
        interval in which the losses do not rise with the powers, as when hardly any flow.

    Raises
    ------
    SolverError
        Near voltage collapse, where the slopes do not converge.
    """
    count = dataset.sizes["interval"]
    factors = np.full((2, count, len(model.bus)), np.nan)
    available = dataset["grid_available"].to_numpy()
    inputs = [dataset[name].to_numpy() for name in INPUTS]
    for steps, part in regimes(model, available, dataset.attrs.get("forming_bus")):
        if part is None:
            continue
        alive = np.flatnonzero(part.node >= 0)
        for first in range(0, len(steps), CHUNK):
            some = steps[first : first + CHUNK]
            voltage = node_voltage(part, dataset, some.tolist())
            power = node_power(part, *(values[some] for values in inputs))
            slope = node_loss_factors(part, voltage, power)
            for whole, one in zip(factors, slope, strict=True):
                whole[np.ix_(some, alive)] = one[part.node[alive]].T
    return _dataset(model, dataset, factors, scaled=scaled)


def year_loss_factors(
    model: NetworkModel, inputs: xr.Dataset, *, scaled: bool = False
) -> Iterator[tuple[slice, xr.Dataset]]:
    """Yield (slice of intervals, loss factors) of a long series, with the grid there.

    Parameters
    ----------
    inputs : xarray.Dataset
        The four inputs of :func:`networks.flow.solve.flow` by name, for every bus.
    scaled : bool
        See :func:`loss_factors`.
    """
    for part, state in chunks(model, inputs):
        yield part, loss_factors(model, state, scaled=scaled)


def node_loss_factors(model: NetworkModel, voltage: Complex, power: Complex) -> Float:
    """Return dL/dP and dL/dQ at each node, (2, node, interval).

    Parameters
    ----------
    voltage, power : complex128 (node, interval)
        A state, per unit.
    """
    op = operator(model)
    both = np.asarray(model.ybus @ voltage) + np.asarray(model.ybus.conj().T @ voltage)
    _, slope = adjoint(op, voltage, power, both, source=model.source)
    return np.stack([slope.real, slope.imag])


def _dataset(
    model: NetworkModel, dataset: xr.Dataset, factors: Float, *, scaled: bool
) -> xr.Dataset:
    variables: dict[str, tuple[tuple[str, ...], Float]] = {}
    if scaled:
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = (
            dataset[name].to_numpy() for name in INPUTS
        )
        powers = np.stack([injected_kw - absorbed_kw, injected_kvar - absorbed_kvar])
        rising = np.nansum(factors * powers, axis=(0, 2))
        losses = dataset["losses_kw"].to_numpy()
        scale = np.full(len(losses), np.nan)
        np.divide(losses, rising, out=scale, where=rising > 0.0)
        factors = factors * scale[:, None]
        variables["scale"] = (("interval",), scale)
    for factor, values in zip(NAMES, factors, strict=True):
        variables[factor] = (("interval", "bus"), values)
    made = xr.Dataset(
        variables, {"interval": dataset["interval"], "bus": model.bus}, dict(dataset.attrs)
    )
    for name in variables:
        made[name].attrs["units"] = _UNITS[name]
    return made
