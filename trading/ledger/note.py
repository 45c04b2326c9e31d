"""Signed notes in the format of C2SP signed-note, with Ed25519.

A note is a text ending in a newline, an empty line, and signature lines
``— <key name> base64(key ID || signature)``. A verifier key is written
``<name>+<key ID in hex>+base64(type || public key)``: type 1 signs the text
itself, type 4 is a witness's cosignature (:mod:`trading.ledger.checkpoint`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from grid.errors import BadInputError, VerificationError

ED25519 = 1
COSIGNATURE = 4
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
NOTE_BYTES_MAX = 65_536
SIGNATURES_MAX = 100
_DASH = "— "
_SECRET_PREFIX = "PRIVATE+KEY+"


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return ``SHA-256(name || 0x0A || type || public key)[:4]``."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whom a signature is from: the trust root a verifier is given.

    Attributes
    ----------
    name : str
        Key name; for a log also the origin of its checkpoints.
    public : bytes
        Ed25519 public key, 32 bytes.
    kind : int
        :data:`ED25519` or :data:`COSIGNATURE`.
    """

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that start every signature of this key."""
        return key_id(self.name, self.kind, self.public)

    def encode(self) -> str:
        """Return the vkey."""
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (64 bytes) over `message` is of this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_key(text: str) -> VerifierKey:
    """Return the key written as a vkey.

    Raises
    ------
    BadInputError
        When it is malformed, of an unknown type, or its ID is not that of the key.
    """
    name, _, rest = text.partition("+")
    identity, _, material = rest.partition("+")
    check_name(name)
    try:
        raw = _unbase64(material)
    except VerificationError as error:
        raise BadInputError(f"verifier key {text!r}: {error}") from error
    if len(raw) != 1 + PUBLIC_KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE):
        raise BadInputError(f"verifier key {text!r} is not an Ed25519 key of type 1 or 4")
    key = VerifierKey(name, raw[1:], raw[0])
    if key.key_id.hex() != identity:
        raise BadInputError(f"verifier key {text!r}: its ID is not {key.key_id.hex()}")
    return key


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a key.

    Raises
    ------
    BadInputError
        When it is empty or has a space, a control character or a plus.
    """
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise BadInputError(f"key name {name!r} must be without spaces and plus signs")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that can sign; `sign_bytes` may ask another process.

    Attributes
    ----------
    key : VerifierKey
    sign_bytes : callable
        Returns the 64 bytes of the Ed25519 signature over a message.
    """

    key: VerifierKey
    sign_bytes: Callable[[bytes], bytes] = field(repr=False)


def signer(name: str, seed: bytes, kind: int = ED25519) -> Signer:
    """Return a signer that holds its key: the 32-byte seed of RFC 8032."""
    check_name(name)
    if len(seed) != PUBLIC_KEY_BYTES:
        raise BadInputError(f"an Ed25519 seed must have 32 bytes, not {len(seed)}")
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Signer(VerifierKey(name, private.public_key().public_bytes_raw(), kind), private.sign)


def encode_secret(name: str, seed: bytes, kind: int = ED25519) -> str:
    """Return a signer key as Go's ``note`` package writes it."""
    identity = signer(name, seed, kind).key.key_id.hex()
    material = base64.b64encode(bytes([kind]) + seed).decode()
    return f"{_SECRET_PREFIX}{name}+{identity}+{material}"


def parse_secret(text: str) -> Signer:
    """Return the signer of a key written by :func:`encode_secret`.

    Raises
    ------
    BadInputError
        When it is malformed; the message does not repeat it.
    """
    parts = text.removeprefix(_SECRET_PREFIX).split("+", 2)
    if not text.startswith(_SECRET_PREFIX) or len(parts) != 3:
        raise BadInputError("not a signer key: PRIVATE+KEY+<name>+<id>+<base64>")
    try:
        raw = _unbase64(parts[2])
    except VerificationError as error:
        raise BadInputError("the signer key is no base64") from error
    if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
        raise BadInputError("the signer key is not an Ed25519 key of type 1 or 4")
    result = signer(parts[0], raw[1:], raw[0])
    if result.key.key_id.hex() != parts[1]:
        raise BadInputError("the signer key does not have the ID it states")
    return result


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line: its key's name, its key's ID and what follows the ID."""

    name: str
    key_id: bytes
    signature: bytes

    def is_of(self, key: VerifierKey) -> bool:
        """Whether name and ID are those of `key`."""
        return self.name == key.name and self.key_id == key.key_id

    def encode(self) -> str:
        """Return the line with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


def sign(text: str, signers: Sequence[Signer]) -> str:
    """Return the note of `text` signed by every signer, in their order.

    Raises
    ------
    BadInputError
        When the text does not end in a newline or has control characters.
    """
    if not text.endswith("\n") or _has_control(text):
        raise BadInputError("the text of a note ends in a newline and has no control characters")
    message = text.encode()
    lines = [
        SignatureLine(one.key.name, one.key.key_id, one.sign_bytes(message)).encode()
        for one in signers
    ]
    return f"{text}\n{''.join(lines)}"


def parse(note: str) -> tuple[str, tuple[SignatureLine, ...]]:
    """Return text and signature lines of a note, without verifying any.

    Raises
    ------
    VerificationError
        When the note is malformed.
    """
    if len(note) > NOTE_BYTES_MAX or _has_control(note):
        raise VerificationError("the note is too long or has control characters")
    text, separator, rest = note.rpartition("\n\n")
    if not separator or not rest.endswith("\n"):
        raise VerificationError("the note has no signature lines")
    lines = rest[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise VerificationError(f"the note has {len(lines)} signatures: at most {SIGNATURES_MAX}")
    return text + "\n", tuple(_parse_line(line) for line in lines)


def verify(note: str, key: VerifierKey) -> str:
    """Return the text of a note after checking that `key` signed it.

    Signatures of other keys are ignored, as the format demands.

    Raises
    ------
    VerificationError
        When the note is malformed, not signed by `key`, or a signature under
        its name and ID does not hold.
    """
    text, lines = parse(note)
    own = [line for line in lines if line.is_of(key)]
    if not own:
        raise VerificationError(f"the note is not signed by {key.name}+{key.key_id.hex()}")
    message = text.encode()
    if not all(key.verifies(line.signature, message) for line in own):
        raise VerificationError(f"a signature of {key.name} does not hold")
    return text


def _parse_line(line: str) -> SignatureLine:
    name, separator, material = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator:
        raise VerificationError(f"malformed signature line {line[:80]!r}")
    try:
        check_name(name)
    except BadInputError as error:
        raise VerificationError(str(error)) from error
    raw = _unbase64(material)
    if len(raw) < 5:
        raise VerificationError(f"the signature of {name} is too short")
    return SignatureLine(name, raw[:4], raw[4:])


def _has_control(text: str) -> bool:
    """Return whether a text has what no note has: controls, or bytes that were no UTF-8."""
    return any(
        (character < " " and character != "\n") or "\ud800" <= character <= "\udfff"
        for character in text
    )


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise VerificationError("no base64") from error
    if base64.b64encode(raw).decode() != text:
        raise VerificationError("base64 that is not canonical")
    return raw
