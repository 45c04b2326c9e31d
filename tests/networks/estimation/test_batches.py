"""An estimate is of its interval alone: others of the batch neither move nor spoil it."""

import numpy as np
import pytest
import xarray as xr

from networks.estimation import solve as solving
from networks.estimation.estimate import NONE, estimate
from networks.estimation.problem import Accuracy, of_steps, problem
from networks.estimation.pseudo import learn
from networks.estimation.solve import solve
from networks.estimation.trial import TIME_ZONE, show, trial
from networks.sources.source import load

ACCURACY = Accuracy(floor_kw=0.001)


@pytest.fixture(scope="module")
def tried():
    return trial(load("simbench:1-LV-semiurb4--0-sw", source_voltage_pu=1.0))


@pytest.fixture(scope="module")
def shown(tried):
    return show(tried, 137, 0.5, 3, ACCURACY)


def test_compiled_code_finds_what_the_plain_iteration_finds(tried, shown, monkeypatch):
    known = problem(tried.model, shown.measured, shown.expected, ACCURACY)
    plain = solve(known)
    monkeypatch.setattr(solving, "_COMPILED_WORK", 0)
    compiled = solve(known)
    assert np.abs(compiled.voltage - plain.voltage).max() < 1e-9
    assert np.abs(compiled.injection - plain.injection).max() < 1e-8


def test_an_interval_is_the_same_alone_and_among_others(tried, shown):
    known = problem(tried.model, shown.measured, shown.expected, ACCURACY)
    together = solve(known)
    for step in (0, 40, 95):
        alone = solve(of_steps(known, slice(step, step + 1)))
        assert np.abs(alone.voltage[:, 0] - together.voltage[:, step]).max() < 1e-8
        assert np.allclose(alone.gain[0], together.gain[step], rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"), [("absorbed_kw", 50_000.0), ("injected_kw", 50_000.0),
                        ("absorbed_kvar", 30_000.0)],
)  # fmt: skip
def test_one_reading_that_cannot_be_costs_one_interval(tried, shown, name, value):
    point = int(np.flatnonzero(shown.measured["absorbed_kw"][0].notnull())[0])
    wrong = shown.measured.copy(deep=True)
    wrong[name][30, point] = value
    got = estimate(tried.model, wrong, shown.expected, ACCURACY)
    clean = estimate(tried.model, shown.measured, shown.expected, ACCURACY)
    others = np.delete(np.arange(96), 30)
    gap = np.abs(got.state["vm_pu"] - clean.state["vm_pu"]).to_numpy()
    assert gap[others].max() < 1e-8
    assert str(got.state["verdict"].values[30]) != str(clean.state["verdict"].values[0])
    if str(got.state["verdict"].values[30]) == NONE:
        (told,) = [one for one in got.findings if one.code == "network.no_estimate"]
        assert "07:30Z" in told.message
        assert got.state["vm_pu"][30].isnull().all()
        assert got.state["losses_kw"][30].isnull()


def test_what_flows_behind_an_unobservable_bus_is_not_told(tried):
    shown = show(tried, 137, 0.4, 3, ACCURACY)
    got = estimate(tried.model, shown.measured, None, ACCURACY)
    model = tried.model
    hidden = got.state["vm_pu"].isnull().to_numpy()[0]
    assert hidden.any()
    node_hidden = np.zeros(len(model.node_kv), dtype=bool)
    node_hidden[model.node[hidden]] = True
    behind = node_hidden[model.line.from_node] | node_hidden[model.line.to_node]
    for name in ("line_loading_percent", "line_p_from_kw", "line_p_to_kw"):
        assert (got.state[name].isnull().to_numpy()[0] == behind).all(), name
    assert got.state["losses_kw"].isnull().all()
    assert got.state["head_import_kw"].notnull().all(), "the head is metered"


def test_a_source_that_is_known_exactly_is_held_exactly(tried, shown):
    got = estimate(tried.model, shown.measured, shown.expected, ACCURACY, source_sd_pu=0.0)
    assert np.abs(got.state["source_pu"] - 1.0).max() < 1e-12


@pytest.mark.parametrize("days", [1, 2, 3, 7, 28])
def test_what_is_usual_after_a_short_history_is_not_believed_too_much(tried, days):
    """At least nine loads in ten lie in the stated 95 % interval, whatever little is known."""
    held, total = 0, 0
    net = {
        unit: (tried.inputs[f"injected_{unit}"] - tried.inputs[f"absorbed_{unit}"]).to_numpy()[
            :, tried.busy
        ]
        for unit in ("kw", "kvar")
    }
    starts = tried.inputs["interval"].to_numpy()
    for day in (70, 143, 201, 300):
        past, now = slice(96 * (day - days), 96 * day), slice(96 * day, 96 * day + 96)
        usual = learn(
            starts[past], net["kw"][past], net["kvar"][past],
            group=["customer"] * len(tried.busy), size_kw=np.ones(len(tried.busy)),
            time_zone=TIME_ZONE,
        ).at(starts[now])  # fmt: skip
        away = np.abs(net["kw"][now] - usual.active_kw) <= 1.96 * usual.active_sd_kw
        held, total = held + away.sum(), total + away.size
    assert held >= 0.9 * total


def test_a_history_of_nothing_tells_nothing(tried):
    blank = np.full((96, 2), np.nan)
    usual = learn(
        tried.inputs["interval"].to_numpy()[:96], blank, blank, group=["a", "a"],
        size_kw=np.ones(2), time_zone=TIME_ZONE,
    ).at(tried.inputs["interval"].to_numpy()[:4])  # fmt: skip
    assert np.isnan(usual.active_kw).all()
    assert xr.DataArray(usual.active_sd_kw).isnull().all()
