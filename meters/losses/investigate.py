"""From trusted weeks and the days since to cases of lost energy.

The balance detects, by a sequential test whose limit follows from how many false
cases are borne; the voltages and the meters' own readings place. No usage point
is named unless its probability exceeds a limit and what the voltages see there
agrees with what the balance lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meters.losses.balance import (
    Balance,
    BalanceBaseline,
    balance,
    gain_errors,
    learn_balance,
    loosened,
    lost_wh,
    watch,
)
from meters.losses.case import NEXT, Case, CaseKind, Evidence
from meters.losses.evidence import event_evidence, own_evidence, place_evidence
from meters.losses.limits import Limits
from meters.losses.locate import MeterEvent, Usual, learn_usual, locate
from meters.losses.record import FeederRecord, Floats
from meters.losses.swap import swapped
from meters.losses.voltage import VoltageBaseline, learn_voltage

SUSPECTS = 5


@dataclass(frozen=True, eq=False)
class Baseline:
    """What trusted weeks say of a feeder."""

    usage_point: tuple[str, ...]
    class_percent: float
    balance: BalanceBaseline
    voltage: VoltageBaseline
    usual: Usual


def learn(
    record: FeederRecord, *, class_percent: float = 1.0, drift_percent: float = 0.05
) -> Baseline:
    """Learn a feeder from weeks that are trusted.

    Parameters
    ----------
    record : FeederRecord
        At least two weeks, better four.
    class_percent : float
        Accuracy class of the meters.
    drift_percent : float
        By how much the gain of the head meter may wander from day to day: a kelvin moves a meter of
        class 1 by up to 0.05 % (IEC 62053-21).

    Raises
    ------
    BadInputError
        When there is too little to learn from.
    """
    return Baseline(
        usage_point=record.usage_point,
        class_percent=class_percent,
        balance=learn_balance(record, class_percent=class_percent, drift_percent=drift_percent),
        voltage=learn_voltage(record),
        usual=learn_usual(record),
    )


def investigate(
    baseline: Baseline,
    record: FeederRecord,
    *,
    limits: Limits | None = None,
    events: Sequence[MeterEvent] = (),
) -> tuple[Case, ...]:
    """Return the cases of the days since the trusted weeks, by all that is known of them.

    Parameters
    ----------
    record : FeederRecord
        The same usage points; whole days count.
    """
    limits = limits or Limits()
    record = record.part(0, record.days)
    judged = balance(baseline.balance, record)
    cases: list[Case] = []
    for kind, sign in ((CaseKind.BYPASS, 1.0), (CaseKind.SURPLUS, -1.0)):
        found = _loss(baseline, record, judged, kind, sign, limits, events)
        if found is not None:
            case, place, first = found
            cases.append(case)
            record = _explained(record, judged, place, first)
    return (*cases, *_swaps(baseline, record, limits))


def _explained(record: FeederRecord, judged: Balance, place: int, first: int) -> FeederRecord:
    """Return the record with the voltages that are to be expected with a loss at its place."""
    if place >= len(record.usage_point):
        return record
    since = slice(first * record.per_day, None)
    lost_kw = np.nan_to_num(judged.unmetered_wh[since]) * (3.6 / record.interval_s)
    expected = record.expected_v.copy()
    expected[:, since] -= record.drop_v_per_kw[:, place, None] * lost_kw
    return replace(record, expected_v=expected)


def doubts(
    baseline: Baseline, record: FeederRecord, *, limits: Limits | None = None
) -> tuple[Case, ...]:
    """Return what the trusted weeks themselves say against being trusted.

    Meters outside their class, and pairs whose series were exchanged all along. A standing load
    that was never metered cannot be told from errors by this.

    Parameters
    ----------
    record : FeederRecord
        The weeks that `baseline` was learned from.
    """
    limits = limits or Limits()
    swaps = _swaps(baseline, record, limits, known_gains=False)
    return (*_inaccurate(baseline, record, limits), *swaps)


def _inaccurate(baseline: Baseline, record: FeederRecord, limits: Limits) -> list[Case]:
    """Return the meters outside their class, the surest first, each with the others corrected.

    Meters whose series have one shape explain the same, so the runners-up are suspects too.
    """
    cases: list[Case] = []
    freed: list[int] = []
    learned = baseline.balance
    while len(cases) < SUSPECTS:
        error, sd = gain_errors(learned)
        beyond = np.abs(error) - baseline.class_percent / 100.0 - limits.gain_sd * sd
        beyond[freed] = -np.inf
        if not (beyond > 0.0).any():
            break
        # What freeing one meter from its class gains in log likelihood.
        score = error**2 / (sd**2 + learned.prior_sd[:-3] ** 2) / 2.0
        score[freed] = -np.inf
        probability = np.exp(score - score.max())
        probability /= probability.sum()
        row = int(np.argmax(score))
        cases.append(_gain_case(baseline, record, limits, row, error, sd, probability))
        freed.append(row)
        learned = loosened(learned, row)
    return cases


def _gain_case(
    baseline: Baseline,
    record: FeederRecord,
    limits: Limits,
    row: int,
    error: Floats,
    sd: Floats,
    probability: Floats,
) -> Case:
    point = record.usage_point[row]
    limit = baseline.class_percent / 100.0 + limits.gain_sd * float(sd[row])
    day_kwh = float(record.net_wh()[row].sum()) / record.days / 1000.0
    words = (
        f"the gain error of {point} is {100 * error[row]:.2f} ± {100 * sd[row]:.2f} % by the "
        f"balance of {record.days} days, {limits.gain_sd:g} standard deviations beyond class "
        f"{baseline.class_percent:g} are {100 * limit:.2f} %"
    )
    order = np.argsort(-probability, kind="stable")[:SUSPECTS]
    named = probability[row] >= limits.located
    return Case(
        kind=CaseKind.INACCURATE,
        subject=(point,) if named else (),
        since_s=record.start_s,
        found_s=record.start_s + record.days * 86_400,
        kwh_per_day=float(-error[row]) * day_kwh,
        kwh_per_day_sd=abs(float(sd[row]) * day_kwh),
        suspects=tuple((record.usage_point[at], float(probability[at])) for at in order),
        elsewhere=0.0,
        evidence=(Evidence("gain", float(error[row]), limit, words),),
        next_step=NEXT[CaseKind.INACCURATE],
    )


def _loss(
    baseline: Baseline,
    record: FeederRecord,
    judged: Balance,
    kind: CaseKind,
    sign: float,
    limits: Limits,
    events: Sequence[MeterEvent],
) -> tuple[Case, int, int] | None:
    """Return the case of energy that no meter counts, its likeliest place and first day."""
    signed = replace(judged, unmetered_wh=sign * judged.unmetered_wh, day_wh=sign * judged.day_wh)
    seen = watch(signed)
    beyond = np.flatnonzero(seen.statistic > limits.balance_sd)
    if not beyond.size:
        return None
    first = int(seen.first_day[-1])
    if seen.statistic[-1] <= limits.balance_sd:
        first = int(seen.first_day[beyond[-1]])
    mean, sd = lost_wh(signed, first)
    # The head's own gain error scales what is lost, too.
    sd = float(np.hypot(sd, mean * baseline.class_percent / 200.0))
    scale = record.per_day / 1000.0
    if mean * scale < limits.least_kwh_per_day:
        return None
    where = locate(baseline.voltage, baseline.usual, record, judged, first, events)
    evidence = [
        Evidence(
            "balance",
            float(seen.statistic.max()),
            limits.balance_sd,
            f"balance: {mean * scale:.2f} kWh a day {seen.statistic.max():.1f} standard deviations "
            f"from what meter errors explain, limit {limits.balance_sd:g}",
        )
    ]
    row = int(np.argmax(where.probability))
    told, agrees = place_evidence(where, row, record, limits)
    evidence += told
    named = row < len(record.usage_point) and agrees and where.probability[row] >= limits.located
    if named:
        kind, own = own_evidence(baseline.usual, record, where, row, first, kind)
        evidence += own + event_evidence(record, events, row)
    case = Case(
        kind=kind,
        subject=(record.usage_point[row],) if named else (),
        since_s=record.start_s + first * 86_400,
        found_s=record.start_s + (int(beyond[0]) + 1) * 86_400,
        kwh_per_day=mean * scale,
        kwh_per_day_sd=sd * scale,
        suspects=tuple((record.usage_point[at], p) for at, p in where.suspects(SUSPECTS)),
        elsewhere=float(where.probability[-1]),
        evidence=tuple(evidence),
        next_step=NEXT[kind] if named else _NOT_LOCATED,
        one_place=agrees,
    )
    return case, row, first


_NOT_LOCATED = (
    "measure the service cables of the suspects on the same day, the likeliest first; "
    "read the head meter and its transformers if none of them shows it"
)


def _swaps(
    baseline: Baseline, record: FeederRecord, limits: Limits, *, known_gains: bool = True
) -> list[Case]:
    cases = []
    for swap in swapped(baseline.voltage, record, limit=limits.swap, known_gains=known_gains):
        pair = (record.usage_point[swap.first], record.usage_point[swap.second])
        words = (
            f"voltages: log likelihood ratio {swap.log_likelihood_ratio:.0f} for the series of "
            f"{pair[0]} and {pair[1]} exchanged, limit {limits.swap:g}"
        )
        cases.append(
            Case(
                kind=CaseKind.SWAPPED,
                subject=pair,
                since_s=record.start_s + swap.since_day * 86_400,
                found_s=record.start_s + (swap.found_day + 1) * 86_400,
                kwh_per_day=0.0,
                kwh_per_day_sd=0.0,
                suspects=tuple((point, 1.0) for point in pair),
                elsewhere=0.0,
                evidence=(Evidence("swap", swap.log_likelihood_ratio, limits.swap, words),),
                next_step=NEXT[CaseKind.SWAPPED],
            )
        )
    return cases
