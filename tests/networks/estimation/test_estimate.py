"""The estimator on a feeder whose truth is known."""

import dataclasses

import numpy as np
import pytest

from grid.errors import BadInputError
from networks.estimation.bad_data import CLEAN, DETECTED, IDENTIFIED
from networks.estimation.estimate import estimate
from networks.estimation.problem import Accuracy
from networks.estimation.trial import show, trial
from networks.sources.source import load

SOURCE = "simbench:1-LV-semiurb4--0-sw"
ACCURACY = Accuracy(floor_kw=0.001)
SEEDS = range(100)


@pytest.fixture(scope="module")
def tried():
    return trial(load(SOURCE, source_voltage_pu=1.0))


def _shown(tried, share, seed, *, steps=12):
    """Return some quarter-hours of a drawn day, spread over it."""
    draw = np.random.default_rng([seed, 9])
    day = int(draw.integers(56, tried.days))
    first = int(draw.integers(0, 96 // steps))
    return show(tried, day, share, seed, ACCURACY, steps=slice(first, 96, 96 // steps))


@pytest.fixture(scope="module")
def clean(tried):
    """Estimates of 100 seeds at each share of meters: errors, deviations, verdicts."""
    found = {}
    for share in (1.0, 0.5, 0.2, 0.0):
        errors, deviations, verdicts, lost = [], [], [], 0
        for seed in SEEDS:
            shown = _shown(tried, share, seed)
            got = estimate(tried.model, shown.measured, shown.expected, ACCURACY)
            errors.append((got.state["vm_pu"] - shown.truth["vm_pu"]).to_numpy())
            deviations.append(got.state["vm_sd_pu"].to_numpy())
            verdicts.append(got.state["verdict"].to_numpy())
            lost += sum(f.code == "network.bad_measurement" for f in got.findings)
        found[share] = (np.array(errors), np.array(deviations), np.array(verdicts), lost)
    return found


@pytest.mark.parametrize(
    ("share", "rms_pu"), [(1.0, 7.6e-4), (0.5, 1.1e-3), (0.2, 2.0e-3), (0.0, 4.1e-3)]
)
def test_the_error_is_no_larger_than_that_of_the_reference(clean, share, rms_pu):
    errors = clean[share][0]
    assert np.sqrt((errors**2).mean()) <= rms_pu


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.0])
def test_the_stated_interval_holds_the_truth_as_often_as_it_says(clean, share):
    errors, deviations, _, _ = clean[share]
    held = (np.abs(errors) <= 1.959964 * deviations).mean()
    assert 0.93 <= held <= 0.97


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.0])
def test_of_clean_measurements_hardly_one_is_thrown_away(clean, share):
    """At most one in a hundred estimates: of 1,200 intervals no more than twelve."""
    _, _, verdicts, lost = clean[share]
    assert lost <= 0.01 * verdicts.size
    assert (verdicts == CLEAN).mean() >= 0.99


def test_a_voltage_that_is_three_percent_wrong_is_identified(tried):
    identified, total = 0, 0
    for seed in SEEDS:
        shown = _shown(tried, 1.0, seed)
        which = seed % len(tried.busy)
        measured = shown.measured.copy(deep=True)
        measured["vm_pu"][:, which] *= 1.03 if seed % 2 else 0.97
        got = estimate(tried.model, measured, shown.expected, ACCURACY)
        name = f"voltage of {measured['point'].values[which]}"
        for finding in got.findings:
            identified += finding.code == "network.bad_measurement" and finding.subject == name
        total += measured.sizes["interval"]
    assert identified >= 0.95 * total


def test_a_power_that_is_three_kilowatts_wrong_is_detected_and_nobody_is_accused(tried):
    detected, accused, total = 0, 0, 0
    for seed in range(40):
        shown = _shown(tried, 1.0, seed)
        light = shown.truth["head_import_kw"] + shown.truth["head_export_kw"] < 60.0
        measured = shown.measured.isel(interval=np.flatnonzero(light)).copy(deep=True)
        if not measured.sizes["interval"]:
            continue
        which = seed % len(tried.busy)
        measured["absorbed_kw"][:, which] += 3.0
        keep = np.flatnonzero(light)
        expected = dataclasses.replace(
            shown.expected,
            **{
                name: getattr(shown.expected, name)[keep]
                for name in ("active_kw", "reactive_kvar", "active_sd_kw", "reactive_sd_kvar")
            },
        )
        got = estimate(tried.model, measured, expected, ACCURACY)
        verdict = got.state["verdict"].to_numpy()
        detected += (verdict == DETECTED).sum()
        accused += (verdict == IDENTIFIED).sum()
        total += verdict.size
        if (verdict == DETECTED).any():
            told = next(f for f in got.findings if f.code == "network.bad_measurements")
            assert "measurements is wrong" in told.message
    assert total > 100
    assert detected >= 0.95 * total
    assert accused <= 0.01 * total


def test_without_what_is_usual_the_unobservable_buses_are_named(tried):
    shown = _shown(tried, 0.2, 5)
    got = estimate(tried.model, shown.measured, None, ACCURACY)
    hidden = got.state["vm_pu"].isnull()
    assert hidden.any()
    assert not hidden.all()
    assert (hidden == np.isinf(got.state["vm_sd_pu"])).all()
    finding = next(f for f in got.findings if f.code == "network.unobservable")
    assert f"{int(hidden[0].sum())} buses are unobservable" in finding.message
    assert tried.model.bus_label(int(np.flatnonzero(hidden[0])[0])) in finding.message
    # What is told in spite of it is true.
    error = (got.state["vm_pu"] - shown.truth["vm_pu"]).to_numpy()
    assert np.nanmax(np.abs(error)) < 0.02


def test_all_buses_are_observable_when_all_are_metered(tried):
    shown = _shown(tried, 1.0, 2)
    got = estimate(tried.model, shown.measured, None, ACCURACY)
    assert got.state["vm_pu"].notnull().all()
    assert not [f for f in got.findings if f.code == "network.unobservable"]


def test_a_meter_that_falls_silent_in_some_intervals_is_made_up_for_in_those(tried):
    shown = _shown(tried, 1.0, 7)
    measured = shown.measured.copy(deep=True)
    for name in ("absorbed_kw", "injected_kw", "absorbed_kvar", "injected_kvar", "vm_pu"):
        measured[name][4:8, 3] = np.nan
    got = estimate(tried.model, measured, shown.expected, ACCURACY)
    whole = estimate(tried.model, shown.measured, shown.expected, ACCURACY)
    same = np.abs(got.state["vm_pu"] - whole.state["vm_pu"]).max("bus")
    assert float(same[[0, 1, 2, 3, 8, 9, 10, 11]].max()) < 1e-7
    assert float(same[4:8].min()) > 1e-6
    row = int(tried.busy[3])
    assert (got.state["vm_sd_pu"][4:8, row] > whole.state["vm_sd_pu"][4:8, row]).all()


@pytest.mark.parametrize(
    ("name", "value"), [("vm_pu", -1.0), ("absorbed_kw", np.inf), ("head_import_kw", -2.0)]
)
def test_a_value_that_is_no_measurement_names_its_point_and_interval(tried, name, value):
    shown = _shown(tried, 1.0, 1)
    measured = shown.measured.copy(deep=True)
    measured[name][(2, 4) if measured[name].ndim == 2 else 2] = value
    who = "the head" if name.startswith("head") else str(measured["point"].values[4])
    with pytest.raises(BadInputError, match=f"{who} .*{name} is {value}"):
        estimate(tried.model, measured, shown.expected, ACCURACY)


def test_a_point_that_no_source_reaches_is_named(tried):
    shown = _shown(tried, 1.0, 1)
    out = tried.model.switched(out=[("trafo", 0)])
    with pytest.raises(BadInputError, match="no source reaches it"):
        estimate(out, shown.measured, shown.expected, ACCURACY)
