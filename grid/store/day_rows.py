"""The rows of days of intervals: those of many usage points go in or out in one statement.

A row holds one usage point, local day and version of registers that are kept together:
the four of electricity, or one of another medium.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import TextClause, case, text

from grid.store.engine import Transaction
from grid.store.packed_days import Cut, Quantity, unpack
from grid.store.schema import written_day
from grid.store.upsert import dialect_of

REGISTERS: Final = ("import_wh", "export_wh", "import_varh", "export_varh")
QUANTITIES: Final = ("energy", "quality", "rule", "sd")
_OPTIONAL: Final = frozenset({"rule", "sd"})
"""Most days are simply as read: nothing is stored for them."""
_TOGETHER: Final = "electricity"
_MOST: Final = 20_000
"""Rows of a statement: their bytes stay far below what a database takes in one value."""

_ASKED: Final = {
    "sqlite": ("json_each(:names) AS asked", "asked.key"),
    "postgresql": (
        "unnest(CAST(:names AS text[])) WITH ORDINALITY AS asked(value, number)",
        "CAST(asked.number - 1 AS integer)",
    ),
}
_PART: Final = {
    "sqlite": "substr(:{0}, {1} * :{0}_stride + 1, :{0}_length)",
    "postgresql": "substr(CAST(:{0} AS bytea), {1} * CAST(:{0}_stride AS integer) + 1, "
    "CAST(:{0}_length AS integer))",
}


def kept_together(registers: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...], list[str]]]:
    """Yield the key of each kind of row, what it holds, and which of `registers` that are."""
    if asked := [register for register in registers if register in REGISTERS]:
        yield _TOGETHER, REGISTERS, asked
    for register in registers:
        if register not in REGISTERS:
            yield register, (register,), [register]


def held_by(key: str) -> tuple[str, ...]:
    """Return the registers in rows of this key."""
    return REGISTERS if key == _TOGETHER else (key,)


@dataclass(frozen=True, eq=False)
class Day:
    """A local day of registers that are kept together.

    Attributes
    ----------
    label : str
        ISO date.
    start_s : int
    slots : int
        Its intervals.
    registers : str
        Their key (:func:`kept_together`).
    """

    label: str
    start_s: int
    slots: int
    registers: str


@dataclass(frozen=True, eq=False)
class NewestRows:
    """The newest version of a day, of the usage points that have one.

    Attributes
    ----------
    day : Day
    place : list of int
        Of each in the usage points that were asked for.
    version : list of int
    contents : dict of str to list of bytes or None
        Packed days by quantity; None is all zero.
    """

    day: Day
    place: list[int]
    version: list[int]
    contents: dict[str, list[bytes | None]]

    def fill(
        self,
        quantity: str,
        into: npt.NDArray[Any],
        registers: Sequence[str] = (),
        part: slice = slice(None),
    ) -> None:
        """Write a quantity into an array (usage point, register, slot); the rest of it stays.

        Parameters
        ----------
        registers : sequence of str
            Along the second axis; those that are not in these rows are left alone. Without,
            all that the rows hold.
        part : slice
            The slots of the day that are wanted.
        """
        some = [
            (content, place)
            for content, place in zip(self.contents[quantity], self.place, strict=True)
            if content is not None
        ]
        held = held_by(self.day.registers)
        if some:
            unpack(
                [content for content, _ in some],
                [place for _, place in some],
                into,
                held=len(held),
                registers=[
                    (place, held.index(register))
                    for place, register in enumerate(registers or held)
                    if register in held
                ],
                part=part,
            )


def newest(
    tx: Transaction, usage_points: Sequence[str], day: Day, quantities: Sequence[str] = QUANTITIES
) -> NewestRows:
    """Return the newest version of a day of the usage points, without those that have none."""
    facts = {
        "names": _names(tx, usage_points),
        "day": day.label,
        "registers": day.registers,
        "start_s": day.start_s,
    }
    rows = tx.execute(newest_query(tx.dialect.name, tuple(quantities)), facts).all()
    if any(row[1] > 1 for row in rows):
        last = {row[0]: row for row in sorted(rows, key=lambda row: int(row[1]))}
        rows = list(last.values())
    place, version, *contents = zip(*rows, strict=True) if rows else [()] * (2 + len(quantities))
    return NewestRows(
        day,
        list(place),
        list(version),
        {name: list(found) for name, found in zip(quantities, contents, strict=True)},
    )


@cache
def newest_query(dialect: str, quantities: tuple[str, ...]) -> TextClause:
    """Return the statement that finds every version of a day of the usage points named."""
    asked, number = _ASKED[dialect]
    columns = ", ".join(f"found.{name}" for name in quantities)
    # The database takes the names first and looks each up: a cross join is in that order.
    return text(
        f"SELECT {number}, found.version, {columns} FROM {asked} CROSS JOIN interval_day AS found "
        "WHERE found.day = :day AND found.registers = :registers "
        "AND found.usage_point = asked.value AND found.start_s = :start_s"
    )


def write(
    tx: Transaction,
    usage_points: Sequence[str],
    day: Day,
    version: npt.NDArray[np.int64],
    quantities: dict[str, Quantity | None],
    cycle_s: int,
) -> None:
    """Write a row of each usage point, in place of one that has its version.

    Parameters
    ----------
    version : ndarray of int64 (usage point,)
    quantities : dict
        Rows as `usage_points`; None where all is zero.
    """
    if not usage_points:
        return
    there = {name: one for name, one in quantities.items() if one is not None}
    shapes = {name: one.shape for name, one in there.items()}
    for rows in _equal(np.stack([version.astype(np.uint64), *shapes.values()])):
        for first in range(0, len(rows), _MOST):
            chunk = rows[first : first + _MOST]
            here: npt.NDArray[np.int64] | slice = chunk
            if len(chunk) == len(usage_points):
                here = slice(None)
            _insert(
                tx,
                [usage_points[row] for row in chunk],
                day,
                int(version[chunk[0]]),
                {
                    name: one.cut(here)
                    for name, one in there.items()
                    if name not in _OPTIONAL or shapes[name][chunk[0]]
                },
                cycle_s,
            )
    _tell(tx, day, cycle_s)


def _insert(
    tx: Transaction,
    names: Sequence[str],
    day: Day,
    version: int,
    cuts: dict[str, Cut],
    cycle_s: int,
) -> None:
    facts: dict[str, object] = {
        "names": _names(tx, names),
        "day": day.label,
        "registers": day.registers,
        "version": version,
        "start_s": day.start_s,
        "cycle_s": cycle_s,
    }
    for name, cut in cuts.items():
        facts |= {name: cut.content, f"{name}_stride": cut.stride, f"{name}_length": cut.length}
    tx.execute(_insertion(tx.dialect.name, frozenset(cuts)), facts)


@cache
def _insertion(dialect: str, given: frozenset[str]) -> TextClause:
    asked, number = _ASKED[dialect]
    part = _PART[dialect]
    values = ", ".join(
        part.format(name, number) if name in given else "NULL" for name in QUANTITIES
    )
    columns = ", ".join(QUANTITIES)
    renewed = ", ".join(f"{name} = excluded.{name}" for name in ("start_s", *QUANTITIES, "cycle_s"))
    return text(
        f"INSERT INTO interval_day (day, registers, usage_point, version, start_s, {columns}, "
        f"cycle_s) SELECT :day, :registers, asked.value, :version, :start_s, {values}, :cycle_s "
        f"FROM {asked} WHERE true "
        f"ON CONFLICT (day, registers, usage_point, version) DO UPDATE SET {renewed}"
    )


def _tell(tx: Transaction, day: Day, cycle_s: int) -> None:
    """Keep which cycle was the last to write into a day."""
    statement: Any = dialect_of(tx).insert(written_day)
    now, before = statement.excluded.cycle_s, written_day.c.cycle_s
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["start_s"], set_={"cycle_s": case((now > before, now), else_=before)}
        ),
        {"start_s": day.start_s, "day": day.label, "slots": day.slots, "cycle_s": cycle_s},
    )


def _names(tx: Transaction, usage_points: Sequence[str]) -> object:
    """Return names as the database takes many in one parameter."""
    return json.dumps(list(usage_points)) if tx.dialect.name == "sqlite" else list(usage_points)


def _equal(shape: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.int64]]:
    """Return the numbers of the columns that are equal, a group each."""
    if (shape == shape[:, :1]).all():
        return [np.arange(shape.shape[1])]
    order = np.lexsort(shape)
    new = (np.diff(shape[:, order], axis=1) != 0).any(axis=0)
    return np.split(order, np.flatnonzero(new) + 1)
