"""The client's title and keys in a file of their own: they are never said on a command line.

::

    title = "4b485a0000000001"
    encryption_key = "000102030405060708090a0b0c0d0e0f"
    authentication_key = "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
    suite = 0            # these three may be left out
    general = false
    dedicated = false
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grid.errors import BadInputError
from meters.reading import Ciphering

_BYTES = ("title", "encryption_key", "authentication_key")
_KINDS: dict[str, type] = {"suite": int, "general": bool, "dedicated": bool}
MAX_FILE = 4096


def read_keys(path: Path) -> Ciphering:
    """Return the ciphering of a file of keys.

    Raises
    ------
    BadInputError
        When it cannot be read, others may read it, or a value is wrong; what it holds
        is not shown.
    """
    try:
        table = tomllib.loads(text_of_owner(path, MAX_FILE))
    except (ValueError, RecursionError):
        raise BadInputError(f"{path} is not TOML") from None
    return ciphering_of(table, str(path))


def text_of_owner(path: Path, most: int) -> str:
    """Return the text of a file of secrets, of `most` bytes.

    Raises
    ------
    BadInputError
        When it cannot be read, is longer, or others than its owner may read it.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise BadInputError(f"{path}: others may read these keys; allow it to their owner only")
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise BadInputError(f"{path}: must have at most {most} bytes")
        return content.decode()
    except UnicodeDecodeError:
        raise BadInputError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error


def ciphering_of(table: Mapping[str, Any], where: str) -> Ciphering:
    """Return the ciphering of a table of keys.

    Raises
    ------
    BadInputError
        When a value is missing or wrong; what it holds is not shown.
    """
    if unknown := sorted(set(table) - {*_BYTES, *_KINDS}):
        raise BadInputError(f"{where}: unknown key {unknown[0]!r}")
    octets: dict[str, Any] = {}
    for name in _BYTES:
        try:
            octets[name] = bytes.fromhex(table[name])
        except (KeyError, TypeError, ValueError):
            raise BadInputError(f"{where}: {name} must be hexadecimal digits in quotes") from None
    for name, kind in _KINDS.items():
        if type(table.get(name, kind())) is not kind:
            raise BadInputError(f"{where}: {name} must be of type {kind.__name__}")
    return Ciphering(
        **octets,
        suite=table.get("suite", 0),
        general=table.get("general", False),
        dedicated=table.get("dedicated", False),
    )
