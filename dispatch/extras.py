r"""Rows that come and go from roll to roll: cuts, either-ors, and what may give way.

Each cut bounds a weighted sum of injections in one step. Its row is scaled to a largest
coefficient of 1, so that tolerances and shortfalls are in kW.

An either-or lets a battery charge or discharge, and the grid import or export, but not both:
:math:`c \le P m`, :math:`d \le P (1 - m)`, :math:`m \in \{0, 1\}`. It is added only at the steps
`pairs` where a solution without it did both, since only a negative price makes that attractive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from dispatch.assets.grid import most
from dispatch.assets.terms import Flows
from dispatch.plan import PlanInput

Pairs: TypeAlias = frozenset[tuple[str, int]]
"""(asset id, step) at which an either-or needs a binary."""

Index: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A variable of its own; `name` and `index` name it."""

    name: str
    index: Index
    high: float = np.inf
    cost: float = 0.0
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """``low <= sum(coefficient * variable[index]) <= high``."""

    name: str
    index: Index
    terms: tuple[tuple[float, str, Index], ...]
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True, slots=True)
class Extras:
    """Columns and rows that are no part of a template, those of one name together."""

    columns: list[Column] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def extras(plan_input: PlanInput, flows: Flows, pairs: Pairs, *, elastic: bool) -> Extras:
    """Return what an input adds to its template."""
    made = Extras()
    _either(plan_input, pairs, made)
    _cuts(plan_input, flows, made, elastic=elastic)
    if elastic and plan_input.end_energy_min_kwh is not None:
        last, h = plan_input.n - 1, plan_input.hours
        for battery, least in zip(plan_input.battery, plan_input.end_energy_min_kwh, strict=True):
            made.columns.append(Column("end_short", (battery.id,), cost=1.0))
            terms = ((1.0, "energy", (battery.id, last)), (h, "end_short", (battery.id,)))
            made.rows.append(Row("end_energy", (battery.id,), terms, low=float(least)))
    made.columns.sort(key=lambda one: one.name)
    made.rows.sort(key=lambda one: one.name)
    return made


def _either(plan_input: PlanInput, pairs: Pairs, made: Extras) -> None:
    rating: dict[str, tuple[float, float]] = {
        **{battery.id: (battery.power_kw, battery.power_kw) for battery in plan_input.battery},
        **{charger.id: (charger.power_kw, charger.discharge_kw) for charger in plan_input.charger},
    }
    vehicles = {str(charger.id) for charger in plan_input.charger}
    drawn, fed = most(plan_input) if any(a not in rating for a, _ in pairs) else (None, None)
    for asset, t in sorted(pairs):
        if drawn is None or fed is None or asset in rating:
            limits = rating[asset]
            index: Index = (asset, t)
            names = ("charge", "discharge", "charging")
            if asset in vehicles:
                names = ("ev_charge", "ev_discharge", "ev_charging")
        else:
            limits = float(drawn[t]), float(fed[t])
            index = (t,)
            names = ("import_kw", "export_kw", "importing")
        one, other, chosen = names
        made.columns.append(Column(chosen, index, high=1.0, binary=True))
        first = ((1.0, one, index), (-limits[0], chosen, index))
        second = ((1.0, other, index), (limits[1], chosen, index))
        made.rows.append(Row(f"only_{one}", index, first, high=0.0))
        made.rows.append(Row(f"only_{other}", index, second, high=limits[1]))


def _cuts(plan_input: PlanInput, flows: Flows, made: Extras, *, elastic: bool) -> None:
    grid = plan_input.grid.id
    for number, cut in enumerate(plan_input.cuts):
        scale = cut_scale(cut.coefficient.values())
        terms = [
            (
                sign * coefficient / scale,
                name,
                (cut.step,) if asset == grid else (asset, cut.step),
            )
            for asset, coefficient in cut.coefficient.items()
            for sign, name in flows[asset]
        ]
        if elastic:
            made.columns.append(Column("over", (number,), cost=1.0))
            terms.append((-1.0, "over", (number,)))
        made.rows.append(Row("cut", (number,), tuple(terms), high=cut.limit_kw / scale))


def cut_scale(coefficients: Iterable[float]) -> float:
    """Return the largest magnitude of a cut's coefficients."""
    return max(abs(float(value)) for value in coefficients)
