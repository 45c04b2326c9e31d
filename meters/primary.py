"""Secondary registers to the primary energy of intervals, by the facts of the time.

A register is converted as a whole, counted from where it stood when the facts began, and
the primary energy of an interval is the difference of two converted registers: so
intervals add up to what the register says, to the Wh.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.interval import label
from meters.facts import Installation, Registers, Summation, in_order, shown
from meters.reading import CHANNELS, MISSING

Ints = npt.NDArray[np.int64]

_MOST: Final = 2**62


def primary_wh(registers: Ints, edges_s: Ints, installations: Iterable[Installation]) -> Ints:
    """Return the primary energy of each interval from secondary registers at its edges.

    An interval in which facts change is made of two: up to the last registers of what
    ended, and from the first of what began.

    Parameters
    ----------
    registers : ndarray of int64 (channel, edge)
        Secondary Wh and varh as :data:`~meters.reading.CHANNELS`; MISSING where not read.
    edges_s : ndarray of int64 (edge,)
        Rising.
    installations : iterable of Installation
        Of one usage point.

    Returns
    -------
    ndarray of int64 (channel, interval)
        MISSING where a register is, or where one fell.

    Raises
    ------
    BadInputError
        See :func:`in_order`; when an interval is outside of what is known, or a converted
        register is beyond 64 bits.
    """
    ordered = in_order(installations)
    if registers.shape != (len(CHANNELS), len(edges_s)) or len(edges_s) < 2:
        raise BadInputError(f"registers {registers.shape} for {len(edges_s)} edges")
    if (np.diff(edges_s) <= 0).any():
        raise BadInputError("the edges of intervals must rise")
    name, low_s, high_s = ordered[0].usage_point, int(edges_s[0]), int(edges_s[-1])
    if low_s < ordered[0].from_s or high_s > ordered[-1].until_s:
        raise BadInputError(
            f"{name}: intervals from {label(low_s)} to {label(high_s)}, but it is known how it "
            f"is metered from {label(ordered[0].from_s)} to {shown(ordered[-1].until_s)}"
        )
    total = np.zeros((len(CHANNELS), len(edges_s) - 1), np.int64)
    known = np.ones(total.shape, np.bool_)
    for one in ordered:
        if one.from_s >= high_s or one.until_s <= low_s:
            continue
        part, told = _part(registers, edges_s, one)
        here = (edges_s[:-1] < one.until_s) & (edges_s[1:] > one.from_s)
        total[:, here] += part[:, here]
        known[:, here] &= told[:, here]
    return np.where(known, total, MISSING)


def _part(registers: Ints, edges_s: Ints, one: Installation) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return what one installation counted of each interval, and whether it is known."""
    at = registers.copy()
    first = _column(one.first)
    last = _column(one.last)
    # At an edge where one meter gives way to another, the reads of the exchange count.
    at = np.where(edges_s < one.from_s, first, at)
    at = np.where((edges_s == one.from_s) & (first != MISSING), first, at)
    at = np.where(edges_s > one.until_s, last, at)
    at = np.where((edges_s == one.until_s) & (last != MISSING), last, at)
    known = at != MISSING
    # Counted from where the facts begin, whatever part of the time is asked for.
    base = np.where(first == MISSING, 0, first)
    counted = np.where(known, at - base, 0)
    factor = one.factor
    if int(np.abs(counted).max()) * factor.numerator >= _MOST:
        raise BadInputError(
            f"{one.usage_point} {one.meter}: {int(np.abs(counted).max())} Wh × {factor} is "
            "beyond 2^62 Wh"
        )
    primary = counted * factor.numerator // factor.denominator
    part = np.diff(primary, axis=1)
    told = known[:, 1:] & known[:, :-1] & (np.diff(counted, axis=1) >= 0)
    return part, told


def _column(registers: Registers | None) -> Ints:
    return np.array(registers or (MISSING,) * len(CHANNELS), np.int64)[:, None]


def add_phases(import_wh: Ints, export_wh: Ints, summation: Summation) -> tuple[Ints, Ints]:
    """Return import and export of a usage point from those of its phases.

    Parameters
    ----------
    import_wh, export_wh : ndarray of int64 (phase, interval)
        MISSING where not known; then the sum is.
    summation : Summation

    Returns
    -------
    import_wh, export_wh : ndarray of int64 (interval,)
    """
    missing = ((import_wh == MISSING) | (export_wh == MISSING)).any(axis=0)
    net = import_wh - export_wh
    if summation is Summation.ARITHMETIC:
        taken, given = np.maximum(net, 0).sum(axis=0), np.maximum(-net, 0).sum(axis=0)
    else:
        whole = net.sum(axis=0)
        taken, given = np.maximum(whole, 0), np.maximum(-whole, 0)
    if summation is Summation.FERRARIS:
        given = np.zeros_like(given)
    return np.where(missing, MISSING, taken), np.where(missing, MISSING, given)
