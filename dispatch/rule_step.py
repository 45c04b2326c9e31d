"""One step of the rule: its flows, and how they give way to the cuts of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.plan import Floats, LinearCut, PlanInput

SMALL_KW = 1e-7


@dataclass(slots=True)
class Step:
    """Flows of one step, and the caps that the cuts have put on them so far."""

    plants_kw: Floats
    charge_cap_kw: Floats
    discharge_cap_kw: Floats
    shed_kw: Floats
    charge_kw: Floats
    discharge_kw: Floats
    genset_kw: Floats
    import_kw: float = 0.0
    export_kw: float = 0.0
    unserved_kw: float = 0.0


def share(total: float, caps: Floats) -> Floats:
    """Return `total`, or all the caps allow, spread in proportion to the caps."""
    whole = float(caps.sum())
    return caps * (min(total, whole) / whole) if whole > 0.0 and total > 0.0 else caps * 0.0


def give_way(
    plan_input: PlanInput, t: int, step: Step, floor: Floats, cut: LinearCut, push: float
) -> bool:
    """Move towards `cut` where it is broken: plants, then batteries, then shedding.

    Returns whether anything moved.
    """

    def of(assets: tuple[object, ...]) -> Floats:
        return np.array([cut.coefficient.get(getattr(a, "id"), 0.0) for a in assets])  # noqa: B009 - only some assets have one

    plants, stores = of((*plan_input.solar, *plan_input.wind)), of(plan_input.battery)
    groups = of(plan_input.shedding)
    value = (
        float(plants @ step.plants_kw)
        + float(stores @ (step.discharge_kw - step.charge_kw))
        + float(of(plan_input.genset) @ step.genset_kw)
        + float(groups @ step.shed_kw)
        + cut.coefficient.get(plan_input.grid.id, 0.0) * (step.import_kw - step.export_kw)
    )
    scale = max(abs(c) for c in cut.coefficient.values())
    excess = (value - cut.limit_kw) / scale
    if excess <= SMALL_KW:
        return False
    excess *= push
    for caps, relief in (
        (step.plants_kw, plants * step.plants_kw),
        (step.discharge_cap_kw, stores * step.discharge_kw),
        (step.charge_cap_kw, -stores * step.charge_kw),
    ):
        relief = np.clip(relief, 0.0, None) / scale
        whole = float(relief.sum())
        if whole > SMALL_KW:
            moved = min(1.0, excess / whole)
            flows = caps.copy()
            if caps is step.discharge_cap_kw:
                flows = step.discharge_kw
            elif caps is step.charge_cap_kw:
                flows = step.charge_kw
            caps[:] = np.where(relief > 0.0, flows * (1.0 - moved), caps)
            return True
    left = np.clip(plan_input.sheddable_kw[:, t] - step.shed_kw, 0.0, None)
    relief = np.clip(-groups * left, 0.0, None) / scale
    whole = float(relief.sum())
    if whole <= SMALL_KW:
        return False
    more = np.where(relief > 0.0, left * min(1.0, excess / whole), 0.0)
    floor[:] = step.shed_kw + more
    return True
