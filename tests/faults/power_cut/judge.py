"""Whether a store that a power cut left has all that was acknowledged, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from grid import interval
from grid.store import Store, log
from tests.faults import ledger_writer
from tests.faults.power_cut.disk import Point, points
from tests.faults.power_cut.images import Drawer, Image
from tests.faults.power_cut.recording import MAIN, WAL, Event
from trading.ledger import checkpoint, entry, merkle

_ENTRIES = "SELECT sequence, content, leaf_hash FROM ledger_entry ORDER BY sequence"
_NOTES = "SELECT size, note FROM checkpoint ORDER BY size"
_BOOKS = (
    "SELECT * FROM (SELECT max(start_s), count(*) FROM settlement), "
    "(SELECT count(*), sum(amount_nano) FROM posting)"
)
_SETTLED = "SELECT start_s, count(*), sum(amount_nano) FROM posting GROUP BY start_s"
_THOROUGH_EVERY = 500
"""Of so many images one is looked through to its last index, and is worked on with."""


@dataclass
class Expected:
    """What an undisturbed run left: its chain verified, and what each length of it goes with."""

    rows: list[tuple[int, bytes, bytes]]
    roots: list[bytes]
    books: dict[int, tuple[int | None, ...]] = field(default_factory=dict)
    notes: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, database: Path) -> Expected:
        """Read it from the store of the undisturbed run."""
        with closing(_read_only(database)) as connection:
            rows = connection.execute(_ENTRIES).fetchall()
            settled = {
                interval.label(start_s): (start_s, lines, amount)
                for start_s, lines, amount in connection.execute(_SETTLED)
            }
        tree, previous = merkle.Frontier(), entry.NO_PREVIOUS
        found = cls(rows, [merkle.EMPTY_ROOT])
        ends = {
            entry.decode(content).interval: number for number, (_, content, _) in enumerate(rows)
        }
        newest, books = None, (0, 0, 0)
        for number, (sequence, content, leaf) in enumerate(rows):
            one = entry.decode(content)
            assert (one.sequence, sequence) == (number, number)
            assert one.previous == previous
            assert leaf == merkle.leaf_hash(content)
            previous = leaf
            tree.append(leaf)
            found.roots.append(tree.root())
            if one.interval in settled and ends[one.interval] == number:
                start_s, lines, amount = settled[one.interval]
                newest = max(newest or 0, start_s)
                books = (books[0] + 1, books[1] + lines, books[2] + amount)
            # Where a settlement has more than one entry, all of them or none are there.
            if one.interval not in settled or ends[one.interval] == number:
                found.books[number + 1] = (newest, *books[:2], books[2] or None)
        return found

    def size_and_root(self, signed: str) -> tuple[int, bytes]:
        """Return what a note says, once its signature holds."""
        if signed not in self.notes:
            head = checkpoint.verify(signed, ledger_writer.SIGNER.key)
            self.notes[signed] = (head.size, head.root)
        return self.notes[signed]


def _read_only(database: Path) -> sqlite3.Connection:
    """Open a database whose journal is recovered, and whose files stay as they are."""
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


def faults(database: Path, expected: Expected, point: Point) -> list[str]:
    """Return what is wrong with a store after a cut at a point, nothing when all is well."""
    found = []
    try:
        with closing(_read_only(database)) as connection:
            rows = connection.execute(_ENTRIES).fetchall()
            notes = connection.execute(_NOTES).fetchall()
            books = connection.execute(_BOOKS).fetchone()
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


def faults_in_use(database: Path) -> list[str]:
    """Return what is wrong when the store itself is opened after a cut and settles once more.

    The files are changed.
    """
    with closing(Store.at(database.parent)) as store:
        with store.read() as tx:
            (said,) = tx.exec_driver_sql("PRAGMA integrity_check").one()
            size = log.size(tx)
        if said != "ok":
            return [f"damaged: {said}"]
        grown = ledger_writer.settle(store, ledger_writer.UNUSED)
        signed = ledger_writer.sign(store)
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(_ENTRIES).fetchall()
    chained = all(entry.decode(after[1]).previous == before[2] for before, after in pairwise(rows))
    grew = size < grown == signed == len(rows)
    return [] if chained and grew else ["it cannot be gone on with"]


@dataclass
class Recorded:
    """What a process did to a store, the store before, and what an undisturbed run leaves."""

    events: list[Event]
    before: dict[str, bytes]
    expected: Expected


@dataclass
class Tally:
    """What was judged, and what was found."""

    points: int = 0
    images: int = 0
    distinct: set[bytes] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    first: str = ""

    def add(self, other: Tally) -> None:
        """Count another's images, too."""
        self.points += other.points
        self.images += other.images
        self.distinct |= other.distinct
        self.faults += other.faults
        self.first = self.first or other.first

    def __str__(self) -> str:
        return (
            f"{self.points:,} points, {self.images:,} images, {len(self.distinct):,} distinct, "
            f"{self.faults.total():,} faults"
        )


class Folder:
    """A folder that holds one image after the other."""

    def __init__(self, path: Path) -> None:
        self.database = path / MAIN
        self._held: dict[str, object] = {}
        self._path = path

    def forget(self) -> None:
        """Hold nothing: the files were changed."""
        self._held.clear()

    def hold(self, image: Image) -> None:
        """Make the folder hold an image; a file that is the same object is there already."""
        for name in (MAIN, WAL):
            content = image.get(name)
            if name in self._held and content is self._held[name]:
                continue
            self._held[name] = content
            if content is None:
                (self._path / name).unlink(missing_ok=True)
                continue
            file = os.open(self._path / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(file, content)
            os.close(file)


def judge(
    recorded: Recorded,
    folder: Path,
    *,
    per_point: int,
    seed: int,
    tally: Tally,
    every: int = 1,
) -> None:
    """Draw images at every point of a recording, or at each of some, and judge them all.

    Parameters
    ----------
    folder : Path
        Holds one image after the other.
    per_point : int
        At most so many images a point.
    every : int
        Of so many points one is taken.
    """
    held = Folder(folder)
    seen: set[bytes] = set()
    asked: object = None
    for point in points(recorded.events, recorded.before, entries=1):
        if point.number % every:
            continue
        tally.points += 1
        if (point.entries, point.released) != asked:
            # More is asked for now of the same image.
            asked = (point.entries, point.released)
            seen.clear()
        drawer = Drawer(point, np.random.default_rng([seed, point.number]))
        for key, image in drawer.images(per_point, seen):
            held.hold(image)
            tally.images += 1
            tally.distinct.add(key)
            found = faults(held.database, recorded.expected, point)
            if tally.images % _THOROUGH_EVERY == 0 and not found:
                found = faults_in_use(held.database)
                held.forget()
            for fault in found:
                tally.faults[fault] += 1
                tally.first = tally.first or f"seed {seed}, point {point.number}: {fault}"
