"""Passwords: argon2id, without loading the web application."""

from __future__ import annotations

from argon2 import PasswordHasher

from grid.errors import BadInputError

PASSWORD_LENGTH_MIN = 12


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password.

    Raises
    ------
    BadInputError
        When it is shorter than :data:`PASSWORD_LENGTH_MIN` characters.
    """
    if len(password) < PASSWORD_LENGTH_MIN:
        raise BadInputError(f"a password has at least {PASSWORD_LENGTH_MIN} characters")
    return PasswordHasher().hash(password)
