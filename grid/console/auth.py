"""Signing in: Flask-Security on the store's users, and the gate before every page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, redirect, request, url_for
from flask_security import LoginForm, RoleMixin, Security, UserMixin, current_user
from flask_security.datastore import SQLAlchemySessionUserDatastore
from sqlalchemy.orm import DeclarativeBase, relationship, scoped_session, sessionmaker

from grid.console import auth_login, auth_sessions
from grid.console.auth_passwords import PASSWORD_LENGTH_MIN
from grid.console.permissions import PUBLIC, SIGNED_IN, allowed
from grid.store import Store, schema


class _Base(DeclarativeBase):
    metadata = schema.metadata


class Role(_Base, RoleMixin):
    """A role as Flask-Security sees it."""

    __table__ = schema.role


class Login(LoginForm):
    """The login form without a box to be remembered: a session has one end."""

    remember = None


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
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": auth_sessions.LIFETIME_S,
        "WTF_CSRF_TIME_LIMIT": None,
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_LOGOUT_METHODS": ["POST"],
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
    security = Security(app, datastore, login_form=Login)
    security.want_json(lambda _: False)
    auth_login.init(app, auth_sessions.begin)
    auth_sessions.init(app, sessions.commit)
    app.before_request(_gate)

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
        return redirect(url_for("security.login", next=after if plain else None))  # type: ignore[return-value]  # werkzeug and flask name it apart
    if not allowed(endpoint, roles()):
        abort(403)
    return None
