"""Why batteries, plants and gensets do what they do in the first step of a plan."""

from __future__ import annotations

from dispatch.assets.genset import forced_steps
from dispatch.first_step import SMALL, First
from dispatch.plan import Reason, currency, per_kwh
from dispatch.reasons import reason
from grid.site import Battery, Genset, Solar, Wind


def of_battery(first: First, battery: Battery, row: int) -> Reason:
    """Return why a battery charges, discharges or is idle."""
    b, price = battery.id, first.price
    stored = float(first.duals.stored[row, 0])
    earns = battery.charge_efficiency * stored
    keeps = stored / battery.discharge_efficiency + per_kwh(battery.wear)
    charge, discharge = first.of(b, "charge_kw"), first.of(b, "discharge_kw")
    energy = first.of(b, "energy_kwh")
    for_outage = first.holds_for_outage(battery, row)
    if charge > SMALL:
        if first.islanded:
            return reason(b, "charge.islanded", power_kw=charge)
        if for_outage:
            return reason(b, "charge.before_outage", power_kw=charge, outage_at=first.outage_at)
        withheld = float(first.columns["curtail_kw"].sum())
        surplus = first.community("export_kw") > SMALL or withheld > SMALL
        code = "charge.surplus" if surplus else "charge.cheap_now"
        worth = first.displaces(battery, row)
        return reason(b, code, power_kw=charge, price_now=price, value_later=worth)
    if discharge > SMALL:
        if first.islanded:
            return reason(b, "discharge.islanded", power_kw=discharge)
        if first.import_full:
            limit = first.most("import")
            return reason(b, "discharge.import_limit", power_kw=discharge, limit_kw=limit)
        return reason(
            b, "discharge.dear_now", power_kw=discharge, price_now=price, value_later=keeps
        )
    if price > keeps and (cut := first.binding(b)):
        return reason(b, "idle.voltage", **cut)
    if energy > battery.energy_kwh - SMALL and price < earns:
        return reason(b, "idle.full", energy_kwh=energy)
    if energy < battery.min_energy_kwh + SMALL and price > keeps:
        return reason(b, "idle.empty", energy_kwh=energy)
    if first.islanded and battery.forming and first.input.reserve_kw[0] > 0.0:
        return reason(b, "idle.reserve", reserve_kw=float(first.input.reserve_kw[0]))
    if for_outage:
        return reason(b, "idle.before_outage", energy_kwh=energy, outage_at=first.outage_at)
    return reason(b, "idle.spread", price_now=price, charge_worth=earns, keep_worth=keeps)


def of_plant(first: First, plant: Solar | Wind) -> Reason:
    """Return why a plant gives all it can, or is held back and by what."""
    p = plant.id
    given, withheld = first.of(p, "produce_kw"), first.of(p, "curtail_kw")
    if withheld <= SMALL:
        if given <= SMALL:
            return reason(p, "produce.none")
        return reason(p, "produce.all", power_kw=given)
    if cut := first.binding(p):
        return reason(p, "curtail.voltage", curtail_kw=withheld, **cut)
    if first.islanded:
        return reason(p, "curtail.islanded", curtail_kw=withheld)
    sells = float(first.input.sell_price[0])
    if sells < 0.0:
        return reason(p, "curtail.negative_price", curtail_kw=withheld, price_now=sells)
    if first.export_full:
        limit = first.most("export")
        return reason(p, "curtail.export_limit", curtail_kw=withheld, limit_kw=limit)
    return reason(p, "curtail.surplus", curtail_kw=withheld)


def of_genset(first: First, genset: Genset, row: int) -> Reason:
    """Return why a genset runs or stands."""
    g = genset.id
    running = bool(first.columns["on"][first.row[g]])
    steps = forced_steps(first.input, row)
    output = first.of(g, "produce_kw")
    at_kw = output if running and output > SMALL else genset.power_kw
    cost = per_kwh(genset.fuel) + currency(genset.no_load_per_hour) / at_kw
    if steps:
        return reason(g, "genset.min_up" if running else "genset.min_down", steps=steps)
    if not running:
        return reason(g, "genset.dear", cost=cost, price_now=first.price)
    if first.islanded:
        return reason(g, "genset.islanded", power_kw=output)
    return reason(g, "genset.cheaper", power_kw=output, cost=cost, price_now=first.price)
