"""Batched unbalanced power flow: a feeder's three phases over many intervals at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import SolverError
from grid.interval import label
from networks.model import Complex, Float, Int
from networks.threephase.fortescue import PHASES, ZERO, phases, voltage_unbalance_percent
from networks.threephase.injection import check_inputs, pair_kw, port_power
from networks.threephase.model import SequenceBranches, ThreePhaseModel
from networks.threephase.operator import Ports, Reduced, iterate, operator

CHUNK_BYTES = 4_000_000
"""Memory of one chunk's node voltages, so that passes over them stay in the processor's cache."""
_CHUNK_MOST = 2_000

Columns = dict[str, npt.NDArray[Any]]

_UNITS = {
    "kw": "kW", "kvar": "kvar", "kva": "kVA", "pu": "1", "degree": "degree", "percent": "%",
    "a": "A",
}  # fmt: skip
_ENDS = {"line": ("from", "to"), "trafo": ("hv", "lv")}


def flow(
    model: ThreePhaseModel,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    absorbed_kvar: npt.ArrayLike,
    injected_kvar: npt.ArrayLike,
    *,
    starts: npt.NDArray[np.datetime64],
    at: Sequence[int] | Int | None = None,
    delta: Sequence[npt.ArrayLike] | None = None,
    branches: bool = True,
) -> xr.Dataset:
    """Solve the unbalanced AC power flow of every interval, loads of constant power.

    Parameters
    ----------
    model : ThreePhaseModel
    absorbed_kw, injected_kw, absorbed_kvar, injected_kvar : float (interval, at, 3)
        Between phases a, b, c and neutral, each >= 0.
    starts : datetime64[s] (interval,)
    at : sequence of int, optional
        Buses that the inputs are about; by default all, in the order of ``model.bus``.
    delta : four float (interval, at, 3), optional
        The same of what is connected between phases ab, bc, ca.
    branches : bool
        Whether lines and transformers are wanted too.

    Returns
    -------
    xarray.Dataset
        (interval, bus, phase): `vm_pu` of the nominal phase voltage and
        `va_degree`, NaN where dead. (interval, bus): `unbalance_percent`,
        negative over positive sequence voltage (IEC 61000-4-30). (interval,
        line, phase): `line_loading_percent`, `line_p_from_kw`, `line_p_to_kw`,
        into the line at its ends; (interval, line): `line_neutral_a`, the
        larger of what returns through neutral and earth at either end. The same
        of `trafo`, its ends `hv` and `lv`; `trafo_neutral_a` at its LV side.
        (interval, phase): `head_import_kw`, `head_export_kw`,
        `head_import_kvar`, `head_export_kvar` at the feeder head. (interval,):
        `losses_kw`; `unserved_kw` absorbed at dead buses; `iterations` and
        `residual_kva`, the largest mismatch of a node and phase.

    Raises
    ------
    BadInputError
        A value that is not finite or below 0, naming its bus, phase and interval.
    SolverError
        Naming the first interval that has no solution.
    """
    starts = np.asarray(starts).astype("datetime64[s]")
    places = np.arange(len(model.bus)) if at is None else [model.position(int(bus)) for bus in at]
    where = np.asarray(places, dtype=np.int64)
    wye = check_inputs(
        model, (absorbed_kw, injected_kw, absorbed_kvar, injected_kvar), starts, where
    )
    pairs = None if delta is None else check_inputs(model, delta, starts, where, between=True)
    ports, power = port_power(model, where, wye, pairs)
    reduced = Reduced(operator(model), ports)
    columns = _empty(model, len(starts), branches)
    dead = model.node[where] < 0
    for given in (wye, pairs):
        if given is not None and dead.any():
            columns["unserved_kw"] += given[0][:, dead].sum(axis=(1, 2))
    size = chunk_length(model)
    for first in range(0, len(starts), size):
        part = slice(first, first + size)
        voltage, iterations, converged = iterate(reduced, power[:, part])
        columns["iterations"][part] = iterations
        for column in np.flatnonzero(~converged):
            voltage[:, :, column] = _by_pandapower(
                model, ports, power[:, first + column], starts[first + column]
            )
        phase = phases(voltage)
        _write_buses(model, columns, part, voltage, phase)
        _write_balance(model, columns, part, ports, power[:, part], voltage, phase)
        for table in _ENDS if branches else ():
            _write_branches(model, table, columns, part, voltage, phase)
    return _dataset(model, columns, starts)


def chunk_length(model: ThreePhaseModel) -> int:
    """Return how many intervals are solved at a time."""
    return int(np.clip(CHUNK_BYTES // (48 * len(model.node_kv)), 1, _CHUNK_MOST))


def nominal_flow(model: ThreePhaseModel, *, branches: bool = True) -> xr.Dataset:
    """Return the flow of one interval at the source network's own rated loads and plants."""
    return flow(
        model,
        *model.nominal_wye[:, None],
        starts=np.zeros(1, dtype="datetime64[s]"),
        delta=list(model.nominal_delta[:, None]),
        branches=branches,
    )


def _by_pandapower(
    model: ThreePhaseModel, ports: Ports, power: Complex, start: np.datetime64
) -> Complex:
    from networks.threephase.judge import sequence_voltages

    solved = sequence_voltages(model, ports, power)
    if solved is None:
        at = label(int(start.astype(np.int64)))
        load_kw = -float(power.real[power.real < 0].sum()) * model.base_mva * 1e3
        raise SolverError(
            f"network {model.source} {at}: no three-phase power flow solution at "
            f"{load_kw:.1f} kW absorbed"
        )
    return solved


def _empty(model: ThreePhaseModel, count: int, branches: bool) -> Columns:
    columns: Columns = {
        name: np.full((count, len(model.bus), 3), np.nan) for name in ("vm_pu", "va_degree")
    }
    columns["unbalance_percent"] = np.full((count, len(model.bus)), np.nan)
    for table, ends in _ENDS.items() if branches else ():
        size = (count, len(getattr(model, table)))
        for name in ("loading_percent", *(f"p_{end}_kw" for end in ends)):
            columns[f"{table}_{name}"] = np.zeros((*size, 3))
        columns[f"{table}_neutral_a"] = np.zeros(size)
    for name in ("head_import_kw", "head_export_kw", "head_import_kvar", "head_export_kvar"):
        columns[name] = np.zeros((count, 3))
    for name in ("losses_kw", "unserved_kw", "residual_kva"):
        columns[name] = np.zeros(count)
    columns["iterations"] = np.zeros(count, dtype=np.int64)
    return columns


def _write_buses(
    model: ThreePhaseModel, columns: Columns, steps: slice, voltage: Complex, phase: Complex
) -> None:
    alive = np.flatnonzero(model.node >= 0)
    node = model.node[alive]
    whole = len(alive) == len(model.bus)
    here = slice(None) if whole else alive
    for column, values in (("vm_pu", np.abs(phase)), ("va_degree", np.degrees(np.angle(phase)))):
        columns[column][steps, here] = values[:, node].transpose(2, 1, 0)
    columns["unbalance_percent"][steps, here] = voltage_unbalance_percent(voltage)[node].T


def _write_balance(
    model: ThreePhaseModel,
    columns: Columns,
    steps: slice,
    ports: Ports,
    power: Complex,
    voltage: Complex,
    phase: Complex,
) -> None:
    base_kva = model.base_mva * 1e3
    entering = phases([model.y[sequence] @ voltage[sequence] for sequence in range(3)])
    losses = np.einsum("pnt,pnt->t", phase.real, entering.real)
    losses += np.einsum("pnt,pnt->t", phase.imag, entering.imag)
    columns["losses_kw"][steps] = losses * base_kva
    _take_loads(entering, ports, power, phase)
    slack = model.slack_node
    source = phase[:, slack] * entering[:, slack].conj()
    entering[:, slack] = 0.0
    columns["residual_kva"][steps] = np.abs(entering * phase).max(axis=(0, 1)) * base_kva
    for unit, part in (("kw", source.real), ("kvar", source.imag)):
        for name, values in zip(("import", "export"), pair_kw(model, part), strict=True):
            columns[f"head_{name}_{unit}"][steps] = values.T


def _take_loads(entering: Complex, ports: Ports, power: Complex, phase: Complex) -> None:
    """Take the ports' currents out of the currents (phase, node, interval) into the network."""
    for kind in range(6):
        rows = np.flatnonzero(ports.kind == kind)
        node, plus, minus = ports.node[rows], kind % 3, (kind + 1) % 3
        if kind < 3:
            entering[plus, node] -= (power[rows] / phase[plus, node]).conj()
            continue
        current = (power[rows] / (phase[plus, node] - phase[minus, node])).conj()
        entering[plus, node] -= current
        entering[minus, node] += current


def _write_branches(
    model: ThreePhaseModel,
    table: str,
    columns: Columns,
    steps: slice,
    voltage: Complex,
    phase: Complex,
) -> None:
    branches: SequenceBranches = getattr(model, table)
    on = np.flatnonzero(branches.from_node >= 0)
    base_kw = model.base_mva * 1e3
    loading: Float = np.zeros((3, len(on), voltage.shape[2]))
    neutral: Float = np.zeros((len(on), voltage.shape[2]))
    v_from, v_to = voltage[:, branches.from_node[on]], voltage[:, branches.to_node[on]]
    sides = (
        (branches.yff, branches.yft, branches.from_node, branches.rated_from_ka),
        (branches.ytf, branches.ytt, branches.to_node, branches.rated_to_ka),
    )
    for end, (own, other, node, rated_ka) in zip(_ENDS[table], sides, strict=True):
        sequence = own[:, on, None] * v_from
        sequence += other[:, on, None] * v_to
        current = phases(sequence)
        # One phase: base power over base phase voltage.
        base_ka = model.base_mva * np.sqrt(3.0) / model.node_kv[node[on]]
        scale = (100.0 * base_ka / rated_ka[on])[:, None]
        np.maximum(loading, np.abs(current) * scale, out=loading)
        here = phase[:, node[on]]
        power = here.real * current.real + here.imag * current.imag
        columns[f"{table}_p_{end}_kw"][steps, on] = power.transpose(2, 1, 0) * base_kw
        if table == "line" or end == "lv":
            returned = 3.0 * np.abs(sequence[ZERO]) * (1e3 * base_ka)[:, None]
            np.maximum(neutral, returned, out=neutral)
    columns[f"{table}_loading_percent"][steps, on] = loading.transpose(2, 1, 0)
    columns[f"{table}_neutral_a"][steps, on] = neutral.T


def _dataset(
    model: ThreePhaseModel, columns: Columns, starts: npt.NDArray[np.datetime64]
) -> xr.Dataset:
    variables = {}
    for name, values in columns.items():
        table = name.partition("_")[0]
        element = table if table in _ENDS else "bus"
        dims: tuple[str, ...] = ("interval", element, "phase")[: values.ndim]
        if table == "head":
            dims = ("interval", "phase")
        unit = _UNITS.get(name.rpartition("_")[2])
        variables[name] = xr.Variable(dims, values, {"units": unit} if unit else None)
    coordinates: dict[str, Any] = {"interval": starts, "phase": list(PHASES), "bus": model.bus}
    if "line_neutral_a" in columns:
        coordinates |= {"line": model.line.index, "trafo": model.trafo.index}
    return xr.Dataset(variables, coordinates)
