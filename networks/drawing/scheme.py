"""What a drawing needs of a network: plain facts, from a model or as they were stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.equipment import SWITCH_KINDS, Equipment
from networks.model import NetworkModel

KINDS = ("trafo", "line", "switch")
"""Kinds of branches in a drawing; a ``switch`` joins two buses."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What joins two buses.

    Attributes
    ----------
    kind : str
        Of :data:`KINDS`.
    index : int
        In the source network.
    row : int
        In the branches of its kind.
    a, b : int
        Positions of its buses; `a` is the upper side of a transformer.
    on : bool
        In service, or a closed switch.
    open_at : tuple of (int, str)
        Open switches: 0 at `a` or 1 at `b`, and the switch's name.
    tap : tuple of int or None
        Position, lowest and highest of a tap changer.
    usual : bool
        Whether it joins its buses as the source has it switched. Where things stand in a drawing
        follows this, so that a drawing does not move when something is switched.
    """

    kind: str
    index: int
    row: int
    name: str
    a: int
    b: int
    on: bool = True
    open_at: tuple[tuple[int, str], ...] = ()
    tap: tuple[int, int, int] | None = None
    usual: bool = True

    @property
    def joins(self) -> bool:
        """Whether it joins its two buses now."""
        return self.on and not self.open_at

    @property
    def label(self) -> str:
        """How messages name it: ``line 12 'LV2.101 Line 3'``."""
        text = f"{self.kind} {self.index}"
        return f"{text} {self.name!r}" if self.name else text


@dataclass(frozen=True, slots=True)
class Scheme:
    """A network as it is drawn. Positions count from 0 in the order of `bus`.

    Attributes
    ----------
    bus : tuple of int
        Index in the source network.
    x, y : tuple of float
        Longitude and latitude when `geographic`.
    dead : tuple of bool
        Whether no source reaches a bus.
    head : tuple of int
        Positions of the buses that a source holds.
    forming : bool
        Whether that source is one that forms an island.
    branches : tuple of Branch
        Transformers, lines, then switches between buses.
    """

    source: str
    bus: tuple[int, ...]
    bus_name: tuple[str, ...]
    vn_kv: tuple[float, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    geographic: bool
    dead: tuple[bool, ...]
    head: tuple[int, ...]
    forming: bool
    branches: tuple[Branch, ...]

    def count(self, kind: str) -> int:
        """Return how many branches of a kind there are."""
        return sum(one.kind == kind for one in self.branches)

    def bus_label(self, position: int) -> str:
        """Return how messages name a bus: ``bus 25 'LV2.101 Bus 20'``."""
        name = self.bus_name[position]
        return f"bus {self.bus[position]} {name!r}" if name else f"bus {self.bus[position]}"


def scheme(model: NetworkModel) -> Scheme:
    """Return what a drawing needs of a network as it is switched now."""
    equipment = model.equipment
    return Scheme(
        source=model.source,
        bus=tuple(model.bus.tolist()),
        bus_name=model.bus_name,
        vn_kv=tuple(model.vn_kv.tolist()),
        x=tuple(equipment.x.tolist()),
        y=tuple(equipment.y.tolist()),
        geographic=equipment.geographic,
        dead=tuple((model.node < 0).tolist()),
        head=tuple(model.position(int(bus)) for bus in model.held_bus),
        forming=model.forming,
        branches=tuple(_branches(model)),
    )


def _open_ends(equipment: Equipment, closed: np.ndarray) -> dict[tuple[str, int], list[int]]:
    """Return rows of open switches by the branch that they are at."""
    found: dict[tuple[str, int], list[int]] = {}
    switch = equipment.switch
    kinds = {SWITCH_KINDS.index("l"): "line", SWITCH_KINDS.index("t"): "trafo"}
    for row in np.flatnonzero(~closed & (switch.kind != SWITCH_KINDS.index("b"))).tolist():
        key = kinds[int(switch.kind[row])], int(switch.element[row])
        found.setdefault(key, []).append(row)
    return found


def _branches(model: NetworkModel) -> list[Branch]:
    equipment, now, usual = model.equipment, model.switching, model.equipment.switching
    switch = equipment.switch
    open_now, open_usually = (_open_ends(equipment, one.closed) for one in (now, usual))
    made = []
    for kind, table, on, was_on in (
        ("trafo", equipment.trafo, now.trafo_on, usual.trafo_on),
        ("line", equipment.line, now.line_on, usual.line_on),
    ):
        for row, (index, name) in enumerate(zip(table.index.tolist(), table.name, strict=True)):
            key = kind, index
            ends = int(table.from_bus[row]), int(table.to_bus[row])
            made.append(
                Branch(
                    kind=kind,
                    index=index,
                    row=row,
                    name=name,
                    a=model.position(ends[0]),
                    b=model.position(ends[1]),
                    on=bool(on[row]),
                    open_at=tuple(
                        (int(switch.bus[k] != ends[0]), switch.name[k])
                        for k in open_now.get(key, ())
                    ),
                    tap=_tap(model, row) if kind == "trafo" else None,
                    usual=bool(was_on[row]) and key not in open_usually,
                )
            )
    joints = np.flatnonzero(switch.kind == SWITCH_KINDS.index("b")).tolist()
    for row, k in enumerate(joints):
        made.append(
            Branch(
                kind="switch",
                index=int(switch.index[k]),
                row=row,
                name=switch.name[k],
                a=model.position(int(switch.bus[k])),
                b=model.position(int(switch.element[k])),
                on=bool(now.closed[k]),
                usual=bool(usual.closed[k]),
            )
        )
    return made


def _tap(model: NetworkModel, row: int) -> tuple[int, int, int] | None:
    low, high = (int(getattr(model.equipment, name)[row]) for name in ("tap_lowest", "tap_highest"))
    return (int(model.switching.tap_position[row]), low, high) if high > low else None
