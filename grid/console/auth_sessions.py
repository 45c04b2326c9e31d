"""Sessions: one cookie, twelve hours from signing in, ended everywhere at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_security import current_user, logout_user

from grid.console.auth_limiter import PAIR_ATTEMPTS_MAX
from grid.console.auth_login import hashing, limiter, too_many
from grid.console.auth_passwords import (
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    hash_password,
    is_password,
)
from grid.console.web_view import clock, only_fields, record, room
from grid.store import people

LIFETIME_S: Final = 12 * 3600
_SINCE: Final = "since_s"

pages = Blueprint("account", __name__, url_prefix="/account")


def now_s() -> float:
    """Return the wall time in seconds: a session ends by people's clock, not by the site's."""
    return time.time()


def begin() -> None:
    """Start the session of who has just signed in."""
    session.permanent = True
    session[_SINCE] = int(now_s())


def init(app: Flask, release: Callable[[], None]) -> None:
    """Bound what loads a user: a session that began here, nothing else.

    Parameters
    ----------
    release : callable
        Gives the connection back that loading a user took.
    """
    manager = app.login_manager  # type: ignore[attr-defined]  # flask-login puts it there
    load = manager._user_callback

    @manager.user_loader  # type: ignore[untyped-decorator]  # no types
    def within_its_time(token: str) -> Any:
        if request.endpoint == "static":
            return None  # a style is everybody's, and is there when the store is not
        since_s = session.get(_SINCE)
        if not isinstance(since_s, int) or not 0 <= now_s() - since_s < LIFETIME_S:
            return None
        found = load(token)
        release()
        return found

    # What a token of a request or a remembered browser brings is nobody.
    manager.request_loader(lambda _: None)
    app.view_functions["security.logout"] = _everywhere(app.view_functions["security.logout"])
    app.register_blueprint(pages)


def _everywhere(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def logout() -> Any:
        if current_user.is_authenticated:
            with room().store.write() as tx:
                people.end_sessions(tx, current_user.id)
        session.pop(_SINCE, None)
        return view()

    return logout


@pages.get("/password")
def password() -> str:
    """Show the form to change the own password."""
    return _page()


def _page(problem: str = "") -> str:
    return render_template("account_password.html", problem=problem, length_min=PASSWORD_LENGTH_MIN)


@pages.post("/password")
def set_password() -> Any:
    """Change the own password; every session of the user ends, this one too."""
    only_fields("current", "new", "again")
    old, new = request.form.get("current", ""), request.form.get("new", "")
    if problem := _problem(old, new, request.form.get("again", "")):
        return _page(problem), 400
    store, number = room().store, int(current_user.id)
    key = ("password", number)
    if wait_s := limiter().attempt((key, PAIR_ATTEMPTS_MAX)):
        return too_many(wait_s)
    with store.read() as tx:
        stored = people.password_hash(tx, number)
    with hashing():
        right = is_password(old[:PASSWORD_LENGTH_MAX], stored)
        password_hash = hash_password(new) if right else ""
    if not right:
        return _page(_("The present password is wrong.")), 400
    with store.write() as tx:
        people.set_password(tx, number, password_hash)
        record(tx, clock(tx) or 0, "user.password", str(number), {})
    limiter().forget(key)
    session.pop(_SINCE, None)
    logout_user()
    return redirect(url_for("security.login", changed=1))


def _problem(old: str, new: str, again: str) -> str:
    """Return what is wrong with the new password before anything is hashed."""
    if not PASSWORD_LENGTH_MIN <= len(new) <= PASSWORD_LENGTH_MAX:
        text = _("A password has %(least)s to %(most)s characters.")
        return str(text) % {"least": PASSWORD_LENGTH_MIN, "most": PASSWORD_LENGTH_MAX}
    if new != again:
        return str(_("The new password was not written twice the same way."))
    return str(_("The new password is the present one.")) if new == old else ""
