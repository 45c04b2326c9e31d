"""Every parser that is fuzzed: each truncation of valid input, and bit flips, quick."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.target import Judge, Target
from tests.fuzz.targets import TARGETS

WHOLE = 7000
"""Inputs of one target that are every truncation and every bit flip of its shortest seeds."""

FLIPS = CUTS = 200
"""Bit flips and truncations of each other seed, spread over it."""


def flips(octets: bytes, most: int = sys.maxsize) -> Iterator[bytes]:
    """Yield `octets` with one bit changed, each bit or as many as `most`, evenly spread."""
    bits = 8 * len(octets)
    for bit in range(0, bits, max(1, -(-bits // most))):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(flipped)


def corpus(target: Target) -> Iterator[bytes]:
    """Yield every seed, cut and flipped: each of its bits as long as there are not too many."""
    left = WHOLE if target.quick else WHOLE // 4
    for seed in sorted(target.seeds, key=len):
        yield seed
        left -= 9 * len(seed)
        step = 1 if left >= 0 else 1 + len(seed) // CUTS
        yield from (seed[:length] for length in range(0, len(seed), step))
        yield from flips(seed, sys.maxsize if left >= 0 else FLIPS)


@pytest.mark.parametrize("name", TARGETS)
def test_truncated_and_flipped_input_is_taken_or_refused(name: str) -> None:
    judge = Judge(TARGETS[name])
    for octets in corpus(TARGETS[name]):
        judge.one(octets)
    assert judge.findings == {}


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=30, deadline=None)
@given(octets=st.binary(max_size=120))
def test_any_bytes_are_taken_or_refused(name: str, octets: bytes) -> None:
    judge = Judge(TARGETS[name])
    judge.one(octets)
    assert judge.findings == {}


def test_a_foreign_exception_and_a_slow_input_are_found() -> None:
    def foreign(octets: bytes) -> None:
        raise KeyError(octets)

    judge = Judge(Target(foreign))
    assert judge.one(b"\x01").startswith("KeyError at test_targets.py:foreign")
    assert list(judge.findings.values()) == ["01"]
