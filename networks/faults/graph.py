"""What is connected to what in a pandapower net, as its switches stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

ENDS = {"line": ("from_bus", "to_bus"), "trafo": ("hv_bus", "lv_bus")}
_OTHERS = {"impedance": ("from_bus", "to_bus")}
_SWITCHED = {"line": "l", "trafo": "t", "trafo3w": "t3"}


@dataclass(frozen=True, slots=True)
class Edge:
    """A branch or closed bus-bus switch between two buses that are in service.

    Attributes
    ----------
    kind : str
        ``line``, ``trafo``, ``trafo3w``, ``switch`` or ``impedance``.
    index : int
        Row label in its pandapower table.
    a, b : int
        Buses: from and to of a line, high and low side of a transformer.
    """

    kind: str
    index: int
    a: int
    b: int

    def other(self, bus: int) -> int:
        """Return the bus at the other end."""
        return self.b if bus == self.a else self.a


@dataclass(frozen=True, slots=True)
class Graph:
    """Buses in service and what connects them; a branch that is open at one end connects nothing.

    Attributes
    ----------
    edges : tuple of Edge
    at : dict of int to list of Edge
        Edges at each bus in service.
    """

    edges: tuple[Edge, ...]
    at: dict[int, list[Edge]] = field(repr=False)

    def reached(
        self, starts: Iterable[int], crosses: Callable[[Edge, int], bool] = lambda *_: True
    ) -> set[int]:
        """Return the buses that are reached from `starts` over edges that may be crossed.

        Parameters
        ----------
        crosses : callable (edge, bus) -> bool
            Whether an edge may be crossed when it is met at a bus.
        """
        found = {bus for bus in starts if bus in self.at}
        waiting = list(found)
        while waiting:
            bus = waiting.pop()
            for edge in self.at[bus]:
                far = edge.other(bus)
                if far not in found and crosses(edge, bus):
                    found.add(far)
                    waiting.append(far)
        return found

    def joined(self, bus: int) -> set[int]:
        """Return the buses that closed switches make one with a bus."""
        return self.reached([bus], lambda edge, _: edge.kind == "switch")


def graph(net: Any) -> Graph:
    """Return the graph of a pandapower net."""
    on = set(net.bus.index[net.bus["in_service"].to_numpy(dtype=bool)].tolist())
    open_ends = _open_ends(net)
    edges: list[Edge] = []
    for kind, (first, last) in (ENDS | _OTHERS).items():
        frame = net[kind]
        if not len(frame):
            continue
        live = frame["in_service"].to_numpy(dtype=bool)
        columns = (frame.index, frame[first], frame[last], live)
        for index, a, b, alive in zip(*columns, strict=True):
            if alive and not {(kind, index, a), (kind, index, b)} & open_ends:
                edges.append(Edge(kind, int(index), int(a), int(b)))
    edges += _three_winding(net, open_ends)
    switch = net.switch
    closed = switch["closed"].to_numpy(dtype=bool) & (switch["et"] == "b").to_numpy()
    for row in closed.nonzero()[0]:
        a, b = int(switch["bus"].iloc[row]), int(switch["element"].iloc[row])
        edges.append(Edge("switch", int(switch.index[row]), a, b))
    kept = tuple(edge for edge in edges if edge.a in on and edge.b in on)
    at: dict[int, list[Edge]] = {int(bus): [] for bus in net.bus.index if bus in on}
    for edge in kept:
        at[edge.a].append(edge)
        at[edge.b].append(edge)
    return Graph(kept, at)


def _open_ends(net: Any) -> set[tuple[str, int, int]]:
    switch = net.switch
    found = set()
    for kind, letter in _SWITCHED.items():
        chosen = switch[(switch["et"] == letter) & ~switch["closed"].astype(bool)]
        found |= {
            (kind, int(element), int(bus))
            for element, bus in zip(chosen["element"], chosen["bus"], strict=True)
        }
    return found


def _three_winding(net: Any, open_ends: set[tuple[str, int, int]]) -> list[Edge]:
    edges = []
    for index, row in net.trafo3w.iterrows():
        if not row["in_service"]:
            continue
        buses = [int(row[side]) for side in ("hv_bus", "mv_bus", "lv_bus")]
        live = [bus for bus in buses if ("trafo3w", index, bus) not in open_ends]
        edges += [Edge("trafo3w", int(index), live[0], bus) for bus in live[1:]]
    return edges


def element(net: Any, table: str, index: int) -> str:
    """Return how an element is named in messages: ``line 12 'LV2.101 Line 3'``."""
    name = net[table].at[index, "name"] if "name" in net[table] else None
    return f"{table} {index} {name!r}" if isinstance(name, str) and name else f"{table} {index}"


def listed(net: Any, table: str, indices: Iterable[int]) -> str:
    """Return a few elements by name and how many more there are."""
    known = list(indices)
    shown = ", ".join(element(net, table, index) for index in known[:3])
    return f"{shown} and {len(known) - 3} more" if len(known) > 3 else shown
