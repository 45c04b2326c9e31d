"""Phases found from readings of a simulated feeder, where the truth is known."""

import numpy as np
import pytest

from grid.errors import BadInputError
from grid.interval import starts
from networks.threephase.assignment import on_phases, read_phases
from networks.threephase.evidence import HYPOTHESES
from networks.threephase.flow import flow
from networks.threephase.phases import Verdict, assign_phases, findings
from networks.threephase.source import load

VOLTAGE_NOISE, POWER_NOISE = 0.005, 0.01


@pytest.fixture(scope="module")
def feeder():
    return load("pandapower:ieee_european_lv_asymmetric", source_voltage_pu=1.05)


def household_kw(draw, days, count):
    """Return quarter-hours of households: a base, two peaks a day, appliances."""
    hour = np.arange(days * 96)[:, None] % 96 / 4
    morning = np.exp(-(((hour - 7.5 - draw.normal(0, 1, count)) / 1.5) ** 2))
    evening = np.exp(-(((hour - 19 - draw.normal(0, 1.5, count)) / 2.5) ** 2))
    kw = 0.15 + 0.1 * draw.random(count)
    kw = kw + (morning + 1.6 * evening) * draw.gamma(2, 0.2, (len(hour), count))
    for customer in range(count):
        for first in draw.integers(0, len(hour), draw.poisson(3 * days)):
            kw[first : first + draw.integers(1, 5), customer] += draw.uniform(0.5, 3)
    return kw


def simulate(model, seed, *, days, metered=1.0, missing=0.0, solar=0.0):
    """Return readings with noise of a share of the customers, and their true phases."""
    draw = np.random.default_rng(seed)
    used = np.flatnonzero(model.nominal_wye.any(axis=(0, 2)))
    kw = household_kw(draw, days, len(used))
    sun = np.clip(np.sin((np.arange(len(kw)) % 96 / 4 - 6) / 12 * np.pi), 0, None)
    kw -= (draw.random(len(used)) < solar) * draw.uniform(2, 5, len(used)) * sun[:, None]
    truth = draw.choice(4, len(used), p=[0.3, 0.3, 0.3, 0.1])
    share = np.vstack((np.eye(3), np.full(3, 1 / 3)))[truth]
    uneven = truth == 3
    share[uneven] = draw.dirichlet([8, 8, 8], int(uneven.sum()))
    absorbed = np.maximum(kw, 0)[:, :, None] * share
    injected = np.maximum(-kw, 0)[:, :, None] * share
    state = flow(
        model, absorbed, injected, absorbed * 0.3, injected * 0,
        starts=starts(0, len(kw), 900), at=model.bus[used],
    )  # fmt: skip
    phase = state["vm_pu"].to_numpy()[:, used]
    single = phase[:, np.arange(len(used)), np.minimum(truth, 2)]
    upstream = (1 + 0.004 * draw.normal(size=len(kw)))[:, None]
    voltage = np.where(uneven, phase.mean(axis=2), single) * upstream
    busbar = state["vm_pu"].sel(bus=1).to_numpy() * upstream
    busbar_kw = -state["trafo_p_lv_kw"].to_numpy()[:, 0]
    readings = []
    for values, noise in (
        (voltage, VOLTAGE_NOISE), (kw, POWER_NOISE), (busbar, VOLTAGE_NOISE),
        (busbar_kw, POWER_NOISE),
    ):  # fmt: skip
        read = values * (1 + noise * draw.normal(size=values.shape))
        read[draw.random(read.shape) < missing] = np.nan
        readings.append(read)
    kept = np.sort(draw.choice(len(used), round(metered * len(used)), replace=False))
    voltage, kw, busbar, busbar_kw = readings
    return voltage[:, kept], kw[:, kept], busbar, busbar_kw, truth[kept]


def verdicts(readings, **options):
    voltage, kw, busbar, busbar_kw, truth = readings
    names = [f"E-{number}" for number in range(len(truth))]
    found = assign_phases(
        names, voltage, np.maximum(kw, 0), np.maximum(-kw, 0), busbar, busbar_kw, **options
    )
    assert [one.customer for one in found] == names
    return found


def counted(model, seeds, **options):
    """Return how many customers were assigned rightly, were left undecided, assigned wrongly."""
    right = undecided = wrong = 0
    for seed in seeds:
        readings = simulate(model, seed, **options)
        for one, true in zip(verdicts(readings), readings[-1], strict=True):
            if one.verdict is Verdict.UNDECIDED:
                undecided += 1
            elif one.phase == HYPOTHESES[true]:
                right += 1
            else:
                wrong += 1
    return right, undecided, wrong


@pytest.mark.parametrize(
    ("floor", "options"),
    [
        (0.98, {"days": 7}),
        (0.98, {"days": 7, "missing": 0.03}),
        (0.95, {"days": 7, "metered": 0.6, "solar": 0.4, "missing": 0.03}),
    ],
)
def test_a_week_of_readings_assigns_almost_every_customer(feeder, floor, options, record_property):
    right, undecided, wrong = counted(feeder, range(4), **options)
    total = right + undecided + wrong
    record_property("right, undecided, wrong", (right, undecided, wrong))
    assert right >= floor * total
    # A phase is assigned from a probability of 0.99.
    assert wrong <= 0.01 * total


def test_with_few_readings_a_customer_is_left_undecided_rather_than_put_wrongly(
    feeder, record_property
):
    right, undecided, wrong = counted(feeder, range(8), days=1, metered=0.4)
    total = right + undecided + wrong
    record_property("right, undecided, wrong", (right, undecided, wrong))
    assert undecided >= 0.1 * total
    assert wrong <= 0.1 * undecided
    assert wrong <= 0.02 * right
    assert right >= 0.4 * total


def test_voltage_decides_where_customers_have_no_power_readings(feeder):
    voltage, kw, busbar, busbar_kw, truth = simulate(feeder, 2, days=14)
    found = verdicts((voltage, kw * np.nan, busbar, busbar_kw, truth))
    named = [
        (one, true) for one, true in zip(found, truth, strict=True) if one.verdict == "assigned"
    ]
    assert len(named) > 0.7 * len(truth)
    assert all(one.phase == HYPOTHESES[true] for one, true in named)


def test_power_decides_where_there_are_no_voltages(feeder):
    voltage, kw, busbar, busbar_kw, truth = simulate(feeder, 3, days=7)
    found = verdicts((voltage * np.nan, kw, busbar * np.nan, busbar_kw, truth))
    assert all(one.phase == HYPOTHESES[true] for one, true in zip(found, truth, strict=True))
    assert all(one.verdict is Verdict.ASSIGNED for one in found)


def test_without_readings_nothing_is_decided(feeder):
    readings = simulate(feeder, 4, days=1)
    empty = [values * np.nan for values in readings[:4]]
    found = verdicts((*empty, readings[-1]))
    assert {one.verdict for one in found} == {Verdict.UNDECIDED}
    assert max(one.confidence for one in found) < 0.4
    # One customer without readings does not trouble the others.
    readings[0][:, 7] = readings[1][:, 7] = np.nan
    found = verdicts(simulate(feeder, 4, days=7)[:4] + (readings[-1],))
    voltage, kw, *rest = simulate(feeder, 4, days=7)
    voltage[:, 7] = kw[:, 7] = np.nan
    partly = verdicts((voltage, kw, *rest))
    assert partly[7].verdict is Verdict.UNDECIDED
    others = [n for n in range(len(found)) if n != 7]
    same = [partly[n].phase == found[n].phase for n in others if partly[n].verdict == "assigned"]
    assert all(same)
    assert len(same) > 0.9 * len(others)


def test_a_wrong_record_is_found_and_a_right_one_is_not_blamed(feeder):
    readings = simulate(feeder, 5, days=7)
    truth = [HYPOTHESES[true] for true in readings[-1]]
    record = {f"E-{number}": phase for number, phase in enumerate(truth)}
    wrong = [number for number, phase in enumerate(truth) if phase == "a"][:3]
    for number in wrong:
        record[f"E-{number}"] = "b"
    found = verdicts(readings, recorded=record)
    differs = [one for one in found if one.verdict is Verdict.DIFFERS]
    assert [one.customer for one in differs] == [f"E-{number}" for number in wrong]
    assert {one.phase for one in differs} == {"a"}
    (first, *_) = findings(found)
    assert first.code == "network.phase_differs"
    assert "recorded as b" in first.message


def test_wrong_input_is_refused_by_name():
    flat = np.ones((30, 2))
    three = np.ones((30, 3))
    good = (["x", "y"], flat, flat, flat, three, three)

    def refused(message, place=None, value=None, **options):
        given = list(good)
        if place is not None:
            given[place] = value
        with pytest.raises(BadInputError, match=message):
            assign_phases(*given, **options)

    refused("busbar_kw has shape", 5, flat)
    refused("absorbed_kw has an infinite value", 2, flat * np.inf)
    refused("customer x is given twice", 0, ["x", "x"])
    refused("customer z has a recorded phase but no readings", recorded={"z": "a"})
    refused("customer x: recorded phase 'd'", recorded={"x": "d"})
    refused("confidence is 1", confidence=1.0)
    few = [values[:5] for values in good[1:]]
    with pytest.raises(BadInputError, match="at least 24 intervals"):
        assign_phases(["x", "y"], *few)


def test_phases_of_a_file_move_the_loads_of_a_bus(tmp_path, feeder):
    path = tmp_path / "phases.csv"
    path.write_text("bus,phase\n34, B\n\n47,abc\n", encoding="utf-8-sig")
    moved = on_phases(feeder, read_phases(path))
    assert np.allclose(moved.nominal_wye.sum(axis=2), feeder.nominal_wye.sum(axis=2))
    at = feeder.position(34)
    assert (moved.nominal_wye[:, at, [0, 2]] == 0).all()
    assert moved.nominal_wye[0, at, 1] == pytest.approx(feeder.nominal_wye[0, at, 0])
    assert np.ptp(moved.nominal_wye[0, feeder.position(47)]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bus;phase\n", "line 1: columns must be bus,phase"),
        ("bus,phase\n34,d\n", "line 2: phase 'd'"),
        ("bus,phase\n34,a\n34,b\n", "line 3: bus 34 is given twice"),
        ("bus,phase\nx,a\n", "line 2: must be a bus index"),
        ("bus,phase\n34\n", "line 2: must be a bus index"),
        ("bus,phase\n99999,a\n", "bus 99999 is not in the network"),
        ("bus,phase\n0,a\n", "bus 0 .*has no load or plant"),
    ],
)
def test_a_wrong_file_of_phases_is_refused_with_its_line(tmp_path, feeder, text, message):
    path = tmp_path / "phases.csv"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        on_phases(feeder, read_phases(path))
