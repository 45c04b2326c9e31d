"""What is joined to what in a network's tables: in service and through closed switches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from networks.sources.tables import Row, Tables

ENDS = {"line": ("from_bus", "to_bus"), "trafo": ("hv_bus", "lv_bus")}


@dataclass(frozen=True, slots=True)
class Joint:
    """A line, transformer or closed bus switch between two buses, all in service."""

    table: str
    row: Row
    a: int
    b: int


def joints(tables: Tables) -> list[Joint]:
    """Return what joins two live buses; an open switch at either end takes a branch out."""
    alive = {row["index"] for row in tables["bus"] if row["in_service"]}
    opened = {(row["et"], row["element"]) for row in tables["switch"] if not row["closed"]}
    found = [
        Joint(table, row, row[first], row[second])
        for table, (first, second) in ENDS.items()
        for row in tables[table]
        if row["in_service"] and (table[0], row["index"]) not in opened
    ]
    found += [
        Joint("switch", row, row["bus"], row["element"])
        for row in tables["switch"]
        if row["et"] == "b" and row["closed"]
    ]
    return [joint for joint in found if joint.a in alive and joint.b in alive]


def groups(points: Iterable[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the sets of points that edges join, each sorted, the largest first."""
    neighbours: dict[int, list[int]] = {point: [] for point in points}
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    made: list[list[int]] = []
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        seen.add(start)
        group, stack = [], [start]
        while stack:
            point = stack.pop()
            group.append(point)
            for other in neighbours[point]:
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        made.append(sorted(group))
    return sorted(made, key=lambda group: (-len(group), group[0]))


def islands(tables: Tables) -> list[list[int]]:
    """Return the islands of buses in service, each sorted, the largest first."""
    alive = [row["index"] for row in tables["bus"] if row["in_service"]]
    return groups(alive, [(joint.a, joint.b) for joint in joints(tables)])


def sources(tables: Tables) -> list[tuple[str, Row]]:
    """Return the external grids and slack generators in service, each with its table."""
    found = [("ext_grid", row) for row in tables["ext_grid"]]
    found += [("gen", row) for row in tables["gen"] if row["slack"]]
    return [(table, row) for table, row in found if row["in_service"]]
