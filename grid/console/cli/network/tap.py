"""``khazri network tap``: the best fixed tap of a SimBench year, and a changer that follows it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from grid.console.cli.network.options import held_to, limits, loaded, network
from grid.console.cli.options import answer, whole

if TYPE_CHECKING:
    from networks.operating.changer import TapRun
    from networks.operating.taps import TapChoice


def declare(verbs: Any) -> None:
    """Declare the options."""
    verb = verbs.add_parser("tap", help="best fixed tap of a SimBench network's year")
    network(verb)
    limits(verb)
    verb.add_argument("--trafo", type=whole(0, 10**9), default=0, help="which transformer")
    verb.add_argument(
        "--follow", type=_held, metavar="TARGET,BAND",
        help="walk the year with a changer: target and half dead band in pu, such as 1.0,0.015",
    )  # fmt: skip
    verb.add_argument(
        "--delay", type=whole(0, 86_400), default=60, metavar="S", help="of the changer"
    )
    verb.set_defaults(run=run)


def _held(text: str) -> tuple[float, float]:
    target, _, band = text.partition(",")
    try:
        held = float(target), float(band)
    except ValueError:
        held = float("nan"), float("nan")
    if not (0.8 <= held[0] <= 1.2 and 1e-4 <= held[1] <= 0.2):
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} must be TARGET,BAND within 0.8 to 1.2 and 0.0001 to 0.2 pu"
        )
    return held


def run(options: argparse.Namespace) -> int:
    """Print every position; 1 when none keeps the band."""
    from networks.flow.year import year_inputs
    from networks.operating.changer import TapChanger, follow, trafos_beside
    from networks.operating.taps import fixed_tap
    from networks.sources.demo import load_year

    print(f"khazri: loading {options.network} and its year", file=sys.stderr, flush=True)
    model = loaded(options)
    inputs = year_inputs(model, load_year(options.network))
    choice = fixed_tap(model, inputs, held_to(options), options.trafo)
    followed = None
    if options.follow is not None:
        target, band = options.follow
        trafos = tuple(trafos_beside(model, options.trafo))
        bus = int(model.trafo.to_bus[model.trafo.index.tolist().index(options.trafo)])
        changer = TapChanger(trafos, bus, target, band, delay_s=float(options.delay))
        followed = follow(model, inputs, changer)
    answer(options, _facts(choice, followed), _text(choice, followed))
    best = next(one for one in choice.trials if one.position == choice.position)
    return 0 if best.violation_hours == 0.0 else 1


def _text(choice: TapChoice, followed: TapRun | None) -> str:
    lines = ["tap   outside   lowest     highest    losses"]
    for one in choice.trials:
        mark = "best" if one.position == choice.position else ""
        mark += " now" if one.position == choice.present else ""
        lines.append(
            f"{one.position:>3}  {one.violation_hours:>7,.0f} h  {one.vm_pu_lowest:.4f} pu  "
            f"{one.vm_pu_highest:.4f} pu  {one.losses_kwh:>9,.0f} kWh  {mark.strip()}".rstrip()
        )
    if followed is not None:
        used = ", ".join(map(str, followed.positions_used))
        lines.append(
            f"changer   {followed.operations} operations at taps {used}; outside its dead band "
            f"for {followed.outside_hours:,.1f} h"
        )
        lines += [f"HEED      {one.message}" for one in followed.findings]
    return "\n".join(lines)


def _facts(choice: TapChoice, followed: TapRun | None) -> dict[str, Any]:
    from dataclasses import asdict

    facts = asdict(choice)
    if followed is not None:
        facts["changer"] = {
            "operations": followed.operations,
            "positions_used": list(followed.positions_used),
            "outside_hours": followed.outside_hours,
            "findings": [asdict(one) for one in followed.findings],
        }
    return facts
