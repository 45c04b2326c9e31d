"""Limits of import and export that somebody asks for: what a schedule exceeds of them.

They come from outside, for some hours, below what the connection can. A plan keeps them where it
can and names by how much it cannot: it is never without a schedule because of them. This file
shares no code with the model, whose answer is checked by it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from dispatch.plan import Floats, PlanInput, Reason
from dispatch.reasons import reason

NEAR_SHARE = 0.5
"""Share of the penalty that a kWh within the margin of a limit weighs."""

WAYS = ("import", "export")


def over_limit_kw(plan_input: PlanInput, schedule: xr.Dataset, way: str) -> Floats:
    """Return by how much a schedule exceeds what is asked for, (step,), kW; nothing below it.

    Parameters
    ----------
    way : str
        ``"import"`` or ``"export"``.
    """
    limit = getattr(plan_input, f"{way}_limit_kw")
    if limit is None:
        return np.zeros(plan_input.n)
    over: Floats = np.maximum(schedule[f"{way}_kw"].values - limit, 0.0)
    return over


def asked_most_kw(plan_input: PlanInput, way: str) -> Floats:
    """Return the most that the connection and whoever asks leave to a way, margin off, (step,)."""
    most = np.full(plan_input.n, float(getattr(plan_input.grid, f"{way}_limit_kw")))
    limit = getattr(plan_input, f"{way}_limit_kw")
    if limit is None:
        return most
    margin = 0.0 if plan_input.limit_margin_kw is None else plan_input.limit_margin_kw
    least: Floats = np.minimum(most, np.maximum(limit - margin, 0.0))
    return least


def penalty(plan_input: PlanInput, schedule: xr.Dataset) -> float:
    """Return what the solver weighs a schedule's excess with, currency."""
    weighed = 0.0
    for way in WAYS:
        limit = getattr(plan_input, f"{way}_limit_kw")
        if limit is not None:
            flow, least = schedule[f"{way}_kw"].values, asked_most_kw(plan_input, way)
            kept = np.minimum(limit, getattr(plan_input.grid, f"{way}_limit_kw"))
            near = np.clip(flow, least, kept) - least
            over = over_limit_kw(plan_input, schedule, way)
            weighed += float((NEAR_SHARE * near + over).sum())
    return plan_input.hours * plan_input.limit_penalty_per_kwh * weighed


def short_reasons(plan_input: PlanInput, schedule: xr.Dataset, small_kw: float) -> Iterator[Reason]:
    """Yield each run of steps in which what is asked for is exceeded, with its worst step."""
    for way in WAYS:
        over = over_limit_kw(plan_input, schedule, way)
        edges = np.diff(np.concatenate([[False], over > small_kw, [False]]).astype(np.int8))
        runs = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
        for start, end in runs:
            worst = int(start) + int(over[start:end].argmax())
            yield reason(
                "plan",
                f"limit.{way}_short",
                at=plan_input.label(int(start)),
                until=plan_input.label(int(end)),
                worst=plan_input.label(worst),
                limit_kw=float(getattr(plan_input, f"{way}_limit_kw")[worst]),
                needed_kw=float(schedule[f"{way}_kw"].values[worst]),
            )
