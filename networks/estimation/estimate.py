"""The state of a network from what its meters say, with what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import xarray as xr

from grid.errors import Finding, Severity
from grid.interval import label
from networks.estimation import bad_data
from networks.estimation.observability import unobservable
from networks.estimation.placement import voltage_deviation
from networks.estimation.problem import Accuracy, Expected, Problem, of_steps, problem
from networks.estimation.solve import Solution, solve
from networks.flow.operator import operator
from networks.flow.solve import dataset, empty_columns, write_balance, write_state
from networks.injection import pair_kw
from networks.model import Bool, Complex, Int, NetworkModel

_MOST_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Estimate:
    """The state of each interval.

    Attributes
    ----------
    state : xarray.Dataset
        As of :func:`networks.flow.solve.flow`, NaN at buses that are unobservable. Beside it,
        (interval, bus): `vm_sd_pu`, the standard deviation, infinite where unobservable and NaN
        where dead; (interval, point): `absorbed_point_kw`
        and `injected_point_kw`; (interval,): `source_pu`, and `verdict`, one of
        :data:`networks.estimation.bad_data.CLEAN`, `IDENTIFIED` and `DETECTED`.
    findings : tuple of Finding
        Wrong measurements and unobservable buses, sorted.
    problem : Problem
        What was known, less what was found wrong.
    solution : Solution
    """

    state: xr.Dataset
    findings: tuple[Finding, ...]
    problem: Problem
    solution: Solution


def estimate(
    model: NetworkModel,
    measured: xr.Dataset,
    expected: Expected | None,
    accuracy: Accuracy | None = None,
    *,
    source_sd_pu: float | None = None,
) -> Estimate:
    """Return the likeliest state of every interval.

    A measurement that is identified as wrong is left out and the interval estimated again; where
    it cannot be told which one is wrong, all stay in and the verdict says so.

    Parameters
    ----------
    measured : xarray.Dataset
        See :func:`networks.estimation.problem.problem`.
    expected : Expected or None
        What is usual at usage points, see :mod:`networks.estimation.pseudo`; without it, buses
        behind usage points without a meter are unobservable.
    source_sd_pu : float, optional
        Standard deviation of the source's voltage about that of the model.

    Raises
    ------
    BadInputError
        See :func:`networks.estimation.problem.problem`.
    SolverError
        Naming the first interval that has no estimate.
    """
    known = problem(model, measured, expected, accuracy, source_sd_pu=source_sd_pu)
    usual = None
    if expected is not None:
        usual = problem(model, _unmetered(measured), expected, accuracy, source_sd_pu=source_sd_pu)
    solution = solve(known)
    verdict = np.full(len(known.starts), bad_data.CLEAN, dtype="U32")
    known, solution, found = _examined(known, solution, usual, verdict)
    blind = unobservable(known, solution.derivative)
    state = _state(known, solution, blind, verdict)
    found += _blind_findings(known, blind)
    return Estimate(state, tuple(sorted(found)), known, solution)


def _unmetered(measured: xr.Dataset) -> xr.Dataset:
    names = ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar")
    return measured.assign({name: measured[name] * np.nan for name in names})


def _examined(
    known: Problem, solution: Solution, usual: Problem | None, verdict: np.ndarray
) -> tuple[Problem, Solution, list[Finding]]:
    """Take out what is identified as wrong, until nothing more is; tell what was."""
    found: list[Finding] = []
    open_steps = np.arange(len(known.starts))
    for _ in range(_MOST_ROUNDS):
        judged = bad_data.residuals(of_steps(known, open_steps), _solution_of(solution, open_steps))
        wrong: list[tuple[int, int]] = []
        for place in np.flatnonzero(judged.broken).tolist():
            step, suspects = int(open_steps[place]), judged.suspects(place)
            names = [_name(known, int(one)) for one in suspects]
            at = label(int(known.starts[step].astype("datetime64[s]").astype(np.int64)))
            size = abs(float(judged.normalised[place, suspects[0]]))
            if len(suspects) == 1:
                wrong.append((step, int(suspects[0])))
                verdict[step] = bad_data.IDENTIFIED
                code, text = "network.bad_measurement", f"{names[0]} is wrong and left out"
            else:
                verdict[step] = bad_data.DETECTED
                code = "network.bad_measurements"
                text = f"one of {len(names)} measurements is wrong: {', '.join(names[:6])}"
                text += ", …" if len(names) > 6 else ""
            limit = float(judged.threshold[place])
            message = f"{at}: {text} ({size:.2f} standard deviations, limit {limit:.2f})"
            found.append(Finding(code, names[0], at, Severity.WARNING, message))
        if not wrong:
            break
        steps, which = (np.array(one, dtype=np.int64) for one in zip(*wrong, strict=True))
        known = bad_data.without(known, steps, which, usual)
        open_steps = np.unique(steps)
        solution = _with(solution, solve(of_steps(known, open_steps)), open_steps)
    return known, solution, found


def _solution_of(solution: Solution, steps: Int) -> Solution:
    return replace(
        solution,
        injection=solution.injection[steps],
        voltage=solution.voltage[:, steps],
        power=solution.power[:, steps],
        multiplier=solution.multiplier[steps],
        gain=solution.gain[steps],
    )


def _with(solution: Solution, part: Solution, steps: Int) -> Solution:
    changed = {}
    for one in fields(Solution):
        if one.name == "derivative":
            continue
        whole = getattr(solution, one.name).copy()
        at = (slice(None), steps) if one.name in ("voltage", "power") else steps
        whole[at] = getattr(part, one.name)
        changed[one.name] = whole
    return replace(solution, **changed)


def _name(known: Problem, which: int) -> str:
    """Return how a measurement is named: ``active power of UP-017``."""
    points = len(known.node)
    if which < 2 * points:
        quantity = "active power" if which < points else "reactive power"
        return f"{quantity} of {known.point[which % points]}"
    row = which - 2 * points
    if row < len(known.vm_name):
        return f"voltage of {known.vm_name[row]}"
    return ("active" if row == len(known.vm_name) else "reactive") + " power of the head"


def _state(known: Problem, solution: Solution, blind: Bool, verdict: np.ndarray) -> xr.Dataset:
    model, count = known.model, len(known.starts)
    columns = empty_columns(model, count)
    steps = np.arange(count)
    write_state(model, columns, steps, solution.voltage)
    write_balance(model, columns, steps, solution.voltage, solution.power, operator(model))
    columns["grid_available"] = np.ones(count, dtype=np.bool_)
    absorbed, injected = _by_bus(model, solution.power)
    for word, part in (("kw", np.real), ("kvar", np.imag)):
        columns[f"absorbed_{word}"], columns[f"injected_{word}"] = part(absorbed), part(injected)
    alive = model.node >= 0
    deviation = np.full((count, len(model.bus)), np.nan)
    deviation[:, alive] = voltage_deviation(known, solution)[:, model.node[alive]]
    hidden = np.zeros((count, len(model.bus)), dtype=np.bool_)
    hidden[:, alive] = blind[:, model.node[alive]]
    deviation[hidden] = np.inf
    for name in ("vm_pu", "va_degree"):
        columns[name][hidden] = np.nan
    columns["vm_sd_pu"] = deviation
    result = dataset(model, columns, known.starts, None)
    points = len(known.node)
    given, taken = pair_kw(model, solution.injection[:, :points])
    result["injected_point_kw"] = (("interval", "point"), given, {"units": "kW"})
    result["absorbed_point_kw"] = (("interval", "point"), taken, {"units": "kW"})
    result["source_pu"] = ("interval", solution.injection[:, -1], {"units": "1"})
    result["verdict"] = ("interval", verdict)
    return result.assign_coords(point=list(known.point))


def _by_bus(model: NetworkModel, power: Complex) -> tuple[Complex, Complex]:
    """Return what is absorbed and injected at the first bus of each node, (interval, bus)."""
    base_kw = model.base_mva * 1e3
    first = np.full(len(model.node_kv), -1, dtype=np.int64)
    alive = np.flatnonzero(model.node >= 0)
    first[model.node[alive][::-1]] = alive[::-1]
    net = np.zeros((power.shape[1], len(model.bus)), dtype=np.complex128)
    net[:, first] = power.T * base_kw
    absorbed = np.maximum(-net.real, 0.0) + 1j * np.maximum(-net.imag, 0.0)
    injected = np.maximum(net.real, 0.0) + 1j * np.maximum(net.imag, 0.0)
    return absorbed, injected


def _blind_findings(known: Problem, blind: Bool) -> list[Finding]:
    """Return one finding for each run of intervals in which the same buses are unobservable."""
    found, first = [], 0
    model = known.model
    for step in range(1, len(blind) + 1):
        if step < len(blind) and (blind[step] == blind[first]).all():
            continue
        if blind[first].any():
            nodes = np.flatnonzero(blind[first])
            buses = [
                model.bus_label(int(row)) for row in np.flatnonzero(np.isin(model.node, nodes))
            ]
            at = label(int(known.starts[first].astype("datetime64[s]").astype(np.int64)))
            message = (
                f"{at}: {len(buses)} buses are unobservable for {step - first} intervals: nothing "
                f"tells what flows to {', '.join(buses[:8])}{', …' if len(buses) > 8 else ''}; a "
                "meter or a history there would"
            )
            found.append(Finding("network.unobservable", buses[0], at, Severity.WARNING, message))
        first = step
    return found
