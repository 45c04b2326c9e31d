"""Solar: a photovoltaic plant whose output can be limited (:mod:`dispatch.assets.limited`)."""

from __future__ import annotations

from dispatch.assets.limited import limited
from dispatch.assets.terms import AssetKind, Attribute, Blocks, Flows
from dispatch.plan import PlanInput

ATTRIBUTES = (
    Attribute("power_kw", "float", "kW", "Rating of the inverter."),
    Attribute("operating", "int", "nano-currency/Wh", "Per energy produced, o."),
    Attribute("curtailment_order", "int", "", "The lowest is withheld first, equals pro rata."),
    Attribute("solar_available_kw", "array (solar, step)", "kW", "What the sun offers, A."),
)


def _blocks(plan_input: PlanInput) -> Blocks:
    return {"solar": limited(plan_input.solar, plan_input.solar_available_kw, plan_input.hours)}


def _flows(plan_input: PlanInput) -> Flows:
    return {plant.id: ((1.0, "solar"),) for plant in plan_input.solar}


KIND = AssetKind("solar", ATTRIBUTES, _blocks, _flows)
