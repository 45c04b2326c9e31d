"""What a kWh costs at each bus in the interval that runs, as the operator sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grid.console.web_view import stored
from grid.quantities import format_price
from grid.store import Transaction

KIND = "nodal_price"
_UNKNOWN = -(2**31)


@dataclass(frozen=True, slots=True)
class BusPrice:
    """The price at a bus and what of it network limits add, per kWh, in words."""

    bus: str
    price: str
    congestion: str


def bus_prices(tx: Transaction, cycle_s: int, names: Mapping[int, str]) -> list[BusPrice]:
    """Return the prices of the first step of a plan, dearest bus first; none where none are."""
    found = stored(tx, KIND, cycle_s)
    if found is None:
        return []
    price, added = (found[name].values[0] for name in ("price", "congestion"))
    order = np.lexsort((found["bus"].values, -price.astype(np.int64)))
    return [
        BusPrice(
            names.get(int(found["bus"][row]), str(int(found["bus"][row]))),
            format_price(int(price[row])),
            format_price(int(added[row])),
        )
        for row in order
        if price[row] != _UNKNOWN
    ]
