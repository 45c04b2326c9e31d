"""``khazri fleet``: one file for each verb."""

from __future__ import annotations

import argparse

from grid.console.cli.fleet import plan, year

VERBS = (plan, year)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in VERBS:
        module.declare(verbs)
