"""Passwords: argon2id, without loading the web application."""

from __future__ import annotations

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from grid.errors import BadInputError

PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 1024


def _plain(password: str) -> str:
    """Return a password in one form, the one in which signing in compares it."""
    return unicodedata.normalize("NFKD", password)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password.

    Raises
    ------
    BadInputError
        When it is shorter than :data:`PASSWORD_LENGTH_MIN` or longer than
        :data:`PASSWORD_LENGTH_MAX` characters.
    """
    if len(password) < PASSWORD_LENGTH_MIN:
        raise BadInputError(f"a password has at least {PASSWORD_LENGTH_MIN} characters")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise BadInputError(f"a password has at most {PASSWORD_LENGTH_MAX} characters")
    return PasswordHasher().hash(_plain(password))


def is_password(password: str, password_hash: str) -> bool:
    """Return whether `password_hash` is of `password`."""
    try:
        return PasswordHasher().verify(password_hash, _plain(password))
    except (VerificationError, InvalidHashError):
        return False
