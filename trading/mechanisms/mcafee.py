"""Double auction in which a truthful limit is a best reply (McAfee, 1992), for orders of many Wh.

Orders are ranked by limit, then by time. Let the last bid and the last ask
that trade in the best allocation be the marginal ones, and the first of each
side that gets nothing the excluded ones (R. P. McAfee, A dominant strategy
double auction, Journal of Economic Theory 56, 1992).

- When both marginal orders trade whole and the middle of the excluded limits
  lies between the marginal ask and the marginal bid, all of them trade at that
  middle, rounded down to a whole nano-currency per Wh. No order that trades
  sets it, and it does not follow the tick: a price moved into the tick could
  leave the limits.
- Otherwise both marginal orders stay out, whole, and set the prices of the
  rest: buyers pay the marginal bid, sellers get the marginal ask, and the
  auctioneer keeps the difference. Of the longer side all orders are cut in
  proportion to their energy, for a cut by limit would reward a bolder one.

An order that trades thus sets neither its price nor its part, as long as it
trades at all; one that would have to overstate its limit to trade pays at
least that limit. This holds for the price, and for parties with one order: not
for the energy stated, nor for a party that moves its own price through a
second order. It costs the gain of the marginal orders and of what is cut.
"""

from __future__ import annotations

import numpy as np

from trading.book import Book, BoolArray, Clearing, Int64Array, in_order_of_time, priced
from trading.mechanisms import checks
from trading.mechanisms.curve import Crossing
from trading.mechanisms.shares import in_proportion
from trading.mechanisms.terms import PLAIN, Terms

NAME = "mcafee"
_NEVER = 1 << 62


def clear(book: Book, terms: Terms = PLAIN) -> Clearing:
    """Return the clearing of a sealed book in order of time.

    Its lowest and highest price are the limits of the marginal ask and bid.
    """
    crossing = Crossing.of(book)
    bids, asks, volume = crossing.bids, crossing.asks, crossing.volume_wh
    if volume == 0:
        return Clearing.nothing(NAME, len(book.price))
    low, high = asks.last_within(volume), -bids.last_within(volume)
    whole = all(int(side.running_wh[side.place_of(volume)]) == volume for side in (bids, asks))
    next_bid, next_ask = bids.first_beyond(volume), asks.first_beyond(volume)
    price = None
    if whole and next_bid is not None and next_ask is not None:
        # Doubled, so that the middle is tested before it is rounded.
        double = next_ask - next_bid
        price = double // 2 if 2 * low <= double <= 2 * high else None
    out = 0 if price is not None else 1
    kept = []
    for side, curve in ((book.buy, bids), (~book.buy, asks)):
        kept.append(np.flatnonzero(side)[curve.order[: curve.place_of(volume) + 1 - out]])
        kept[-1].sort()
    left = min(int(book.energy_wh[places].sum()) for places in kept)
    if left == 0:
        return Clearing.nothing(NAME, len(book.price), low, high)
    fills = np.zeros(len(book.price), np.int64)
    for places in kept:
        fills[places] = in_proportion(book.energy_wh[places], left)
    paid, received = (high, low) if price is None else (price, price)

    def trades() -> Int64Array:
        return priced(in_order_of_time(book, fills), paid, received)

    return Clearing(NAME, price, low, high, left, fills, trades, np.zeros_like(fills))


def certify(book: Book, clearing: Clearing, terms: Terms = PLAIN) -> list[str]:
    """Return why `clearing` is not the outcome of `book`: empty when it is.

    From the limits of the marginal orders, which the clearing states, all else
    follows by sums: they are the right ones when no more could trade.
    """
    if wrong := checks.of_shape(book, clearing) or checks.traded(book, clearing):
        return wrong
    low, high = clearing.price_low, clearing.price_high
    offered = book.energy_wh > 0
    if low is None or high is None:
        bids, asks = book.price[book.buy & offered], book.price[~book.buy & offered]
        apart = not len(bids) or not len(asks) or int(bids.max()) < int(asks.min())
        nothing = low is None and high is None and clearing.price is None
        return [] if apart and nothing and not clearing.volume_wh else ["a bid reaches an ask"]
    cost = np.where(book.buy, -book.price, book.price)
    volume = min(
        int(book.energy_wh[side & (cost <= edge)].sum())
        for side, edge in ((book.buy, -high), (~book.buy, low))
    )
    bids_in = _Marginal(book, book.buy, cost, -high, volume)
    asks_in = _Marginal(book, ~book.buy, cost, low, volume)
    if low > high or not bids_in.right or not asks_in.right or bids_in.left + asks_in.left <= 0:
        return [f"the limits {low}..{high} are not those of the marginal orders"]
    double = asks_in.excluded - bids_in.excluded if bids_in.open and asks_in.open else None
    whole = bids_in.whole and asks_in.whole
    middle = whole and double is not None and 2 * low <= double <= 2 * high
    price = double // 2 if middle and double is not None else None
    kept = [side.inside if middle else side.before for side in (bids_in, asks_in)]
    left = min(int(book.energy_wh[places].sum()) for places in kept)
    if clearing.volume_wh != left or clearing.fills[~(kept[0] | kept[1])].any():
        return [f"volume {clearing.volume_wh} Wh is not the {left} Wh of the orders that may trade"]
    wrong = []
    if clearing.price != price:
        wrong.append(f"price {clearing.price} is not {price}")
    for places in kept if left else ():
        wrong += checks.proportional(book.energy_wh[places], clearing.fills[places])
    paid, received = (high, low) if price is None else (price, price)
    wrong += checks.one_price(clearing, paid, received) + checks.within_limits(book, clearing)
    return wrong + checks.in_line(clearing)


class _Marginal:
    """The marginal order of one side, when `edge` is its cost.

    Attributes
    ----------
    right : bool
        Whether the last Wh of `volume` is of an order at `edge`.
    whole : bool
        Whether the marginal order trades whole.
    inside, before : NDArray[bool], shape (order,)
        The orders up to the marginal one, with it and without.
    open : bool
        Whether any order is excluded.
    excluded : int
        The cost of the first of them.
    left : int
        The least cost at which an order of the side could still trade.
    """

    def __init__(
        self, book: Book, side: BoolArray, cost: Int64Array, edge: int, volume: int
    ) -> None:
        better, at = side & (cost < edge), np.flatnonzero(side & (cost == edge))
        running = int(book.energy_wh[better].sum()) + np.cumsum(book.energy_wh[at])
        reached = np.flatnonzero(running >= volume)
        self.right = bool(len(reached)) and int(book.energy_wh[better].sum()) < volume
        place = int(reached[0]) if len(reached) else 0
        self.whole = bool(self.right and running[place] == volume)
        self.before = better.copy()
        self.before[at[:place]] = True
        self.inside = self.before.copy()
        self.inside[at[place : place + 1]] = True
        beyond = side & (book.energy_wh > 0) & ~self.inside
        self.open = bool(beyond.any())
        self.excluded = int(cost[beyond].min()) if self.open else _NEVER
        self.left = self.excluded if self.whole else edge
