"""Signs of equipment, after IEC 60617: transformer, switch, busbar, source."""

from __future__ import annotations

import math
from itertools import pairwise

from networks.drawing.routes import Route
from networks.drawing.sheet import MARK, Sheet, Spot
from networks.drawing.state import SIGNS
from networks.drawing.svg import Point, element, number, path, words

BUS_PX = 7.0
_TRAFO_PX, _TRAFO_APART_PX = 10.0, 6.5
_GAP_PX = 7.0
_BLADE = math.radians(32.0)


def bus(
    sheet: Sheet,
    at: Point,
    bar: tuple[float, float] | None,
    state: str,
    ring: bool,
    radius: float = BUS_PX,
) -> str:
    """Return a bus: a dot with the sign of its state, or a busbar."""
    x, y = at
    if bar is not None:
        sheet.cover((x - 4, bar[0], x + 4, bar[1]))
        return element("rect", x=x - 3, y=bar[0], width=6.0, height=bar[1] - bar[0], rx=2.0)
    size_px = 11.0 if radius == BUS_PX else 9.0
    radius += 2 * (state in SIGNS)
    wide = 12.5 if ring else radius + 1
    sheet.cover((x - wide, y - wide, x + wide, y + wide))
    made = element("circle", cx=x, cy=y, r=radius)
    if state in SIGNS:
        made += words(
            "text", SIGNS[state], class_="sign", x=x, y=y + 0.36 * size_px, font_size=size_px,
            text_anchor="middle",
        )  # fmt: skip
    if ring:
        made += element("circle", class_="ring", cx=x, cy=y, r=12.0)
    return made


def reach(route: Route) -> str:
    """Return a wide, invisible path, so that a thin one is easily pointed at."""
    return element("path", class_="reach", d=route.d())


def wire(sheet: Sheet, route: Route) -> str:
    """Return a path that is drawn whole."""
    sheet.cover_line(route.points)
    return element("path", class_="wire", d=route.d())


def transformer(sheet: Sheet, route: Route) -> tuple[str, Point]:
    """Return two windings on their wire, and where they stand."""
    (x, y), (dx, dy) = route.longest()
    half = _TRAFO_PX + _TRAFO_APART_PX
    middle = _length_to(route, (x, y))
    before, after = route.cut(0.0, middle - half), route.cut(middle + half, route.length)
    made = wire(sheet, before) + wire(sheet, after)
    for side in (-1.0, 1.0):
        made += element(
            "circle", cx=x + side * dx * _TRAFO_APART_PX, cy=y + side * dy * _TRAFO_APART_PX,
            r=_TRAFO_PX,
        )  # fmt: skip
    wide, high = half * abs(dx) + 11 * abs(dy), half * abs(dy) + 11 * abs(dx)
    sheet.cover((x - wide, y - high, x + wide, y + high))
    return made, (x, y)


def _length_to(route: Route, at: Point) -> float:
    gone = 0.0
    for p, q in pairwise(route.points):
        size = math.dist(p, q)
        if abs(math.dist(p, at) + math.dist(at, q) - size) < 1e-6:
            return gone + math.dist(p, at)
        gone += size
    return gone


def switched(sheet: Sheet, route: Route, opens: list[float]) -> tuple[str, list[Point]]:
    """Return a wire with a gap and a raised blade at each length, and where the gaps are."""
    made, places, start = "", [], 0.0
    for middle in sorted(opens):
        first, last = middle - _GAP_PX, middle + _GAP_PX
        if first > start:
            made += wire(sheet, route.cut(start, first))
        (x, y), _ = route.along(first)
        (u, v), (dx, dy) = route.along(last)
        angle = math.atan2(dy, dx) - _BLADE
        tip = (x + 15 * math.cos(angle), y + 15 * math.sin(angle))
        made += element("path", class_="blade", d=path([(x, y), tip]))
        for at in ((x, y), (u, v)):
            made += element("circle", class_="contact", cx=at[0], cy=at[1], r=2.2)
        sheet.cover(
            (min(x, u, tip[0]) - 2, min(y, v, tip[1]) - 2,
             max(x, u, tip[0]) + 2, max(y, v, tip[1]) + 2)
        )  # fmt: skip
        places.append(((x + u) / 2, (y + v) / 2))
        start = last
    if start < route.length:
        made += wire(sheet, route.cut(start, route.length))
    return made, places


def closed(sheet: Sheet, route: Route) -> str:
    """Return a wire with a closed switch on it."""
    (x, y), _ = route.longest()
    sheet.cover((x - 6, y - 6, x + 6, y + 6))
    return wire(sheet, route) + element(
        "rect", class_="closed", x=x - 4.5, y=y - 4.5, width=9.0, height=9.0
    )


def cross(sheet: Sheet, at: Point) -> str:
    """Return the sign of what is out of service."""
    x, y = at
    sheet.cover((x - 6, y - 6, x + 6, y + 6))
    return element(
        "path", class_="cross",
        d=f"M{number(x - 5)} {number(y - 5)}l10 10m0 -10l-10 10",
    )  # fmt: skip


def source(sheet: Sheet, at: Point, forming: bool, root: bool) -> tuple[str, list[Spot]]:
    """Return the public network (a crossed square) or a forming source, and where to name it.

    To the left of a bus that is a `root`, else on the side that is free.
    """
    x, y = at
    if not root:
        for dx, dy in ((0, -1), (1, 0), (-1, 0), (0, 1), (0, -1)):
            u, v = x + 31 * dx, y + 31 * dy
            if sheet.is_free((u - 10, v - 10, u + 10, v + 10), MARK):
                break
        made = element("path", d=path([at, (x + 22 * dx, y + 22 * dy)]))
        sheet.cover((u - 10, v - 10, u + 10, v + 10))
        spots = [Spot(u + 13, v + 4, "start"), Spot(u - 13, v + 4, "end"), Spot(u, v - 14),
                 Spot(u, v + 22)]  # fmt: skip
        return made + _body((u, v), 9.0, forming), spots
    made = element("path", d=f"M{number(x - 64)} {number(y)}H{number(x)}")
    sheet.cover((x - 90, y - 14, x - 62, y + 14), MARK)
    sheet.cover_line([(x - 64, y), (x, y)])
    return made + _body((x - 76, y), 12.0, forming), [Spot(x - 112, y - 22, "start")]


def _body(at: Point, half: float, forming: bool) -> str:
    x, y = at
    if forming:
        wave = f"M{number(x - half + 4)} {number(y)}q4 -8 8 0t8 0"
        return element("circle", cx=x, cy=y, r=half) + element("path", d=wave)
    side = number(2 * half)
    return element("rect", x=x - half, y=y - half, width=2 * half, height=2 * half) + element(
        "path",
        d=f"M{number(x - half)} {number(y - half)}l{side} {side}m0 -{side}l-{side} {side}",
    )


def open_mark(sheet: Sheet, at: Point) -> str:
    """Return the sign of an open switch beside a transformer: a hollow square."""
    x, y = at
    sheet.cover((x - 6, y - 6, x + 6, y + 6))
    return element("rect", class_="opened", x=x - 5, y=y - 5, width=10.0, height=10.0)


def short_transformer(sheet: Sheet, route: Route) -> str:
    """Return two windings where buses are too close for them: above the wire's middle."""
    (x, y), _ = route.longest()
    sheet.cover((x - 13, y - 9, x + 13, y + 9))
    return "".join(element("circle", cx=x + side, cy=y, r=7.0) for side in (-4.5, 4.5))
