"""A switching operation before it is done: the state before, the state after, and what to heed.

The order taken is the safe one: what opens opens first, what closes closes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from grid.site import Network
from networks.limits.findings import findings
from networks.model import Bool, NetworkModel
from networks.operating.meshes import Meshes, meshes, source_groups
from networks.operating.state import (
    Broken,
    Customers,
    Extreme,
    Injections,
    Supply,
    broken,
    most_loaded,
    solved,
    supplies,
    voltage_extremes,
)
from networks.operating.terminals import (
    DISCONNECTOR,
    Across,
    across,
    current_a,
    switch_label,
)

SYNCHRONISM_PERCENT = 3.0
SYNCHRONISM_DEGREE = 10.0
"""IEEE 1547-2018, 4.10.4, for plants above 1.5 MVA: the strictest row of its table."""
NEGLIGIBLE_A = 0.5
"""What a disconnector may make and break (IEC 62271-102, up to 420 kV)."""


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
        Of :func:`networks.limits.findings.findings`.
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
    warnings = (
        _paralleled(model, later)
        + _asynchronous(between, midway, change)
        + _interrupting(before, after, drawn, change, types or {})
        + _closing_first(before, was & will & ~stays, change)
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
        gone=tuple(one for one in sorted(found[0]) if _key(one) not in known[1]),
        looped_line=_added(before.meshes.line, after.meshes.line),
        looped_trafo=_added(before.meshes.trafo, after.meshes.trafo),
        warnings=tuple(sorted(warnings)),
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


def _warning(code: str, subject: str, message: str) -> Finding:
    return Finding(f"network.{code}", subject, "", Severity.WARNING, f"{subject}: {message}")


def _paralleled(model: NetworkModel, later: NetworkModel) -> list[Finding]:
    """Warn of sources that were apart and will feed one network."""
    before = source_groups(model)
    held = dict(zip(later.held_bus.tolist(), later.held_pu.tolist(), strict=True))
    found = []
    for group in source_groups(later):
        if len(group) < 2 or any(set(group) <= set(one) for one in before):
            continue
        first = held[group[0]]
        gap = max(100.0 * abs(abs(held[bus]) - abs(first)) for bus in group)
        angle = max(abs(float(np.degrees(np.angle(held[bus] / first)))) for bus in group)
        subject = "sources at bus " + ", ".join(map(str, group))
        text = f"will feed one network, {gap:.1f} % and {angle:.1f} degrees apart"
        found.append(_warning("parallel_sources", subject, text))
    return found


def _makes(between: NetworkModel, midway: xr.Dataset, change: Change) -> list[Across]:
    return [across(between, midway, index) for index in change.closed]


def _asynchronous(between: NetworkModel, midway: xr.Dataset, change: Change) -> list[Finding]:
    """Warn of switches that would close onto a difference of voltage."""
    found = []
    for one in _makes(between, midway, change):
        if _synchronous(one):
            continue
        text = (
            f"closes across {one.difference_percent:.1f} % and {one.angle_degree:.1f} degrees, "
            f"at most {SYNCHRONISM_PERCENT:g} % and {SYNCHRONISM_DEGREE:g} degrees"
        )
        found.append(_warning("asynchronous", switch_label(between, one.switch), text))
    return found


def _synchronous(one: Across) -> bool:
    return one.difference_percent <= SYNCHRONISM_PERCENT and one.angle_degree <= SYNCHRONISM_DEGREE


def _interrupting(
    before: Snapshot,
    after: Snapshot,
    drawn: Injections,
    change: Change,
    types: Mapping[int, str],
) -> list[Finding]:
    """Warn of disconnectors that would make or break load current."""
    found = []
    for verb, side, indices in (
        ("breaks", before, change.opened),
        ("makes", after, change.closed),
    ):
        for index in indices:
            if types.get(index) != DISCONNECTOR:
                continue
            amount = current_a(side.model, side.state, drawn, index)
            if amount <= NEGLIGIBLE_A:
                continue
            told = "a current" if np.isnan(amount) else f"{amount:.1f} A"
            text = f"is a disconnector and {verb} {told}, at most {NEGLIGIBLE_A:g} A"
            found.append(_warning("no_load_break", switch_label(side.model, index), text))
    return found


def _closing_first(before: Snapshot, interrupted: Bool, change: Change) -> list[Finding]:
    """Say when closing before opening would interrupt nobody."""
    if not interrupted.any() or not change.closed:
        return []
    if not all(_both_live(before, index) for index in change.closed):
        return []
    label = ", ".join(switch_label(before.model, index) for index in change.closed)
    return [
        Finding(
            "network.close_first",
            label,
            "",
            Severity.INFO,
            f"{label}: may close before the rest opens, then nobody is interrupted",
        )
    ]


def _both_live(before: Snapshot, index: int) -> bool:
    one = across(before.model, before.state, index)
    return one.live == 2 and _synchronous(one)
