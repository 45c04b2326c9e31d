"""The last resort: what the feeder head measured and no meter accounts for.

It is shared among the meters of which nothing is known, in proportion to their
average day or, where there is none, to what their connection carries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from meters.reading import MISSING
from meters.vee.day import Ints
from meters.vee.estimation import spread
from meters.vee.facts import Facts, FeederHead
from meters.vee.quality import Quality
from meters.vee.rules import both
from meters.vee.uncertainty import WITHIN

PAIRS = (("import_wh", "export_wh", "net_wh"), ("import_varh", "export_varh", "net_varh"))
_TELLING = 2_000
"""Meters whose distance from their share is looked at."""


def share_rest(
    energy: dict[str, Ints],
    sd_wh: dict[str, npt.NDArray[np.float32]],
    quality: npt.NDArray[np.uint16],
    rule: npt.NDArray[np.uint16],
    facts: Facts,
    limit_wh: Ints,
    wanted: npt.NDArray[np.bool_],
) -> None:
    """Fill intervals of which nothing is known; all arrays are changed in place.

    Parameters
    ----------
    energy, sd_wh : dict of channel to ndarray (meter, interval)
    quality, rule : ndarray of uint16 (meter, interval)
    facts : Facts
        With a feeder; without, nothing happens.
    limit_wh : ndarray of int64 (meter,)
    wanted : ndarray of bool (interval,)
        Where an estimate is due.
    """
    head = facts.feeder
    if head is None:
        return
    at = np.flatnonzero(wanted & head.known & (quality == Quality.MISSING).any(axis=0))
    # Few meters are missing: only theirs are looked at one by one.
    gone = np.flatnonzero(head.member & (quality == Quality.MISSING).any(axis=1))
    missing = quality[np.ix_(gone, at)] == Quality.MISSING
    lost = missing.copy()
    for channel in energy:
        lost &= energy[channel][np.ix_(gone, at)] == MISSING
    # A meter that is known in part would leave a rest that is not the others'.
    clean = lost.any(axis=0) & ~(missing & ~lost).any(axis=0)
    at, lost = at[clean], lost[:, clean]
    if not at.size:
        return
    group, which = np.nonzero(lost.T)
    row, column = gone[which], at[group]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    weight = _weights(facts, limit_wh)
    deviation = _deviation(_of(head, energy["import_wh"]), _of(head, weight))
    for into, out_of, net in PAIRS:
        rest = getattr(head, net)[at] - (head.loss_wh[at] if net == "net_wh" else 0)
        for channel, sign in ((into, -1), (out_of, 1)):
            # What is lost counts as MISSING in the sum, which is a number too.
            known = _of(head, energy[channel]).sum(axis=0)[at] - MISSING * lost.sum(axis=0)
            rest = rest + sign * known
        room = np.add.reduceat(limit_wh[row], first)
        for channel, total in ((into, np.maximum(rest, 0)), (out_of, np.maximum(-rest, 0))):
            share = spread(np.minimum(total, room), weight[row], group, first)
            share = np.minimum(share, limit_wh[row])
            energy[channel][row, column] = share
            sd_wh[channel][row, column] = deviation * np.maximum(share, 1)
    quality[row, column] = Quality.ESTIMATED_FEEDER
    rule[row, column] = both("missing", "feeder_residual")


def _of(head: FeederHead, values: Ints) -> Ints:
    """Return the rows of the meters behind the head, which most often are all."""
    return values if head.member.all() else values[head.member]


def _weights(facts: Facts, limit_wh: Ints) -> Ints:
    average = facts.average_day_wh
    if average is None or (average < 0).any():
        return np.maximum(limit_wh, 1)
    return np.maximum(average, 1)


def _deviation(energy: Ints, weight: Ints) -> float:
    """Return how far known meters lie from their share of what they take together."""
    known = np.flatnonzero(energy.min(axis=1) >= 0)
    if known.size < 2:
        return 1.0
    whole, part = energy[known].sum(axis=0), weight[known] / weight[known].sum()
    # Of very many meters some tell how far they lie as well as all.
    some = slice(None, None, -(-known.size // _TELLING))
    share = whole * part[some, None]
    error = abs(energy[known[some]] - share)
    error /= np.maximum(share, 1.0, out=share)
    return float(np.quantile(error, WITHIN, method="higher"))
