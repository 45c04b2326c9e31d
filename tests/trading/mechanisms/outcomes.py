"""One digest of what all mechanisms make of random books; run as a program it prints it."""

from __future__ import annotations

import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np

from tests.trading.mechanisms.books import case, random_rows
from trading.mechanisms import REGISTRY
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Terms

BOOKS = 12


def digest() -> str:
    """Return the digest of trades, prices and what was netted."""
    told = sha256()
    for name, one in REGISTRY.items():
        for seed in range(BOOKS):
            draw = np.random.default_rng(seed)
            rows = [(*row, int(draw.integers(0, 6))) for row in random_rows(draw, 30)]
            result = one.clear(*case(name, rows, seed))
            told.update(
                repr((result.price, result.netted.tolist(), result.trades.tolist())).encode()
            )
    return told.hexdigest()


def roomy(terms: Terms, count: int) -> Terms:
    """Return terms with one bus and lines that limit nothing."""
    none = np.zeros(1, np.int64)
    feeder = Feeder(np.array([-1]), none, none, none, none)
    return replace(terms, feeder=feeder, bus=np.zeros(count, np.int64))


if __name__ == "__main__":
    sys.stdout.write(digest())
