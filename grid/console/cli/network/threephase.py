"""``khazri network threephase``: unbalanced power flow at the network's own loads and plants."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.console.cli.network.options import network
from grid.console.cli.options import answer

if TYPE_CHECKING:
    import xarray as xr

    from grid.errors import Finding
    from networks.threephase.model import ThreePhaseModel

_SHOWN = 5


def declare(verbs: Any) -> None:
    """Declare the options."""
    parser = verbs.add_parser(
        "threephase",
        help="unbalanced power flow: voltages by phase, unbalance, neutral currents",
        description="Unbalanced power flow at the network's own loads and plants. Symmetric "
        "loads are a third in each phase unless FILE.csv says which phase they are on.",
    )
    network(parser)
    parser.add_argument(
        "--phases",
        type=Path,
        metavar="FILE.csv",
        help="columns bus,phase: puts the loads and plants of a bus on a, b, c, or abc",
    )
    parser.add_argument(
        "--assume-zero-sequence",
        action="store_true",
        help="assume zero-sequence data that the network lacks, and say what was assumed",
    )
    parser.add_argument(
        "--judge", action="store_true", help="compare with pandapower's runpp_3ph as well"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the state of the three phases; exit 1 when the judge differs."""
    from networks.threephase.assignment import on_phases, read_phases
    from networks.threephase.flow import nominal_flow
    from networks.threephase.limits import findings
    from networks.threephase.source import load

    model = load(
        options.network,
        source_voltage_pu=options.voltage,
        base_dir=Path.cwd(),
        assume_zero_sequence=options.assume_zero_sequence,
    )
    if options.phases is not None:
        model = on_phases(model, read_phases(options.phases))
    state = nominal_flow(model).isel(interval=0)
    broken = findings(state.expand_dims("interval"), model)
    facts = _facts(model, state)
    facts["findings"] = [one.message for one in (*model.findings, *broken)]
    agrees = True
    if options.judge:
        facts["judge_vm_pu"] = gap = _judged(model, state)
        agrees = gap <= 1e-6
    answer(options, facts, "\n".join(_text(options.network, facts, (*model.findings, *broken))))
    return 0 if agrees else 1


def _facts(model: ThreePhaseModel, state: xr.Dataset) -> dict[str, Any]:
    vm_pu = state["vm_pu"].to_numpy()
    loads = (model.nominal_wye + model.nominal_delta).sum(axis=1)
    unbalance = state["unbalance_percent"].to_numpy()
    neutral, rated = state["line_neutral_a"].to_numpy(), model.line.rated_from_ka * 1e3
    worst_buses = np.argsort(-np.nan_to_num(unbalance, nan=-1.0), kind="stable")[:_SHOWN]
    worst_lines = np.argsort(-neutral, kind="stable")[:_SHOWN]
    return {
        "source_voltage_pu": model.source_voltage_pu,
        "buses": len(model.bus),
        "absorbed_kw": dict(zip("abc", loads[0].tolist(), strict=True)),
        "injected_kw": dict(zip("abc", loads[1].tolist(), strict=True)),
        "losses_kw": float(state["losses_kw"]),
        "unserved_kw": float(state["unserved_kw"]),
        "lowest": _extreme(model, vm_pu, int(np.nanargmin(vm_pu))),
        "highest": _extreme(model, vm_pu, int(np.nanargmax(vm_pu))),
        "unbalance": [
            {"bus": int(model.bus[row]), "name": model.bus_name[row],
             "unbalance_percent": float(unbalance[row]), "vm_pu": vm_pu[row].tolist()}
            for row in worst_buses.tolist()
        ],
        "neutral": [
            {"line": int(model.line.index[row]), "name": model.line.name[row],
             "neutral_a": float(neutral[row]),
             "percent_of_phase_rating": float(100.0 * neutral[row] / rated[row]),
             "phase_loading_percent": state["line_loading_percent"].to_numpy()[row].tolist()}
            for row in worst_lines.tolist()
        ],
        "trafo_neutral_a": state["trafo_neutral_a"].to_numpy().tolist(),
    }  # fmt: skip


def _extreme(model: ThreePhaseModel, vm_pu: Any, flat: int) -> dict[str, Any]:
    row, phase = divmod(flat, 3)
    return {
        "vm_pu": float(vm_pu[row, phase]),
        "bus": int(model.bus[row]),
        "name": model.bus_name[row],
        "phase": "abc"[phase],
    }


def _judged(model: ThreePhaseModel, state: xr.Dataset) -> float:
    from networks.threephase.judge import compare, judge_flow

    whole = state.expand_dims("interval")
    truth = judge_flow(
        model,
        *model.nominal_wye[:, None],
        starts=whole["interval"].to_numpy(),
        delta=list(model.nominal_delta[:, None]),
    )
    return compare(whole, truth)["vm_pu"]


def _text(source: str, facts: dict[str, Any], found: tuple[Finding, ...]) -> list[str]:
    lines = [f"{source}: {facts['buses']} buses, {facts['source_voltage_pu']:.3f} pu at the head"]
    for name in ("absorbed_kw", "injected_kw"):
        each = ", ".join(f"{phase} {kw:.2f}" for phase, kw in facts[name].items())
        what = name.removesuffix("_kw")
        lines.append(f"{what:<9} {sum(facts[name].values()):9.2f} kW   ({each})")
    lines.append(f"losses    {facts['losses_kw']:9.3f} kW")
    if facts["unserved_kw"] > 0:
        lines.append(f"unserved  {facts['unserved_kw']:9.2f} kW at dead buses")
    for name in ("lowest", "highest"):
        one = facts[name]
        where = f"bus {_named(one['bus'], one['name'])}"
        lines.append(f"{name:<9} {one['vm_pu']:9.4f} pu   {where}, phase {one['phase']}")
    lines += ["", "most unbalanced buses           V2/V1 %    a pu    b pu    c pu"]
    for row in facts["unbalance"]:
        name = _named(row["bus"], row["name"])
        volts = " ".join(f"{value:7.4f}" for value in row["vm_pu"])
        lines.append(f"  {name:<28} {row['unbalance_percent']:8.3f} {volts}")
    lines += ["", "largest neutral currents              A  % of phase rating"]
    for row in facts["neutral"]:
        name = _named(row["line"], row["name"])
        lines.append(f"  {name:<28} {row['neutral_a']:8.2f} {row['percent_of_phase_rating']:8.1f}")
    lines += [
        f"  trafo {number:<22} {current:8.2f}"
        for number, current in enumerate(facts["trafo_neutral_a"])
    ]
    if "judge_vm_pu" in facts:
        gap = facts["judge_vm_pu"]
        lines += ["", f"runpp_3ph differs by {gap:.1e} pu"]
    lines += ["", *(one.message for one in found[:20])] if found else ["", "within limits"]
    if len(found) > 20:
        lines.append(f"and {len(found) - 20} more; --json has all of them")
    return [*lines, "other phases: --phases FILE.csv (columns bus,phase)"]


def _named(index: int, name: str) -> str:
    return (f"{index} {name}" if name not in ("", str(index)) else f"{index}")[:28]
