"""A switching operation before it is done: the state before, the state after, and what to heed.

The order taken is the safe one: what opens opens first, what closes closes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding
from grid.site import Network
from networks.limits.findings import branch_namer, findings
from networks.model import NetworkModel
from networks.operating.cautions import cautions
from networks.operating.meshes import Meshes, meshes
from networks.operating.state import (
    Customers,
    Extreme,
    Injections,
    Supply,
    most_loaded,
    solved,
    supplies,
    voltage_extremes,
)
from networks.operating.strain import Broken, broken


@dataclass(frozen=True, slots=True)
class Change:
    """What is switched; see :meth:`networks.model.NetworkModel.switched`."""

    opened: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    out: tuple[tuple[str, int], ...] = ()
    back: tuple[tuple[str, int], ...] = ()
    taps: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state in a few numbers; of several intervals the worst.

    Attributes
    ----------
    lowest, highest : Extreme or None
        Voltage per unit; None where nothing is alive.
    loaded : Extreme or None
        Highest loading in percent.
    losses_kw, head_import_kw, head_export_kw : float
    unserved_kw : float
    broken : tuple of Broken
    meshes : Meshes
    model : NetworkModel
    state : xarray.Dataset
        The power flow.
    """

    lowest: Extreme | None
    highest: Extreme | None
    loaded: Extreme | None
    losses_kw: float
    head_import_kw: float
    head_export_kw: float
    unserved_kw: float
    broken: tuple[Broken, ...]
    meshes: Meshes
    model: NetworkModel
    state: xr.Dataset

    @property
    def dead(self) -> frozenset[str]:
        """Names of the buses and branches that no source reaches."""
        model = self.model
        names = {model.bus_label(int(row)) for row in np.flatnonzero(model.node < 0)}
        for table in ("line", "trafo"):
            name_of = branch_namer(model, table)
            off = np.flatnonzero(getattr(model, table).from_node < 0)
            names |= {name_of(int(row)) for row in off}
        return frozenset(names)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A network before and after a change.

    Attributes
    ----------
    change : Change
    before, after : Snapshot
    lost, regained : tuple of Supply
        Buses with load that lose or regain supply.
    interrupted : tuple of Supply
        Buses that are dead between opening and closing and fed before and after.
    plants_lost_kw : float
        What is injected at the buses that lose supply.
    new, gone : tuple of Finding
        Of :func:`networks.limits.findings.findings`; what became dead is not `gone`.
    looped_line, looped_trafo : tuple of int
        Branches that lie on a loop after and not before.
    warnings : tuple of Finding
        What to heed before it is done.
    """

    change: Change
    before: Snapshot
    after: Snapshot
    lost: tuple[Supply, ...]
    regained: tuple[Supply, ...]
    interrupted: tuple[Supply, ...]
    plants_lost_kw: float
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    looped_line: tuple[int, ...]
    looped_trafo: tuple[int, ...]
    warnings: tuple[Finding, ...]


def compare(
    model: NetworkModel,
    drawn: Injections,
    network: Network,
    change: Change,
    *,
    customers: Customers | None = None,
    types: Mapping[int, str] | None = None,
) -> Comparison:
    """Return what a change does.

    Parameters
    ----------
    drawn : Injections
    network : grid.site.Network
        The limits.
    customers : mapping of int to sequence of str, optional
        Who is connected at a bus.
    types : mapping of int to str, optional
        Kinds of switches: CB, LS and LBS break load current, DS does not; see
        :func:`networks.operating.terminals.switch_types`.

    Raises
    ------
    BadInputError
        Naming what is not there, what is ordered twice, or two sources of different voltage that
        the change would join at one node.
    SolverError
        When the state before or after has no solution.
    """
    _refuse_twice(change)
    between = model.switched(opened=change.opened, out=change.out)
    later = between.switched(closed=change.closed, back=change.back, taps=change.taps)
    before, after = snapshot(model, drawn, network), snapshot(later, drawn, network)
    midway = solved(between, drawn)
    load_kw = drawn.absorbed_kw
    was, stays, will = model.node >= 0, between.node >= 0, later.node >= 0
    found = [set(findings(one.state, one.model, network)) for one in (before, after)]
    known = [{(one.code, one.subject, _dead(one)) for one in some} for some in found]
    heed = cautions(
        (model, between, later),
        (before.state, midway, after.state),
        drawn,
        change.opened,
        change.closed,
        types=types or {},
        interrupting=bool((was & will & ~stays).any()),
    )
    return Comparison(
        change=change,
        before=before,
        after=after,
        lost=supplies(model, load_kw, was & ~will, customers),
        regained=supplies(model, load_kw, will & ~was, customers),
        interrupted=supplies(model, load_kw, was & will & ~stays, customers),
        plants_lost_kw=float(drawn.injected_kw[was & ~will].sum()),
        new=tuple(one for one in sorted(found[1]) if _key(one) not in known[0]),
        gone=tuple(
            one
            for one in sorted(found[0])
            if _key(one) not in known[1] and one.subject not in after.dead
        ),
        looped_line=_added(before.meshes.line, after.meshes.line),
        looped_trafo=_added(before.meshes.trafo, after.meshes.trafo),
        warnings=tuple(heed),
    )


def snapshot(model: NetworkModel, drawn: Injections, network: Network) -> Snapshot:
    """Return the state of a network in a few numbers.

    Raises
    ------
    SolverError
        When there is no solution.
    """
    state = solved(model, drawn)
    lowest, highest = voltage_extremes(model, state)
    return Snapshot(
        lowest=lowest,
        highest=highest,
        loaded=most_loaded(model, state),
        losses_kw=float(state["losses_kw"].max()),
        head_import_kw=float(state["head_import_kw"].max()),
        head_export_kw=float(state["head_export_kw"].max()),
        unserved_kw=float(state["unserved_kw"].max()),
        broken=broken(model, state, network),
        meshes=meshes(model),
        model=model,
        state=state,
    )


def _refuse_twice(change: Change) -> None:
    both = [f"switch {index}" for index in sorted({*change.opened} & {*change.closed})]
    both += [f"{table} {index}" for table, index in sorted({*change.out} & {*change.back})]
    if both:
        raise BadInputError(f"{both[0]}: ordered both ways, must be one")


def _dead(finding: Finding) -> str:
    """Return what tells two findings of one subject apart: which buses are dead."""
    return finding.message if finding.code == "network.dead_bus" else ""


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.subject, _dead(finding)


def _added(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(after) - set(before)))
