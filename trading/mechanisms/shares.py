"""Energy shared out in whole Wh: in proportion, or to the earlier order first."""

from __future__ import annotations

import numpy as np

from grid.quantities import INT64_MAX
from trading.book import Int64Array


def in_proportion(weight: Int64Array, left_wh: int) -> Int64Array:
    """Return `left_wh` divided in proportion to `weight`.

    The Wh that do not divide go to the largest remainders, the earlier first.

    Parameters
    ----------
    weight : NDArray[int64]
        Not negative, in order of time.
    left_wh : int
        0 when all weights are.
    """
    total = int(weight.sum())
    if left_wh == total:
        return weight
    if int(weight.max(initial=0)) * left_wh > INT64_MAX:
        wide = weight.astype(object) * left_wh
        shares, rest = (wide // total).astype(np.int64), (wide % total).astype(np.int64)
    else:
        shares, rest = np.divmod(weight * left_wh, total)
    missing = left_wh - int(shares.sum())
    shares[np.argsort(-rest, kind="stable")[:missing]] += 1
    return shares


def in_order(energy_wh: Int64Array, left_wh: int) -> Int64Array:
    """Return `left_wh` given to the first until each has its energy."""
    before = np.cumsum(energy_wh) - energy_wh
    shares: Int64Array = np.clip(left_wh - before, 0, energy_wh)
    return shares
