"""Which part of a network a protective device stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grid.errors import BadInputError
from networks.faults.devices import ProtectiveDevice
from networks.faults.graph import Edge, Graph


def places_of(net: Any, devices: Sequence[ProtectiveDevice]) -> dict[str, tuple[str, int, int]]:
    """Return (kind, index, bus) of each device by name."""
    places: dict[str, tuple[str, int, int]] = {}
    for device in devices:
        kind, index = device.branch
        if index not in net[kind].index:
            raise BadInputError(f"device {device.name}: the network has no {kind} {index}")
        place = (kind, index, int(net[kind].at[index, device.end]))
        if device.name in places or place in places.values():
            raise BadInputError(f"device {device.name}: another has its name or its place")
        places[device.name] = place
    return places


def zone_of(
    wired: Graph,
    edge: Edge,
    place: tuple[str, int, int],
    places: dict[str, tuple[str, int, int]],
    sources: Sequence[int],
) -> tuple[set[int], set[int]]:
    """Return the buses and lines that a device protects.

    Where taking its branch out parts one side of the network from every source, all current of
    faults on that side goes through the device; its zone is that side, up to and with the
    terminals of the next devices. Both are empty where the branch is one way of many.

    Parameters
    ----------
    edge : Edge
        The device's branch.
    place : tuple of (str, int, int)
        Kind and index of the branch, and the bus at which the device is.
    places : dict of str to such a tuple
        Of all devices.
    sources : sequence of int
        Buses that current comes from.
    """
    taken = {(kind, index, bus) for kind, index, bus in places.values()}
    sides = {bus: wired.reached([bus], lambda other, _: other != edge) for bus in (edge.a, edge.b)}
    far = [bus for bus, side in sides.items() if not side & set(sources)]
    if len(far) != 1:
        return set(), set()
    start = far[0]
    own = start != place[2]
    # The device at the source's end of the branch protects the branch; one at the other end
    # protects what begins there. Another at the branch's far end stops the zone there.
    if own and (edge.kind, edge.index, start) in taken:
        return {start}, {edge.index} if edge.kind == "line" else set()

    def crosses(other: Edge, bus: int) -> bool:
        return other != edge and (other.kind, other.index, bus) not in taken

    zone: set[int] = {start}
    waiting, lines = [start], {edge.index} if own and edge.kind == "line" else set()
    while waiting:
        bus = waiting.pop()
        for other in wired.at[bus]:
            if not crosses(other, bus):
                continue
            if other.kind == "line":
                lines.add(other.index)
            beyond = other.other(bus)
            if beyond in zone:
                continue
            zone.add(beyond)
            if (other.kind, other.index, beyond) not in taken:
                waiting.append(beyond)
    return zone, lines
