"""What is answered instead of a page: refusals, and a store that does not answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, SecurityError

from grid.errors import BadInputError, StoreError
from grid.store import ReadOnlyError

_STORE_ERRORS: Final = (StoreError, DBAPIError, PoolTimeoutError)
_RETRY_S: Final = 10
# Read once: with the store down nothing that a template's context reads can be counted on,
# the reader's language neither, so it is said in all three.
_UNAVAILABLE: Final = (Path(__file__).parent / "templates" / "unavailable.html").read_bytes()

_log = logging.getLogger(__name__)


def init(app: Flask) -> None:
    """Attach the answers to the application."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(BadInputError, _bad_input)
    app.register_error_handler(ReadOnlyError, _read_only)
    for kind in _STORE_ERRORS:
        app.register_error_handler(kind, _store_failed)


def _refused(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error
    if isinstance(error, SecurityError):
        return Response("unknown host\n", status=400, mimetype="text/plain")
    return _page(400 if isinstance(error, CSRFError) else error.code, None)


def _bad_input(error: BadInputError) -> Any:
    return _page(400, str(error))


def _read_only(error: ReadOnlyError) -> Any:
    # Pages are read on, and this one can say what is the matter.
    _log.error("event=store_read_only endpoint=%s", request.endpoint)
    return _page(503, str(error))


def _page(code: int, message: str | None) -> Any:
    try:
        return render_template("error.html", code=code, message=message), code
    except _STORE_ERRORS as error:
        return _store_failed(error)


def _store_failed(error: Exception) -> Response:
    # A database error's text has the statement and its values: only its first line is kept.
    text = str(getattr(error, "orig", None) or error).partition("\n")[0]
    _log.error("event=store_failed endpoint=%s message=%r", request.endpoint, text)
    headers = {"Retry-After": str(_RETRY_S), "Cache-Control": "no-store"}
    if request.endpoint == "healthz":
        body, kind = b"the store does not answer\n", "text/plain"
    else:
        body, kind = _UNAVAILABLE, "text/html"
    return Response(body, status=503, headers=headers, mimetype=kind)
