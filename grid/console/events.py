"""Events: what somebody outside asks of import and export, what it costs, and what it delivered."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    session,
    url_for,
)
from flask_security import current_user

from grid import interval
from grid.console import event_charts, event_words
from grid.console.operator import live_json
from grid.console.web_view import form_text, live, only_fields, room
from grid.errors import BadInputError, GridError, StoreError
from grid.operation import event_delivery, events
from grid.operation.event_asked import Asked
from grid.operation.meter_orders import same_person
from grid.operation.room import Room
from grid.quantities import parse_price
from grid.site import Site
from grid.store import Transaction, control
from grid.store import events as stored
from grid.store.events import HELD, WAITING, Cause, Event, EventKind, EventState
from trading.ledger import canonical

pages = Blueprint("events", __name__, url_prefix="/operator/events")

FIELDS = (
    "kind", "kw", "start", "end", "answer_by", "asked_by", "program", "name", "reward", "penalty",
)  # fmt: skip
_KW = re.compile(r"[0-9]{1,6}([.,][0-9]{1,3})?", re.ASCII)
_SHOWN = 100
_weighing = threading.Lock()


@pages.get("")
def listed() -> str:
    """Show what is asked for, what was answered, and the form."""
    typed, refused = session.pop("typed", {}), session.pop("refused", None)
    return render_template("events.html", typed=typed, refused=refused, **_facts())


@pages.get("/live")
def listed_live() -> Response:
    """Show the part of :func:`listed` that changes."""
    return live(render_template("events_live.html", **_facts()))


@pages.post("")
def add() -> Any:
    """Enter what somebody asks for."""
    only_fields(*FIELDS)
    typed = {name: form_text(name) for name in FIELDS}
    if typed["kind"] not in tuple(EventKind):
        abort(400)
    here = room()
    try:
        asked = _asked(typed, here.site.time_zone)
        with here.store.write() as tx:
            made = events.receive(tx, here.site, asked)
    except BadInputError as error:
        session["refused"], session["typed"] = str(error), typed
        return redirect(url_for("events.listed"))
    return redirect(url_for("events.event", number=made.id))


@pages.get("/<int:number>")
def event(number: int) -> str:
    """Show one event: what it costs, the answer, and what it delivered."""
    here = room()
    with here.store.read() as tx:
        one = _found(tx, number)
        now_s = control.clock_s(tx)
        shown = one.state in (EventState.RUNNING, EventState.OVER, EventState.MEASURED)
        made = event_delivery.of_event(tx, here.site, one) if shown else None
    refused = session.pop("refused", None)
    return render_template("event.html", one=one, made=made, refused=refused, **_words(now_s))


@pages.get("/<int:number>/data")
def data(number: int) -> Response:
    """Return the series of the chart."""
    here = room()
    with here.store.read() as tx:
        one = _found(tx, number)
        return live_json(event_charts.chart(tx, here.site, one, control.clock_s(tx)))


@pages.get("/<int:number>/report.json")
def report_json(number: int) -> Response:
    """Return the report of an event, byte by byte what the ledger has the hash of."""
    return _file(number, "json", "application/json", canonical.encode)


@pages.get("/<int:number>/report.csv")
def report_csv(number: int) -> Response:
    """Return the intervals of a report."""
    return _file(number, "csv", "text/csv", lambda made: event_delivery.as_csv(made).encode())


@pages.post("/<int:number>/weigh")
def weigh(number: int) -> Any:
    """Plan with and without the event, now."""
    only_fields()
    # What plans is heavy; most pages never do.
    from grid.operation import event_weighing

    here = room()
    with here.store.read() as tx:
        _found(tx, number)
    with _weighing:
        known: Room | None = current_app.extensions.get("khazri-planner")
        planner = known or event_weighing.beside(here.directory, here.site, here.store)
        current_app.extensions["khazri-planner"] = planner
        try:
            event_weighing.weigh_now(planner, number)
        except GridError as error:
            session["refused"] = str(error)
        finally:
            planner.solver.close()
    return redirect(url_for("events.event", number=number))


@pages.post("/<int:number>/accept")
def accept(number: int) -> Any:
    """Promise to keep the event, or ask for a second operator."""
    only_fields()
    return _decide(number, events.accept)


@pages.post("/<int:number>/approve")
def approve(number: int) -> Any:
    """Agree to what another operator accepted."""
    only_fields()
    return _decide(number, events.approve)


@pages.post("/<int:number>/decline")
def decline(number: int) -> Any:
    """Say no."""
    return _close(number, events.decline)


@pages.post("/<int:number>/cancel")
def cancel(number: int) -> Any:
    """Take the event out of the plans."""
    return _close(number, events.cancel)


def _close(number: int, close: Callable[..., Event]) -> Any:
    only_fields("cause")
    cause = form_text("cause", 64)
    if cause and cause not in tuple(Cause):
        abort(400)
    why = Cause(cause or "other")
    return _decide(number, lambda tx, site, which, by: close(tx, site, which, by, why))


def _decide(number: int, decide: Callable[[Transaction, Site, int, str], Event]) -> Any:
    here = room()
    with here.store.write() as tx:
        _found(tx, number)
        try:
            done = decide(tx, here.site, number, current_user.email)
            if done.state is EventState.EXPIRED:
                session["refused"] = f"event {number}: its time to be answered is over"
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return redirect(url_for("events.event", number=number))


def _found(tx: Transaction, number: int) -> Event:
    try:
        return stored.get_event(tx, number)
    except StoreError:
        abort(404)


def _file(number: int, ending: str, kind: str, write: Callable[[Any], bytes]) -> Response:
    here = room()
    with here.store.read() as tx:
        body = write(event_delivery.of_event(tx, here.site, _found(tx, number)))
    response = Response(body, mimetype=kind)
    name = f"{here.site.id}-event-{number}.{ending}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _asked(typed: dict[str, str], zone: str) -> Asked:
    if not _KW.fullmatch(typed["kw"]):
        raise BadInputError(f"{typed['kw'][:20]!r} kW must be a number such as 12.5")
    until = typed["answer_by"]
    return Asked(
        kind=EventKind(typed["kind"]),
        start_s=interval.parse_civil(typed["start"], zone),
        end_s=interval.parse_civil(typed["end"], zone),
        powers_w=(round(1000 * float(typed["kw"].replace(",", "."))),),
        asked_by=typed["asked_by"],
        received_by=current_user.email,
        answer_by_s=interval.parse_civil(until, zone) if until else None,
        reward=parse_price(typed["reward"].replace(",", ".") or "0"),
        penalty=parse_price(typed["penalty"].replace(",", ".") or "0"),
        program=typed["program"],
        name=typed["name"],
    )


def _facts() -> dict[str, Any]:
    here = room()
    with here.store.read() as tx:
        found = stored.listed(tx, _SHOWN)
        now_s = control.clock_s(tx)
    return {
        "waiting": [one for one in reversed(found) if one.state in WAITING],
        "promised": [one for one in reversed(found) if one.state in HELD],
        "past": [one for one in found if one.state not in (*WAITING, *HELD)],
        **_words(now_s),
    }


def _words(now_s: int) -> dict[str, Any]:
    return {
        "now_s": now_s,
        "own": lambda one: same_person(one.accepted_by or "", current_user.email),
        "weighed": lambda one: None if one.weighed is None else json.loads(one.weighed),
        "totals": lambda one: None if one.report is None else json.loads(one.report)["totals"],
        "instant": interval.parse,
        "limits": room().site.control,
        "kinds": event_words.kinds(),
        "causes": event_words.causes(),
        "states": event_words.states(),
        "sources": event_words.sources(),
        "codes": {state.name: state for state in EventState},
    }
