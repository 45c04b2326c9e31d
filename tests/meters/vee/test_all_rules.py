"""What holds when every rule has what it needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vee_days import START_S, codes, cumulative, households, reference, registers, run

from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent, Tenure
from meters.vee.like_days import mean_of_last
from meters.vee.rules import RULES, decided

N = 96


def every_fact(meters, wh, average_wh):
    """Facts that fit `wh` (meter, interval): nothing about them is odd."""
    count = len(meters)
    net = wh.sum(axis=0)
    return Facts(
        captured={"import_wh": wh.copy()},
        captured_quality=np.full(wh.shape, Quality.VALID, dtype=np.uint16),
        shape={"import_wh": wh},
        outage=np.zeros(wh.shape, dtype=np.bool_),
        active=np.ones(count, dtype=np.bool_),
        average_day_wh=average_wh,
        zero_days=np.zeros(count, dtype=np.int64),
        estimated_days=np.zeros(count, dtype=np.int64),
        capture_s=np.full(count, 900),
        offset_s=np.zeros((count, wh.shape[1] + 1), dtype=np.int64),
        ratio=np.full(count, 40),
        voltage_v=np.full(wh.shape, 228.0),
        nominal_v=np.full(count, 230.0),
        serial=np.array(meters),
        tenures=tuple(Tenure(meter, meter, None, None, 9) for meter in meters),
        events=tuple(MeterEvent(meter, START_S + 900, EventKind.CLOCK_SET, 5) for meter in meters),
        checks=((meters[0], meters[0]),),
        siblings=True,
        feeder=FeederHead(
            "F-1",
            net + net // 50,
            net * 0,
            np.ones(net.shape, np.bool_),
            net // 50,
            np.ones(count, np.bool_),
        ),
    )


def test_no_clean_day_of_a_month_is_flagged_with_every_rule_on():
    count = 150
    wh = households(count, 28 + 30, 8)
    for day in range(28, wh.shape[1]):
        mean, _ = mean_of_last(wh[:, day - 7 : day][:, ::-1])
        average = wh[:, day - 28 : day].sum(axis=2).mean(axis=1).astype(np.int64)
        of = registers(cumulative(wh[:, day]))
        facts = every_fact([str(m) for m in of["meter"].values], wh[:, day], average)
        assert all(facts.has(*rule.needs) for rule in RULES.values())
        result, findings = run(of, reference(of, mean), limit=12_000, facts=facts)
        assert findings == []
        assert (result["quality"].values == Quality.VALID).all()
        assert (result["rule"].values == 0).all()
        assert np.array_equal(result["import_wh"].values, wh[:, day])


@pytest.mark.parametrize("lost", ["registers", "captured"])
def test_either_of_registers_and_captured_energies_is_enough(lost):
    wh = households(20, 1, 4)[:, 0]
    of = registers(cumulative(wh))
    facts = every_fact([str(m) for m in of["meter"].values], wh, wh.sum(axis=1))
    if lost == "registers":
        of["import_wh"].values[:, 1:-1] = MISSING
    else:
        facts.captured["import_wh"][:] = MISSING
    result, findings = run(of, limit=12_000, facts=facts)
    assert findings == []
    assert np.array_equal(result["import_wh"].values, wh)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([1, 2, 3, 92, 100]))
def test_whatever_is_known_energy_is_positive_and_every_interval_names_its_rule(seed, n):
    """Facts and registers at random: contradictions, gaps, exchanges, outages, other serials."""
    draw = np.random.default_rng(seed)
    count, limit = 5, 900
    wh = draw.integers(0, 600, (count, n))
    of = registers(cumulative(wh, start=int(draw.integers(0, 10**9))))
    meters = [str(m) for m in of["meter"].values]
    for name in CHANNELS:
        values = of[name].values
        values[draw.random(values.shape) < draw.choice([0, 0.1, 0.6])] = MISSING
        wrong = draw.random(values.shape) < draw.choice([0, 0.03])
        values[wrong] = draw.integers(-9, 10**9, wrong.sum())
    captured = {name: draw.integers(-3, 1_200, (count, n)) for name in CHANNELS}
    for values in captured.values():
        values[draw.random(values.shape) < 0.5] = MISSING
    changes = sorted(START_S + draw.integers(-900, 900 * n + 900, 2))
    tenures = (
        Tenure(meters[0], "A", None, int(changes[0]), 9, last=(7, 7, 7, 7)),
        Tenure(meters[0], "B", int(changes[0]), None, 8, first=(0, 0, 0, 0)),
        Tenure(meters[1], "C", int(changes[1]), None, 5, 3),
        Tenure(meters[2], "D", None, None, 6),
    )
    net = draw.integers(-2_000, 4_000, n)
    facts = Facts(
        captured=captured if draw.random() < 0.5 else None,
        captured_quality=draw.choice([0, 1, 11], (count, n)).astype(np.uint16),
        shape={name: draw.integers(-1, 700, (count, n)) for name in CHANNELS},
        outage=draw.random((count, n)) < draw.choice([0, 0.2, 1]),
        active=draw.random(count) < 0.5,
        average_day_wh=draw.integers(-1, 30_000, count),
        zero_days=draw.integers(-1, 20, count),
        estimated_days=draw.integers(-1, 20, count),
        capture_s=draw.choice([-1, 900, 1800], count),
        offset_s=draw.integers(-60, 60, (count, n + 1)),
        ratio=draw.integers(0, 100, count),
        voltage_v=draw.choice([np.nan, 0.0, 230.0, 500.0], (count, n)),
        nominal_v=np.full(count, 230.0),
        serial=draw.choice(["", "A", "B", "D"], count),
        tenures=tenures,
        events=tuple(
            MeterEvent(str(draw.choice(meters)), int(START_S + draw.integers(0, 900 * n)), kind,
                       int(draw.integers(-4_000, 4_000)))
            for kind in (EventKind.TAMPER, EventKind.CLOCK_SET) * 3
        ),
        siblings=True,
        checks=((meters[0], meters[1]), (meters[2], "elsewhere")),
        feeder=FeederHead(
            "F-1", net, net // 3, draw.random(n) < 0.8, abs(net) // 30, draw.random(count) < 0.7
        ),
    )  # fmt: skip
    before = START_S + int(draw.integers(0, 900 * n + 1))
    result, findings = run(
        of, reference(of, draw.integers(-1, 700, (count, n))), limit=limit, facts=facts,
        before=before,
    )  # fmt: skip
    told = {rule.finding for rule in RULES.values()} | {"vee.scaled"}
    assert set(codes(findings)) <= told
    quality = result["quality"].values
    for name in CHANNELS:
        values = result[name].values
        assert ((values >= 0) | (values == MISSING)).all()
        assert (values[quality != Quality.MISSING] >= 0).all()
    for code in np.unique(result["rule"].values).tolist():
        decided(int(code))
    odd = ~np.isin(quality, [Quality.VALID])
    assert (result["rule"].values[odd] > 0).all()
    for name in ("import_sd_wh", "export_sd_wh"):
        assert np.isfinite(result[name].values).all()
        assert (result[name].values >= 0).all()
