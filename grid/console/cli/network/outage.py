"""``khazri network outage|reliability``: where the supply is broken, and how reliable it was."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import UsageError, answer, as_json, directory

if TYPE_CHECKING:
    from networks.model import NetworkModel
    from networks.outages.locate import Found, Outage
    from networks.outages.reliability import Indices
    from networks.outages.restoration import Source, Step

_BUSES = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*", re.ASCII)
_TIE = re.compile(r"([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,6}(?:\.[0-9]{1,3})?)", re.ASCII)
_ROWS = {
    "customers_served": "customers served",
    "interruptions": "sustained interruptions",
    "saidi_minutes": "SAIDI, min",
    "saifi": "SAIFI",
    "caidi_minutes": "CAIDI, min",
    "ctaidi_minutes": "CTAIDI, min",
    "maifi": "MAIFI",
}
_MONTH = re.compile(r"(19[89][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


def declare(verbs: Any) -> None:
    """Declare the options."""
    outage = verbs.add_parser("outage", help="locate an outage from meters that say nothing")
    network(outage)
    for name, text in (
        ("silent", "whose meters do not answer"),
        ("gasped", "whose meters said that they lost their supply"),
        ("powered", "whose meters answer; all others, when it is not given"),
    ):
        outage.add_argument(f"--{name}", type=_buses, metavar="BUS,...", help=f"buses {text}")
    outage.add_argument(
        "--tie", type=_tie, action="append", default=[], metavar="BUS,FROM,KW",
        help="an open tie that could feed BUS from another bus; may be given again",
    )  # fmt: skip
    outage.set_defaults(run=run_outage)
    indices = verbs.add_parser("reliability", help="SAIDI, SAIFI and their like of a site")
    directory(indices)
    indices.add_argument("--month", type=_month, metavar="YYYY-MM", help="the site's, else")
    as_json(indices)
    indices.set_defaults(run=run_reliability)


def _buses(text: str) -> tuple[int, ...]:
    if not _BUSES.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be numbers of buses: 12,13,20")
    return tuple(dict.fromkeys(int(one) for one in text.split(",")))


def _tie(text: str) -> tuple[int, int, float]:
    found = _TIE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} must be BUS,FROM,KW such as 12,40,60")
    return int(found[1]), int(found[2]), float(found[3])


def _month(text: str) -> date:
    found = _MONTH.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a month: write YYYY-MM")
    return date(int(found[1]), int(found[2]), 1)


def run_outage(options: argparse.Namespace) -> int:
    """Print what explains the evidence, and how to restore it."""
    from networks.outages.locate import Sight, Sighting, locate

    given = {
        Sight.GASPED: options.gasped or (),
        Sight.SILENT: options.silent or (),
        Sight.POWERED: options.powered or (),
    }
    named = [bus for buses in given.values() for bus in buses]
    if not given[Sight.GASPED] and not given[Sight.SILENT]:
        raise UsageError("nothing is out: name buses with --silent or --gasped")
    if twice := sorted({bus for bus in named if named.count(bus) > 1}):
        raise UsageError(f"bus {twice[0]} is given with two of --silent, --gasped and --powered")
    model = loaded(options)
    if options.powered is None:
        given[Sight.POWERED] = tuple(bus for bus in model.bus.tolist() if bus not in named)
    sightings = [
        Sighting(str(bus), bus, sight, is_customer=bus != model.slack_bus)
        for sight, buses in given.items()
        for bus in buses
    ]
    found = locate(model, sightings)
    steps = [(one, _steps(model, one, options.tie)) for one in found.outages]
    answer(options, _facts(found, steps), _text(found, steps))
    return 0


def _steps(
    model: NetworkModel, outage: Outage, ties: Sequence[tuple[int, int, float]]
) -> list[Step]:
    """Return how to restore what is behind a branch, at the loads the network is rated for."""
    from networks.outages.restoration import Customer, restoration

    if outage.element.kind not in ("line", "trafo"):
        return []
    load_kw = model.equipment.nominal_absorbed_kw
    customers = [
        Customer(str(bus), bus, float(load_kw[model.position(bus)])) for bus in sorted(outage.buses)
    ]
    sources = [_source(tie) for tie in ties]
    return restoration(model, (outage.element.kind, outage.element.index), customers, sources)


def _source(tie: tuple[int, int, float]) -> Source:
    from networks.outages.restoration import Source

    bus, from_bus, power_kw = tie
    return Source(f"tie {from_bus}-{bus}", bus, from_bus, power_kw)


def _facts(found: Found, steps: list[tuple[Outage, list[Step]]]) -> dict[str, Any]:
    return {
        "outages": [
            {
                "element": asdict(outage.element),
                "section": [one.label for one in outage.section],
                "confidence": "located" if outage.is_located else "suspected",
                "buses": [int(point) for point in outage.usage_points],
                "uncertain_buses": [int(point) for point in outage.uncertain],
                "gasped": outage.gasped,
                "silent": outage.silent,
                "unknown": outage.unknown,
                "restoration": [
                    {
                        "action": step.action,
                        "what": step.what,
                        "open_first": [one.label for one in step.open_first],
                        "buses": [int(point) for point in step.usage_points],
                        "at_minutes": step.at_minutes,
                        "avoided_customer_minutes": step.avoided_minutes,
                    }
                    for step in plan
                ],
            }
            for outage, plan in steps
        ],
        "not_answering": [int(bus) for bus in found.not_answering],
    }


def _text(found: Found, steps: list[tuple[Outage, list[Step]]]) -> str:
    lines = []
    for outage, plan in steps:
        word = "located" if outage.is_located else "suspected"
        lines.append(
            f"{word}: {outage.label}; {len(outage.usage_points)} buses without supply "
            f"({outage.gasped} last gasps, {outage.silent} silent, {outage.unknown} not known)"
        )
        lines.append(f"  buses {', '.join(outage.usage_points) or '-'}")
        if outage.uncertain:
            lines.append(f"  perhaps {', '.join(outage.uncertain)}")
        lines += [f"  {_step(step)}" for step in plan]
    if not lines:
        lines.append("no outage: too little is silent to be one")
    if found.not_answering:
        lines.append(f"not answering, with supply: buses {', '.join(found.not_answering)}")
    return "\n".join(lines)


def _step(step: Step) -> str:
    text = f"{step.at_minutes:5.0f} min  {step.action:<9} {step.what}"
    if step.open_first and step.action != "isolate":
        text += f", with {' and '.join(one.label for one in step.open_first)} open"
    if step.usage_points:
        text += f": {len(step.usage_points)} buses fed"
    if step.avoided_minutes:
        text += f", {step.avoided_minutes:.0f} customer minutes less"
    return text


def run_reliability(options: argparse.Namespace) -> int:
    """Print the indices of a month and its year."""
    from grid import interval, site_file
    from grid.operation import commission, outage_facts
    from grid.store import control

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            now_s = control.clock_s(tx)
            day = options.month or interval.local_day(now_s, site.time_zone)
            found = {
                name: outage_facts.reliability(tx, site, *bounds, now_s=now_s)
                for name, bounds in outage_facts.periods(site, day).items()
            }
    finally:
        store.close()
    facts = {name: asdict(one) for name, one in found.items()}
    answer(options, facts, _table(found))
    return 0


def _table(found: dict[str, Indices]) -> str:
    lines = [f"{'':<30}" + "".join(f"{name:>12}" for name in found)]
    for name, title in _ROWS.items():
        values = "".join(f"{_number(getattr(one, name)):>12}" for one in found.values())
        lines.append(f"{title:<30}{values}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
