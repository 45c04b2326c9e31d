"""Why loads are shed, charged or moved in the first step of a plan, and what they miss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dispatch.first_step import SMALL, First
from dispatch.plan import Reason
from dispatch.reasons import reason
from grid.site import Shedding
from grid.site_devices import Charger, Flexible, Heat


def of_shedding(first: First, group: Shedding) -> Reason:
    """Return why load is shed, or that it is served."""
    s = group.id
    shed = first.of(s, "shed_kw")
    if shed <= SMALL:
        return reason(s, "serve.all")
    if cut := first.binding(s):
        return reason(s, "shed.voltage", power_kw=shed, **cut)
    if first.islanded:
        return reason(s, "shed.islanded", power_kw=shed)
    if first.import_full:
        limit = first.most("import")
        return reason(s, "shed.import_limit", power_kw=shed, limit_kw=limit)
    return reason(s, "shed.short", power_kw=shed, price_now=first.price)


def of_charger(first: First, charger: Charger, row: int) -> Reason:
    """Return what a charge point does with its vehicle."""
    c = charger.id
    charge, discharge = first.of(c, "charge_kw"), first.of(c, "discharge_kw")
    if charge > SMALL:
        return reason(c, "vehicle.charges", power_kw=charge, price_now=first.price)
    if discharge > SMALL:
        return reason(c, "vehicle.gives", power_kw=discharge, price_now=first.price)
    there = first.input.ev_connected is not None and bool(first.input.ev_connected[row, 0])
    return reason(c, "vehicle.waits" if there else "vehicle.none")


def of_flexible(first: First, load: Flexible) -> Reason:
    """Return whether a flexible load takes power now."""
    taken = first.of(load.id, "charge_kw")
    if taken > SMALL:
        return reason(load.id, "flexible.takes", power_kw=taken, price_now=first.price)
    return reason(load.id, "flexible.waits")


def of_heat(first: First, tank: Heat) -> Reason:
    """Return whether the boiler of a tank burns now."""
    boiler, held = first.of(tank.id, "boiler_kw"), first.of(tank.id, "energy_kwh")
    if boiler > SMALL:
        return reason(tank.id, "heat.boiler", power_kw=boiler, energy_kwh=held)
    return reason(tank.id, "heat.tank", energy_kwh=held)


def missed(first: First) -> Iterator[Reason]:
    """Yield each target and corridor that power and time do not reach, at its worst."""
    if "missed_kwh" not in first.schedule:
        return
    missed = first.schedule["missed_kwh"].values
    movable: tuple[Charger | Flexible | Heat, ...] = (
        *first.input.charger,
        *first.input.flexible,
        *first.input.heat,
    )
    for asset in movable:
        row = missed[first.row[asset.id]]
        if float(row.max(initial=0.0)) <= SMALL:
            continue
        if not isinstance(asset, Charger):
            t = int(row.argmax())
            at, short = first.input.label(t), float(row[t])
            code = "flexible.misses" if isinstance(asset, Flexible) else "heat.misses"
            yield reason(asset.id, code, short_kwh=short, at=at)
            continue
        targets = first.input.ev_target_kwh
        assert targets is not None
        own = targets[first.input.charger.index(asset)]
        for t in np.flatnonzero(row > SMALL).tolist():
            yield reason(
                asset.id,
                "vehicle.misses",
                target_kwh=float(own[t]),
                at=first.input.label(t + 1),
                short_kwh=float(row[t]),
            )
