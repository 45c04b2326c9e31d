"""Symmetrical components: between phases a, b, c and sequences zero, positive, negative.

Fortescue, Trans. AIEE 37(2), 1918, doi:10.1109/T-AIEE.1918.4765570. Sequences
are ordered zero, positive, negative everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from networks.model import Complex

PHASES = ("a", "b", "c")
PAIRS = ("ab", "bc", "ca")
ZERO, POSITIVE, NEGATIVE = 0, 1, 2

_TURN = np.exp(2j * np.pi / 3)
TO_PHASE: Complex = np.array(
    [[1, 1, 1], [1, _TURN**2, _TURN], [1, _TURN, _TURN**2]], dtype=np.complex128
)
"""Phase quantities from sequence quantities, (phase, sequence)."""
TO_SEQUENCE: Complex = TO_PHASE.conj() / 3
"""Sequence quantities from phase quantities, (sequence, phase)."""


def phases(sequences: Sequence[Complex] | Complex) -> Complex:
    """Return phase quantities (3, ...) of sequence quantities (3, ...)."""
    zero, positive, negative = sequences
    made = np.empty((3, *np.shape(zero)), dtype=np.complex128)
    # Two rotated sums instead of a 3 x 3 product: half the passes over the arrays.
    made[0] = positive + negative
    made[1] = _TURN.conjugate() * positive
    made[1] += _TURN * negative
    np.negative(made[0], out=made[2])
    made[2] -= made[1]
    made += zero
    return made


def sequences(phase: Complex) -> Complex:
    """Return sequence quantities (3, ...) of phase quantities (3, ...)."""
    return np.tensordot(TO_SEQUENCE, phase, axes=1)


def voltage_unbalance_percent(sequence: Sequence[Complex] | Complex) -> npt.NDArray[np.float64]:
    """Return negative over positive sequence voltage, percent (IEC 61000-4-30, 5.7.1)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: npt.NDArray[np.float64] = np.abs(sequence[NEGATIVE]) / np.abs(sequence[POSITIVE])
    return 100.0 * ratio
