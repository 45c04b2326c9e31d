"""New keys for a meter, wrapped by its master key (IEC 62056-6-2, 4.4.7: Security setup).

AES key wrap of RFC 3394. What is wrapped wrongly, or under another master key, does not
unwrap: a meter refuses it and keeps the key it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from grid.errors import BadInputError
from meters.dlms import data as axdr
from meters.dlms.data import Tag
from meters.dlms.errors import DlmsError, SecurityError
from meters.reading import KEY_BYTES

TRANSFER = 2
"""The method of a Security setup that takes keys."""


class KeyId(IntEnum):
    """Which key of a meter is meant."""

    UNICAST_ENCRYPTION = 0
    BROADCAST_ENCRYPTION = 1
    AUTHENTICATION = 2


def wrap(master: bytes, key: bytes) -> bytes:
    """Return a key wrapped by a master key.

    Raises
    ------
    BadInputError
        When one of them has another length than sixteen bytes.
    """
    for name, octets in (("master key", master), ("new key", key)):
        if len(octets) != KEY_BYTES:
            raise BadInputError(f"the {name} has {len(octets)} bytes, must have {KEY_BYTES}")
    return aes_key_wrap(master, key)


def unwrap(master: bytes, wrapped: bytes) -> bytes:
    """Return the key that was wrapped.

    Raises
    ------
    SecurityError
        When it was wrapped by another master key, or is no key of sixteen bytes.
    """
    try:
        key = aes_key_unwrap(master, wrapped)
    except (InvalidUnwrap, ValueError):
        raise SecurityError("a wrapped key does not unwrap") from None
    if len(key) != KEY_BYTES:
        raise SecurityError(f"a wrapped key has {len(key)} bytes, must have {KEY_BYTES}")
    return key


def encode_transfer(master: bytes, keys: Mapping[KeyId, bytes]) -> bytes:
    """Return the parameter of the transfer of `keys`, each wrapped by `master`."""
    return axdr.array(
        [
            axdr.structure(
                [
                    axdr.encode(Tag.ENUM, int(which)),
                    axdr.encode(Tag.OCTET_STRING, wrap(master, key)),
                ]
            )
            for which, key in sorted(keys.items())
        ]
    )


def decode_transfer(content: bytes) -> dict[KeyId, bytes]:
    """Return the wrapped keys of a transfer, by what they are for.

    Raises
    ------
    DlmsError
        When it is malformed, holds none, or one twice.
    """
    value = axdr.decode(content)
    if not isinstance(value, list) or not 0 < len(value) <= len(KeyId):
        raise DlmsError(f"a transfer is no array of 1 to {len(KeyId)} keys")
    found: dict[KeyId, bytes] = {}
    for element in value:
        if not isinstance(element, tuple) or len(element) != 2:
            raise DlmsError("a key of a transfer is malformed")
        which, wrapped = element
        fits = type(which) is int and which in tuple(KeyId) and isinstance(wrapped, bytes)
        if not fits or KeyId(which) in found:
            raise DlmsError("a key of a transfer is malformed, or stands there twice")
        found[KeyId(which)] = wrapped
    return found
