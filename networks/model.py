"""The compiled network: what a power flow needs, as frozen arrays.

Voltages and admittances are per unit. A *bus* is a bus of the source network
and is named by its index there; a *node* is an electrical point after closed
switches have fused buses. Several buses may share a node, and a node behind an
open line switch has no bus.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError

if TYPE_CHECKING:
    import scipy.sparse as sp

Float = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Branches:
    """Lines or transformers, one row each; the from side of a transformer is its HV side.

    Attributes
    ----------
    index : int64 (branch,)
        Index in the source network.
    name : tuple of str
    from_bus, to_bus : int64 (branch,)
        Bus indices of the source network.
    from_node, to_node : int64 (branch,)
        Nodes, -1 where the branch carries no current (out of service or dead).
    yff, yft, ytf, ytt : complex128 (branch,)
        Two-port admittances per unit: ``i_from = yff v_from + yft v_to``.
    rated_from_ka, rated_to_ka : float64 (branch,)
        Current at 100 % loading, seen from either side.
    r_pu, x_pu : float64 (branch,)
        Series impedance on the model's base.
    """

    index: Int
    name: tuple[str, ...]
    from_bus: Int
    to_bus: Int
    from_node: Int
    to_node: Int
    yff: Complex
    yft: Complex
    ytf: Complex
    ytt: Complex
    rated_from_ka: Float
    rated_to_ka: Float
    r_pu: Float
    x_pu: Float

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A feeder with one source, ready for batched power flow.

    Attributes
    ----------
    source : str
        Where it came from, as given to :func:`networks.sources.source.load`.
    base_dir : Path or None
        Folder that a ``file:`` source is relative to.
    source_voltage_pu : float
        Voltage held at the feeder head.
    base_mva : float
    bus : int64 (bus,)
        Bus indices of the source network; every series follows this order.
    bus_name : tuple of str
    vn_kv : float64 (bus,)
    x, y : float64 (bus,)
        Longitude and latitude when `geographic`, else a laid-out tree in [0, 1].
    geographic : bool
    node : int64 (bus,)
        Node of each bus, -1 where the bus is cut off from the feeder head.
    node_kv : float64 (node,)
        Base voltage of each node.
    ybus : scipy.sparse.csr_array, complex128 (node, node)
    slack_bus, slack_node : int
        The feeder head (external grid).
    lv_bus : int
        Low-voltage busbar of the transformer at the feeder head, or `slack_bus`.
    line, trafo : Branches
    nominal_absorbed_kw, nominal_injected_kw : float64 (bus,)
        What the source network's own loads and plants are rated for.
    nominal_absorbed_kvar, nominal_injected_kvar : float64 (bus,)
    """

    source: str
    base_dir: Path | None
    source_voltage_pu: float
    base_mva: float
    bus: Int
    bus_name: tuple[str, ...]
    vn_kv: Float
    x: Float
    y: Float
    geographic: bool
    node: Int
    node_kv: Float
    ybus: sp.csr_array[np.complex128]
    slack_bus: int
    slack_node: int
    lv_bus: int
    line: Branches
    trafo: Branches
    nominal_absorbed_kw: Float
    nominal_injected_kw: Float
    nominal_absorbed_kvar: Float
    nominal_injected_kvar: Float
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

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

    @cached_property
    def topology_hash(self) -> bytes:
        """SHA-256 over buses, branches, admittances, ratings and source voltage.

        Admittances enter with 9 significant digits, so that the last bits of a
        numerical library do not change the hash.
        """
        digest = hashlib.sha256(b"khazri network 1\0")

        def text(*items: object) -> None:
            digest.update(("\x1f".join(map(str, items)) + "\x1e").encode())

        def numbers(values: Float) -> None:
            text(*(f"{value:.9g}" for value in values + 0.0))

        text(f"{self.source_voltage_pu:.9g}", f"{self.base_mva:.9g}", self.slack_bus)
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
            numbers(table.rated_from_ka)
            numbers(table.rated_to_ka)
        return digest.digest()

    def pandapower_net(self) -> Any:
        """Return a fresh pandapower net of the same source: the judge's own model.

        Its loads and plants are the source network's; taps act and the source
        voltage is set.
        """
        from networks.sources.source import read_net

        net = read_net(self.source, base_dir=self.base_dir)
        net.ext_grid["vm_pu"] = self.source_voltage_pu
        return net
