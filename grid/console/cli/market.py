"""``khazri market``: the verbs of the files beside this one."""

from __future__ import annotations

import argparse

from grid.console.cli.market_bill import declare_bill


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    declare_bill(verbs)
