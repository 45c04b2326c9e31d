"""From equipment and how it is switched to a network that a power flow can solve.

A branch that is open at one end is its other end's shunt: eliminating the open node
(Kron reduction) leaves ``yff - yft ytf / ytt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from grid.errors import BadInputError
from networks.equipment import Bool, Branches, Complex, Equipment, Int, Switching
from networks.model import FORMING_VOLTAGE_PU, NetworkModel

_BUS, _LINE, _TRAFO = 0, 1, 2


def connect(
    equipment: Equipment,
    switching: Switching | None = None,
    *,
    held_bus: Int | None = None,
    held_pu: Complex | None = None,
    forming: bool = False,
) -> NetworkModel:
    """Return the network that equipment makes when it is switched in some way.

    Parameters
    ----------
    switching : Switching, optional
        As the source has it when not given.
    held_bus, held_pu : (source,), optional
        Where voltages are held; the external grids when not given.
    forming : bool
        Whether the held bus is a source that forms an island.

    Raises
    ------
    BadInputError
        When closed switches join two sources of different voltage.
    """
    import scipy.sparse as sp

    switching = equipment.switching if switching is None else switching
    buses = equipment.head_bus if held_bus is None else held_bus
    voltages = equipment.head_pu if held_pu is None else held_pu
    place = {int(bus): position for position, bus in enumerate(equipment.bus)}
    point = _fused(equipment, switching, place)
    ends = {
        "line": _ends(equipment, switching, equipment.line, switching.line_on, _LINE, place),
        "trafo": _ends(equipment, switching, equipment.trafo, switching.trafo_on, _TRAFO, place),
    }
    held_at = np.array([place[int(bus)] for bus in buses], dtype=np.int64)
    on = equipment.bus_on[held_at]
    if not on.any():
        raise BadInputError(f"network {equipment.source}: bus {buses[0]} of its source is off")
    alive = _alive(point, list(ends.values()), held_at[on])
    live_points = np.unique(point[alive])
    number = np.full(len(point), -1, dtype=np.int64)
    number[live_points] = np.arange(len(live_points))
    node = np.where(alive, number[point], -1)
    node_kv = np.zeros(len(live_points))
    # The first bus of a node gives its base voltage.
    node_kv[node[alive][::-1]] = equipment.vn_kv[alive][::-1]
    line = _connected(equipment.line, *ends["line"], node)
    trafo = _connected(_tapped(equipment, switching), *ends["trafo"], node)
    rows, columns, values = _entries((line, trafo), node, equipment.shunt)
    size = len(node_kv)
    ybus = sp.csr_array(sp.coo_array((values, (rows, columns)), shape=(size, size)))
    held = _held(equipment, buses[on], voltages[on], node[held_at[on]])
    return NetworkModel(
        equipment=equipment,
        switching=switching,
        fed_bus=buses,
        fed_pu=voltages,
        held_bus=held[0],
        held_node=held[1],
        held_pu=held[2],
        forming=forming,
        node=node,
        node_kv=node_kv,
        ybus=ybus,
        lv_bus=_lv_bus(equipment, point, place),
        line=line,
        trafo=trafo,
    )


def island(model: NetworkModel, bus: int) -> NetworkModel:
    """Return the network without its external grids, with `bus` held at 1 pu."""
    return connect(
        model.equipment,
        model.switching,
        held_bus=np.array([bus], dtype=np.int64),
        held_pu=np.array([FORMING_VOLTAGE_PU], dtype=np.complex128),
        forming=True,
    )


def switched(
    model: NetworkModel,
    *,
    opened: Iterable[int],
    closed: Iterable[int],
    out: Iterable[tuple[str, int]],
    back: Iterable[tuple[str, int]],
    taps: Mapping[int, int],
) -> NetworkModel:
    """Return the network switched otherwise.

    Parameters
    ----------
    opened, closed : iterable of int
        Switches by index.
    out, back : iterable of (str, int)
        ``("line", 3)`` or ``("trafo", 0)``: taken out of service, brought back.
    taps : mapping of int to int
        Position of a transformer's tap changer.

    Raises
    ------
    BadInputError
        Naming a switch, line, transformer or tap position that is not there.
    """
    equipment, before = model.equipment, model.switching
    closed_now, on = (
        before.closed.copy(),
        {
            "line": before.line_on.copy(),
            "trafo": before.trafo_on.copy(),
        },
    )
    for indices, value in ((opened, False), (closed, True)):
        for index in indices:
            closed_now[_row(model, "switch", index)] = value
    for elements, value in ((out, False), (back, True)):
        for kind, index in elements:
            if kind not in on:
                raise BadInputError(f"{kind!r} {index}: only a line or trafo is taken out")
            on[kind][_row(model, kind, index)] = value
    position = before.tap_position.copy()
    for index, wanted in taps.items():
        row = _row(model, "trafo", index)
        low, high = int(equipment.tap_lowest[row]), int(equipment.tap_highest[row])
        if not low <= wanted <= high:
            raise BadInputError(f"trafo {index}: tap {wanted} must be within {low} to {high}")
        position[row] = wanted
    return connect(
        equipment,
        Switching(closed_now, on["line"], on["trafo"], position),
        held_bus=model.fed_bus,
        held_pu=model.fed_pu,
        forming=model.forming,
    )


def _row(model: NetworkModel, table: str, index: int) -> int:
    known: Int = getattr(model.equipment, table).index
    found = np.flatnonzero(known == index)
    if not found.size:
        raise BadInputError(f"{table} {index} is not in the network {model.source}")
    return int(found[0])


def _fused(equipment: Equipment, switching: Switching, place: Mapping[int, int]) -> Int:
    """Return for each bus the lowest bus position that closed switches fuse it with."""
    point = np.arange(len(equipment.bus), dtype=np.int64)
    switch = equipment.switch
    joints = np.flatnonzero((switch.kind == _BUS) & switching.closed)
    if not joints.size:
        return point
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    a = np.array([place[int(switch.bus[row])] for row in joints])
    b = np.array([place[int(switch.element[row])] for row in joints])
    both = equipment.bus_on[a] & equipment.bus_on[b]
    graph = sp.coo_array((np.ones(both.sum()), (a[both], b[both])), shape=(len(point),) * 2)
    _, part = connected_components(graph, directed=False)
    lowest = np.full(part.max() + 1, len(point), dtype=np.int64)
    np.minimum.at(lowest, part, point)
    return np.asarray(lowest[part], dtype=np.int64)


def _ends(
    equipment: Equipment,
    switching: Switching,
    branches: Branches,
    on: Bool,
    kind: int,
    place: Mapping[int, int],
) -> tuple[Int, Int, Bool, Bool]:
    """Return (from position, to position, connected at from, at to) of branches."""
    at = [
        np.array([place[int(bus)] for bus in buses], dtype=np.int64)
        for buses in (branches.from_bus, branches.to_bus)
    ]
    joined = [on & equipment.bus_on[one] for one in at]
    switch = equipment.switch
    row = {int(index): number for number, index in enumerate(branches.index)}
    for number in np.flatnonzero((switch.kind == kind) & ~switching.closed):
        branch = row[int(switch.element[number])]
        for end, buses in enumerate((branches.from_bus, branches.to_bus)):
            if buses[branch] == switch.bus[number]:
                joined[end][branch] = False
    return at[0], at[1], joined[0], joined[1]


def _alive(point: Int, ends: list[tuple[Int, Int, Bool, Bool]], held: Int) -> Bool:
    """Return which buses a source reaches, (bus,)."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    pairs = [
        np.stack([point[one[0]], point[one[1]]])[:, one[2] & one[3]] for one in ends if len(one[0])
    ]
    a, b = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
    graph = sp.coo_array((np.ones(len(a)), (a, b)), shape=(len(point),) * 2)
    _, part = connected_components(graph, directed=False)
    return np.isin(part[point], part[point[held]])


def _connected(
    branches: Branches, at_from: Int, at_to: Int, from_on: Bool, to_on: Bool, node: Int
) -> Branches:
    """Return branches with their nodes, those that are open at one end reduced to the other."""
    f, t = node[at_from], node[at_to]
    yff, yft, ytf, ytt = (getattr(branches, name).copy() for name in ("yff", "yft", "ytf", "ytt"))
    only_from, only_to = from_on & ~to_on & (f >= 0), to_on & ~from_on & (t >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen_from, seen_to = yff - yft * ytf / ytt, ytt - ytf * yft / yff
    yff[only_from], ytt[only_to] = seen_from[only_from], seen_to[only_to]
    for one in (only_from, only_to):
        yft[one] = ytf[one] = 0.0
    ytt[only_from] = yff[only_to] = 0.0
    both = from_on & to_on & (f >= 0)
    return replace(
        branches,
        from_node=np.where(both | only_from, f, np.where(only_to, t, -1)),
        to_node=np.where(both | only_to, t, np.where(only_from, f, -1)),
        yff=yff,
        yft=yft,
        ytf=ytf,
        ytt=ytt,
    )


def _tapped(equipment: Equipment, switching: Switching) -> Branches:
    """Return the transformers at their tap positions."""
    trafo = equipment.trafo
    moved = np.flatnonzero(switching.tap_position != equipment.switching.tap_position)
    if not moved.size:
        return trafo
    names = ("yff", "yft", "ytf", "ytt")
    changed = {name: getattr(trafo, name).copy() for name in names}
    for row in moved:
        step = switching.tap_position[row] - equipment.tap_lowest[row]
        for column, name in enumerate(names):
            changed[name][row] = equipment.tap_two_port[step, row, column]
    return replace(trafo, **changed)


def _entries(tables: tuple[Branches, ...], node: Int, shunt: Complex) -> tuple[Int, Int, Complex]:
    rows, columns, values = [], [], []
    for table in tables:
        on = table.from_node >= 0
        f, t = table.from_node[on], table.to_node[on]
        for row, column, name in ((f, f, "yff"), (f, t, "yft"), (t, f, "ytf"), (t, t, "ytt")):
            rows.append(row)
            columns.append(column)
            values.append(getattr(table, name)[on])
    live = node >= 0
    # A node without branches keeps its place on the diagonal.
    rows.append(node[live])
    columns.append(node[live])
    values.append(shunt[live])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


def _held(
    equipment: Equipment, buses: Int, voltages: Complex, nodes: Int
) -> tuple[Int, Int, Complex]:
    """Return the sources, each node once."""
    kept: dict[int, int] = {}
    for number, node in enumerate(nodes.tolist()):
        first = kept.setdefault(node, number)
        if abs(voltages[first] - voltages[number]) > 1e-9:
            raise BadInputError(
                f"network {equipment.source}: the sources at bus {buses[first]} and bus "
                f"{buses[number]} hold different voltages at one node"
            )
    chosen = np.array(sorted(kept.values()), dtype=np.int64)
    return buses[chosen], nodes[chosen], voltages[chosen]


def _lv_bus(equipment: Equipment, point: Int, place: Mapping[int, int]) -> int:
    head, trafo = int(equipment.head_bus[0]), equipment.trafo
    for hv, lv in zip(trafo.from_bus.tolist(), trafo.to_bus.tolist(), strict=True):
        if point[place[hv]] == point[place[head]]:
            return int(lv)
    return head
