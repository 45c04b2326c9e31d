"""Whether each fuse and breaker sees every fault that it must clear, and can clear it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from networks.faults.assumptions import live
from networks.faults.devices import GG, ProtectiveDevice, protects, smaller
from networks.faults.earth import group
from networks.faults.graph import element, graph, listed
from networks.faults.zones import places_of, zone_of

LOW_KV = 1.0
_SHIFTED = ("dyn", "yzn", "dy", "yd", "ynd", "yz")


@dataclass(frozen=True, slots=True)
class Reach:
    """How one device stands to the faults behind it.

    Attributes
    ----------
    device : ProtectiveDevice
    zone : tuple of int
        Buses behind it, up to and with those of the next devices; empty where several ways lead
        to a fault, so that its share of the current is not known.
    operates_a : float
        From this current on it operates in time.
    least_a : float
        Smallest fault current that it must see; NaN without a zone.
    worst_bus : int or None
        Where that fault is.
    worst_fault : str
        ``"1ph"``, ``"2ph"`` or ``"3ph"``.
    greatest_ka : float
        Largest fault current at its own terminals.
    line_a : float
        Lowest rating of the lines it protects from overload; NaN without any.
    suggested_a : float or None
        The next smaller rating that would reach.
    """

    device: ProtectiveDevice
    zone: tuple[int, ...]
    operates_a: float
    least_a: float
    worst_bus: int | None
    worst_fault: str
    greatest_ka: float
    line_a: float
    suggested_a: float | None = None

    @property
    def margin(self) -> float:
        """Smallest fault current over the current that operates it; it reaches from 1 on."""
        return self.least_a / self.operates_a

    @property
    def reaches(self) -> bool:
        """Whether it operates in time at every fault in its zone."""
        return bool(self.margin >= 1.0)


def reach(
    net: Any, devices: Sequence[ProtectiveDevice], currents: xr.Dataset
) -> tuple[list[Reach], list[Finding]]:
    """Return the reach of each device, and what is wrong with it.

    A device must operate in time at the smallest fault behind it, up to and with the terminals of
    the next device (IEC 60364-4-41:2005, 411.4.4, with the minimum currents of IEC 60909-0).

    Parameters
    ----------
    net : pandapowerNet
    devices : sequence of ProtectiveDevice
    currents : xarray.Dataset
        From :func:`networks.faults.short_circuit.short_circuit` or
        :func:`networks.faults.island.island_short_circuit`, with both cases. Current comes from
        its ``attrs["source_bus"]``; what converters add in the maximum case is not divided up.

    Returns
    -------
    reaches : list of Reach
    findings : list of Finding
        One for each device and fault of it, and one for lines that no device protects.

    Raises
    ------
    BadInputError
        When a device is at a branch that is not there, or at the place of another.
    """
    if set(currents["case"].to_numpy()) != {"max", "min"}:
        raise BadInputError("protection needs the maximum and the minimum short-circuit currents")
    wired = graph(net)
    places = places_of(net, devices)
    edges = {(edge.kind, edge.index): edge for edge in wired.edges}
    sources = [int(bus) for bus in currents.attrs["source_bus"]]
    fed = wired.reached(sources)
    reaches, findings, covered = [], [], set()
    for device in devices:
        edge = edges.get(device.branch)
        if edge is None:
            findings.append(_found("off", device, Severity.INFO, "its branch carries no current"))
            continue
        if not {edge.a, edge.b} & fed:
            findings.append(_found("off", device, Severity.INFO, "no source reaches its branch"))
            continue
        zone, lines = zone_of(wired, edge, places[device.name], places, sources)
        covered |= lines
        made = _judged(net, device, places[device.name], zone, lines, currents)
        reaches.append(made)
        findings += _findings(net, made, currents)
    bare = [edge.index for edge in wired.edges if edge.kind == "line" and edge.index not in covered]
    if bare:
        message = f"{len(bare)} lines are behind no device judged here: {listed(net, 'line', bare)}"
        findings.append(Finding("protection.none", "network", "", Severity.WARNING, message))
    return reaches, sorted(findings)


def propose_feeder_fuses(net: Any, *, within_s: float = 5.0) -> list[ProtectiveDevice]:
    """Return one gG fuse for each feeder at a low-voltage busbar, marked as proposed.

    The rating is the greatest that keeps the feeder's first line from overload
    (IEC 60364-4-43:2008, 433.1).
    """
    wired = graph(net)
    bars = {int(bus) for bus in net.trafo["lv_bus"][live(net, "trafo")]}
    bars |= {int(bus) for bus in net.ext_grid["bus"][live(net, "ext_grid")]}
    bars = {bus for bus in bars if bus in wired.at and net.bus.at[bus, "vn_kv"] <= LOW_KV}
    made: dict[str, ProtectiveDevice] = {}
    for bus in sorted({bus for bar in bars for bus in wired.joined(bar)}):
        for edge in (edge for edge in wired.at[bus] if edge.kind == "line"):
            end = "from_bus" if edge.a == bus else "to_bus"
            for rating in GG:
                device = ProtectiveDevice(
                    f"F-{edge.index}", ("line", edge.index), end, "gG", rating, within_s,
                    proposed=True,
                )  # fmt: skip
                if protects(device, line_rating_a(net, edge.index)):
                    made[device.name] = device
    return list(made.values())


def line_rating_a(net: Any, index: int) -> float:
    """Return the current in A that a line may carry."""
    line = net.line.loc[index]
    return float(line["max_i_ka"] * line["df"] * line["parallel"] * 1e3)


def _judged(
    net: Any,
    device: ProtectiveDevice,
    place: tuple[str, int, int],
    zone: set[int],
    lines: set[int],
    currents: xr.Dataset,
) -> Reach:
    at = place[2]
    greatest = currents["ikss_ka"].sel(case="max", bus=at).max().item()
    line_a = min((line_rating_a(net, index) for index in lines), default=float("nan"))
    least, worst_bus, worst_fault = float("nan"), None, ""
    if zone:
        buses = sorted(zone)
        values = currents["ikss_ka"].sel(case="min", bus=buses) * 1e3
        seen = values.to_numpy() * _through(net, at, buses, values["fault"].to_numpy())
        # A fault of three phases is never the smallest where two phases are calculated too.
        if np.isfinite(seen).any():
            i, j = np.unravel_index(int(np.nanargmin(seen)), seen.shape)
            least, worst_bus = float(seen[i, j]), buses[j]
            worst_fault = str(values["fault"].to_numpy()[i])
    return Reach(
        device=device,
        zone=tuple(sorted(zone)),
        operates_a=device.operates_a,
        least_a=least,
        worst_bus=worst_bus,
        worst_fault=worst_fault,
        greatest_ka=greatest,
        line_a=line_a,
        suggested_a=smaller(device, least) if least < device.operates_a else None,
    )


def _through(net: Any, at: int, buses: Sequence[int], faults: Any) -> Any:
    """Return what a device at a bus sees of fault currents at others, (fault, bus).

    Through a transformer that shifts the phases, the phase most loaded carries 1/√3 of the current
    of a fault to earth and 2/√3 of that of two phases, both times the ratio of voltages.
    """
    kv = net.bus["vn_kv"]
    ratio = np.array([kv.at[bus] / kv.at[at] for bus in buses])
    crossed = np.abs(ratio - 1.0) > 0.05
    groups = [group(text) for text in net.trafo.get("vector_group", [])]
    shifted = bool(groups) and all(text in _SHIFTED for text in groups)
    factors = {
        "3ph": 1.0,
        "2ph": 2.0 / np.sqrt(3.0) if shifted else 1.0,
        "1ph": 1.0 / np.sqrt(3.0),
    }
    return np.array([ratio * np.where(crossed, factors[fault], 1.0) for fault in faults])


def _found(code: str, device: ProtectiveDevice, severity: Severity, words: str) -> Finding:
    return Finding(f"protection.{code}", device.name, "", severity, f"{device.label()}: {words}")


def _findings(net: Any, made: Reach, currents: xr.Dataset) -> list[Finding]:
    device, found = made.device, []
    if not made.zone:
        words = "several ways lead past it, its share of a fault is not known"
        return [_found("meshed", device, Severity.WARNING, words)]
    if np.isnan(made.least_a):
        words = "no fault current is known in its zone"
        found.append(_found("unknown", device, Severity.WARNING, words))
    elif not made.reaches:
        found.append(_found("no_reach", device, Severity.ALARM, _short(net, made)))
    if not _earth_known(net, made, currents):
        words = "faults to earth, the smallest, are not known in its zone"
        found.append(_found("earth_unknown", device, Severity.WARNING, words))
    if device.breaks_ka is None:
        words = f"its breaking capacity is not known, {made.greatest_ka:.2f} kA may occur"
        found.append(_found("breaking_unknown", device, Severity.WARNING, words))
    elif made.greatest_ka > device.breaks_ka:
        words = f"breaks {device.breaks_ka:g} kA, {made.greatest_ka:.2f} kA may occur"
        found.append(_found("breaking", device, Severity.ALARM, words))
    if np.isfinite(made.line_a) and not protects(device, made.line_a):
        words = (
            f"a line in its zone may carry {made.line_a:.0f} A, and it operates surely at "
            f"{device.conventional_a:.0f} A only (limit 1.45 times: {1.45 * made.line_a:.0f} A)"
        )
        found.append(_found("overload", device, Severity.WARNING, words))
    return found


def _short(net: Any, made: Reach) -> str:
    device = made.device
    assert made.worst_bus is not None
    words = (
        f"{made.worst_fault} fault at {element(net, 'bus', made.worst_bus)} gives "
        f"{made.least_a:.0f} A, it needs {made.operates_a:.0f} A to operate within "
        f"{device.within_s:g} s"
    )
    if made.suggested_a is None:
        return f"{words}; no smaller one reaches either"
    if device.kind == "definite":
        return f"{words}; a pickup of {made.suggested_a:.0f} A would"
    return f"{words}; {device.kind} {made.suggested_a:g} A would, if the load allows"


def _earth_known(net: Any, made: Reach, currents: xr.Dataset) -> bool:
    low = [bus for bus in made.zone if net.bus.at[bus, "vn_kv"] <= LOW_KV]
    if not low:
        return True
    if "1ph" not in currents["fault"].to_numpy():
        return False
    values = currents["ikss_ka"].sel(fault="1ph", case="min", bus=low)
    return bool(np.isfinite(values.to_numpy()).all())
