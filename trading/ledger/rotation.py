"""Replacing the log's key within the log: an entry the old key vouches for.

The body of an entry of kind ``key`` that replaces it is
``{"log_key": <new vkey>, "signature": <hex>}``. The old key signs where the entry stands
(the log, its sequence, its predecessor's hash) and what the new key is, so that nobody can
put it elsewhere. Checkpoints that contain the entry are signed by the new key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from grid.errors import BadInputError, VerificationError
from trading.ledger import note
from trading.ledger.entry import Entry, Kind

MEMBER = "log_key"
_SIGNATURE = re.compile(r"[0-9a-f]{128}", re.ASCII)

Reign = tuple[int, note.VerifierKey]
"""A key and the sequence of the entry that brought it; it signs trees larger than that."""


def statement(origin: str, sequence: int, previous: bytes, new: str) -> bytes:
    """Return what the old key signs.

    No checkpoint has this form: its second line is a number.
    """
    text = f"khazri/log-key/v1\n{origin}\n{sequence}\n{previous.hex()}\n{new}\n"
    return text.encode()


def body(new: note.VerifierKey, signature: bytes) -> dict[str, Any]:
    """Return the body of the entry."""
    return {MEMBER: new.encode(), "signature": signature.hex()}


def reigns(first: note.VerifierKey, entries: Iterable[Entry]) -> list[Reign]:
    """Return the log's keys in order, of its first key and its entries of kind ``key``.

    Raises
    ------
    VerificationError
        When the key in force did not sign what replaces it.
    """
    found: list[Reign] = [(-1, first)]
    for one in entries:
        if one.kind is Kind.KEY and MEMBER in one.body:
            found.append((one.sequence, successor(found[-1][1], one)))
    return found


def successor(key: note.VerifierKey, entry: Entry) -> note.VerifierKey:
    """Return the key that an entry puts in the place of `key`.

    Raises
    ------
    VerificationError
        When `key` did not sign that, or the new key is of another log.
    """
    new, signature = entry.body[MEMBER], entry.body.get("signature")
    if not isinstance(new, str) or not isinstance(signature, str):
        raise VerificationError(f"entry {entry.sequence}: a new key without key or signature")
    signed = statement(key.name, entry.sequence, entry.previous, new)
    if not _SIGNATURE.fullmatch(signature) or not key.verifies(bytes.fromhex(signature), signed):
        raise VerificationError(f"entry {entry.sequence}: the key before did not sign the new one")
    try:
        found = note.parse_key(new)
    except BadInputError as error:
        raise VerificationError(f"entry {entry.sequence}: {error}") from error
    if found.name != key.name or found.kind != note.ED25519:
        raise VerificationError(f"entry {entry.sequence}: the new key is not one of {key.name}")
    return found


def key_at(size: int, known: Iterable[Reign]) -> note.VerifierKey:
    """Return the key that signs the tree of `size` entries."""
    return [key for sequence, key in known if sequence < max(size, 0)][-1]
