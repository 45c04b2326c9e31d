"""The login view behind its limits: counted and admitted before any password is hashed."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, TypeAlias

from flask import Flask, Response, abort, current_app, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_security import current_user, uia_email_mapper
from itsdangerous import BadSignature, URLSafeSerializer

from grid.console.auth_limiter import (
    ACCOUNT_ATTEMPTS_MAX,
    CALLER_ATTEMPTS_MAX,
    PAIR_ATTEMPTS_MAX,
    HashSlots,
    Limiter,
)
from grid.console.web_view import own_path

Key: TypeAlias = tuple[tuple[str, ...], int]

_FORM: Final = "application/x-www-form-urlencoded"
_MARK: Final = "khazri_known"
_MARK_AGE_S: Final = 180 * 86_400
_BUSY_S: Final = 2


def init(app: Flask, begin: Callable[[], None]) -> None:
    """Put the limits before the login view; `begin` starts the session of who gets in."""
    app.extensions["khazri.limiter"] = Limiter()
    app.extensions["khazri.slots"] = HashSlots()
    app.view_functions["security.login"] = _guarded(app.view_functions["security.login"], begin)


def too_many(wait_s: int) -> Response:
    """Return the page that says how long to wait after too many attempts."""
    message = _("Too many wrong passwords. Try again in %(minutes)s min.", minutes=wait_s // 60 + 1)
    return _wait(message, wait_s)


def busy() -> Response:
    """Return the page that says that too many passwords are being checked."""
    message = _("Many people are signing in at this moment. Try again in a few seconds.")
    return _wait(message, _BUSY_S)


def limiter() -> Limiter:
    """Return the limiter of this application."""
    found: Limiter = current_app.extensions["khazri.limiter"]
    return found


@contextmanager
def hashing() -> Iterator[None]:
    """Hold a place for one password hash; answer 429 when none becomes free."""
    with _slots().taken() as got:
        if not got:
            abort(busy())
        yield


def _slots() -> HashSlots:
    found: HashSlots = current_app.extensions["khazri.slots"]
    return found


def _wait(message: str, wait_s: int) -> Response:
    page = render_template("error.html", code=429, message=message)
    return Response(page, status=429, headers={"Retry-After": str(wait_s)})


def _guarded(view: Callable[..., Any], begin: Callable[[], None]) -> Callable[..., Any]:
    @wraps(view)
    def login() -> Any:
        for after in (*request.args.getlist("next"), *request.form.getlist("next")):
            if after and own_path(after) != after:
                abort(400)
        if request.method != "POST":
            return view()
        if current_user.is_authenticated:
            return redirect(url_for("home"))
        if request.mimetype != _FORM:
            abort(415)
        keys = _keys()
        if wait_s := limiter().attempt(*keys):
            return too_many(wait_s)
        with _slots().taken() as got:
            if not got:
                _withdraw(keys)
                return busy()
            answer = current_app.make_response(view())
        if current_user.is_authenticated:
            _withdraw(keys)
            limiter().forget(keys[0][0])
            begin()
            _mark(answer)
        return answer

    return login


def _withdraw(keys: tuple[Key, ...]) -> None:
    for key, _limit in keys:
        limiter().withdraw(key)


def _keys() -> tuple[Key, ...]:
    """Return what an attempt is counted under, that of account and caller first."""
    written = request.form.get("email", "")[:255].strip()
    # As the datastore will look it up, so that one account has one spelling.
    account = (uia_email_mapper(written) or written).lower()
    try:
        known = _serializer().loads(request.cookies.get(_MARK, ""))
    except BadSignature:
        known = None
    if known == account:
        return ((("known", account), PAIR_ATTEMPTS_MAX),)
    caller = _caller()
    return (
        (("pair", account, caller), PAIR_ATTEMPTS_MAX),
        (("account", account), ACCOUNT_ATTEMPTS_MAX),
        (("caller", caller), CALLER_ATTEMPTS_MAX),
    )


def _caller() -> str:
    """Return the caller's address; of IPv6 the network, which one customer has whole."""
    text = request.remote_addr or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if address.version == 4:
        return text
    return str(ipaddress.ip_network((address.packed, 64), strict=False))


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or b"", salt="known browser")


def _mark(answer: Response) -> None:
    answer.set_cookie(
        _MARK,
        str(_serializer().dumps(current_user.email)),
        max_age=_MARK_AGE_S,
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        path="/login",
    )
