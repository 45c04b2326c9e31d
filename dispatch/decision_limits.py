"""What limits a set-point: the bounds and rows that hold it, and what one kWh more would save.

A bound or row holds what a change of it would change the cost of: its reduced cost or dual, with
the on/off decisions held. For a store that is also the first step from then on at which it is
full, at its least, or must hold something: from there its energy has its worth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from dispatch.assets import REGISTRY
from dispatch.assets.genset import forced_steps
from dispatch.assets.terms import Flows
from dispatch.plan import Floats, PlanInput, Reason, Value
from dispatch.problem import COST_SCALE
from dispatch.reasons import bus_of, reason
from dispatch.solve import Optimum

WORTH = 1e-4
"""Currency per kWh below which a limit holds nothing: the tie-breaks are less."""

_ROWS = {
    "rating": "limit.rating",
    "least_load": "limit.least",
    "ramp_up": "limit.ramp",
    "ramp_down": "limit.ramp",
    "taper": "limit.taper",
    "fade": "limit.taper",
    "reserve_up": "limit.reserve",
    "reserve_down": "limit.reserve",
    "peak_covers": "limit.peak",
    "cut": "limit.cut",
}
_STORES = {"battery": "energy", "charger": "ev_energy", "flexible": "flexible_energy"}
_ASKED = {"charger": "ev_deadline", "flexible": "corridor"}


def flows_of(plan_input: PlanInput) -> Flows:
    """Return by asset id the signs and variables that count as power given to the community."""
    flows: Flows = {}
    for kind in REGISTRY.values():
        flows.update(kind.flows(plan_input))
    return flows


def kind_of(plan_input: PlanInput, asset: str) -> str:
    """Return the kind of an asset."""
    return next(
        (kind for kind in REGISTRY if kind != "grid" and asset in _ids(plan_input, kind)), "grid"
    )


def _ids(plan_input: PlanInput, kind: str) -> list[str]:
    return [str(one.id) for one in getattr(plan_input, kind)]


class Shadow:
    """What each bound and row of an optimum costs, with its binaries held."""

    def __init__(self, plan_input: PlanInput, found: Optimum) -> None:
        self.input, self.problem, self.answer = plan_input, found.problem, found.answer
        numbers = found.problem.numbers
        shape = (len(numbers.row_low), len(numbers.low))
        problem = found.problem
        rows = sp.csr_array((problem.value, problem.index, problem.start), shape=shape)
        self.reduced: Floats = numbers.cost / COST_SCALE - rows.T @ found.answer.duals
        self.columns = rows.tocsc()
        self.flows = flows_of(plan_input)

    def seat(self, name: str, asset: str, t: int) -> int:
        """Return the column of a variable in a step."""
        place = self.problem.column[name]
        return place.at((t,) if place.row is None else (asset, t))

    def rows_of(self, column: int) -> Iterator[tuple[str, int, float]]:
        """Yield the name, the place and the worth of a unit of each row that a column is in."""
        part = slice(self.columns.indptr[column], self.columns.indptr[column + 1])
        for row, factor in zip(self.columns.indices[part], self.columns.data[part], strict=True):
            for name, place in self.problem.row.items():
                if place.first <= row < place.first + place.size:
                    worth = float(factor * self.answer.duals[row])
                    yield name, int(row) - place.first, worth


def limits(shadow: Shadow, asset: str, t: int) -> list[Reason]:
    """Return what holds an asset in a step; that nothing of its own does, when nothing does."""
    given, kind = shadow.input, kind_of(shadow.input, asset)
    if most_kw(shadow, asset, t) <= 0.0:
        return [reason(asset, "limit.nothing")]
    found: dict[str, Reason] = {}
    for one in (*_power(shadow, kind, asset, t), *_stored(shadow, kind, asset, t)):
        # of two limits of a kind the first is the nearer one
        found.setdefault(one.code, one)
    if kind == "genset":
        row = _ids(given, "genset").index(asset)
        if t < forced_steps(given, row):
            running = bool(given.genset_on[row])
            code = "genset.min_up" if running else "genset.min_down"
            found[code] = reason(asset, code, steps=forced_steps(given, row) - t)
    return list(found.values()) or [reason(asset, "limit.none")]


def most_kw(shadow: Shadow, asset: str, t: int) -> float:
    """Return the most that an asset could give or take in a step, kW."""
    seats = [shadow.seat(name, asset, t) for _, name in shadow.flows[asset]]
    return float(np.max(shadow.problem.numbers.high[seats], initial=0.0))


def _power(shadow: Shadow, kind: str, asset: str, t: int) -> Iterator[Reason]:
    h, numbers = shadow.input.hours, shadow.problem.numbers
    if kind == "genset" and shadow.answer.columns[shadow.seat("on", asset, t)] < 0.5:
        # its rows hold it at nothing because it stands
        return
    for _, name in shadow.flows[asset]:
        column = shadow.seat(name, asset, t)
        value, high = float(shadow.answer.columns[column]), float(numbers.high[column])
        worth = -float(shadow.reduced[column]) / h
        if worth > WORTH and high > 0.0 and value > high - 1e-6:
            yield reason(asset, _bound(kind), power_kw=high, worth=worth)
        for row, number, cost in shadow.rows_of(column):
            if abs(cost) / h > WORTH and row in _ROWS:
                yield _row(shadow, asset, _ROWS[row], number, value, abs(cost) / h)


def _bound(kind: str) -> str:
    if kind in ("solar", "wind"):
        return "limit.available"
    return "limit.shed_all" if kind == "shedding" else "limit.rating"


def _row(shadow: Shadow, asset: str, code: str, number: int, value: float, worth: float) -> Reason:
    params: dict[str, Value] = {"worth": worth}
    if code == "limit.cut":
        name = shadow.input.cuts[number].name
        params |= {"cut": name, "bus": bus_of(name)}
    elif code in ("limit.rating", "limit.least", "limit.peak"):
        params["power_kw"] = value
    return reason(asset, code, **params)


def _stored(shadow: Shadow, kind: str, asset: str, t: int) -> Iterator[Reason]:
    """Yield the next end of a store's room, or what it is asked to hold."""
    given = shadow.input
    if kind not in _STORES:
        return
    numbers = shadow.problem.numbers
    for later in range(t, given.n):
        column = shadow.seat(_STORES[kind], asset, later)
        low, high = float(numbers.low[column]), float(numbers.high[column])
        if high <= 0.0 and kind == "charger":
            # the vehicle is gone
            return
        energy, worth = float(shadow.answer.columns[column]), float(shadow.reduced[column])
        at = given.label(later + 1)
        if worth < -WORTH and energy > high - 1e-6:
            yield reason(asset, "limit.full", energy_kwh=energy, at=at, worth=-worth)
            return
        if worth > WORTH and energy < low + 1e-6:
            asked = kind == "battery" and low > _least(given, asset) + 1e-6
            code = "limit.target" if asked else "limit.empty"
            yield reason(asset, code, energy_kwh=energy, at=at, worth=worth)
            return
        for row, _, cost in shadow.rows_of(column):
            held = row == _ASKED.get(kind) or row.startswith(("survive", "reserve_stored"))
            if held and abs(cost) > WORTH:
                code = "limit.target" if row == _ASKED.get(kind) else "limit.held"
                yield reason(asset, code, energy_kwh=energy, at=at, worth=abs(cost))
                return


def _least(given: PlanInput, asset: str) -> float:
    return float(np.max([b.min_energy_kwh for b in given.battery if b.id == asset]))
