"""The largest size of each addition that keeps every limit in every interval of a series.

A few intervals in which something is nearest to its limit decide almost always. The search
runs on those; its answers are then judged in all intervals, and an interval that breaks one is
added to those of the search, until none does.

A scan over doubling sizes finds the first that breaks a limit, and bisection the edge below it.
That the sizes below are kept too is not proved between the sizes tried: it holds where what is
added moves every voltage and current one way, as it does until a plant has turned the flow in a
line round, and what it relieves there is not counted against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from networks.hosting.frame import Frame
from networks.hosting.intervals import Additions, Intervals
from networks.hosting.kernel import excesses, kept
from networks.model import Bool, Float, Int

CHUNK = 4_000
_DOUBLINGS = 10
_WORST = 2
_ROUNDS = 8

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Found:
    """What a search gave, by candidate.

    Attributes
    ----------
    size_kw : float64 (candidate,)
        The largest that keeps every limit, to the accuracy asked for.
    capped : bool (candidate,)
        Where the ceiling of the search keeps every limit too.
    position : int64 (candidate,)
        Interval of the series that decides; -1 where capped.
    kind, limit : list of str
        What breaks first beyond; empty where capped.
    checked : bool (candidate,)
        Whether all intervals of the series were judged at `size_kw`, and all kept their limits.
    corrected : int
        How many answers the whole series made smaller.
    """

    size_kw: Float
    capped: Bool
    position: Int
    kind: list[str]
    limit: list[str]
    checked: Bool
    corrected: int


def find(
    frame: Frame,
    added: Additions,
    *,
    lowers_voltage: bool,
    ceiling_kw: float,
    accuracy_kw: float,
    check: Int,
    progress: Progress,
) -> Found:
    """Return the largest size of each candidate.

    Parameters
    ----------
    lowers_voltage : bool
        Whether the additions are loads.
    check : int64 (some candidates,)
        Whose answers are judged in all intervals.
    """
    few = frame.intervals(worst(frame, lowers_voltage))
    progress(f"searching {len(added)} sizes in the {len(few)} worst intervals")
    search = _Search(frame, added, few, ceiling_kw, accuracy_kw)
    search.scan()
    search.bisect()
    checked = np.zeros(len(added), dtype=np.bool_)
    checked[check] = True
    corrected: set[int] = set()
    waiting = np.asarray(check, dtype=np.int64)
    for _ in range(_ROUNDS):
        if not len(waiting):
            break
        progress(f"judging {len(waiting)} of {len(added)} answers in every interval")
        pairs = broken_in_all(frame, added, waiting, search.low_kw[waiting])
        waiting = np.unique(pairs[0])
        corrected |= set(waiting.tolist())
        search.learn(*pairs)
        search.bisect()
    checked[waiting] = False
    kind, limit, position = search.limits()
    return Found(search.low_kw, search.capped, position, kind, limit, checked, len(corrected))


def worst(frame: Frame, lowers_voltage: bool) -> Int:
    """Return the steps in which something is nearest to its limit for a kW of size."""
    nearest: Float | None = None
    steps: Int | None = None
    for part in _active(frame):
        some = frame.intervals(part)
        room = _room(frame, some, lowers_voltage)
        at = np.broadcast_to(part, room.shape)
        if nearest is not None and steps is not None:
            room, at = np.concatenate([nearest, room], 1), np.concatenate([steps, at], 1)
        count = min(_WORST, room.shape[1])
        chosen = np.argpartition(room, count - 1, axis=1)[:, :count]
        nearest = np.take_along_axis(room, chosen, 1)
        steps = np.take_along_axis(at, chosen, 1)
    return np.unique(steps) if steps is not None else np.zeros(0, dtype=np.int64)


def _active(frame: Frame) -> Iterator[Int]:
    """Yield the steps in which an addition gives or takes something, a chunk at a time."""
    active = np.flatnonzero(frame.profile > 0.0)
    for first in range(0, len(active), CHUNK):
        yield active[first : first + CHUNK]


def _room(frame: Frame, some: Intervals, lowers_voltage: bool) -> Float:
    """Return what is left to each limit for a kW of size, (limit, step), in units of its own.

    A branch is there twice: an addition may flow through it either way. Voltages beside it are
    taken as they are, which is near enough to choose intervals by.
    """
    vm_pu = np.abs(some.state[frame.order])
    voltage = vm_pu - np.sqrt(some.low) if lowers_voltage else np.sqrt(some.high) - vm_pu
    f, _, _, scale = frame.rows
    at = some.state[frame.order][f]
    current = frame.currents(some.state)[0] * np.sqrt(scale[:, :1]) * at.conj() / np.abs(at)
    along = np.sqrt(np.maximum(some.allowed - current.imag**2, 0.0))
    rooms = np.concatenate([voltage, along - current.real, along + current.real])
    return rooms / some.profile


def broken_in_all(frame: Frame, added: Additions, which: Int, size_kw: Float) -> tuple[Int, Int]:
    """Return (candidate, step): of each chunk of the series the step that breaks most, if any."""
    found: list[tuple[Int, Int]] = []
    for part in _active(frame):
        some = frame.intervals(part)
        steps = np.tile(np.arange(len(part), dtype=np.int64), len(which))
        excess, _ = excesses(
            frame, some, added, steps, np.repeat(which, len(part)), np.repeat(size_kw, len(part))
        )
        table = excess.reshape(len(which), len(part))
        most = table.argmax(axis=1)
        bad = ~kept(table.max(axis=1))
        found.append((which[bad], part[most[bad]]))
    return (
        np.concatenate([one[0] for one in found]),
        np.concatenate([one[1] for one in found]),
    )


class _Search:
    """A bracket for each candidate, and the intervals that still decide where it closes."""

    def __init__(
        self, frame: Frame, added: Additions, few: Intervals, ceiling_kw: float, accuracy_kw: float
    ) -> None:
        count = len(added)
        self._frame, self._added, self._few = frame, added, few
        self._ceiling_kw, self._accuracy_kw = ceiling_kw, accuracy_kw
        self.low_kw = np.zeros(count)
        self._high_kw = np.full(count, ceiling_kw)
        self.capped = np.ones(count, dtype=np.bool_)
        self._which = np.zeros(0, dtype=np.int64)
        self._step = np.zeros(0, dtype=np.int64)

    def _excess(self, which: Int, step: Int, size_kw: Float) -> tuple[Float, Int]:
        return excesses(self._frame, self._few, self._added, step, which, size_kw[which])

    def scan(self) -> None:
        """Find the first of the doubling sizes that breaks a limit."""
        every = np.arange(len(self._few), dtype=np.int64)
        for level_kw in self._ceiling_kw * 0.5 ** np.arange(_DOUBLINGS, -1, -1.0):
            open_ = np.flatnonzero(self.capped)
            if not len(open_):
                return
            which, step = np.repeat(open_, len(every)), np.tile(every, len(open_))
            sizes = np.full(len(self.low_kw), level_kw)
            broken = ~kept(self._excess(which, step, sizes)[0])
            self._note(which[broken], step[broken], sizes)
            self.low_kw[self.capped] = level_kw

    def _note(self, which: Int, step: Int, size_kw: Float) -> None:
        """Keep pairs of a candidate and a step that breaks at a size."""
        fresh = np.unique(which)
        old = ~np.isin(self._which, fresh)
        self._which = np.concatenate([self._which[old], which])
        self._step = np.concatenate([self._step[old], step])
        self._high_kw[fresh] = size_kw[fresh]
        self.capped[fresh] = False

    def learn(self, which: Int, position: Int) -> None:
        """Take up steps of the series in which the present sizes break a limit."""
        if not len(which):
            return
        new = np.unique(position)
        first = len(self._few)
        self._few = self._few.with_others(self._frame.intervals(new))
        self._note(which, first + np.searchsorted(new, position), self.low_kw.copy())
        self.low_kw[np.unique(which)] = 0.0

    def bisect(self) -> None:
        """Close the brackets to the accuracy asked for."""
        while True:
            wide = self._high_kw - self.low_kw > self._accuracy_kw
            pairs = (~self.capped & wide)[self._which]
            which, step = self._which[pairs], self._step[pairs]
            if not len(which):
                return
            middle_kw = (self.low_kw + self._high_kw) / 2
            broken = ~kept(self._excess(which, step, middle_kw)[0])
            worse = np.unique(which[broken])
            better = np.setdiff1d(np.unique(which), worse)
            self._note(which[broken], step[broken], middle_kw)
            self.low_kw[better] = middle_kw[better]

    def limits(self) -> tuple[list[str], list[str], Int]:
        """Return kind and words of the limit that each candidate breaks first, and where."""
        count = len(self.low_kw)
        kind, words, position = [""] * count, [""] * count, np.full(count, -1, dtype=np.int64)
        excess, broken = self._excess(self._which, self._step, self._high_kw)
        order = np.lexsort((excess, self._which))
        last = np.flatnonzero(np.diff(self._which[order], append=-1))
        for pair in order[last]:
            candidate, step = int(self._which[pair]), int(self._step[pair])
            kind[candidate], words[candidate] = self._frame.limit(
                int(broken[pair]), self._few, step
            )
            position[candidate] = self._few.position[step]
        return kind, words, position
