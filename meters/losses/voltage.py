"""Where unmetered power flows: what it does to the voltages that the meters show.

A load that no meter counts lowers the voltage of every meter by its power times
the drop per kilowatt, largest in its own neighbourhood. Against the model the
relative voltage error of meter ``i`` is ``gain_i + common_t - s_ib z_t / V + noise``:
the gain error is constant and learned, what all meters share is the public
network's own voltage and is taken out, and ``z_t`` is known from the balance. So
each usage point ``b`` predicts the whole pattern with nothing left to fit, and the
log likelihoods of the predictions can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from meters.losses.record import FeederRecord, Floats

DROP_SD = 0.05
"""By how much of itself a modelled drop may be wrong."""
_NOISE_MIN = 1e-6
_ROUNDS = 6
_ABSURD = 0.3
_STRANGE_SD = 6.0
_STRANGE_RATIO = 3.0
_KW_PER_W = 1e-3


@dataclass(frozen=True, eq=False)
class VoltageBaseline:
    """What trusted weeks say of the meters' voltage readings, all relative to the model's.

    Attributes
    ----------
    offset : float64 (usage_point,)
        Gain error against what all meters share.
    drop_error : float64 (usage_point,)
        Share by which the model's drop to the meter is off.
    middle : float64 (usage_point,)
        The drop at which `offset` holds.
    noise : float64 (usage_point,)
        Standard deviation of an interval; infinite for a meter without voltage.
    count : float64 (usage_point,)
        Intervals learned from.
    inflation : float64 (usage_point + 1,)
        By how much the statistic of a usage point (the busbar last) scatters from day to day
        beyond what independent noise makes it: cables that differ from the model
        show here.
    scatter : float
        The same of single meters, on average.
    """

    offset: Floats
    drop_error: Floats
    middle: Floats
    noise: Floats
    count: Floats
    inflation: Floats
    scatter: float


def _weights(noise: Floats) -> Floats:
    weight = np.where(np.isfinite(noise), 1.0 / noise**2, 0.0)
    total = weight.sum()
    return weight / total if total > 0.0 else weight


def _centred(values: Floats, known: Floats, share: Floats) -> Floats:
    """Return values less their weighted mean over the meters known in each interval."""
    weight = known * share[:, None]
    total = weight.sum(axis=0)
    mean = (weight * values).sum(axis=0) / np.where(total > 0.0, total, 1.0)
    return np.asarray((values - mean) * known)


def _errors(record: FeederRecord, noise: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (error, drop, known), each (usage_point, interval)."""
    fine = np.isfinite(record.voltage_v) & np.isfinite(record.expected_v) & record.complete
    fine &= np.isfinite(noise)[:, None]
    # A meter that is cut off shows next to nothing: that is no voltage of the feeder.
    fine &= np.abs(np.where(fine, record.voltage_v / record.expected_v, 1.0) - 1.0) < _ABSURD
    expected = np.where(fine, record.expected_v, 1.0)
    # Logarithms, so that a gain error and the network's own wandering add exactly.
    error = np.log(np.where(fine, record.voltage_v, 1.0) / expected)
    nominal = float(np.median(expected[fine])) if fine.any() else 1.0
    drop = np.where(fine, np.log(expected / nominal), 0.0)
    return error, drop, fine.astype(np.float64)


def learn_voltage(record: FeederRecord) -> VoltageBaseline:
    """Learn the voltage errors of a feeder's meters from days that are trusted.

    A meter that shows no voltage, or on fewer than two days, takes no part.
    """
    points = len(record.usage_point)
    seen = (np.isfinite(record.voltage_v) & record.complete).sum(axis=1)
    noise = np.where(seen >= 2 * record.per_day, 1.0, np.inf)
    error, drop, known = _errors(record, noise)
    count = np.maximum(known.sum(axis=1), 1.0)
    middle = drop.sum(axis=1) / count
    moved = (drop - middle[:, None]) * known
    offset, slope = np.zeros(points), np.zeros(points)
    # What all share is a mean over the meters known in an interval, so their own errors come off
    # first; a few rounds settle both.
    for _ in range(_ROUNDS):
        own = offset[:, None] + slope[:, None] * moved
        rest = _centred((error - own) * known, known, _weights(noise))
        offset += rest.sum(axis=1) / count
        floor = np.where(np.isfinite(noise), noise, 1.0) ** 2 / DROP_SD**2
        square = (moved**2).sum(axis=1)
        slope += ((moved * rest).sum(axis=1) - slope * floor) / (square + floor)
        size = np.sqrt((rest**2).sum(axis=1) / count)
        noise = np.where(np.isfinite(noise), np.maximum(size, _NOISE_MIN), np.inf)
    plain = VoltageBaseline(offset, slope, middle, noise, count, np.ones(points + 1), 1.0)
    inflation, scatter = _inflation(plain, record)
    return replace(plain, inflation=inflation, scatter=scatter)


def unexplained(baseline: VoltageBaseline, record: FeederRecord) -> tuple[Floats, Floats]:
    """Return relative voltage errors that are not the meters' own, and where they are known."""
    error, drop, known = _errors(record, baseline.noise)
    moved = (drop - baseline.middle[:, None]) * known
    own = baseline.offset[:, None] + baseline.drop_error[:, None] * moved
    return _centred((error - own) * known, known, _weights(baseline.noise)), known


def patterns(baseline: VoltageBaseline, record: FeederRecord) -> Floats:
    """Return the relative error of each meter per W unmetered, (usage_point, usage_point + 1).

    The last column is the busbar and what lies above it: it lowers all alike, so nothing is left.
    """
    points = len(record.usage_point)
    nominal = float(np.nanmedian(record.expected_v))
    raw = np.zeros((points, points + 1))
    raw[:, :points] = -record.drop_v_per_kw * _KW_PER_W / nominal
    return np.asarray(raw - _weights(baseline.noise) @ raw)


def _inflation(plain: VoltageBaseline, record: FeederRecord) -> tuple[Floats, float]:
    """Return the excess scatter of the places' daily statistics, and of single meters'."""
    rest, known = unexplained(plain, record)
    days, per_day = record.days, record.per_day
    weight = np.where(np.isfinite(plain.noise), plain.noise, np.inf) ** -2.0
    shape = (len(rest), days, per_day)
    sums = rest[:, : days * per_day].reshape(shape).sum(axis=2) * weight[:, None]
    seen = known[:, : days * per_day].reshape(shape).sum(axis=2) * weight[:, None]
    column = patterns(plain, record)
    found = ((column.T @ sums) ** 2).mean(axis=1)
    theory = (column.T**2 @ seen).mean(axis=1)
    ratio = np.where(theory > 0.0, found / np.where(theory > 0.0, theory, 1.0), 1.0)
    single = (sums**2).sum() / max(float(seen.sum()), 1e-300)
    return np.maximum(ratio, 1.0), max(float(single), 1.0)


@dataclass(frozen=True, eq=False)
class Placing:
    """How well each place explains the voltages, the busbar last.

    Attributes
    ----------
    log_likelihood : float64 (usage_point + 1,)
        Against the busbar, discounted by the scatter that trusted weeks showed.
    share : float64 (usage_point + 1,)
        The unmetered power that the voltages see at the place, as a share of the balance's: near 1
        where the place is right.
    share_sd : float64 (usage_point + 1,)
    misfit : float64 (usage_point + 1,)
        What the place leaves unexplained, as a multiple of what noise leaves: near 1 or below where
        it is right, more where power is lost in more than one place.
    left_out : tuple of int
        Meters whose voltage moved more than any unmetered power of that size moves it: exchanged,
        swapped or faulty, and no witnesses.
    """

    log_likelihood: Floats
    share: Floats
    share_sd: Floats
    misfit: Floats
    left_out: tuple[int, ...]


def place(
    baseline: VoltageBaseline,
    record: FeederRecord,
    unmetered_w: Floats,
) -> Placing:
    """Return how well an unmetered power at each place explains the voltages.

    Parameters
    ----------
    record : FeederRecord
        The days since the power began to flow.
    unmetered_w : float64 (interval,)
        What is to be expected of it by the balance (:func:`~meters.losses.balance.expected`), NaN
        where not known.
    """
    fine = np.isfinite(unmetered_w)
    power = np.where(fine, unmetered_w, 0.0)
    strange = _strange(baseline, record, power)
    if strange.size:
        noise = baseline.noise.copy()
        noise[strange] = np.inf
        baseline = replace(baseline, noise=noise)
    rest, known = unexplained(baseline, record)
    known = known * fine
    weight = np.where(np.isfinite(baseline.noise), baseline.noise, np.inf) ** -2.0
    matched = (rest * power).sum(axis=1) * weight
    square = known @ power**2
    # The learned offset is a mean of so many intervals and errs alike in every later one.
    learned = float(np.median(np.append(baseline.count[np.isfinite(baseline.noise)], 1.0)))
    shared = 1.0 + power.sum() ** 2 / max(float((power**2).sum()) * learned, 1e-9)
    column = patterns(baseline, record)
    linear, quadratic = column.T @ matched, column.T**2 @ (weight * square)
    discount = float(baseline.inflation.max()) * shared
    some = quadratic > 0.0
    safe = np.where(some, quadratic, 1.0)
    seen = square > 0.0
    found = np.where(seen, matched, 0.0) / np.where(seen & (weight > 0.0), weight * square, 1.0)
    rest_power = (weight * square) @ (found[:, None] - column) ** 2
    return Placing(
        (linear - quadratic / 2.0) / discount,
        np.where(some, linear / safe, 0.0),
        np.where(some, np.sqrt(discount / safe), np.inf),
        rest_power
        / (
            baseline.scatter * shared * max(int(seen.sum()) - 1, 1)
            + DROP_SD**2 * np.maximum(quadratic, 0.0)
        ),
        tuple(strange.tolist()),
    )


def _strange(
    baseline: VoltageBaseline, record: FeederRecord, power: Floats
) -> npt.NDArray[np.intp]:
    """Return the meters whose mean error no place of the unmetered power explains."""
    rest, known = unexplained(baseline, record)
    count = np.maximum(known.sum(axis=1), 1.0)
    # The median of the meters stands for what they share: one strange meter moves the mean.
    mean = rest.sum(axis=1) / count
    mean = mean - np.median(mean)
    explained = np.abs(patterns(baseline, record)).max(axis=1) * np.abs(power).mean()
    noise = np.where(np.isfinite(baseline.noise), baseline.noise, 0.0) / np.sqrt(count)
    limit = _STRANGE_RATIO * explained + _STRANGE_SD * noise * np.sqrt(baseline.inflation.max())
    return np.flatnonzero((np.abs(mean) > limit) & np.isfinite(baseline.noise))
