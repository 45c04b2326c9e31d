"""What stands in a network, however it is switched: frozen arrays, compiled once.

Voltages and admittances are per unit. A *bus* is a bus of the source network and is named by
its index there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

SWITCH_KINDS = ("b", "l", "t")
"""What a switch joins its bus to: a bus, a line or a transformer."""


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
        Nodes, -1 where the branch carries no current; all -1 until the network is connected.
        A branch that is open at one end has its other end's node at both.
    yff, yft, ytf, ytt : complex128 (branch,)
        Two-port admittances per unit: ``i_from = yff v_from + yft v_to``. Those of a branch that
        is open at one end are what the other end sees of it.
    rated_from_ka, rated_to_ka : float64 (branch,)
        Current at 100 % loading, seen from either side.
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

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Switches:
    """Switches, one row each.

    Attributes
    ----------
    index : int64 (switch,)
    name : tuple of str
    bus : int64 (switch,)
    element : int64 (switch,)
        Index of the other bus, the line or the transformer.
    kind : int64 (switch,)
        Position in :data:`SWITCH_KINDS`.
    type : tuple of str
        What it can break, in pandapower's words (CB, LBS, LS, DS); empty where not told.
    """

    index: Int
    name: tuple[str, ...]
    bus: Int
    element: Int
    kind: Int
    type: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Switching:
    """How everything that can be switched stands.

    Attributes
    ----------
    closed : bool (switch,)
    line_on, trafo_on : bool (branch,)
        Whether a line or transformer is in service.
    tap_position : int64 (trafo,)
    """

    closed: Bool
    line_on: Bool
    trafo_on: Bool
    tap_position: Int


@dataclass(frozen=True, eq=False)
class Equipment:
    """A network's equipment, and how its source says that it is switched.

    Attributes
    ----------
    source : str
        Where it came from, as given to :func:`networks.sources.source.load`.
    base_dir : Path or None
        Folder that a ``file:`` source is relative to.
    base_mva : float
    bus : int64 (bus,)
        Bus indices of the source network; every series follows this order.
    bus_name : tuple of str
    vn_kv : float64 (bus,)
    bus_on : bool (bus,)
        Whether a bus is in service.
    x, y : float64 (bus,)
        Longitude and latitude when `geographic`, else a laid-out tree in [0, 1].
    geographic : bool
    shunt : complex128 (bus,)
        Admittance to earth, per unit.
    line, trafo : Branches
        Not connected yet; a transformer at its source's tap position.
    switch : Switches
    switching : Switching
        As the source has it.
    tap_lowest, tap_highest : int64 (trafo,)
        Range of its tap changer; equal where there is none.
    tap_two_port : complex128 (position, trafo, 4)
        `yff`, `yft`, `ytf`, `ytt` from the lowest position on; NaN beyond the highest.
    head_bus : int64 (head,)
        Buses of the external grids in service.
    head_pu : complex128 (head,)
        Voltages that they hold; the first has angle 0.
    nominal_absorbed_kw, nominal_injected_kw : float64 (bus,)
        What the source network's own loads and plants are rated for.
    nominal_absorbed_kvar, nominal_injected_kvar : float64 (bus,)
    voltage_share : float64 (bus, 4)
        Of the nominal load: constant-impedance and constant-current share of active, then of
        reactive power, 0 to 1.
    """

    source: str
    base_dir: Path | None
    base_mva: float
    bus: Int
    bus_name: tuple[str, ...]
    vn_kv: Float
    bus_on: Bool
    x: Float
    y: Float
    geographic: bool
    shunt: Complex
    line: Branches
    trafo: Branches
    switch: Switches
    switching: Switching
    tap_lowest: Int
    tap_highest: Int
    tap_two_port: Complex
    head_bus: Int
    head_pu: Complex
    nominal_absorbed_kw: Float
    nominal_injected_kw: Float
    nominal_absorbed_kvar: Float
    nominal_injected_kvar: Float
    voltage_share: Float
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
