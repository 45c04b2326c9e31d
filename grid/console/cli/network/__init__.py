"""``khazri network``: one file for each verb, or for a few of one subject."""

from __future__ import annotations

import argparse

from grid.console.cli.network import (
    blackstart,
    certificate,
    contingency,
    draw,
    estimate,
    exchange,
    flow,
    host,
    losses,
    outage,
    quality,
    shortcircuit,
    switch,
    tap,
    threephase,
)

VERBS = (
    blackstart,
    certificate,
    contingency,
    draw,
    estimate,
    exchange,
    flow,
    host,
    losses,
    outage,
    quality,
    shortcircuit,
    switch,
    tap,
    threephase,
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        module.declare(verbs)
