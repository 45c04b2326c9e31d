"""``khazri dispatch explain``: what limits a set-point, what else it could be, what changes it."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.dispatch.plan import planner, source
from grid.console.cli.dispatch.shown import say
from grid.console.cli.options import answer, as_json, instant, number

if TYPE_CHECKING:
    from dispatch.plan import Plan, PlanInput, Reason


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    parser = verbs.add_parser(
        "explain",
        help="why a set-point is not another",
        description="For each set-point of a plan's step: what limits it and what a little more "
        "room would save, what it would cost to push it either way or to switch a genset, and from "
        "which price (in an island: from which load) on it would be another. The plan is solved "
        "again for each of these.",
    )
    source(parser, "--plan")
    parser.add_argument(
        "--at", type=instant, metavar="T", help="a step of it; the first by default"
    )
    parser.add_argument(
        "--asset", action="append", metavar="ID", help="of these alone; all by default"
    )
    parser.add_argument(
        "--push", type=number(1e-3, 1e6, "kW"), metavar="KW",
        help="by how much set-points are pushed; a tenth of the rating by default",
    )  # fmt: skip
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what is to be said of each set-point."""
    from dispatch.decisions import decisions

    begun = time.perf_counter()
    with planner(options, options.plan) as made:
        given, plan, findings = made(None)
    step = 0 if options.at is None else _step(given, options.at)
    say(f"solving the plan again to explain {given.label(step)}")
    told = decisions(
        given, step=step, assets=options.asset, by_kw=options.push, nodes=options.nodes
    )
    seconds = time.perf_counter() - begun
    # what is said of a plan's first step is known without solving again
    first = [one for one in plan.reasons if step == 0 and _asked(options, one.subject)]
    facts = {
        "start": given.label(0),
        "at": given.label(step),
        "source": plan.source,
        "findings": findings,
        "seconds": seconds,
        "reasons": [asdict(one) for one in (*first, *told)],
    }
    answer(options, facts, _text(given, plan, step, (*first, *told)))
    return 0


def _asked(options: argparse.Namespace, subject: str) -> bool:
    return options.asset is None or subject in options.asset


def _step(given: PlanInput, at_s: int) -> int:
    from grid.errors import BadInputError

    step, off = divmod(at_s - given.start_s, given.interval_s)
    if off or not 0 <= step < given.n:
        raise BadInputError(
            f"no step of the plan begins then: the first at {given.label(0)}, the last at "
            f"{given.label(given.n - 1)}, each {given.interval_s} s"
        )
    return step


def _text(given: PlanInput, plan: Plan, step: int, told: tuple[Reason, ...]) -> str:
    from dispatch.compare import given_taken

    gave, took = given_taken(plan)
    rows = {str(asset): row for row, asset in enumerate(given.asset_ids)}
    lines = [f"plan of {given.label(0)}, step {given.label(step)}"]
    for subject in dict.fromkeys(one.subject for one in told):
        head = subject
        if subject in rows:
            row = rows[subject]
            head += f"   gives {gave[row, step]:.2f} kW, takes {took[row, step]:.2f} kW"
        lines += ["", head]
        lines += [
            "  " + one.text.removeprefix(f"{subject}: ") for one in told if one.subject == subject
        ]
    return "\n".join(lines)
