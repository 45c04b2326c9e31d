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
    "limit.rating": "at its rating of {power_kw:.1f} kW: a kW more would save {worth:.4f} per kWh",
    "limit.available": "gives all that is there, {power_kw:.1f} kW: more would save {worth:.4f} "
    "per kWh",
    "limit.shed_all": "sheds all of {power_kw:.1f} kW that it may: more would save {worth:.4f} "
    "per kWh",
    "limit.least": "at its least load of {power_kw:.1f} kW: less would save {worth:.4f} per kWh",
    "limit.ramp": "moves as fast as its ramp allows: faster would save {worth:.4f} per kWh",
    "limit.taper": "takes or gives no more at what it holds: more would save {worth:.4f} per kWh",
    "limit.reserve": "keeps headroom in reserve: without it {worth:.4f} per kWh would be saved",
    "limit.peak": "import is at the peak of the billing period, {power_kw:.1f} kW: above it a kWh "
    "costs {worth:.4f} more",
    "limit.cut": "{cut} holds it: a kW more of room would save {worth:.4f} per kWh",
    "limit.full": "full at {at} with {energy_kwh:.1f} kWh: a kWh more of room would save "
    "{worth:.4f}",
    "limit.empty": "at its least of {energy_kwh:.1f} kWh at {at}: a kWh more would save "
    "{worth:.4f}",
    "limit.target": "must hold {energy_kwh:.1f} kWh at {at}: a kWh less would save {worth:.4f}",
    "limit.held": "keeps {energy_kwh:.1f} kWh at {at} for an outage: a kWh less would save "
    "{worth:.4f}",
    "limit.nothing": "has nothing to give or take",
    "limit.none": "no limit of its own holds it",
    "next.more": "{by_kw:.2f} kW more for the community would cost {cost:.4f}",
    "next.less": "{by_kw:.2f} kW less for the community would cost {cost:.4f}",
    "next.on": "running with {by_kw:.2f} kW or more would cost {cost:.4f}",
    "next.off": "standing would cost {cost:.4f}",
    "next.no_more": "it cannot give {by_kw:.2f} kW more or take as much less",
    "next.no_less": "it cannot give {by_kw:.2f} kW less or take as much more",
    "next.no_on": "it cannot run with {by_kw:.2f} kW now",
    "next.no_off": "it cannot stand now",
    "edge.price_above": "from {price_then:.4f} per kWh on, now {price_now:.4f}, it would give "
    "{given_kw:.1f} kW and take {taken_kw:.1f} kW",
    "edge.price_below": "below {price_then:.4f} per kWh, now {price_now:.4f}, it would give "
    "{given_kw:.1f} kW and take {taken_kw:.1f} kW",
    "edge.no_price_above": "no price up to {price_limit:.4f} per kWh changes it",
    "edge.no_price_below": "no price down to {price_limit:.4f} per kWh changes it",
    "edge.load_above": "from {load_then_kw:.1f} kW of load on, now {load_now_kw:.1f} kW, it would "
    "give {given_kw:.1f} kW and take {taken_kw:.1f} kW",
    "edge.load_below": "below {load_then_kw:.1f} kW of load, now {load_now_kw:.1f} kW, it would "
    "give {given_kw:.1f} kW and take {taken_kw:.1f} kW",
    "edge.no_load_above": "no load up to {load_limit_kw:.1f} kW changes it",
    "edge.no_load_below": "no load down to {load_limit_kw:.1f} kW changes it",
    "edge.follows_load": "it follows the load: each kW more or less of it moves it",
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
