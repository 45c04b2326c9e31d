"""Every parser that is fuzzed: each truncation of valid input, and bit flips, quick."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.dlms.counters import MemoryCounterStore
from meters.dlms.errors import DlmsError
from meters.dlms.security import Cipher
from tests.fuzz import dlms_sides
from tests.fuzz.target import Judge, Target
from tests.fuzz.targets import TARGETS

FLIPS = 400
"""Bit flips of one seed; of a longer one they are spread over it."""


def flips(octets: bytes, most: int) -> Iterator[bytes]:
    """Yield `octets` with one bit changed, each bit or as many as `most`, evenly spread."""
    bits = 8 * len(octets)
    for bit in range(0, bits, max(1, -(-bits // most))):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(flipped)


@pytest.mark.parametrize("name", TARGETS)
def test_truncated_and_flipped_input_is_taken_or_refused(name: str) -> None:
    judge = Judge(TARGETS[name])
    for seed in TARGETS[name].seeds[:6]:
        for length in range(0, len(seed) + 1, 1 + len(seed) // 250):
            judge.one(seed[:length])
        for flipped in flips(seed, FLIPS):
            judge.one(flipped)
    assert judge.findings == {}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=30, deadline=None)
@given(octets=st.binary(max_size=120))
def test_any_bytes_are_taken_or_refused(name: str, octets: bytes) -> None:
    judge = Judge(TARGETS[name])
    judge.one(octets)
    assert judge.findings == {}


def test_every_bit_flip_and_truncation_of_a_protected_apdu_is_refused() -> None:
    cipher = Cipher(dlms_sides.CLIENT, MemoryCounterStore())
    cipher.meet(dlms_sides.METER.title)
    for sealed in dlms_sides._SEALED:
        for octets in (*flips(sealed, 8 * len(sealed)), *(sealed[:n] for n in range(len(sealed)))):
            with pytest.raises(DlmsError):
                cipher.unprotect(octets)


def test_a_foreign_exception_and_a_slow_input_are_found() -> None:
    def foreign(octets: bytes) -> None:
        raise KeyError(octets)

    judge = Judge(Target(foreign))
    assert judge.one(b"\x01").startswith("KeyError at test_targets.py:foreign")
    assert list(judge.findings.values()) == ["01"]
