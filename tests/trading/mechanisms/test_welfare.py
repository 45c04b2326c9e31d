"""Welfare against HiGHS, which solves the books as one linear problem of many blocks."""

import highspy
import numpy as np
import pytest

from tests.trading.mechanisms.books import gain, of, random_rows, tree, whole
from trading.mechanisms import REGISTRY
from trading.mechanisms.terms import Terms

BOOKS, BATCH = 10_000, 1_000


def optimum(cost, upper, lower, starts, index, value, rows) -> np.ndarray:
    """Return the columns that minimise `cost` where each of `rows` sums to zero."""
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), rows
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
    lp.row_lower_ = lp.row_upper_ = np.zeros(rows)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = starts, index, value
    solver = highspy.Highs()
    solver.silent()
    solver.passModel(lp)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return np.array(solver.getSolution().col_value)


def test_ten_thousand_books_gain_what_highs_finds():
    draw = np.random.default_rng(7)
    ours, theirs = [], []
    for _ in range(BOOKS // BATCH):
        batch = [
            of(random_rows(draw, int(draw.integers(2, 14)), high=900, most=999))
            for _ in range(BATCH)
        ]
        ours += [gain(one, REGISTRY["uniform_price"].clear(one, Terms()).fills) for one in batch]
        sign = np.concatenate([np.where(one.buy, 1.0, -1.0) for one in batch])
        price = np.concatenate([one.price for one in batch])
        energy = np.concatenate([one.energy_wh for one in batch]).astype(float)
        block = np.repeat(np.arange(BATCH), [len(one.price) for one in batch])
        count = len(sign)
        found = optimum(
            -sign * price, energy, np.zeros(count), np.arange(count + 1), block, sign, BATCH
        )
        worth = np.zeros(BATCH)
        np.add.at(worth, block, sign * price * found)
        theirs += worth.tolist()
    assert len(ours) == BOOKS
    assert ours == [round(one) for one in theirs]
    assert np.abs(np.array(theirs) - np.array(ours)).max() < 1e-3


def networked(draw, *, limit):
    """Return a book on a feeder with fees, and its terms."""
    buses = int(draw.integers(2, 7))
    one = of(random_rows(draw, int(draw.integers(2, 16)), high=60, most=99))
    feeder = tree(draw, buses, limit=limit, fee=int(draw.integers(0, 6)))
    return one, Terms(feeder=feeder, bus=draw.integers(0, buses, len(one.price)))


def blocks(batch):
    """Return the linear problem of books on feeders: orders, then each line both ways."""
    cost, upper, starts, index, value, owner, base = [], [], [0], [], [], [], 0
    for number, (one, terms) in enumerate(batch):
        feeder = terms.feeder
        fee = feeder.bus_fee[terms.bus] * one.buy
        sign = np.where(one.buy, -1.0, 1.0)
        lines = [bus for bus, above in enumerate(feeder.parent) if above >= 0]
        cost += (sign * (one.price - fee)).tolist()
        upper += one.energy_wh.tolist()
        for bus, direction in zip(terms.bus, sign, strict=True):
            index.append(base + int(bus))
            value.append(direction)
            starts.append(len(index))
        for bus in lines:
            for limit, way in ((feeder.export_wh[bus], 1.0), (feeder.import_wh[bus], -1.0)):
                cost.append(float(feeder.line_fee[bus]))
                upper.append(int(limit))
                index += [base + bus, base + int(feeder.parent[bus])]
                value += [-way, way]
                starts.append(len(index))
        owner += [number] * (len(cost) - len(owner))
        base += len(feeder.parent)
    return cost, upper, starts, index, value, base, owner


def test_ten_thousand_books_on_feeders_gain_what_highs_finds():
    draw = np.random.default_rng(11)
    ours, theirs = [], []
    for turn in range(BOOKS // BATCH):
        batch = [networked(draw, limit=(8, 60, 400)[turn % 3]) for _ in range(BATCH)]
        for one, terms in batch:
            result = REGISTRY["with_line_limits"].clear(one, terms)
            feeder, flow = terms.feeder, np.zeros(len(terms.feeder.parent), np.int64)
            np.add.at(flow, terms.bus, np.where(one.buy, -result.fills, result.fills))
            for bus in reversed(feeder.downward()[1:]):
                flow[feeder.parent[bus]] += flow[bus]
            flow[feeder.parent < 0] = 0
            fees = int((np.abs(flow) * feeder.line_fee).sum())
            fees += int((feeder.bus_fee[terms.bus] * one.buy * result.fills).sum())
            ours.append(gain(one, result.fills) - fees)
        cost, upper, starts, index, value, rows, owner = blocks(batch)
        found = optimum(
            np.array(cost, float), np.array(upper, float), np.zeros(len(cost)),
            whole(starts), whole(index), np.array(value), rows,
        )  # fmt: skip
        worth = np.zeros(BATCH)
        np.add.at(worth, owner, -np.array(cost) * found)
        theirs += worth.tolist()
    assert len(ours) == BOOKS
    assert ours == [round(one) for one in theirs]


@pytest.mark.parametrize("name", ["pay_as_bid", "bilateral"])
def test_what_trades_as_much_gains_as_much(name):
    draw = np.random.default_rng(3)
    for _ in range(300):
        one = of(random_rows(draw, 12))
        best = REGISTRY["uniform_price"].clear(one, Terms())
        other = REGISTRY[name].clear(one, Terms())
        assert gain(one, other.fills) == gain(one, best.fills)
        assert other.volume_wh == best.volume_wh
