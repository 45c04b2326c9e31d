"""What every picture of a network has under its buses."""

from __future__ import annotations

from dataclasses import dataclass

from networks.drawing.sheet import Spot
from networks.drawing.svg import Point


@dataclass(slots=True)
class Base:
    """Branches and sources as they are drawn.

    Attributes
    ----------
    svg : list of str
    spots : dict of int to point
        Where each branch is labelled.
    opens : list of points
        Where switches are open.
    sources : list of (int, list of Spot)
        Buses with a source, and where it may be named.
    """

    svg: list[str]
    spots: dict[int, Point]
    opens: list[Point]
    sources: list[tuple[int, list[Spot]]]
