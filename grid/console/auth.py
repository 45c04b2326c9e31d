"""Signing in: Flask-Security on the store's users, and the gate before every page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, redirect, request, session, url_for
from flask_security import RoleMixin, Security, UserMixin, current_user
from flask_security.datastore import SQLAlchemySessionUserDatastore
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import DeclarativeBase, relationship, scoped_session, sessionmaker

from grid.console.auth_limiter import CALLER_FAILURES_MAX, Limiter
from grid.console.auth_passwords import PASSWORD_LENGTH_MIN
from grid.console.permissions import PUBLIC, SIGNED_IN, allowed
from grid.store import Store, schema

_MARK = "khazri_known"
_MARK_AGE_S = 180 * 86_400


class _Base(DeclarativeBase):
    metadata = schema.metadata


class Role(_Base, RoleMixin):
    """A role as Flask-Security sees it."""

    __table__ = schema.role


class User(_Base, UserMixin):
    """A user as Flask-Security sees it."""

    __table__ = schema.user
    roles = relationship(Role, secondary=schema.user_role, lazy="joined")


def settings(secret_key: bytes, *, secure: bool) -> dict[str, Any]:
    """Return what Flask, Flask-WTF and Flask-Security are told."""
    return {
        "SECRET_KEY": secret_key,
        "SESSION_COOKIE_NAME": "khazri",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": secure,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": secure,
        "PERMANENT_SESSION_LIFETIME": 12 * 3600,
        "WTF_CSRF_TIME_LIMIT": None,
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_DEPRECATED_PASSWORD_SCHEMES": [],
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],
        "SECURITY_PASSWORD_LENGTH_MIN": PASSWORD_LENGTH_MIN,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_FLASH_MESSAGES": False,
        "SECURITY_LOGIN_USER_TEMPLATE": "login.html",
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False, "test_environment": True},
        "SECURITY_POST_LOGIN_VIEW": "/",
        "SECURITY_POST_LOGOUT_VIEW": "/login",
        "SECURITY_STATIC_FOLDER_URL": "/no-such-folder",
    }


def init(app: Flask, store: Store) -> None:
    """Attach sign-in, the limiter and the gate to the application."""
    sessions = scoped_session(sessionmaker(store.engine, expire_on_commit=False))
    datastore = SQLAlchemySessionUserDatastore(sessions, User, Role)
    app.extensions["khazri.limiter"] = Limiter()
    app.before_request(_limit)
    Security(app, datastore)
    app.before_request(_gate)
    app.after_request(_count)

    @app.teardown_appcontext
    def close(_: object) -> None:
        sessions.remove()


def roles() -> frozenset[str]:
    """Return the roles of whoever is signed in."""
    if not current_user.is_authenticated:
        return frozenset()
    return frozenset(role.name for role in current_user.roles)


def _gate() -> Response | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC:
        return None
    if not current_user.is_authenticated:
        if request.headers.get("HX-Request") or request.method not in ("GET", "HEAD"):
            return Response(status=401, headers={"HX-Redirect": url_for("security.login")})
        after = request.full_path.rstrip("?")
        plain = not urlsplit(after).netloc and endpoint not in SIGNED_IN
        return redirect(url_for("security.login", next=after if plain else None))  # type: ignore[return-value]
    if not allowed(endpoint, roles()):
        abort(403)
    return None


def _is_attempt() -> bool:
    return request.endpoint == "security.login" and request.method == "POST"


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or b"", salt="known browser")


def _keys() -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the key of account and caller, and that of the caller alone."""
    account = request.form.get("email", "")[:255].strip().lower()
    caller = request.remote_addr or ""
    try:
        known = _serializer().loads(request.cookies.get(_MARK, ""))
    except BadSignature:
        known = None
    if known == account:
        return (account, "known"), ("known", account)
    return (account, caller), ("caller", caller)


def _limit() -> Response | None:
    if not _is_attempt():
        return None
    limiter: Limiter = current_app.extensions["khazri.limiter"]
    account, caller = _keys()
    wait = max(limiter.wait_s(account), limiter.wait_s(caller, CALLER_FAILURES_MAX))
    if not wait:
        return None
    from flask import render_template
    from flask_babel import gettext as _

    message = _("Too many wrong passwords. Try again in %(minutes)s min.", minutes=wait // 60 + 1)
    page = render_template("error.html", code=429, message=message)
    return Response(page, status=429, headers={"Retry-After": str(wait)})


def _count(response: Response) -> Response:
    if not _is_attempt() or response.status_code == 429:
        return response
    limiter: Limiter = current_app.extensions["khazri.limiter"]
    account, caller = _keys()
    if response.status_code in (302, 303) and current_user.is_authenticated:
        limiter.succeeded(account)
        session.permanent = True
        response.set_cookie(
            _MARK,
            str(_serializer().dumps(current_user.email)),
            max_age=_MARK_AGE_S,
            httponly=True,
            samesite="Lax",
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            path="/login",
        )
    elif response.status_code == 200:
        limiter.failed(account)
        limiter.failed(caller)
    return response
