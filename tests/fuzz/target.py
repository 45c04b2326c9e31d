"""What is fuzzed: a function of bytes, the inputs it starts from, and how an input is judged."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from grid.errors import GridError

LIMIT_S = 0.05
"""Longest CPU time that one input may take; of three more runs the quickest counts."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes
    ----------
    run : callable
        Parses bytes; may raise what is of :class:`grid.errors.GridError` and nothing else.
    seeds : sequence of bytes
        Valid inputs, from our own encoder.
    max_len : int
        Longest input tried, in bytes.
    quick : bool
        Whether an input takes less than half a millisecond.
    """

    run: Callable[[bytes], object]
    seeds: Sequence[bytes] = (b"",)
    max_len: int = 512
    quick: bool = True


@dataclass(slots=True)
class Judge:
    """Runs a target and keeps what it should not have done, each kind once.

    Attributes
    ----------
    findings : dict of str to str
        By what went wrong and where, the input in hexadecimal digits.
    """

    target: Target
    findings: dict[str, str] = field(default_factory=dict)

    def one(self, octets: bytes) -> str:
        """Run one input; return what is wrong with that, empty for nothing."""
        began = time.process_time()
        wrong = self._run(octets)
        if not wrong and time.process_time() - began > LIMIT_S:
            wrong = self._slow(octets)
        if wrong:
            self.findings.setdefault(wrong, octets.hex())
        return wrong

    def _run(self, octets: bytes) -> str:
        try:
            self.target.run(octets)
        except GridError:
            return ""
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = place.filename.rpartition("/")[2]
            return f"{type(error).__name__} at {name}:{place.name}:{place.lineno}"
        return ""

    def _slow(self, octets: bytes) -> str:
        spent = []
        for _ in range(3):
            began = time.process_time()
            self._run(octets)
            spent.append(time.process_time() - began)
        # Which line a slow input is slow at is not known: all of a target are one kind.
        return f"slower than {LIMIT_S * 1000:.0f} ms" if min(spent) > LIMIT_S else ""


def parts(octets: bytes) -> Iterator[bytes]:
    """Cut an input into pieces, each behind two bytes of length; the last one may be short."""
    at = 0
    while at + 2 <= len(octets):
        size = octets[at] << 8 | octets[at + 1]
        yield octets[at + 2 : at + 2 + size]
        at += 2 + size


def joined(*pieces: bytes) -> bytes:
    """Return the input that :func:`parts` cuts into these pieces."""
    return b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)
