"""Safety tags: what is under a permit, whose, and what generates behind it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flask import (
    Blueprint,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_security import current_user

from grid.console import control_words
from grid.console.web_view import form_text, only_fields, room
from grid.console.web_view import stored as dataset
from grid.errors import BadInputError, StoreError
from grid.operation import safety_tags
from grid.operation.meter_orders import same_person
from grid.store import Transaction, control, device_holds, views
from grid.store import safety_tags as stored
from grid.store.overrides import Reason
from networks.drawing.stored import stored as scheme_of

if TYPE_CHECKING:
    from networks.model import NetworkModel

pages = Blueprint("safety_tags", __name__, url_prefix="/operator/tags")

_loading = threading.Lock()


def network() -> NetworkModel:
    """Return the feeder, loaded once when somebody first needs it."""
    with _loading:
        known: NetworkModel | None = current_app.extensions.get("khazri-network")
        if known is None:
            from networks.sources.source import load

            here = room()
            known = current_app.extensions["khazri-network"] = load(
                here.site.network.source,
                source_voltage_pu=here.site.network.source_voltage_pu,
                base_dir=here.directory,
            )
    return known


@pages.get("")
def listed() -> str:
    """Show the tags that stand, and what a tag on an element would cut off."""
    here = room()
    element = request.args.get("element", "")[:80]
    preview, refused = None, session.pop("refused", None)
    if element:
        try:
            kind, name = safety_tags.parse_element(element)
            element = f"{kind}:{name}"
            preview = safety_tags.cut_by(here.site, network, element)
        except BadInputError as error:
            element, refused = "", str(error)
    with here.store.read() as tx:
        found = stored.listed(tx)
        names = element_names(tx, control.clock_s(tx))
        cycle_s = device_holds.latest(tx)
        rows = [] if cycle_s is None else device_holds.holds(tx, cycle_s)
    return render_template(
        "safety_tags.html",
        standing=[one for one in reversed(found) if one.standing],
        released=[one for one in found if not one.standing],
        own=lambda tag: same_person(tag.holder, current_user.email),
        generation=lambda devices: safety_tags.generation(here.site, devices),
        forming=set(safety_tags.may_form(here.site, [str(one.id) for one in here.site.assets])),
        power={row["asset"]: row["power_w"] for row in rows},
        names=names,
        element=element,
        preview=preview,
        reasons=control_words.reasons(),
        refused=refused,
    )


@pages.post("")
def place() -> Any:
    """Put a tag on an element; whoever does holds it."""
    only_fields("element", "reason", "note")
    reason = form_text("reason", 64)
    if reason not in tuple(Reason):
        abort(400)
    here, element = room(), form_text("element", 80)
    try:
        if not element.startswith("asset:"):
            # Before the transaction: it may take a while.
            network()
        with here.store.write() as tx:
            safety_tags.place(
                tx,
                here.site,
                network,
                element=element,
                reason=Reason(reason),
                by=current_user.email,
                note=form_text("note", safety_tags.NOTE_MAX),
            )
    except BadInputError as error:
        session["refused"] = str(error)
    return redirect(url_for("safety_tags.listed"))


@pages.post("/<int:number>/release")
def release(number: int) -> Any:
    """Release one's own tag."""
    only_fields()
    here = room()
    with here.store.write() as tx:
        try:
            stored.get_tag(tx, number)
        except StoreError:
            abort(404)
        try:
            safety_tags.release(tx, here.site, number, current_user.email)
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return redirect(url_for("safety_tags.listed"))


def element_names(tx: Transaction, now_s: int) -> dict[str, str]:
    """Return the elements that may be tagged with their names, in the order of the drawing."""
    at_s = views.latest(tx, "layout", now_s)
    layout = None if at_s is None else dataset(tx, "layout", at_s)
    found: dict[str, str] = {}
    if layout is not None and layout.sizes.get("bus"):
        scheme = scheme_of(layout)
        for one in scheme.branches:
            if one.kind in ("line", "trafo"):
                found[f"{one.kind}:{one.index}"] = one.name or f"{one.kind} {one.index}"
        for index, name in zip(scheme.bus, scheme.bus_name, strict=True):
            found[f"bus:{index}"] = name or f"bus {index}"
    for asset in room().site.assets:
        found[f"asset:{asset.id}"] = str(asset.id)
    return found
