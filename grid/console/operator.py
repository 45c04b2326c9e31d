"""The operator's pages: now, dispatch, network."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_security import current_user

from grid.console import operator_charts, operator_diagram, operator_network
from grid.console.operator_alarms import grouped, numbers
from grid.console.operator_prices import bus_prices
from grid.console.operator_readings import readings
from grid.console.operator_reasons import limit_hours, reason_texts
from grid.console.web_view import clock, form_text, live, only_fields, record, room, stored
from grid.operation.survival import LASTS, MOST_H
from grid.store import Transaction, control, overrides, safety_tags, views
from grid.store.overrides import OverrideState
from networks.drawing.facts import HeadFlow
from networks.drawing.state import SIGNS, ranges

pages = Blueprint("operator", __name__, url_prefix="/operator")

STAGES = (
    "read",
    "validate",
    "forecast",
    "seal",
    "clear",
    "plan",
    "send",
    "orders",
    "offer",
    "settle",
    "bill",
    "events",
    "look",
    "checkpoint",
)
_COMMENT_MAX, _ALSO_MAX = 500, 8000


def _scalars(tx: Transaction, kind: str, now_s: int) -> dict[str, float]:
    """Return the newest single values of a kind; what is not known is not there."""
    at_s = views.latest(tx, kind, now_s)
    found = None if at_s is None else stored(tx, kind, at_s)
    if found is None or at_s is None:
        return {}
    values = {
        str(name): float(variable.values)
        for name, variable in found.data_vars.items()
        if variable.ndim == 0 and not np.isnan(variable.values)
    }
    return {**values, "at_s": at_s}


def _balance(actual: dict[str, float]) -> list[tuple[str, float | None, float | None]]:
    """Return what gives and what takes power: label, into the community, out of it, kW."""
    return [
        (_("Demand"), None, actual.get("demand_kw")),
        (_("Solar"), actual.get("solar_kw"), None),
        (_("Wind"), actual.get("wind_kw"), None),
        (_("Battery"), actual.get("battery_discharge_kw"), actual.get("battery_charge_kw")),
        (_("Genset"), actual.get("genset_kw"), None),
        *(
            [(_("Vehicles"), actual.get("vehicle_discharge_kw"), actual["vehicle_charge_kw"])]
            if "vehicle_charge_kw" in actual
            else []
        ),
        *([(_("Flexible loads"), None, actual["flexible_kw"])] if "flexible_kw" in actual else []),
        (_("Public grid"), actual.get("import_kw"), actual.get("export_kw")),
    ]


def _lasts_h(tx: Transaction, plan_s: int) -> tuple[float, float, int] | None:
    """Return for how long critical load lasts now, the least of the day ahead, and when that is."""
    schedule = stored(tx, "plan", plan_s)
    if schedule is None or LASTS not in schedule:
        return None
    hours = schedule[LASTS].values
    step = int(hours.argmin())
    at_s = int(schedule["interval"].values[step].astype("datetime64[s]").astype(np.int64))
    return float(hours[0]), float(hours[step]), at_s


def _now() -> dict[str, Any]:
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx)
        if now_s is None:
            return {"clock_s": None, "alarms_open": []}
        actual = _scalars(tx, "actual", now_s)
        _, network = _state(tx, now_s)
        rests = readings(tx, here.site, views.latest(tx, "network", now_s), now_s)
        plan_s = views.latest_plan(tx, now_s)
        plan = None if plan_s is None else control.get_plan(tx, plan_s)
        lasts_h = None if plan_s is None else _lasts_h(tx, plan_s)
        waiting = [found for group in views.open_groups(tx) for found in group]
        count = sum(views.open_findings(tx).values())
        cycle_s = now_s
        if not (done := control.done(tx, now_s)):
            cycle_s -= here.site.interval_s
            done = control.done(tx, cycle_s)
            if not done:
                cycle_s = now_s
    stages = [(name, name in done) for name in STAGES]
    stages += [(name, True) for name in sorted(done - set(STAGES))]
    balance = _balance(actual)
    groups, hidden = grouped(waiting)
    return {
        "clock_s": now_s,
        "actual": actual,
        "balance": balance,
        "scale_kw": max([v for row in balance for v in row[1:] if v is not None] + [1.0]),
        "capacity_kwh": sum(battery.energy_kwh for battery in here.site.battery),
        "network": operator_network.extremes(network, here.site.network),
        "confidence": operator_network.confidence(network, len(here.site.usage_point)),
        "readings": rests,
        "plan": plan,
        "lasts_h": lasts_h,
        "most_h": MOST_H,
        "alarms_open": groups,
        "alarms_hidden": hidden,
        "alarms_count": count,
        "stages": stages,
        "cycle_s": cycle_s,
    }


@pages.get("/now")
def now() -> str:
    """Show what happens now."""
    return render_template("operator_now.html", **_now())


@pages.get("/now/live")
def now_live() -> Response:
    """Show the part of :func:`now` that changes."""
    return live(render_template("operator_now_live.html", **_now()))


@pages.post("/alarms/<int:number>/acknowledge")
def acknowledge(number: int) -> Any:
    """Record that the operator has seen an alarm, and those the page showed with it."""
    only_fields("comment", "also")
    comment = form_text("comment", _COMMENT_MAX)
    also = numbers(form_text("also", _ALSO_MAX))
    here = room()
    with here.store.write() as tx:
        found = views.finding_row(tx, number)
        if found is None:
            abort(404)
        if found["acknowledged_s"] is not None:
            abort(409)
        at_s = clock(tx) or found["cycle_s"]
        seen = sorted({number, *views.open_of_code(tx, found["code"], also)})
        for one in seen:
            control.acknowledge(tx, one, current_user.email, at_s, comment)
        detail: dict[str, object] = {
            "code": found["code"],
            "comment": comment,
            "findings": seen,
            "interval": found["label"],
        }
        record(tx, at_s, "alarm.acknowledge", str(number), detail)
    return redirect(url_for("operator.now"))


def bus_names(tx: Transaction, now_s: int) -> dict[int, str]:
    """Return the names of buses as the diagram has them, by number."""
    at_s = views.latest(tx, "layout", now_s)
    layout = None if at_s is None else stored(tx, "layout", at_s)
    return {} if layout is None else operator_diagram.bus_names(layout)


def _setpoints() -> dict[str, Any]:
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx)
        cycle_s = None if now_s is None else views.latest_setpoints(tx, now_s)
        if now_s is None or cycle_s is None:
            return {"clock_s": now_s, "setpoints": [], "cycle_s": None, "plan": None}
        rows = control.setpoints(tx, cycle_s)
        plan = control.get_plan(tx, cycle_s)
        names = bus_names(tx, now_s)
        held = overrides.in_states(tx, (OverrideState.ACTIVE,))
        prices = bus_prices(tx, cycle_s, names)
    detail = plan["detail"] if plan else {}
    reasons = reason_texts(detail.get("reasons", []), names)
    return {
        "clock_s": now_s,
        "cycle_s": cycle_s,
        "setpoints": rows,
        "plan": plan,
        "reasons": reasons,
        "held": {one.asset: one for one in held},
        "bus_prices": prices,
        "plan_reasons": reasons.get("plan", []),
        "binding": limit_hours(detail.get("binding", []), cycle_s, here.site.interval_s, names),
    }


@pages.get("/dispatch")
def dispatch() -> str:
    """Show the plan against what happened."""
    return render_template("operator_dispatch.html", **_setpoints())


@pages.get("/dispatch/live")
def dispatch_live() -> Response:
    """Show the set-points of the current interval."""
    return live(render_template("operator_dispatch_live.html", **_setpoints()))


@pages.get("/dispatch/data")
def dispatch_data() -> Response:
    """Return the series of the charts."""
    here = room()
    with here.store.read() as tx:
        return live_json(operator_charts.charts(tx, here.site, clock(tx)))


def live_json(content: object) -> Response:
    """Return JSON with its ETag, or 304."""
    body = jsonify(content)
    response = live(body.get_data(as_text=True))
    response.mimetype = "application/json"
    return response


def _state(tx: Transaction, now_s: int) -> tuple[int | None, xr.Dataset | None]:
    """Return the newest state of the network and its interval: the estimate, where there is one."""
    found = {kind: views.latest(tx, kind, now_s) for kind in ("estimate", "network")}
    newest = max((at_s for at_s in found.values() if at_s is not None), default=None)
    kind = "estimate" if found["estimate"] == newest else "network"
    return newest, None if newest is None else stored(tx, kind, newest)


def _head(state: xr.Dataset | None) -> HeadFlow | None:
    """Return what the public network gives or takes at the feeder head, if it is there."""
    if state is None or "head_import_kw" not in state:
        return None
    return HeadFlow(
        import_kw=float(state["head_import_kw"]),
        export_kw=float(state["head_export_kw"]),
        available=bool(state["grid_available"]),
    )


def _network() -> dict[str, Any]:
    here = room()
    view = request.args.get("view", operator_diagram.VIEWS[0])
    if view not in operator_diagram.VIEWS:
        abort(400)
    with here.store.read() as tx:
        now_s = clock(tx)
        at_s, state = (None, None) if now_s is None else _state(tx, now_s)
        layout_s = views.latest(tx, "layout", now_s or 0)
        layout = None if layout_s is None else stored(tx, "layout", layout_s)
        known_s = None if now_s is None else views.latest(tx, "network", now_s)
        rests = readings(tx, here.site, known_s, now_s)
        tagged = {one.element: one.id for one in safety_tags.standing(tx)}
    estimated = [*rests.estimated, *rests.waiting] if rests else []
    drawn = operator_diagram.diagram(
        layout, state, here.site, estimated, _head(state), view, tagged
    )
    return {
        "clock_s": now_s,
        "at_s": at_s,
        "diagram": drawn,
        "view": drawn.view if drawn else view,
        "views": operator_diagram.VIEWS,
        "signs": SIGNS,
        "readings": rests,
        "legend": ranges(here.site.network),
        "voltages": sorted(drawn.buses, key=_urgency, reverse=True) if drawn else [],
        "loadings": sorted(drawn.branches, key=_load, reverse=True) if drawn else [],
        "network": operator_network.extremes(state, here.site.network),
        "confidence": operator_network.confidence(state, len(here.site.usage_point)),
    }


def _urgency(bus: operator_diagram.BusRow) -> tuple[bool, float]:
    vm_pu = bus.vm_pu
    known = vm_pu is not None and vm_pu == vm_pu
    return bus.state in ("low", "high", "dead"), vm_pu if known and vm_pu is not None else -1.0


def _load(line: operator_diagram.BranchRow) -> float:
    value = line.loading_percent
    return -1.0 if value is None or value != value else value


@pages.get("/network")
def network() -> str:
    """Show the feeder."""
    return render_template("operator_network.html", **_network())


@pages.get("/network/live")
def network_live() -> Response:
    """Show the part of :func:`network` that changes."""
    return live(render_template("operator_network_live.html", **_network()))
