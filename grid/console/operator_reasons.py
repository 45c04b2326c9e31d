"""Why a plan does what it does, and what limits it, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext as _

from grid.console import control_words, decision_words
from grid.console.web_view import local_hhmm
from grid.errors import BadInputError
from grid.interval import parse

_VOLTAGE = re.compile(r"vm_pu bus (\d+) (<=|>=) (\S+)")
_LOADING = re.compile(r"loading_percent (line|trafo) (\d+) <= (\S+)")
_SIGN = {"<=": "≤", ">=": "≥"}


def limit_text(name: str, bus_names: Mapping[int, str]) -> str:
    """Return a network limit with its bus named as the diagram names it, and its unit."""
    if found := _VOLTAGE.fullmatch(name):
        bus = bus_names.get(int(found[1]), f"bus {found[1]}")
        return f"{bus} {_SIGN[found[2]]} {found[3]} pu"
    if found := _LOADING.fullmatch(name):
        return f"{found[1]} {found[2]} ≤ {found[3]} %"
    return name


def _value(name: str, value: Any, bus_names: Mapping[int, str]) -> str:
    if name == "cut":
        return limit_text(str(value), bus_names)
    if isinstance(value, float):
        return f"{value:.1f}" if name.endswith(("_kw", "_kwh", "hours")) else f"{value:.4f}"
    if name in ("at", "until", "outage_at", "planned_at", "worst"):
        try:
            return local_hhmm(parse(str(value)))
        except BadInputError:
            return str(value)
    return str(value)


def reason_texts(
    reasons: Iterable[Mapping[str, Any]], bus_names: Mapping[int, str]
) -> dict[str, list[str]]:
    """Return by subject its reasons; one with an unknown code keeps its stored text."""
    texts = templates() | control_words.sentences()
    found: dict[str, list[str]] = {}
    for one in reasons:
        subject, params = str(one["subject"]), one["params"]
        try:
            text = texts[one["code"]] % {
                name: _value(name, value, bus_names) for name, value in params.items()
            }
        except KeyError:
            text = str(one["text"]).removeprefix(f"{subject}: ")
        found.setdefault(subject, []).append(text)
    return found


def limit_hours(
    binding: Iterable[tuple[int, str]], start_s: int, step_s: int, bus_names: Mapping[int, str]
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return each binding limit with the runs of intervals in which it binds."""
    steps: dict[str, list[int]] = {}
    for step, name in binding:
        steps.setdefault(name, []).append(int(step))
    found = []
    for name, numbers in steps.items():
        runs: list[tuple[int, int]] = []
        for at_s in (start_s + number * step_s for number in sorted(set(numbers))):
            if runs and runs[-1][1] == at_s:
                runs[-1] = (runs[-1][0], at_s + step_s)
            else:
                runs.append((at_s, at_s + step_s))
        found.append((limit_text(name, bus_names), runs))
    return sorted(found, key=lambda one: one[1])


def templates() -> dict[str, str]:
    """Return the sentence of each code of :data:`dispatch.reasons.TEXT`, to be filled in."""
    return {
        "charge.cheap_now": _(
            "charges %(power_kw)s kW: energy costs %(price_now)s per kWh now and is worth "
            "%(value_later)s later"
        ),
        "charge.surplus": _(
            "charges %(power_kw)s kW of local surplus, worth %(price_now)s per kWh now and "
            "%(value_later)s later"
        ),
        "charge.before_outage": _("charges %(power_kw)s kW for the outage at %(outage_at)s"),
        "charge.islanded": _("charges %(power_kw)s kW of what else is produced while islanded"),
        "discharge.dear_now": _(
            "discharges %(power_kw)s kW: energy costs %(price_now)s per kWh now, keeping it is "
            "worth %(value_later)s"
        ),
        "discharge.islanded": _("discharges %(power_kw)s kW: it carries the load while islanded"),
        "discharge.import_limit": _(
            "discharges %(power_kw)s kW: import is at its limit of %(limit_kw)s kW"
        ),
        "idle.full": _("idle: full at %(energy_kwh)s kWh"),
        "idle.empty": _("idle: at its least of %(energy_kwh)s kWh"),
        "idle.spread": _(
            "idle: at %(price_now)s per kWh now, charging would earn %(charge_worth)s and "
            "keeping is worth %(keep_worth)s, losses and wear counted"
        ),
        "idle.before_outage": _("idle: keeps %(energy_kwh)s kWh for the outage at %(outage_at)s"),
        "idle.reserve": _("idle: keeps %(reserve_kw)s kW of reserve while islanded"),
        "idle.voltage": _("idle: %(cut)s allows no more"),
        "produce.all": _("gives all of %(power_kw)s kW"),
        "produce.none": _("has nothing to give"),
        "curtail.voltage": _("withholds %(curtail_kw)s kW: %(cut)s"),
        "curtail.islanded": _("withholds %(curtail_kw)s kW: no use for it while islanded"),
        "curtail.negative_price": _(
            "withholds %(curtail_kw)s kW: feeding in pays %(price_now)s per kWh"
        ),
        "curtail.export_limit": _(
            "withholds %(curtail_kw)s kW: export is at its limit of %(limit_kw)s kW"
        ),
        "curtail.surplus": _("withholds %(curtail_kw)s kW that nothing can use"),
        "genset.min_up": _("runs: %(steps)s more steps of its minimum up time"),
        "genset.min_down": _("stands: %(steps)s more steps of its minimum down time"),
        "genset.islanded": _("runs at %(power_kw)s kW while islanded"),
        "genset.cheaper": _(
            "runs at %(power_kw)s kW: its energy costs %(cost)s per kWh, the community's "
            "%(price_now)s"
        ),
        "genset.dear": _(
            "stands: its energy would cost %(cost)s per kWh, the community's costs %(price_now)s"
        ),
        "serve.all": _("served in full"),
        "shed.voltage": _("sheds %(power_kw)s kW: %(cut)s"),
        "shed.islanded": _("sheds %(power_kw)s kW: nothing else can serve it while islanded"),
        "shed.import_limit": _("sheds %(power_kw)s kW: import is at its limit of %(limit_kw)s kW"),
        "shed.short": _("sheds %(power_kw)s kW: serving it would cost %(price_now)s per kWh"),
        "vehicle.none": _("no vehicle is there"),
        "vehicle.waits": _("its vehicle waits"),
        "vehicle.charges": _("charges its vehicle with %(power_kw)s kW at %(price_now)s per kWh"),
        "vehicle.gives": _("takes %(power_kw)s kW from its vehicle at %(price_now)s per kWh"),
        "vehicle.misses": _(
            "cannot reach %(target_kwh)s kWh by %(at)s: %(short_kwh)s kWh are missing"
        ),
        "flexible.takes": _("takes %(power_kw)s kW at %(price_now)s per kWh"),
        "flexible.waits": _("takes nothing for now"),
        "flexible.misses": _("falls %(short_kwh)s kWh below its corridor at %(at)s"),
        "heat.boiler": _(
            "the boiler gives %(power_kw)s kW of heat, the tank holds %(energy_kwh)s kWh"
        ),
        "heat.tank": _("the tank holds %(energy_kwh)s kWh, the boiler stands"),
        "heat.misses": _("%(short_kwh)s kWh of heat are missing at %(at)s"),
        "grid.outage": _("not available"),
        "grid.import": _("imports %(power_kw)s kW at %(price_now)s per kWh"),
        "grid.import_limit": _("imports %(power_kw)s kW, its limit"),
        "grid.export": _("exports %(power_kw)s kW at %(price_now)s per kWh"),
        "grid.export_limit": _("exports %(power_kw)s kW, its limit"),
        "grid.none": _("nothing flows"),
        "limit.import_short": _(
            "from %(at)s to %(until)s at most %(limit_kw)s kW of import are asked for; "
            "%(needed_kw)s kW are needed at %(worst)s"
        ),
        "limit.export_short": _(
            "from %(at)s to %(until)s at most %(limit_kw)s kW of export are asked for; "
            "%(needed_kw)s kW remain at %(worst)s"
        ),
        "kept.plan": _(
            "stays at %(power_kw)s kW as planned at %(planned_at)s: no change would save more than "
            "%(saving)s"
        ),
        "kept.near": _(
            "goes to %(power_kw)s kW, no further from the plan of %(planned_at)s than it must: no "
            "other change would save more than %(saving)s"
        ),
        "reserve.short": _(
            "reserve is short by %(short_kw)s kW from %(at)s on, of %(reserve_kw)s kW"
        ),
        "survival.short": _(
            "critical load would not last %(hours)s h if the grid were lost at %(at)s: "
            "%(short_kwh)s kWh are missing"
        ),
        "fallback.last_good": _("follows the plan of %(planned_at)s: %(why)s"),
        "fallback.safe": _("follows the safe rule: %(why)s"),
        "infeasible.supply": _(
            "%(worst)s: demand %(demand_kw)s kW, all sources can give at most %(most_kw)s kW: "
            "%(short_kw)s kW short (%(where)s; from %(at)s to %(until)s)"
        ),
        "infeasible.surplus": _(
            "from %(at)s to %(until)s there is %(short_kw)s kW too much (%(where)s): what must "
            "run has no outlet"
        ),
        "infeasible.cut": _(
            "at %(at)s %(cut)s cannot be kept: %(short_kw)s kW beyond what can be controlled"
        ),
        "infeasible.end_energy": _(
            "%(battery)s ends %(short_kwh)s kWh below the energy it must hold at %(at)s"
        ),
    } | decision_words.sentences()
