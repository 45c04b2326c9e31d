"""Whether a store that a power cut left has all that was acknowledged, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grid import interval
from tests.faults import ledger_writer
from tests.faults.power_cut.disk import Point, points
from tests.faults.power_cut.images import Drawer, Image
from tests.faults.power_cut.recording import MAIN, WAL, Event
from trading.ledger import checkpoint, entry, merkle

_ENTRIES = "SELECT sequence, content, leaf_hash FROM ledger_entry ORDER BY sequence"
_NOTES = "SELECT size, note FROM checkpoint ORDER BY size"
_BOOKS = (
    "SELECT (SELECT max(start_s) FROM settlement), (SELECT count(*) FROM settlement), "
    "(SELECT count(*) FROM posting), (SELECT sum(amount_nano) FROM posting)"
)
_READ_TABLES = ("ledger_entry", "checkpoint", "settlement", "posting")


@dataclass
class Expected:
    """What an undisturbed run left: its chain verified, and what each length of it goes with."""

    rows: list[tuple[int, bytes, bytes]]
    roots: list[bytes]
    books: dict[int, tuple[int, ...]] = field(default_factory=dict)
    notes: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, database: Path) -> Expected:
        """Read it from the store of the undisturbed run."""
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(_ENTRIES).fetchall()
            settled = connection.execute(
                "SELECT start_s, count(*), sum(amount_nano) FROM posting GROUP BY start_s"
            ).fetchall()
        tree, roots, previous = merkle.Frontier(), [merkle.EMPTY_ROOT], entry.NO_PREVIOUS
        ends: dict[str, int] = {}
        for number, (sequence, content, leaf) in enumerate(rows):
            one = entry.decode(content)
            assert (one.sequence, sequence) == (number, number)
            assert one.previous == previous
            assert leaf == merkle.leaf_hash(content)
            previous = leaf
            tree.append(leaf)
            roots.append(tree.root())
            ends[one.interval] = number + 1
        found = cls(rows, roots, {1: (None, 0, 0, None)})
        count = total = 0
        for number, (start_s, lines, amount) in enumerate(settled, start=1):
            count, total = count + lines, total + amount
            end = ends[interval.label(start_s)]
            found.books[end] = (start_s, number, count, total)
        return found

    def size_and_root(self, signed: str) -> tuple[int, bytes]:
        """Return what a note says, once its signature holds."""
        if signed not in self.notes:
            head = checkpoint.verify(signed, ledger_writer.SIGNER.key)
            self.notes[signed] = (head.size, head.root)
        return self.notes[signed]


def faults(database: Path, expected: Expected, point: Point) -> list[str]:
    """Return what is wrong with a store after a cut at a point, nothing when all is well."""
    found = []
    try:
        # Read only: the journal is recovered all the same, and the files stay as they are.
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            for table in _READ_TABLES:
                (said,) = connection.execute(f"PRAGMA integrity_check({table})").fetchone()
                if said != "ok":
                    found.append(f"damaged: {table}")
            rows = connection.execute(_ENTRIES).fetchall()
            notes = connection.execute(_NOTES).fetchall()
            (books,) = connection.execute(_BOOKS).fetchall()
    except sqlite3.Error as error:
        return [f"not readable: {error}"]
    if rows != expected.rows[: len(rows)]:
        found.append("entries differ, or one is missing between others")
    if len(rows) < point.entries:
        found.append("acknowledged entries lost")
    if expected.books.get(len(rows)) != books:
        found.append("books and ledger differ")
    for size, signed in notes:
        if size > len(rows) or expected.size_and_root(signed) != (size, expected.roots[size]):
            found.append("a checkpoint contradicts the entries")
    if not set(point.released) <= {size for size, _ in notes}:
        found.append("released checkpoints lost")
    return found


@dataclass
class Tally:
    """What was judged, and what was found."""

    points: int = 0
    images: int = 0
    distinct: set[bytes] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    first: str = ""


class Folder:
    """A folder that holds one image after the other."""

    def __init__(self, path: Path) -> None:
        self.database = path / MAIN
        self._held: dict[str, object] = {}
        self._path = path

    def hold(self, image: Image) -> None:
        """Make the folder hold an image; a file that is the same object is there already."""
        for name in (MAIN, WAL):
            content = image.get(name)
            if content is self._held.get(name):
                continue
            self._held[name] = content
            if content is None:
                (self._path / name).unlink(missing_ok=True)
                continue
            file = os.open(self._path / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(file, content)
            os.close(file)


def judge(
    events: list[Event],
    before: dict[str, bytes],
    expected: Expected,
    *,
    folder: Path,
    entries: int,
    per_point: int,
    seed: int,
    tally: Tally,
    every: int = 1,
) -> None:
    """Draw images at every point of a recording, or at each of some, and judge them all."""
    held = Folder(folder)
    for point in points(events, before, entries):
        if point.number % every:
            continue
        tally.points += 1
        drawer = Drawer(point, np.random.default_rng([seed, point.number]))
        for key, image in drawer.images(per_point):
            held.hold(image)
            tally.images += 1
            tally.distinct.add(key)
            for fault in faults(held.database, expected, point):
                tally.faults[fault] += 1
                tally.first = tally.first or f"seed {seed}, point {point.number}: {fault}"
