"""Wind: a turbine whose output can be limited (:mod:`dispatch.assets.limited`)."""

from __future__ import annotations

from dispatch.assets.limited import limited
from dispatch.assets.terms import AssetKind, Attribute, Blocks, Flows
from dispatch.plan import PlanInput

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating of the turbine."),
    Attribute("operating", "int", "nano-currency/Wh", "Per energy produced, o."),
    Attribute("curtailment_order", "int", "", "The lowest is withheld first, equals pro rata."),
    Attribute("wind_available_kw", "array (wind, step)", "kW", "What the wind offers, A."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    return {"wind": limited(plan_input.wind, plan_input.wind_available_kw, plan_input.hours)}


def _flows(plan_input: PlanInput) -> Flows:
    return {plant.id: ((1.0, "wind"),) for plant in plan_input.wind}


KIND = AssetKind("wind", ATTRIBUTES, _blocks, _flows)
