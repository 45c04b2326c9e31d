"""Where everything of a one-line diagram stands, in the units of its view box."""

from __future__ import annotations

from dataclasses import dataclass

from networks.drawing.routes import Route, Tracks
from networks.drawing.scheme import Scheme
from networks.drawing.svg import Point
from networks.drawing.tree import Tree, rows_of, tree_of

LEFT, RIGHT, TOP, BOTTOM = 132.0, 64.0, 62.0, 30.0
WIDTH, _WIDTH_MIN = 1280.0, 980.0
_TRAFO_PX, _BAR_PX, _SWITCH_PX = 124.0, 84.0, 76.0
_STEP_PX_MAX, _STEP_PX_MIN = 66.0, 27.0
_ROW_PX_MAX, _ROW_PX_MIN, _HEIGHT_PX = 84.0, 48.0, 760.0
_BAR_END_PX, _SECTION_PX = 15.0, 13.0


@dataclass(frozen=True, slots=True)
class Feeder:
    """What leaves a busbar: where it begins, and the box that it fills."""

    bar: int
    first: int
    number: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Places:
    """Where buses and branches stand.

    Attributes
    ----------
    bar : tuple of (float, float) or None
        Top and bottom of each busbar.
    route : tuple of Route
        Of each branch, from its bus `a` to its bus `b`.
    """

    tree: Tree
    x: tuple[float, ...]
    y: tuple[float, ...]
    bar: tuple[tuple[float, float] | None, ...]
    route: tuple[Route, ...]
    feeders: tuple[Feeder, ...]
    step_px: float
    row_px: float
    width: float
    height: float


def places(scheme: Scheme) -> Places:
    """Return where everything stands; the same for the same equipment, however it is switched."""
    tree = tree_of(scheme)
    row, beside, count = rows_of(tree, scheme.branches)
    row_px = min(_ROW_PX_MAX, max(_ROW_PX_MIN, _HEIGHT_PX / max(count, 1)))
    x, step_px = _columns(scheme, tree)
    y = [round(TOP + one * row_px, 1) for one in row]
    at = {n: round(TOP + one * row_px, 1) for n, one in beside.items()}
    bar = _bars(scheme, tree, y, at)
    dropping = frozenset(
        tree.parent[bus]
        for bus in tree.order
        if bar[tree.parent[bus]] is None and y[bus] > y[tree.parent[bus]]
    )
    tracks = Tracks(TOP, row_px, list(zip(x, y, strict=True)), dropping)
    route = _routes(scheme, tree, x, y, at, bar, tracks)
    height = TOP + max(count - 1, 1) * row_px + max(BOTTOM, row_px / 2)
    return Places(
        tree=tree,
        x=tuple(x),
        y=tuple(y),
        bar=tuple(bar),
        route=tuple(route),
        feeders=tuple(_feeders(scheme, tree, x, y, row_px)),
        step_px=step_px,
        row_px=row_px,
        width=max(_WIDTH_MIN, tracks.right_px + RIGHT),
        height=round(height + tracks.below_px, 1),
    )


def _columns(scheme: Scheme, tree: Tree) -> tuple[list[float], float]:
    """Return the x of each bus and the distance of two buses on a line."""
    fixed, steps = [0.0] * len(tree.parent), [0] * len(tree.parent)
    for bus in tree.order:
        above, n = tree.parent[bus], tree.up[bus]
        if n < 0:
            fixed[bus] = LEFT
            continue
        kind = scheme.branches[n].kind
        fixed[bus], steps[bus] = fixed[above], steps[above]
        if bus in tree.section:
            continue
        if kind == "trafo":
            fixed[bus] += _TRAFO_PX
        elif kind == "switch":
            fixed[bus] += _SWITCH_PX
        elif tree.is_bar(above, scheme.branches):
            fixed[bus] += _BAR_PX
        else:
            steps[bus] += 1
    room = [(WIDTH - RIGHT - at) / some for at, some in zip(fixed, steps, strict=True) if some]
    step_px = max(_STEP_PX_MIN, min([_STEP_PX_MAX, *room]))
    return [round(at + some * step_px, 1) for at, some in zip(fixed, steps, strict=True)], step_px


def _bars(
    scheme: Scheme, tree: Tree, y: list[float], at: dict[int, float]
) -> list[tuple[float, float] | None]:
    """Return top and bottom of each busbar: it meets all that leaves it."""
    made: list[tuple[float, float] | None] = []
    for bus, here in enumerate(y):
        if not tree.is_bar(bus, scheme.branches):
            made.append(None)
            continue
        met = [here, *(at[n] for n in tree.parallel.get(bus, []))]
        for one in tree.children[bus]:
            if one not in tree.section:
                met += [y[one], *(at[n] for n in tree.parallel.get(one, []))]
        made.append((min(met) - _BAR_END_PX, max(met) + _BAR_END_PX))
    return made


def _routes(
    scheme: Scheme,
    tree: Tree,
    x: list[float],
    y: list[float],
    at: dict[int, float],
    bar: list[tuple[float, float] | None],
    tracks: Tracks,
) -> list[Route]:
    made: dict[int, Route] = {}
    for bus in tree.order:
        n = tree.up[bus]
        if n < 0:
            continue
        for branch in (n, *tree.parallel.get(bus, [])):
            points = _tree_points(tree, bus, x, y, bar, at.get(branch, y[bus]))
            made[branch] = Route(
                tuple(points if scheme.branches[branch].b == bus else points[::-1])
            )
    chords = []
    for n in tree.chords:
        a, b = scheme.branches[n].a, scheme.branches[n].b
        first, last = bar[a], bar[b]
        if first and last and x[a] == x[b] and _adjoin(a, b, x, bar):
            upper, lower = (first, last) if first[1] <= last[0] else (last, first)
            points = [(x[a], upper[1]), (x[a], lower[0])]
            made[n] = Route(tuple(points if upper is first else points[::-1]))
        else:
            chords.append(n)
    leaf = [not below and not end for below, end in zip(tree.children, bar, strict=True)]
    made |= tracks.chords(
        [(n, scheme.branches[n].a, scheme.branches[n].b) for n in chords], leaf, bar
    )
    here = Route(((0.0, 0.0), (0.0, 0.0)))
    return [made.get(n, here) for n in range(len(scheme.branches))]


def _tree_points(
    tree: Tree,
    bus: int,
    x: list[float],
    y: list[float],
    bar: list[tuple[float, float] | None],
    level: float,
) -> list[Point]:
    """Return the points from the bus above to a bus, along a level."""
    above = tree.parent[bus]
    upper, own = bar[above], bar[bus]
    if bus in tree.section and upper and own:
        before = [one for one in tree.children[above] if one in tree.section].index(bus)
        if not before:
            return [(x[above], upper[1]), (x[bus], own[0])]
        aside = x[above] - _SECTION_PX * before
        return [
            (x[above], upper[1] - 4 * before), (aside, upper[1] - 4 * before),
            (aside, own[0] + 8), (x[bus], own[0] + 8),
        ]  # fmt: skip
    start = (x[above], level) if upper else (x[above], y[above])
    return [start, (x[above], level), (x[bus], level)]


def _adjoin(a: int, b: int, x: list[float], bar: list[tuple[float, float] | None]) -> bool:
    """Return whether nothing stands between two busbars of one column."""
    first, last = bar[a], bar[b]
    assert first
    assert last
    top, bottom = min(first[1], last[1]), max(first[0], last[0])
    return top < bottom and not any(
        end and at == x[a] and n not in (a, b) and end[0] < bottom and end[1] > top
        for n, (at, end) in enumerate(zip(x, bar, strict=True))
    )


def _feeders(
    scheme: Scheme, tree: Tree, x: list[float], y: list[float], row_px: float
) -> list[Feeder]:
    """Return what leaves the busbars that a transformer or source feeds, numbered as they stand."""
    made: list[Feeder] = []
    for bus in tree.order:
        lines = [one for one in tree.children[bus] if scheme.branches[tree.up[one]].kind == "line"]
        n = tree.up[bus]
        if len(lines) < 2 or (n >= 0 and scheme.branches[n].kind == "line"):
            continue
        for first in lines:
            inside, stack = [], [first]
            while stack:
                one = stack.pop()
                inside.append(one)
                stack += tree.children[one]
            made.append(
                Feeder(
                    bar=bus,
                    first=first,
                    number=len(made) + 1,
                    left=x[bus] + 8,
                    top=min(y[one] for one in inside) - row_px / 2 + 1.5,
                    right=max(x[one] for one in inside) + 30,
                    bottom=max(y[one] for one in inside) + row_px / 2 - 1.5,
                )
            )
    return made
