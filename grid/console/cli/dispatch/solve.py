"""``khazri dispatch solve``: a unit-commitment problem from a file, solved, checked, printed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, number, whole

if TYPE_CHECKING:
    import xarray as xr

    from dispatch.commitment import Commitment, CommitmentProblem
    from dispatch.plan import Plan, PlanInput

_NAME = 20


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    parser = verbs.add_parser(
        "solve",
        help="solve a problem from a file",
        description="Reads a problem in our own format (TOML, assets as in a site file) or of "
        "the pglib-uc benchmark (JSON), finds what each asset does, checks "
        "every rule again outside the solver, and prints cost, gap and schedule. Exit "
        "status 1 when there is none, with when and how much is missing.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="our own TOML, or pglib-uc JSON")
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
    """Solve the file; print cost, gap and commitment; 1 when there is none."""
    from dispatch.pglib import read
    from dispatch.uc import facts, solve

    if options.file.suffix == ".toml":
        return _planned(options)
    problem = read(options.file)
    size = f"{len(problem.thermal)} thermal generators, {problem.n} hours"
    print(f"solving {size} to a gap of {options.gap:g}", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    found = solve(problem, gap=options.gap, nodes=options.nodes)
    seconds = time.perf_counter() - begun
    if options.out is not None:
        text = json.dumps(facts(problem, found), allow_nan=False)
        options.out.write_text(text + "\n", encoding="utf-8")
    answer(options, _facts(problem, found, seconds), _text(problem, found, seconds))
    return 0


def _planned(options: argparse.Namespace) -> int:
    """Solve a problem of our own format; print costs, the plan of each asset, and why."""
    from dispatch.cost import day_cost
    from dispatch.problem_file import read
    from dispatch.solve import solve

    given = read(options.file)
    begun = time.perf_counter()
    plan = solve(given, gap=options.gap, nodes=options.nodes)
    seconds = time.perf_counter() - begun
    if options.out is not None:
        kept = {
            "start_s": given.start_s,
            "interval_s": given.interval_s,
            "assets": list(given.asset_ids),
            "schedule": {str(name): _values(one) for name, one in plan.schedule.items()},
        }
        options.out.write_text(json.dumps(kept, allow_nan=False) + "\n", encoding="utf-8")
    cost = asdict(day_cost(given, plan.schedule))
    facts = {
        "status": plan.status,
        "cost": plan.objective,
        "items": cost,
        "gap": plan.gap,
        "seconds": seconds,
        "marginal_price": plan.schedule["marginal_price"].values.tolist(),
        "reasons": [one.text for one in plan.reasons],
    }
    answer(options, facts, _plan_text(given, plan, cost, seconds))
    return 0


def _values(values: xr.DataArray) -> Any:
    """Return a schedule's values as lists; NaN, "not limited" or "no store", is null in JSON."""
    array = values.to_numpy().astype(object)
    array[values.isnull().to_numpy()] = None
    return array.tolist()


def _plan_text(given: PlanInput, plan: Plan, cost: dict[str, float], seconds: float) -> str:
    schedule = plan.schedule
    given_kw = schedule["produce_kw"] + schedule["discharge_kw"] + schedule["shed_kw"]
    net = (given_kw - schedule["charge_kw"]).values
    heat = given.rows("heat")
    if given.heat:
        net[heat] = schedule["boiler_kw"].values[heat]
    ids = [str(asset) for asset in given.asset_ids]
    width = max(8, *(len(name) for name in ids)) + 1 if ids else 9
    lines = [
        f"cost {plan.objective:,.4f}   gap {plan.gap:.2%}   {plan.status}   {seconds:.1f} s",
        "      " + "  ".join(f"{key} {value:,.4f}" for key, value in cost.items() if value),
        "",
        "kW given (+) and taken (-)" + (", of tanks what the boiler gives" if given.heat else ""),
        f"{'from':<18}{'demand':>9}{'grid':>9}{'price':>9}" + "".join(f"{i:>{width}}" for i in ids),
    ]
    bought = (schedule["import_kw"] - schedule["export_kw"]).values
    price = schedule["marginal_price"].values
    lines += [
        f"{given.label(t):<18}{given.demand_kw[t]:>9.2f}{bought[t]:>9.2f}{price[t]:>9.4f}"
        + "".join(f"{row[t]:>{width}.2f}" for row in net)
        for t in range(given.n)
    ]
    return "\n".join([*lines, "", *(one.text for one in plan.reasons)])


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
