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
_THIN = 8
_SCREEN = 0.25
"""Pairs are compared by every eighth interval first; by all of them those that reach this share of
the limit. A pair that is exchanged gains by the day, one that is not loses."""


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


@dataclass(frozen=True, eq=False)
class _Seen:
    """What pairs are compared by: residual voltages and powers, (usage_point, interval)."""

    rest: Floats
    known: Floats
    expected: Floats
    net_kw: Floats
    drop: Floats
    per_day: int

    def thinned(self) -> _Seen:
        """Return the same of every eighth interval."""
        columns = (self.rest, self.known, self.expected, self.net_kw)
        rest, known, expected, net_kw = (np.ascontiguousarray(one[:, ::_THIN]) for one in columns)
        return _Seen(rest, known, expected, net_kw, self.drop, self.per_day // _THIN)


def _seen(baseline: VoltageBaseline, record: FeederRecord) -> _Seen:
    rest, known = unexplained(baseline, record)
    span = slice(0, record.days * record.per_day)
    rest, known = rest[:, span], known[:, span]
    expected = record.expected_v[:, span]
    fine = known > 0.0
    nominal = float(np.median(expected[fine])) if fine.any() else 1.0
    return _Seen(
        rest,
        known,
        np.where(fine, expected / nominal, 1.0),
        record.net_wh()[:, span] * (3.6 / record.interval_s),
        record.drop_v_per_kw / nominal,
        record.per_day,
    )


def _best(
    baseline: VoltageBaseline, record: FeederRecord, limit: float, known_gains: bool
) -> Swap | None:
    seen = _seen(baseline, record)
    usable = np.isfinite(baseline.noise) & (seen.known.sum(axis=1) >= record.per_day)
    rows = np.flatnonzero(usable)
    thin = seen.thinned() if record.per_day % _THIN == 0 else seen
    enough = _SCREEN * limit * thin.per_day / seen.per_day
    best: Swap | None = None
    for position, first in enumerate(rows[:-1].tolist()):
        others = rows[position + 1 :]
        if thin is not seen:
            since, _ = _since(baseline, thin, first, others, known_gains)
            others = others[since.max(axis=1, initial=-np.inf) > enough]
            if not others.size:
                continue
        since, ratio = _since(baseline, seen, first, others, known_gains)
        if not since.size or since.max() <= (limit if best is None else best.log_likelihood_ratio):
            continue
        at, day = (int(n) for n in np.unravel_index(int(np.argmax(since)), since.shape))
        beyond = int(np.argmax(np.cumsum(ratio[at, day:]) > limit))
        best = Swap(first, int(others[at]), float(since[at, day]), day, day + beyond)
    return best


def _since(
    baseline: VoltageBaseline,
    seen: _Seen,
    first: int,
    others: npt.NDArray[np.intp],
    known_gains: bool,
) -> tuple[Floats, Floats]:
    """Return what the days from each first one to the last say together, two days at least.

    (other, day - 1), -inf where the exchange leaves too much unexplained; and what each day says.
    """
    ratio, misfit = _ratios(baseline, seen, first, others, known_gains)
    ratio /= float(baseline.inflation.max())
    since = np.cumsum(ratio[:, ::-1], axis=1)[:, ::-1][:, :-1]
    left = np.cumsum(misfit[:, ::-1], axis=1)[:, ::-1][:, :-1]
    left = left / np.arange(misfit.shape[1], 1, -1)
    return np.where(left <= _MISFIT_MAX * baseline.scatter, since, -np.inf), ratio


def _ratios(
    baseline: VoltageBaseline,
    seen: _Seen,
    first: int,
    others: npt.NDArray[np.intp],
    known_gains: bool,
) -> tuple[Floats, Floats]:
    """Return log likelihood ratios of exchanging `first` with `others`, (other, day).

    And what the exchange leaves unexplained, as a multiple of what noise leaves.
    """
    rest, expected, drop = seen.rest, seen.expected, seen.drop
    both = seen.known[first] * seen.known[others]
    more_kw = seen.net_kw[others] - seen.net_kw[first]
    own = drop[first, first] - drop[first, others]
    theirs = drop[others, first] - drop[others, others]
    # What each place would see with the other's power there, against what it was expected to see.
    here = np.log(expected[first] - own[:, None] * more_kw)
    there = np.log(expected[others] - theirs[:, None] * more_kw)
    was_here, was_there = np.log(expected[first]), np.log(expected[others])
    # Power in another place moves what all meters share, too.
    mean = drop.mean(axis=0)
    shared = -(mean[first] - mean[others])[:, None] * more_kw
    gains = baseline.offset[others] - baseline.offset[first]
    at_first = rest[first] - (there - was_here) - gains[:, None] + shared
    at_others = rest[others] - (here - was_there) + gains[:, None] + shared
    result, misfit = np.zeros((2, len(others), rest.shape[1] // seen.per_day))
    count = np.maximum(_by_day(both, seen.per_day), 1.0)
    for noise, kept, moved, shift in (
        (
            baseline.noise[first],
            np.broadcast_to(rest[first], both.shape),
            at_first,
            there - was_here,
        ),
        (baseline.noise[others][:, None], rest[others], at_others, here - was_there),
    ):
        as_recorded = _by_day(_squares(kept, both, known_gains), seen.per_day)
        as_exchanged = _by_day(_squares(moved, both, known_gains), seen.per_day)
        result += (as_recorded - as_exchanged) / (2.0 * noise**2)
        allowed = DROP_SD**2 * _by_day(shift**2 * both, seen.per_day)
        misfit += (as_exchanged - allowed) / noise**2 / count / 2.0
    return result, misfit


def _by_day(values: Floats, per_day: int) -> Floats:
    return np.asarray(values.reshape(len(values), -1, per_day).sum(axis=2))


def _squares(values: Floats, both: Floats, known_gains: bool) -> Floats:
    if not known_gains:
        mean = (values * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1.0)
        values = values - mean[:, None]
    return np.asarray(values**2 * both)
