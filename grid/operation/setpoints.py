"""The first step of a plan as set-points that the devices can hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dispatch.plan import Plan, PlanInput
from grid.operation import charging_plan, flexible_plan
from grid.operation.field.serve import device_kind, rating_w
from grid.operation.paths import safe_limit_w
from grid.operation.plan_inputs import firm_kw
from grid.operation.room import Room
from grid.site import Charger, Flexible, Genset, Shedding
from meters.device import Setpoint


def setpoints(room: Room, chosen: Plan, used: PlanInput) -> list[Setpoint]:
    """Return the first step of a plan from `used` as the devices can hold it, whole W."""
    step = {name: column.values for name, column in chosen.schedule.isel(interval=0).items()}
    wishes = []
    for number, asset in enumerate(room.site.assets):
        rating = rating_w(room.site, asset)
        row = {name: values[number] for name, values in step.items() if values.ndim}
        kind = device_kind(asset)
        limit_kw = float(row["limit_kw"])
        if isinstance(asset, Shedding):
            limit_kw += firm_kw(used, asset)[0]
        wish = Setpoint(
            asset=str(asset.id),
            kind=kind,
            charge_w=round(1000 * float(row["charge_kw"])),
            discharge_w=round(1000 * float(row["discharge_kw"] + row["produce_kw"]))
            if kind != "limit"
            else 0,
            limit_w=(rating if np.isnan(limit_kw) else min(round(1000 * limit_kw), rating))
            if kind == "limit"
            else 0,
            running=bool(row["on"]) if isinstance(asset, Genset) else True,
            revert_s=room.site.control.revert_s,
            revert_w=safe_limit_w(room, asset),
        )
        if isinstance(asset, Charger):
            wish = charging_plan.told(wish, *charging_plan.charging_w(used, chosen, asset))
        elif isinstance(asset, Flexible):
            wish = flexible_plan.told(wish, used, chosen, asset)
        wishes.append(wish)
    return held(room, wishes)


def held(room: Room, wishes: Sequence[Setpoint]) -> list[Setpoint]:
    """Return set-points as the devices of the site, in their order, can hold them."""
    from meters.modbus.sunspec import quantise

    return [
        quantise(wish, rating_w(room.site, asset))
        for wish, asset in zip(wishes, room.site.assets, strict=True)
    ]
