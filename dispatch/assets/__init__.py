"""The assets a plan can hold: one file each, one line each in the registry."""

from __future__ import annotations

from dispatch.assets import battery, charger, flexible, genset, grid, heat, shedding, solar, wind
from dispatch.assets.terms import AssetKind

REGISTRY: dict[str, AssetKind] = {
    "battery": battery.KIND,
    "solar": solar.KIND,
    "wind": wind.KIND,
    "genset": genset.KIND,
    "shedding": shedding.KIND,
    "charger": charger.KIND,
    "flexible": flexible.KIND,
    "heat": heat.KIND,
    "grid": grid.KIND,
}
