"""Readings of one usage point and day: how each came about, and setting them with a reason."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_security import current_user

from grid import interval
from grid.console.prosumer_day import day_chart
from grid.console.web_view import clock, form_text, only_fields, room
from grid.errors import BadInputError, StoreError
from grid.operation import reading_edits
from grid.store import Transaction, edits, series
from meters.reading import CHANNELS
from meters.vee.editing import TEXT_MAX, Edit
from meters.vee.quality import Quality
from meters.vee.rules import trace as rules_behind

pages = Blueprint("readings", __name__, url_prefix="/readings")

_DAYS_BACK = dt.timedelta(days=3660)
_READ_WITHIN_S = 3600
_DIGITS = 11


@dataclass(frozen=True, slots=True)
class Named:
    """What a page about a usage point or the feeder head needs of it."""

    id: str


@dataclass(frozen=True, slots=True)
class Run:
    """Quarter-hours in a row that the same rules decided."""

    from_s: int
    to_s: int
    quality: Quality
    rules: str


def _names() -> list[str]:
    """Return what there is to look at, the feeder head last."""
    site = room().site
    return [
        *(str(point.id) for point in site.usage_point),
        *(str(meter.id) for meter in site.meter if meter.usage_point is None),
    ]


def _selected(text: str) -> Named:
    names = _names()
    name = text or names[0]
    if name not in names:
        abort(404)
    return Named(name)


def _day(now_s: int) -> tuple[dt.date, dt.date]:
    zone = room().site.time_zone
    last = interval.local_day(now_s, zone)
    text = request.args.get("day")
    day = interval.parse_date(text) if text else interval.local_day(now_s - _READ_WITHIN_S, zone)
    if not last - _DAYS_BACK <= day <= last:
        abort(404)
    return day, last


@pages.get("/day")
def day() -> str:
    """Show a day: its chart, what decided its values, one interval's origin, its edits."""
    here, point = room(), _selected(request.args.get("usage_point", ""))
    zone = here.site.time_zone
    with here.store.read() as tx:
        now_s = clock(tx)
        if now_s is None:
            return render_template("readings_day.html", chart=None, point=point)
        shown, last = _day(now_s)
        low, high = interval.day_bounds(shown, zone)
        found = series.get_intervals(tx, [point.id], low, high, time_zone=zone, decided=True)
        made = edits.about(tx, point.id, low, high)
        origin = _origin(tx, point.id, low, high)
    one = dt.timedelta(days=1)
    chart = day_chart(found, now_s)
    return render_template(
        "readings_day.html",
        point=point,
        names=_names(),
        chart=chart,
        decided=_decided(found, here.site.interval_s),
        rules=[rules_behind(int(code)) for code in found["rule"].values[0]],
        edits=made,
        origin=origin,
        registers=CHANNELS,
        refused=session.pop("refused", None),
        day=shown,
        before=shown - one,
        after=shown + one if shown < last else None,
    )


def _origin(tx: Transaction, name: str, low: int, high: int) -> reading_edits.Trace | None:
    text = request.args.get("at", "")
    if not text:
        return None
    if not (text.isdecimal() and len(text) <= _DIGITS and low <= int(text) < high):
        abort(404)
    try:
        return reading_edits.trace(tx, room().site, name, int(text))
    except BadInputError:
        abort(404)


def _decided(found: xr.Dataset, step_s: int) -> list[Run]:
    """Return the stretches that are not simply as read."""
    starts = found["interval"].values.astype("datetime64[s]").astype(np.int64).tolist()
    columns = zip(
        starts,
        found["quality"].values[0].tolist(),
        found["rule"].values[0].tolist(),
        strict=True,
    )
    runs: list[Run] = []
    for at_s, quality, rule in columns:
        if not rule:
            continue
        kind, text = Quality(quality), rules_behind(rule)
        last = runs[-1] if runs else None
        if last and (last.to_s, last.quality, last.rules) == (at_s, kind, text):
            runs[-1] = Run(last.from_s, at_s + step_s, kind, text)
        else:
            runs.append(Run(at_s, at_s + step_s, kind, text))
    return runs


@pages.post("/edit")
def edit() -> Any:
    """Set readings to what a person says, with the reason."""
    only_fields("usage_point", "at", "register", "values", "reason", "until_better")
    point = _selected(form_text("usage_point"))
    at, values = form_text("at", _DIGITS), form_text("values", 2000)
    if not at.isdecimal():
        abort(400)
    here, at_s = room(), int(at)
    with here.store.write() as tx:
        try:
            wanted = Edit(
                meter=point.id,
                channel=form_text("register"),
                start_s=at_s,
                values_wh=_whole(values),
                reason=form_text("reason", TEXT_MAX),
                editor=current_user.email,
                at_s=clock(tx) or 0,
                until_better=form_text("until_better") == "yes",
            )
            reading_edits.set_readings(tx, here.site, wanted)
        except BadInputError as error:
            session["refused"] = str(error)
    return _back(point.id, at_s)


@pages.post("/edit/<int:number>/take-back")
def take_back(number: int) -> Any:
    """Withdraw an edit."""
    only_fields()
    here = room()
    with here.store.write() as tx:
        try:
            stored = edits.get_edit(tx, number)
        except StoreError:
            abort(404)
        try:
            reading_edits.take_back(tx, here.site, number, current_user.email, clock(tx) or 0)
        except (BadInputError, StoreError) as error:
            session["refused"] = str(error)
    return _back(stored.edit.meter, stored.edit.start_s)


def _whole(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= _DIGITS for part in parts):
        raise BadInputError(_("Values are whole numbers, one per quarter-hour: 120, 135"))
    return tuple(int(part) for part in parts)


def _back(name: str, at_s: int) -> Any:
    shown = interval.local_day(at_s, room().site.time_zone)
    return redirect(url_for("readings.day", usage_point=name, day=shown.isoformat()))
