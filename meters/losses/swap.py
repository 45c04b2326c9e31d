"""Meters whose series were exchanged: the voltage of each fits the other's place.

The sum of the feeder does not change, so the balance sees nothing. But a meter's
voltage follows the loads of its own neighbourhood and carries its own gain error
along, and both go with the series to the wrong usage point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from meters.losses.record import FeederRecord, Floats
from meters.losses.voltage import DROP_SD, VoltageBaseline, unexplained

SWAPS_MAX = 5
_MISFIT_MAX = 1.5


@dataclass(frozen=True, slots=True)
class Swap:
    """Two usage points whose series fit better the other way round.

    Attributes
    ----------
    first, second : int
        Rows of the record.
    log_likelihood_ratio : float
        Of exchanged since `since_day` against as recorded, discounted as the places of a loss are.
    since_day, found_day : int
        The first day, and the day at whose end the limit was exceeded.
    """

    first: int
    second: int
    log_likelihood_ratio: float
    since_day: int
    found_day: int


def swapped(
    baseline: VoltageBaseline, record: FeederRecord, *, limit: float, known_gains: bool = True
) -> list[Swap]:
    """Return pairs whose voltages say that they were exchanged, the surest first.

    Each found pair is put right before the next is looked for: exchanged powers
    disturb what the model expects of the others.

    Parameters
    ----------
    limit : float
        Log likelihood ratio that a pair must exceed.
    known_gains : bool
        The voltage gain errors were learned before the exchange. If they may have been learned from
        exchanged series, only how the voltages vary is compared.
    """
    if not known_gains:
        # The learned slopes would hide a part of what an exchange does.
        sane = np.isfinite(baseline.noise)
        typical = float(np.median(baseline.noise[sane])) if sane.any() else np.inf
        noise = np.where(sane, typical, np.inf)
        baseline = replace(baseline, drop_error=np.zeros_like(baseline.drop_error), noise=noise)
    chosen: list[Swap] = []
    while len(chosen) < SWAPS_MAX:
        best = _best(baseline, record, limit, known_gains)
        if best is None:
            break
        chosen.append(best)
        record = exchanged(record, best.first, best.second, best.since_day)
    return chosen


def exchanged(record: FeederRecord, first: int, second: int, since_day: int) -> FeederRecord:
    """Return the record with two usage points' series exchanged from a day on."""
    since = slice(since_day * record.per_day, None)
    changed = {}
    for name in ("import_wh", "export_wh", "estimated", "voltage_v"):
        values = getattr(record, name).copy()
        values[[first, second], since] = values[[second, first], since]
        changed[name] = values
    net_kw = record.net_wh() * (3.6 / record.interval_s)
    more_kw = (net_kw[second] - net_kw[first])[since]
    expected = record.expected_v.copy()
    apart = record.drop_v_per_kw[:, first] - record.drop_v_per_kw[:, second]
    expected[:, since] -= apart[:, None] * more_kw
    return replace(record, expected_v=expected, **changed)


def _best(
    baseline: VoltageBaseline, record: FeederRecord, limit: float, known_gains: bool
) -> Swap | None:
    rest, known = unexplained(baseline, record)
    usable = np.isfinite(baseline.noise) & (known.sum(axis=1) >= record.per_day)
    rows = np.flatnonzero(usable)
    best: Swap | None = None
    for position, first in enumerate(rows[:-1].tolist()):
        others = rows[position + 1 :]
        ratio, misfit = _ratios(baseline, record, rest, known, first, others, known_gains)
        ratio /= float(baseline.inflation.max())
        # What the days from each first one to the last say together, two days at least.
        since = np.cumsum(ratio[:, ::-1], axis=1)[:, ::-1][:, :-1]
        left = np.cumsum(misfit[:, ::-1], axis=1)[:, ::-1][:, :-1]
        left = left / np.arange(misfit.shape[1], 1, -1)
        since = np.where(left <= _MISFIT_MAX * baseline.scatter, since, -np.inf)
        if not since.size or since.max() <= (limit if best is None else best.log_likelihood_ratio):
            continue
        at, day = (int(n) for n in np.unravel_index(int(np.argmax(since)), since.shape))
        beyond = int(np.argmax(np.cumsum(ratio[at, day:]) > limit))
        best = Swap(first, int(others[at]), float(since[at, day]), day, day + beyond)
    return best


def _ratios(
    baseline: VoltageBaseline,
    record: FeederRecord,
    rest: Floats,
    known: Floats,
    first: int,
    others: npt.NDArray[np.intp],
    known_gains: bool,
) -> tuple[Floats, Floats]:
    """Return log likelihood ratios of exchanging `first` with `others`, (other, day).

    And what the exchange leaves unexplained, as a multiple of what noise leaves.
    """
    nominal = float(np.median(record.expected_v[known > 0.0]))
    expected = np.where(known > 0.0, record.expected_v, nominal)
    net_kw = record.net_wh() * (3.6 / record.interval_s)
    both = known[first] * known[others]
    more_kw = net_kw[others] - net_kw[first]
    drop = record.drop_v_per_kw / nominal
    own = drop[first, first] - drop[first, others]
    theirs = drop[others, first] - drop[others, others]
    # What each place would see with the other's power there, against what it was expected to see.
    here = np.log(expected[first] / nominal - own[:, None] * more_kw)
    there = np.log(expected[others] / nominal - theirs[:, None] * more_kw)
    was_here, was_there = np.log(expected[first] / nominal), np.log(expected[others] / nominal)
    # Power in another place moves what all meters share, too.
    mean = drop.mean(axis=0)
    shared = -(mean[first] - mean[others])[:, None] * more_kw
    gains = baseline.offset[others] - baseline.offset[first]
    at_first = rest[first] - (there - was_here) - gains[:, None] + shared
    at_others = rest[others] - (here - was_there) + gains[:, None] + shared
    result, misfit = np.zeros((2, len(others), record.days))
    count = np.maximum(_by_day(both, record), 1.0)
    for noise, kept, moved, shift in (
        (
            baseline.noise[first],
            np.broadcast_to(rest[first], both.shape),
            at_first,
            there - was_here,
        ),
        (baseline.noise[others][:, None], rest[others], at_others, here - was_there),
    ):
        as_recorded = _by_day(_squares(kept, both, known_gains), record)
        as_exchanged = _by_day(_squares(moved, both, known_gains), record)
        result += (as_recorded - as_exchanged) / (2.0 * noise**2)
        allowed = DROP_SD**2 * _by_day(shift**2 * both, record)
        misfit += (as_exchanged - allowed) / noise**2 / count / 2.0
    return result, misfit


def _by_day(values: Floats, record: FeederRecord) -> Floats:
    whole = values[:, : record.days * record.per_day]
    return np.asarray(whole.reshape(len(values), record.days, record.per_day).sum(axis=2))


def _squares(values: Floats, both: Floats, known_gains: bool) -> Floats:
    if not known_gains:
        mean = (values * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1.0)
        values = values - mean[:, None]
    return np.asarray(values**2 * both)
