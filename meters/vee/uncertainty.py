"""How far an estimate may lie from the truth: by trying it where the truth is known.

The method that fills a gap is applied to stretches of the same length of the same
meter that were read, and the deviation that 68.27 % of them stay within is the
standard deviation of the estimate (split conformal prediction, Vovk et al. 2005).
It is relative to how much the energies of the time of day scatter on like days or,
where nobody knows, to the estimate plus the meter's mean, for energies scatter
more where there is more of them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

WITHIN: Final = 0.6827
_WINDOWS: Final = 24
_LEAST: Final = 3
_AT_ONCE: Final = 512


class Kind(IntEnum):
    """What an estimate goes by: its neighbours, a model of the day, or their mean."""

    LINEAR = 0
    MODEL = 1
    NEAREST = 2


def levels(values: Ints, model: Ints) -> Floats:
    """Return the mean known energy of each row, that of its model where nothing is known."""
    return _mean(values, _mean(model, np.zeros(values.shape[0]))) + 1.0


def _mean(values: Ints, otherwise: Floats) -> Floats:
    known = values >= 0
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)


def relative(
    values: Ints,
    model: Ints,
    scale: Floats,
    row: Ints,
    length: Ints,
    kind: Ints,
    scaled: Bools,
    exact: Bools,
) -> Floats:
    """Return the deviation of each gap's estimates, relative to `scale`.

    Parameters
    ----------
    values : ndarray of int64 (row, interval)
        What was read, negative elsewhere.
    model : ndarray of int64 (row, interval)
        Like day or load shape, negative where unknown.
    scale : ndarray of float64 (row, interval)
        How much energies scatter there, in proportion; positive.
    row, length, kind : ndarray of int64 (gap,)
    scaled : ndarray of bool (gap,)
        The estimates of the gap add up to a known total.
    exact : ndarray of bool (gap,)
        Only stretches as long as the gap tell, for there is something better than shorter ones.

    Returns
    -------
    ndarray of float64 (gap,)
        NaN where too little of the meter is known to tell.
    """
    found = np.full(row.size, np.nan)
    found[scaled & (length == 1)] = 0.0
    for size in np.unique(length[np.isnan(found)]).tolist():
        part = np.flatnonzero((length == size) & np.isnan(found))
        for first in range(0, part.size, _AT_ONCE):
            some = part[first : first + _AT_ONCE]
            tried = size
            # A long gap leaves no stretch of its length: shorter ones tell what they can, but
            # to know the total of a long one hardly helps.
            while some.size and tried >= 1:
                found[some] = _tried(
                    values[row[some]], model[row[some]], scale[row[some]], tried, kind[some],
                    scaled[some] & (tried == size),
                )  # fmt: skip
                some = some[np.isnan(found[some]) & ~exact[some]]
                tried //= 2
    return found


def _tried(
    values: Ints, model: Ints, scale: Floats, length: int, kind: Ints, scaled: Bools
) -> Floats:
    """Return the deviation over stretches of `length` that were read, NaN if too few."""
    count, n = values.shape
    if n - length < 2:
        return np.full(count, np.nan)
    starts = np.unique(np.linspace(1, n - length - 1, _WINDOWS).astype(np.int64))
    at = starts[:, None] + np.arange(-1, length + 1)
    seen = values[:, at].astype(np.float64)
    inner, left, right = seen[..., 1:-1], seen[..., :1], seen[..., -1:]
    weight = np.arange(1, length + 1) / (length + 1)
    which = kind[:, None, None]
    guess = np.where(
        which == Kind.MODEL,
        model[:, at[:, 1:-1]],
        np.where(which == Kind.LINEAR, left + (right - left) * weight, (left + right) / 2),
    )
    known = (seen >= 0).all(axis=2) & (guess >= 0).all(axis=2)
    total, whole = inner.sum(axis=2, keepdims=True), guess.sum(axis=2, keepdims=True)
    even = np.where(whole > 0, guess * total / np.where(whole > 0, whole, 1.0), total / length)
    guess = np.where(scaled[:, None, None], even, guess)
    error = abs(inner - guess) / scale[:, at[:, 1:-1]]
    error = np.sort(np.where(np.expand_dims(known, 2), error, np.inf).reshape(count, -1), axis=1)
    stretches = known.sum(axis=1)
    # The finite-sample quantile of conformal prediction: ceil((n + 1) q) of n.
    rank = np.minimum(np.ceil((stretches * length + 1) * WITHIN), stretches * length)
    place = np.maximum(rank.astype(np.int64) - 1, 0)
    return np.where(stretches >= _LEAST, error[np.arange(count), place], np.nan)
