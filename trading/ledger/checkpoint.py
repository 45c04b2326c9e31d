"""Checkpoints (C2SP tlog-checkpoint) and witnesses' cosignatures on them.

A checkpoint is a note of three lines: origin, number of entries, base64 of the
root. It has no extension lines: what nobody can audit does not belong in it,
and "unwitnessed" is what a reader says of a checkpoint without a quorum.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from grid.errors import BadInputError, VerificationError
from trading.ledger import note
from trading.ledger.merkle import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_TIMESTAMP_BYTES = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one size.

    Attributes
    ----------
    origin : str
        Name of the log.
    size : int
        Number of entries.
    root : bytes
        RFC 6962 root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def encode(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Return the checkpoint in the text of a note.

    Raises
    ------
    VerificationError
        When it is not exactly origin, size and root.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise VerificationError("a checkpoint has three lines: origin, size, root")
    if not _SIZE.fullmatch(lines[1]):
        raise VerificationError(f"the size {lines[1][:24]!r} of a checkpoint is no number")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:
        raise VerificationError("the root of a checkpoint is no base64") from error
    result = Checkpoint(lines[0], int(lines[1]), root)
    if len(root) != HASH_BYTES or result.encode() != text:
        raise VerificationError("the root of a checkpoint is not the base64 of 32 bytes")
    return result


def sign(checkpoint: Checkpoint, signer: note.Signer) -> str:
    """Return the signed checkpoint; the signer's name is the log's origin.

    Raises
    ------
    BadInputError
        When it is not, or the root has not 32 bytes.
    """
    if signer.key.name != checkpoint.origin:
        raise BadInputError(f"{signer.key.name} cannot sign for the log {checkpoint.origin}")
    if len(checkpoint.root) != HASH_BYTES or checkpoint.size < 0:
        raise BadInputError("a checkpoint needs a size from 0 and a root of 32 bytes")
    return note.sign(checkpoint.encode(), [signer])


def verify(signed: str, key: note.VerifierKey) -> Checkpoint:
    """Return the checkpoint after checking the log's signature and origin.

    Raises
    ------
    VerificationError
        When `key` did not sign it or it is of another log.
    """
    result = parse(note.verify(signed, key))
    if result.origin != key.name:
        raise VerificationError(f"the checkpoint is of {result.origin}, not of {key.name}")
    return result


def cosign(signed: str, witness: note.Signer, at_s: int) -> str:
    """Return `signed` with the line of a witness (cosignature/v1) added.

    Parameters
    ----------
    signed : str
        A checkpoint the witness has verified to be consistent with the last.
    witness : Signer
        With a key of type :data:`trading.ledger.note.COSIGNATURE`.
    at_s : int
        Seconds since 1970-01-01T00:00Z.
    """
    if witness.key.kind != note.COSIGNATURE or not 0 <= at_s < 2**63:
        raise BadInputError(f"{witness.key.name} is no cosignature key, or {at_s} no instant")
    text, _ = note.parse(signed)
    signature = witness.sign_bytes(_cosigned(text, at_s))
    line = note.SignatureLine(
        witness.key.name, witness.key.key_id, at_s.to_bytes(_TIMESTAMP_BYTES, "big") + signature
    )
    return signed + line.encode()


def cosigners(signed: str, witnesses: Iterable[note.VerifierKey]) -> dict[str, int]:
    """Return the instants at which witnesses cosigned, by vkey.

    Raises
    ------
    VerificationError
        When a cosignature under a known name and ID does not hold.
    """
    text, lines = note.parse(signed)
    found: dict[str, int] = {}
    for key in witnesses:
        for line in lines:
            if not line.is_of(key):
                continue
            stamp, signature = line.signature[:_TIMESTAMP_BYTES], line.signature[_TIMESTAMP_BYTES:]
            at_s = int.from_bytes(stamp, "big")
            if not key.verifies(signature, _cosigned(text, at_s)):
                raise VerificationError(f"the cosignature of {key.name} does not hold")
            found[key.encode()] = at_s
    return found


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
