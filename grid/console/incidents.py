"""Incidents: what is without supply since when, who waits, who was restored; the indices."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, render_template

from grid import interval
from grid.console.web_view import clock, live, room
from grid.operation import medical_loads, outage_facts
from grid.site import Site
from grid.store import Transaction
from grid.store import incidents as stored
from grid.store.incidents import Incident, Interrupted
from networks.outages.reliability import Indices
from networks.outages.restoration import Waiting, repair_order

pages = Blueprint("incidents", __name__, url_prefix="/incidents")

LIMIT = 100
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Shown:
    """One incident as the page shows it.

    Attributes
    ----------
    incident : Incident
    minutes : int
        How long it lasted, or has lasted.
    customers, restored : int
    rows : tuple of Interrupted
    turn : int or None
        In which order a crew repairs those that wait: medical customers first, then by
        customers. None once it is over.
    """

    incident: Incident
    minutes: int
    customers: int
    restored: int
    rows: tuple[Interrupted, ...]
    turn: int | None


def _shown(tx: Transaction, site: Site, now_s: int) -> list[Shown]:
    found = stored.incidents(tx, LIMIT)
    rows: dict[int, list[Interrupted]] = {one.id: [] for one in found}
    for row in stored.interruptions(tx, list(rows)):
        rows[row.incident].append(row)
    turns = _turns(tx, site, found, rows)
    shown = []
    for one in found:
        mine = rows[one.id]
        waiting = {row.usage_point for row in mine if row.end_s is None}
        customers = {row.usage_point for row in mine}
        until_s = now_s if one.end_s is None else one.end_s
        shown.append(
            Shown(
                incident=one,
                minutes=max(until_s - one.start_s, 0) // _MINUTE_S,
                customers=len(customers),
                restored=len(customers - waiting),
                rows=tuple(mine),
                turn=turns.get(str(one.id)),
            )
        )
    return shown


def _turns(
    tx: Transaction, site: Site, found: list[Incident], rows: dict[int, list[Interrupted]]
) -> dict[str, int]:
    """Return which open incident is repaired first, second and so on, by its number."""
    medical = medical_loads.medical(tx, site)
    waiting = []
    for one in found:
        points = {row.usage_point for row in rows[one.id] if row.end_s is None}
        if one.end_s is None:
            waiting.append(Waiting(str(one.id), len(points), len(points & medical)))
    return {one.name: turn for turn, one in enumerate(repair_order(waiting), start=1)}


def _indices(tx: Transaction, site: Site, now_s: int) -> dict[str, Indices]:
    day = interval.local_day(now_s, site.time_zone)
    return {
        name: outage_facts.reliability(tx, site, *bounds, now_s=now_s)
        for name, bounds in outage_facts.periods(site, day).items()
    }


def _all() -> dict[str, object]:
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx) or 0
        shown = _shown(tx, here.site, now_s)
        indices = _indices(tx, here.site, now_s)
    return {
        "waiting": [one for one in shown if one.incident.end_s is None],
        "over": [one for one in shown if one.incident.end_s is not None],
        "indices": indices,
    }


@pages.get("")
def incidents() -> str:
    """Show the incidents that last, those that are over, and the indices of month and year."""
    return render_template("incidents.html", **_all())


@pages.get("/live")
def incidents_live() -> Response:
    """Show the part of :func:`incidents` that changes."""
    return live(render_template("incidents_live.html", **_all()))
