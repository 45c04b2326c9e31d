"""``khazri fleet plan``: the plans of many problems, here or on the workers of a scheduler."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grid.console.cli.fleet.workers import Watch, must_exclude, say, ways, workers
from grid.console.cli.options import answer, as_json, number, seed, whole

_SHOWN = 5


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    plan = verbs.add_parser(
        "plan",
        help="plans of many problem files",
        description="Plans each problem of files or folders, or many problems derived from one "
        "file. Stopped or killed, it goes on where it was when it is started again with the same "
        "--dir. Exit status 1 when a problem has no plan.",
    )
    plan.add_argument(
        "--sites", type=Path, nargs="+", required=True, metavar="DIR|FILE",
        help="problem files (TOML) and folders of them",
    )  # fmt: skip
    plan.add_argument(
        "--generate", type=whole(1, 1_000_000), metavar="N",
        help="N problems derived from one file: other load, weather and prices",
    )  # fmt: skip
    plan.add_argument("--seed", type=seed, default=1, help="of how they differ from the file")
    plan.add_argument("--gap", type=number(0.0, 1.0), default=1e-3, help="default 0.001")
    plan.add_argument("--nodes", type=whole(0, 10_000_000), default=10_000, help="default 10000")
    ways(plan, "plan")
    plan.add_argument(
        "--dir", type=Path, default=Path("khazri-plans"), help="folder of the results"
    )
    as_json(plan)
    plan.set_defaults(run=run_plan)


def run_plan(options: argparse.Namespace) -> int:
    """Plan what the folder does not have yet; print what the fleet costs."""
    must_exclude(options)
    from dispatch.fleet.problems import fleet
    from dispatch.fleet.run import Store, results, run
    from grid.fleet.results import read_findings

    given = fleet(
        options.sites,
        generate=options.generate,
        seed=options.seed,
        gap=options.gap,
        nodes=options.nodes,
    )
    with Store(options.dir, given) as store:
        watch = Watch(store, "plans")
        try:
            if len(store.pending):
                with workers(options) as client:
                    run(store, client=client, tell=watch.told)
        except KeyboardInterrupt:
            say(f"stopped with {len(store.pending)} problems to do; the same command goes on")
            raise
    values, done = results(options.dir)
    found = read_findings(options.dir, done)
    facts = _facts(values, options) | watch.facts("plans_per_s")
    facts["findings"] = [row.message for rows in found.values() for row in rows]
    answer(options, facts, _text(facts))
    return 1 if found else 0


def _facts(values: Any, options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from dispatch.fleet.jobs import QUANTITIES

    solved = values[~np.isnan(values[:, 0])]
    sums = dict(zip(QUANTITIES, solved.sum(axis=0).tolist(), strict=True))
    return {
        "directory": str(options.dir),
        "problems": len(values),
        "planned": len(solved),
        "cost": sums["cost"],
        "gap": float(solved[:, QUANTITIES.index("gap")].max(initial=0.0)),
        **{name: sums[name] for name in QUANTITIES if name.endswith("_kwh")},
    }


def _text(facts: dict[str, Any]) -> str:
    lines = [
        f"plans     {facts['planned']:,} of {facts['problems']:,}, in {facts['directory']}",
        f"cost      {facts['cost']:,.2f} in all, gap {facts['gap']:.2%} at most",
        f"energy    {_energy(facts)}",
    ]
    if facts["solved_now"]:
        lines.append(
            f"now       {facts['solved_now']:,} in {facts['seconds']:.1f} s on {facts['workers']} "
            f"processes, {facts['plans_per_s']:.1f} a second once started"
            + (f"; {facts['workers_lost']} workers lost" if facts["workers_lost"] else "")
        )
    lines += [f"no plan   {message}" for message in facts["findings"][:_SHOWN]]
    if len(facts["findings"]) > _SHOWN:
        lines.append(f"          and {len(facts['findings']) - _SHOWN} more in findings.json")
    return "\n".join(lines)


def _energy(facts: dict[str, Any]) -> str:
    return (
        f"{facts['demand_kwh']:,.0f} kWh used, {facts['import_kwh']:,.0f} bought, "
        f"{facts['export_kwh']:,.0f} sold, {facts['curtailed_kwh']:,.0f} withheld, "
        f"{facts['shed_kwh']:,.1f} shed"
    )
