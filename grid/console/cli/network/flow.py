"""``khazri network flow|year``: the power flow of one moment, or of a year."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from grid.console.cli.network.options import loaded, network
from grid.console.cli.options import answer


def declare(verbs: Any) -> None:
    """Declare the options."""
    once = verbs.add_parser("flow", help="power flow at the network's own loads and plants")
    network(once)
    once.set_defaults(run=run_flow)


def run_flow(options: argparse.Namespace) -> int:
    """Print the state at nominal loads."""
    from networks.flow.year import nominal_flow

    state = nominal_flow(loaded(options)).isel(interval=0)
    facts = {
        "losses_kw": float(state["losses_kw"]),
        "vm_pu_lowest": float(np.nanmin(state["vm_pu"])),
        "vm_pu_highest": float(np.nanmax(state["vm_pu"])),
    }
    answer(options, facts, "\n".join(f"{name} {value:.6g}" for name, value in facts.items()))
    return 0
