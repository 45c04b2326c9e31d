"""Solar: a photovoltaic plant whose output can be limited (:mod:`dispatch.assets.limited`)."""

from __future__ import annotations

from typing import Any

from dispatch.assets.limited import add_limited
from dispatch.assets.terms import AssetKind, Attribute, Pairs, Terms
from dispatch.plan import PlanInput

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating of the inverter."),
    Attribute("solar_available_kw", "array (solar, step)", "kW", "What the sun offers, A."),
)


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add the output of every photovoltaic plant; return their terms."""
    ids = [plant.id for plant in plan_input.solar]
    return add_limited(model, plan_input, "solar", ids, plan_input.solar_available_kw)


KIND = AssetKind("solar", ATTRIBUTES, add)
