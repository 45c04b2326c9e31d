"""Flexibility events in a plan: limits with a margin, their price, and what cannot be kept.

An accepted event is promised: a plan keeps it at whatever its devices cost, but sheds no load for
it and spends no energy that critical load may need. It stays below the limit by what the forecast
may miss: the distance of its upper quantile of load and its lower one of sun and wind from their
means, as if these were independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import PlanInput, per_kwh
from grid import interval
from grid.errors import Finding, Severity
from grid.operation.plan_inputs import HEAD_SHARE
from grid.store import Transaction, events
from grid.store.events import HELD, Event

Floats = npt.NDArray[np.float64]

PENALTY_PER_KWH: Final = 50.0
"""Currency, above any fuel in use and below what a reserve is worth."""

SHED_SHARE: Final = 0.9
"""Share of the cheapest shedding that the limit of an event is worth at most."""

SHORT_KW: Final = 0.05


@dataclass(frozen=True, slots=True)
class Shortfall:
    """An interval in which an event cannot be kept.

    Attributes
    ----------
    event : int
    at_s : int
    limit_kw, needed_kw : float
    """

    event: int
    at_s: int
    limit_kw: float
    needed_kw: float

    @property
    def text(self) -> str:
        """In words."""
        return f"at most {self.limit_kw:.1f} kW asked for, {self.needed_kw:.1f} kW needed"


def promised(tx: Transaction, at_s: int) -> list[Event]:
    """Return the events that a plan from `at_s` keeps to."""
    return [one for one in events.in_states(tx, HELD) if one.end_s > at_s]


def limited(given: PlanInput, ahead: xr.Dataset, held: Sequence[Event]) -> PlanInput:
    """Return the input of a plan that keeps to some events; the same without any in its steps.

    Parameters
    ----------
    ahead : xarray.Dataset
        The forecast that `given` comes from.
    """
    margin = np.zeros(given.n)
    limits: dict[str, Floats] = {}
    for one in held:
        way = one.kind.way
        asked = _by_step(given, one)
        steps = np.isfinite(asked)
        if not steps.any():
            continue
        most = np.full(given.n, float(getattr(given.grid, f"{way}_limit_kw")))
        limits[way] = np.minimum(limits.get(way, most), asked)
        kept = margin_kw(ahead, given.n, way) + (1.0 - HEAD_SHARE) * np.where(steps, asked, 0.0)
        margin = np.where(steps, np.maximum(margin, kept), margin)
    if not limits:
        return given
    return replace(
        given,
        import_limit_kw=limits.get("import"),
        export_limit_kw=limits.get("export"),
        limit_margin_kw=margin,
        limit_penalty_per_kwh=penalty_per_kwh(given),
    )


def penalty_per_kwh(given: PlanInput) -> float:
    """Return what a kWh above a limit weighs: less than a kWh that is not served."""
    shed = [SHED_SHARE * per_kwh(group.penalty) for group in given.shedding]
    return min([PENALTY_PER_KWH, *shed])


def margin_kw(ahead: xr.Dataset, n: int, way: str) -> Floats:
    """Return by how much a flow at the feeder head may be above its forecast, (step,), kW."""
    totals = ahead["total_kw"].isel(interval=slice(0, n))
    means = ahead["total_mean_kw"].isel(interval=slice(0, n))
    ends = {
        "import": (float(totals["quantile"].max()), float(totals["quantile"].min())),
        "export": (float(totals["quantile"].min()), float(totals["quantile"].max())),
    }
    load_end, plant_end = ends[way]
    square = np.zeros(n)
    for group in totals["group"].values:
        end = load_end if group == "load" else plant_end
        off = totals.sel(group=group, quantile=end).values - means.sel(group=group).values
        square += off**2
    return np.sqrt(square)


def shortfalls(held: Iterable[Event], schedule: xr.Dataset) -> list[Shortfall]:
    """Return each interval in which a schedule does not keep one of some events."""
    starts = schedule["interval"].values.astype("datetime64[s]").astype(np.int64).tolist()
    step_s = starts[1] - starts[0] if len(starts) > 1 else 0
    found = []
    for one in held:
        flows = schedule[f"{one.kind.way}_kw"].values.tolist()
        for at_s, flow in zip(starts, flows, strict=True):
            if one.start_s <= at_s < one.end_s:
                limit_kw = one.limits_w[(at_s - one.start_s) // (step_s or 1)] / 1000.0
                if flow > limit_kw + SHORT_KW:
                    found.append(Shortfall(one.id, at_s, limit_kw, flow))
    return found


def findings(short: Sequence[Shortfall]) -> list[Finding]:
    """Return an alarm for each event that is not kept, at its worst interval."""
    told = []
    for number in sorted({one.event for one in short}):
        own = [one for one in short if one.event == number]
        worst = max(own, key=lambda one: one.needed_kw - one.limit_kw)
        more = "" if len(own) == 1 else f"; {len(own)} intervals in all"
        subject, when = f"event {number}", interval.label(worst.at_s)
        text = f"{subject} {when} cannot be kept: {worst.text}{more}"
        told.append(Finding("event.short", subject, when, Severity.ALARM, text))
    return told


def _by_step(given: PlanInput, one: Event) -> Floats:
    """Return the limit of an event in each step of a plan, kW; infinite outside it."""
    starts = given.start_s + given.interval_s * np.arange(given.n)
    inside = (starts >= one.start_s) & (starts < one.end_s)
    place = (starts[inside] - one.start_s) // given.interval_s
    limit = np.full(given.n, np.inf)
    limit[inside] = np.array(one.limits_w, np.float64)[place] / 1000.0
    return limit
