"""Batched AC power flow: a feeder's state over many intervals at once.

While the public network is there its voltage is held at the feeder head. In an
outage the breaker above the feeder head opens: the head's bus and the
transformer stay in the island, energised from below, so the transformer's
no-load losses remain; the voltage is held at 1 pu by the forming source.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import label
from networks.flow.operator import Operator, VoltageDependent, iterate, operator
from networks.injection import INPUTS, check_inputs, node_power, pair_kw
from networks.model import Bool, Branches, Complex, Float, NetworkModel

CHUNK = 2_000

Columns = dict[str, npt.NDArray[np.generic]]

UNITS = {
    "kw": "kW",
    "kwh": "kWh",
    "kvar": "kvar",
    "pu": "1",
    "degree": "degree",
    "percent": "%",
    "mva": "MVA",
}


def flow(
    model: NetworkModel,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    absorbed_kvar: npt.ArrayLike,
    injected_kvar: npt.ArrayLike,
    *,
    starts: npt.NDArray[np.datetime64],
    grid_available: npt.ArrayLike,
    forming_bus: int | None,
    voltage_share: Float | None = None,
) -> xr.Dataset:
    """Solve the AC power flow of every interval.

    Parameters
    ----------
    model : NetworkModel
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar : float (interval, bus)
        Each >= 0, buses in the order of ``model.bus``.
    starts : datetime64[s] (interval,)
    grid_available : bool (interval,)
    forming_bus : int or None
        Bus of the source that holds the voltage in an outage. Without one every
        bus is dead in an outage.
    voltage_share : float64 (bus, 4), optional
        Of what is absorbed: the share that goes with the square of the voltage and with the
        voltage, of active and then of reactive power. Constant power when not given.

    Returns
    -------
    xarray.Dataset
        (interval, bus): the four inputs, `vm_pu`, `va_degree`, NaN where dead.
        (interval, line): `line_loading_percent`, `line_p_from_kw`,
        `line_p_to_kw`, into the line at its ends. (interval, trafo):
        `trafo_loading_percent`, `trafo_p_hv_kw`, `trafo_p_lv_kw`.
        (interval,): `grid_available`; `losses_kw`; `head_import_kw`, `head_export_kw`,
        `head_import_kvar`, `head_export_kvar` at the feeder head;
        `forming_injected_kw` and its three siblings, what the forming source
        gives or takes beyond what the inputs say of its bus; `unserved_kw`
        absorbed at dead buses; `iterations` (0 where nothing was alive) and
        `residual_mva`, the largest mismatch of a node. Attributes:
        `topology_hash` and, when given, `forming_bus`.

    Raises
    ------
    BadInputError
        A value that is not finite or below 0, naming its bus and interval; a
        forming bus that is not connected.
    SolverError
        Naming the first interval that has no solution.
    """
    starts = np.asarray(starts).astype("datetime64[s]")
    available = np.asarray(grid_available, dtype=np.bool_)
    if available.shape != starts.shape:
        raise BadInputError(f"grid_available has shape {available.shape}, must be {starts.shape}")
    inputs = check_inputs(model, absorbed_kw, injected_kw, absorbed_kvar, injected_kvar, starts)
    columns = empty_columns(model, len(starts))
    columns |= dict(zip(INPUTS, inputs, strict=True))
    for steps, part in regimes(model, available, forming_bus):
        if part is None:
            columns["unserved_kw"][steps] = inputs[0][steps].sum(axis=1)
            continue
        for first in range(0, len(steps), CHUNK):
            some = steps[first : first + CHUNK]
            chosen = tuple(values[some] for values in inputs)
            columns["unserved_kw"][some] = chosen[0][:, part.node < 0].sum(axis=1)
            power, dependent = injected(part, chosen, voltage_share)
            voltage, iterations = _solve(part, power, dependent, chosen, starts[some])
            columns["iterations"][some] = iterations
            write_state(part, columns, some, voltage)
            if dependent is not None:
                power = _at_voltage(power, dependent, voltage)
            write_balance(part, columns, some, voltage, power, operator(part))
    columns["grid_available"] = available
    return dataset(model, columns, starts, forming_bus)


def regimes(
    model: NetworkModel, available: Bool, forming_bus: int | None
) -> list[tuple[npt.NDArray[np.intp], NetworkModel | None]]:
    """Return (steps, network) with the public network and without it; None where all is dead.

    Raises
    ------
    BadInputError
        When a forming source is needed and cut off.
    """
    found: list[tuple[npt.NDArray[np.intp], NetworkModel | None]] = []
    with_grid, without = np.flatnonzero(available), np.flatnonzero(~available)
    if len(with_grid):
        found.append((with_grid, model))
    if len(without):
        found.append((without, None if forming_bus is None else model.islanded(forming_bus)))
    return found


def injected(
    model: NetworkModel, inputs: Sequence[Float], voltage_share: Float | None
) -> tuple[Complex, VoltageDependent | None]:
    """Return constant power into the nodes, and what beside it depends on voltage."""
    if voltage_share is None or not voltage_share.any():
        return node_power(model, *inputs), None
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = inputs
    nothing = np.zeros_like(absorbed_kw)
    z_p, i_p, z_q, i_q = voltage_share.T
    power = node_power(
        model,
        absorbed_kw * (1 - z_p - i_p), injected_kw, absorbed_kvar * (1 - z_q - i_q), injected_kvar,
    )  # fmt: skip
    parts = (
        node_power(model, absorbed_kw * p, nothing, absorbed_kvar * q, nothing)
        for p, q in ((i_p, i_q), (z_p, z_q))
    )
    return power, VoltageDependent(*parts)


def _at_voltage(power: Complex, dependent: VoltageDependent, voltage: Complex) -> Complex:
    size = np.abs(voltage)
    total: Complex = (
        power + dependent.constant_current * size + dependent.constant_impedance * size**2
    )
    return total


def _solve(
    model: NetworkModel,
    power: Complex,
    dependent: VoltageDependent | None,
    inputs: Sequence[Float],
    starts: npt.NDArray[np.datetime64],
) -> tuple[Complex, int]:
    voltage, iterations, converged = iterate(operator(model), power, dependent)
    if converged.all():
        return voltage, iterations
    from networks.flow.judge import newton_raphson

    for column in np.flatnonzero(~converged):
        solved = None
        if dependent is None:
            solved = newton_raphson(model, tuple(values[column] for values in inputs))
        if solved is None:
            at = label(int(starts[column].astype(np.int64)))
            load_kw = float(inputs[0][column].sum())
            raise SolverError(
                f"network {model.source} {at}: no power flow solution at {load_kw:.1f} kW absorbed"
            )
        voltage[:, column] = solved
    return voltage, iterations


def empty_columns(model: NetworkModel, count: int) -> Columns:
    """Return the columns of a result of `count` intervals in which every bus is dead."""
    columns: Columns = {}
    for name in ("vm_pu", "va_degree"):
        columns[name] = np.full((count, len(model.bus)), np.nan)
    for table, ends in (("line", ("from", "to")), ("trafo", ("hv", "lv"))):
        size = (count, len(getattr(model, table)))
        for name in ("loading_percent", *(f"p_{end}_kw" for end in ends)):
            columns[f"{table}_{name}"] = np.zeros(size)
    for name in ("losses_kw", "unserved_kw", "residual_mva"):
        columns[name] = np.zeros(count)
    for unit in ("kw", "kvar"):
        for name in ("head_import", "head_export", "forming_injected", "forming_absorbed"):
            columns[f"{name}_{unit}"] = np.zeros(count)
    columns["iterations"] = np.zeros(count, dtype=np.int64)
    return columns


def write_state(
    model: NetworkModel, columns: Columns, steps: npt.NDArray[np.intp], voltage: Complex
) -> None:
    """Write voltages, flows and loadings of intervals `steps` from node voltages."""
    alive = model.node >= 0
    magnitude, angle = np.abs(voltage), np.degrees(np.angle(voltage))
    here = np.ix_(steps, np.flatnonzero(alive))
    columns["vm_pu"][here] = magnitude[model.node[alive]].T
    columns["va_degree"][here] = angle[model.node[alive]].T
    for table, ends in (("line", ("from", "to")), ("trafo", ("hv", "lv"))):
        branches: Branches = getattr(model, table)
        on = np.flatnonzero(branches.from_node >= 0)
        loading, p_from, p_to = branch_state(model, branches, on, voltage)
        here = np.ix_(steps, on)
        columns[f"{table}_loading_percent"][here] = loading.T
        columns[f"{table}_p_{ends[0]}_kw"][here] = p_from.T
        columns[f"{table}_p_{ends[1]}_kw"][here] = p_to.T


def branch_state(
    model: NetworkModel, branches: Branches, rows: npt.NDArray[np.intp], voltage: Complex
) -> tuple[Float, Float, Float]:
    """Return (loading_percent, p_from_kw, p_to_kw) of branch rows, each (row, interval)."""
    f, t = branches.from_node[rows], branches.to_node[rows]
    v_from, v_to = voltage[f], voltage[t]
    i_from = branches.yff[rows, None] * v_from + branches.yft[rows, None] * v_to
    i_to = branches.ytf[rows, None] * v_from + branches.ytt[rows, None] * v_to
    from_scale, to_scale = loading_scale(model, branches, rows)
    loading = np.maximum(np.abs(i_from) * from_scale[:, None], np.abs(i_to) * to_scale[:, None])
    base_kw = model.base_mva * 1e3
    p_from = (v_from.real * i_from.real + v_from.imag * i_from.imag) * base_kw
    p_to = (v_to.real * i_to.real + v_to.imag * i_to.imag) * base_kw
    return loading, p_from, p_to


def loading_scale(
    model: NetworkModel, branches: Branches, rows: npt.NDArray[np.intp]
) -> tuple[Float, Float]:
    """Return percent of loading per unit of current at the from and the to side."""
    base = 100.0 * model.base_mva / np.sqrt(3.0)
    f, t = branches.from_node[rows], branches.to_node[rows]
    return (
        base / (model.node_kv[f] * branches.rated_from_ka[rows]),
        base / (model.node_kv[t] * branches.rated_to_ka[rows]),
    )


def write_balance(
    model: NetworkModel,
    columns: Columns,
    steps: npt.NDArray[np.intp],
    voltage: Complex,
    power: Complex,
    op: Operator,
) -> None:
    """Write losses, what the sources give and the largest mismatch of intervals `steps`."""
    base_kw = model.base_mva * 1e3
    entering = voltage * model.currents(voltage).conj()
    mismatch = entering - power
    source = mismatch[op.held].sum(axis=0)
    mismatch[op.held] = 0.0
    columns["residual_mva"][steps] = np.abs(mismatch).max(axis=0) * model.base_mva
    columns["losses_kw"][steps] = entering.real.sum(axis=0) * base_kw
    names = ("head_import", "head_export")
    if model.forming:
        names = ("forming_injected", "forming_absorbed")
    for unit, part in (("kw", source.real), ("kvar", source.imag)):
        for name, values in zip(names, pair_kw(model, part), strict=True):
            columns[f"{name}_{unit}"][steps] = values


def dataset(
    model: NetworkModel,
    columns: Columns,
    starts: npt.NDArray[np.datetime64],
    forming_bus: int | None,
) -> xr.Dataset:
    """Return columns as a dataset with dims, coordinates and units."""
    variables = {}
    for name, values in columns.items():
        dims: tuple[str, ...] = ("interval",)
        if values.ndim == 2:
            table = name.partition("_")[0]
            dims = ("interval", table if table in ("line", "trafo") else "bus")
        unit = UNITS.get(name.rpartition("_")[2])
        variables[name] = xr.Variable(dims, values, {"units": unit} if unit else None)
    coordinates = {
        "interval": xr.Variable(("interval",), starts),
        "bus": xr.Variable(("bus",), model.bus),
        "line": xr.Variable(("line",), model.line.index),
        "trafo": xr.Variable(("trafo",), model.trafo.index),
    }
    facts: dict[str, object] = {"topology_hash": model.topology_hash.hex()}
    if forming_bus is not None:
        facts["forming_bus"] = int(forming_bus)
    return xr.Dataset(variables, coordinates, facts)
