"""``khazri network losses``: where a network's year loses energy."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import answer

_SHOWN = 5


def declare(verbs: Any) -> None:
    """Declare the options."""
    parser = verbs.add_parser("losses", help="technical losses of a SimBench network's year")
    network(parser)
    parser.set_defaults(run=run_losses)


def run_losses(options: argparse.Namespace) -> int:
    """Print losses by group, and the elements that lose most."""
    from networks.flow.year import year, year_inputs
    from networks.limits.findings import branch_namer
    from networks.quality.losses import losses
    from networks.sources.demo import load_year

    print(f"khazri: loading {options.network} and its year of series", file=sys.stderr, flush=True)
    model = loaded(options)
    inputs = year_inputs(model, load_year(options.network))
    found = losses(model, inputs, year(model, inputs))
    name = branch_namer(model, "line")
    order = found["line_losses_kwh"].to_numpy().argsort()[::-1][:_SHOWN].tolist()
    facts = {
        "network": options.network,
        **{key: found.attrs[key] for key in ("entering_kwh", "delivered_kwh", "losses_kwh")},
        "share_percent": 100 * found.attrs["losses_kwh"] / found.attrs["entering_kwh"],
        "balance_kwh": found.attrs["balance_kwh"],
        "no_load_uncertain_kwh": float(found["trafo_no_load_uncertain_kwh"].sum()),
        "groups": [
            {"group": str(group), "losses_kwh": float(kwh), "share_percent": float(share)}
            for group, kwh, share in zip(
                found["group"].to_numpy(),
                found["losses_kwh"].to_numpy(),
                found["share_percent"].to_numpy(),
                strict=True,
            )
        ],
        "worst_lines": [
            {"line": name(row), "losses_kwh": float(found["line_losses_kwh"][row])} for row in order
        ],
    }
    answer(options, facts, _text(facts))
    return 0


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{'group':<24}{'kWh':>14}{'of what enters':>16}"]
    lines += [
        f"{one['group']:<24}{one['losses_kwh']:>14,.1f}{one['share_percent']:>14.3f} %"
        for one in facts["groups"]
    ]
    lines.append(f"{'all':<24}{facts['losses_kwh']:>14,.1f}{facts['share_percent']:>14.3f} %")
    lines.append(
        f"energy    {facts['entering_kwh']:,.0f} kWh enter, {facts['delivered_kwh']:,.0f} kWh are "
        f"delivered, {facts['balance_kwh']:.3f} kWh do not balance"
    )
    lines += [
        f"lines     {one['losses_kwh']:,.1f} kWh {one['line']}" for one in facts["worst_lines"]
    ]
    return "\n".join(lines)
