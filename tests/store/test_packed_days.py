"""Days of intervals are packed narrowly, many at a time, and come back as they were."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr
from alembic import command
from sqlalchemy import text

from grid import interval
from grid.store import Store, Transaction, day_rows, series
from grid.store.packed_days import Kind, Quantity, parts, unpack
from meters.vee.quality import uncertainty

START = interval.parse("2026-03-28T00:00+01:00")
ZONE = "Europe/Berlin"
COUNT = 400
REGISTERS = (*series.REGISTERS, "water_l")
EDGES = [0, -1, 127, 128, -129, 2**15, 2**31, -(2**31), 2**63 - 1, -(2**63)]


def content(
    names: Sequence[str], start_s: int, values: dict[str, np.ndarray], **marks: np.ndarray
) -> xr.Dataset:
    dims = ("usage_point", "interval")
    count = next(iter(values.values())).shape[1]
    return xr.Dataset(
        {name: (dims, of) for name, of in {**values, **marks}.items()},
        coords={"usage_point": list(names), "interval": interval.starts(start_s, count, 900)},
    )


@pytest.mark.parametrize("count", [1, 3])
def test_every_width_comes_back_and_takes_no_more_than_it_needs(count: int) -> None:
    draw = np.random.default_rng(1)
    rows = [np.full(96, edge) for edge in EDGES]
    rows += [draw.choice([0, edge], 96) for edge in EDGES for _ in range(2)]
    one = np.array(rows)
    other = one[::-1].copy()
    given = [one, other, one][:count]
    quantity = Quantity(given)
    contents = [b""] * len(one)
    for shape in np.unique(quantity.shape):
        where = np.flatnonzero(quantity.shape == shape)
        cut = quantity.cut(where)
        for number, row in enumerate(where.tolist()):
            at = number * cut.stride
            contents[row] = cut.content[at : at + cut.length]
    found = np.zeros((len(one), count, 96), np.int64)
    unpack(contents, range(len(one)), found, held=count, registers=[(n, n) for n in range(count)])
    assert (found == np.stack(given, axis=1)).all()
    widths = [len(parts(content, count)[0]) - 1 for content in contents[: len(EDGES)]]
    assert widths == [0, 1, 1, 2, 2, 4, 8, 4, 8, 8]
    # The other way round, a part of the day, and of one register alone.
    some = np.zeros((len(one), 1, 8), np.int64)
    rows_back = list(range(len(one)))[::-1]
    last = count - 1
    unpack(contents, rows_back, some, held=count, registers=[(0, last)], part=slice(40, 48))
    assert (some[:, 0] == given[last][::-1, 40:48]).all()


def test_marks_beyond_half_their_range_and_numbers_that_are_none_come_back() -> None:
    marks = np.array([[65_535] * 96, [32_768, 1] * 48, [0] * 96], np.uint16)
    sds = np.array([[np.nan] * 96, [0.5, np.nan] * 48, [2.5] * 96], np.float32)
    for values in (marks, sds):
        given = values.view(np.int16) if values is marks else values
        quantity = Quantity([given])
        contents = [quantity.cut(np.array([row])).content for row in range(3)]
        found = np.zeros((3, 1, 96), values.dtype)
        unpack(contents, range(3), found, held=1, registers=[(0, 0)])
        assert np.array_equal(found[:, 0], values, equal_nan=values is sds)
    assert contents[2][0] == Kind.ONE_FLOAT32


def test_marks_that_all_registers_have_are_kept_once() -> None:
    marks = np.tile(np.arange(96, dtype=np.int16) % 7, (2, 1))
    other = marks.copy()
    other[1] += 300
    for given in ([marks] * 4, [marks, marks.copy(), marks.copy(), other]):
        quantity = Quantity(given)
        contents = [quantity.cut(np.array([row])).content for row in range(2)]
        found = np.zeros((2, 4, 96), np.uint16)
        unpack(contents, range(2), found, held=4, registers=[(n, n) for n in range(4)])
        assert (found == np.stack(given, axis=1)).all()
        assert len(contents[0]) == 4 + 96
        assert len(set(parts(contents[0], 4))) == 1


class Remembered:
    """What a store must hold, kept in the plainest way: arrays from START on."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        shape = (len(REGISTERS), len(names), COUNT)
        self.energy = np.full(shape, -1)
        self.quality, self.rule = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
        self.sd = np.zeros(shape, np.float32)

    def put(self, given: xr.Dataset) -> list[tuple[str, int]]:
        changed = set()
        starts = given["interval"].values.astype(np.int64)
        columns = (starts - START) // 900
        for row, point in enumerate(given["usage_point"].values.tolist()):
            for number, register in enumerate(REGISTERS):
                at = (number, self.names.index(point), columns)
                value, before = given[register].values[row], self.energy[at]
                quality, rule = given["quality"].values[row], given["rule"].values[row]
                new = (value != before) | (quality != self.quality[at]) | (rule != self.rule[at])
                new &= value != -1
                other = new & (value != before) & (before != -1)
                changed |= {(point, int(start)) for start in starts[other]}
                sd = given[series.sd_name(register)].values[row]
                for kept, come in (
                    (self.energy, value),
                    (self.quality, quality),
                    (self.rule, rule),
                    (self.sd, sd),
                ):
                    kept[at] = np.where(new, come, kept[at])
        return sorted(changed)


def drawn(draw: np.random.Generator, names: Sequence[str], start_s: int, count: int) -> xr.Dataset:
    shape = (len(names), count)
    most = int(draw.choice([1, 100, 30_000, 10**12]))
    values = {name: draw.integers(0, most, shape) for name in REGISTERS}
    for of in values.values():
        of[draw.random(shape) < draw.choice([0, 0, 0.3])] = -1
        of[draw.random(len(names)) < 0.1] = -1
    sds = {series.sd_name(name): draw.random(shape).astype(np.float32) for name in REGISTERS}
    if draw.random() < 0.5:
        sds = {name: np.zeros(shape, np.float32) for name in sds}
    marks = {"quality": np.full(shape, draw.integers(1, 3), np.uint16)}
    marks["rule"] = np.zeros(shape, np.uint16)
    if draw.random() < 0.5:
        marks["quality"] = draw.integers(1, 14, shape).astype(np.uint16)
        marks["rule"] = draw.integers(0, 2**16, shape).astype(np.uint16)
    return content(names, start_s, values, **marks, **sds)


def compare(tx: Transaction, known: Remembered) -> None:
    for registers in (series.REGISTERS, ("water_l",), ("water_l", "export_wh")):
        at = [REGISTERS.index(register) for register in registers]
        got = series.get_intervals(
            tx,
            known.names[::-1],
            START,
            START + 900 * COUNT,
            time_zone=ZONE,
            registers=registers,
            decided=True,
        ).isel(usage_point=slice(None, None, -1))
        for register, number in zip(registers, at, strict=True):
            assert (got[register].values == known.energy[number]).all()
            assert (got[series.sd_name(register)].values == known.sd[number]).all()
        told = np.where(known.energy[at] == -1, 0, uncertainty(known.quality[at])).max(axis=0)
        silent = (known.energy[at] == -1).all(axis=0)
        assert (uncertainty(got["quality"].values)[~silent] == told[~silent]).all()
        assert (got["quality"].values[silent] == 0).all()
        assert (got["rule"].values == known.rule[at].max(axis=0)).all()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_in_comes_back_as_from_the_plainest_memory(store: Store, seed: int) -> None:
    draw = np.random.default_rng(seed)
    names = [f'P-{number}"\\ä' for number in range(8)]
    known = Remembered(names)
    for turn in range(10):
        some = sorted(draw.choice(names, draw.integers(1, 9), replace=False).tolist())
        random.Random(turn).shuffle(some)
        # Whole days as a rule; one of 23 hours is among them.
        first = int(draw.choice([0, 96, 188, draw.integers(0, 200)]))
        count = int(draw.choice([96, 92, 188, draw.integers(1, 100)]))
        given = drawn(draw, some, START + 900 * first, count)
        with store.write() as tx:
            changed = series.put_intervals(
                tx, given, time_zone=ZONE, cycle_s=turn + 1, registers=REGISTERS
            )
        assert changed == known.put(given)
    with store.read() as tx:
        compare(tx, known)


def test_a_register_has_the_versions_that_changed_it(store: Store) -> None:
    values = {name: np.full((1, 96), 5) for name in series.REGISTERS[:2]}
    marks = {"quality": np.ones((1, 96), np.uint16)}

    def put(cycle_s: int) -> None:
        given = content(["A"], START, values, **marks)
        series.put_intervals(
            tx, given, time_zone=ZONE, cycle_s=cycle_s, registers=series.REGISTERS[:2]
        )

    with store.write() as tx:
        put(1)
        values["export_wh"] = values["export_wh"] + 1
        put(2)
        assert series.versions(tx, "A", "2026-03-28") == [
            ("export_wh", 1, 1),
            ("export_wh", 2, 2),
            ("import_wh", 1, 1),
        ]
        assert series.metered(tx, "import_wh", START, START + 1) == ["A"]
        assert series.metered(tx, "import_varh", START, START + 1) == []
        assert series.last_change(tx, START, START + 1) == 2
        assert series.bounds(tx) == (START, START)


def test_only_the_rows_asked_for_are_looked_up(store: Store) -> None:
    names = [f"M{number:04d}" for number in range(300)]
    values = {name: np.ones((300, 96), np.int64) for name in series.REGISTERS}
    given = content(names, START, values, quality=np.ones((300, 96), np.uint16))
    day = day_rows.Day("2026-03-28", START, 96, "electricity")
    plans = []
    with store.write() as tx:
        series.put_intervals(tx, given, time_zone=ZONE, cycle_s=1)
        assert day_rows.newest(tx, names[100:200], day).place == list(range(100))
        if tx.dialect.name == "sqlite":
            query = day_rows.newest_query("sqlite", ("energy",))
            facts = {"names": "[]", "day": "", "registers": "", "start_s": 0}
            plans = [row[3] for row in tx.execute(text(f"EXPLAIN QUERY PLAN {query}"), facts)]
    assert not plans or any(
        "SEARCH found USING PRIMARY KEY (day=? AND registers=? AND usage_point=?)" in plan
        for plan in plans
    )


def test_a_store_with_a_row_per_register_is_rewritten_and_back(store: Store) -> None:
    draw = np.random.default_rng(5)
    names = ["A", "B", "C"]
    known = Remembered(names)
    with store.write() as tx:
        for cycle_s, (first, count) in enumerate([(0, 96), (0, 300), (100, 60), (96, 92)], 1):
            given = drawn(draw, names, START + 900 * first, count)
            known.put(given)
            series.put_intervals(tx, given, time_zone=ZONE, cycle_s=cycle_s, registers=REGISTERS)
        compare(tx, known)
        before = told(tx, names)
        config = store._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0005")
        row = tx.execute(
            text(
                "SELECT * FROM interval_day WHERE usage_point = 'B' AND register = 'water_l' "
                f"AND start_s = {START} ORDER BY version DESC"
            )
        ).first()
        assert row is not None
        values = known.energy[REGISTERS.index("water_l"), 1, :96]
        assert np.frombuffer(row.energy, "<i8").tolist() == values.tolist()
        assert len(row.quality) == 192
        command.upgrade(config, "head")
        compare(tx, known)
        assert told(tx, names) == before


def told(tx: Transaction, names: Sequence[str]) -> list[object]:
    days = [f"2026-03-{day}" for day in (28, 29, 30, 31)]
    return [
        series.bounds(tx),
        [series.last_change(tx, at, at + 1) for at in range(START, START + 4 * 86_400, 3600)],
        [series.versions(tx, name, day) for name in names for day in days],
        series.metered(tx, "water_l", START, START + 86_400),
    ]


def test_registers_that_had_versions_of_their_own_keep_every_value(store: Store) -> None:
    """As the store had them before the registers of a day were kept together."""
    with store.write() as tx:
        config = store._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0005")
        rows = [("import_wh", 1, 10, 1), ("import_wh", 2, 20, 3), ("export_wh", 1, 30, 2)]
        for register, version, value, cycle_s in rows:
            tx.execute(
                text(
                    "INSERT INTO interval_day (usage_point, register, day, version, start_s, "
                    "energy, quality, cycle_s) VALUES "
                    "('A', :register, '2026-03-28', :version, :start_s, :energy, :quality, :cycle)"
                ),
                {
                    "register": register,
                    "version": version,
                    "start_s": START,
                    "energy": np.full(96, value, "<i8").tobytes(),
                    "quality": np.full(96, 1, "<u2").tobytes(),
                    "cycle": cycle_s,
                },
            )
        command.upgrade(config, "head")
        assert series.versions(tx, "A", "2026-03-28") == [
            ("export_wh", 1, 2),
            ("import_wh", 1, 2),
            ("import_wh", 2, 3),
        ]
        got = series.get_intervals(tx, ["A"], START, START + 900, time_zone=ZONE)
        assert [int(got[name].values[0, 0]) for name in series.REGISTERS] == [20, 30, -1, -1]
        assert got["quality"].values.tolist() == [[1]]
