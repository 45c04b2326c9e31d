"""``khazri dispatch solve``: a problem from a file, solved, checked, printed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, number, whole
from grid.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr

    from dispatch.commitment import Commitment, CommitmentProblem
    from dispatch.plan import Plan, PlanInput

_NAME = 20


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    parser = verbs.add_parser(
        "solve",
        help="solve a problem from a file: ours, or of the pglib-uc benchmark",
        description="Reads a plan's whole input (khazri-plan-1) or a unit-commitment problem of "
        "the pglib-uc benchmark, solves it, checks every rule again outside the solver, and "
        "prints cost, gap and the schedule. Exit status 1 when there is none, with what is "
        "missing when.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON, of either format")
    parser.add_argument(
        "--gap",
        type=number(0.0, 1.0),
        default=1e-3,
        help="relative distance to the proven optimum at which to stop (default 0.001)",
    )
    parser.add_argument(
        "--nodes",
        type=whole(0, 10_000_000),
        default=10_000,
        help="of branch and bound, after which to stop with the best found (default 10000)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the schedule as JSON")
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Solve the file; print cost, gap and schedule; 1 when there is none."""
    from dispatch import pglib, plan_file

    try:
        octets = options.file.read_bytes()
    except OSError as error:
        raise BadInputError(f"{options.file}: {error.strerror or error}") from error
    if plan_file.is_plan(octets):
        return _plan(options, plan_file.read(options.file))
    return _commitment(options, pglib.read(options.file))


def _keep(options: argparse.Namespace, kept: dict[str, Any]) -> None:
    if options.out is not None:
        text = json.dumps(kept, allow_nan=False)
        options.out.write_text(text + "\n", encoding="utf-8")


def _commitment(options: argparse.Namespace, problem: CommitmentProblem) -> int:
    from dispatch.uc import facts, solve

    size = f"{len(problem.thermal)} thermal generators, {problem.n} hours"
    print(f"solving {size} to a gap of {options.gap:g}", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    found = solve(problem, gap=options.gap, nodes=options.nodes)
    seconds = time.perf_counter() - begun
    _keep(options, facts(problem, found))
    answer(options, _facts(problem, found, seconds), _text(problem, found, seconds))
    return 0


def _plan(options: argparse.Namespace, plan_input: PlanInput) -> int:
    from dispatch.cost import day_cost
    from dispatch.solve import solve

    begun = time.perf_counter()
    plan = solve(plan_input, gap=options.gap, nodes=options.nodes)
    seconds = time.perf_counter() - begun
    cost = day_cost(plan_input, plan.schedule)
    items = {name: getattr(cost, name) for name in cost.__dataclass_fields__}
    told = {
        "status": plan.status,
        "cost": plan.objective,
        "gap": plan.gap,
        "seconds": seconds,
        "steps": plan_input.n,
        "items": items,
        "reasons": [reason.text for reason in plan.reasons],
    }
    schedule = {
        str(name): {"dims": list(values.dims), "values": _values(values)}
        for name, values in plan.schedule.items()
    }
    _keep(options, {**told, "assets": list(plan_input.asset_ids), "schedule": schedule})
    answer(options, told, _plan_text(plan_input, plan, items, seconds))
    return 0


def _values(values: xr.DataArray) -> Any:
    """Return a schedule's values as lists; NaN, "not limited" or "no store", is null in JSON."""
    array = values.to_numpy().astype(object)
    array[values.isnull().to_numpy()] = None
    return array.tolist()


def _plan_text(plan_input: PlanInput, plan: Plan, items: dict[str, float], seconds: float) -> str:
    of = plan.schedule
    made = of["produce_kw"].values.sum(axis=0)
    given = of["discharge_kw"].values.sum(axis=0) - of["charge_kw"].values.sum(axis=0)
    shed = of["shed_kw"].values.sum(axis=0)
    lines = [
        f"cost {plan.objective:,.4f}   gap {plan.gap:.2%}   {plan.status}   {seconds:.1f} s",
        "   ".join(f"{name} {value:,.4f}" for name, value in items.items() if value),
        "",
        "start               demand  produced   stores  import  export    shed   kW   price",
    ]
    lines += [
        f"{plan_input.label(t):17}  {plan_input.demand_kw[t]:8.2f}  {made[t]:8.2f}  "
        f"{given[t]:+7.2f}  {of['import_kw'].values[t]:6.2f}  {of['export_kw'].values[t]:6.2f}  "
        f"{shed[t]:6.2f}      {of['marginal_price'].values[t]:7.4f}"
        for t in range(plan_input.n)
    ]
    lines += ["", *(reason.text for reason in plan.reasons)]
    return "\n".join(lines)


def _facts(problem: CommitmentProblem, found: Commitment, seconds: float) -> dict[str, Any]:
    return {
        "status": found.status,
        "cost": found.cost,
        "gap": found.gap,
        "seconds": seconds,
        "hours": problem.n,
        "thermal_generators": len(problem.thermal),
        "renewable_generators": len(problem.renewable),
        "hours_on": {
            unit.name: int(on.sum()) for unit, on in zip(problem.thermal, found.on, strict=True)
        },
    }


def _text(problem: CommitmentProblem, found: Commitment, seconds: float) -> str:
    served = found.output_mw.sum(axis=0)
    renewable = found.renewable_mw.sum(axis=0)
    kept = found.reserve_mw.sum(axis=0)
    lines = [
        f"cost {found.cost:,.2f}   gap {found.gap:.2%}   {found.status}   {seconds:.1f} s",
        "",
        "hour   demand MW  thermal MW  renewable MW  reserve MW   on",
    ]
    lines += [
        f"{t + 1:4d}  {problem.demand_mw[t]:10.1f}  {served[t]:10.1f}  {renewable[t]:12.1f}  "
        f"{kept[t]:10.1f}  {int(found.on[:, t].sum()):3d}"
        for t in range(problem.n)
    ]
    lines += ["", f"{'generator':{_NAME}}  on █  off ·"]
    never = 0
    for unit, on in zip(problem.thermal, found.on, strict=True):
        if on.any():
            state = "".join("█" if running else "·" for running in on)
            lines.append(f"{unit.name[:_NAME]:{_NAME}}  {state}")
        else:
            never += 1
    if never:
        lines.append(f"{never} others are never on")
    return "\n".join(lines)
