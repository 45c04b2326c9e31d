"""``khazri market``: the verbs of the files beside this one."""

from __future__ import annotations

import argparse

from grid.console.cli import (
    market_bill,
    market_clear,
    market_contract,
    market_invoices,
    market_order,
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the commands' options."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    market_clear.declare(verbs.add_parser("clear", help="clear a book of orders, and check it"))
    market_bill.declare_bill(verbs)
    market_invoices.declare_invoices(verbs)
    market_contract.declare_contract(verbs)
    market_order.declare_order(verbs)
