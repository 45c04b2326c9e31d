"""The log as C2SP tlog-tiles serves it, for a verifier in the auditor's browser."""

from __future__ import annotations

import re
from typing import Final

from flask import Blueprint, Response, abort

from grid.console.web_view import room
from grid.errors import StoreError
from grid.store import Transaction, log
from trading.ledger.tiles import ENTRIES, WIDTH, tile_path

pages = Blueprint("auditor_log", __name__, url_prefix="/audit/log")

_PATH: Final = re.compile(r"((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
_LEVEL: Final = re.compile("[0-7]", re.ASCII)


@pages.get("/checkpoint")
def checkpoint() -> Response:
    """Return the newest signed checkpoint; 404 before the first."""
    with room().store.read() as tx:
        newest = log.checkpoints(tx, limit=1)
    if not newest:
        abort(404)
    return Response(str(newest[0]["note"]), mimetype="text/plain")


@pages.get("/tile/<level>/<path:place>")
def tile(level: str, place: str) -> Response:
    """Return a tile or an entry bundle as it is stored; 404 when the log is not so long."""
    found = _PATH.fullmatch(place)
    if found is None or not (level == ENTRIES or _LEVEL.fullmatch(level)):
        abort(404)
    number, width = int(re.sub("[x/]", "", found[1])), int(found[2] or WIDTH)
    if width > WIDTH or tile_path(level, number, width) != f"tile/{level}/{place}":
        abort(404)
    with room().store.read() as tx:
        content = _content(tx, level, number, width)
    return Response(content, mimetype="application/octet-stream")


def _content(tx: Transaction, level: str, number: int, width: int) -> bytes:
    """Return the bytes of a tile: nothing here is checked, that is the reader's part."""
    if level == ENTRIES:
        first = number * WIDTH
        entries = list(log.entries(tx, first, first + width))
        if len(entries) != width:
            abort(404)
        return b"".join(len(one).to_bytes(2, "big") + one for one in entries)
    try:
        return b"".join(log.tile(tx, int(level), number, width))
    except StoreError:
        abort(404)
