"""Identifiers: short, printable, safe in a URL, a file name and a log line."""

from __future__ import annotations

import re
from typing import NewType

from grid.errors import BadInputError

UsagePointId = NewType("UsagePointId", str)
MeterId = NewType("MeterId", str)
SensorId = NewType("SensorId", str)
AssetId = NewType("AssetId", str)
PartyId = NewType("PartyId", str)
TariffId = NewType("TariffId", str)
AccountId = NewType("AccountId", str)
OrderId = NewType("OrderId", str)

_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def check(text: str, what: str) -> str:
    """Return `text` when it is a well-formed identifier.

    Raises
    ------
    BadInputError
        When it is empty, longer than 64 characters, or has other characters
        than letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _PATTERN.fullmatch(text):
        raise BadInputError(
            f"{what} {text!r} is not an identifier: 1 to 64 of A-Z a-z 0-9 . _ - "
            "starting with a letter or digit"
        )
    return text
