"""The map of a network: buses at their longitudes and latitudes, branches straight between them.

Drawn without tiles: nothing is asked of anybody. The same signs and colours as the one-line
diagram.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import xarray as xr

from grid.site import Network
from networks.drawing import symbols
from networks.drawing.base import Base
from networks.drawing.facts import (
    BusNote,
    HeadFlow,
    Shown,
    branch_text,
    bus_text,
    judged,
    most_loaded,
    summary,
    table,
    values_of,
)  # fmt: skip
from networks.drawing.frame import picture, state_keys
from networks.drawing.map_places import MapPlaces, map_places, scale_bar
from networks.drawing.one_line_labels import source_labels, voltage
from networks.drawing.picture import Picture
from networks.drawing.routes import Route
from networks.drawing.scheme import Branch, Scheme, scheme
from networks.drawing.sheet import Label, Sheet, Spot
from networks.drawing.spots import amount, around, on_wire, short_name
from networks.drawing.state import Values
from networks.drawing.svg import Point, element, number, short
from networks.drawing.svg import words as text_element
from networks.drawing.words import Words
from networks.model import NetworkModel

_BUS_PX = 5.0
_TRAFO_PX_MIN = 44.0


def network_map(
    network: NetworkModel | Scheme,
    state: xr.Dataset | Values | None = None,
    *,
    limits: Network,
    notes: Mapping[int, BusNote] | None = None,
    head: HeadFlow | None = None,
    words: Words | None = None,
    title: str = "",
    prefix: str = "map",
    standalone: bool = False,
) -> Picture:
    """Return the map of a network, the same bytes for the same input.

    Parameters
    ----------
    As :func:`networks.drawing.one_line.one_line`.

    Raises
    ------
    BadInputError
        When the network's coordinates are not geographic, or `state` is of another network.
    """
    drawn = network if isinstance(network, Scheme) else scheme(network)
    words = words or Words()
    known = state if isinstance(state, Values) else values_of(drawn, state)
    shown = judged(drawn, known, limits)
    here = map_places(drawn)
    sheet = Sheet(here.width, here.height)
    told = dict(notes or {})
    base = map_base(sheet, shown, here, words, prefix)
    made = base.svg
    for position, index in enumerate(drawn.bus):
        note = told.get(index)
        made.append(_bus(sheet, shown, here, position, note, notes is None, words, prefix))
    labelled = [
        one for one in _labels(sheet, shown, here, told, base, head, words) if one is not None
    ]
    made.append(element("g", *(one.svg() for one in labelled), class_="labels"))
    return picture(
        "".join(made),
        kind="map",
        width=here.width,
        height=here.height,
        title=title or f"{words.map}: {drawn.source}",
        description=_description(shown, here, words),
        table=table(shown, told),
        prefix=prefix,
        legend=state_keys(limits, words),
        standalone=standalone,
        left_out=sheet.left_out,
    )


def _description(shown: Shown, here: MapPlaces, words: Words) -> str:
    text = summary(shown, words)
    return f"{text} · {words.beside}: {here.moved}" if here.moved else text


def map_base(sheet: Sheet, shown: Shown, here: MapPlaces, words: Words, prefix: str) -> Base:
    """Return scale, north, branches and sources of a map: all but its buses."""
    base = Base([_scale(sheet, here), _north(sheet, here, words)], {}, [], [])
    for x, y in here.at:
        sheet.cover((x - _BUS_PX - 1, y - _BUS_PX - 1, x + _BUS_PX + 1, y + _BUS_PX + 1))
    for n, branch in enumerate(shown.scheme.branches):
        route = Route((here.at[branch.a], here.at[branch.b]))
        base.svg.append(_branch(sheet, shown, n, route, words, prefix, base))
        base.spots[n] = route.longest()[0]
    for position in dict.fromkeys(shown.scheme.head):
        sign, spots = symbols.source(sheet, here.at[position], shown.scheme.forming, root=False)
        what = words.forming if shown.scheme.forming else words.public_grid
        base.svg.append(element("g", text_element("title", what), sign, class_="source"))
        base.sources.append((position, spots))
    return base


def _scale(sheet: Sheet, here: MapPlaces) -> str:
    px, text = scale_bar(here.metre_px)
    x, y = 24.0, here.height - 20.0
    sheet.cover((x - 4, y - 22, x + px + 8, y + 8))
    bar = element("path", class_="scale", d=f"M{number(x)} {number(y - 6)}v6h{number(px)}v-6")
    return element(
        "g", bar, text_element("text", text, x=x + px / 2, y=y - 8, font_size=11.0,
                               text_anchor="middle"), class_="scale-bar",
    )  # fmt: skip


def _north(sheet: Sheet, here: MapPlaces, words: Words) -> str:
    x, y = here.width - 36.0, 54.0
    sheet.cover((x - 14, y - 46, x + 14, y + 12))
    arrow = element(
        "path", class_="scale",
        d=f"M{number(x)} {number(y)}v-26m-6 8l6 -9l6 9",
    )  # fmt: skip
    return element(
        "g", arrow, text_element("text", words.north, class_="strong", x=x, y=y - 33,
                                 font_size=12.0, text_anchor="middle"), class_="north",
    )  # fmt: skip


def _branch(
    sheet: Sheet,
    shown: Shown,
    n: int,
    route: Route,
    words: Words,
    prefix: str,
    base: Base,
) -> str:
    branch, state = shown.scheme.branches[n], shown.branch_state[n]
    is_open = bool(branch.open_at) or (branch.kind == "switch" and not branch.on)
    inner = symbols.reach(route)
    if branch.kind == "trafo" and route.length >= _TRAFO_PX_MIN:
        inner += symbols.transformer(sheet, route)[0]
    elif is_open and route.length > 30.0:
        made, found = symbols.switched(sheet, route, _open_px(branch, route))
        inner += made
        base.opens += found
    elif branch.kind == "trafo":
        inner += symbols.wire(sheet, route) + symbols.short_transformer(sheet, route)
    else:
        inner += symbols.wire(sheet, route)
        if is_open:
            at = route.longest()[0]
            inner += symbols.open_mark(sheet, at)
            base.opens.append(at)
    if state == "out":
        inner += symbols.cross(sheet, route.longest()[0])
    return element(
        "g",
        text_element("title", branch_text(shown, branch, words)),
        inner,
        class_=f"branch {branch.kind} {state}{' open' if is_open else ''}",
        id=f"{prefix}-{branch.kind}-{branch.index}",
    )


def _open_px(branch: Branch, route: Route) -> list[float]:
    if branch.kind == "switch":
        return [route.length / 2]
    ends = sorted({side for side, _ in branch.open_at})
    px = min(18.0, route.length / (2 * len(ends)))
    return [px if side == 0 else route.length - px for side in ends]


def _bus(
    sheet: Sheet,
    shown: Shown,
    here: MapPlaces,
    position: int,
    note: BusNote | None,
    is_used: bool,
    words: Words,
    prefix: str,
) -> str:
    estimated = note is not None and note.estimated
    is_used = is_used or (note is not None and note.used)
    state = shown.bus_state[position]
    sign = symbols.bus(sheet, here.at[position], None, state, estimated, radius=_BUS_PX)
    return element(
        "g",
        text_element("title", bus_text(shown, position, note, words)),
        sign,
        class_=f"bus {state}{' has' * is_used}{' estimated' * estimated}",
        id=f"{prefix}-bus-{shown.scheme.bus[position]}",
    )


def _labels(
    sheet: Sheet,
    shown: Shown,
    here: MapPlaces,
    notes: Mapping[int, BusNote],
    base: Base,
    head: HeadFlow | None,
    words: Words,
) -> Iterator[Label | None]:
    """Yield labels, what matters first; names of other buses where they fit."""
    scheme_, vm = shown.scheme, shown.values.vm_pu
    yield from source_labels(sheet, base, head, shown, words)
    for n, index in enumerate(scheme_.bus):
        tags = " ".join(notes[index].tags) if index in notes else ""
        if tags:
            yield sheet.label(tags, around(here.at[n])[:8], over_lines=True, leader=here.at[n])
    found = shown.values.extremes(frozenset(scheme_.head))
    beyond = [n for n, one in enumerate(shown.bus_state) if one in ("low", "high")]
    order = [*found, *sorted(beyond, key=lambda n: -abs((vm[n] or 1.0) - 1.0))]
    for n in dict.fromkeys(order):
        text, kind = voltage(shown, n, found, words)
        yield sheet.label(
            text, around(here.at[n]), size_px=12.0 if n in found else 11.0, kind=kind,
            over_lines=n in found, counts=True,
        )  # fmt: skip
    most = most_loaded(shown)
    over = [n for n, state in enumerate(shown.branch_state) if state == "over"]
    over.sort(key=lambda n: -(shown.loading(scheme_.branches[n]) or 0.0))
    trafos = [n for n, one in enumerate(scheme_.branches) if one.kind == "trafo"]
    for n in dict.fromkeys([*([] if most is None else [most]), *over, *trafos]):
        load = shown.loading(scheme_.branches[n])
        if load is not None:
            is_over = shown.branch_state[n] == "over"
            is_trafo = scheme_.branches[n].kind == "trafo"
            yield sheet.label(
                f"{'▲ ' if is_over else ''}{load:.0f} %",
                _at_transformer(base.spots[n]) if is_trafo else on_wire(base.spots[n]),
                kind="over" if is_over else "strong", over_lines=is_over or is_trafo,
            )  # fmt: skip
    for group in shown.dead_groups():
        kw = [shown.values.absorbed_kw[n] for n in group]
        text = f"✕ {words.without_voltage}"
        text += f": {len(group)} {words.buses}" if len(group) > 1 else ""
        text += "" if None in kw else f", {amount(sum(one or 0.0 for one in kw))} kW"
        places = [spot for n in group[:6] for spot in around(here.at[n])]
        yield sheet.label(text, places, size_px=12.0, kind="strong", over_lines=True)
    for at in base.opens:
        yield sheet.label(words.open, around(at)[:8], kind="strong", over_lines=True)
    for n, state in enumerate(shown.branch_state):
        if state == "out":
            yield sheet.label(words.out, around(base.spots[n])[:8], kind="strong", over_lines=True)
    for n, index in enumerate(scheme_.bus):
        note = notes.get(index)
        if note is not None and note.estimated:
            yield sheet.label("≈", around(here.at[n]), size_px=14.0, kind="flag", over_lines=True)
    stations = {end for one in scheme_.branches if one.kind == "trafo" for end in (one.a, one.b)}
    for n in sorted(stations):
        name = short(scheme_.bus_name[n] or f"bus {scheme_.bus[n]}", 24)
        yield sheet.label(
            name, around(here.at[n], above=False), kind="name", over_lines=True, leader=here.at[n]
        )
    for n in range(len(scheme_.bus)):
        if n in stations:
            continue
        yield sheet.label(
            short_name(shown, n), around(here.at[n], above=False)[:8], size_px=10.0, kind="soft",
            counts=False,
        )  # fmt: skip


def _at_transformer(at: Point) -> list[Spot]:
    x, y = at
    return [
        Spot(x + 21, y + 4, "start"), Spot(x - 21, y + 4, "end"), Spot(x, y - 20),
        Spot(x, y + 30), Spot(x + 15, y - 14, "start"), Spot(x + 15, y + 24, "start"),
    ]  # fmt: skip
