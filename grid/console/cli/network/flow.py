"""``khazri network flow|year``: the power flow of one moment, or of a year."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import answer, seed, whole

if TYPE_CHECKING:
    import xarray as xr

    from networks.model import NetworkModel

_ERROR_PU = 1e-8
_SHOWN = 5


def declare(verbs: Any) -> None:
    """Declare the options."""
    once = verbs.add_parser("flow", help="power flow at the network's own loads and plants")
    network(once)
    once.add_argument(
        "--verify", action="store_true", help="compare with pandapower's own power flow"
    )
    once.set_defaults(run=run_flow)
    whole_year = verbs.add_parser("year", help="power flow of a SimBench network's year")
    network(whole_year)
    whole_year.add_argument(
        "--verify", type=whole(0, 35_136), default=0, metavar="N", help="compare N drawn steps"
    )
    whole_year.add_argument("--seed", type=seed, default=1, help="of the steps drawn")
    whole_year.add_argument("--out", type=Path, metavar="FILE.nc", help="keep the result")
    whole_year.set_defaults(run=run_year)


def run_flow(options: argparse.Namespace) -> int:
    """Print the state at nominal loads."""
    from networks.flow.year import nominal_flow

    model = loaded(options)
    state = nominal_flow(model)
    facts = _state_facts(model, state)
    text = (
        f"voltage   {facts['vm_pu_lowest']:.5f} pu at {facts['lowest_at']} to "
        f"{facts['vm_pu_highest']:.5f} pu at {facts['highest_at']}\n"
        f"loading   {facts['loading_percent']:.1f} % of {facts['most_loaded']}\n"
        f"losses    {facts['losses_kw']:.3f} kW\n"
        f"from grid {facts['head_import_kw']:.3f} kW, to grid {facts['head_export_kw']:.3f} kW"
    )
    if facts["dead_buses"]:
        text += (
            f"\ndead      {len(facts['dead_buses'])} buses that no source reaches, "
            f"{facts['unserved_kw']:.3f} kW unserved: {facts['dead_buses'][:_SHOWN]}"
        )
    held = True
    if options.verify:
        from networks.flow.judge import verify

        facts["error_pu"] = verify(model, state, steps=[0])
        held = facts["error_pu"] <= _ERROR_PU
        text += f"\nrunpp     {facts['error_pu']:.1e} pu away, at most {_ERROR_PU:g}"
    answer(options, facts, text)
    return 0 if held else 1


def _state_facts(model: NetworkModel, state: xr.Dataset) -> dict[str, Any]:
    from networks.limits.findings import branch_namer

    vm_pu = state["vm_pu"].to_numpy()[0]
    low, high = int(np.nanargmin(vm_pu)), int(np.nanargmax(vm_pu))
    loads = {
        branch_namer(model, table)(row): float(value)
        for table in ("line", "trafo")
        for row, value in enumerate(state[f"{table}_loading_percent"].to_numpy()[0])
    }
    most = max(loads, key=lambda name: loads[name], default="")
    return {
        "vm_pu_lowest": float(vm_pu[low]),
        "lowest_at": model.bus_label(low),
        "vm_pu_highest": float(vm_pu[high]),
        "highest_at": model.bus_label(high),
        "loading_percent": loads.get(most, 0.0),
        "most_loaded": most,
        "losses_kw": float(state["losses_kw"][0]),
        "head_import_kw": float(state["head_import_kw"][0]),
        "head_export_kw": float(state["head_export_kw"][0]),
        "dead_buses": model.bus[np.isnan(vm_pu)].tolist(),
        "unserved_kw": float(state["unserved_kw"][0]),
    }


def run_year(options: argparse.Namespace) -> int:
    """Solve a year, compare drawn steps with pandapower, and print what a planner looks at."""
    from networks.flow.year import year, year_inputs
    from networks.sources.demo import load_year

    def progress(text: str) -> None:
        print(f"khazri: {text}", file=sys.stderr, flush=True)

    progress(f"loading {options.network} and its year of series")
    model = loaded(options)
    inputs = year_inputs(model, load_year(options.network))
    year(model, inputs.isel(interval=slice(0, 64)))  # loads the compiled code
    began = time.perf_counter_ns()
    result = year(model, inputs)
    taken_s = (time.perf_counter_ns() - began) * 1e-9
    count = int(inputs.sizes["interval"])
    facts = _year_facts(model, result) | {"steps": count, "seconds": taken_s}
    text = _year_text(facts)
    held = True
    if options.verify:
        progress(f"comparing {options.verify} of {count:,} steps with pandapower's runpp")
        told = _verified(model, inputs, result, options.verify, options.seed, taken_s / count)
        facts |= told
        held = told["error_pu"] <= _ERROR_PU
        text += (
            f"\nrunpp     {told['error_pu']:.1e} pu away at most (limit {_ERROR_PU:g}) in "
            f"{options.verify} steps drawn by seed {options.seed}; {told['times_runpp']:,.0f} "
            "times as fast"
        )
    if options.out is not None:
        result.to_netcdf(options.out, engine="scipy")
    answer(options, facts, text)
    return 0 if held else 1


def _year_facts(model: NetworkModel, result: xr.Dataset) -> dict[str, Any]:
    starts = result["interval"].to_numpy()
    hours = float(np.diff(starts[:2]).astype("timedelta64[s]").astype(int)[0]) / 3600
    low, high = (
        int(np.nanargmin(result["vm_pu_minimum"])),
        int(np.nanargmax(result["vm_pu_maximum"])),
    )
    absorbed = float(result["head_import_kw"].sum()) * hours
    return {
        "vm_pu_lowest": float(result["vm_pu_minimum"][low]),
        "lowest_at": model.bus_label(low),
        "lowest_when": str(starts[int(result["vm_pu_lowest"].to_numpy().argmin())]) + "Z",
        "vm_pu_highest": float(result["vm_pu_maximum"][high]),
        "highest_at": model.bus_label(high),
        "highest_when": str(starts[int(result["vm_pu_highest"].to_numpy().argmax())]) + "Z",
        "line_percent": float(result["line_loading_percent"].to_numpy().max(initial=0.0)),
        "trafo_percent": float(result["trafo_loading_percent"].to_numpy().max(initial=0.0)),
        "head_import_kwh": absorbed,
        "head_export_kwh": float(result["head_export_kw"].sum()) * hours,
        "losses_kwh": float(result["losses_kw"].sum()) * hours,
        "residual_mva": float(result["residual_mva"].max()),
    }


def _year_text(facts: dict[str, Any]) -> str:
    return (
        f"steps     {facts['steps']:,} in {facts['seconds']:.3f} s, every bus, line and "
        "transformer\n"
        f"lowest    {facts['vm_pu_lowest']:.4f} pu at {facts['lowest_at']}, "
        f"{facts['lowest_when']}\n"
        f"highest   {facts['vm_pu_highest']:.4f} pu at {facts['highest_at']}, "
        f"{facts['highest_when']}\n"
        f"loading   line {facts['line_percent']:.1f} %, transformer "
        f"{facts['trafo_percent']:.1f} % at most\n"
        f"energy    {facts['head_import_kwh']:,.0f} kWh from the grid, "
        f"{facts['head_export_kwh']:,.0f} kWh to it, {facts['losses_kwh']:,.0f} kWh lost"
    )


def _verified(
    model: NetworkModel,
    inputs: xr.Dataset,
    result: xr.Dataset,
    count: int,
    drawn_by: int,
    ours_s: float,
) -> dict[str, Any]:
    """Return how far drawn steps of the year are from ``runpp``, and how much faster they were."""
    from networks.flow.judge import judge_year

    draw = np.random.default_rng(drawn_by)
    steps = np.sort(draw.choice(inputs.sizes["interval"], size=count, replace=False))
    gap_pu, theirs_s = judge_year(model, inputs, result, steps.tolist())
    return {"error_pu": gap_pu, "times_runpp": theirs_s / count / ours_s}
