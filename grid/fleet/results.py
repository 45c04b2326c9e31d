"""The one store of a fleet's results: a folder that a killed run leaves and a later one resumes.

``fleet.json`` says what the fleet is, each array has its size from the start, ``findings.json``
says what was found, and ``done.npy`` has a byte for each item. The process that runs alone writes;
a byte is written after what it stands for is on disk, so what is half written is not done, and any
order of workers gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from grid.errors import Finding, Severity
from grid.fleet.folder import (
    FACTS,
    LOCK,
    locked,
    open_array,
    read_json,
    refuse_foreign,
    refuse_other,
    replace,
)

PENDING, SOLVED, REFUSED = 0, 1, 2
FINDINGS = "findings.json"
DONE = "done"

Shapes: TypeAlias = Mapping[str, tuple[tuple[int, ...], Any, float]]
"""Of each array its shape, its dtype, and what stands where nothing is known."""


class Results:
    """A fleet's results, open for writing by this process alone.

    Parameters
    ----------
    directory : Path
        Made when it is not there.
    count : int
        Items of the fleet.
    facts : dict
        What makes two runs the same fleet.
    shapes : mapping
        Of the arrays beside ``done``.

    Attributes
    ----------
    array : dict of str to ndarray
        Mapped; what is written there is kept by :meth:`keep`.

    Raises
    ------
    BadInputError
        The folder has something else in it, another fleet's results, or another run writing.
    StoreError
        A file in it is damaged.
    """

    def __init__(self, directory: Path, count: int, facts: dict[str, Any], shapes: Shapes) -> None:
        self.directory, self.count = directory, count
        shapes = {**shapes, DONE: ((count,), np.uint8, PENDING)}
        directory.mkdir(parents=True, exist_ok=True)
        refuse_foreign(directory, {FACTS, FINDINGS, LOCK, *(f"{name}.npy" for name in shapes)})
        self._lock = locked(directory)
        try:
            if (directory / FACTS).exists():
                refuse_other(directory, facts)
            else:
                _create(directory, shapes)
                # Written last: without it nothing has begun.
                replace(directory / FACTS, facts)
            self.array = {name: open_array(directory, name, mode="r+") for name in shapes}
            self._findings = read_findings(directory, self.array[DONE])
        except BaseException:
            self._lock.close()
            raise

    @property
    def pending(self) -> npt.NDArray[np.int64]:
        """Numbers of the items that are not done."""
        return np.flatnonzero(self.array[DONE] == PENDING).astype(np.int64)

    @property
    def refused(self) -> int:
        """How many items have no result."""
        return int((self.array[DONE] == REFUSED).sum())

    def keep(self, states: Mapping[int, int], found: Mapping[int, Sequence[Finding]]) -> None:
        """Keep what was written for some items, then that they are done.

        Parameters
        ----------
        states : mapping of int to int
            ``SOLVED`` or ``REFUSED`` by the number of an item.
        found : mapping of int to sequence of Finding
        """
        for name, array in self.array.items():
            if name != DONE:
                array.flush()
        new = {number: list(some) for number, some in found.items() if some}
        if new:
            self._findings |= new
            rows = {str(number): self._findings[number] for number in sorted(self._findings)}
            texts = {number: [asdict(one) for one in some] for number, some in rows.items()}
            replace(self.directory / FINDINGS, texts)
        for number, state in states.items():
            self.array[DONE][number] = state
        self.array[DONE].flush()

    def close(self) -> None:
        """Let others write."""
        for array in self.array.values():
            array.flush()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_findings(directory: Path, done: Any) -> dict[int, list[Finding]]:
    """Return the findings of the items that are done, by number."""
    path = directory / FINDINGS
    if not path.exists():
        return {}
    return {
        int(number): [Finding(**{**row, "severity": Severity(row["severity"])}) for row in rows]
        for number, rows in read_json(path).items()
        if done[int(number)] != PENDING
    }


def _create(directory: Path, shapes: Shapes) -> None:
    for name, (shape, dtype, value) in shapes.items():
        path = directory / f"{name}.npy"
        made = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        made[:] = value
        made.flush()
