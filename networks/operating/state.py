"""What is drawn from a network, the state that follows, and what an operator asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.site import Network
from networks.flow.operator import VoltageDependent, iterate, operator
from networks.flow.solve import branch_state, flow
from networks.injection import INPUTS, node_power
from networks.limits.findings import TOLERANCE, branch_namer
from networks.model import Complex, Float, NetworkModel

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
    power, dependent = _injected(model, drawn)
    voltage, _, converged = iterate(operator(model), power, dependent)
    if not converged.all():
        return _strain(solved(model, drawn))
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


def _injected(model: NetworkModel, drawn: Injections) -> tuple[Complex, VoltageDependent | None]:
    if drawn.voltage_share is None or not drawn.voltage_share.any():
        return node_power(model, *drawn.inputs), None
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = drawn.inputs
    nothing = np.zeros_like(absorbed_kw)
    z_p, i_p, z_q, i_q = drawn.voltage_share.T
    power, current, impedance = (
        node_power(model, absorbed_kw * p, given_kw, absorbed_kvar * q, given_kvar)
        for p, q, given_kw, given_kvar in (
            (1 - z_p - i_p, 1 - z_q - i_q, injected_kw, injected_kvar),
            (i_p, i_q, nothing, nothing),
            (z_p, z_q, nothing, nothing),
        )
    )
    return power, VoltageDependent(current, impedance)


def severity(limits: Sequence[Broken]) -> float:
    """Return the sum of the excesses: 0 where every limit is kept."""
    return sum(one.excess for one in limits)
