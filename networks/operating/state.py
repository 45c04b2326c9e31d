"""What is drawn from a network, the state that follows, and what an operator asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from networks.flow.solve import flow
from networks.injection import INPUTS
from networks.limits.findings import branch_namer
from networks.model import Float, NetworkModel

Customers = Mapping[int, Sequence[str]]
"""Names of who is connected at a bus."""


@dataclass(frozen=True, eq=False)
class Injections:
    """What is absorbed and injected at each bus, in one interval or in several.

    Attributes
    ----------
    inputs : four float64 (interval, bus)
        In the order of :data:`networks.injection.INPUTS`.
    starts : datetime64[s] (interval,)
    voltage_share : float64 (bus, 4), optional
        See :func:`networks.flow.solve.flow`.
    """

    inputs: tuple[Float, Float, Float, Float]
    starts: npt.NDArray[np.datetime64]
    voltage_share: Float | None = None

    @property
    def absorbed_kw(self) -> Float:
        """The load of each bus in the interval in which it is highest, (bus,)."""
        highest: Float = self.inputs[0].max(axis=0)
        return highest

    @property
    def injected_kw(self) -> Float:
        """The plants of each bus in the interval in which they are highest, (bus,)."""
        highest: Float = self.inputs[1].max(axis=0)
        return highest


@dataclass(frozen=True, slots=True)
class Supply:
    """A bus with load.

    Attributes
    ----------
    bus : int
    name : str
        As :meth:`networks.model.NetworkModel.bus_label` has it.
    kw : float
        Its load.
    customers : tuple of str
    """

    bus: int
    name: str
    kw: float
    customers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extreme:
    """The lowest or highest of something, and where."""

    value: float
    subject: str


def nominal(model: NetworkModel, factor: float = 1.0) -> Injections:
    """Return the source network's own rated loads and plants, loads times `factor`."""
    equipment = model.equipment
    return Injections(
        (
            equipment.nominal_absorbed_kw[None] * factor,
            equipment.nominal_injected_kw[None],
            equipment.nominal_absorbed_kvar[None] * factor,
            equipment.nominal_injected_kvar[None],
        ),
        np.zeros(1, dtype="datetime64[s]"),
        equipment.voltage_share,
    )


def injections(model: NetworkModel, series: xr.Dataset) -> Injections:
    """Return what a series says, as :func:`networks.flow.year.year_inputs` gives it.

    Parameters
    ----------
    series : xarray.Dataset
        The four inputs of a power flow by name, (interval, bus); buses that are not there have no
        load.
    """
    whole = series.reindex(bus=model.bus, fill_value=0.0)
    a, b, c, d = (whole[name].to_numpy().astype(np.float64) for name in INPUTS)
    return Injections((a, b, c, d), whole["interval"].to_numpy().astype("datetime64[s]"))


def solved(model: NetworkModel, drawn: Injections) -> xr.Dataset:
    """Return the power flow, by :func:`networks.flow.solve.flow`.

    Raises
    ------
    BadInputError, SolverError
        See there.
    """
    return flow(
        model,
        *drawn.inputs,
        starts=drawn.starts,
        grid_available=np.ones(len(drawn.starts), dtype=np.bool_),
        forming_bus=None,
        voltage_share=drawn.voltage_share,
    )


def unserved(
    model: NetworkModel, drawn: Injections, customers: Customers | None = None
) -> tuple[Supply, ...]:
    """Return the buses with load that no source reaches, the largest first."""
    return supplies(model, drawn.absorbed_kw, model.node < 0, customers)


def supplies(
    model: NetworkModel,
    absorbed_kw: Float,
    chosen: npt.NDArray[np.bool_],
    customers: Customers | None = None,
) -> tuple[Supply, ...]:
    """Return the chosen buses that have load or customers, the largest first."""
    known = customers or {}
    found = [
        Supply(
            bus=int(model.bus[row]),
            name=model.bus_label(int(row)),
            kw=float(absorbed_kw[row]),
            customers=tuple(known.get(int(model.bus[row]), ())),
        )
        for row in np.flatnonzero(chosen)
        if absorbed_kw[row] > 0.0 or known.get(int(model.bus[row]))
    ]
    return tuple(sorted(found, key=lambda one: (-one.kw, one.bus)))


def voltage_extremes(
    model: NetworkModel, state: xr.Dataset
) -> tuple[Extreme | None, Extreme | None]:
    """Return the lowest and highest voltage per unit; None where nothing is alive."""
    alive = np.flatnonzero(model.node >= 0)
    if not alive.size:
        return None, None
    vm_pu = state["vm_pu"].to_numpy()[:, alive]
    low, high = vm_pu.min(axis=0), vm_pu.max(axis=0)
    at_low, at_high = int(low.argmin()), int(high.argmax())
    return (
        Extreme(float(low[at_low]), model.bus_label(int(alive[at_low]))),
        Extreme(float(high[at_high]), model.bus_label(int(alive[at_high]))),
    )


def most_loaded(model: NetworkModel, state: xr.Dataset) -> Extreme | None:
    """Return the highest loading of a line or transformer in percent; None without any."""
    found: Extreme | None = None
    for table in ("line", "trafo"):
        loading = state[f"{table}_loading_percent"].to_numpy().max(axis=0, initial=0.0)
        if loading.size and (found is None or loading.max() > found.value):
            row = int(loading.argmax())
            found = Extreme(float(loading[row]), branch_namer(model, table)(row))
    return found
