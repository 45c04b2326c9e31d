"""``khazri dispatch solve``: a unit-commitment problem from a file, solved, checked, printed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.dispatch.shown import kept, plan_facts, plan_text
from grid.console.cli.options import answer, as_json, number, whole

if TYPE_CHECKING:
    from dispatch.commitment import Commitment, CommitmentProblem

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
    from dispatch.problem_file import read
    from dispatch.solve import solve

    given = read(options.file)
    begun = time.perf_counter()
    plan = solve(given, gap=options.gap, nodes=options.nodes)
    seconds = time.perf_counter() - begun
    if options.out is not None:
        text = json.dumps(kept(given, plan), allow_nan=False)
        options.out.write_text(text + "\n", encoding="utf-8")
    answer(options, plan_facts(given, plan, seconds), plan_text(given, plan, seconds))
    return 0


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
