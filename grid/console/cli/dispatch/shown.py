"""A plan as people and machines read it: a table by interval with totals, and the same as CSV."""

from __future__ import annotations

import csv
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from dispatch.compare import Comparison
    from dispatch.plan import Plan, PlanInput

_SHOWN = 40


def say(text: str) -> None:
    """Tell of progress on the error output."""
    print(f"khazri: {text}", file=sys.stderr, flush=True)


def values(column: xr.DataArray) -> Any:
    """Return a schedule's values as lists; NaN, "not limited" or "no store", is null in JSON."""
    array = column.to_numpy().astype(object)
    array[column.isnull().to_numpy()] = None
    return array.tolist()


def kept(given: PlanInput, plan: Plan) -> dict[str, Any]:
    """Return the whole schedule for a file."""
    return {
        "start_s": given.start_s,
        "interval_s": given.interval_s,
        "assets": list(given.asset_ids),
        "schedule": {str(name): values(one) for name, one in plan.schedule.items()},
    }


def number(value: float) -> float | None:
    """Return a number as JSON has it; null for one that a rule does not have."""
    return None if value != value else value


def plan_facts(given: PlanInput, plan: Plan, seconds: float) -> dict[str, Any]:
    """Return what a plan costs and why it does what it does, for machines."""
    from dispatch.cost import day_cost

    cost = day_cost(given, plan.schedule)
    return {
        "status": plan.status,
        "source": plan.source,
        "start": given.label(0),
        "steps": given.n,
        "cost": number(plan.objective),
        "items": asdict(cost),
        "gap": number(plan.gap),
        "seconds": seconds,
        "energy_kwh": energies(given, plan),
        "marginal_price": values(plan.schedule["marginal_price"]),
        "reasons": [one.text for one in plan.reasons],
        "binding": [[given.label(step), name] for step, name in plan.binding_cuts],
    }


def energies(given: PlanInput, plan: Plan) -> dict[str, float]:
    """Return what was drawn, fed in, used, and what each asset gives less what it takes, kWh."""
    net = _net(plan)
    bought = plan.schedule["import_kw"].values.sum()
    sold = plan.schedule["export_kw"].values.sum()
    sums = {"demand": given.demand_kw.sum(), "import": bought, "export": sold}
    sums |= {str(asset): row.sum() for asset, row in zip(given.asset_ids, net, strict=True)}
    return {name: given.hours * float(value) for name, value in sums.items()}


def _net(plan: Plan) -> Any:
    from dispatch.compare import given_taken

    gave, took = given_taken(plan)
    return gave - took


def plan_text(given: PlanInput, plan: Plan, seconds: float) -> str:
    """Return a plan as a table by interval with totals, its costs, and its reasons."""
    from dispatch.cost import day_cost

    schedule, net = plan.schedule, _net(plan)
    tanks = given.rows("heat")
    if given.heat:
        net[tanks] = schedule["boiler_kw"].values[tanks]
    items = asdict(day_cost(given, schedule))
    ids = [str(asset) for asset in given.asset_ids]
    width = max(8, *(len(name) for name in ids)) + 1 if ids else 9
    total = sum(items.values())
    gap = "" if plan.gap != plan.gap else f"gap {plan.gap:.2%}   "
    lines = [
        f"cost {total:,.4f}   {gap}{plan.status}   {plan.source}   {seconds:.1f} s",
        "      " + "  ".join(f"{key} {value:,.4f}" for key, value in items.items() if value),
        "",
        "kW given (+) and taken (-)" + (", of tanks what the boiler gives" if given.heat else ""),
        f"{'from':<18}{'demand':>9}{'grid':>9}{'price':>9}" + "".join(f"{i:>{width}}" for i in ids),
    ]
    bought = (schedule["import_kw"] - schedule["export_kw"]).values
    price = schedule["marginal_price"].values

    def line(label: str, demand: float, grid: float, cost: str, row: Any) -> str:
        cells = "".join(f"{value:>{width}.2f}" for value in row)
        return f"{label:<18}{demand:>9.2f}{grid:>9.2f}{cost:>9}{cells}"

    lines += [
        line(given.label(t), given.demand_kw[t], bought[t], f"{price[t]:.4f}", net[:, t])
        for t in range(given.n)
    ]
    h = given.hours
    totals = h * float(given.demand_kw.sum()), h * float(bought.sum())
    lines.append(line("kWh in all", *totals, "", h * net.sum(axis=1)))
    return "\n".join([*lines, "", *(one.text for one in plan.reasons)])


def write_csv(path: Path, given: PlanInput, plan: Plan) -> None:
    """Write a plan by interval: demand, grid, price, and each column of each asset that has one."""
    schedule = plan.schedule
    columns: dict[str, Any] = {"demand_kw": given.demand_kw}
    for name in ("import_kw", "export_kw", "unserved_kw", "reserve_short_kw", "marginal_price"):
        columns[name] = schedule[name].values
    for row, asset in enumerate(given.asset_ids):
        for key, one in schedule.items():
            if "asset" in one.dims and (one.values[row] != 0).any() and one.notnull()[row].any():
                columns[f"{asset} {key}"] = one.values[row]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["from", *columns])
        for t in range(given.n):
            cells = ("" if one[t] != one[t] else f"{float(one[t]):.9g}" for one in columns.values())
            writer.writerow([given.label(t), *cells])


def compared_text(found: Comparison) -> str:
    """Return what another plan costs more, and the set-points that it moves."""
    lines = [
        f"costs {found.cost:+,.4f} against the plan without the change",
        "      " + "  ".join(f"{key} {v:+,.4f}" for key, v in found.items.items() if abs(v) > 5e-5),
    ]
    if not found.moved:
        return "\n".join([*lines, "no set-point changes"])
    width = max(8, *(len(one.asset) for one in found.moved))
    lines += ["", f"{'from':<18}{'asset':<{width}}{'before kW':>11}{'then kW':>11}"]
    lines += [
        f"{one.at:<18}{one.asset:<{width}}{one.before_given_kw - one.before_taken_kw:>11.2f}"
        f"{one.after_given_kw - one.after_taken_kw:>11.2f}"
        for one in found.moved[:_SHOWN]
    ]
    more = len(found.moved) - _SHOWN
    return "\n".join([*lines, *([f"and {more} more set-points"] if more > 0 else [])])


def compared_facts(found: Comparison) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "cost": found.cost,
        "items": found.items,
        "moved": [asdict(one) for one in found.moved],
    }
