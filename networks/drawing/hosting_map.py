"""Hosting capacity of each bus on the map or the one-line diagram.

A dot is the larger the more a bus can take; colour is for the buses that can take least.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from grid.errors import BadInputError
from grid.site import Network
from networks.drawing.base import Base
from networks.drawing.facts import Shown, judged, values_of
from networks.drawing.frame import Key, heading, picture
from networks.drawing.map import map_base
from networks.drawing.map_places import is_placed, map_places
from networks.drawing.one_line import drawn_base
from networks.drawing.one_line_labels import source_labels
from networks.drawing.picture import Cell, Picture
from networks.drawing.places import places
from networks.drawing.scheme import Scheme, scheme
from networks.drawing.sheet import Label, Sheet
from networks.drawing.spots import amount, around, short_name
from networks.drawing.svg import Point, element
from networks.drawing.svg import words as text_element
from networks.drawing.words import HostingWords, Words
from networks.model import NetworkModel

HEADER = ("bus", "name", "hosting_kw", "limited_by")
CLASSES = 5
_SMALLEST_PX, _STEP_PX = 4.5, 2.0
_ALWAYS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Classes:
    """Ranges of capacities: above the first edge up to the second, and so on."""

    edges: tuple[float, ...]

    def of(self, kw: float) -> int:
        """Return the class of a capacity, 0 for the smallest."""
        return sum(kw > edge for edge in self.edges)

    def text(self, number: int) -> str:
        if not self.edges:
            return "kW"
        if number == 0:
            return f"≤ {amount(self.edges[0])}"
        if number == len(self.edges):
            return f"> {amount(self.edges[-1])}"
        return f"{amount(self.edges[number - 1])}–{amount(self.edges[number])}"


def classes(known: list[float]) -> Classes:
    """Return classes with about as many buses in each, with edges of two digits."""
    if not known:
        return Classes(())
    ordered, edges = sorted(known), []
    for number in range(1, CLASSES):
        value = ordered[min(len(ordered) - 1, len(ordered) * number // CLASSES)]
        if value > 0:
            power = 10.0 ** (math.floor(math.log10(value)) - 1)
            value = math.floor(value / power) * power
        edges.append(round(value, 6))
    return Classes(tuple(edge for edge in dict.fromkeys(edges) if edge < ordered[-1]))


def hosting_map(
    network: NetworkModel | Scheme,
    hosting_kw: Mapping[int, float | None],
    limited_by: Mapping[int, str],
    *,
    limits: Network,
    on: str = "",
    words: Words | None = None,
    hosting_words: HostingWords | None = None,
    title: str = "",
    prefix: str = "hosting",
    standalone: bool = False,
) -> Picture:
    """Return hosting capacities on a network, the same bytes for the same input.

    Parameters
    ----------
    hosting_kw : mapping of bus index to float
        None or NaN where it is not known.
    limited_by : mapping of bus index to str
        What breaks first beyond, for whoever points at a bus and for the table.
    on : str
        ``map`` or ``one-line``; the map where there is one, when not given.

    Raises
    ------
    BadInputError
        A bus that the network has not, a value below 0, or a map of a network that has none.
    """
    drawn = network if isinstance(network, Scheme) else scheme(network)
    words, own = words or Words(), hosting_words or HostingWords()
    known = _checked(drawn, hosting_kw)
    none = values_of(drawn, None)
    shown = judged(drawn, none, limits)
    on = on or ("map" if is_placed(drawn) else "one-line")
    if on not in ("map", "one-line"):
        raise BadInputError(f"hosting capacity is drawn on 'map' or 'one-line', not {on!r}")
    sheet, base, at, bars = _under(shown, on, words, prefix)
    steps = classes(list(known.values()))
    made = base.svg
    for position, index in enumerate(drawn.bus):
        kw, why = known.get(index), limited_by.get(index, "")
        made.append(
            _bus(sheet, shown, position, at[position], bars[position], kw, why, steps, prefix)
        )
    labelled = [
        one for one in _labels(sheet, shown, base, at, known, words, own) if one is not None
    ]
    made.append(element("g", *(one.svg() for one in labelled), class_="labels"))
    height, width = sheet.covered.shape
    return picture(
        "".join(made),
        kind="hosting",
        width=width,
        height=height,
        title=title or f"{own.title}: {drawn.source}",
        description=_description(drawn, known, own),
        table=_table(drawn, known, limited_by),
        prefix=prefix,
        legend=[_legend(steps, known, own)],
        standalone=standalone,
        left_out=sheet.left_out,
    )


def _checked(drawn: Scheme, hosting_kw: Mapping[int, float | None]) -> dict[int, float]:
    there, known = set(drawn.bus), {}
    for index, kw in hosting_kw.items():
        if index not in there:
            raise BadInputError(f"bus {index} is not in the network {drawn.source}")
        if kw is None or kw != kw:
            continue
        if not 0.0 <= kw < math.inf:
            raise BadInputError(f"bus {index}: hosting_kw is {kw}, must be finite and at least 0")
        known[index] = float(kw)
    return known


def _under(
    shown: Shown, on: str, words: Words, prefix: str
) -> tuple[Sheet, Base, tuple[Point, ...], tuple[tuple[float, float] | None, ...]]:
    if on == "map":
        here = map_places(shown.scheme)
        sheet = Sheet(here.width, here.height)
        base = map_base(sheet, shown, here, words, prefix)
        return sheet, base, here.at, (None,) * len(here.at)
    lines = places(shown.scheme)
    sheet = Sheet(lines.width, lines.height)
    base = drawn_base(sheet, shown, lines, words, prefix)
    return sheet, base, tuple(zip(lines.x, lines.y, strict=True)), lines.bar


def _bus(
    sheet: Sheet,
    shown: Shown,
    position: int,
    at: Point,
    bar: tuple[float, float] | None,
    kw: float | None,
    why: str,
    steps: Classes,
    prefix: str,
) -> str:
    scheme_ = shown.scheme
    name = scheme_.bus_name[position] or f"bus {scheme_.bus[position]}"
    told = [name, "–" if kw is None else f"{amount(kw)} kW", *([why] if why else [])]
    kind = "none" if kw is None else f"a{steps.of(kw)}"
    radius = _SMALLEST_PX if kw is None else _SMALLEST_PX + _STEP_PX * steps.of(kw)
    inner = text_element("title", " · ".join(told))
    if bar is not None:
        inner += element("rect", class_="closed", x=at[0] - 3, y=bar[0], width=6.0,
                         height=bar[1] - bar[0], rx=2.0)  # fmt: skip
        sheet.cover((at[0] - 4, bar[0], at[0] + 4, bar[1]))
    inner += element("circle", cx=at[0], cy=at[1], r=radius)
    sheet.cover((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius))
    return element("g", inner, class_=f"amount {kind}", id=f"{prefix}-bus-{scheme_.bus[position]}")


def _labels(
    sheet: Sheet,
    shown: Shown,
    base: Base,
    at: tuple[Point, ...],
    known: dict[int, float],
    words: Words,
    own: HostingWords,
) -> Iterator[Label | None]:
    """Yield the sources, the buses that can take least, then the others where they fit."""
    yield from source_labels(sheet, base, None, shown, words)
    place = {index: position for position, index in enumerate(shown.scheme.bus)}
    order = sorted(known, key=lambda index: (known[index], place[index]))
    for rank, index in enumerate(order):
        position = place[index]
        first = rank < _ALWAYS_NAMED
        text = f"{amount(known[index])} kW" if first else f"{known[index]:.0f}"
        if first:
            text = f"{short_name(shown, position)}: {text}"
        if rank == 0:
            text = f"{own.least} {text}"
        yield sheet.label(
            text, around(at[position])[: None if first else 8], size_px=12.0 if first else 10.0,
            kind="strong" if first else "soft", over_lines=first, counts=first,
            leader=at[position] if first else None,
        )  # fmt: skip


def _description(drawn: Scheme, known: dict[int, float], own: HostingWords) -> str:
    if not known:
        return own.unknown
    place = {index: position for position, index in enumerate(drawn.bus)}
    least = min(known, key=lambda index: (known[index], place[index]))
    most = max(known, key=lambda index: (known[index], -place[index]))

    def told(index: int) -> str:
        name = drawn.bus_name[place[index]] or f"bus {index}"
        return f"{amount(known[index])} kW ({name})"

    return f"{own.least} {told(least)} · {own.most} {told(most)}"


def _legend(steps: Classes, known: dict[int, float], own: HostingWords) -> list[Key]:
    row = [heading("kW")]
    for number in range(len(steps.edges) + 1 if known else 0):
        dot = element("circle", cx=0.0, cy=0.0, r=_SMALLEST_PX + _STEP_PX * number)
        key = element("g", dot, class_=f"amount a{number}")
        row.append(Key(key, 28.0, steps.text(number)))
    dot = element("circle", cx=0.0, cy=0.0, r=_SMALLEST_PX)
    return [*row, Key(element("g", dot, class_="amount none"), 16.0, own.unknown)]


def _table(
    drawn: Scheme, known: dict[int, float], limited_by: Mapping[int, str]
) -> tuple[tuple[Cell, ...], ...]:
    rows: list[tuple[Cell, ...]] = [HEADER]
    for index, name in zip(drawn.bus, drawn.bus_name, strict=True):
        rows.append((index, name, known.get(index), limited_by.get(index, "")))
    return tuple(rows)
