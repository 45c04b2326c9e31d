"""Options that several commands share, what their values may be, and how machines are answered.

A wrong value is wrong usage: the parser names the option, the value and the limit, and the
exit status is 2.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from grid import interval
from grid.errors import BadInputError

_FIRST_DAY, _LAST_DAY = date(1980, 1, 1), date(2199, 12, 31)
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_EMAIL_LENGTH = 254

T = TypeVar("T")


class UsageError(BadInputError):
    """Options that are wrong together: exit status 2, as any wrong usage."""


def checked(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return `read` for an option: what it refuses is wrong usage."""

    def value(text: str) -> T:
        try:
            return read(text)
        except BadInputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`."""

    def value(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} must be a whole number within {low} to {high}"
            )
        return int(text)

    return value


def number(
    low: float, high: float, unit: str = "", *, what: str = "a number"
) -> Callable[[str], float]:
    """Return what reads a number from `low` to `high`."""

    def value(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not low <= found <= high:
            limits = f"{low:g} to {high:g} {unit}".rstrip()
            raise argparse.ArgumentTypeError(f"{text[:40]!r} must be {what} within {limits}")
        return found

    return value


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number of seconds from `low` to `high`."""
    return number(low, high, what="seconds")


@checked
def day(text: str) -> date:
    """Return a day written ``YYYY-MM-DD``, of the years 1980 to 2199."""
    found = interval.parse_date(text)
    if not _FIRST_DAY <= found <= _LAST_DAY:
        raise BadInputError(f"{text!r} must be within {_FIRST_DAY} to {_LAST_DAY}")
    return found


instant = checked(interval.parse)
port = whole(0, 65_535)
seed = whole(0, 2**63 - 1)


@checked
def email(text: str) -> str:
    """Return an e-mail address."""
    if len(text) > _EMAIL_LENGTH or not _EMAIL.fullmatch(text):
        raise BadInputError(f"{text[:60]!r} is not an e-mail address such as a@example.org")
    return text


def database(text: str) -> str:
    """Return the URL of a database."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(text)
    except ArgumentError as error:
        # The text is not shown: it may hold a password.
        message = "must be the URL of a database: sqlite:///PATH or postgresql+psycopg://…"
        raise argparse.ArgumentTypeError(message) from error
    return text


def directory(parser: argparse.ArgumentParser, *, default: str = ".") -> None:
    """Add ``--dir``, the folder of the site's state."""
    parser.add_argument("--dir", type=Path, default=Path(default), help="folder of the site")


def as_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")


def answer(options: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    """Print `facts` as the last line for machines, or `text` for people."""
    print(json.dumps(facts, sort_keys=False) if options.json else text)
