"""The pictures of the operator's network page, drawn once for each state and language."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import xarray as xr
from flask_babel import gettext as _
from markupsafe import Markup

from grid.errors import BadInputError
from grid.site import Network, Shedding, Site
from networks.drawing.facts import BusNote, HeadFlow, Shown, judged, values_of
from networks.drawing.map import network_map
from networks.drawing.map_places import is_placed
from networks.drawing.one_line import one_line
from networks.drawing.scheme import Branch, Scheme
from networks.drawing.state import Values
from networks.drawing.stored import stored
from networks.drawing.words import Words

VIEWS = ("one-line", "map")
TAGGED = "TAG"
_KEPT_MAX = 24


@dataclass(frozen=True, slots=True)
class BusRow:
    """A bus as the table tells it."""

    name: str
    vm_pu: float | None
    margin_pu: float | None
    state: str
    points: str
    devices: str
    estimated: bool


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A line, transformer or switch between buses as the table tells it."""

    name: str
    loading_percent: float | None
    state: str
    is_open: bool
    tag: int | None = None


@dataclass(frozen=True, slots=True)
class Diagram:
    """What the page shows: a picture, and the same in tables.

    Attributes
    ----------
    svg : Markup
        A whole ``<svg>`` element; names in it are escaped.
    view : str
        Of :data:`VIEWS`.
    placed : bool
        Whether there is a map to look at.
    known : bool
        Whether a state is shown.
    """

    svg: Markup
    view: str
    placed: bool
    known: bool
    buses: list[BusRow]
    branches: list[BranchRow]
    left_out: int


_kept: OrderedDict[bytes, tuple[Markup, int]] = OrderedDict()
_lock = threading.Lock()


def bus_names(layout: xr.Dataset) -> dict[int, str]:
    """Return the names of buses by their index in the network."""
    scheme = stored(layout)
    return {
        index: name or f"bus {index}"
        for index, name in zip(scheme.bus, scheme.bus_name, strict=True)
    }


def _words() -> Words:
    return Words(
        one_line=_("One-line diagram of the feeder"),
        map=_("Map of the feeder"),
        public_grid=_("Public grid"),
        forming=_("Forming source"),
        gives=_("gives"),
        takes=_("takes"),
        feeder=_("feeder"),
        lowest=_("lowest"),
        highest=_("highest"),
        tap=_("tap"),
        open=_("opened"),
        out=_("out of service"),
        without_voltage=_("without voltage"),
        buses=_("buses"),
        estimated=_("estimated"),
        voltage=_("Voltage"),
        loading=_("Loading"),
        north=_("N"),
        beside=_("drawn beside their place"),
    )


def _behind(site: Site) -> dict[int, tuple[str, str, tuple[str, ...]]]:
    """Return by bus index its usage points, its devices and the short signs of these."""
    bus_of = {point.id: point.bus for point in site.usage_point}
    points: dict[int, list[str]] = {}
    devices: dict[int, list[tuple[str, str]]] = {}
    for point in site.usage_point:
        points.setdefault(point.bus, []).append(point.id)
    for tag, assets in (
        ("PV", site.solar), ("W", site.wind), ("B", site.battery), ("G", site.genset),
        ("EV", site.charger),
        ("FL", site.flexible),
    ):  # fmt: skip
        for asset in assets:
            devices.setdefault(bus_of[asset.usage_point], []).append((tag, asset.id))
    return {
        bus: (
            ", ".join(sorted(names)),
            ", ".join(name for _, name in devices.get(bus, [])),
            tuple(dict.fromkeys(tag for tag, _ in devices.get(bus, []))),
        )
        for bus, names in points.items()
    }


def diagram(
    layout: xr.Dataset | None,
    state: xr.Dataset | None,
    site: Site,
    estimated: Collection[str] = (),
    head: HeadFlow | None = None,
    view: str = "one-line",
    tagged: Mapping[str, int] | None = None,
) -> Diagram | None:
    """Return what the page shows, or ``None`` without a layout.

    Parameters
    ----------
    layout : xarray.Dataset
        As :func:`networks.drawing.stored.stored` takes it.
    state : xarray.Dataset
        `vm_pu` (bus), `line_loading_percent` (line), `trafo_loading_percent` (trafo), and
        `vm_sd_pu` (bus) of an estimate.
    estimated : collection of str
        Usage points whose reading in the state is an estimate.
    view : str
        Of :data:`VIEWS`; the one-line diagram where there is no map.
    tagged : mapping of str to int, optional
        Elements under safety tags with the tags' numbers.
    """
    if layout is None or not layout.sizes.get("bus"):
        return None
    scheme = stored(layout)
    try:
        values = values_of(scheme, state)
    except BadInputError:
        # The state is of a network with other equipment than the drawing shows.
        state, values = None, values_of(scheme, None)
    behind, placed = _behind(site), is_placed(scheme)
    flagged = frozenset(estimated)
    notes = {
        bus: BusNote(
            text=" · ".join(part for part in (points, devices) if part),
            tags=tags,
            estimated=not flagged.isdisjoint(points.split(", ")),
        )
        for bus, (points, devices, tags) in behind.items()
    }
    for bus, numbers in _tagged_buses(scheme, site, tagged or {}).items():
        told = ", ".join(_("safety tag %(number)s", number=number) for number in numbers)
        note = notes.get(bus, BusNote())
        text = " · ".join(part for part in (note.text, told) if part)
        notes[bus] = replace(note, text=text, tags=(TAGGED, *note.tags))
    view = view if placed else "one-line"
    svg, left_out = _picture(scheme, values, site.network, notes, head, _words(), view)
    shown = judged(scheme, values, site.network)
    return Diagram(
        svg=svg,
        view=view,
        placed=placed,
        known=state is not None,
        buses=[
            BusRow(
                name=scheme.bus_name[n] or f"bus {index}",
                vm_pu=values.vm_pu[n] if shown.alive[n] else float("nan"),
                margin_pu=values.margin_pu[n],
                state=shown.bus_state[n],
                points=behind.get(index, ("", "", ()))[0],
                devices=behind.get(index, ("", "", ()))[1],
                estimated=index in notes and notes[index].estimated,
            )
            for n, index in enumerate(scheme.bus)
        ],
        branches=[
            _row(shown, n, one, (tagged or {}).get(f"{one.kind}:{one.index}"))
            for n, one in enumerate(scheme.branches)
        ],
        left_out=left_out,
    )


def _tagged_buses(scheme: Scheme, site: Site, tagged: Mapping[str, int]) -> dict[int, list[int]]:
    """Return by bus index the tags on it, on what ends at it and on devices at it."""
    bus_of = {point.id: point.bus for point in site.usage_point}
    found: dict[int, list[int]] = {}
    for element, number in tagged.items():
        kind, _sep, name = element.partition(":")
        buses = [int(name)] if kind == "bus" else []
        for one in scheme.branches:
            if kind == one.kind and name == str(one.index):
                buses = [scheme.bus[one.a], scheme.bus[one.b]]
        for asset in site.assets:
            if kind == "asset" and asset.id == name and not isinstance(asset, Shedding):
                buses = [bus_of[asset.usage_point]]
        for bus in buses:
            found.setdefault(bus, []).append(number)
    return found


def _row(shown: Shown, n: int, branch: Branch, tag: int | None) -> BranchRow:
    return BranchRow(
        name=branch.name or f"{branch.kind} {branch.index}",
        loading_percent=shown.loading(branch),
        state=shown.branch_state[n],
        is_open=bool(branch.open_at) or (branch.kind == "switch" and not branch.on),
        tag=tag,
    )


def _picture(
    scheme: Scheme,
    values: Values,
    limits: Network,
    notes: dict[int, BusNote],
    head: HeadFlow | None,
    words: Words,
    view: str,
) -> tuple[Markup, int]:
    """Return a picture and how many labels it leaves out, drawn once for the same content."""
    content = repr((scheme, values, limits, notes, head, words, view))
    key = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    draw = network_map if view == "map" else one_line
    made = draw(
        scheme, values, limits=limits, notes=notes, head=head, words=words, prefix="network",
        title=words.map if view == "map" else words.one_line,
    )  # fmt: skip
    kept = Markup(made.svg), made.left_out
    with _lock:
        _kept[key] = kept
        while len(_kept) > _KEPT_MAX:
            _kept.popitem(last=False)
    return kept
