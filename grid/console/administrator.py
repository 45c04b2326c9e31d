"""The administrator's pages: users, meters, system."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_security import current_user

from grid.console import meter_health
from grid.console.auth_login import hashing
from grid.console.auth_passwords import hash_password
from grid.console.permissions import ROLES
from grid.console.web_view import clock, form_text, only_fields, record, room
from grid.errors import BadInputError
from grid.store import agreements, log, people

pages = Blueprint("administrator", __name__, url_prefix="/admin")


@pages.get("/users")
def users() -> str:
    """List the users."""
    here = room()
    with here.store.read() as tx:
        rows = people.people(tx)
        parties = list(agreements.parties(tx).values())
    return render_template("administrator_users.html", rows=rows, roles=ROLES, parties=parties)


def _roles() -> list[str]:
    wanted = request.form.getlist("role")
    if len(wanted) > len(ROLES) or set(wanted) - set(ROLES):
        abort(400)
    return sorted(set(wanted))


@pages.post("/users")
def create_user() -> Any:
    """Create a user with roles."""
    only_fields("email", "name", "password", "role", "party")
    here = room()
    try:
        email = validate_email(
            form_text("email"), check_deliverability=False, test_environment=True
        ).normalized.lower()
    except EmailNotValidError as error:
        raise BadInputError(str(error)) from error
    roles, party = _roles(), form_text("party", 64) or None
    if ("prosumer" in roles) != (party is not None):
        raise BadInputError("a prosumer, and only a prosumer, belongs to a party")
    with hashing():
        password_hash = hash_password(request.form.get("password", ""))
    with here.store.write() as tx:
        at_s = clock(tx) or 0
        if party is not None and party not in agreements.parties(tx):
            abort(400)
        number = people.create(
            tx,
            email=email,
            name=form_text("name") or email,
            password_hash=password_hash,
            roles=roles,
            at_s=at_s,
            party=party,
        )
        record(tx, at_s, "user.create", str(number), {"roles": list(roles)})
    return redirect(url_for("administrator.users"))


@pages.post("/users/<int:number>/roles")
def set_roles(number: int) -> Any:
    """Give a user exactly the chosen roles."""
    only_fields("role")
    roles = _roles()
    with room().store.write() as tx:
        one = people.person(tx, number)
        if one is None:
            abort(404)
        if ("prosumer" in roles) != (one.party is not None):
            raise BadInputError("a prosumer, and only a prosumer, belongs to a party")
        people.set_roles(tx, number, roles)
        record(tx, clock(tx) or 0, "user.roles", str(number), {"roles": list(roles)})
    return redirect(url_for("administrator.users"))


@pages.post("/users/<int:number>/active")
def set_active(number: int) -> Any:
    """Let a user in or shut them out."""
    only_fields("active")
    active = form_text("active", 3)
    if active not in ("yes", "no"):
        abort(400)
    if number == current_user.id:
        raise BadInputError("nobody shuts themselves out")
    with room().store.write() as tx:
        if people.person(tx, number) is None:
            abort(404)
        people.set_active(tx, number, active == "yes")
        record(tx, clock(tx) or 0, "user.active", str(number), {"active": active == "yes"})
    return redirect(url_for("administrator.users"))


@pages.get("/meters")
def meters() -> str:
    """Show how each meter and gateway is, over a day: age, answers, latencies, clock."""
    here = room()
    with here.store.read() as tx:
        now_s = clock(tx)
        rows = meter_health.meters_of(tx, here.site, now_s)
        gateways = meter_health.gateways_of(tx, now_s)
    return render_template("administrator_meters.html", rows=rows, gateways=gateways)


@pages.get("/system")
def system() -> str:
    """Show the facts of the system."""
    here = room()
    with here.store.read() as tx:
        entries, points = log.size(tx), log.checkpoints(tx, limit=1)
    facts = {
        "khazri": metadata.version("khazri"),
        "python": platform.python_version(),
        "store": here.store.engine.url.render_as_string(hide_password=True),
        "directory": str(here.directory),
        "entries": entries,
        "checkpoint": points[0]["size"] if points else 0,
    }
    packages = [
        (name, metadata.version(name))
        for name in ("flask", "flask-security", "sqlalchemy", "granian", "xarray", "cryptography")
    ]
    return render_template("administrator_system.html", facts=facts, packages=packages)
