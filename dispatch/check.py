"""What a plan must satisfy, said a second time without the solver.

:func:`check_plan` recomputes every rule of the finished schedule with numpy from the input
alone; it shares no code with the model. :func:`check_input` comes before the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.check_flexible import TOLERANCE, excesses
from dispatch.inputs import check_input
from dispatch.plan import ASSET_COLUMNS, COMMUNITY_COLUMNS, Floats, LinearCut, Plan, PlanInput

__all__ = ["check_input", "check_plan", "cut_excess", "reserve_missing", "reserve_short"]

TOLERANCE_KW = 1e-5
TOLERANCE_KWH = 1e-5


def check_plan(plan_input: PlanInput, plan: Plan) -> list[str]:
    """Return every rule that the schedule breaks, recomputed from the input; none when sound."""
    return [message for part in _RULES for message in part(plan_input, plan)]


def _column(plan_input: PlanInput, plan: Plan, kind: str, name: str) -> Floats:
    values: Floats = plan.schedule[name].values[plan_input.rows(kind)]
    return values


def _worst(
    plan_input: PlanInput, subject: str, what: str, excess: Floats, unit: str, tolerance: float
) -> Iterator[str]:
    """Yield one message when `excess` (step,) is above `tolerance`, at its worst step."""
    if excess.size and float(excess.max()) > tolerance:
        t = int(excess.argmax())
        yield f"{subject} {plan_input.label(t)} {what} by {excess[t]:.6g} {unit}"


def _shape(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    ids = tuple(str(asset) for asset in plan.schedule["asset"].values)
    if ids != plan_input.asset_ids:
        yield f"schedule has assets {ids}, must be {plan_input.asset_ids}"
    if plan.schedule.sizes["interval"] != plan_input.n:
        yield f"schedule has {plan.schedule.sizes['interval']} steps, must be {plan_input.n}"
    if (plan.start_s, plan.interval_s) != (plan_input.start_s, plan_input.interval_s):
        yield f"schedule starts at {plan.start_s}, must be {plan_input.start_s}"


def _finite(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for name in (*ASSET_COLUMNS, *COMMUNITY_COLUMNS):
        values = plan.schedule[name].values
        if name == "limit_kw":
            values = values[~np.isnan(values)]
        if not np.isfinite(values).all():
            yield f"{name} has a value that is not finite"
        elif (values < -TOLERANCE_KW).any():
            yield f"{name} is {values.min():.6g} kW, must not be negative"
    if not np.isfinite(_column(plan_input, plan, "battery", "energy_kwh")).all():
        yield "energy_kwh of a battery is not finite"


def _limits(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    def at_most(asset: str, name: str, values: Floats, limit: Floats | float) -> Iterator[str]:
        excess = np.asarray(values - limit)
        yield from _worst(
            plan_input, asset, f"{name} is above its limit", excess, "kW", TOLERANCE_KW
        )

    for name in ("charge_kw", "discharge_kw"):
        for battery, row in zip(
            plan_input.battery, _column(plan_input, plan, "battery", name), strict=True
        ):
            yield from at_most(battery.id, name, row, battery.power_kw)
    for kind, available in (
        ("solar", plan_input.solar_available_kw),
        ("wind", plan_input.wind_available_kw),
    ):
        produced = _column(plan_input, plan, kind, "produce_kw")
        withheld = _column(plan_input, plan, kind, "curtail_kw")
        for i, plant in enumerate(getattr(plan_input, kind)):
            yield from at_most(plant.id, "produce_kw", produced[i], available[i])
            # only that the column says the same: what holds the plant is its limit
            off = np.abs(produced[i] + withheld[i] - available[i])
            yield from at_most(plant.id, "produce_kw + curtail_kw against available", off, 0.0)
        yield from _obeyed(plan_input, plan, kind, "produce_kw", produced, available)
    shed = _column(plan_input, plan, "shedding", "shed_kw")
    for i, group in enumerate(plan_input.shedding):
        yield from at_most(group.id, "shed_kw", shed[i], plan_input.sheddable_kw[i])
    served = plan_input.sheddable_kw - shed
    yield from _obeyed(plan_input, plan, "shedding", "shed_kw", served, plan_input.sheddable_kw)
    open_ = plan_input.grid_available.astype(np.float64)
    grid = plan_input.grid
    bought, sold = plan.schedule["import_kw"].values, plan.schedule["export_kw"].values
    yield from at_most(grid.id, "import_kw", bought, grid.import_limit_kw * open_)
    yield from at_most(grid.id, "export_kw", sold, grid.export_limit_kw * open_)


def _obeyed(
    plan_input: PlanInput, plan: Plan, kind: str, name: str, flow: Floats, most: Floats
) -> Iterator[str]:
    """Yield where `flow` (asset, step) is not all of `most` that the limit sent lets through."""
    limit = _column(plan_input, plan, kind, "limit_kw")
    off = np.abs(flow - np.where(np.isnan(limit), most, np.minimum(limit, most)))
    what = f"{name} does not follow from its limit"
    for asset, row in zip(getattr(plan_input, kind), off, strict=True):
        yield from _worst(plan_input, asset.id, what, row, "kW", TOLERANCE_KW)


def _injected(s: xr.Dataset) -> Floats:
    """Return what each asset gives less what it takes, shape (asset, step), kW."""
    net: Floats = (
        s["discharge_kw"].values
        - s["charge_kw"].values
        + s["produce_kw"].values
        + s["shed_kw"].values
    )
    return net


def _balance(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    s = plan.schedule
    supply = _injected(s).sum(axis=0) + s["import_kw"].values - s["export_kw"].values
    off = np.abs(supply - plan_input.demand_kw)
    yield from _worst(plan_input, "balance", "does not close", off, "kW", TOLERANCE_KW)
    yield from _worst(
        plan_input, "load", "is not served", s["unserved_kw"].values, "kW", TOLERANCE_KW
    )


def _stores(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    charge, discharge, energy = (
        _column(plan_input, plan, "battery", name)
        for name in ("charge_kw", "discharge_kw", "energy_kwh")
    )
    h = plan_input.hours
    before = np.concatenate([plan_input.battery_energy_kwh[:, None], energy[:, :-1]], axis=1)
    for i, battery in enumerate(plan_input.battery):
        kept = (1.0 - battery.standing_loss_percent_per_day / 100.0) ** (h / 24.0)
        gained = charge[i] * battery.charge_efficiency - discharge[i] / battery.discharge_efficiency
        expected = kept * before[i] + h * gained
        target = 0.0 if plan_input.energy_target_kwh is None else plan_input.energy_target_kwh[i]
        for what, excess in (
            ("energy_kwh does not follow from its flows", np.abs(energy[i] - expected)),
            ("energy_kwh is above its capacity", energy[i] - battery.energy_kwh),
            ("energy_kwh is below its least", battery.min_energy_kwh - energy[i]),
            ("energy_kwh is below its target", target - energy[i]),
        ):
            yield from _worst(plan_input, battery.id, what, excess, "kWh", TOLERANCE_KWH)
        for name, power, end, begin, at_end in (
            (
                "charge_kw",
                charge[i],
                battery.energy_kwh,
                battery.taper_energy_kwh,
                battery.taper_power_kw,
            ),
            (
                "discharge_kw",
                discharge[i],
                battery.min_energy_kwh,
                battery.fade_energy_kwh,
                battery.fade_power_kw,
            ),
        ):
            if begin is None or at_end is None:
                continue
            way = 1 if begin < end else -1
            kwh, kw = (begin, end)[::way], (battery.power_kw, at_end)[::way]
            most = np.interp(before[i], np.array(kwh), np.array(kw))
            what = f"{name} is above what its stored energy lets through"
            yield from _worst(plan_input, battery.id, what, power - most, "kW", TOLERANCE_KW)
        if plan_input.end_energy_min_kwh is not None:
            short = float(plan_input.end_energy_min_kwh[i] - energy[i, -1])
            if short > TOLERANCE_KWH:
                yield f"{battery.id} ends {short:.6g} kWh below its target"


def _gensets(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    running = plan.schedule["on"].values[plan_input.rows("genset")]
    output = _column(plan_input, plan, "genset", "produce_kw")
    for i, genset in enumerate(plan_input.genset):
        on = running[i].astype(np.float64)
        for what, excess in (
            ("produce_kw is above its rating", output[i] - genset.power_kw * on),
            ("produce_kw is below its least load", genset.min_power_kw * on - output[i]),
        ):
            yield from _worst(plan_input, genset.id, what, excess, "kW", TOLERANCE_KW)
        state = bool(plan_input.genset_on[i])
        held = int(plan_input.genset_intervals_in_state[i])
        for t, now in enumerate(running[i]):
            if bool(now) == state:
                held += 1
                continue
            least = genset.min_up_intervals if state else genset.min_down_intervals
            if held < least:
                verb = "stops" if state else "starts"
                yield f"{genset.id} {plan_input.label(t)} {verb} after {held} of {least} steps"
            state, held = bool(now), 1
        yield from _moves(plan_input, i, running[i], output[i])
        if plan_input.genset_fuel_kwh is not None:
            burnt = plan_input.hours * np.cumsum(output[i]) - plan_input.genset_fuel_kwh[i]
            what = "burns more fuel than there is"
            yield from _worst(plan_input, genset.id, what, burnt, "kWh", TOLERANCE_KWH)
        if genset.island_required:
            absent = ~running[i] & ~plan_input.grid_available
            if not plan_input.genset_on[i]:
                stood = int(plan_input.genset_intervals_in_state[i])
                absent[: max(0, genset.min_down_intervals - stood)] = False
            for step in np.flatnonzero(absent):
                when = plan_input.label(int(step))
                yield f"{genset.id} {when} stands while the island requires it"


def _moves(
    plan_input: PlanInput, row: int, running: npt.NDArray[np.bool_], output: Floats
) -> Iterator[str]:
    """Yield where output moves faster than it may."""
    genset, h = plan_input.genset[row], plan_input.hours
    given = plan_input.genset_output_kw
    was = np.append(bool(plan_input.genset_on[row]), running[:-1])
    before = np.append(output[0] if given is None else given[row], output[:-1])
    free = given is None
    for way, moved, fresh, ramp, edge in (
        ("rises", output - before, running & ~was, genset.ramp_up_kw_per_hour, genset.start_kw),
        ("falls", before - output, was & ~running, genset.ramp_down_kw_per_hour, genset.stop_kw),
    ):
        usual = genset.power_kw if ramp is None else ramp * h
        most = np.where(fresh, genset.power_kw if edge is None else edge, usual)
        excess = moved - most
        if free:
            excess[0] = 0.0
        yield from _worst(
            plan_input, genset.id, f"produce_kw {way} too fast", excess, "kW", TOLERANCE_KW
        )


def _capped(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    if plan_input.co2_cap_kg is None:
        return
    grams = plan_input.grid.co2_g_per_kwh * plan.schedule["import_kw"].values
    for genset, output in zip(
        plan_input.genset, _column(plan_input, plan, "genset", "produce_kw"), strict=True
    ):
        grams = grams + genset.co2_g_per_kwh * output
    excess = plan_input.hours / 1e3 * np.cumsum(grams) - plan_input.co2_cap_kg
    yield from _worst(plan_input, "emissions", "are above their cap", excess, "kg", TOLERANCE_KWH)


def _either(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    s = plan.schedule
    both = np.minimum(s["charge_kw"].values, s["discharge_kw"].values)
    for asset, row in zip(plan_input.asset_ids, both, strict=True):
        yield from _worst(
            plan_input, asset, "charges and discharges at once", row, "kW", TOLERANCE_KW
        )
    both = np.minimum(s["import_kw"].values, s["export_kw"].values)
    yield from _worst(
        plan_input, plan_input.grid.id, "imports and exports at once", both, "kW", TOLERANCE_KW
    )


def cut_excess(
    plan_input: PlanInput, schedule: xr.Dataset, cuts: Sequence[LinearCut] | None = None
) -> Floats:
    """Return by how many kW of its strongest asset each cut is broken (negative: room)."""
    cuts = plan_input.cuts if cuts is None else cuts
    # lists: picking one number from an array takes longer than the sum
    net = dict(zip(plan_input.asset_ids, _injected(schedule).tolist(), strict=True))
    net[plan_input.grid.id] = (schedule["import_kw"].values - schedule["export_kw"].values).tolist()
    excess = np.empty(len(cuts))
    for i, cut in enumerate(cuts):
        step, coefficients = cut.step, cut.coefficient
        total = math.fsum([c * net[asset][step] for asset, c in coefficients.items()])
        excess[i] = (total - cut.limit_kw) / max(map(abs, coefficients.values()))
    return excess


def _cuts_hold(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for cut, excess in zip(plan_input.cuts, cut_excess(plan_input, plan.schedule), strict=True):
        if excess > TOLERANCE_KW:
            yield f"cut {cut.name} {plan_input.label(cut.step)} is broken by {excess:.6g} kW"


def _movable(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    for asset, what, excess, unit in excesses(plan_input, plan):
        yield from _worst(plan_input, asset, what, excess, unit, TOLERANCE)


def _reserve(plan_input: PlanInput, plan: Plan) -> Iterator[str]:
    """Yield where the headroom missing while islanded is not what the plan says."""
    stated = plan.schedule["reserve_short_kw"].values
    off = reserve_short(plan_input, plan.schedule) - stated
    for what, excess in (("shorter", off), ("less short", -off)):
        yield from _worst(
            plan_input, "reserve", f"is {what} than stated", excess, "kW", TOLERANCE_KW
        )


def reserve_short(plan_input: PlanInput, schedule: xr.Dataset) -> Floats:
    """Return the headroom missing in each islanded step, the worse of both directions, kW."""
    up, down = reserve_missing(plan_input, schedule)
    return np.maximum(up, down)


def reserve_missing(plan_input: PlanInput, schedule: xr.Dataset) -> tuple[Floats, Floats]:
    """Return the headroom missing in each islanded step, upwards and downwards, kW."""
    h = plan_input.hours
    up, down = np.zeros(plan_input.n), np.zeros(plan_input.n)
    stored, room = np.full((2, plan_input.n), np.inf)
    forming = [i for i, battery in enumerate(plan_input.battery) if battery.forming]
    if forming:
        stored, room = np.zeros((2, plan_input.n))
        charge, discharge, energy = (
            schedule[name].values[plan_input.rows("battery")]
            for name in ("charge_kw", "discharge_kw", "energy_kwh")
        )
        for i in forming:
            battery = plan_input.battery[i]
            up += battery.power_kw - discharge[i] + charge[i]
            down += battery.power_kw - charge[i] + discharge[i]
            stored += (energy[i] - battery.min_energy_kwh) * battery.discharge_efficiency / h
            room += (battery.energy_kwh - energy[i]) / (battery.charge_efficiency * h)
    else:
        running = schedule["on"].values[plan_input.rows("genset")].astype(np.float64)
        output = schedule["produce_kw"].values[plan_input.rows("genset")]
        for i, genset in enumerate(plan_input.genset):
            up += genset.power_kw * running[i] - output[i]
            down += output[i] - genset.min_power_kw * running[i]
    islanded = ~plan_input.grid_available & (plan_input.reserve_kw > 0.0)
    need = np.where(islanded, plan_input.reserve_kw, -np.inf)
    return (
        np.maximum(0.0, need - np.minimum(up, stored)),
        np.maximum(0.0, need - np.minimum(down, room)),
    )


def survival_missing(plan_input: PlanInput, schedule: xr.Dataset) -> Floats:
    """Return what is stored too little after each step for critical load to outlive it, kWh.

    Found by trying: an outage begins after each step, and the forming batteries share the load.
    """
    missing = np.zeros(plan_input.n)
    if plan_input.critical_kw is None or not plan_input.survive_steps:
        return missing
    forming = [i for i, battery in enumerate(plan_input.battery) if battery.forming]
    known = [plan_input.battery[i] for i in forming]
    energy = schedule["energy_kwh"].values[plan_input.rows("battery")][forming]
    ahead = np.append(
        plan_input.critical_kw, np.full(plan_input.survive_steps, plan_input.critical_kw[-1])
    )
    power = np.array([battery.power_kw for battery in known])
    least = np.array([battery.min_energy_kwh for battery in known])
    kept = np.array([battery.discharge_efficiency for battery in known])
    for t in range(plan_input.n):
        left = np.clip((energy[:, t] - least) * kept, 0.0, None) / plan_input.hours
        for load in ahead[t + 1 : t + 1 + plan_input.survive_steps]:
            given = _shared(float(load), power, left)
            missing[t] += max(0.0, float(load) - float(given.sum())) * plan_input.hours
            left = left - given
    return missing


def _shared(load: float, power: Floats, left: Floats) -> Floats:
    """Share a load, kW: who could go on longest at full power gives first.

    No other way serves more of a load that is not known ahead (Evans, Tindemans and Angeli,
    IEEE Trans. Power Syst. 33(5), 2018, doi:10.1109/TPWRS.2018.2806482).
    """
    most = np.minimum(power, left)
    if float(most.sum()) <= load:
        return most
    lasts = left / np.maximum(power, 1e-9)
    low, high = 0.0, float(lasts.max())
    for _ in range(60):
        level = (low + high) / 2.0
        given = float(np.clip((lasts - level) * power, 0.0, most).sum())
        low, high = (level, high) if given > load else (low, level)
    return np.clip((lasts - low) * power, 0.0, most)


_RULES = (
    _shape,
    _finite,
    _limits,
    _balance,
    _stores,
    _gensets,
    _movable,
    _capped,
    _either,
    _cuts_hold,
    _reserve,
)
