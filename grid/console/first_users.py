"""One-time credentials for the first people of a site."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from grid.console.auth_passwords import hash_password
from grid.console.permissions import ROLES
from grid.errors import BadInputError
from grid.operation.record import record_action
from grid.site import Site, UsageKind
from grid.store import Store, agreements, control, people

_DOMAIN = "khazri.example"


def add(
    store: Store, site: Site, email: str, roles: Sequence[str], party: str | None = None
) -> str:
    """Add a user and return the one-time password.

    Raises
    ------
    BadInputError
        When a role or party is unknown, or the address is taken.
    """
    if unknown := sorted(set(roles) - set(ROLES)):
        raise BadInputError(f"role {unknown[0]!r} is not known; known: {', '.join(ROLES)}")
    if "prosumer" in roles and party is None:
        raise BadInputError("a prosumer acts for a party: name it")
    password = secrets.token_urlsafe(12)
    hashed = hash_password(password)
    with store.write() as tx:
        at_s = control.clock_s(tx)
        if party is not None and party not in agreements.parties(tx):
            raise BadInputError(f"party {party!r} is not in the site")
        people.create(
            tx,
            email=email,
            name=email.split("@")[0],
            password_hash=hashed,
            roles=roles,
            at_s=at_s,
            party=party,
        )
        record_action(
            tx, site, at_s=at_s, user="command line", kind="user.add", subject="user",
            detail={"email": email, "party": party, "roles": sorted(roles)},
        )  # fmt: skip
    return password


def first_users(store: Store, site: Site) -> list[str]:
    """Add one user per persona when there is none yet; return lines to show, once."""
    with store.read() as tx:
        if people.people(tx):
            return ["sign in as before; 'khazri user add' makes new users"]
    plants = {plant.usage_point for plant in site.solar}
    seller = next(
        (p.party for p in site.usage_point if p.id in plants and p.kind is UsageKind.HOUSEHOLD),
        site.usage_point[0].party,
    )
    chosen: list[tuple[str, list[str], str | None]] = [
        ("operator", ["operator"], None),
        ("metering", ["metering"], None),
        ("prosumer", ["prosumer"], seller),
        ("auditor", ["auditor"], None),
        ("administrator", ["administrator"], None),
    ]
    lines = []
    for name, roles, party in chosen:
        email = f"{name}@{_DOMAIN}"
        lines.append(f"{email:<32} {add(store, site, email, roles, party)}")
    return lines
