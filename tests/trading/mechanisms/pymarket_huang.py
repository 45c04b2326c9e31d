"""Runs beside pymarket alone: the prices and the volume of its Huang auction for each book."""

import json
import sys
import warnings

import pymarket

warnings.simplefilter("ignore")


def cleared(orders):
    """Return sell price, buy price and energy of a book of energy, price, party and side."""
    market = pymarket.Market()
    for order in orders:
        market.accept_bid(*order)
    _, told = market.run("huang")
    return [round(told[name]) for name in ("price_sell", "price_buy", "quantity_traded")]


sys.stdout.write(json.dumps([cleared(orders) for orders in json.load(sys.stdin)]) + "\n")
