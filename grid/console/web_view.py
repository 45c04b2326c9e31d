"""What every page needs: the site, its store, its clock, live parts and short texts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import xarray as xr
from flask import Response, abort, current_app, make_response, request
from flask_security import current_user
from flask_wtf.csrf import generate_csrf
from werkzeug.routing import IntegerConverter, Map

from grid import interval
from grid.site import Site
from grid.store import Store, Transaction, control, datasets
from grid.store.group_commit import GroupCommit

ROW_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Room:
    """What the console shows: one site and its store.

    `commits` is for what many people write at once: they share a sync of the disk.
    """

    site: Site
    store: Store
    directory: Path
    commits: GroupCommit


def room() -> Room:
    """Return the room of this application."""
    found: Room = current_app.extensions["khazri"]
    return found


def clock(tx: Transaction) -> int | None:
    """Return the site's time: the cycle the control room is in, or ``None`` before the first."""
    text = control.get_meta(tx, "clock_s")
    return None if text is None else int(text)


def civil(at_s: int | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return an instant in the site's civil time."""
    if at_s is None:
        return "–"
    zone = interval.zone(room().site.time_zone)
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).strftime(form)


def local_hhmm(at_s: int) -> str:
    """Return the civil hour and minute of an instant."""
    return interval.local_time(at_s, room().site.time_zone)


def stored(tx: Transaction, kind: str, at_s: int) -> xr.Dataset | None:
    """Return a stored dataset, decoded once."""
    return datasets.get_dataset(tx, kind, at_s)


def live(body: str) -> Response:
    """Return a live part with its ETag, or 304 when the reader has it."""
    response = make_response(body)
    # A token differs at each request and stays valid: only the rest counts as a change.
    lasting = body.replace(generate_csrf(), "")
    response.set_etag(hashlib.sha256(lasting.encode()).hexdigest()[:32])
    response.vary.update(["Cookie", "HX-Request"])
    response.make_conditional(request)
    return response


def record(tx: Transaction, at_s: int, kind: str, subject: str, detail: dict[str, object]) -> None:
    """Write what the signed-in person did, and its ledger entry, in this transaction."""
    from grid.operation.record import record_action

    record_action(
        tx,
        room().site,
        at_s=at_s,
        user=current_user.email,
        kind=kind,
        subject=subject,
        detail=detail,
    )


class Whole(IntegerConverter):
    """A row's number in a path: what the store could not hold leads to no page."""

    regex = "[0-9]{1,19}"

    def __init__(self, rules: Map) -> None:
        super().__init__(rules, max=ROW_MAX)


def row_argument(name: str) -> int | None:
    """Return a row's number from the query; ``None`` when it has none, 400 when it is none."""
    text = request.args.get(name, "")
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > ROW_MAX:
        abort(400)
    return int(text)


def own_path(text: str) -> str:
    """Return `text` when it is a path of this console, else the first page; 400 for what no
    address has: a browser drops a tab and would read the rest as another host."""
    if not text.isprintable():
        abort(400)
    plain = text.startswith("/") and not text.startswith("//") and "\\" not in text
    return text if plain and not urlsplit(text).netloc else "/"


def form_text(name: str, length: int = 255) -> str:
    """Return one field of the form, printable and not too long, else refuse with 400."""
    values = request.form.getlist(name)
    if len(values) > 1:
        abort(400)
    text = (values[0] if values else "").strip()
    if len(text) > length or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        abort(400)
    return text


def only_fields(*names: str) -> None:
    """Refuse a form that has other fields: nothing is assigned that a form does not offer."""
    if set(request.form) - {*names, "csrf_token"}:
        abort(400)
