"""Salted commitments: what is personal stays outside the log, and provable.

A commitment is ``SHA-256(domain || salt || canonical([interval, kind, subject,
version, payload]))``. The salt has 128 bits and is derived from the person's
secret and the label, so the store keeps one secret per person instead of one
salt per reading. Whoever has an opening (label, salt, payload) can check it
against the log; nobody can guess a payload without the salt, however few
values it can take. Erasing a person's secret and openings erases the person:
the digests in the log, and every proof over them, stay valid.

A label is used for one payload only: a corrected payload has a higher version,
so that showing the first does not unseal the second.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from grid.errors import BadInputError, VerificationError
from trading.ledger import canonical

SECRET_BYTES = 32
SALT_BYTES = 16
OPENING_BYTES_MAX = 1_048_576
_DOMAIN = b"khazri/commitment/v1\n"
_SALT_DOMAIN = b"khazri/salt/v1\n"
_PSEUDONYM_DOMAIN = b"khazri/pseudonym/v1\n"
_MEMBERS = {"interval", "kind", "payload", "salt", "sequence", "subject", "version"}


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """What a commitment is about.

    Attributes
    ----------
    interval : str
        Label of the interval, equal to that of the entry that commits.
    kind : str
        What the payload is: ``reading``, ``order``, ``trade``, ``posting``.
    subject : str
        Which one: a usage point, an order, a number within the interval.
    version : int
        0 at first; each correction of the same subject adds 1.
    """

    interval: str
    kind: str
    subject: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """All that is needed to check one commitment; personal, never in the log."""

    label: Label
    salt: bytes
    payload: Any

    @property
    def digest(self) -> str:
        """The commitment, 64 hexadecimal digits."""
        label = self.label
        content = canonical.encode(
            [label.interval, label.kind, label.subject, label.version, self.payload]
        )
        return sha256(_DOMAIN + self.salt + content).hexdigest()

    def encode(self, sequence: int) -> bytes:
        """Return the canonical line of an openings file; `sequence` is the entry's."""
        data = canonical.encode(
            {
                "interval": self.label.interval,
                "kind": self.label.kind,
                "payload": self.payload,
                "salt": self.salt.hex(),
                "sequence": sequence,
                "subject": self.label.subject,
                "version": self.label.version,
            }
        )
        if len(data) > OPENING_BYTES_MAX:
            raise BadInputError(f"an opening has {len(data)} bytes: at most {OPENING_BYTES_MAX}")
        return data


def decode_opening(data: bytes) -> tuple[int, Opening]:
    """Return the entry's sequence and the opening of one line.

    Raises
    ------
    VerificationError
        When the line is not canonical or has other members.
    """
    value = canonical.decode(data, limit=OPENING_BYTES_MAX)
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise VerificationError("not an opening")
    texts = [value[name] for name in ("interval", "kind", "subject", "salt")]
    numbers = [value[name] for name in ("sequence", "version")]
    if not all(isinstance(text, str) for text in texts) or not all(
        type(number) is int and number >= 0 for number in numbers
    ):
        raise VerificationError("an opening with fields of the wrong type")
    try:
        salt = bytes.fromhex(value["salt"])
    except ValueError as error:
        raise VerificationError("the salt is not hexadecimal") from error
    if len(salt) != SALT_BYTES or salt.hex() != value["salt"]:
        raise VerificationError("the salt is not 32 lower-case hexadecimal digits")
    label = Label(value["interval"], value["kind"], value["subject"], value["version"])
    return value["sequence"], Opening(label, salt, value["payload"])


def commit(secret: bytes, label: Label, payload: Any) -> tuple[str, Opening]:
    """Return the digest for the log and the opening for the store.

    Parameters
    ----------
    secret : bytes
        The person's secret, 32 bytes.
    label : Label
    payload : value of :mod:`trading.ledger.canonical`
    """
    content = canonical.encode([label.interval, label.kind, label.subject, label.version])
    salt = _derive(secret, _SALT_DOMAIN + content)[:SALT_BYTES]
    opening = Opening(label, salt, payload)
    return opening.digest, opening


def commitments(digests: Iterable[str]) -> list[str]:
    """Return digests as an entry's body lists them: sorted, so the order tells nothing.

    Raises
    ------
    BadInputError
        When two are equal: the same label was used twice.
    """
    ordered = sorted(digests)
    if len(set(ordered)) != len(ordered):
        raise BadInputError("two commitments of one list are equal: a label was used twice")
    return ordered


def check_opening(opening: Opening, digests: Iterable[str]) -> None:
    """Check that an opening is of one of the committed `digests`.

    Raises
    ------
    VerificationError
        When it is of none.
    """
    if opening.digest not in digests:
        label = opening.label
        raise VerificationError(
            f"the {label.kind} of {label.subject} {label.interval} was not committed to"
        )


def pseudonym(secret: bytes, month: str) -> str:
    """Return a person's account name in the ledger during `month` (``YYYY-MM``).

    Two months' names cannot be linked without the secret.
    """
    return "p-" + _derive(secret, _PSEUDONYM_DOMAIN + month.encode()).hex()[:32]


def _derive(secret: bytes, message: bytes) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise BadInputError(f"a secret must have {SECRET_BYTES} bytes, not {len(secret)}")
    return hmac.digest(secret, message, "sha256")
