"""A network as it is switched and fed: what a power flow needs, as frozen arrays.

A *node* is an electrical point after closed switches have fused buses. Several buses may share
a node; a bus that no source reaches has none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grid.errors import BadInputError
from networks.equipment import Bool, Branches, Complex, Equipment, Float, Int, Switching

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Bool", "Branches", "Complex", "Float", "Int", "NetworkModel"]

FORMING_VOLTAGE_PU = 1.0
"""What a source that forms an island holds at its bus."""


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A network ready for batched power flow.

    Attributes
    ----------
    equipment : Equipment
    switching : Switching
    fed_bus : int64 (feed,)
        Buses with a source: the external grids, or what forms an island.
    fed_pu : complex128 (feed,)
        The voltages that they hold.
    held_bus : int64 (source,)
        Of those in service, the first at each node.
    held_node : int64 (source,)
    held_pu : complex128 (source,)
    forming : bool
        Whether the public network is away and the only source is one that forms an island.
    node : int64 (bus,)
        Node of each bus, -1 where no source reaches it.
    node_kv : float64 (node,)
        Base voltage of each node.
    ybus : scipy.sparse.csr_array, complex128 (node, node)
    lv_bus : int
        Low-voltage busbar of the transformer at the feeder head, or `slack_bus`.
    line, trafo : Branches
        Connected.
    """

    equipment: Equipment
    switching: Switching
    fed_bus: Int
    fed_pu: Complex
    held_bus: Int
    held_node: Int
    held_pu: Complex
    forming: bool
    node: Int
    node_kv: Float
    ybus: sp.csr_array[np.complex128]
    lv_bus: int
    line: Branches
    trafo: Branches
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def source(self) -> str:
        """Where the network came from."""
        return self.equipment.source

    @property
    def base_dir(self) -> Path | None:
        """Folder that a ``file:`` source is relative to."""
        return self.equipment.base_dir

    @property
    def base_mva(self) -> float:
        """Base power."""
        return self.equipment.base_mva

    @property
    def bus(self) -> Int:
        """Bus indices of the source network, (bus,)."""
        return self.equipment.bus

    @property
    def bus_name(self) -> tuple[str, ...]:
        """Names of the buses."""
        return self.equipment.bus_name

    @property
    def vn_kv(self) -> Float:
        """Nominal voltage of each bus, (bus,)."""
        return self.equipment.vn_kv

    @property
    def slack_bus(self) -> int:
        """The first source: the feeder head, or what forms the island."""
        return int(self.held_bus[0])

    @property
    def source_voltage_pu(self) -> float:
        """Voltage held at `slack_bus`."""
        return float(abs(self.held_pu[0]))

    @cached_property
    def positions(self) -> dict[int, int]:
        """Position of each bus index in the ``bus`` dimension."""
        return {int(bus): position for position, bus in enumerate(self.bus)}

    def position(self, bus: int) -> int:
        """Return the position of a bus of the source network.

        Raises
        ------
        BadInputError
            When the network has no such bus.
        """
        try:
            return self.positions[int(bus)]
        except KeyError as error:
            raise BadInputError(f"bus {bus} is not in the network {self.source}") from error

    def currents(self, voltage: Complex) -> Complex:
        """Return the current into each node (node, ...) at the given node voltages, per unit."""
        return np.asarray(self.ybus @ voltage, dtype=np.complex128)

    def bus_label(self, position: int) -> str:
        """Return how a bus is named in messages: ``bus 25 'LV2.101 Bus 20'``."""
        name = self.bus_name[position]
        return f"bus {self.bus[position]} {name!r}" if name else f"bus {self.bus[position]}"

    def switched(
        self,
        *,
        opened: Iterable[int] = (),
        closed: Iterable[int] = (),
        out: Iterable[tuple[str, int]] = (),
        back: Iterable[tuple[str, int]] = (),
        taps: Mapping[int, int] | None = None,
    ) -> NetworkModel:
        """Return the network switched otherwise; see :func:`networks.topology.switched`."""
        from networks import topology

        return topology.switched(
            self, opened=opened, closed=closed, out=out, back=back, taps=taps or {}
        )

    def islanded(self, bus: int) -> NetworkModel:
        """Return the network without its external grids, `bus` held at 1 pu; kept.

        Raises
        ------
        BadInputError
            When a forming source at `bus` is cut off from the feeder, or `bus` is unknown.
        """
        known: NetworkModel | None = self.kept.get(f"island {bus}")
        if known is None:
            from networks import topology

            if self.node[self.position(bus)] < 0:
                name = self.bus_label(self.position(bus))
                raise BadInputError(f"{name}: a forming source here is cut off from the feeder")
            known = self.kept[f"island {bus}"] = topology.island(self, bus)
        return known

    @cached_property
    def topology_hash(self) -> bytes:
        """SHA-256 over buses, branches, admittances, ratings and held voltages.

        Admittances enter with 9 significant digits, so that the last bits of a
        numerical library do not change the hash.
        """
        digest = hashlib.sha256(b"khazri network 2\0")

        def text(*items: object) -> None:
            digest.update(("\x1f".join(map(str, items)) + "\x1e").encode())

        def numbers(values: Float) -> None:
            text(*(f"{value:.9g}" for value in values + 0.0))

        text(f"{self.base_mva:.9g}", *self.held_bus.tolist())
        numbers(self.held_pu.real)
        numbers(self.held_pu.imag)
        text(*self.bus.tolist())
        text(*self.bus_name)
        text(*self.node.tolist())
        numbers(self.vn_kv)
        coo = self.ybus.tocoo()
        order = np.lexsort((coo.col, coo.row))
        text(*coo.row[order].tolist())
        text(*coo.col[order].tolist())
        numbers(coo.data.real[order])
        numbers(coo.data.imag[order])
        for table in (self.line, self.trafo):
            text(*table.index.tolist())
            text(*table.name)
            text(*table.from_bus.tolist(), *table.to_bus.tolist())
            text(*table.from_node.tolist(), *table.to_node.tolist())
            numbers(table.rated_from_ka)
            numbers(table.rated_to_ka)
        return digest.digest()

    def pandapower_net(self) -> Any:
        """Return a fresh pandapower net of the same source, switched and fed as this is.

        It is the judge's own model. Its loads and plants are the source network's; taps act.
        """
        from networks.sources.compile import switched_net

        return switched_net(self)
