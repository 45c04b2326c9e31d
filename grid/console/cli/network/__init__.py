"""``khazri network``: one file for each verb, or for a few of one subject."""

from __future__ import annotations

import argparse

from grid.console.cli.network import (
    draw,
    estimate,
    exchange,
    flow,
    outage,
    shortcircuit,
    threephase,
)

VERBS = (
    draw,
    estimate,
    exchange,
    flow,
    outage,
    shortcircuit,
    threephase,
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        module.declare(verbs)
