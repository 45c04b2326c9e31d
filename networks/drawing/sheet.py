"""The sheet of a picture: what stands where, and where a label still has room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from networks.drawing.svg import Point, element, path, width_px, words

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

MARK, LINE = 1, 2
_BOLD, _BOLD_KINDS = 1.1, ("strong", "over", "low", "high", "flag")
_ASCENT, _DESCENT, _AIR_PX = 0.82, 0.24, 3.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a label may stand: its baseline and which of its ends is at `x`."""

    x: float
    y: float
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Label:
    """A text that has its place."""

    text: str
    spot: Spot
    size_px: float
    kind: str
    leader: Point | None = None

    @property
    def box(self) -> Box:
        return label_box(self.text, self.spot, self.size_px, self.kind)

    def svg(self) -> str:
        anchor = None if self.spot.anchor == "start" else self.spot.anchor
        line = ""
        if self.leader is not None:
            left, top, right, bottom = self.box
            x, y = self.leader
            end = (min(max(x, left), right), min(max(y, top), bottom))
            line = element("path", class_="leader", d=path([self.leader, end]))
        return line + words(
            "text", self.text, class_=self.kind, x=self.spot.x, y=self.spot.y,
            font_size=self.size_px, text_anchor=anchor,
        )  # fmt: skip


def label_box(text: str, spot: Spot, size_px: float, kind: str = "") -> Box:
    """Return what a text of some kind covers."""
    wide = width_px(text, size_px) * (_BOLD if kind in _BOLD_KINDS else 1.0)
    left = spot.x - {"start": 0.0, "middle": wide / 2, "end": wide}[spot.anchor]
    return left, spot.y - _ASCENT * size_px, left + wide, spot.y + _DESCENT * size_px


class Sheet:
    """Covered pixels of a picture, by mark or by line."""

    def __init__(self, width: float, height: float) -> None:
        self.covered = np.zeros((math.ceil(height), math.ceil(width)), dtype=np.uint8)
        self.left_out = 0

    def _cells(self, box: Box) -> tuple[slice, slice] | None:
        left, top, right, bottom = box
        height, width = self.covered.shape
        if left < 0 or top < 0 or right > width or bottom > height:
            return None
        return (
            slice(math.floor(top), math.ceil(bottom)),
            slice(math.floor(left), math.ceil(right)),
        )

    def cover(self, box: Box, what: int = MARK) -> None:
        """Cover a box, as far as it is on the sheet."""
        height, width = self.covered.shape
        left, top, right, bottom = box
        inside = (max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height))
        if inside[0] < inside[2] and inside[1] < inside[3]:
            cells = self._cells(inside)
            assert cells is not None
            self.covered[cells] |= what

    def cover_line(self, points: Sequence[Point], half_px: float = 1.5) -> None:
        """Cover a line through points."""
        for (x0, y0), (x1, y1) in pairwise(points):
            if x0 == x1 or y0 == y1:
                self.cover(
                    (min(x0, x1) - half_px, min(y0, y1) - half_px,
                     max(x0, x1) + half_px, max(y0, y1) + half_px),
                    LINE,
                )  # fmt: skip
                continue
            for step in np.linspace(0.0, 1.0, max(2, math.ceil(math.hypot(x1 - x0, y1 - y0) / 2))):
                x, y = x0 + step * (x1 - x0), y0 + step * (y1 - y0)
                self.cover((x - half_px, y - half_px, x + half_px, y + half_px), LINE)

    def is_free(self, box: Box, of: int = MARK | LINE) -> bool:
        """Return whether a box is on the sheet and free."""
        cells = self._cells(box)
        return cells is not None and not (self.covered[cells] & of).any()

    def label(
        self,
        text: str,
        spots: Sequence[Spot],
        *,
        size_px: float = 11.0,
        kind: str = "",
        over_lines: bool = False,
        counts: bool = True,
        leader: Point | None = None,
    ) -> Label | None:
        """Return the label at the first free spot, which it then covers; None when none is.

        Parameters
        ----------
        over_lines : bool
            Whether it may stand on a line where no spot is free of them.
        counts : bool
            Whether its absence is counted in `left_out`.
        leader : point, optional
            What the label is of: where no spot is free it stands farther off, with a line to it.
        """
        for of in (MARK | LINE, MARK) if over_lines else (MARK | LINE,):
            for spot in spots:
                made = Label(text, spot, size_px, kind)
                left, top, right, bottom = made.box
                if self.is_free((left - _AIR_PX, top, right + _AIR_PX, bottom), of):
                    self.cover(made.box)
                    return made
        if leader is not None:
            for spot in _farther(leader):
                made = Label(text, spot, size_px, kind, leader)
                if self.is_free(made.box, MARK):
                    self.cover(made.box)
                    return made
        self.left_out += counts
        return None


def _farther(at: Point) -> Iterator[Spot]:
    for px in (34.0, 52.0, 72.0, 96.0):
        for degree in (-30, 30, -150, 150, 0, 180, -60, 60, -120, 120):
            x = at[0] + px * math.cos(math.radians(degree))
            y = at[1] + px * math.sin(math.radians(degree))
            yield Spot(x, y + 4, "start" if x > at[0] else "end")
