"""What lies between two successive registers: energy, a rollover, a dip or a jump.

A row is one register of one meter; `limit_wh` bounds the energy of one
interval, `wrap_wh` is 10**digits of the register.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segments:
    """Stretches from one known register to the next, in row order.

    Attributes
    ----------
    row, first, last : ndarray of int64 (segment,)
        The row and the boundaries at both ends.
    start_wh, end_wh : ndarray of int64 (segment,)
        The registers at both ends.
    total_wh : ndarray of int64 (segment,)
        Energy in between, after a plausible rollover; negative at a dip.
    rolled, dip, jump : ndarray of bool (segment,)
        Went round its digits; fell without that; rose beyond the limit.
    """

    row: Ints
    first: Ints
    last: Ints
    start_wh: Ints
    end_wh: Ints
    total_wh: Ints
    rolled: Bools
    dip: Bools
    jump: Bools

    @property
    def bad(self) -> Bools:
        """Where the registers do not say how much energy flowed."""
        return self.dip | self.jump


def _difference(
    delta: Ints, span: Ints, limit_wh: Ints, wrap_wh: Ints
) -> tuple[Ints, Bools, Bools, Bools]:
    most = limit_wh * span
    wrapped = delta + wrap_wh
    # A fall of less than half the register range is no lap, however lax the limit.
    rolled = (delta < 0) & (wrapped >= 0) & (wrapped <= np.minimum(most, wrap_wh // 2))
    total = np.where(rolled, wrapped, delta)
    return total, rolled, total < 0, total > most


def between(registers: Ints, limit_wh: Ints, wrap_wh: Ints) -> Segments:
    """Return the segments of `registers`.

    Parameters
    ----------
    registers : ndarray of int64 (row, boundary)
        Cumulative Wh, negative where not read.
    limit_wh, wrap_wh : ndarray of int64 (row,)
    """
    row, position = np.nonzero(registers >= 0)
    value = registers[row, position]
    here = np.flatnonzero(row[1:] == row[:-1])
    owner = row[here]
    first, last = position[here], position[here + 1]
    start, end = value[here], value[here + 1]
    total, rolled, dip, jump = _difference(
        end - start, last - first, limit_wh[owner], wrap_wh[owner]
    )
    return Segments(owner, first, last, start, end, total, rolled, dip, jump)


def misread(segments: Segments, limit_wh: Ints, wrap_wh: Ints) -> Ints:
    """Return the segments whose end register alone stands off the meter's line.

    Both segments around it are impossible, and without it the difference is
    possible: the register was read wrongly once, and the energy around it is
    still known.

    Returns
    -------
    ndarray of int64
        Indices of the segments that end at such a register.
    """
    row, bad = segments.row, segments.bad
    candidate = np.flatnonzero(bad[:-1] & bad[1:] & (row[:-1] == row[1:]))
    if not candidate.size:
        return candidate
    after = candidate + 1
    owner = row[candidate]
    _, _, dip, jump = _difference(
        segments.end_wh[after] - segments.start_wh[candidate],
        segments.last[after] - segments.first[candidate],
        limit_wh[owner],
        wrap_wh[owner],
    )
    candidate = candidate[~dip & ~jump]
    if not candidate.size:
        return candidate
    # Around a wrong register its right neighbours look wrong too: take every other one.
    fresh = np.diff(candidate, prepend=-2) != 1
    run_start = np.maximum.accumulate(np.where(fresh, np.arange(candidate.size), 0))
    chosen: Ints = candidate[(np.arange(candidate.size) - run_start) % 2 == 0]
    return chosen
