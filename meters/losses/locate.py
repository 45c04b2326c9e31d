"""Whose unmetered power it is: voltages, the meter's own readings, its events.

The voltages give each place a likelihood (:mod:`meters.losses.voltage`). Three more
things speak for a meter itself: the unmetered power follows what it does count,
to within metering noise; its readings fell by as much as is lost when the loss
began; it stands still or runs backwards since, as it never did. All are bounded,
so that they may decide between neighbours and never overrule the voltages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from meters.losses.balance import Balance, expected
from meters.losses.record import Bools, FeederRecord, Floats, Ints
from meters.losses.voltage import Placing, VoltageBaseline, place

OWN_MAX = 8.0
"""Natural units that a meter's own readings can add for it, together."""
_FOLLOWS = _STRANGE = 6.0
NOISE_RATIO_MAX = 1.3
_FELL_MAX = 4.0
_SEASON_SD = 0.15
_EVENT_DAYS = 3
_OTHER_WAY = 0.6


class EventKind(StrEnum):
    """What a meter's event log says that bears on a loss."""

    TERMINAL_COVER = "terminal cover opened"
    METER_COVER = "meter cover opened"
    MAGNETIC_FIELD = "strong magnetic field"
    REVERSE_ENERGY = "energy in reverse direction"


_EVENT_WEIGHT = {
    EventKind.TERMINAL_COVER: 20.0,
    EventKind.METER_COVER: 20.0,
    EventKind.MAGNETIC_FIELD: 50.0,
    EventKind.REVERSE_ENERGY: 10.0,
}
"""By how many times an event near its beginning makes a meter more likely the place of a loss."""


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """An entry of a meter's event log."""

    usage_point: str
    at_s: int
    kind: EventKind


@dataclass(frozen=True, eq=False)
class Usual:
    """What each usage point took on trusted days, (usage_point,) each."""

    day_wh: Floats
    day_sd_wh: Floats
    still_intervals: Floats
    """The longest stretch of intervals without any import or export."""
    export_share: Floats
    """Exported of exported and imported energy, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Location:
    """Where an unmetered power flows, as far as the evidence goes.

    Attributes
    ----------
    probability : float64 (usage_point + 1,)
        Of each place; the busbar and what lies above it last.
    placing : Placing
        What the voltages alone say.
    follows : float64 (usage_point,)
        Unmetered Wh for each Wh that the meter counts net, where the
        unmetered power follows it to within metering noise; else NaN.
    fell_wh : float64 (usage_point,)
        By how much less a day the meter counts than its past and the other meters let expect.
    fell_sd_wh : float64 (usage_point,)
    still, backwards : bool (usage_point,)
        The meter stands still, or counts in the other direction, and never did on trusted days.
    """

    probability: Floats
    placing: Placing
    follows: Floats
    fell_wh: Floats
    fell_sd_wh: Floats
    still: Bools
    backwards: Bools

    def suspects(self, count: int) -> list[tuple[int, float]]:
        """Return the likeliest usage points with their probability, the busbar left out."""
        order = np.argsort(-self.probability[:-1], kind="stable")[:count]
        return [(int(row), float(self.probability[row])) for row in order]


def learn_usual(record: FeederRecord) -> Usual:
    """Return what each usage point takes on trusted days."""
    days, per_day = record.days, record.per_day
    span = slice(0, days * per_day)
    day = record.import_wh[:, span].reshape(len(record.usage_point), days, per_day).sum(axis=2)
    still = (record.import_wh == 0) & (record.export_wh == 0)
    return Usual(
        day.mean(axis=1),
        day.std(axis=1),
        longest_run(still).astype(np.float64),
        _export_share(record),
    )


def _export_share(record: FeederRecord) -> Floats:
    exported, imported = record.export_wh.sum(axis=1), record.import_wh.sum(axis=1)
    return np.asarray(exported / np.maximum(exported + imported, 1))


def longest_run(flags: Bools) -> Ints:
    """Return the longest stretch of true flags of each row."""
    count = np.zeros(len(flags), dtype=np.int64)
    best = count.copy()
    for column in flags.T:
        count = np.where(column, count + 1, 0)
        best = np.maximum(best, count)
    return best


def locate(
    voltage: VoltageBaseline,
    usual: Usual,
    record: FeederRecord,
    judged: Balance,
    first_day: int,
    events: Sequence[MeterEvent] = (),
) -> Location:
    """Return where the unmetered power of a record flows from a day on."""
    since = record.part(first_day, record.days)
    span = slice(first_day * record.per_day, record.days * record.per_day)
    unmetered, variance = judged.unmetered_wh[span], judged.variance_wh2[span]
    watts = 3600.0 / record.interval_s
    placing = place(voltage, since, expected(judged, span) * watts)
    follows = _follows(since, unmetered, variance + judged.day_variance_wh2)
    fell, fell_sd = _fell(usual, since)
    lost_day = float(np.nanmean(unmetered)) * record.per_day
    still, backwards = _strange(usual, since)
    own = np.where(np.isfinite(follows), _FOLLOWS, 0.0) + _speaks(fell, fell_sd, lost_day)
    own += np.where(still | backwards, _STRANGE, 0.0)
    own = np.logaddexp(0.0, np.minimum(own, OWN_MAX)) - np.log(2.0)
    score = placing.log_likelihood.copy()
    score[:-1] += own
    score[:-1] += _prior(record, events, since.start_s)
    score -= score.max()
    probability = np.exp(score)
    return Location(
        probability / probability.sum(), placing, follows, fell, fell_sd, still, backwards
    )


def _follows(record: FeederRecord, unmetered: Floats, variance: Floats) -> Floats:
    """Return unmetered per metered Wh of the meters that the unmetered power follows."""
    fine = np.isfinite(unmetered)
    net = record.net_wh()[:, fine]
    weight = 1.0 / variance[fine]
    power = unmetered[fine]
    square = net**2 @ weight
    slope = (net @ (weight * power)) / np.where(square > 0.0, square, 1.0)
    misfit = ((power - slope[:, None] * net) ** 2) @ weight / max(int(fine.sum()), 1)
    steady = float((power - power.mean()) ** 2 @ weight) / max(int(fine.sum()), 1)
    # Rounding of the meter's own registers is scaled up with the slope.
    allowed = NOISE_RATIO_MAX + slope**2 * float(np.mean(weight)) / 6.0
    fits = (misfit <= allowed) & (steady >= 4.0 * allowed) & (square > 0.0)
    return np.where(fits, slope, np.nan)


def _fell(usual: Usual, record: FeederRecord) -> tuple[Floats, Floats]:
    days = max(record.days, 1)
    now = record.import_wh.sum(axis=1) / max(len(record.complete) / record.per_day, 1e-9)
    large = usual.day_wh > 0.0
    season = float(np.median(now[large] / usual.day_wh[large])) if large.any() else 1.0
    sd = np.hypot(usual.day_sd_wh / np.sqrt(days), _SEASON_SD * usual.day_wh)
    return season * usual.day_wh - now, np.maximum(sd, 1.0)


def _strange(usual: Usual, record: FeederRecord) -> tuple[Bools, Bools]:
    """Return which meters stand still, and which count in the other direction, as never before."""
    run = longest_run((record.import_wh == 0) & (record.export_wh == 0))
    still = run > np.maximum(2.0 * usual.still_intervals, record.per_day)
    moved = (record.import_wh + record.export_wh).sum(axis=1) > 0
    return still, moved & (np.abs(_export_share(record) - usual.export_share) > _OTHER_WAY)


def _speaks(fell: Floats, sd: Floats, lost_day_wh: float) -> Floats:
    """Return for each meter how well its fall equals the loss, against no fall."""
    ratio = (fell**2 - (fell - lost_day_wh) ** 2) / (2.0 * sd**2)
    return np.clip(ratio, -_FELL_MAX, _FELL_MAX)


def _prior(record: FeederRecord, events: Sequence[MeterEvent], since_s: int) -> Floats:
    added = np.zeros(len(record.usage_point))
    row = {point: number for number, point in enumerate(record.usage_point)}
    for event in events:
        if event.usage_point in row and abs(event.at_s - since_s) <= _EVENT_DAYS * 86_400:
            here = row[event.usage_point]
            added[here] = max(added[here], float(np.log(_EVENT_WEIGHT[event.kind])))
    return added
