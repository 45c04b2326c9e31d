"""The search for lost energy on a straight feeder of eight houses, whose truth is arithmetic."""

import re
from dataclasses import replace

import numpy as np
import pytest

from grid.errors import BadInputError
from meters.losses import (
    CaseKind,
    EventKind,
    FeederRecord,
    Limits,
    MeterEvent,
    doubts,
    investigate,
    learn,
)
from meters.losses.balance import (
    balance,
    expected,
    gain_errors,
    learn_balance,
    loosened,
    lost_wh,
    watch,
)
from meters.losses.locate import longest_run
from meters.losses.swap import exchanged
from meters.losses.voltage import learn_voltage, patterns, place

HOUSES, DAY, START_S = 8, 96, 1_767_225_600
NAMES = tuple(f"H-{number}" for number in range(1, HOUSES + 1))
METER = np.arange(1, HOUSES + 1)
DROP = 0.05 * np.minimum.outer(METER, METER) + 0.02
"""V per kW: each house is 0.05 V per kW further out than the last."""


def street(days, seed, *, gain=0.0, stolen_kw=None, metered=None, voltage_step_v=0.1):
    """Return the record of a street; `stolen_kw` (house, step) goes round the meters."""
    life, rng = np.random.default_rng([seed, days]), np.random.default_rng([seed, 1])
    count = days * DAY
    hour = np.arange(count) % DAY / 4
    usual = 0.3 + 0.4 * np.exp(-((hour - 19) ** 2) / 8)
    load = usual * life.gamma(1.5, 1.0, (HOUSES, count)) * np.linspace(0.6, 1.4, HOUSES)[:, None]
    seen = load if metered is None else metered(load)
    flowing = load if stolen_kw is None else load + stolen_kw
    errors = gain * np.clip(rng.normal(0, 0.5, HOUSES + 1), -1, 1)
    offsets = 1 + 0.0025 * np.clip(rng.normal(0, 1, HOUSES), -2, 2)
    source = 230 + 1.5 * np.sin(np.arange(count) / 37) + life.normal(0, 0.3, count)
    counted = _counted(seen * (1 + errors[:-1, None]))
    shown = (source - DROP @ flowing) * offsets[:, None]
    return FeederRecord(
        usage_point=NAMES,
        start_s=START_S,
        interval_s=900,
        complete=np.ones(count, np.bool_),
        head_import_wh=_counted(flowing.sum(axis=0)[None] * (1 + errors[-1]))[0],
        head_export_wh=np.zeros(count, np.int64),
        import_wh=np.maximum(counted, 0),
        export_wh=np.maximum(-counted, 0),
        estimated=np.zeros((HOUSES, count), np.bool_),
        losses_wh=np.zeros(count),
        voltage_v=np.round(shown / voltage_step_v) * voltage_step_v,
        expected_v=230 - DROP @ (counted / 250.0),
        drop_v_per_kw=DROP,
    )


def _counted(power_kw):
    total = np.floor(np.cumsum(power_kw * 250.0, axis=1)).astype(np.int64)
    return np.diff(total, axis=1, prepend=0)


def taken(house, power_kw, days, since_day=0):
    stolen = np.zeros((HOUSES, days * DAY))
    stolen[house, since_day * DAY :] = power_kw
    return stolen


@pytest.fixture(scope="module")
def baseline():
    return learn(street(28, 1, gain=0.01))


def test_gain_errors_come_out_of_the_balance_with_their_deviation():
    record = street(28, 3, gain=0.01)
    rng = np.random.default_rng([3, 1])
    truth = 0.01 * np.clip(rng.normal(0, 0.5, HOUSES + 1), -1, 1)
    learned = learn_balance(record, class_percent=1.0, drift_percent=0.0)
    found, sd = gain_errors(learned)
    # Only differences to the head's own error can be seen.
    gap = (found - learned.coefficient[HOUSES]) - (truth[:-1] - truth[-1])
    assert (np.abs(gap) < 5 * sd).all()
    assert sd.max() < 0.003


def test_a_wandering_gain_is_in_the_deviation_of_the_errors_that_are_learned():
    """Without it a meter that resembles the wandering ones would be called outside its class."""
    apart, blind = [], []
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        wander = 0.003 * _memory(rng.normal(size=(HOUSES, 28)), 3.0)
        record = street(28, seed, metered=lambda load, w=wander: load * (1 + np.repeat(w, DAY, 1)))
        for drift_percent, into in ((0.3, apart), (0.0, blind)):
            found, sd = gain_errors(
                learn_balance(record, class_percent=1.0, drift_percent=drift_percent)
            )
            # What is left of a wander over the weeks is an error that there is.
            into.append((found - wander.mean(axis=1)) / sd)
    assert np.std(apart) < 1.3
    assert np.abs(apart).max() < 4.0
    assert np.std(blind) > 1.5 * np.std(apart)


def _memory(pushes, days):
    keep = np.exp(-1.0 / days)
    level, values = pushes[:, 0], [pushes[:, 0]]
    for push in pushes.T[1:]:
        level = keep * level + np.sqrt(1.0 - keep**2) * push
        values.append(level)
    return np.array(values).T


def test_a_loosened_meter_is_what_learning_it_without_a_class_gives():
    record = street(28, 4, gain=0.01)
    learned = learn_balance(record, class_percent=1.0, drift_percent=0.0)
    loose = loosened(learned, 2)
    free, sd = gain_errors(learned)
    assert loose.coefficient[2] == pytest.approx(free[2], abs=1e-6)
    assert loose.covariance[2, 2] == pytest.approx(sd[2] ** 2, rel=1e-3)


def test_the_sequential_statistic_of_a_clean_street_stays_low_and_its_deviation_is_honest():
    highest, days = [], []
    for seed in range(30):
        learned = learn_balance(street(21, seed, gain=0.01), class_percent=1.0, drift_percent=0.0)
        judged = balance(learned, street(20, seed, gain=0.01))
        highest.append(watch(judged).statistic.max())
        days.append(judged.day_wh / np.sqrt(np.diag(judged.day_covariance_wh2)))
    assert max(highest) < 4.0
    assert 0.1 < np.std(days) < 1.3


def test_the_first_day_of_a_loss_and_its_energy_are_found(baseline):
    record = street(20, 1, gain=0.01, stolen_kw=taken(3, 0.2, 20, since_day=6))
    judged = balance(baseline.balance, record)
    seen = watch(judged)
    assert seen.statistic[5] < 5.0 < seen.statistic[6]
    assert seen.first_day[-1] == 6
    mean, sd = lost_wh(judged, 6)
    assert mean == pytest.approx(50.0, abs=4 * sd)
    assert lost_wh(judged, 25) == (0.0, np.inf)


@pytest.mark.parametrize("house", [1, 3, 7])
def test_a_bypass_is_placed_at_its_house_by_voltages_alone(baseline, house):
    record = street(14, 1, gain=0.01, stolen_kw=taken(house, 0.5, 14))
    judged = balance(baseline.balance, record)
    found = place(baseline.voltage, record, expected(judged, slice(None)) * 4.0)
    assert int(np.argmax(found.log_likelihood)) == house
    assert found.share[house] == pytest.approx(1.0, abs=4 * found.share_sd[house])
    assert found.misfit[house] < 2.0
    assert found.left_out == ()
    (case,) = investigate(baseline, record)
    assert (case.kind, case.subject) == (CaseKind.BYPASS, (NAMES[house],))


def test_a_case_tells_every_number_that_it_rests_on(baseline):
    (case,) = investigate(baseline, street(14, 1, gain=0.01, stolen_kw=taken(6, 0.5, 14)))
    begins = (
        r"H-7 takes energy that its meter does not count since 2026-01-01T00:00Z: 1[12]\.\d\d ± "
    )
    assert re.match(begins, case.message)
    for word in ("kWh a day", "standard deviations", "limit 5", "limit 0.95", "Next: inspect"):
        assert word in case.message
    for item in case.evidence:
        assert np.isfinite([item.value, item.limit]).all(), item
    assert case.narrowed == ("H-7",)
    assert case.found_s == case.since_s + 86_400


def test_nobody_is_named_where_the_voltages_cannot_tell():
    """Ten volts of resolution: the balance knows that energy is lost, and that is all."""
    blind = learn(street(28, 1, gain=0.01, voltage_step_v=10.0))
    stolen = street(14, 1, gain=0.01, stolen_kw=taken(3, 0.2, 14), voltage_step_v=10.0)
    (case,) = investigate(blind, stolen)
    assert not case.located
    assert len(case.suspects) == 5
    assert "not located" in case.message
    mute = replace(stolen, voltage_v=np.full_like(stolen.voltage_v, np.nan))
    (case,) = investigate(blind, mute)
    assert not case.located
    assert case.kwh_per_day == pytest.approx(4.8, abs=0.3)


def test_the_house_at_the_transformer_is_not_told_from_the_busbar(baseline):
    """Its load lowers every voltage alike: found, and honestly not placed."""
    (case,) = investigate(baseline, street(14, 1, gain=0.01, stolen_kw=taken(0, 0.5, 14)))
    assert not case.located
    assert dict(case.suspects)["H-1"] + case.elsewhere == pytest.approx(1.0, abs=1e-6)


def test_less_than_anyone_looks_into_is_no_case(baseline):
    record = street(14, 1, gain=0.01, stolen_kw=taken(3, 0.2, 14))
    assert investigate(baseline, record, limits=Limits(least_kwh_per_day=5.0)) == ()
    assert investigate(baseline, record, limits=Limits(balance_sd=1e6)) == ()


def test_a_meter_whose_voltage_jumped_is_no_witness(baseline):
    record = street(14, 1, gain=0.01, stolen_kw=taken(6, 0.5, 14))
    voltage = record.voltage_v.copy()
    voltage[1] *= 1.01
    (case,) = investigate(baseline, replace(record, voltage_v=voltage))
    assert case.subject == ("H-7",)
    judged = balance(baseline.balance, record)
    power = expected(judged, slice(None)) * 4.0
    assert place(baseline.voltage, replace(record, voltage_v=voltage), power).left_out == (1,)


def test_an_event_moves_the_odds_by_its_weight_and_is_told(baseline):
    record = street(14, 1, gain=0.01, stolen_kw=taken(3, 0.03, 14))
    limits = Limits(balance_sd=3.0, least_kwh_per_day=0.1, located=0.999)
    (before,) = investigate(baseline, record, limits=limits)
    event = MeterEvent("H-4", START_S + 600, EventKind.MAGNETIC_FIELD)
    late = MeterEvent("H-4", START_S + 9 * 86_400, EventKind.MAGNETIC_FIELD)
    (after,) = investigate(baseline, record, limits=limits, events=[event])
    was, now = dict(before.suspects)["H-4"], dict(after.suspects)["H-4"]
    assert now / (1 - now) == pytest.approx(50.0 * was / (1 - was), rel=1e-6)
    (unmoved,) = investigate(baseline, record, limits=limits, events=[late])
    assert unmoved.suspects == before.suspects
    named = street(14, 1, gain=0.01, stolen_kw=taken(3, 0.5, 14))
    (case,) = investigate(baseline, named, events=[event])
    assert "strong magnetic field" in case.message


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5])
def test_what_a_wrong_meter_does_count_tells_its_kind(baseline, factor):
    def metered(load):
        changed = load.copy()
        changed[4] *= factor
        return changed

    (case,) = investigate(baseline, street(14, 1, gain=0.01, metered=metered))
    kinds = {0.0: CaseKind.STOPPED, -1.0: CaseKind.REVERSED, 0.5: CaseKind.BYPASS}
    assert (case.kind, case.subject) == (kinds[factor], ("H-5",))
    follows = [item.value for item in case.evidence if item.code == "follows"]
    if factor:
        assert follows == [pytest.approx((1 - factor) / factor, abs=0.05)]
    else:
        assert follows == []


def test_exchanging_twice_changes_nothing():
    record = street(3, 2)
    there = exchanged(record, 1, 6, 1)
    assert np.array_equal(there.import_wh[1, :DAY], record.import_wh[1, :DAY])
    assert np.array_equal(there.import_wh[1, DAY:], record.import_wh[6, DAY:])
    back = exchanged(there, 1, 6, 1)
    for name in ("import_wh", "export_wh", "voltage_v"):
        assert np.array_equal(getattr(back, name), getattr(record, name))
    assert np.allclose(back.expected_v, record.expected_v, atol=1e-9)


def test_exchanged_series_are_found_since_their_day_and_put_right(baseline):
    record = exchanged(street(14, 1, gain=0.01), 1, 6, 9)
    # As if the model had been given the exchanged powers.
    model = 230 - DROP @ ((record.import_wh - record.export_wh) / 250.0)
    (case,) = investigate(baseline, replace(record, expected_v=model))
    assert (case.kind, case.subject) == (CaseKind.SWAPPED, ("H-2", "H-7"))
    assert case.since_s == START_S + 9 * 86_400
    assert case.kwh_per_day == 0.0


def test_a_meter_outside_its_class_is_told_from_the_trusted_weeks():
    def metered(load):
        changed = load.copy()
        changed[2] *= 0.9
        return changed

    trusted = street(28, 5, gain=0.01, metered=metered)
    (case,) = doubts(learn(trusted), trusted)
    assert (case.kind, case.subject) == (CaseKind.INACCURATE, ("H-3",))
    assert case.evidence[0].value == pytest.approx(-0.1 / 0.9, abs=0.02)
    assert doubts(learn(street(28, 5, gain=0.01)), street(28, 5, gain=0.01)) == ()


def test_an_interval_that_is_not_complete_says_nothing(baseline):
    record = street(14, 1, gain=0.01, stolen_kw=taken(6, 0.5, 14))
    complete = record.complete.copy()
    complete[3 * DAY : 5 * DAY] = False
    complete[7 * DAY : 7 * DAY + 40] = False
    broken = record.head_import_wh.copy()
    broken[~complete] = -1
    (case,) = investigate(baseline, replace(record, complete=complete, head_import_wh=broken))
    assert case.subject == ("H-7",)
    assert case.kwh_per_day == pytest.approx(12.0, abs=4 * case.kwh_per_day_sd)
    nothing = replace(record, complete=np.zeros_like(complete))
    assert investigate(baseline, nothing) == ()


def test_a_pattern_is_what_a_watt_moves_and_the_busbar_moves_nothing():
    record = street(28, 6, voltage_step_v=0.001)
    column = patterns(learn_voltage(record), record)
    assert column.shape == (HOUSES, HOUSES + 1)
    assert np.allclose(column[:, -1], 0.0)
    gap = column[7, 6] - column[0, 6]
    assert gap == pytest.approx(-(DROP[7, 6] - DROP[0, 6]) / 1000 / 230, rel=0.02)


def test_a_record_that_does_not_fit_together_is_refused():
    record = street(2, 1)
    with pytest.raises(BadInputError, match=r"voltage_v has shape \(8, 191\), must be \(8, 192\)"):
        replace(record, voltage_v=record.voltage_v[:, 1:])
    with pytest.raises(BadInputError, match="do not divide a day"):
        replace(record, interval_s=1000)
    with pytest.raises(BadInputError, match="not below 0"):
        replace(record, drop_v_per_kw=-DROP)
    with pytest.raises(BadInputError, match="losses_wh is not finite"):
        replace(record, losses_wh=np.full(192, np.nan))
    with pytest.raises(BadInputError, match="192 complete intervals of 2 days"):
        learn(record)


def test_the_longest_run_counts_stretches_not_sums():
    flags = np.array([[1, 1, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]], bool)
    assert longest_run(flags).tolist() == [3, 0, 7]
