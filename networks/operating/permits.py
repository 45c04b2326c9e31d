"""What a permit to work on an element cuts off, and whether something would make it live.

An element under a permit is dead, and stays so: it counts as out of service, whatever is
switched elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.errors import BadInputError
from networks.equipment import SWITCH_KINDS
from networks.model import NetworkModel

Element = tuple[str, int]
"""``("line", 3)``, ``("trafo", 0)`` or ``("bus", 25)``."""

KINDS = ("line", "trafo", "bus")


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind an element.

    Attributes
    ----------
    buses : tuple of int
        Buses that no source reaches without it, and itself when it is a bus; whatever
        generates there can feed back to it.
    ties : tuple of int
        Open switches that would feed these buses otherwise.
    """

    buses: tuple[int, ...]
    ties: tuple[int, ...]


def without(model: NetworkModel, elements: Sequence[Element]) -> NetworkModel:
    """Return the network with elements under permit out of service.

    Raises
    ------
    BadInputError
        When there is no such element.
    """
    out: set[tuple[str, int]] = set()
    opened: set[int] = set()
    for kind, index in elements:
        require(model, kind, index)
        if kind != "bus":
            out.add((kind, index))
            continue
        for table in ("line", "trafo"):
            branches = getattr(model.equipment, table)
            touches = (branches.from_bus == index) | (branches.to_bus == index)
            out |= {(table, int(one)) for one in branches.index[touches]}
        switch = model.equipment.switch
        joint = switch.kind == SWITCH_KINDS.index("b")
        touches = joint & ((switch.bus == index) | (switch.element == index))
        opened |= {int(one) for one in switch.index[touches]}
    return model.switched(opened=sorted(opened), out=sorted(out))


def require(model: NetworkModel, kind: str, index: int) -> None:
    """Refuse an element that is not in the network.

    Raises
    ------
    BadInputError
        Naming it.
    """
    if kind not in KINDS:
        raise BadInputError(f"{kind!r} {index}: a permit is for a line, trafo or bus")
    if kind == "bus":
        model.position(index)
    elif index not in getattr(model.equipment, kind).index:
        raise BadInputError(f"{kind} {index} is not in the network {model.source}")


def behind(model: NetworkModel, kind: str, index: int) -> Behind:
    """Return what stands behind an element as the network is switched.

    Raises
    ------
    BadInputError
        When there is no such element.
    """
    cut = without(model, [(kind, index)])
    dark = (cut.node < 0) & (model.node >= 0)
    if kind == "bus":
        dark[model.position(index)] = True
    ties = []
    left_open = set(model.equipment.switch.index[~model.switching.closed].tolist())
    for switch in sorted(left_open) if dark.any() else ():
        if _ends_at(cut, switch, kind, index):
            continue
        closed = cut.switched(closed=[switch])
        if (closed.node[dark] >= 0).any():
            ties.append(int(switch))
    return Behind(tuple(int(bus) for bus in model.bus[dark]), tuple(ties))


def live(model: NetworkModel, elements: Sequence[Element]) -> list[Element]:
    """Return those of `elements` that have voltage as the network is switched."""
    found = []
    for kind, index in elements:
        if kind == "bus":
            alive = bool(model.node[model.position(index)] >= 0)
        else:
            branches = getattr(model, kind)
            row = int(np.flatnonzero(branches.index == index)[0])
            alive = bool(max(branches.from_node[row], branches.to_node[row]) >= 0)
        if alive:
            found.append((kind, index))
    return found


def _ends_at(model: NetworkModel, switch: int, kind: str, index: int) -> bool:
    """Return whether a switch belongs to the element itself: closing it is no other way round."""
    table = model.equipment.switch
    row = int(np.flatnonzero(table.index == switch)[0])
    of = {"b": "bus", "l": "line", "t": "trafo"}[SWITCH_KINDS[int(table.kind[row])]]
    if kind == "bus":
        return bool(table.bus[row] == index or (of == "bus" and table.element[row] == index))
    return bool(of == kind and table.element[row] == index)
