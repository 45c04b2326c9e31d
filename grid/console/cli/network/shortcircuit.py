"""``khazri network shortcircuit``: IEC 60909 currents, and whether protection sees them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import source
from grid.console.cli.options import UsageError, answer, as_json, number
from grid.errors import BadInputError

if TYPE_CHECKING:
    import xarray as xr

    from grid.errors import Finding
    from networks.faults.assumptions import Assumptions
    from networks.faults.protection import Reach

_NEXT = {
    "faults.converter_left_out": "--converter-k 1.2 counts what converters add",
    "faults.no_zero_sequence": "--zero-sequence 4,4 states that of four-core cables",
    "faults.end_temperature_assumed": "--end-temperature 80 states how hot conductors get",
    "protection.no_reach": "a smaller fuse, one further out, or a thicker cable",
}
"""What to do next about a finding."""
_MISSING = {"s_sc_": "--s-sc-mva", "zero-sequence": "--zero-sequence 4,4"}


def declare(verbs: Any) -> None:
    """Declare the options."""
    parser = verbs.add_parser(
        "shortcircuit", help="short-circuit currents after IEC 60909, and the reach of protection"
    )
    parser.add_argument("network", type=source, metavar="NETWORK", help="as of 'network flow'")
    parser.add_argument("--case", choices=("max", "min"), help="both when not given")
    parser.add_argument(
        "--fault", choices=("3ph", "2ph", "1ph"), help="all that the data allow when not given"
    )
    power = number(0.01, 1e6, "MVA")
    parser.add_argument(
        "--s-sc-mva", type=power, metavar="MVA", help="short-circuit power of the feeding network"
    )
    parser.add_argument(
        "--s-sc-min-mva", type=power, metavar="MVA", help="its least one; --s-sc-mva when not given"
    )
    parser.add_argument(
        "--rx", type=number(0.0, 100.0), metavar="R/X", help="of the feeding network"
    )
    parser.add_argument(
        "--end-temperature",
        type=number(20.0, 300.0, "°C"),
        metavar="CELSIUS",
        help="of conductors at the end of the fault, for the minimum current",
    )
    parser.add_argument(
        "--converter-k",
        type=number(0.5, 10.0, "times the rated current"),
        metavar="K",
        help="what converters add, in rated currents",
    )
    parser.add_argument(
        "--zero-sequence",
        type=_ratios,
        metavar="R0/R1,X0/X1",
        help="of lines that have none, such as 4,4; transformers are then --vector-group",
    )
    parser.add_argument("--vector-group", default="Dyn", metavar="GROUP", help="default Dyn")
    parser.add_argument(
        "--tolerance", type=int, choices=(6, 10), default=10, help="of low voltage, in percent"
    )
    parser.add_argument(
        "--protect",
        action="store_true",
        help="whether a gG fuse proposed for each feeder sees every fault behind it",
    )
    parser.add_argument("--island", type=int, metavar="BUS", help="an inverter there feeds alone")
    parser.add_argument("--inverter-mva", type=power, metavar="MVA", help="its rated power")
    parser.add_argument(
        "--inverter-k",
        type=number(0.5, 10.0, "times the rated current"),
        default=1.5,
        metavar="K",
        help="its greatest current, in rated currents (default 1.5)",
    )
    as_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the currents and what protection makes of them; 1 when a device does not reach."""
    from grid.errors import Finding, Severity
    from networks.faults.island import FormingInverter, island_short_circuit
    from networks.faults.protection import propose_feeder_fuses, reach
    from networks.faults.short_circuit import CASES, short_circuit
    from networks.sources.source import read_net

    if (options.island is None) != (options.inverter_mva is None):
        raise UsageError("--island BUS and --inverter-mva MVA go together")
    net = read_net(options.network, base_dir=Path.cwd())
    cases = CASES if options.protect or options.case is None else (options.case,)
    chosen: dict[str, Any] = {
        "cases": cases,
        "faults": None if options.protect or options.fault is None else (options.fault,),
        "tolerance_percent": options.tolerance,
    }
    given = _assumptions(options)
    try:
        if options.island is None:
            dataset, findings = short_circuit(net, given, **chosen)
        else:
            inverter = FormingInverter(options.island, options.inverter_mva, options.inverter_k)
            dataset, findings = island_short_circuit(net, inverter, given, **chosen)
    except BadInputError as error:
        hint = next((option for part, option in _MISSING.items() if part in str(error)), None)
        raise BadInputError(f"{error}; see {hint}" if hint else str(error)) from error
    if options.s_sc_mva is not None and options.s_sc_min_mva is None:
        message = (
            "the least short-circuit power of the feeding network is not given: the most stands "
            "for it, and protection may reach less far; see --s-sc-min-mva"
        )
        findings.append(Finding("faults.minimum_assumed", "network", "", Severity.WARNING, message))
    reaches: list[Reach] = []
    if options.protect:
        reaches, more = reach(net, propose_feeder_fuses(net), dataset)
        findings += more
    names = {int(bus): str(name) for bus, name in net.bus["name"].items()}
    facts = _facts(dataset, names, findings, reaches)
    answer(options, facts, _text(dataset, names, findings, reaches, options.protect))
    return 0 if all(made.reaches for made in reaches) else 1


def _assumptions(options: argparse.Namespace) -> Assumptions:
    from networks.faults.assumptions import Assumptions, ZeroSequence

    zero = None
    if options.zero_sequence is not None:
        r_ratio, x_ratio = options.zero_sequence
        zero = ZeroSequence(r_ratio, x_ratio, options.vector_group)
    least = options.s_sc_mva if options.s_sc_min_mva is None else options.s_sc_min_mva
    return Assumptions(
        s_sc_max_mva=options.s_sc_mva,
        s_sc_min_mva=least,
        rx=options.rx,
        end_temperature_celsius=options.end_temperature,
        converter_k=options.converter_k,
        zero_sequence=zero,
    )


def _facts(
    dataset: xr.Dataset,
    names: dict[int, str],
    findings: list[Finding],
    reaches: list[Reach],
) -> dict[str, Any]:
    units = {name: str(values.attrs.get("units", "")) for name, values in dataset.items()}
    buses = []
    for bus in dataset["bus"].to_numpy().tolist():
        at = dataset.sel(bus=bus)
        currents = {
            f"{fault}_{case}": {
                str(name): _plain(at[name].sel(fault=fault, case=case).item()) for name in dataset
            }
            for fault in dataset["fault"].to_numpy().tolist()
            for case in dataset["case"].to_numpy().tolist()
        }
        buses.append({"bus": bus, "name": names[bus], "vn_kv": at["vn_kv"].item()} | currents)
    return {
        "assumptions": dataset.attrs["assumptions"],
        "standard": dataset.attrs["standard"],
        "units": {str(name): unit for name, unit in units.items() if unit},
        "buses": buses,
        "protection": [_reach_facts(made) for made in reaches],
        "findings": [
            {"code": f.code, "subject": f.subject, "severity": f.severity, "message": f.message}
            for f in findings
        ],
    }


def _plain(value: Any) -> Any:
    return None if value != value else value


def _reach_facts(made: Reach) -> dict[str, Any]:
    device = made.device
    return {
        "device": device.name,
        "kind": device.kind,
        "rated_a": device.rated_a,
        "proposed": device.proposed,
        "branch": list(device.branch),
        "within_s": device.within_s,
        "operates_a": made.operates_a,
        "least_a": _plain(made.least_a),
        "worst_bus": made.worst_bus,
        "worst_fault": made.worst_fault,
        "margin": _plain(made.margin),
        "reaches": made.reaches,
        "suggested_a": made.suggested_a,
    }


def _text(
    dataset: xr.Dataset,
    names: dict[int, str],
    findings: list[Finding],
    reaches: list[Reach],
    protect: bool,
) -> str:
    lines = []
    for fault in dataset["fault"].to_numpy().tolist():
        for case in dataset["case"].to_numpy().tolist():
            currents = dataset["ikss_ka"].sel(fault=fault, case=case).dropna("bus")
            if not currents.size:
                lines.append(f"{fault} {case}  no bus has a current")
                continue
            ordered = currents.sortby(currents)
            low, high = ordered.isel(bus=0), ordered.isel(bus=-1)
            lines.append(
                f"{fault} {case}  {low.item():8.3f} kA at bus {_at(low, names)} to "
                f"{high.item():.3f} kA at bus {_at(high, names)}"
            )
    lines += [f"assumed   {note}" for note in dataset.attrs["assumptions"]]
    for made in reaches:
        verdict = "reaches" if made.reaches else "DOES NOT REACH"
        lines.append(
            f"{made.device.label()} at line {made.device.branch[1]}: {verdict}, "
            f"{made.least_a:.0f} A at bus {made.worst_bus} ({made.worst_fault}), needs "
            f"{made.operates_a:.0f} A in {made.device.within_s:g} s, margin {made.margin:.2f}"
        )
    if protect and not reaches:
        lines.append("no feeder leaves a low-voltage busbar: no fuse is proposed")
    lines += [f"{finding.severity:8}  {finding.message}" for finding in findings]
    codes = {finding.code for finding in findings}
    lines += [f"next      {hint}" for code, hint in _NEXT.items() if code in codes]
    return "\n".join(lines)


def _at(current: xr.DataArray, names: dict[int, str]) -> str:
    bus = int(current["bus"])
    return f"{bus} {names[bus]!r}"


def _ratios(text: str) -> tuple[float, float]:
    ratio = number(0.1, 100.0, what="two ratios, such as 4,4, each")
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be two ratios such as 4,4")
    return ratio(parts[0]), ratio(parts[1])
