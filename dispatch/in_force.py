"""What the plan in force says of a new problem's columns: the set-points that may stay.

A set-point is what is sent to a device: the flow of a battery, a vehicle or a flexible load, the
state and output of a genset, the limit of a plant and of a shedding group. So a plant that is not
limited stays so, whatever the sun gives; one that is limited stays at its limit. A forming
battery follows the load while islanded and has none there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.check_base import TOLERANCE_KW
from dispatch.inputs import POWER_LIMIT_KW
from dispatch.plan import Floats, Plan, PlanInput
from dispatch.problem import Problem
from dispatch.statement import Statement
from grid.quantities import require_finite

Columns = npt.NDArray[np.int64]

_FLOWS = (
    ("charge", "battery", "charge_kw"),
    ("discharge", "battery", "discharge_kw"),
    ("output", "genset", "produce_kw"),
    ("ev_charge", "charger", "charge_kw"),
    ("ev_discharge", "charger", "discharge_kw"),
    ("flexible", "flexible", "charge_kw"),
)
_LIMITS = (
    ("solar", "solar_available_kw"),
    ("wind", "wind_available_kw"),
    ("shedding", "sheddable_kw"),
)
EITHER = {
    "charging": ("charge", "discharge"),
    "ev_charging": ("ev_charge", "ev_discharge"),
}
"""The two ways of stores, by the binary that tells them apart where there is one."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Where a problem's columns stand in the plan in force.

    Attributes
    ----------
    flow : int (target,)
        Columns of flows with a set-point.
    flow_kw : float (target,)
        What the plan in force has there, within the column's bounds.
    weight : float (target,)
        Of a kW of change; nearer steps weigh more.
    on, state, state_weight : (state,)
        The same of the binaries that say whether a genset runs.
    first : bool (target,)
        Whether it is a set-point of the first step.
    """

    flow: Columns
    flow_kw: Floats
    weight: Floats
    on: Columns
    state: Floats
    state_weight: Floats
    first: npt.NDArray[np.bool_]


def rest(plan_input: PlanInput, in_force: Plan) -> xr.Dataset | None:
    """Return what the plan in force says of the steps of an input, from the first on.

    None when it has other devices or steps, or ends before the first step. The last steps of
    the input may be beyond it.

    Raises
    ------
    BadInputError
        When a set-point of it is not finite, or out of range.
    """
    late, off = divmod(plan_input.start_s - in_force.start_s, in_force.interval_s)
    steps = int(in_force.schedule.sizes["interval"])
    same = in_force.interval_s == plan_input.interval_s
    ids = tuple(str(asset) for asset in in_force.schedule["asset"].values)
    if off or not same or not 0 <= late < steps or ids != plan_input.asset_ids:
        return None
    for name in ("charge_kw", "discharge_kw", "produce_kw", "shed_kw", "limit_kw"):
        values = np.asarray(in_force.schedule[name].values, dtype=np.float64)
        sent = values[~np.isnan(values)] if name == "limit_kw" else values
        require_finite(sent, name=f"in_force {name}", low=-TOLERANCE_KW, high=POWER_LIMIT_KW)
    return in_force.schedule.isel(interval=slice(late, late + plan_input.n))


def kept_limits(plan_input: PlanInput, schedule: xr.Dataset, kind: str, most: Floats) -> Floats:
    """Return what plants give, or groups are served, by their limits in force, (asset, step)."""
    limit = schedule["limit_kw"].values[plan_input.rows(kind)]
    offered = most[:, : limit.shape[1]]
    kept: Floats = np.where(np.isnan(limit), offered, np.minimum(limit, offered))
    return kept


def targets(plan_input: PlanInput, problem: Problem, schedule: xr.Dataset) -> Targets:
    """Return the targets of a problem, from what :func:`rest` returned."""
    found = [part for part in _parts(plan_input, problem, schedule) if part[0].size]
    on, state = _column(problem, "on", schedule["on"].values[plan_input.rows("genset")])
    low, high = problem.numbers.low, problem.numbers.high
    state = np.clip(state, low[on], high[on])
    steps = schedule.sizes["interval"]
    nearness = 1.0 / (1.0 + np.arange(steps))
    # a change of state now is worse than any number of changes later
    first_state = np.where(np.arange(steps) == 0, 1.0 + len(on), nearness)
    flow = np.concatenate([np.empty(0, np.int64), *(at for at, _, _ in found)])
    kw = np.concatenate([np.empty(0), *(value for _, value, _ in found)])
    step = np.concatenate([np.empty(0, np.int64), *(at for _, _, at in found)])
    return Targets(
        flow,
        np.clip(kw, low[flow], high[flow]),
        nearness[step],
        on,
        state,
        np.tile(first_state, len(plan_input.genset)),
        step == 0,
    )


def _parts(
    plan_input: PlanInput, problem: Problem, schedule: xr.Dataset
) -> Iterator[tuple[Columns, Floats, Columns]]:
    """Yield columns, the values in force and the steps, kind by kind."""
    steps = int(schedule.sizes["interval"])
    for variable, kind, name in _FLOWS:
        values = schedule[name].values[plan_input.rows(kind)]
        at, kw = _column(problem, variable, values)
        step = np.tile(np.arange(steps), len(values))
        if kind == "battery":
            forming = np.array([b.forming for b in plan_input.battery], np.bool_)
            dark = ~plan_input.grid_available[:steps]
            sent = ~(forming[:, None] & dark[None, :]).ravel()
            at, kw, step = at[sent], kw[sent], step[sent]
        yield at, kw, step
    for kind, name in _LIMITS:
        most = np.asarray(getattr(plan_input, name), dtype=np.float64)
        kept = kept_limits(plan_input, schedule, kind, most)
        flow = most[:, :steps] - kept if kind == "shedding" else kept
        at, kw = _column(problem, "shed" if kind == "shedding" else kind, flow)
        yield at, kw, np.tile(np.arange(steps), len(flow))


def _column(problem: Problem, variable: str, values: Floats) -> tuple[Columns, Floats]:
    """Return the columns of a variable's first steps, and `values` (asset, step) beside them."""
    place = problem.column.get(variable)
    if place is None or not len(values):
        return np.empty(0, np.int64), np.empty(0)
    first = place.first + place.steps * np.arange(len(values))
    at = first[:, None] + np.arange(values.shape[1])
    return at.ravel(), np.asarray(values, dtype=np.float64).ravel()


def directions(stated: Statement, problem: Problem, values: Floats) -> tuple[Columns, Floats]:
    """Return the either-ors of a problem and what they are where its columns have `values`.

    Left out are those of a flow that is 0 both ways.
    """
    extras = stated.extras.columns
    first = len(problem.binary) - len(extras)
    at, chosen = [], []
    for number, column in enumerate(extras):
        if not column.binary:
            continue
        if column.name == "importing":
            step = int(column.index[0])
            one, other = (values[problem.column[n].at((step,))] for n in ("import_kw", "export_kw"))
        else:
            names = EITHER[column.name]
            one, other = (values[problem.column[name].at(column.index)] for name in names)
        if one != other:
            at.append(first + number)
            chosen.append(float(one > other))
    return np.array(at, np.int64), np.array(chosen)
