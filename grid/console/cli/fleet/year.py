"""``khazri fleet year``: the years of many feeders, here or on the workers of a scheduler."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.fleet.workers import Watch, must_exclude, say, ways, workers
from grid.console.cli.network.options import limits, source
from grid.console.cli.options import answer, as_json, seed, whole

if TYPE_CHECKING:
    import xarray as xr

    from networks.fleet.fleet import Fleet

_ERROR_PU = 1e-8
_SHOWN = 5


def declare(verbs: Any) -> None:
    """Declare the verb's options."""
    year = verbs.add_parser(
        "year",
        help="a year of power flow of many feeders",
        description="Solves a year of power flow of feeders derived from SimBench. Stopped or "
        "killed, it goes on where it was when it is started again with the same --dir.",
    )
    year.add_argument("--feeders", type=whole(1, 1_000_000), default=1_000, metavar="N")
    year.add_argument(
        "--scenario", type=whole(0, 2), default=1, help="of SimBench: 0 today, 1, 2 years ahead"
    )
    year.add_argument(
        "--base",
        type=source,
        action="append",
        metavar="simbench:CODE",
        help="to derive feeders from, once for each; six low-voltage feeders by default",
    )
    year.add_argument("--seed", type=seed, default=1, help="of how feeders differ from their base")
    ways(year, "solve")
    year.add_argument(
        "--dir", type=Path, default=Path("khazri-fleet"), help="folder of the results"
    )
    year.add_argument(
        "--verify", type=whole(0, 1_000), default=0, metavar="N", help="compare N drawn feeders"
    )
    year.add_argument("--out", type=Path, metavar="FILE.nc", help="keep the results as NetCDF too")
    limits(year)
    as_json(year)
    year.set_defaults(run=run_year)


def run_year(options: argparse.Namespace) -> int:
    """Solve what the folder does not have yet, and print what a planner looks at."""
    must_exclude(options)
    from networks.fleet.base import sources
    from networks.fleet.fleet import plan
    from networks.fleet.jobs import Limits
    from networks.fleet.results import findings, read
    from networks.fleet.run import run
    from networks.fleet.store import Store

    low_pu, high_pu = options.band
    fleet = plan(
        options.base or sources(options.scenario),
        count=options.feeders,
        seed=options.seed,
        limits=Limits(low_pu, high_pu, options.loading),
        tell=lambda name: say(f"loading {name} and its year of series"),
    )
    with Store(options.dir, fleet) as store:
        watch = Watch(store, "feeder-years")
        try:
            if len(store.pending):
                with workers(options) as client:
                    run(store, client=client, tell=watch.told)
        except KeyboardInterrupt:
            say(f"stopped with {len(store.pending)} feeders to do; the same command goes on")
            raise
    results = read(options.dir)
    if options.out is not None:
        results.to_netcdf(options.out, engine="scipy")
    facts = _facts(results, options) | watch.facts("feeder_years_per_s")
    found = findings(options.dir)
    facts["findings"] = [one.message for one in found]
    text = _text(facts)
    held = not found
    if options.verify:
        gap_pu = _verified(fleet, results, options)
        facts["error_pu"] = gap_pu
        held = held and gap_pu <= _ERROR_PU
        text += (
            f"\nrunpp     {gap_pu:.1e} pu away at most (limit {_ERROR_PU:g}) on {options.verify} "
            f"feeders drawn by seed {options.seed}"
        )
    answer(options, facts, text)
    return 0 if held else 1


def _facts(results: xr.Dataset, options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from networks.fleet.results import STATES

    solved = results.isel(feeder=np.flatnonzero(results["state"] == STATES.index("solved")))
    out_h = solved["below_band_h"] + solved["above_band_h"]
    return {
        "directory": str(options.dir),
        "feeders": int(results.sizes["feeder"]),
        "solved": int(solved.sizes["feeder"]),
        "band_pu": list(options.band),
        "out_of_band": int((out_h > 0).sum()),
        "below_band": int((solved["below_band_h"] > 0).sum()),
        "above_band": int((solved["above_band_h"] > 0).sum()),
        "loading_percent": options.loading,
        "overloaded": int((solved["overload_h"] > 0).sum()),
        "losses_kwh": float(solved["losses_kwh"].sum()),
        "head_import_kwh": float(solved["head_import_kwh"].sum()),
        "head_export_kwh": float(solved["head_export_kwh"].sum()),
        "recheck_pu": float(solved["recheck_pu"].max()) if solved.sizes["feeder"] else None,
        "worst": [
            {
                "feeder": int(one["feeder"]),
                "source": str(one["source"].values),
                "below_band_h": float(one["below_band_h"]),
                "above_band_h": float(one["above_band_h"]),
                "overload_h": float(one["overload_h"]),
                "vm_pu_lowest": float(one["vm_pu_lowest"]),
                "vm_pu_lowest_at": f"{one['vm_pu_lowest_at'].values}Z",
                "vm_pu_highest": float(one["vm_pu_highest"]),
                "vm_pu_highest_at": f"{one['vm_pu_highest_at'].values}Z",
                "line_loading_percent": float(one["line_loading_percent"]),
                "trafo_loading_percent": float(one["trafo_loading_percent"]),
            }
            for one in _worst(solved)
        ],
    }


def _worst(solved: xr.Dataset) -> list[xr.Dataset]:
    """Return the feeders longest outside the band or overloaded, then the most loaded ones."""
    import numpy as np

    hours = solved["below_band_h"] + solved["above_band_h"] + solved["overload_h"]
    loading = solved[["line_loading_percent", "trafo_loading_percent"]].to_array().max("variable")
    order = np.lexsort((-loading.to_numpy(), -hours.to_numpy()))
    return [solved.isel(feeder=int(place)) for place in order[:_SHOWN]]


def _text(facts: dict[str, Any]) -> str:
    low, high = facts["band_pu"]
    solved, count = facts["solved"], facts["feeders"]
    lines = [f"feeders   {solved:,} of {count:,} solved, a year each, in {facts['directory']}"]
    if facts["solved_now"]:
        rate = facts["feeder_years_per_s"]
        speed = f", {rate:.2f} feeder-years a second once started" if rate else ""
        lines.append(
            f"now       {facts['solved_now']:,} in {facts['seconds']:.1f} s on "
            f"{facts['workers']} processes{speed}"
            + (f"; {facts['workers_lost']} workers lost" if facts["workers_lost"] else "")
        )
    lines.append(
        f"band      {facts['out_of_band']:,} feeders leave {low:g} to {high:g} pu: "
        f"{facts['below_band']:,} below, {facts['above_band']:,} above; "
        f"{facts['overloaded']:,} load a branch beyond {facts['loading_percent']:g} %"
    )
    lines.append(
        f"energy    {facts['head_import_kwh'] * 1e-3:,.0f} MWh from the grid, "
        f"{facts['head_export_kwh'] * 1e-3:,.0f} MWh to it, "
        f"{facts['losses_kwh'] * 1e-3:,.0f} MWh lost"
    )
    if facts["recheck_pu"] is not None:
        lines.append(
            f"recheck   {facts['recheck_pu']:.1e} pu at most between the compiled year and the "
            "plain power flow, on drawn intervals of each feeder"
        )
    lines += _table(facts["worst"])
    lines += [f"unsolved  {message}" for message in facts["findings"][:_SHOWN]]
    if len(facts["findings"]) > _SHOWN:
        lines.append(f"          and {len(facts['findings']) - _SHOWN} more in findings.json")
    return "\n".join(lines)


def _table(worst: list[dict[str, Any]]) -> list[str]:
    """Return the worst feeders, one a line under their headings."""
    form = "{:<10}{:>6}  {:<27}{:>8}{:>9}{:>11}{:>8}{:>9}{:>12}"
    head = ("lowest pu", "highest", "outside h", "line %", "trafo %", "overload h")
    lines = [form.format("worst", "feeder", "of", *head)] if worst else []
    lines += [
        form.format(
            "",
            one["feeder"],
            one["source"].removeprefix("simbench:"),
            f"{one['vm_pu_lowest']:.4f}",
            f"{one['vm_pu_highest']:.4f}",
            f"{one['below_band_h'] + one['above_band_h']:,.2f}",
            f"{one['line_loading_percent']:.0f}",
            f"{one['trafo_loading_percent']:.0f}",
            f"{one['overload_h']:,.2f}",
        )
        for one in worst
    ]
    return lines


def _verified(fleet: Fleet, results: xr.Dataset, options: argparse.Namespace) -> float:
    """Return how far drawn intervals of drawn feeders are from ``runpp``."""
    from networks.fleet.verify import verify

    say(f"comparing {options.verify} feeders with pandapower's runpp")
    verdicts = verify(fleet, results, feeders=options.verify, seed=options.seed)
    return max((one.gap_pu for one in verdicts), default=0.0)
