"""Paths of branches in a one-line diagram, and tracks for those that close loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from networks.drawing.svg import Point, path

_TRACK_PX, _LANE_PX, _STUB_PX, _CLEAR_PX = 15.0, 8.0, 9.0, 40.0

Bars = Sequence[tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Route:
    """A path from bus `a` to bus `b`."""

    points: tuple[Point, ...]

    def d(self) -> str:
        """Return the path as SVG has it."""
        return path(self.points)

    @property
    def length(self) -> float:
        return sum(math.dist(p, q) for p, q in pairwise(self.points))

    @property
    def first_px(self) -> float:
        """Length of the first straight part."""
        return next(
            (math.dist(p, q) for p, q in pairwise(self.points) if p != q),
            0.0,
        )

    def reversed(self) -> Route:
        """Return the path from `b` to `a`."""
        return Route(self.points[::-1])

    def along(self, px: float) -> tuple[Point, Point]:
        """Return the point so far from the beginning, and the direction there."""
        left = px
        direction = (1.0, 0.0)
        for p, q in pairwise(self.points):
            size = math.dist(p, q)
            if size == 0.0:
                continue
            direction = ((q[0] - p[0]) / size, (q[1] - p[1]) / size)
            if left <= size:
                return (p[0] + direction[0] * left, p[1] + direction[1] * left), direction
            left -= size
        return self.points[-1], direction

    def longest(self) -> tuple[Point, Point]:
        """Return the middle of the longest straight part, and its direction."""
        p, q = max(
            pairwise(self.points),
            key=lambda part: math.dist(*part) + 1e-3 * (part[0][1] == part[1][1]),
        )
        size = math.dist(p, q) or 1.0
        return ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2), ((q[0] - p[0]) / size, (q[1] - p[1]) / size)

    def cut(self, start: float, end: float) -> Route:
        """Return the part between two lengths."""
        made = [self.along(start)[0]]
        gone = 0.0
        for p, q in pairwise(self.points):
            gone += math.dist(p, q)
            if start < gone < end:
                made.append(q)
        return Route((*made, self.along(end)[0]))


class Tracks:
    """Free ways around what stands in rows: between them, and to the right of them.

    Parameters
    ----------
    top, row_px : float
    at : sequence of points
        Where the buses stand.
    dropping : frozenset of int
        Buses from which a branch of the tree goes straight down.
    """

    def __init__(
        self, top: float, row_px: float, at: Sequence[Point], dropping: frozenset[int]
    ) -> None:
        self.top, self.row_px, self.at = top, row_px, at
        self.dropping, self.left = dropping, set[int]()
        rows = max((self._half(y) for _, y in at), default=0) + 2
        self.extent = [0.0] * (rows + 1)
        for x, y in at:
            half = self._half(y)
            self.extent[half] = max(self.extent[half], x + _CLEAR_PX)
        self.lanes = [0] * (rows + 1)
        self.right_px = max((x for x, _ in at), default=0.0)
        self.below_px = 0.0

    def _half(self, y: float) -> int:
        """Return the half row that a height is in: even ones are rows, odd ones lie between."""
        return round(2 * (y - self.top) / self.row_px)

    def chords(
        self, wanted: Sequence[tuple[int, int, int]], leaf: Sequence[bool], bar: Bars
    ) -> dict[int, Route]:
        """Return the route of each (branch, bus a, bus b), short ones inside."""
        straight: set[int] = set()
        made: dict[int, Route] = {}

        def reach(one: tuple[int, int, int]) -> tuple[float, int]:
            _, a, b = one
            return abs(self.at[a][1] - self.at[b][1]), one[0]

        for n, a, b in sorted(wanted, key=reach):
            exits = []
            for bus in (a, b):
                if leaf[bus] and bus not in straight:
                    straight.add(bus)
                    exits.append((self._half(self.at[bus][1]), [self.at[bus]]))
                else:
                    exits.append(self._channel(bus, bar))
            made[n] = self._joined(*exits)
        return made

    def _channel(self, bus: int, bar: Bars) -> tuple[int, list[Point]]:
        """Return the half row between two rows that a bus goes into, and how it gets there."""
        x, y = self.at[bus]
        end = bar[bus]
        lowest = y if end is None else max(y, end[1] - self.row_px / 4)
        half = math.floor(2 * (lowest - self.top) / self.row_px + 1e-6) + 1
        half += 1 - half % 2
        half = min(half, len(self.lanes) - 1)
        lane = self.lanes[half]
        self.lanes[half] += 1
        shift = (lane + 1) // 2 * (_LANE_PX if lane % 2 else -_LANE_PX)
        level = self.top + half * self.row_px / 2 + shift
        if half >= len(self.lanes) - 2:
            self.below_px = self.row_px / 2
        start = (x, y) if end is None else (x, end[1])
        is_way_free = bus not in self.dropping and bus not in self.left
        self.left.add(bus)
        return half, [start, (x if is_way_free else x + _STUB_PX, level)]

    def _joined(self, first: tuple[int, list[Point]], last: tuple[int, list[Point]]) -> Route:
        low, high = sorted((first[0], last[0]))
        begin, end = first[1][-1], last[1][-1]
        if low == high and len(first[1]) == len(last[1]) == 2:
            level = begin[1]
            from_x, to_x = first[1][0][0], last[1][0][0]
            back = (to_x + (begin[0] - from_x) * (-1 if from_x < to_x else 1), level)
            return Route((first[1][0], begin, back, last[1][0]))
        track = max([*self.extent[low : high + 1], begin[0], end[0]]) + _TRACK_PX
        for half in range(low, high + 1):
            self.extent[half] = track
        self.right_px = max(self.right_px, track)
        return Route((*first[1], (track, begin[1]), (track, end[1]), *reversed(last[1])))
