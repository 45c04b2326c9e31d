"""What the checks of a plan have in common: tolerances, and how an excess is told."""

from __future__ import annotations

from collections.abc import Iterator

from dispatch.plan import Floats, Plan, PlanInput

TOLERANCE_KW = 1e-5
TOLERANCE_KWH = 1e-5


def column(plan_input: PlanInput, plan: Plan, kind: str, name: str) -> Floats:
    """Return a column of the schedule for the assets of a kind, (asset, step)."""
    values: Floats = plan.schedule[name].values[plan_input.rows(kind)]
    return values


def worst(
    plan_input: PlanInput, subject: str, what: str, excess: Floats, unit: str, tolerance: float
) -> Iterator[str]:
    """Yield one message when `excess` (step,) is above `tolerance`, at its worst step."""
    if excess.size and float(excess.max()) > tolerance:
        t = int(excess.argmax())
        yield f"{subject} {plan_input.label(t)} {what} by {excess[t]:.6g} {unit}"
