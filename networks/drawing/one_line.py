"""The one-line diagram of any network: fed from the left, one row for each end.

Radial or meshed, with several voltages and sources. Where things stand follows the equipment as
its source has it switched, so that the drawing stays still while switches move. Grey when all is
well; what is near or beyond a limit has colour, a sign and a label.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    summary,
    table,
    values_of,
)  # fmt: skip
from networks.drawing.frame import picture, state_keys
from networks.drawing.one_line_labels import labels
from networks.drawing.picture import Picture
from networks.drawing.places import Places, places
from networks.drawing.routes import Route
from networks.drawing.scheme import Branch, Scheme, scheme
from networks.drawing.sheet import MARK, Box, Sheet
from networks.drawing.state import Values
from networks.drawing.svg import element
from networks.drawing.svg import words as text_element
from networks.drawing.words import Words
from networks.model import NetworkModel

_NEAR_END_PX, _AFTER_BEND_PX, _STUB_PX = 20.0, 13.0, 60.0


def one_line(
    network: NetworkModel | Scheme,
    state: xr.Dataset | Values | None = None,
    *,
    limits: Network,
    notes: Mapping[int, BusNote] | None = None,
    head: HeadFlow | None = None,
    words: Words | None = None,
    title: str = "",
    prefix: str = "one-line",
    standalone: bool = False,
) -> Picture:
    """Return the one-line diagram of a network, the same bytes for the same input.

    Parameters
    ----------
    network : NetworkModel or Scheme
    state : xarray.Dataset, optional
        One interval of :func:`networks.flow.solve.flow`: `vm_pu`, `line_loading_percent`,
        `trafo_loading_percent`, and `absorbed_kw` for what is not served.
    limits : grid.site.Network
    notes : mapping of bus index to BusNote, optional
        What stands behind buses. Without it, buses are drawn as used.
    head : HeadFlow, optional
        Shown at the first source.
    words : Words, optional
        English when not given.
    prefix : str
        Begins every id.
    standalone : bool
        Whether the picture is a file of its own: with style, heading and legend in it.

    Raises
    ------
    BadInputError
        When `state` has more than one interval or is of another network.
    """
    drawn = network if isinstance(network, Scheme) else scheme(network)
    words = words or Words()
    known = state if isinstance(state, Values) else values_of(drawn, state)
    shown = judged(drawn, known, limits)
    here = places(drawn)
    sheet = Sheet(here.width, here.height)
    told = dict(notes or {})
    base = drawn_base(sheet, shown, here, words, prefix)
    made = base.svg
    for position in range(len(drawn.bus)):
        note = told.get(drawn.bus[position])
        made.append(_bus(sheet, shown, here, position, note, notes is None, words, prefix))
    labelled = labels(sheet, shown, here, told, base, head, words)
    made.append(element("g", *(one.svg() for one in labelled), class_="labels"))
    return picture(
        "".join(made),
        kind="one-line",
        width=here.width,
        height=here.height,
        title=title or f"{words.one_line}: {drawn.source}",
        description=summary(shown, words),
        table=table(shown, told),
        prefix=prefix,
        legend=state_keys(limits, words),
        standalone=standalone,
        left_out=sheet.left_out,
    )


def drawn_base(sheet: Sheet, shown: Shown, here: Places, words: Words, prefix: str) -> Base:
    """Return bands, branches and sources of a one-line diagram: all but its buses."""
    drawn = shown.scheme
    base = Base([_band(here, n) for n in range(1, len(here.feeders), 2)], {}, [], [])
    for n in range(len(drawn.branches)):
        base.svg.append(_branch(sheet, shown, n, here.route[n], words, prefix, base))
    for position in dict.fromkeys(drawn.head):
        at = here.x[position], here.y[position]
        sign, spots = symbols.source(sheet, at, drawn.forming, here.tree.up[position] < 0)
        what = words.forming if drawn.forming else words.public_grid
        base.svg.append(element("g", text_element("title", what), sign, class_="source"))
        base.sources.append((position, spots))
    return base


def _band(here: Places, number: int) -> str:
    one = here.feeders[number]
    return element(
        "rect", class_="band", x=one.left, y=one.top, width=one.right - one.left,
        height=one.bottom - one.top, rx=4.0,
    )  # fmt: skip


def _opens(sheet: Sheet, branch: Branch, route: Route) -> list[float]:
    """Return where on a route its open switches stand: after its first bend, where there is room.

    Two branches that leave a bus side by side have theirs one after the other.
    """
    if branch.kind == "switch":
        return [route.length / 2]
    ends = sorted({side for side, _ in branch.open_at})
    made = []
    for side in ends:
        one = route if side == 0 else route.reversed()
        first, most = one.first_px, route.length / (2 * len(ends))
        px = first + _AFTER_BEND_PX if first < _STUB_PX < route.length - first else _NEAR_END_PX
        places = [px + step for step in (0.0, 20.0, 40.0, 60.0) if px + step <= most]
        free = (one_px for one_px in places if sheet.is_free(_around(one, one_px), MARK))
        px = next(free, min(px, most))
        made.append(px if side == 0 else route.length - px)
    return made


def _around(route: Route, px: float) -> Box:
    (x, y), _ = route.along(px)
    return x - 9, y - 9, x + 9, y + 9


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
    base.spots[n] = route.longest()[0]
    inner = symbols.reach(route)
    if branch.kind == "trafo":
        made, base.spots[n] = symbols.transformer(sheet, route)
        inner += made
    elif is_open:
        made, found = symbols.switched(sheet, route, _opens(sheet, branch, route))
        inner += made
        base.opens += found
    elif branch.kind == "switch":
        inner += symbols.closed(sheet, route)
    else:
        inner += symbols.wire(sheet, route)
    if is_open and branch.kind == "trafo":
        for px in _opens(sheet, branch, route):
            at = route.along(px)[0]
            inner += symbols.open_mark(sheet, at)
            base.opens.append(at)
    if state == "out":
        inner += symbols.cross(sheet, base.spots[n])
    return element(
        "g",
        text_element("title", branch_text(shown, branch, words)),
        inner,
        class_=f"branch {branch.kind} {state}{' open' if is_open else ''}",
        id=f"{prefix}-{branch.kind}-{branch.index}",
    )


def _bus(
    sheet: Sheet,
    shown: Shown,
    here: Places,
    position: int,
    note: BusNote | None,
    is_used: bool,
    words: Words,
    prefix: str,
) -> str:
    estimated = note is not None and note.estimated
    is_used = is_used or (note is not None and note.used)
    state = shown.bus_state[position]
    at = here.x[position], here.y[position]
    return element(
        "g",
        text_element("title", bus_text(shown, position, note, words)),
        symbols.bus(sheet, at, here.bar[position], state, estimated),
        class_=f"bus {state}{' has' * is_used}{' estimated' * estimated}",
        id=f"{prefix}-bus-{shown.scheme.bus[position]}",
    )
