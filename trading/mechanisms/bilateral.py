"""Contracts between two parties are served first; what is left goes to auction at one price.

A contract holds for intervals that start within its dates. It takes its energy,
or its part of what the seller offers, from the orders of both in order of time,
as far as both have any, at its own price; their limits are for the auction.
Contracts are served in the order of the terms.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trading.book import Book, Clearing, pair, priced
from trading.mechanisms import checks, uniform_price
from trading.mechanisms.shares import in_order
from trading.mechanisms.terms import PLAIN, Contract, Terms

NAME = "bilateral"


def _in_force(terms: Terms) -> list[Contract]:
    return [one for one in terms.contracts if one.from_s <= terms.start_s < one.until_s]


def clear(book: Book, terms: Terms = PLAIN) -> Clearing:
    """Return the clearing of a sealed book in order of time."""
    party = book.parties
    taken = np.zeros(len(book.price), np.int64)
    tables = [np.zeros((0, 5), np.int64)]
    for contract in _in_force(terms):
        buyers = np.flatnonzero(book.buy & (party == contract.buyer))
        sellers = np.flatnonzero(~book.buy & (party == contract.seller))
        left = book.energy_wh - taken
        agreed = contract.energy_wh
        if agreed is None:
            agreed = int(book.energy_wh[sellers].sum()) * (contract.share_percent or 0) // 100
        volume = min(agreed, int(left[buyers].sum()), int(left[sellers].sum()))
        bought, sold = in_order(left[buyers], volume), in_order(left[sellers], volume)
        taken[buyers] += bought
        taken[sellers] += sold
        in_buy, in_sell = bought > 0, sold > 0
        pairs = pair(buyers[in_buy], bought[in_buy], sellers[in_sell], sold[in_sell])
        tables.append(priced(pairs, contract.price, contract.price))
    served = np.concatenate(tables)
    auction = uniform_price.clear(book.less(taken), terms)
    return replace(
        auction,
        mechanism=NAME,
        volume_wh=auction.volume_wh + int(served[:, 2].sum()),
        fills=auction.fills + taken,
        pairing=lambda: np.concatenate([served, auction.trades]),
    )


def certify(book: Book, clearing: Clearing, terms: Terms = PLAIN) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is."""
    if wrong := checks.of_shape(book, clearing) or checks.traded(book, clearing):
        return wrong
    walk = _Walk(book, clearing)
    for number, contract in enumerate(terms.contracts):
        if contract.from_s <= terms.start_s < contract.until_s and not walk.serves(contract):
            return [f"contract {number} of the terms is not served as agreed"]
    rows = clearing.trades[walk.row :]
    taken = book.energy_wh - np.array(walk.left, np.int64)
    rest = replace(
        clearing,
        volume_wh=clearing.volume_wh - int(clearing.trades[: walk.row, 2].sum()),
        fills=clearing.fills - taken,
        pairing=lambda: rows,
    )
    return uniform_price.certify(book.less(taken), rest, terms)


class _Walk:
    """The trades of contracts, read one after the other."""

    def __init__(self, book: Book, clearing: Clearing) -> None:
        self.rows: list[list[int]] = clearing.trades.tolist()
        self.row = 0
        self.left: list[int] = book.energy_wh.tolist()
        self.offered: dict[int, int] = {}
        self.orders: dict[tuple[int, bool], list[int]] = {}
        sides = zip(book.parties.tolist(), book.buy.tolist(), self.left, strict=True)
        for place, (party, buy, energy_wh) in enumerate(sides):
            self.orders.setdefault((party, buy), []).append(place)
            if not buy:
                self.offered[party] = self.offered.get(party, 0) + energy_wh

    def first(self, party: int, buy: bool) -> int | None:
        """Return the earliest order of a party that has energy left."""
        line = self.orders.get((party, buy), [])
        while line and not self.left[line[0]]:
            line.pop(0)
        return line[0] if line else None

    def serves(self, contract: Contract) -> bool:
        """Return whether the next trades are what a contract takes."""
        owed = contract.energy_wh
        if owed is None:
            offered = self.offered.get(contract.seller, 0)
            owed = offered * (contract.share_percent or 0) // 100
        while owed:
            bid, ask = self.first(contract.buyer, True), self.first(contract.seller, False)
            if bid is None or ask is None:
                break
            energy_wh = min(owed, self.left[bid], self.left[ask])
            expected = [bid, ask, energy_wh, contract.price, contract.price]
            if self.row >= len(self.rows) or self.rows[self.row] != expected:
                return False
            self.row += 1
            owed -= energy_wh
            self.left[bid] -= energy_wh
            self.left[ask] -= energy_wh
        return True
