"""Self-consumption by rule: what a microgrid does without an optimiser.

Batteries take the community's surplus and give it back at a deficit; nobody looks at a
price. The genset starts only while islanded, when the batteries cannot carry the load or the
island requires it. What runs gives its least load, and more only where batteries and grid have
no more to give. Then sheddable load goes, then the reserve, and last, as ``unserved_kw``, load
that nobody meant to drop. Solar and wind are withheld pro rata where a cut of the network
asks for it. It is the yardstick for the plan, so it keeps every limit that the plan keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from dispatch.check import reserve_short
from dispatch.curtailment import share_out
from dispatch.fallback import fallback
from dispatch.plan import Floats, LinearCut, PlanInput, empty_schedule
from dispatch.rule_step import SMALL_KW, Step, give_way, share
from dispatch.safe import safe

__all__ = ["fallback", "safe", "self_consumption"]

CUT_ROUNDS = 40
"""Rounds of giving way to the cuts of a step; less output makes batteries charge less, which
asks for a little more, ever less."""


@dataclass(slots=True)
class _State:
    energy_kwh: Floats
    on: list[bool]
    held: list[int]


def self_consumption(plan_input: PlanInput) -> xr.Dataset:
    """Return the schedule of the rule.

    Parameters
    ----------
    plan_input : PlanInput
        Checked (:func:`dispatch.check.check_input`).

    Returns
    -------
    xarray.Dataset
        As in :class:`dispatch.plan.Plan`. Where generation that must run has no outlet, a
        genset goes below its least load.
    """
    schedule = empty_schedule(plan_input)
    state = _State(
        np.array(plan_input.battery_energy_kwh, dtype=np.float64),
        [bool(on) for on in plan_input.genset_on],
        [int(steps) for steps in plan_input.genset_intervals_in_state],
    )
    at: dict[int, list[LinearCut]] = {}
    for cut in plan_input.cuts:
        at.setdefault(cut.step, []).append(cut)
    for t in range(plan_input.n):
        _commit(plan_input, t, state)
        step = _flows(plan_input, t, state, at.get(t, []))
        _write(plan_input, schedule, t, state, step)
    schedule["reserve_short_kw"].values[:] = reserve_short(plan_input, schedule)
    share_out(plan_input, schedule)
    return schedule


def _column(plan_input: PlanInput, name: str) -> Floats:
    return np.array([getattr(battery, name) for battery in plan_input.battery], dtype=np.float64)


def _headroom(
    plan_input: PlanInput, t: int, energy: Floats, *, keep: bool, steps: int = 1
) -> tuple[Floats, Floats]:
    """Return what each battery can take and give from step `t` on for `steps` steps, kW.

    With `keep`, forming batteries hold the reserve back while islanded, shared by power.
    """
    h, power = plan_input.hours * steps, _column(plan_input, "power_kw")
    room = (_column(plan_input, "energy_kwh") - energy) / (
        h * _column(plan_input, "charge_efficiency")
    )
    stored = (energy - _column(plan_input, "min_energy_kwh")) / h
    stored = stored * _column(plan_input, "discharge_efficiency")
    held = np.zeros_like(power)
    if keep and not plan_input.grid_available[t]:
        forming = np.array([battery.forming for battery in plan_input.battery], dtype=np.float64)
        total = float((forming * power).sum())
        if total > 0.0:
            held = forming * power * float(plan_input.reserve_kw[t]) / total
    most = [b.most_kw(e) for b, e in zip(plan_input.battery, energy.tolist(), strict=True)]
    takes, gives = np.array(most, dtype=np.float64).reshape(-1, 2).T
    take = np.clip(np.minimum(takes, room) - held, 0.0, None)
    give = np.clip(np.minimum(gives, stored) - held, 0.0, None)
    return take, give


def _plants(plan_input: PlanInput, t: int) -> Floats:
    return np.concatenate(
        [plan_input.solar_available_kw[:, t], plan_input.wind_available_kw[:, t]]
    ).astype(np.float64)


def _commit(plan_input: PlanInput, t: int, state: _State) -> None:
    """Start the gensets that the islanded load needs; stop the others when they may."""
    deficit = float(plan_input.demand_kw[t]) - float(_plants(plan_input, t).sum())
    islanded = not bool(plan_input.grid_available[t])
    for g, genset in enumerate(plan_input.genset):
        # one that stops cannot come back at once: the batteries must last until it can
        steps = 1 + genset.min_down_intervals if state.on[g] else 1
        _, give = _headroom(plan_input, t, state.energy_kwh, keep=True, steps=steps)
        short = genset.island_required or deficit - float(give.sum()) > SMALL_KW
        wanted = islanded and short
        least = genset.min_up_intervals if state.on[g] else genset.min_down_intervals
        if wanted != state.on[g] and state.held[g] >= least:
            state.on[g], state.held[g] = wanted, 0
        state.held[g] += 1
        if state.on[g]:
            deficit -= genset.power_kw


def _running(plan_input: PlanInput, t: int, state: _State) -> tuple[Floats, Floats]:
    """Return the least and the most that each genset gives in step `t`, kW.

    While islanded without a forming battery those that run keep the reserve, up and down.
    """
    on = np.array(state.on, dtype=np.float64)
    least, most = (
        on * np.array([getattr(genset, name) for genset in plan_input.genset], dtype=np.float64)
        for name in ("min_power_kw", "power_kw")
    )
    if plan_input.grid_available[t] or any(battery.forming for battery in plan_input.battery):
        return least, most
    held = share(float(plan_input.reserve_kw[t]), (most - least) / 2.0)
    return least + held, most - held


def _flows(plan_input: PlanInput, t: int, state: _State, cuts: list[LinearCut]) -> Step:
    take, give = _headroom(plan_input, t, state.energy_kwh, keep=True)
    batteries, gensets = len(plan_input.battery), len(plan_input.genset)
    step = Step(
        _plants(plan_input, t),
        take,
        give,
        np.zeros(len(plan_input.shedding)),
        np.zeros(batteries),
        np.zeros(batteries),
        np.zeros(gensets),
    )
    floor = np.zeros(len(plan_input.shedding))
    for number in range(CUT_ROUNDS):
        # pushes harder as the rounds pass, so that they end
        push = 1.0 + 0.25 * number
        step.shed_kw = floor.copy()
        _close(plan_input, t, state, step)
        if sum(give_way(plan_input, t, step, floor, cut, push) for cut in cuts) == 0:
            return step
    step.shed_kw = floor.copy()
    _close(plan_input, t, state, step)
    return step


def _close(plan_input: PlanInput, t: int, state: _State, step: Step) -> None:
    """Set batteries, gensets, grid and the last resorts so that the balance closes."""
    step.unserved_kw = 0.0
    served = float(plan_input.demand_kw[t]) - float(step.shed_kw.sum())
    net = served - float(step.plants_kw.sum())
    step.genset_kw, most = _running(plan_input, t, state)
    net -= float(step.genset_kw.sum())
    step.charge_kw = share(-net, step.charge_cap_kw)
    step.discharge_kw = share(net, step.discharge_cap_kw)
    net += float(step.charge_kw.sum()) - float(step.discharge_kw.sum())
    open_ = bool(plan_input.grid_available[t])
    net = round(net, 9)
    step.import_kw = min(max(net, 0.0), plan_input.grid.import_limit_kw if open_ else 0.0)
    step.export_kw = min(max(-net, 0.0), plan_input.grid.export_limit_kw if open_ else 0.0)
    net += step.export_kw - step.import_kw
    more = share(net, most - step.genset_kw)
    step.genset_kw = step.genset_kw + more
    net -= float(more.sum())
    if net > SMALL_KW:
        _last_resorts(plan_input, t, state, step, net)
    elif net < -SMALL_KW:
        _withhold(step, -net)


def _last_resorts(plan_input: PlanInput, t: int, state: _State, step: Step, missing: float) -> None:
    left = np.clip(plan_input.sheddable_kw[:, t] - step.shed_kw, 0.0, None)
    shed = share(missing, left)
    step.shed_kw = step.shed_kw + shed
    missing -= float(shed.sum())
    _, give = _headroom(plan_input, t, state.energy_kwh, keep=False)
    more = share(missing, np.clip(give - step.discharge_kw, 0.0, None))
    more = np.where(step.charge_kw > 0.0, 0.0, more)
    step.discharge_kw = step.discharge_kw + more
    missing -= float(more.sum())
    rating = np.array([genset.power_kw for genset in plan_input.genset], dtype=np.float64)
    more = share(missing, rating * state.on - step.genset_kw)
    step.genset_kw = step.genset_kw + more
    step.unserved_kw = max(0.0, missing - float(more.sum()))


def _withhold(step: Step, surplus: float) -> None:
    """Withhold plants pro rata, then let gensets down below their least load."""
    off = share(surplus, step.plants_kw)
    step.plants_kw = step.plants_kw - off
    step.genset_kw = step.genset_kw - share(surplus - float(off.sum()), step.genset_kw)


def _write(plan_input: PlanInput, schedule: xr.Dataset, t: int, state: _State, step: Step) -> None:
    gain = step.charge_kw * _column(plan_input, "charge_efficiency")
    loss = step.discharge_kw / _column(plan_input, "discharge_efficiency")
    kept = np.array([battery.kept_share(plan_input.hours) for battery in plan_input.battery])
    state.energy_kwh = np.clip(
        kept * state.energy_kwh + plan_input.hours * (gain - loss),
        _column(plan_input, "min_energy_kwh"),
        _column(plan_input, "energy_kwh"),
    )
    battery, genset = plan_input.rows("battery"), plan_input.rows("genset")
    plants = slice(plan_input.rows("solar").start, plan_input.rows("wind").stop)
    shedding = plan_input.rows("shedding")
    withheld = _plants(plan_input, t) - step.plants_kw
    served = plan_input.sheddable_kw[:, t] - step.shed_kw
    for name, rows, values in (
        ("charge_kw", battery, step.charge_kw),
        ("discharge_kw", battery, step.discharge_kw),
        ("energy_kwh", battery, state.energy_kwh),
        ("produce_kw", plants, step.plants_kw),
        ("curtail_kw", plants, withheld),
        ("limit_kw", plants, np.where(withheld > SMALL_KW, step.plants_kw, np.nan)),
        ("produce_kw", genset, step.genset_kw),
        ("shed_kw", shedding, step.shed_kw),
        ("limit_kw", shedding, np.where(step.shed_kw > SMALL_KW, served, np.nan)),
    ):
        schedule[name].values[rows, t] = values
    schedule["on"].values[genset, t] = state.on
    for name in ("import_kw", "export_kw", "unserved_kw"):
        schedule[name].values[t] = getattr(step, name)
