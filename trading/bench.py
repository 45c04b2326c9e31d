"""Rows of the benchmark: clearing, and verifying a ledger.

Appending to a ledger is measured where it is stored (:mod:`grid.operation.bench`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

from grid.benchmark import Error, Progress, Row, Timing, alternate, within
from grid.interval import label
from trading import bench_clearing
from trading import verify as verifier
from trading.ledger import checkpoint, entry, merkle, note, tiles

ORIGIN = "khazri/bench"
START_S = 1_774_742_400
COMMITMENTS = 16


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, as they are measured.

    Parameters
    ----------
    quick : bool
        Few orders and entries.
    """
    yield from bench_clearing.rows(quick=quick, progress=progress)
    yield _verify(600 if quick else 50_000, 2 if quick else 3, progress)


def _verify(count: int, rounds: int, progress: Progress) -> Row:
    progress(f"trading: a ledger of {count:,} entries")
    signer = note.signer(ORIGIN, bytes(range(32)))
    entries = _entries(count, signer.key.encode())
    root = merkle.root(map(merkle.leaf_hash, entries))
    signed = checkpoint.sign(checkpoint.Checkpoint(ORIGIN, count, root), signer)
    key = verifier.parse_key(signer.key.encode(), note.ED25519)
    found: list[bytes] = []
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory).joinpath("export")
        tiles.export(entries, [signed], folder)
        progress(f"trading: verifying {count:,} entries")
        ours_ns, theirs_ns = alternate(
            rounds,
            lambda _: verifier.verify(folder, key),
            lambda _: found.append(_hash_loop(entries)),
        )
    size = sum(map(len, entries))
    return Row(
        craft="trading",
        name="ledger, verify",
        work=f"{count:,} entries of {size // count} bytes, exported as tiles",
        unit="entries",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="bare hash loop in memory",
        theirs=Timing(count, theirs_ns),
        reach=within(Fraction(3, 2)),
        error=Error(int(found[-1] != root), "roots that differ", 0, "the bare loop's root"),
    )


def _entries(count: int, key: str) -> list[bytes]:
    """Return the canonical bytes of a log of readings."""
    encoded = [entry.genesis(ORIGIN, key).encode()]
    while len(encoded) < count:
        number = len(encoded)
        previous, at = merkle.leaf_hash(encoded[-1]), label(START_S + 900 * number)
        one = entry.Entry(number, previous, entry.Kind.READINGS, at, readings_body(number))
        encoded.append(one.encode())
    return encoded


def readings_body(number: int) -> dict[str, Any]:
    """Return the body of entry `number`: commitments to the readings of some meters."""
    digests = (sha256(f"{number} {place}".encode()).hexdigest() for place in range(COMMITMENTS))
    return {"commitments": sorted(digests), "meters": COMMITMENTS}


def _hash_loop(entries: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 root, with nothing checked: one hash a leaf and one a node."""
    level = [sha256(b"\x00" + data).digest() for data in entries]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        level = above + level[len(level) & ~1 :]
    return level[0]
