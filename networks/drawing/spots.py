"""Where labels may stand around dots, busbars and wires, and how short texts are made."""

from __future__ import annotations

from networks.drawing.facts import Shown
from networks.drawing.sheet import Spot
from networks.drawing.svg import Point, short

_NAME_LETTERS, _LONG_BAR_PX = 10, 90.0


def around(at: Point, *, above: bool = True) -> list[Spot]:
    """Return places around a dot."""
    x, y = at
    upper = [Spot(x, y - 13), Spot(x + 6, y - 14, "start"), Spot(x - 6, y - 14, "end")]
    lower = [Spot(x, y + 21), Spot(x + 6, y + 21, "start"), Spot(x - 6, y + 21, "end")]
    beside = [Spot(x + 13, y + 4, "start"), Spot(x - 13, y + 4, "end")]
    far = [Spot(x, y - 25), Spot(x, y + 33), Spot(x, y - 37)]
    return (upper + lower if above else lower + upper) + beside + far


def on_wire(at: Point) -> list[Spot]:
    """Return places at a wire."""
    x, y = at
    return [
        Spot(x, y - 6), Spot(x, y + 14), Spot(x + 6, y + 4, "start"), Spot(x - 6, y + 4, "end"),
        Spot(x, y - 18), Spot(x, y + 26),
    ]  # fmt: skip


def bar_spots(x: float, bar: tuple[float, float]) -> list[Spot]:
    """Return places at a busbar for two lines of text: beside a long one, else at its ends."""
    top, bottom = bar[0] - 20, bar[1] + 14
    beside = [Spot(x - 9, bar[0] + 11, "end"), Spot(x - 9, bar[1] - 16, "end")]
    ends = [
        Spot(x + 4, top, "end"), Spot(x, top), Spot(x - 3, top, "start"), Spot(x, bottom),
        Spot(x + 4, bottom, "end"), Spot(x - 3, bottom, "start"), Spot(x, top - 13),
        Spot(x, bottom + 13),
    ]  # fmt: skip
    return beside + ends if bar[1] - bar[0] > _LONG_BAR_PX else ends


def amount(value: float) -> str:
    """Return a number with thousands apart."""
    return f"{value:,.1f}".replace(",", "\u202f")


def signed(position: int) -> str:
    """Return a tap position with its sign."""
    return f"−{-position}" if position < 0 else f"+{position}" if position else "0"


def short_name(shown: Shown, n: int) -> str:
    """Return what tells a bus from its neighbours: the last word of its name."""
    name = shown.scheme.bus_name[n].split()
    return short(name[-1] if name else str(shown.scheme.bus[n]), _NAME_LETTERS)
