"""``khazri dispatch``: one file for each verb."""

from __future__ import annotations

import argparse

from grid.console.cli.dispatch import backtest, explain, plan, skill, solve

VERBS = (backtest, explain, plan, skill, solve)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        module.declare(verbs)
