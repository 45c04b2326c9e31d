"""The compiled three-phase network: what an unbalanced power flow needs, as frozen arrays.

Lines and transformers are given by symmetrical-component data, so each is
symmetric in the phases and the three sequences are three networks of their own,
coupled only by what is connected to single phases. Voltages are phase to
neutral, neutral and earth being one conductor (earthed at every node), in per
unit of the nominal phase voltage; power is in per unit of `base_mva` a phase.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.errors import BadInputError, Finding
from networks.model import Complex, Float, Int
from networks.threephase.fortescue import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class SequenceBranches:
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
    yff, yft, ytf, ytt : complex128 (3, branch)
        Two-port admittances per unit of the zero, positive and negative
        sequence: ``i_from = yff v_from + yft v_to``.
    rated_from_ka, rated_to_ka : float64 (branch,)
        Current of a phase at 100 % loading, seen from either side.
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
class ThreePhaseModel:
    """An unbalanced feeder with one source, ready for batched power flow.

    Attributes
    ----------
    source : str
        Where it came from, as given to :func:`networks.threephase.source.load`.
    base_dir : Path or None
        Folder that a ``file:`` source is relative to.
    source_voltage_pu : float
        Positive-sequence voltage of the source.
    base_mva : float
        Power base of one phase.
    bus : int64 (bus,)
        Bus indices of the source network; every series follows this order.
    bus_name : tuple of str
    vn_kv : float64 (bus,)
        Nominal voltage between phases.
    node : int64 (bus,)
        Node of each bus, -1 where the bus is cut off from the feeder head.
    node_kv : float64 (node,)
        Base voltage of each node, between phases.
    y : three scipy.sparse.csr_array, complex128 (node, node)
        Bus admittances of the zero, positive and negative sequence, without the source.
    source_z_pu : complex128 (3,)
        Source impedance of each sequence; 0 where the source holds its voltage.
    short_circuit_z_pu : complex128
        Positive-sequence short-circuit impedance of the external grid.
    slack_bus, slack_node : int
        The feeder head (external grid).
    line, trafo : SequenceBranches
    nominal_wye, nominal_delta : float64 (4, bus, 3)
        What the source network's own loads and plants are rated for, in the
        order of :data:`networks.injection.INPUTS`, by phase and by phase pair.
    findings : tuple of Finding
        What was assumed where the source network is silent.
    """

    source: str
    base_dir: Path | None
    source_voltage_pu: float
    base_mva: float
    bus: Int
    bus_name: tuple[str, ...]
    vn_kv: Float
    node: Int
    node_kv: Float
    y: tuple[sp.csr_array[Any], sp.csr_array[Any], sp.csr_array[Any]]
    source_z_pu: Complex
    short_circuit_z_pu: complex
    slack_bus: int
    slack_node: int
    line: SequenceBranches
    trafo: SequenceBranches
    nominal_wye: Float
    nominal_delta: Float
    findings: tuple[Finding, ...] = ()
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

    def bus_label(self, position: int) -> str:
        """Return how a bus is named in messages: ``bus 25 'LV2.101 Bus 20'``."""
        name = self.bus_name[position]
        return f"bus {self.bus[position]} {name!r}" if name else f"bus {self.bus[position]}"

    def behind_impedance(self) -> ThreePhaseModel:
        """Return the same network fed through the source's short-circuit impedance.

        As compiled, the positive-sequence voltage is held at the feeder head,
        as pandapower does it; here it is held behind the impedance, which in the
        positive sequence is that of the negative.
        """
        z = self.source_z_pu.copy()
        z[POSITIVE] = z[NEGATIVE] = self.short_circuit_z_pu
        return replace(self, source_z_pu=z)

    def stiff(self) -> ThreePhaseModel:
        """Return the same network fed by a source without impedance in any sequence."""
        return replace(self, source_z_pu=self.source_z_pu * 0)
