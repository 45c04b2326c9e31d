"""Zero-sequence data: where a fault to earth can be calculated, and where it is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from networks.faults.assumptions import Assumptions, Told, live, numbers
from networks.faults.graph import Graph, listed

_LINE = {"r0_ohm_per_km": "r_ohm_per_km", "x0_ohm_per_km": "x_ohm_per_km"}
_TRAFO = {"vk0_percent": "vk_percent", "vkr0_percent": "vkr_percent"}
# What pandapower asks for and what does not enter the impedance of groups with a delta or zigzag.
_MAGNETISING = {"mag0_percent": 100.0, "mag0_rx": 0.0, "si0_hv_partial": 0.9}
_OPEN = ("yy", "yd", "dy", "dd")
_LOW_EARTHED = ("dyn", "yzn", "yyn", "ynyn")
_HIGH_EARTHED = ("ynd", "yny", "ynyn", "znyn", "znd", "zny")
_MAGNETISED = ("yyn", "ynyn", "yny", "yzn", "znyn")
GROUPS = tuple(sorted({*_OPEN, *_LOW_EARTHED, *_HIGH_EARTHED}))


@dataclass(frozen=True, slots=True)
class Earth:
    """What is known of faults to earth.

    Attributes
    ----------
    missing : tuple of str
        What keeps every fault to earth from being calculated, in words; empty when nothing does.
    unknown : frozenset of int
        Buses in the zero-sequence reach of an external grid that says nothing of it.
    unearthed : frozenset of int
        Buses without an earthed neutral: a fault to earth there is no short circuit.
    """

    missing: tuple[str, ...]
    unknown: frozenset[int]
    unearthed: frozenset[int]


def group(text: Any) -> str:
    """Return a vector group in small letters without its clock number: ``dyn`` for ``Dyn5``."""
    return text.rstrip("0123456789").lower() if isinstance(text, str) else ""


def earth(net: Any, wired: Graph, given: Assumptions, cases: Sequence[str], told: Told) -> Earth:
    """Complete the zero-sequence data of a net in place and tell where they are missing."""
    if given.zero_sequence is not None:
        _fill(net, given, told)
    missing = _missing(net)
    if missing:
        return Earth(tuple(missing), frozenset(), frozenset())
    groups = (
        {
            int(index): group(text)
            for index, text in zip(net.trafo.index, net.trafo["vector_group"], strict=True)
        }
        if len(net.trafo)
        else {}
    )
    _spell(net)
    unknown = _heads(net, cases)
    areas = _areas(net, wired, groups)
    return Earth(
        (),
        frozenset().union(*(area for area in areas if area & unknown)),
        frozenset().union(*(a for a in areas if not a & (_earthed(net, groups) | unknown))),
    )


def _fill(net: Any, given: Assumptions, told: Told) -> None:
    zero = given.zero_sequence
    assert zero is not None
    ratios = dict(zip(_LINE, (zero.r_ratio, zero.x_ratio), strict=True))
    for column, positive in _LINE.items():
        own = numbers(net, "line", column)
        net.line[column] = np.where(
            np.isfinite(own), own, numbers(net, "line", positive) * ratios[column]
        )
        if gaps := int((~np.isfinite(own) & live(net, "line")).sum()):
            told.notes.append(
                f"{column} of {gaps} lines is {ratios[column]:g} times {positive}, as given"
            )
    if not len(net.trafo):
        return
    known = net.trafo.get("vector_group")
    texts = [None] * len(net.trafo) if known is None else known.tolist()
    unknown = [not group(text) for text in texts]
    if any(unknown):
        told.notes.append(f"vector_group of {sum(unknown)} transformers is {zero.vector_group}")
    net.trafo["vector_group"] = [text if group(text) else zero.vector_group for text in texts]
    for column, positive in _TRAFO.items():
        own = numbers(net, "trafo", column)
        net.trafo[column] = np.where(np.isfinite(own), own, numbers(net, "trafo", positive))
        if gaps := int((~np.isfinite(own) & live(net, "trafo")).sum()):
            told.notes.append(f"{column} of {gaps} transformers is {positive}")


def _missing(net: Any) -> list[str]:
    found = []
    for column in _LINE:
        gaps = live(net, "line") & ~np.isfinite(numbers(net, "line", column))
        if gaps.any():
            found.append(f"{listed(net, 'line', net.line.index[gaps])}: {column} is missing")
    if len(net.trafo):
        texts = net.trafo.get("vector_group")
        groups = [group(text) for text in ([None] * len(net.trafo) if texts is None else texts)]
        on = live(net, "trafo")
        bad = on & np.array([text not in GROUPS for text in groups])
        if bad.any():
            found.append(
                f"{listed(net, 'trafo', net.trafo.index[bad])}: vector_group is missing or none of "
                f"{', '.join(GROUPS)}"
            )
        closes = np.array([text not in _OPEN for text in groups]) & on & ~bad
        magnetised = np.array([text in _MAGNETISED for text in groups]) & on & ~bad
        for column in (*_TRAFO, *_MAGNETISING):
            concerned = closes if column in _TRAFO else magnetised
            gaps = concerned & ~np.isfinite(numbers(net, "trafo", column))
            if gaps.any():
                found.append(f"{listed(net, 'trafo', net.trafo.index[gaps])}: {column} is missing")
    if live(net, "trafo3w").any():
        found.append(f"{listed(net, 'trafo3w', net.trafo3w.index)}: has no zero-sequence model")
    if live(net, "impedance").any() and "rft0_pu" not in net.impedance:
        found.append(f"{listed(net, 'impedance', net.impedance.index)}: rft0_pu is missing")
    return found


def _spell(net: Any) -> None:
    """Write what pandapower asks for: groups without clock, and values that do not matter."""
    if len(net.trafo):
        texts = [group(text) for text in net.trafo["vector_group"]]
        net.trafo["vector_group"] = [text if text in GROUPS else "dd" for text in texts]
        for column, positive in _TRAFO.items():
            own = numbers(net, "trafo", column)
            net.trafo[column] = np.where(np.isfinite(own), own, numbers(net, "trafo", positive))
        for column, value in _MAGNETISING.items():
            own = numbers(net, "trafo", column)
            net.trafo[column] = np.where(np.isfinite(own), own, value)
    for column, positive in _LINE.items():
        own = numbers(net, "line", column)
        net.line[column] = np.where(np.isfinite(own), own, numbers(net, "line", positive))
    # Zero-sequence capacitances count (IEC 60909-0:2016, clause 5), though next to nothing where a
    # neutral is earthed; a trace of one keeps the matrix of an unearthed part regular.
    own = numbers(net, "line", "c0_nf_per_km")
    own = np.where(np.isfinite(own), own, np.nan_to_num(numbers(net, "line", "c_nf_per_km")))
    net.line["c0_nf_per_km"] = np.maximum(own, 0.01)


def _heads(net: Any, cases: Sequence[str]) -> set[int]:
    """Return buses of external grids without zero-sequence data, and give them some."""
    on = live(net, "ext_grid")
    unknown: set[int] = set()
    for case in cases:
        for column, value in ((f"x0x_{case}", 1.0), (f"r0x0_{case}", 0.1)):
            own = numbers(net, "ext_grid", column)
            unknown |= set(net.ext_grid["bus"][on & ~np.isfinite(own)].astype(int))
            net.ext_grid[column] = np.where(np.isfinite(own), own, value)
    return unknown


def _areas(net: Any, wired: Graph, groups: dict[int, str]) -> list[set[int]]:
    """Return the parts that zero-sequence current goes through."""
    left = set(wired.at)
    areas = []
    while left:
        area = wired.reached(
            [min(left)],
            lambda edge, _: (
                edge.kind in ("line", "switch", "impedance")
                or (edge.kind == "trafo" and groups[edge.index] == "ynyn")
            ),
        )
        areas.append(area)
        left -= area
    return areas


def _earthed(net: Any, groups: dict[int, str]) -> set[int]:
    """Return buses with an earthed neutral."""
    buses = set(net.ext_grid["bus"][live(net, "ext_grid")].astype(int))
    for index, row in net.trafo[live(net, "trafo")].iterrows():
        if groups[int(index)] in _LOW_EARTHED:
            buses.add(int(row["lv_bus"]))
        if groups[int(index)] in _HIGH_EARTHED:
            buses.add(int(row["hv_bus"]))
    return buses
