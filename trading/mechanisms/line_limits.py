"""Call auction on a radial feeder: the largest gain that its lines can carry.

Energy that flows towards the head of the feeder or away from it is held below
the limits of each line and pays the line's fee. What is cleared is the optimum
of a linear problem (F. C. Schweppe et al., Spot Pricing of Electricity, 1988):
gain from trade less fees, subject to the balance of each bus and the limits.
On a tree it is found exactly, in whole Wh, without a solver: what a subtree
exports has an increasing marginal cost, whose steps are the orders below it,
ranked. A line cuts the steps that it cannot carry and adds its fee to the
rest; at a bus the steps of its lines and its own orders are merged; at the
head, exports are zero.

Of equal outcomes it is that with the most energy, and then that with the
earlier orders: the rank of an order is its limit and, within it, its place in
time. With ranks all different there is one optimum only, whatever the order of
the buses.

Prices are nodal: at each bus every order better than its price is full, every
worse one empty. The price of the head is the middle of those that clear,
floored to the tick; below, it is the middle of those that clear the subtree,
as near as the line allows: the fee away where the line is free, and at least
that where it is full. Energy is paired where it meets, nearest to the orders,
and at one bus in order of time; since that follows the flow, nobody is paired
with themselves, and no seller gets more than its buyer pays. What buyers pay
beyond sellers are fees and the rent of full lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grid.errors import BadInputError
from grid.quantities import format_price
from trading.book import Book, Clearing, Int64Array, pair, priced
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Terms

NAME = "with_line_limits"

_OPEN = 1 << 62
"""Beyond any price: the end of an interval that nothing bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """What a subtree exports, as the steps of its marginal cost.

    Attributes
    ----------
    rank, energy_wh, order : NDArray[int64], shape (step,)
        By rising rank. Taking the step of an ask sells it; taking that of a bid
        leaves it unserved.
    least_wh : int
        The export before any step is taken.
    """

    rank: Int64Array
    energy_wh: Int64Array
    order: Int64Array
    least_wh: int

    def split(self, taken_wh: int) -> tuple[_Steps, _Steps]:
        """Return the steps of the first `taken_wh`, and the rest."""
        ends = np.cumsum(self.energy_wh)
        place = int(np.searchsorted(ends, taken_wh))
        first, rest = self.energy_wh[: place + 1].copy(), self.energy_wh[place:].copy()
        if len(rest):
            rest[0] = ends[place] - taken_wh
            first[place] -= rest[0]
        before = _Steps(self.rank[: place + 1], first, self.order[: place + 1], self.least_wh)
        return before, _Steps(self.rank[place:], rest, self.order[place:], self.least_wh + taken_wh)


def clear(book: Book, terms: Terms) -> Clearing:
    """Return the clearing of a sealed book in order of time.

    Raises
    ------
    BadInputError
        When the terms have no feeder, an order is at no bus of it, or limits
        are too high to be ranked.
    """
    feeder, bus = network(book, terms)
    value = book.price - np.where(book.buy, feeder.bus_fee[bus], 0)
    taken = _taken(book, _rank(book, value, feeder), feeder, bus)
    fills = np.where(book.buy, book.energy_wh - taken, taken)
    price = _bus_prices(book, value, fills, feeder, bus, terms.tick)
    pairs = _pairs(book, fills, feeder, bus)
    trades = priced(pairs, (price + feeder.bus_fee)[bus[pairs[:, 0]]], price[bus[pairs[:, 1]]])
    volume = int(pairs[:, 2].sum())
    at = price[bus[fills > 0]]
    low, high = (int(at.min()), int(at.max())) if volume else (None, None)
    one = low if low == high else None
    none = np.zeros_like(fills)
    return Clearing(NAME, one, low, high, volume, fills, lambda: trades, none, price)


def network(book: Book, terms: Terms) -> tuple[Feeder, Int64Array]:
    """Return the feeder of the terms and the bus of each order, checked.

    Raises
    ------
    BadInputError
        When there is none, or an order is at no bus of it.
    """
    if terms.feeder is None or terms.bus is None:
        raise BadInputError(f"{NAME} needs a feeder and the bus of each order")
    bus, count = terms.bus, len(terms.feeder.parent)
    if bus.shape != book.price.shape:
        raise BadInputError(f"{len(bus)} buses are given for {len(book.price)} orders")
    if len(bus) and not 0 <= int(bus.min()) <= int(bus.max()) < count:
        raise BadInputError(f"orders are at buses {bus.min()} to {bus.max()} of 0 to {count - 1}")
    return terms.feeder, bus


def _rank_bits(count: int) -> int:
    return (2 * count + 1).bit_length()


def _rank(book: Book, value: Int64Array, feeder: Feeder) -> Int64Array:
    """Return limit and place in time as one integer.

    At one limit a bid ranks above an ask, so that the two trade; the earlier
    order ranks as the better one.
    """
    bits = _rank_bits(len(value))
    most = (1 << 62 - bits) - int(feeder.line_fee.sum())
    if (beyond := np.flatnonzero(np.abs(value) >= most)).size:
        price = format_price(int(value[beyond[0]]))
        raise BadInputError(f"order {int(beyond[0])} price {price} is beyond {format_price(most)}")
    place = np.arange(len(value))
    return (value << bits) + np.where(book.buy, (1 << bits) - 1 - place, place)


def _taken(book: Book, rank: Int64Array, feeder: Feeder, bus: Int64Array) -> Int64Array:
    """Return the Wh of each order whose step is taken when the head exports nothing."""
    taken = np.zeros(len(rank), np.int64)
    bits = _rank_bits(len(rank))
    own = _by_bus(bus, len(feeder.parent))
    below: dict[int, list[_Steps]] = {}
    for at in reversed(feeder.downward()):
        orders = own[at]
        wanted = int(book.energy_wh[orders[book.buy[orders]]].sum())
        mine = _Steps(rank[orders], book.energy_wh[orders], orders, -wanted)
        steps = _merged([*below.pop(at, []), mine])
        above = int(feeder.parent[at])
        export_wh, import_wh = int(feeder.export_wh[at]), int(feeder.import_wh[at])
        if above < 0:
            export_wh = import_wh = 0
        forced, steps = steps.split(max(-import_wh - steps.least_wh, 0))
        np.add.at(taken, forced.order, forced.energy_wh)
        if above >= 0:
            below.setdefault(above, []).append(
                _over_line(steps, export_wh, int(feeder.line_fee[at]) << bits)
            )
    return taken


def _merged(parts: list[_Steps]) -> _Steps:
    rank = np.concatenate([part.rank for part in parts])
    # Runs that are sorted already: a stable sort merges them.
    place = np.argsort(rank, kind="stable")
    energy_wh = np.concatenate([part.energy_wh for part in parts])[place]
    order = np.concatenate([part.order for part in parts])[place]
    return _Steps(rank[place], energy_wh, order, sum(part.least_wh for part in parts))


def _over_line(steps: _Steps, export_wh: int, fee_rank: int) -> _Steps:
    """Return the steps that a line can carry, as its other end sees them."""
    carried, _ = steps.split(export_wh - steps.least_wh)
    if not fee_rank:
        return carried
    towards, away = carried.split(-carried.least_wh)
    rank = np.concatenate([towards.rank - fee_rank, away.rank + fee_rank])
    energy_wh = np.concatenate([towards.energy_wh, away.energy_wh])
    return _Steps(rank, energy_wh, np.concatenate([towards.order, away.order]), carried.least_wh)


def _by_bus(bus: Int64Array, count: int) -> list[Int64Array]:
    """Return the positions of the orders at each bus, in order of time."""
    place = np.argsort(bus, kind="stable")
    return np.split(place, np.searchsorted(bus[place], np.arange(1, count)))


def _middle(low: int, high: int, tick: int, otherwise: int) -> int:
    if low <= -_OPEN // 2 or high >= _OPEN // 2:
        closed = [end for end in (low, high) if abs(end) < _OPEN // 2]
        return closed[0] if closed else otherwise
    return max((low + high) // 2 // tick * tick, low)


def _bus_prices(
    book: Book, value: Int64Array, fills: Int64Array, feeder: Feeder, bus: Int64Array, tick: int
) -> Int64Array:
    """Return a price at each bus that proves the fills the best.

    First, from the ends to the head, the interval of prices that each subtree
    admits; then, from the head, one of them at each bus.
    """
    count = len(feeder.parent)
    low, high = np.full(count, -_OPEN), np.full(count, _OPEN)
    partial, filled = fills < book.energy_wh, fills > 0
    floor, ceiling = np.where(book.buy, (partial, filled), (filled, partial))
    np.maximum.at(low, bus[floor], value[floor])
    np.minimum.at(high, bus[ceiling], value[ceiling])
    flow = np.zeros(count, np.int64)
    np.add.at(flow, bus, np.where(book.buy, -fills, fills))
    least, most, export = low.tolist(), high.tolist(), flow.tolist()
    down = feeder.downward()
    up: dict[int, tuple[int | None, int | None]] = {}
    for at in reversed(down[1:]):
        above, fee = int(feeder.parent[at]), int(feeder.line_fee[at])
        export[above] += export[at]
        # What the next Wh towards the head would add to the line's fees, and the last one did.
        more = fee if export[at] >= 0 else -fee
        last = fee if export[at] > 0 else -fee
        free = export[at] < feeder.export_wh[at], export[at] > -feeder.import_wh[at]
        up[at] = more if free[0] else None, last if free[1] else None
        if free[0]:
            most[above] = min(most[above], most[at] + more)
        if free[1]:
            least[above] = max(least[above], least[at] + last)
    price = [0] * count
    for at in down:
        above = int(feeder.parent[at])
        price[at] = _middle(least[at], most[at], tick, price[above] if above >= 0 else 0)
        if above >= 0:
            more_fee, last_fee = up[at]
            if last_fee is not None:
                price[at] = min(price[at], price[above] - last_fee)
            if more_fee is not None:
                price[at] = max(price[at], price[above] - more_fee)
    return np.array(price, np.int64)


def _pairs(book: Book, fills: Int64Array, feeder: Feeder, bus: Int64Array) -> Int64Array:
    """Return who trades with whom: each at the bus where the flows of the two meet."""
    own = _by_bus(bus, len(feeder.parent))
    left = fills.copy()
    waiting: dict[int, list[Int64Array]] = {}
    tables = []
    for at in reversed(feeder.downward()):
        here = np.concatenate([*waiting.pop(at, []), own[at][left[own[at]] > 0]])
        here.sort()
        buyers, sellers = here[book.buy[here]], here[~book.buy[here]]
        table = pair(buyers, left[buyers], sellers, left[sellers])
        np.subtract.at(left, table[:, 0], table[:, 2])
        np.subtract.at(left, table[:, 1], table[:, 2])
        tables.append(table)
        waiting.setdefault(int(feeder.parent[at]), []).append(here[left[here] > 0])
    return np.concatenate(tables)
