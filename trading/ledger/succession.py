"""A new log in the place of one whose entries are lost for good, which the old key vouches for.

The genesis of the new log has a member ``follows``: which log it follows and by which key that
one was signed, what of it is left (``size``, ``root``), what was seen of it (``seen_size``,
``seen_root``), how many entries are ``lost``, when it ends (``at``) and which interval is the
first that the new log tells in full (``from``). The old key signs all of it and the new log's
first key, so that nobody else can claim to follow the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grid import interval
from grid.errors import BadInputError, VerificationError
from trading.ledger import note
from trading.ledger.checkpoint import Checkpoint

MEMBER = "follows"
_HEX = re.compile(r"[0-9a-f]*", re.ASCII)
_FIELDS = {
    "at", "from", "key", "lost", "origin", "root", "seen_root", "seen_size", "signature", "size",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loss:
    """What is left of a log that ends, and what was seen of it.

    Attributes
    ----------
    left, seen : Checkpoint
        The newest one that the store has, and the largest one that others have.
    at_s, from_s : int
        When the log ends, and the first interval that the one after it tells in full, seconds UTC.
    """

    left: Checkpoint
    seen: Checkpoint
    at_s: int
    from_s: int

    @property
    def entries(self) -> int:
        """How many entries are lost."""
        return self.seen.size - self.left.size

    def statement(self, new: str) -> bytes:
        """Return what the old key signs; `new` is the first vkey of the log after it.

        No checkpoint has this form: its second line is a number. Neither has the statement of a
        key that is replaced.
        """
        lines = (
            "khazri/log-follows/v1",
            self.left.origin,
            str(self.left.size),
            self.left.root.hex(),
            str(self.seen.size),
            self.seen.root.hex(),
            interval.label(self.at_s),
            interval.label(self.from_s),
            new,
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def told(self, key: note.VerifierKey, signature: bytes) -> dict[str, Any]:
        """Return the member of the genesis; `key` is the old one, and `signature` of it."""
        return {
            "at": interval.label(self.at_s),
            "from": interval.label(self.from_s),
            "key": key.encode(),
            "lost": self.entries,
            "origin": self.left.origin,
            "root": self.left.root.hex(),
            "seen_root": self.seen.root.hex(),
            "seen_size": self.seen.size,
            "signature": signature.hex(),
            "size": self.left.size,
        }


def read(genesis: Mapping[str, Any]) -> Loss | None:
    """Return what the body of a genesis says of the log it follows; none where it follows none.

    Raises
    ------
    VerificationError
        When it is malformed, or the key it names did not sign it.
    """
    if MEMBER not in genesis:
        return None
    told = genesis[MEMBER]
    if not isinstance(told, dict) or set(told) != _FIELDS:
        raise VerificationError(f"entry 0: it follows a log without {', '.join(sorted(_FIELDS))}")
    try:
        key = note.parse_key(_text(told, "key"))
        loss = Loss(
            Checkpoint(_text(told, "origin"), _whole(told, "size"), _hex(told, "root", 64)),
            Checkpoint(key.name, _whole(told, "seen_size"), _hex(told, "seen_root", 64)),
            interval.parse(_text(told, "at")),
            interval.parse(_text(told, "from")),
        )
        new, signature = _text(genesis, "key"), _hex(told, "signature", 128)
    except BadInputError as error:
        raise VerificationError(f"entry 0: {error}") from error
    if key.name != loss.left.origin or loss.told(key, signature) != told or loss.entries < 1:
        raise VerificationError("entry 0: what it says of the log it follows does not add up")
    if not key.verifies(signature, loss.statement(new)):
        raise VerificationError("entry 0: the key of the log it follows did not sign that")
    return loss


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise BadInputError(f"{name} is no text")
    return value


def _whole(told: dict[str, Any], name: str) -> int:
    value = told[name]
    if type(value) is not int or value < 1:
        raise BadInputError(f"{name} is {value!r}, must be a whole number from 1")
    return value


def _hex(told: dict[str, Any], name: str, digits: int) -> bytes:
    text = _text(told, name)
    if len(text) != digits or not _HEX.fullmatch(text):
        raise BadInputError(f"{name} is no {digits} hexadecimal digits")
    return bytes.fromhex(text)
