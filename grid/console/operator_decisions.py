"""The operator's page of one device: what limits its set-point, what else it could be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, render_template

from grid.console.operator import bus_names
from grid.console.operator_reasons import reason_texts
from grid.console.web_view import clock, room
from grid.errors import BadInputError, SolverError
from grid.store import control, views

if TYPE_CHECKING:
    from grid.operation.deciding import Deciding

pages = Blueprint("operator_decisions", __name__, url_prefix="/operator/dispatch")


def _deciding() -> Deciding:
    """Return what answers for this application; it keeps the plan it was asked about last."""
    from grid.operation.deciding import Deciding

    known = current_app.extensions.get("khazri-deciding")
    if known is None:
        here = room()
        known = current_app.extensions["khazri-deciding"] = Deciding(here.directory, here.store)
    found: Deciding = known
    return found


@pages.get("/why/<asset>")
def why(asset: str) -> str:
    """Show why a device does what it does in the interval that runs; made when it is asked."""
    here = room()
    if asset not in {str(one.id) for one in here.site.assets}:
        abort(404)
    with here.store.read() as tx:
        now_s = clock(tx)
        cycle_s = None if now_s is None else views.latest_setpoints(tx, now_s)
        if cycle_s is None or now_s is None:
            abort(404)
        plan = control.get_plan(tx, cycle_s)
        names = bus_names(tx, now_s)
    told = (
        [one for one in plan["detail"].get("reasons", ()) if one["subject"] == asset]
        if plan
        else []
    )
    as_sent, trouble = True, ""
    try:
        found = _deciding().of(cycle_s, (asset,))
    except (BadInputError, SolverError) as error:
        trouble = str(error)
    else:
        as_sent = found.as_sent
        told += [asdict(one) for one in found.reasons]
    return render_template(
        "operator_why.html",
        asset=asset,
        cycle_s=cycle_s,
        as_sent=as_sent,
        trouble=trouble,
        reasons=reason_texts(told, names).get(asset, []),
    )
