"""N-1: every line, transformer and source out in turn, and which tie could feed back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grid.errors import SolverError
from grid.site import Network
from networks.equipment import SWITCH_KINDS
from networks.limits.findings import branch_namer
from networks.model import Bool, Int, NetworkModel
from networks.operating.state import Customers, Injections, Supply, solved, supplies
from networks.operating.strain import Broken, broken, severity, strain
from networks.operating.terminals import end_joined, switch_label
from networks.topology import connect

_NOT_WORSE = 1e-6


@dataclass(frozen=True, slots=True)
class BackFeed:
    """An open switch whose closing restores supply after an outage.

    Attributes
    ----------
    switch : int
    name : str
    restored_kw : float
    unserved_kw : float
        What is still not served.
    broken : tuple of Broken
        Limits that are broken only then, or worse than in the whole network.
    solved : bool
        Whether the power flow has a solution.
    """

    switch: int
    name: str
    restored_kw: float
    unserved_kw: float
    broken: tuple[Broken, ...]
    solved: bool

    @property
    def within_limits(self) -> bool:
        """Whether it may be closed."""
        return self.solved and not self.broken


@dataclass(frozen=True, slots=True)
class Outage:
    """One element out of service; of several intervals the worst.

    Attributes
    ----------
    table : str
        ``line``, ``trafo`` or ``source``.
    index : int
        Of a source its bus.
    name : str
    dead : tuple of int
        Buses that are dead, and not so in the whole network.
    unserved : tuple of Supply
    unserved_kw : float
        Before anything is switched.
    broken : tuple of Broken
        Limits that are broken only then, or worse than in the whole network.
    severity : float
        Sum of their excesses; infinite without a solution.
    solved : bool
        False where the power flow of what is still fed has no solution: voltage collapses.
    backfeed : BackFeed or None
        The tie that restores most within limits.
    refused : BackFeed or None
        The tie that would restore more and may not.
    """

    table: str
    index: int
    name: str
    dead: tuple[int, ...]
    unserved: tuple[Supply, ...]
    unserved_kw: float
    broken: tuple[Broken, ...]
    severity: float
    solved: bool
    backfeed: BackFeed | None = None
    refused: BackFeed | None = None


@dataclass(frozen=True, slots=True)
class Contingencies:
    """The whole network's broken limits, and every outage: most unserved first, then severity."""

    base: tuple[Broken, ...]
    outages: tuple[Outage, ...]


def contingencies(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    *,
    customers: Customers | None = None,
    ties: Sequence[int] | None = None,
) -> Contingencies:
    """Return what every single outage does.

    Parameters
    ----------
    drawn : Injections
        One interval, or several of which the worst is told.
    network : grid.site.Network
        The limits.
    customers : mapping of int to sequence of str, optional
        Who is connected at a bus.
    ties : sequence of int, optional
        Open switches that may feed back; all that are open when not given.

    Raises
    ------
    BadInputError
        A value that is not finite or below 0, naming its bus and interval.
    SolverError
        When the whole network has no solution.
    """
    base = broken(model, solved(model, drawn), network)
    switch = model.equipment.switch
    may = switch.index[~model.switching.closed] if ties is None else np.asarray(ties, np.int64)
    made = []
    for table, index, name, part in _single_outages(model):
        one = _outage(model, part, (table, index, name), drawn, network, base, customers)
        if part is not None and one.unserved_kw > 0.0:
            alive = model.node >= 0
            best, refused = _back_fed(part, alive, drawn, network, base, may)
            one = replace(one, backfeed=best, refused=refused)
        made.append(one)
    order = {"source": 0, "trafo": 1, "line": 2}
    made.sort(key=lambda one: (-one.unserved_kw, -one.severity, order[one.table], one.index))
    return Contingencies(base, tuple(made))


def _single_outages(
    model: NetworkModel,
) -> Iterator[tuple[str, int, str, NetworkModel | None]]:
    """Yield (table, index, name, network without it) of what carries current; None: all dead."""
    for table in ("line", "trafo"):
        branches = getattr(model, table)
        name_of = branch_namer(model, table)
        for row in np.flatnonzero(branches.from_node >= 0):
            index = int(branches.index[row])
            yield table, index, name_of(int(row)), model.switched(out=[(table, index)])
    for number, bus in enumerate(model.fed_bus.tolist()):
        name = f"source at {model.bus_label(model.position(bus))}"
        left = np.arange(len(model.fed_bus)) != number
        part = None
        if left.any():
            part = connect(
                model.equipment,
                model.switching,
                held_bus=model.fed_bus[left],
                held_pu=model.fed_pu[left],
                forming=model.forming,
            )
        yield "source", bus, name, part


def _outage(
    model: NetworkModel,
    part: NetworkModel | None,
    called: tuple[str, int, str],
    drawn: Injections,
    network: Network,
    base: tuple[Broken, ...],
    customers: Customers | None,
) -> Outage:
    alive = model.node >= 0
    left = np.zeros_like(alive) if part is None else part.node >= 0
    lost = alive & ~left
    limits, has_solution = _limits(part, drawn, network, base)
    without = supplies(model, drawn.absorbed_kw, lost, customers)
    return Outage(
        *called,
        dead=tuple(model.bus[lost].tolist()),
        unserved=without,
        unserved_kw=_kw(drawn, lost),
        broken=limits,
        severity=severity(limits) if has_solution else float("inf"),
        solved=has_solution,
    )


def _kw(drawn: Injections, chosen: Bool) -> float:
    """Return the load of chosen buses in the interval in which together it is highest."""
    return float(drawn.inputs[0][:, chosen].sum(axis=1).max())


def _limits(
    part: NetworkModel | None, drawn: Injections, network: Network, base: tuple[Broken, ...]
) -> tuple[tuple[Broken, ...], bool]:
    """Return (limits broken beyond those of the whole network, whether there is a solution)."""
    if part is None:
        return (), True
    try:
        under = strain(part, drawn)
    except SolverError:
        return (), False
    known = {(one.kind, one.subject): one.excess for one in base}
    worse = tuple(
        one
        for one in broken(part, under, network)
        if one.excess > known.get((one.kind, one.subject), 0.0) + _NOT_WORSE
    )
    return worse, True


def _back_fed(
    part: NetworkModel,
    alive: Bool,
    drawn: Injections,
    network: Network,
    base: tuple[Broken, ...],
    ties: Sequence[int] | Int,
) -> tuple[BackFeed | None, BackFeed | None]:
    """Return (the tie that restores most within limits, one that would restore more)."""
    tried = []
    for index in ties:
        if not _joins_dead_to_alive(part, int(index)):
            continue
        fed = part.switched(closed=[int(index)])
        restored_kw = _kw(drawn, (part.node < 0) & (fed.node >= 0))
        if restored_kw <= 0.0:
            continue
        limits, has_solution = _limits(fed, drawn, network, base)
        left_kw = _kw(drawn, (fed.node < 0) & alive)
        name = switch_label(part, int(index))
        tried.append(BackFeed(int(index), name, restored_kw, left_kw, limits, has_solution))
    tried.sort(key=lambda one: (-one.restored_kw, severity(one.broken), one.switch))
    best = next((one for one in tried if one.within_limits), None)
    refused = next((one for one in tried if not one.within_limits), None)
    if refused is not None and best is not None and refused.restored_kw <= best.restored_kw:
        refused = None
    return best, refused


def _joins_dead_to_alive(part: NetworkModel, index: int) -> bool:
    row = int(np.flatnonzero(part.equipment.switch.index == index)[0])
    switch = part.equipment.switch
    here = int(switch.bus[row])
    kind = SWITCH_KINDS[int(switch.kind[row])]
    if kind == "b":
        there = int(switch.element[row])
    else:
        table = "line" if kind == "l" else "trafo"
        branches = getattr(part.equipment, table)
        branch = int(np.flatnonzero(branches.index == switch.element[row])[0])
        far = branches.to_bus if branches.from_bus[branch] == here else branches.from_bus
        if not end_joined(part, table, branch, far):
            return False
        there = int(far[branch])
    fed = [part.node[part.position(bus)] >= 0 for bus in (here, there)]
    return bool(fed[0] != fed[1])
