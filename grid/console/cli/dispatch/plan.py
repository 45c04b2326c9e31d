"""``khazri dispatch plan``: what the next plan of a site or of a problem file would be."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid import interval
from grid.console.cli.dispatch.shown import (
    compared_facts,
    compared_text,
    plan_facts,
    plan_text,
    say,
    write_csv,
)
from grid.console.cli.options import UsageError, answer, as_json, instant, number, whole

if TYPE_CHECKING:
    from dispatch.plan import Plan, PlanInput

Change = Callable[["PlanInput"], "PlanInput"]
Planned = tuple["PlanInput", "Plan", list[str]]


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    parser = verbs.add_parser(
        "plan",
        help="what the next plan would be; what if a number were another",
        description="Plans a site from what its store holds, as its next cycle would, or a problem "
        "from a file. Nothing is sent and nothing is kept. With --set a second plan is made of "
        "changed numbers and held against the first: what it costs more, and which set-points "
        "move.",
    )
    source(parser, "--at")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="keep the plan by interval")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=CHANGE",
        help="what if: demand=+5%%, buy_price=+0.02, asset.B-1.power_kw=20; may be repeated",
    )
    as_json(parser)
    parser.set_defaults(run=run)


def source(parser: argparse.ArgumentParser, start: str) -> None:
    """Declare where a plan comes from: a site's folder and the option `start`, or a file."""
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="SITE_DIR|FILE.toml",
        help="folder of a site, or a problem of one's own; by default --dir",
    )  # fmt: skip
    parser.add_argument("--dir", type=Path, default=Path(), help="folder of the site")
    parser.add_argument(
        start, type=instant, metavar="T", help="start of a plan of the site; the next by default"
    )
    parser.add_argument(
        "--gap", type=number(0.0, 1.0), default=1e-3, help="of a file's plan (default 0.001)"
    )
    parser.add_argument(
        "--nodes", type=whole(0, 10_000_000), default=10_000, help="of a file's plan, at most"
    )


def run(options: argparse.Namespace) -> int:
    """Print the plan, and what a change would do; 1 when there is no plan."""
    from dispatch.compare import compared
    from dispatch.what_if import changed, parse

    changes = [parse(text) for text in options.changes]
    begun = time.perf_counter()
    with planner(options, options.at) as made:
        given, plan, told = made(None)
        seconds = time.perf_counter() - begun
        facts = plan_facts(given, plan, seconds) | {"findings": told}
        text = "\n".join([plan_text(given, plan, seconds), *told])
        shown = given, plan
        if changes:
            then, other, told = made(lambda before: changed(before, changes))
            found = compared((given, plan), (then, other))
            facts["what_if"] = compared_facts(found) | {
                "changes": options.changes,
                "plan": plan_facts(then, other, 0.0) | {"findings": told},
            }
            what = ", ".join(options.changes)
            text = "\n".join([text, "", f"with {what}:", compared_text(found), *told])
            shown = then, other
    if options.csv is not None:
        write_csv(options.csv, *shown)
    answer(options, facts, text)
    return 0


@contextmanager
def planner(
    options: argparse.Namespace, start_s: int | None
) -> Iterator[Callable[[Change | None], Planned]]:
    """Yield what plans the source of a command's options, with a change or without."""
    path: Path = options.source or options.dir
    if not path.is_dir():
        if start_s is not None:
            raise UsageError(f"{interval.label(start_s)}: a problem file has its own start")
        yield _of_file(path, options)
        return
    from grid.operation import commission, loss_cases
    from grid.operation.next_plan import next_plan

    with closing(commission.open_store(path)) as store:
        room = loss_cases.looked_at(path, store)

        def planned(change: Change | None) -> Planned:
            say(f"planning {room.site.name}" + (" with the change" if change else ""))
            made = next_plan(room, start_s, change)
            return made.plan_input, made.plan, [one.message for one in made.findings]

        with closing(room.solver):
            yield planned


def _of_file(path: Path, options: argparse.Namespace) -> Callable[[Change | None], Planned]:
    from dispatch.problem_file import read
    from dispatch.solve import solve

    given = read(path)

    def planned(change: Change | None) -> Planned:
        used = given if change is None else change(given)
        return used, solve(used, gap=options.gap, nodes=options.nodes), []

    return planned
