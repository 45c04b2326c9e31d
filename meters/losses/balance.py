"""The feeder's balance: what enters and no meter counts, against what errors explain.

The residual of an interval is what the head counted, less what the usage points
counted, less the technical losses. In a healthy feeder it is
``g_head head - sum_i g_i net_i + l losses + a`` plus the rounding of registers:
constant gain errors ``g``, a share ``l`` by which the loss model is off and a
standing power ``a``. All of them are learned from trusted weeks by Bayesian
least squares with the meters' class as the prior, so that what the errors
predict of a later day, and how surely, is known when that day is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from meters.losses.record import FeederRecord, Floats

LEARNING_DAYS_MIN = 14
_LOSSES_SD = 0.10
_STANDING_SD_WH = 250.0
_DAY_MEMORY = 5.0
_ROUNDING_WH2 = 1.0 / 6.0
_PASSES = 4
_ANY_GAIN = 10.0


@dataclass(frozen=True, eq=False)
class BalanceBaseline:
    """What trusted weeks say of the errors of a feeder's meters.

    Attributes
    ----------
    coefficient : float64 (usage_point + 3,)
        Gain errors of the usage points' meters and of the head's, the share by
        which modelled losses fall short, the standing Wh of an interval.
    covariance : float64 (usage_point + 3, usage_point + 3)
        As far as noise is new in each interval.
    drift_covariance : float64 (usage_point + 3, usage_point + 3)
        What the wandering of every meter's gain adds to it.
    prior_sd : float64 (usage_point + 3,)
    interval_variance_wh2 : float
        Of the residual of an interval, from one to the next.
    day_variance_wh2 : float
        Of what the intervals of a day share: meters drift with the weather, so
        days near each other share it too.
    spread_wh2 : float64 (usage_point,)
        Half of the mean square by which a meter's intervals differ from the next: how wrong an
        estimate between two of them may be.
    """

    coefficient: Floats
    covariance: Floats
    drift_covariance: Floats
    prior_sd: Floats
    interval_variance_wh2: float
    day_variance_wh2: float
    spread_wh2: Floats


@dataclass(frozen=True, eq=False)
class Balance:
    """Residuals of a record that the learned errors do not explain.

    Attributes
    ----------
    unmetered_wh : float64 (interval,)
        NaN where the interval is not complete.
    variance_wh2 : float64 (interval,)
        Of its noise from one interval to the next.
    day_wh : float64 (day,)
        Mean of the day's intervals, NaN without any. A plain one: estimates keep the register
        difference over a gap, so within a day their errors cancel.
    day_covariance_wh2 : float64 (day, day)
        Of `day_wh`: noise, and errors of the learned gains, which days share.
    day_variance_wh2 : float
        The part of it that the intervals of a day share beyond those.
    """

    unmetered_wh: Floats
    variance_wh2: Floats
    day_wh: Floats
    day_covariance_wh2: Floats
    day_variance_wh2: float


def _columns(record: FeederRecord) -> tuple[Floats, Floats]:
    """Return the residual (interval,) and what explains it, (interval, usage_point + 3)."""
    net, head = record.net_wh(), record.head_wh()
    residual = head - net.sum(axis=0) - record.losses_wh
    columns = np.vstack([-net, head, record.losses_wh, np.ones(len(head))]).T
    return residual, columns


def learn_balance(
    record: FeederRecord, *, class_percent: float, drift_percent: float
) -> BalanceBaseline:
    """Learn the errors of a feeder's meters from days that are trusted.

    Parameters
    ----------
    record : FeederRecord
        At least two weeks, better four and more.
    class_percent : float
        Accuracy class of the meters; a gain error is drawn with half of it as
        its standard deviation.
    drift_percent : float
        By how much each meter's gain wanders from day to day, as a standard deviation, with a
        memory of some days; the head's at least, even if the trusted weeks saw less.

    Raises
    ------
    BadInputError
        When there are too few days or too few complete intervals.
    """
    known = record.complete
    if record.days < LEARNING_DAYS_MIN or known.sum() < LEARNING_DAYS_MIN * record.per_day // 2:
        raise BadInputError(
            f"feeder balance: {int(known.sum())} complete intervals of {record.days} days to learn "
            f"from, must be at least half of {LEARNING_DAYS_MIN} days"
        )
    residual, columns = _columns(record)
    spread = (np.diff(record.net_wh()[:, known], axis=1) ** 2).mean(axis=1) / 2.0
    points = len(record.usage_point)
    prior = np.full(points + 3, class_percent / 200.0)
    prior[-2:] = _LOSSES_SD, _STANDING_SD_WH
    variance = points * _ROUNDING_WH2
    for _ in range(_PASSES):
        weight = 1.0 / (variance + spread @ record.estimated[:, known])
        weighted = columns[known] * weight[:, None]
        covariance = np.linalg.inv(weighted.T @ columns[known] + np.diag(prior**-2.0))
        coefficient = covariance @ (weighted.T @ residual[known])
        rest = residual[known] - columns[known] @ coefficient
        # A median is not moved by the few intervals that hold something else.
        scale = np.sqrt(weight * variance)
        variance = max(float(np.median(np.abs(rest * scale)) / 0.6745) ** 2, _ROUNDING_WH2)
    influence = np.zeros(columns.T.shape)
    influence[:, known] = covariance @ weighted.T
    drift = (drift_percent / 100.0) ** 2 * _drift_covariance(record, influence)
    baseline = BalanceBaseline(coefficient, covariance, drift, prior, variance, 0.0, spread)
    least = (drift_percent / 100.0 * float(np.mean(np.abs(record.head_wh()[known])))) ** 2
    return replace(
        baseline, day_variance_wh2=max(_shared_by_days(balance(baseline, record)), least)
    )


def _drift_covariance(record: FeederRecord, influence: Floats) -> Floats:
    """Return the covariance of coefficients by gains that wander with unit deviation.

    What a wandering gain adds to the residual lasts for days: intervals are no independent
    witnesses of it, and least squares takes it for a gain error of whichever meter it resembles.

    Parameters
    ----------
    influence : float64 (coefficient, interval)
        Of each interval's residual on the coefficients.
    """
    per_day, days = record.per_day, record.days
    whole = slice(0, days * per_day)
    apart = np.abs(np.subtract.outer(np.arange(days), np.arange(days)))
    root = np.linalg.cholesky(np.exp(-apart / _DAY_MEMORY))
    total = np.zeros((len(influence), len(influence)))
    for carried in (*record.net_wh(), record.head_wh()):
        moved = influence[:, whole] * np.where(record.complete, carried, 0.0)[whole]
        by_day = moved.reshape(len(influence), days, per_day).sum(axis=2) @ root
        total += by_day @ by_day.T
    return total


def _shared_by_days(learned: Balance) -> float:
    """Return the variance of day means beyond what their intervals explain, not below 0."""
    known = np.isfinite(learned.day_wh)
    own = np.diag(learned.day_covariance_wh2)[known]
    return max(float(np.mean(learned.day_wh[known] ** 2 - own)), 0.0)


def balance(baseline: BalanceBaseline, record: FeederRecord) -> Balance:
    """Return what the learned errors do not explain of each interval and day."""
    residual, columns = _columns(record)
    known = record.complete
    variance = baseline.interval_variance_wh2 + baseline.spread_wh2 @ record.estimated
    unmetered = np.where(known, residual - columns @ baseline.coefficient, np.nan)
    per_day, days = record.per_day, record.days

    def by_day(values: npt.NDArray[np.float64]) -> Floats:
        whole: Floats = values[: days * per_day].reshape(days, per_day, *values.shape[1:])
        return whole

    counted = by_day(known.astype(np.float64))
    count = counted.sum(axis=1)
    share = np.where(count > 0.0, 1.0 / np.where(count > 0.0, count, 1.0), 0.0)
    level = (counted[:, :, None] * by_day(columns)).sum(axis=1) * share[:, None]
    # Only a gap over the day's edge moves energy from one day to another.
    edges = by_day(np.asarray(baseline.spread_wh2 @ record.estimated, dtype=np.float64))
    edges = edges[:, [0, -1]].sum(axis=1)
    own = baseline.interval_variance_wh2 * share + edges * per_day * share**2 / 4.0
    covariance = level @ (baseline.covariance + baseline.drift_covariance) @ level.T
    apart = np.abs(np.subtract.outer(np.arange(days), np.arange(days)))
    covariance += np.diag(own) + baseline.day_variance_wh2 * np.exp(-apart / _DAY_MEMORY)
    total = by_day(np.where(known, unmetered, 0.0)).sum(axis=1)
    day = np.where(count > 0.0, total * share, np.nan)
    return Balance(unmetered, variance, day, covariance, baseline.day_variance_wh2)


@dataclass(frozen=True, eq=False)
class Watch:
    """The sequential test of a balance, by the day on which each statistic is known.

    Attributes
    ----------
    statistic : float64 (day,)
        The largest over all first days of the mean of the days since, as a
        multiple of its standard deviation: standard normal for a given first
        day when nothing is lost. -inf on a day without balance.
    first_day : int64 (day,)
        Where a step in the daily means fits best by least squares.
    """

    statistic: Floats
    first_day: npt.NDArray[np.int64]


def watch(judged: Balance) -> Watch:
    """Return the sequential test of a lasting unmetered power, day by day.

    Plain means rather than generalised least squares: a load that varies from
    day to day is no step, and no day of it may count against it.
    """
    days = len(judged.day_wh)
    known = np.flatnonzero(np.isfinite(judged.day_wh))
    statistic, first = np.full(days, -np.inf), np.zeros(days, dtype=np.int64)
    day = judged.day_wh[known]
    covariance = judged.day_covariance_wh2[np.ix_(known, known)]
    for last, at in enumerate(known.tolist()):
        # Sums over the days from each first one to the last known.
        total = np.cumsum(day[last::-1])[::-1]
        block = np.cumsum(np.cumsum(covariance[last::-1, last::-1], axis=0), axis=1)
        statistic[at] = float(np.max(total / np.sqrt(np.diag(block))[::-1]))
        first[at] = known[int(np.argmax(np.sign(total) * total**2 / np.arange(last + 1, 0, -1)))]
    return Watch(statistic, first)


def lost_wh(judged: Balance, first_day: int) -> tuple[float, float]:
    """Return the mean unmetered Wh of an interval from a day on, and its standard deviation."""
    known = np.flatnonzero(np.isfinite(judged.day_wh))
    known = known[known >= first_day]
    if not known.size:
        return 0.0, np.inf
    block = judged.day_covariance_wh2[np.ix_(known, known)]
    return float(judged.day_wh[known].mean()), float(np.sqrt(block.sum())) / known.size


def expected(judged: Balance, span: slice) -> Floats:
    """Return what is to be expected of the unmetered Wh of intervals, NaN where not known.

    A residual with much noise says little of its own interval: it is drawn to
    the mean as far as its variance is noise.
    """
    unmetered, variance = judged.unmetered_wh[span], judged.variance_wh2[span]
    fine = np.isfinite(unmetered)
    if not fine.any():
        return unmetered
    values, noise = unmetered[fine], variance[fine]
    signal = 0.0
    for _ in range(_PASSES):
        weight = 1.0 / (noise + signal)
        mean = float(np.average(values, weights=weight))
        signal = max(float(np.average((values - mean) ** 2 - noise, weights=weight**2)), 0.0)
    result = unmetered.copy()
    result[fine] = mean + signal / (signal + noise) * (values - mean)
    return result


def gain_errors(baseline: BalanceBaseline) -> tuple[Floats, Floats]:
    """Return each meter's gain error as if its class were unknown, and its standard deviation.

    (usage_point,) each; the deviation is infinite where the weeks say nothing of a meter.
    """
    points = len(baseline.coefficient) - 3
    variance = np.diag(baseline.covariance)[:points]
    information = 1.0 / variance - baseline.prior_sd[:points] ** -2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(information > 0.0, 1.0 / variance / information, 0.0)
        noise = np.where(information > 0.0, 1.0 / information, np.inf)
    drift = factor**2 * np.diag(baseline.drift_covariance)[:points]
    return factor * baseline.coefficient[:points], np.sqrt(noise + drift)


def loosened(baseline: BalanceBaseline, row: int) -> BalanceBaseline:
    """Return the baseline as if nothing were known of one meter's class."""
    prior = baseline.prior_sd.copy()
    prior[row] = _ANY_GAIN
    # Weaker knowledge is a negative amount of it: a rank-one update of the inverse.
    change = prior[row] ** -2.0 - baseline.prior_sd[row] ** -2.0
    column = baseline.covariance[:, row]
    factor = change / (1.0 + change * column[row])
    moves = np.eye(len(prior))
    moves[:, row] -= factor * column
    return replace(
        baseline,
        prior_sd=prior,
        covariance=moves @ baseline.covariance,
        drift_covariance=moves @ baseline.drift_covariance @ moves.T,
        coefficient=moves @ baseline.coefficient,
    )
