"""``khazri network blackstart``: the steps by which one source brings a dead network back."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from grid.console.cli.control_tags import heeding, tagged
from grid.console.cli.network.options import held_to, limits, loaded, network
from grid.console.cli.options import answer, number, whole

if TYPE_CHECKING:
    from networks.operating.islands import FormingSource
    from networks.operating.steps import BlackStart, Policy


def declare(verbs: Any) -> None:
    """Declare the options."""
    verb = verbs.add_parser("blackstart", help="bring a dead network back from one source")
    network(verb)
    limits(verb)
    bus = whole(0, 10**9)
    verb.add_argument("--bus", type=bus, required=True, help="of the forming source")
    verb.add_argument("--kw", type=_above_0, required=True, help="that the source can give")
    verb.add_argument("--kwh", type=_above_0, required=True, help="that it has stored")
    verb.add_argument("--kva", type=_above_0, help="that it can give (default: 1.1 times kW)")
    verb.add_argument(
        "--step-kw", type=_above_0, help="rise of load that it takes at once (default: half of kW)"
    )
    for name, what in (("medical", "first"), ("critical", "second")):
        verb.add_argument(
            f"--{name}", type=bus, action="append", default=[], metavar="BUS",
            help=f"comes {what}; may be given again",
        )  # fmt: skip
    verb.add_argument(
        "--cold", type=number(1.0, 10.0), default=2.0, metavar="FACTOR",
        help="what load draws when it comes back, times the normal",
    )  # fmt: skip
    verb.add_argument(
        "--load", type=whole(1, 1000), default=100, metavar="PERCENT", help="of the rated loads"
    )
    verb.add_argument(
        "--open", type=bus, action="append", metavar="N", help="switch that cuts the island off"
    )
    verb.add_argument(
        "--by", choices=("feeder", "bus"), default="feeder", help="what is energised at a time"
    )
    verb.add_argument(
        "--load-with-section", action="store_true", help="load cannot be switched by itself"
    )
    heeding(verb)
    verb.set_defaults(run=run)


_above_0 = number(1e-3, 1e6)


def run(options: argparse.Namespace) -> int:
    """Print the steps; 1 when load of the island stays dark."""
    from networks.operating.blackstart import black_start
    from networks.operating.permits import without
    from networks.operating.state import nominal
    from networks.operating.terminals import switch_types

    permits = tagged(options.tags)
    model = without(loaded(options), tuple(permits))
    made = black_start(
        model,
        nominal(model, options.load / 100.0),
        held_to(options),
        _source(options),
        _policy(options),
        opened=options.open,
        types=switch_types(model) if options.by == "feeder" else {},
    )
    held = "".join(f"\n{told}: no step energises it" for told in permits.values())
    answer(options, _facts(made) | {"permits": list(permits.values())}, _text(made) + held)
    return 1 if made.stopped else 0


def _source(options: argparse.Namespace) -> FormingSource:
    from networks.operating.islands import FormingSource

    return FormingSource(
        bus=options.bus,
        power_kw=options.kw,
        apparent_kva=options.kva or 1.1 * options.kw,
        absorb_kw=options.kw,
        energy_kwh=options.kwh,
        step_kw=options.step_kw or 0.5 * options.kw,
    )


def _policy(options: argparse.Namespace) -> Policy:
    from networks.operating.steps import Policy

    return Policy(
        cold_factor=options.cold,
        medical=tuple(options.medical),
        critical=tuple(options.critical),
        by_feeder=options.by == "feeder",
        load_switches=not options.load_with_section,
    )


def _text(made: BlackStart) -> str:
    from networks.operating.words import restart

    return restart(made)


def _facts(made: BlackStart) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(made)
    facts["hours"] = made.hours if math.isfinite(made.hours) else None
    return facts
