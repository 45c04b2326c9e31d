"""``khazri network host``: what can still be connected at each bus, and what limits it."""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import UsageError, answer, number, seed, whole

if TYPE_CHECKING:
    import xarray as xr

    from networks.hosting.addition import Addition
    from networks.hosting.limits import HostingLimits
    from networks.model import NetworkModel

_SHOWN = 40
_RATED = ("its rated loads and plants", "its rated plants alone", "its rated loads alone")


def declare(verbs: Any) -> None:
    """Declare the options."""
    host = verbs.add_parser("host", help="hosting capacity of each bus, and what limits it")
    network(host)
    host.add_argument("--bus", type=whole(0, 2**31), action="append", help="only this one; again")
    host.add_argument("--direction", choices=("plant", "load"), default="plant")
    host.add_argument("--voltage-max", type=number(0.5, 1.5), default=1.1, metavar="PU")
    host.add_argument("--voltage-min", type=number(0.5, 1.5), default=0.9, metavar="PU")
    host.add_argument("--loading-max", type=number(1, 1000), default=100.0, metavar="PERCENT")
    host.add_argument(
        "--rise-max",
        type=number(0.1, 50),
        metavar="PERCENT",
        help="that all plants may lift a low-voltage bus by; VDE-AR-N 4105: 3",
    )
    host.add_argument(
        "--power-factor", type=number(0.5, 1), default=1.0, help="takes reactive power below 1"
    )
    host.add_argument(
        "--coincidence",
        type=number(0.01, 1),
        metavar="SHARE",
        help="of its rating, what a plant gives when the plants that are there peak; 1, else",
    )
    host.add_argument(
        "--always", action="store_true", help="a plant gives its rating in every interval"
    )
    host.add_argument("--ceiling", type=number(0.1, 1e7), metavar="KW", help="search up to here")
    host.add_argument(
        "--verify", type=whole(0, 10**6), metavar="N", help="judge N drawn answers in all intervals"
    )
    host.add_argument("--joint", action="store_true", help="all these buses together, equally")
    host.add_argument(
        "--drawn", type=whole(1, 10_000), metavar="N", help="spread over N drawn orders of buses"
    )
    host.add_argument("--size", type=number(0.1, 1e6), default=10.0, metavar="KW", help="of those")
    host.add_argument("--seed", type=seed, default=1, help="of what is drawn")
    host.add_argument("--out", type=Path, metavar="FILE.csv", help="keep the table")
    host.set_defaults(run=run_host)


def _progress(text: str) -> None:
    print(f"khazri: {text}", file=sys.stderr, flush=True)


def run_host(options: argparse.Namespace) -> int:
    """Print what each bus can host."""
    from networks.hosting.addition import Addition, coincident
    from networks.hosting.limits import HostingLimits

    if options.voltage_min >= options.voltage_max:
        raise UsageError("--voltage-min must be below --voltage-max")
    if options.joint and options.drawn:
        raise UsageError("--joint and --drawn are two questions: ask one")
    if options.always and options.coincidence is not None:
        raise UsageError("--always and --coincidence are two profiles: give one")
    if options.out is not None and (options.joint or options.drawn):
        raise UsageError("--out keeps the table of buses, which --joint and --drawn do not make")
    _progress(f"loading {options.network} and its series")
    model = loaded(options)
    inputs, series = _inputs(model, options)
    profile = None
    if options.direction == "plant" and not options.always:
        profile = coincident(inputs, options.coincidence or 1.0)
    elif options.direction == "plant":
        profile = coincident(inputs) * 0.0 + 1.0
    addition = Addition(options.direction, options.power_factor, profile=profile)
    limits = HostingLimits(
        options.voltage_min, options.voltage_max, options.loading_max, options.rise_max
    )
    told = {"network": options.network, "direction": options.direction, "series": series}
    if options.joint:
        return _joint(options, model, inputs, addition, limits, told)
    if options.drawn:
        return _drawn(options, model, inputs, addition, limits, told)
    return _each(options, model, inputs, addition, limits, told)


def _inputs(model: NetworkModel, options: argparse.Namespace) -> tuple[xr.Dataset, str]:
    """Return a series to judge in, and what it is."""
    from networks.flow.year import year_inputs
    from networks.hosting.addition import rated_inputs

    if options.network.startswith("simbench:"):
        from networks.sources.demo import load_year

        inputs = year_inputs(model, load_year(options.network))
        return inputs, f"{inputs.sizes['interval']:,} intervals of the network's year"
    return rated_inputs(model), "its rated loads and plants, together and alone"


def _buses(model: NetworkModel, options: argparse.Namespace, inputs: xr.Dataset) -> list[int]:
    """Return the buses asked for, or those with loads."""
    if options.bus:
        return list(dict.fromkeys(options.bus))
    loaded_ = inputs["absorbed_kw"].max("interval").to_numpy() > 0.0
    live = model.node >= 0
    return [int(bus) for bus, on, has in zip(model.bus, live, loaded_, strict=True) if on and has]


def _each(
    options: argparse.Namespace,
    model: NetworkModel,
    inputs: xr.Dataset,
    addition: Addition,
    limits: HostingLimits,
    told: dict[str, Any],
) -> int:
    from networks.hosting.capacity import hosting

    found = hosting(
        model, inputs, addition=addition, limits=limits, buses=options.bus,
        ceiling_kw=options.ceiling, check=options.verify, seed=options.seed, progress=_progress,
    )  # fmt: skip
    rows = _rows(model, found, not options.network.startswith("simbench:"))
    if options.out is not None:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    checked = int(found["checked"].sum())
    facts = told | {
        "checked": checked,
        "corrected": found.attrs["corrected"],
        "ceiling_kw": found.attrs["ceiling_kw"],
        "buses": rows,
    }
    answer(options, facts, _table(rows, facts))
    return 0


def _rows(model: NetworkModel, found: xr.Dataset, is_rated: bool) -> list[dict[str, Any]]:
    import numpy as np

    rows = []
    for place, bus in enumerate(found["bus"].to_numpy().tolist()):
        one = found.isel(bus=place)
        size = float(one["hosting_kw"])
        at = one["limit_at"].to_numpy()
        rows.append(
            {
                "bus": bus,
                "name": model.bus_name[model.position(bus)],
                # Rounded down: what is told is kept.
                "hosting_kw": None if math.isnan(size) else math.floor(size * 100) / 100,
                "limit": str(one["limit"].item()),
                "limit_kind": str(one["limit_kind"].item()),
                "limit_at": None if np.isnat(at) else _when(at, is_rated),
                "capped": bool(one["capped"]),
                "checked": bool(one["checked"]),
            }
        )
    return rows


def _when(at: Any, is_rated: bool) -> str:
    """Return the interval that decides; those of a network without a year have no time."""
    if is_rated:
        return _RATED[int(at.astype("datetime64[s]").astype(int))]
    return f"{str(at)[:16]}Z"


def _table(rows: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    width = max([4, *(len(row["name"]) for row in rows)])
    lines = [f"{'bus':>6}  {'name':<{width}}{'kW':>10}  limited by"]
    for row in sorted(rows, key=lambda one: one["hosting_kw"] or 0.0)[:_SHOWN]:
        size = "–" if row["hosting_kw"] is None else f"{row['hosting_kw']:.2f}"
        why = "nothing: the search ends here" if row["capped"] else row["limit"]
        at = f", {row['limit_at']}" if row["limit_at"] else ""
        lines.append(f"{row['bus']:>6}  {row['name']:<{width}}{size:>10}  {why}{at}")
    if len(rows) > _SHOWN:
        lines.append(f"… and {len(rows) - _SHOWN} more; --out FILE.csv keeps all")
    kinds = Counter(row["limit_kind"] or "capped" for row in rows)
    lines.append("limits    " + ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()))
    lines.append(
        f"judged    {facts['checked']} of {len(rows)} answers in {facts['series']}; "
        f"{facts['corrected']} were made smaller by it"
    )
    return "\n".join(lines)


def _joint(
    options: argparse.Namespace,
    model: NetworkModel,
    inputs: xr.Dataset,
    addition: Addition,
    limits: HostingLimits,
    told: dict[str, Any],
) -> int:
    from networks.hosting.capacity import joint

    buses = _buses(model, options, inputs)
    found = joint(
        model, inputs, dict.fromkeys(buses, 1.0), addition=addition, limits=limits,
        ceiling_kw=options.ceiling, progress=_progress,
    )  # fmt: skip
    total, limit = float(found["hosting_kw"]), str(found["limit"].item())
    facts = told | {
        "buses": len(buses),
        "hosting_kw": round(total, 2),
        "each_kw": round(total / len(buses), 3),
        "limit": limit,
        "capped": bool(found["capped"]),
        "checked": bool(found["checked"]),
    }
    text = (
        f"together  {total:.2f} kW, {total / len(buses):.3f} kW at each of {len(buses)} buses\n"
        f"limited   {limit or 'by nothing: the search ends here'}\n"
        f"judged    in {told['series']}"
    )
    answer(options, facts, text)
    return 0


def _drawn(
    options: argparse.Namespace,
    model: NetworkModel,
    inputs: xr.Dataset,
    addition: Addition,
    limits: HostingLimits,
    told: dict[str, Any],
) -> int:
    from networks.hosting.deployment import deployments

    buses = _buses(model, options, inputs)
    found = deployments(
        model, inputs, dict.fromkeys(buses, options.size), draws=options.drawn,
        seed=options.seed, addition=addition, limits=limits, progress=_progress,
    )  # fmt: skip
    spread = [
        (float(at), float(percent), float(kw))
        for at, percent, kw in zip(
            found["quantile"], found["penetration_percent_quantile"], found["kept_kw_quantile"],
            strict=True,
        )
    ]  # fmt: skip
    kinds = Counter(str(kind) or "none" for kind in found["limit_kind"].to_numpy())
    facts = told | {
        "sites": len(buses),
        "size_kw": options.size,
        "draws": options.drawn,
        "seed": options.seed,
        "quantiles": [
            {"quantile": at, "penetration_percent": percent, "kept_kw": kw}
            for at, percent, kw in spread
        ],
        "limit_kinds": dict(kinds.most_common()),
    }
    orders = f"{options.drawn} orders (seed {options.seed}) of {len(buses)} sites"
    lines = [f"{orders} of {options.size:g} kW, up to the first broken limit:"]
    lines += [
        f"{100 * at:>5.0f} %  {percent:6.1f} % of the sites, {kw:8.1f} kW"
        for at, percent, kw in spread
    ]
    lines.append("limits    " + ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()))
    lines.append(f"judged    in {told['series']}")
    answer(options, facts, "\n".join(lines))
    return 0
