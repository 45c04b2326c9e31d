"""What to heed at the switches themselves: sources, synchronism, load current, the order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from grid.errors import Finding, Severity
from networks.model import NetworkModel
from networks.operating.meshes import source_groups
from networks.operating.state import Injections
from networks.operating.terminals import DISCONNECTOR, Across, across, current_a, switch_label

SYNCHRONISM_PERCENT = 3.0
SYNCHRONISM_DEGREE = 10.0
"""IEEE 1547-2018, 4.10.4, for plants above 1.5 MVA: the strictest row of its table."""
NEGLIGIBLE_A = 0.5
"""What a disconnector may make and break (IEC 62271-102, up to 420 kV)."""


def cautions(
    models: tuple[NetworkModel, NetworkModel, NetworkModel],
    states: tuple[xr.Dataset, xr.Dataset, xr.Dataset],
    drawn: Injections,
    opened: tuple[int, ...],
    closed: tuple[int, ...],
    *,
    types: Mapping[int, str],
    interrupting: bool,
) -> list[Finding]:
    """Return what to heed of an operation, sorted.

    Parameters
    ----------
    models, states : three each
        Before, with everything open that opens, after.
    opened, closed : tuple of int
        Switches by index.
    types : mapping of int to str
        Kinds of switches.
    interrupting : bool
        Whether somebody is fed before and after and not between.
    """
    before, between, after = zip(models, states, strict=True)
    found = _paralleled(before[0], after[0])
    found += _asynchronous(*between, closed)
    found += _interrupting((before, after), drawn, (opened, closed), types)
    if interrupting:
        found += _closing_first(*before, closed)
    return sorted(found)


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


def _asynchronous(
    between: NetworkModel, midway: xr.Dataset, closed: tuple[int, ...]
) -> list[Finding]:
    """Warn of switches that would close onto a difference of voltage."""
    found = []
    for one in (across(between, midway, index) for index in closed):
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
    sides: tuple[tuple[NetworkModel, xr.Dataset], ...],
    drawn: Injections,
    ordered: tuple[tuple[int, ...], ...],
    types: Mapping[int, str],
) -> list[Finding]:
    """Warn of disconnectors that would break load current before, or make it after."""
    found = []
    for verb, (model, state), indices in zip(("breaks", "makes"), sides, ordered, strict=True):
        for index in indices:
            if types.get(index) != DISCONNECTOR:
                continue
            amount = current_a(model, state, drawn, index)
            if amount <= NEGLIGIBLE_A:
                continue
            told = "a current" if np.isnan(amount) else f"{amount:.1f} A"
            text = f"is a disconnector and {verb} {told}, at most {NEGLIGIBLE_A:g} A"
            found.append(_warning("no_load_break", switch_label(model, index), text))
    return found


def _closing_first(
    model: NetworkModel, before: xr.Dataset, closed: tuple[int, ...]
) -> list[Finding]:
    """Say when closing before opening would interrupt nobody."""
    sides = [across(model, before, index) for index in closed]
    if not sides or not all(one.live == 2 and _synchronous(one) for one in sides):
        return []
    label = ", ".join(switch_label(model, index) for index in closed)
    text = f"{label}: may close before the rest opens, then nobody is interrupted"
    return [Finding("network.close_first", label, "", Severity.INFO, text)]
