"""``khazri market clear``."""

from __future__ import annotations

import argparse

from grid.console.cli import market_clear


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    market_clear.declare(verbs.add_parser("clear", help="clear a book of orders, and check it"))
