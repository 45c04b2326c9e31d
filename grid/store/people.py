"""Users and their roles. Passwords come here as argon2id hashes only."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from grid.errors import BadInputError
from grid.store.engine import Transaction
from grid.store.schema import role, user, user_role


@dataclass(frozen=True, slots=True)
class Person:
    """A user without the password."""

    id: int
    email: str
    name: str
    active: bool
    party: str | None
    language: str | None
    created_s: int
    roles: tuple[str, ...]


def _roles(tx: Transaction) -> dict[int, tuple[str, ...]]:
    rows = tx.execute(
        select(user_role.c.user_id, role.c.name)
        .join(role, role.c.id == user_role.c.role_id)
        .order_by(user_role.c.user_id, role.c.name)
    )
    found: dict[int, tuple[str, ...]] = {}
    for number, name in rows:
        found[number] = (*found.get(number, ()), name)
    return found


def people(tx: Transaction) -> list[Person]:
    """Return every user by e-mail address."""
    roles = _roles(tx)
    return [
        Person(
            id=row.id,
            email=row.email,
            name=row.name,
            active=bool(row.active),
            party=row.party,
            language=row.language,
            created_s=row.created_s,
            roles=roles.get(row.id, ()),
        )
        for row in tx.execute(select(user).order_by(user.c.email))
    ]


def person(tx: Transaction, number: int) -> Person | None:
    """Return one user, or ``None``."""
    return next((one for one in people(tx) if one.id == number), None)


def create(
    tx: Transaction,
    *,
    email: str,
    name: str,
    password_hash: str,
    roles: Collection[str],
    at_s: int,
    party: str | None = None,
    language: str | None = None,
) -> int:
    """Store a new user; return its number.

    Raises
    ------
    BadInputError
        When the address is taken.
    """
    email = email.strip().lower()
    if tx.execute(select(user.c.id).where(user.c.email == email)).first():
        raise BadInputError(f"there is a user {email} already")
    number = int(
        tx.execute(
            insert(user)
            .values(
                email=email,
                name=name,
                password=password_hash,
                active=True,
                fs_uniquifier=secrets.token_hex(16),
                party=party,
                language=language,
                created_s=at_s,
            )
            .returning(user.c.id)
        ).scalar_one()
    )
    set_roles(tx, number, roles)
    return number


def set_roles(tx: Transaction, number: int, roles: Collection[str]) -> None:
    """Give a user exactly these roles."""
    known = {row.name: row.id for row in tx.execute(select(role))}
    for name in sorted(set(roles) - set(known)):
        statement = insert(role).values(name=name).returning(role.c.id)
        known[name] = tx.execute(statement).scalar_one()
    tx.execute(delete(user_role).where(user_role.c.user_id == number))
    rows = [{"user_id": number, "role_id": known[name]} for name in sorted(set(roles))]
    if rows:
        tx.execute(insert(user_role), rows)
    _require_administrator(tx)


def set_active(tx: Transaction, number: int, active: bool) -> None:
    """Let a user in or shut them out; every session of theirs ends."""
    tx.execute(update(user).where(user.c.id == number).values(active=active))
    end_sessions(tx, number)
    _require_administrator(tx)


def password_hash(tx: Transaction, number: int) -> str:
    """Return the argon2id hash of a user's password; empty when there is none."""
    query = select(user.c.password).where(user.c.id == number)
    return tx.execute(query).scalar_one_or_none() or ""


def set_password(tx: Transaction, number: int, password_hash: str) -> None:
    """Give a user another password; every session of theirs ends."""
    tx.execute(update(user).where(user.c.id == number).values(password=password_hash))
    end_sessions(tx, number)


def end_sessions(tx: Transaction, number: int) -> None:
    """End every session of a user: each names the token that is replaced here."""
    token = secrets.token_hex(16)
    tx.execute(update(user).where(user.c.id == number).values(fs_uniquifier=token))


def set_language(tx: Transaction, number: int, language: str) -> None:
    """Keep the language a user reads."""
    tx.execute(update(user).where(user.c.id == number).values(language=language))


def _require_administrator(tx: Transaction) -> None:
    administrators = tx.execute(
        select(func.count())
        .select_from(user_role)
        .join(role, role.c.id == user_role.c.role_id)
        .join(user, user.c.id == user_role.c.user_id)
        .where(role.c.name == "administrator", user.c.active)
    ).scalar_one()
    ever = tx.execute(select(role.c.id).where(role.c.name == "administrator")).first()
    if ever and not administrators:
        raise BadInputError("the last administrator must stay")
