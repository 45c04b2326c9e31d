"""Wind: a turbine whose output can be limited (:mod:`dispatch.assets.limited`)."""

from __future__ import annotations

from typing import Any

from dispatch.assets.limited import add_limited
from dispatch.assets.terms import AssetKind, Attribute, Pairs, Terms
from dispatch.plan import PlanInput

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating of the turbine."),
    Attribute("wind_available_kw", "array (wind, step)", "kW", "What the wind offers, A."),
)


def add(model: Any, plan_input: PlanInput, pairs: Pairs) -> Terms:
    """Add the output of every turbine; return their terms."""
    ids = [turbine.id for turbine in plan_input.wind]
    return add_limited(model, plan_input, "wind", ids, plan_input.wind_available_kw)


KIND = AssetKind("wind", ATTRIBUTES, add)
