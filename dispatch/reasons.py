"""The words of a plan's reasons: every code, and its English."""

from __future__ import annotations

import re

from dispatch.plan import Reason, Value

TEXT = {
    "charge.cheap_now": "charges {power_kw:.1f} kW: energy costs {price_now:.4f} per kWh now and "
    "is worth {value_later:.4f} later",
    "charge.surplus": "charges {power_kw:.1f} kW of local surplus, worth {price_now:.4f} per kWh "
    "now and {value_later:.4f} later",
    "charge.before_outage": "charges {power_kw:.1f} kW for the outage at {outage_at}",
    "charge.islanded": "charges {power_kw:.1f} kW of what else is produced while islanded",
    "discharge.dear_now": "discharges {power_kw:.1f} kW: energy costs {price_now:.4f} per kWh now, "
    "keeping it is worth {value_later:.4f}",
    "discharge.islanded": "discharges {power_kw:.1f} kW: it carries the load while islanded",
    "discharge.import_limit": "discharges {power_kw:.1f} kW: import is at its limit of "
    "{limit_kw:.1f} kW",
    "idle.full": "idle: full at {energy_kwh:.1f} kWh",
    "idle.empty": "idle: at its least of {energy_kwh:.1f} kWh",
    "idle.spread": "idle: at {price_now:.4f} per kWh now, charging would earn {charge_worth:.4f} "
    "and keeping is worth {keep_worth:.4f}, losses and wear counted",
    "idle.before_outage": "idle: keeps {energy_kwh:.1f} kWh for the outage at {outage_at}",
    "idle.reserve": "idle: keeps {reserve_kw:.1f} kW of reserve while islanded",
    "idle.voltage": "idle: {cut} allows no more",
    "produce.all": "gives all of {power_kw:.1f} kW",
    "produce.none": "has nothing to give",
    "curtail.voltage": "withholds {curtail_kw:.1f} kW: {cut}",
    "curtail.islanded": "withholds {curtail_kw:.1f} kW: no use for it while islanded",
    "curtail.negative_price": "withholds {curtail_kw:.1f} kW: feeding in pays {price_now:.4f} "
    "per kWh",
    "curtail.export_limit": "withholds {curtail_kw:.1f} kW: export is at its limit of "
    "{limit_kw:.1f} kW",
    "curtail.surplus": "withholds {curtail_kw:.1f} kW that nothing can use",
    "genset.min_up": "runs: {steps} more steps of its minimum up time",
    "genset.min_down": "stands: {steps} more steps of its minimum down time",
    "genset.islanded": "runs at {power_kw:.1f} kW while islanded",
    "genset.cheaper": "runs at {power_kw:.1f} kW: its energy costs {cost:.4f} per kWh, the "
    "community's {price_now:.4f}",
    "genset.dear": "stands: its energy would cost {cost:.4f} per kWh, the community's costs "
    "{price_now:.4f}",
    "serve.all": "served in full",
    "shed.voltage": "sheds {power_kw:.1f} kW: {cut}",
    "shed.islanded": "sheds {power_kw:.1f} kW: nothing else can serve it while islanded",
    "shed.import_limit": "sheds {power_kw:.1f} kW: import is at its limit of {limit_kw:.1f} kW",
    "shed.short": "sheds {power_kw:.1f} kW: serving it would cost {price_now:.4f} per kWh",
    "vehicle.none": "no vehicle is there",
    "vehicle.waits": "its vehicle waits",
    "vehicle.charges": "charges its vehicle with {power_kw:.1f} kW at {price_now:.4f} per kWh",
    "vehicle.gives": "takes {power_kw:.1f} kW from its vehicle at {price_now:.4f} per kWh",
    "vehicle.misses": "cannot reach {target_kwh:.1f} kWh by {at}: {short_kwh:.1f} kWh are missing",
    "flexible.takes": "takes {power_kw:.1f} kW at {price_now:.4f} per kWh",
    "flexible.waits": "takes nothing for now",
    "flexible.misses": "falls {short_kwh:.1f} kWh below its corridor at {at}",
    "heat.boiler": "the boiler gives {power_kw:.1f} kW of heat, the tank holds {energy_kwh:.1f} "
    "kWh",
    "heat.tank": "the tank holds {energy_kwh:.1f} kWh, the boiler stands",
    "heat.misses": "{short_kwh:.1f} kWh of heat are missing at {at}",
    "grid.outage": "not available",
    "grid.import": "imports {power_kw:.1f} kW at {price_now:.4f} per kWh",
    "grid.import_limit": "imports {power_kw:.1f} kW, its limit",
    "grid.export": "exports {power_kw:.1f} kW at {price_now:.4f} per kWh",
    "grid.export_limit": "exports {power_kw:.1f} kW, its limit",
    "grid.none": "nothing flows",
    "limit.import_short": "from {at} to {until} at most {limit_kw:.1f} kW of import are asked for; "
    "{needed_kw:.1f} kW are needed at {worst}",
    "limit.export_short": "from {at} to {until} at most {limit_kw:.1f} kW of export are asked for; "
    "{needed_kw:.1f} kW remain at {worst}",
    "kept.plan": "stays at {power_kw:.1f} kW as planned at {planned_at}: no change would save more "
    "than {saving:.4f}",
    "kept.near": "goes to {power_kw:.1f} kW, no further from the plan of {planned_at} than it "
    "must: no other change would save more than {saving:.4f}",
    "reserve.short": "reserve is short by {short_kw:.1f} kW from {at} on, of {reserve_kw:.1f} kW",
    "survival.short": "critical load would not last {hours:.1f} h if the grid were lost at {at}: "
    "{short_kwh:.1f} kWh are missing",
    "fallback.last_good": "follows the plan of {planned_at}: {why}",
    "fallback.safe": "follows the safe rule: {why}",
    "infeasible.supply": "{worst}: demand {demand_kw:.1f} kW, all sources can give at most "
    "{most_kw:.1f} kW: {short_kw:.1f} kW short ({where}; from {at} to {until})",
    "infeasible.surplus": "from {at} to {until} there is {short_kw:.1f} kW too much ({where}): "
    "what must run has no outlet",
    "infeasible.cut": "at {at} {cut} cannot be kept: {short_kw:.1f} kW beyond what can be "
    "controlled",
    "infeasible.end_energy": "{battery} ends {short_kwh:.1f} kWh below the energy it must hold "
    "at {at}",
}


def reason(subject: str, code: str, **params: Value) -> Reason:
    """Return the reason `code` with its English text."""
    return Reason(subject, code, params, f"{subject}: {TEXT[code].format(**params)}")


def bus_of(cut_name: str) -> str:
    """Return the bus that a cut's name speaks of, or ``""``."""
    found = re.search(r"\bbus (\S+)", cut_name)
    return found[1] if found else ""
