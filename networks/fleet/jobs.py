"""A batch of feeder-years: what a worker is given, and the pure function that it runs.

It is solved on one core, so that its result does not depend on the machine that solved it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NoReturn

import numpy as np

from grid.errors import BadInputError, Finding, GridError, Severity, SolverError
from grid.interval import label
from networks.equipment import Equipment, Float, Int
from networks.fleet.base import Series, series
from networks.fleet.feeder import Feeder, loads, network
from networks.flow.operator import iterate, operator
from networks.flow.solve import flow
from networks.flow.summary import Summary, sum_up
from networks.injection import INPUTS, node_power
from networks.model import Bool, NetworkModel

QUANTITIES = {
    "line_length_factor": "1",
    "load_factor": "1",
    "solar_kw": "kW",
    "vm_pu_lowest": "1",
    "vm_pu_lowest_bus": "",
    "vm_pu_lowest_at_s": "s",
    "vm_pu_highest": "1",
    "vm_pu_highest_bus": "",
    "vm_pu_highest_at_s": "s",
    "below_band_h": "h",
    "above_band_h": "h",
    "line_loading_percent": "%",
    "line_loading_at_s": "s",
    "trafo_loading_percent": "%",
    "trafo_loading_at_s": "s",
    "overload_h": "h",
    "absorbed_kwh": "kWh",
    "injected_kwh": "kWh",
    "head_import_kwh": "kWh",
    "head_export_kwh": "kWh",
    "losses_kwh": "kWh",
    "residual_mva": "MVA",
    "recheck_pu": "1",
}
"""What is kept of a feeder-year, and its unit.

`recheck_pu` is how far the drawn intervals that are solved again by the plain power flow are away
from the compiled year.
"""

RECHECK_PU = 1e-8
_RECHECKED = 8
_PIECE = 8_800
"""Intervals at a time: a quarter of a year of a large feeder's loads is some 30 MB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What hours are counted beyond.

    Attributes
    ----------
    low_pu, high_pu : float
        Voltage band; by default that of EN 50160, 4.2.2.2.
    loading_percent : float
        Of lines and transformers.
    """

    low_pu: float = 0.9
    high_pu: float = 1.1
    loading_percent: float = 100.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Feeders of one base, to be solved by one worker.

    Attributes
    ----------
    equipment : Equipment
        Of the base.
    digest : str
        Of the base's series, which a worker reads from its own cache.
    limits : Limits
    feeders : tuple of Feeder
    """

    equipment: Equipment
    digest: str
    limits: Limits
    feeders: tuple[Feeder, ...]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A feeder-year.

    Attributes
    ----------
    number : int
        Of the feeder.
    values : float64 (quantity,) or None
        In the order of :data:`QUANTITIES`; None when the feeder could not be solved.
    bus_pu : float64 (bus, 2) or None
        Lowest and highest voltage of each bus, NaN where dead.
    findings : tuple of Finding
    """

    number: int
    values: Float | None
    bus_pu: Float | None
    findings: tuple[Finding, ...]


def solve(batch: Batch) -> list[Outcome]:
    """Return the feeder-years of a batch; what stops one of them is a finding of that one.

    Raises
    ------
    BadInputError
        When the series in this machine's cache are not those that the batch was planned with.
    """
    source = batch.equipment.source
    year = series(source)
    if year.digest != batch.digest:
        raise BadInputError(
            f"{source}: the series of this worker have the digest {year.digest[:12]}, the plan was "
            f"made with {batch.digest[:12]}; both need the same versions of khazri and simbench"
        )
    return [_outcome(one, batch, year) for one in batch.feeders]


def _outcome(one: Feeder, batch: Batch, year: Series) -> Outcome:
    try:
        values, bus_pu = feeder_year(one, batch.equipment, year, batch.limits)
    except GridError as error:
        return refused(one.number, "fleet.unsolved", str(error))
    except Exception as error:
        # The others of a fleet do not wait for our own bug to be mended; it is told by name.
        return refused(one.number, "fleet.crashed", f"{type(error).__name__}: {error}")
    gap = values[list(QUANTITIES).index("recheck_pu")]
    found: tuple[Finding, ...] = ()
    if not gap <= RECHECK_PU:
        said = f"the plain power flow is {gap:.1e} pu away, at most {RECHECK_PU:g}"
        found = (_finding(one.number, "fleet.recheck", said),)
    return Outcome(one.number, values, bus_pu, found)


def refused(number: int, code: str, message: str) -> Outcome:
    """Return the outcome of a feeder that could not be solved."""
    return Outcome(number, None, None, (_finding(number, code, message),))


def _finding(number: int, code: str, message: str) -> Finding:
    name = f"feeder {number}"
    said = message if message.startswith(name) else f"{name}: {message}"
    return Finding(code, name, "", Severity.ALARM, said)


def feeder_year(
    one: Feeder, equipment: Equipment, year: Series, limits: Limits
) -> tuple[Float, Float]:
    """Return a feeder's year: the values of :data:`QUANTITIES`, and (bus, 2) of each bus.

    Raises
    ------
    BadInputError
        A load that is not finite or below 0, naming its bus and interval.
    SolverError
        Naming the first interval that has no solution.
    """
    model = network(one, equipment)
    positions = np.array([model.position(int(bus)) for bus in year.bus], dtype=np.int64)
    pieces, absorbed, injected = [], 0.0, 0.0
    for first in range(0, len(year.starts), _PIECE):
        part = slice(first, first + _PIECE)
        inputs = loads(one, year, part)
        pieces.append(_summed(model, inputs, positions, year.starts[part]))
        absorbed += float(inputs[0].sum())
        injected += float(inputs[1].sum())
    whole = _joined(pieces)
    alive = model.node >= 0
    bus_pu = np.full((len(model.bus), 2), np.nan)
    bus_pu[alive, 0] = whole.node_lowest[model.node[alive]]
    bus_pu[alive, 1] = whole.node_highest[model.node[alive]]
    told = _told(model, whole, bus_pu, year, limits) | {
        "line_length_factor": one.line_length_factor,
        "load_factor": one.load_factor,
        "solar_kw": float(one.plant_kw.sum()),
        "absorbed_kwh": absorbed * year.hours,
        "injected_kwh": injected * year.hours,
        "recheck_pu": _recheck(one, model, whole, year, positions),
    }
    return np.array([told[name] for name in QUANTITIES]), bus_pu


def _summed(model: NetworkModel, inputs: tuple[Float, ...], positions: Int, starts: Any) -> Summary:
    done = sum_up(model, inputs, positions, cores=1)
    if done is None:
        _refuse_load(model, inputs, positions, starts)
    if not done.converged.all():
        _refuse_unsolved(model, inputs, positions, starts, done.converged)
    return done


def _refuse_load(
    model: NetworkModel, inputs: tuple[Float, ...], positions: Int, starts: Any
) -> NoReturn:
    for name, values in zip(INPUTS, inputs, strict=True):
        for step, column in np.argwhere(~((values >= 0.0) & (values < np.inf))):
            raise BadInputError(
                f"{model.source}: {model.bus_label(int(positions[column]))} "
                f"{label(int(starts[step].astype(np.int64)))}: {name} is {values[step, column]}, "
                "must be finite and not below 0"
            )
    raise AssertionError("compiled code refused inputs that are loads")


def _refuse_unsolved(
    model: NetworkModel, inputs: tuple[Float, ...], positions: Int, starts: Any, converged: Bool
) -> NoReturn:
    """Raise the error that names the first interval without a solution.

    Newton and Raphson's method is not tried: it would need pandapower in a worker, and what the
    iteration cannot solve on a feeder is beyond any voltage band.
    """
    steps = np.flatnonzero(~converged)[:64]
    power = node_power(model, *_by_bus(model, inputs, positions, steps))
    _, _, solved = iterate(operator(model), power)
    first = int(steps[int(np.argmin(solved))])
    raise SolverError(
        f"{model.source} {label(int(starts[first].astype(np.int64)))}: no power flow solution at "
        f"{float(inputs[0][first].sum()):.1f} kW absorbed"
    )


def _by_bus(
    model: NetworkModel, inputs: tuple[Float, ...], positions: Int, steps: Int
) -> tuple[Float, Float, Float, Float]:
    wide = []
    for values in inputs:
        whole = np.zeros((len(steps), len(model.bus)))
        np.add.at(whole.T, positions, values[steps].T)
        wide.append(whole)
    return wide[0], wide[1], wide[2], wide[3]


_LOWEST = frozenset({"node_lowest"})
_HIGHEST = frozenset({"node_highest", "line_highest", "trafo_highest"})
_SUMS = frozenset({"line_losses_kw", "trafo_losses_kw"})


def _joined(pieces: list[Summary]) -> Summary:
    made = {}
    for field in fields(Summary):
        parts = [getattr(piece, field.name) for piece in pieces]
        if field.name in _LOWEST:
            made[field.name] = np.min(parts, axis=0)
        elif field.name in _HIGHEST:
            made[field.name] = np.max(parts, axis=0)
        elif field.name in _SUMS:
            made[field.name] = np.sum(parts, axis=0)
        else:
            made[field.name] = np.concatenate(parts)
    return Summary(**made)


def _told(
    model: NetworkModel, whole: Summary, bus_pu: Float, year: Series, limits: Limits
) -> dict[str, float]:
    hours, starts = year.hours, year.starts.astype(np.int64).astype(np.float64)
    overloaded = np.maximum(whole.line_percent, whole.trafo_percent) > limits.loading_percent
    low, high = int(whole.vm_pu_lowest.argmin()), int(whole.vm_pu_highest.argmax())
    line, trafo = int(whole.line_percent.argmax()), int(whole.trafo_percent.argmax())
    return {
        "vm_pu_lowest": float(whole.vm_pu_lowest[low]),
        "vm_pu_lowest_bus": float(model.bus[int(np.nanargmin(bus_pu[:, 0]))]),
        "vm_pu_lowest_at_s": starts[low],
        "vm_pu_highest": float(whole.vm_pu_highest[high]),
        "vm_pu_highest_bus": float(model.bus[int(np.nanargmax(bus_pu[:, 1]))]),
        "vm_pu_highest_at_s": starts[high],
        "below_band_h": float((whole.vm_pu_lowest < limits.low_pu).sum()) * hours,
        "above_band_h": float((whole.vm_pu_highest > limits.high_pu).sum()) * hours,
        "line_loading_percent": float(whole.line_percent[line]),
        "line_loading_at_s": starts[line],
        "trafo_loading_percent": float(whole.trafo_percent[trafo]),
        "trafo_loading_at_s": starts[trafo],
        "overload_h": float(overloaded.sum()) * hours,
        "head_import_kwh": float(np.maximum(whole.head_kw, 0.0).sum()) * hours,
        "head_export_kwh": float(np.maximum(-whole.head_kw, 0.0).sum()) * hours,
        "losses_kwh": float(whole.losses_kw.sum()) * hours,
        "residual_mva": float(whole.residual_mva.max()),
    }


def _recheck(
    one: Feeder, model: NetworkModel, whole: Summary, year: Series, positions: Int
) -> float:
    """Return how far drawn intervals of the plain power flow are from the year, per unit."""
    draw = np.random.default_rng(one.number)
    steps = np.sort(draw.choice(len(year.starts), _RECHECKED, replace=False))
    state = flow(
        model,
        *_by_bus(model, loads(one, year, steps), positions, np.arange(_RECHECKED)),
        starts=year.starts[steps],
        grid_available=np.ones(_RECHECKED, dtype=np.bool_),
        forming_bus=None,
    )
    vm_pu = state["vm_pu"].to_numpy()
    gaps = (
        np.nanmin(vm_pu, axis=1) - whole.vm_pu_lowest[steps],
        np.nanmax(vm_pu, axis=1) - whole.vm_pu_highest[steps],
    )
    return max(float(np.abs(gap).max()) for gap in gaps)
