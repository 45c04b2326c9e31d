"""Which registers are read together."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MAX_READ = 125
"""Most registers in one request."""

Span = tuple[int, int]
"""First register and number of registers."""


class Group(NamedTuple):
    """Spans that are read in one request of `size` registers from `start` on."""

    start: int
    size: int
    spans: Sequence[Span]


def grouped(spans: Iterable[Span], block: int = MAX_READ, gap: int = MAX_READ) -> tuple[Group, ...]:
    """Return `spans` in order of address, packed into groups of at most `block` registers."""
    groups: list[list[Span]] = []
    end = 0
    for first, size in sorted(set(spans)):
        for start in range(first, first + size, block):
            piece = (start, min(block, first + size - start))
            fits = groups and start + piece[1] - groups[-1][0][0] <= block
            if fits and start - end <= gap:
                groups[-1].append(piece)
            else:
                groups.append([piece])
                end = 0
            end = max(end, start + piece[1])
    return tuple(map(group_of, groups))


def group_of(spans: Sequence[Span]) -> Group:
    """Return spans, in order of address, as one group."""
    start = spans[0][0]
    return Group(start, max(first + size for first, size in spans) - start, spans)


def words_of(content: Mapping[int, bytes]) -> dict[int, int]:
    """Return register values by address from what :meth:`Client.read_groups` gave."""
    words: dict[int, int] = {}
    for start, octets in content.items():
        words.update(enumerate(struct.unpack(f">{len(octets) // 2}H", octets), start))
    return words
