"""Meters whose series were exchanged: the voltage of each fits the other's place.

The sum of the feeder does not change, so the balance sees nothing. But a meter's
voltage follows the loads of its own neighbourhood and carries its own gain error
along, and both go with the series to the wrong usage point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from meters.losses.record import FeederRecord, Floats
from meters.losses.voltage import VoltageBaseline, unexplained


@dataclass(frozen=True, slots=True)
class Swap:
    """Two usage points whose series fit better the other way round.

    Attributes
    ----------
    first, second : int
        Rows of the record.
    log_likelihood_ratio : float
        Of exchanged against as recorded, discounted as the places of a loss are.
    """

    first: int
    second: int
    log_likelihood_ratio: float


def swapped(
    baseline: VoltageBaseline, record: FeederRecord, *, limit: float, known_gains: bool = True
) -> list[Swap]:
    """Return pairs whose voltages say that they were exchanged, the surest first, each meter once.

    Parameters
    ----------
    limit : float
        Log likelihood ratio that a pair must exceed.
    known_gains : bool
        The voltage gain errors were learned before the exchange. If they may have been learned from
        exchanged series, only how the voltages vary is compared.
    """
    rest, known = unexplained(baseline, record)
    usable = np.isfinite(baseline.noise) & (known.sum(axis=1) >= record.per_day)
    rows = np.flatnonzero(usable)
    found = []
    for position, first in enumerate(rows.tolist()):
        others = rows[position + 1 :]
        if not others.size:
            break
        ratio = _ratios(baseline, record, rest, known, first, others, known_gains)
        ratio /= float(baseline.inflation.max())
        found += [
            Swap(first, int(others[at]), float(ratio[at])) for at in np.flatnonzero(ratio > limit)
        ]
    taken: set[int] = set()
    chosen = []
    for one in sorted(found, key=lambda swap: -swap.log_likelihood_ratio):
        if not taken & {one.first, one.second}:
            taken |= {one.first, one.second}
            chosen.append(one)
    return chosen


def _ratios(
    baseline: VoltageBaseline,
    record: FeederRecord,
    rest: Floats,
    known: Floats,
    first: int,
    others: npt.NDArray[np.intp],
    known_gains: bool,
) -> Floats:
    """Return the log likelihood ratio of exchanging `first` with each of `others`."""
    expected = np.where(known > 0.0, record.expected_v, 1.0)
    nominal = float(np.median(expected[known > 0.0]))
    net_kw = record.net_wh() * (3.6 / record.interval_s)
    both = known[first] * known[others]
    more_kw = net_kw[others] - net_kw[first]
    drop = record.drop_v_per_kw / nominal
    own = drop[first, first] - drop[first, others]
    theirs = drop[others, first] - drop[others, others]
    # What each place would see with the other's power there, in relative terms.
    here = expected[first] / nominal - own[:, None] * more_kw
    there = expected[others] / nominal - theirs[:, None] * more_kw
    gains = baseline.offset[others] - baseline.offset[first]
    at_first = rest[first] - (there - expected[first] / nominal) - gains[:, None]
    at_others = rest[others] - (here - expected[others] / nominal) + gains[:, None]
    kept = _squares(np.broadcast_to(rest[first], both.shape), both, known_gains)
    moved = _squares(at_first, both, known_gains)
    result = (kept - moved) / baseline.noise[first] ** 2
    kept = _squares(rest[others], both, known_gains)
    moved = _squares(at_others, both, known_gains)
    result += (kept - moved) / baseline.noise[others] ** 2
    return np.asarray(result / 2.0)


def _squares(values: Floats, both: Floats, known_gains: bool) -> Floats:
    if not known_gains:
        mean = (values * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1.0)
        values = values - mean[:, None]
    return np.asarray((values**2 * both).sum(axis=1))
