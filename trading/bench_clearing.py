"""Rows of the benchmark: clearing, against a sort, another market and a solver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster, per_second, within
from trading.book import Book, Clearing, Int64Array
from trading.mechanisms import mechanism
from trading.mechanisms.feeder import Feeder
from trading.mechanisms.terms import Terms
from trading.orders import TICK

PLAIN = Terms(tick=TICK)
BUSES = 60
PRICES = 1_800


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured."""
    yield _clearing(2_000 if quick else 100_000, 3 if quick else 15, progress)
    yield _truthful(200 if quick else 10_000, 1 if quick else 2, progress)
    yield _with_limits(2_000 if quick else 100_000, 2 if quick else 3, progress)


def _book(count: int) -> Book:
    """Return orders at random of which each is of a party of its own, over many ticks."""
    draw = np.random.default_rng(1)
    return Book(
        buy=draw.integers(0, 2, count) == 1,
        price=TICK * draw.integers(200, 200 + PRICES, count),
        energy_wh=draw.integers(1, 5_000, count),
    )


def _distinct(count: int) -> Book:
    """Return orders at random, each at a price of its own: the other market joins equal ones."""
    draw = np.random.default_rng(1)
    return Book(
        buy=draw.integers(0, 2, count) == 1,
        price=TICK * (20_000 + draw.permutation(20 * count)[:count]),
        energy_wh=draw.integers(1, 5_000, count),
    )


def _clearing(count: int, rounds: int, progress: Progress) -> Row:
    progress(f"trading: clearing {count:,} orders")
    book = _book(count)
    # Price and time in one integer: what a mechanism that ranks orders has to sort.
    keys = (book.price << count.bit_length()) | np.arange(count)
    rules = mechanism("uniform_price")
    outcome: list[Clearing] = []
    ours_ns, theirs_ns = alternate(
        rounds,
        lambda _: outcome.append(rules.clear(book, PLAIN)),
        lambda _: np.sort(keys),
    )
    pairs = len(outcome[-1].trades)
    micros = alternate(rounds, lambda _: outcome[-1].pairing())[0] // 1_000
    wrong = rules.certify(book, outcome[-1], PLAIN)
    return Row(
        craft="trading",
        name="clearing",
        work=f"{count:,} orders, uniform price: price and fills",
        unit="orders",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="np.sort of the same keys",
        theirs=Timing(count, theirs_ns),
        reach=within(4),
        error=Error(len(wrong), "violations", 0, "the certificate"),
        note=f"who trades with whom, {pairs:,} pairs, is made when asked for: {micros:,} µs",
    )


def _truthful(count: int, rounds: int, progress: Progress) -> Row:
    progress(f"trading: clearing {count:,} orders truthfully, and by pymarket if it is installed")
    book, rules = _distinct(count), mechanism("mcafee")
    row = Row(
        craft="trading",
        name="clearing, truthful",
        work=f"{count:,} orders, the marginal ones set the prices of the rest",
        unit="orders",
        taken=f"best of {rounds}",
        ours=Timing(count, alternate(10 * rounds, lambda _: rules.clear(book, PLAIN))[0]),
        peer="pymarket, Huang",
        theirs=None,
        reach=faster(10_000),
        note="pymarket is not installed",
    )
    if find_spec("pymarket") is None:
        return row
    import pymarket

    told: list[Any] = []
    market = pymarket.Market()
    orders = zip(
        book.energy_wh.tolist(), book.price.tolist(), range(count), book.buy.tolist(), strict=True
    )
    for order in orders:
        market.accept_bid(*order)
    (theirs_ns,) = alternate(rounds, lambda _: told.append(market.run("huang")[1]))
    outcome, extra = rules.clear(book, PLAIN), told[-1]
    ours = (outcome.price_low, outcome.price_high, outcome.volume_wh)
    theirs = (extra["price_sell"], extra["price_buy"], extra["quantity_traded"])
    apart = sum(abs((one or 0) - round(other)) for one, other in zip(ours, theirs, strict=True))
    return replace(
        row,
        theirs=Timing(count, theirs_ns),
        error=Error(apart, "nano-currency and Wh", 0, "pymarket's prices and volume"),
        note="",
    )


def _with_limits(count: int, rounds: int, progress: Progress) -> Row:
    progress(f"trading: clearing {count:,} orders on {BUSES} buses")
    draw = np.random.default_rng(2)
    book = _book(count)
    parent = np.array([-1, *(int(draw.integers(0, at)) for at in range(1, BUSES))])
    limit = draw.integers(count // 20, count * 50, BUSES)
    feeder = Feeder(parent, limit, limit, TICK * draw.integers(0, 4, BUSES), 0 * parent)
    bus = draw.integers(0, BUSES, count)
    terms = Terms(tick=TICK, feeder=feeder, bus=bus)
    rules = mechanism("with_line_limits")
    outcome: list[Clearing] = []
    found: list[int] = []
    ours_ns, theirs_ns = alternate(
        rounds,
        lambda _: outcome.append(rules.clear(book, terms)),
        lambda _: found.append(_highs(book, feeder, bus)),
    )
    gain = _gain(book, outcome[-1], feeder, bus)
    full = sum(int(gap > 0) for gap in np.ptp(_price_ends(outcome[-1], feeder), axis=0).tolist())
    return Row(
        craft="trading",
        name="clearing with line limits",
        work=f"{count:,} orders, {BUSES} buses, prices apart at {full} lines",
        unit="orders",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="HiGHS, a column for each price at each bus",
        theirs=Timing(count, theirs_ns),
        reach=per_second(100_000),
        error=Error(abs(gain - found[-1]), "nano-currency of gain", gain // 10**9, "HiGHS"),
        note="without its orders' shares; ours has the pairs too",
    )


def _price_ends(outcome: Clearing, feeder: Feeder) -> Any:
    price, below = outcome.bus_price, np.flatnonzero(feeder.parent >= 0)
    return np.stack([price[below], price[feeder.parent[below]]]) if price is not None else []


def _gain(book: Book, outcome: Clearing, feeder: Feeder, bus: Int64Array) -> int:
    """Return what the trades are worth to both sides, less the fees of the lines."""
    worth = int((np.where(book.buy, book.price, -book.price) * outcome.fills).sum())
    export = np.zeros(BUSES, np.int64)
    np.add.at(export, bus, np.where(book.buy, -outcome.fills, outcome.fills))
    for at in reversed(feeder.downward()[1:]):
        export[feeder.parent[at]] += export[at]
    return worth - int(np.abs(export) @ feeder.line_fee)


def _highs(book: Book, feeder: Feeder, bus: Int64Array) -> int:
    """Return the largest gain as HiGHS finds it, orders added up by bus, side and price."""
    import highspy

    key = (bus * 2 + book.buy) * (1 << 40) + book.price
    step, place = np.unique(key, return_inverse=True)
    energy_wh = np.zeros(len(step), np.int64)
    np.add.at(energy_wh, place, book.energy_wh)
    at, price = step >> 40, step & ((1 << 40) - 1)
    row, sign = at >> 1, np.where(at & 1, -1, 1)
    line = np.flatnonzero(feeder.parent >= 0)
    lp: Any = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = BUSES, len(step) + 2 * len(line)
    lp.col_cost_ = np.concatenate([sign * price, *[feeder.line_fee[line]] * 2])
    lp.col_lower_ = np.zeros(lp.num_col_, np.int64)
    lp.col_upper_ = np.concatenate([energy_wh, feeder.export_wh[line], feeder.import_wh[line]])
    lp.row_lower_ = lp.row_upper_ = np.zeros(BUSES, np.int64)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    starts = np.concatenate([np.arange(len(step)), len(step) + 2 * np.arange(2 * len(line) + 1)])
    ends = np.stack([line, feeder.parent[line]], axis=1).ravel()
    ones = np.tile([-1, 1], len(line))
    lp.a_matrix_.start_ = starts
    lp.a_matrix_.index_ = np.concatenate([row, ends, ends])
    lp.a_matrix_.value_ = np.concatenate([sign, ones, -ones])
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # highspy has no types
    solver.silent()
    solver.passModel(lp)
    solver.run()
    found: int = round(solver.getInfo().objective_function_value)
    return -found
