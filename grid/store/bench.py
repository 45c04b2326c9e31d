"""Rows of the benchmark: days of intervals into the store, a month of them out.

The peer is the same SQLite, opened by the same engine with the same settings, and
holds one row per reading of a usage point: its four registers and their quality.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from grid.store import Store, Transaction, series

ZONE = "Asia/Baku"
DAY = 96
DAYS = 31
START_S = interval.parse("2026-05-01T00:00+04:00")
_COLUMNS = (*series.REGISTERS, "quality")


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        Few meters.
    """
    with _store() as store:
        yield _day_in(store, 20 if quick else 5_000, 2 if quick else 3, progress)
    with _store() as store:
        yield _month_out(store, 5 if quick else 200, 2 if quick else 5, progress)


@contextmanager
def _store() -> Iterator[Store]:
    """Yield an empty store with the peer's table in it."""
    columns = ", ".join(f"{name} INTEGER NOT NULL" for name in _COLUMNS)
    with tempfile.TemporaryDirectory() as directory:
        store = Store.at(Path(directory), create=True)
        try:
            with store.write() as tx:
                tx.exec_driver_sql(
                    "CREATE TABLE reading (usage_point TEXT NOT NULL, start_s INTEGER NOT NULL, "
                    f"{columns}, PRIMARY KEY (usage_point, start_s)) WITHOUT ROWID"
                )
            yield store
        finally:
            store.close()


def _day_in(store: Store, count: int, rounds: int, progress: Progress) -> Row:
    progress(f"store: a day of {count:,} meters in")
    days = [_day(count, turn) for turn in range(rounds)]

    def ours(turn: int) -> None:
        with store.write() as tx:
            series.put_intervals(tx, days[turn], time_zone=ZONE, cycle_s=START_S)

    def theirs(turn: int) -> None:
        with store.write() as tx:
            _insert(tx, days[turn])

    ours_ns, theirs_ns = alternate(rounds, ours, theirs)
    names = _names(days[-1])
    start_s = START_S + (rounds - 1) * interval.DAY_S
    end_s = start_s + interval.DAY_S
    with store.read() as tx:
        mine = _values(series.get_intervals(tx, names, start_s, end_s, time_zone=ZONE))
        wrong = sum(
            int((found != _values(days[-1])).sum())
            for found in (mine, _select(tx, names, start_s, DAY))
        )
    readings = count * DAY * len(series.REGISTERS)
    return Row(
        craft="store",
        name="store, in",
        work=f"{count:,} meter-days, one commit",
        unit="readings",
        taken=f"best of {rounds}",
        ours=Timing(readings, ours_ns),
        peer="one row per reading, SQLite",
        theirs=Timing(readings, theirs_ns),
        reach=faster(20),
        error=Error(wrong, "values", 0, "what was put in"),
    )


def _month_out(store: Store, count: int, rounds: int, progress: Progress) -> Row:
    progress(f"store: a month of {count:,} meters out")
    for number in range(DAYS):
        with store.write() as tx:
            day = _day(count, number)
            series.put_intervals(tx, day, time_zone=ZONE, cycle_s=START_S)
            _insert(tx, day)
    names = _names(day)
    end_s = START_S + DAYS * interval.DAY_S
    got: list[xr.Dataset] = []
    rows_got: list[npt.NDArray[np.int64]] = []

    def ours(turn: int) -> None:
        with store.read() as tx:
            got[:] = [series.get_intervals(tx, names, START_S, end_s, time_zone=ZONE)]

    def theirs(turn: int) -> None:
        with store.read() as tx:
            rows_got[:] = [_select(tx, names, START_S, DAYS * DAY)]

    ours_ns, theirs_ns = alternate(rounds, ours, theirs)
    readings = count * DAYS * DAY * len(series.REGISTERS)
    return Row(
        craft="store",
        name="store, out",
        work=f"a month of {count:,} meters",
        unit="readings",
        taken=f"best of {rounds}",
        ours=Timing(readings, ours_ns),
        peer="one row per reading, SQLite",
        theirs=Timing(readings, theirs_ns),
        reach=faster(20),
        error=Error(int((_values(got[0]) != rows_got[0]).sum()), "values", 0, "the peer's rows"),
    )


def _day(count: int, number: int) -> xr.Dataset:
    """Return day `number` of `count` meters, all intervals known."""
    draw = np.random.default_rng(number)
    dims = ("usage_point", "interval")
    shape = (count, DAY)
    return xr.Dataset(
        {name: (dims, draw.integers(0, 2_000, shape)) for name in series.REGISTERS}
        | {"quality": (dims, np.ones(shape, np.uint16))},
        {
            "usage_point": [f"UP-{place:06d}" for place in range(count)],
            "interval": interval.starts(START_S + number * interval.DAY_S, DAY, 900),
        },
    )


def _names(of: xr.Dataset) -> list[str]:
    return [str(name) for name in of["usage_point"].values]


def _values(of: xr.Dataset) -> npt.NDArray[np.int64]:
    """Return registers and quality, (usage point, interval, column)."""
    return np.stack([of[name].to_numpy().astype(np.int64) for name in _COLUMNS], axis=-1)


def _insert(tx: Transaction, day: xr.Dataset) -> None:
    starts = day["interval"].values.astype(np.int64).tolist()
    rows = [
        (name, start_s, *values)
        for name, of in zip(day["usage_point"].values.tolist(), _values(day).tolist(), strict=True)
        for start_s, values in zip(starts, of, strict=True)
    ]
    marks = ", ".join("?" * (2 + len(_COLUMNS)))
    tx.connection.cursor().executemany(f"INSERT INTO reading VALUES ({marks})", rows)


def _select(
    tx: Transaction, names: Sequence[str], start_s: int, count: int
) -> npt.NDArray[np.int64]:
    """Return what :func:`_values` does, of meters that have every reading."""
    cursor = tx.connection.cursor()
    cursor.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM reading WHERE usage_point BETWEEN ? AND ? "
        "AND start_s >= ? AND start_s < ? ORDER BY usage_point, start_s",
        (names[0], names[-1], start_s, start_s + 900 * count),
    )
    return np.array(cursor.fetchall(), np.int64).reshape(len(names), count, len(_COLUMNS))


class BareLog:
    """Ledger rows in a SQLite file through Python's own module, with the store's settings.

    Parameters
    ----------
    path : Path
        A file that does not exist.
    """

    _NAMES = ("sequence", "kind", "label", "cycle_s", "content", "leaf_hash")

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as connection:
            connection.execute(
                "CREATE TABLE ledger_entry (sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
                "label TEXT NOT NULL, cycle_s INTEGER NOT NULL, content BLOB NOT NULL, "
                "leaf_hash BLOB NOT NULL)"
            )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def insert(self, rows: Sequence[Sequence[object]], per_commit: int) -> None:
        """Insert rows of sequence, kind, label, cycle, content and leaf hash."""
        with closing(self._open()) as connection:
            for first in range(0, len(rows), per_commit):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO ledger_entry VALUES (?, ?, ?, ?, ?, ?)",
                    rows[first : first + per_commit],
                )
                connection.execute("COMMIT")

    def contents(self) -> list[bytes]:
        """Return the entries' bytes in order."""
        with closing(self._open()) as connection:
            query = "SELECT content FROM ledger_entry ORDER BY sequence"
            return [bytes(row[0]) for row in connection.execute(query)]
