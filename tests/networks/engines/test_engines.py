"""Power flow against power-grid-model and OpenDSS, each from the feeder's own ohms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from networks.flow.year import year
from tests.networks.engines import grid_model, opendss
from tests.networks.engines.agreement import (
    FEEDS,
    REACH_PU,
    answers,
    assert_agree,
    case,
    inputs,
    voltage_gap,
)
from tests.networks.engines.physical import read

SOURCES = (
    "simbench:1-LV-rural1--0-sw",
    "simbench:1-LV-rural3--0-sw",
    "simbench:1-LV-rural3--1-sw",
    "simbench:1-LV-semiurb4--0-sw",
    "simbench:1-MV-rural--0-sw",
    "pandapower:create_cigre_network_lv",
    "pandapower:create_cigre_network_mv",
    "pandapower:case33bw",
)
ENGINES = {"power-grid-model": grid_model.solve, "OpenDSS": opendss.solve}


@pytest.fixture(scope="module", params=SOURCES)
def solved(request):
    """Return (model, feeder, answers by feed) of a source."""
    net, model = case(request.param)
    return model, read(net), answers(model)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feed", FEEDS)
def test_voltages_losses_and_head_power_agree(solved, feed, engine):
    _, feeder, ours = solved
    assert_agree(ours[feed], ENGINES[engine](feeder.fed(**FEEDS[feed])))


def test_each_feed_is_what_its_name_says(solved):
    _, _, ours = solved
    assert ours["heavy"].head_kw > ours["light"].head_kw > 0 > ours["reverse"].head_kw
    assert np.nanmin(ours["heavy"].vm_pu) < np.nanmin(ours["light"].vm_pu)
    assert np.nanmax(ours["reverse"].vm_pu) > np.nanmax(ours["light"].vm_pu) + 0.01


def test_the_compiled_year_agrees_too(solved):
    model, feeder, _ = solved
    done = year(model, inputs(model))
    theirs = [grid_model.solve(feeder.fed(**feed)) for feed in FEEDS.values()]
    vm_pu = np.array([answer.vm_pu for answer in theirs])
    assert np.abs(done["vm_pu_minimum"] - vm_pu.min(axis=0)).max() <= REACH_PU
    assert np.abs(done["vm_pu_maximum"] - vm_pu.max(axis=0)).max() <= REACH_PU
    for row, answer in enumerate(theirs):
        losses_kw = float(done["losses_kw"][row])
        assert losses_kw == pytest.approx(answer.losses_kw, rel=1e-5)


@pytest.mark.parametrize("feed", ["heavy", "reverse"])
def test_where_a_transformer_has_its_iron_makes_less_than_1e_5_pu(feed):
    """The whole of what the engines differ by when each keeps its own transformer."""
    net, model = case("simbench:1-LV-rural3--0-sw")
    theirs = grid_model.solve(read(net).fed(**FEEDS[feed]), middle=False)
    gap = voltage_gap(answers(model)[feed], theirs).max()
    assert REACH_PU < gap < 1e-5


def _loaded(feeder):
    """Return the position of the line next to the heaviest load."""
    bus = max(feeder.loads, key=lambda one: one[1])[0]
    return next(at for at, line in enumerate(feeder.lines) if bus in line.bus and all(line.on))


def _line(feeder, **factors):
    at = _loaded(feeder)
    changed = {name: getattr(feeder.lines[at], name) * by for name, by in factors.items()}
    lines = [*feeder.lines]
    lines[at] = replace(lines[at], **changed)
    return replace(feeder, lines=lines)


def _trafo(feeder, **changes):
    return replace(feeder, trafos=[replace(feeder.trafos[0], **changes), *feeder.trafos[1:]])


def _load(feeder):
    (bus, p_kw, q_kvar), *rest = feeder.loads
    return replace(feeder, loads=[(bus, p_kw, 1.01 * q_kvar), *rest])


FAULTS = {
    "1 % of a line's resistance": lambda feeder: _line(feeder, r_ohm=1.01),
    "1 % of a line's reactance": lambda feeder: _line(feeder, x_ohm=1.01),
    "a line's charging left out": lambda feeder: _line(feeder, c_nf=0.0),
    "1 % of a load's reactive power": _load,
    "1 % of the short-circuit voltage": lambda feeder: _trafo(
        feeder, vk_percent=1.01 * feeder.trafos[0].vk_percent
    ),
    "1 % of the iron losses": lambda feeder: _trafo(feeder, pfe_kw=1.01 * feeder.trafos[0].pfe_kw),
    "1 % of the no-load current": lambda feeder: _trafo(
        feeder, i0_percent=1.01 * feeder.trafos[0].i0_percent
    ),
    "the next tap": lambda feeder: _trafo(feeder, turn=(1.015, 1.0)),
    "another vector group": lambda feeder: replace(
        feeder, trafos=[replace(trafo, clock=1) for trafo in feeder.trafos]
    ),
    "a plant forgotten": lambda feeder: replace(feeder, plants=feeder.plants[1:]),
    "2e-6 pu at the source": lambda feeder: replace(feeder, source_pu=feeder.source_pu + 2e-6),
}


@pytest.fixture(scope="module")
def mv():
    """Return (feeder, our answer) of SimBench's MV grid at nominal load."""
    net, model = case("simbench:1-MV-rural--0-sw")
    return read(net), answers(model)["nominal"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_planted_in_a_peer_is_seen(mv, fault, engine):
    feeder, ours = mv
    with pytest.raises(AssertionError, match=r"^(bus \d+|losses_kw|head_kw|head_kvar): "):
        assert_agree(ours, ENGINES[engine](FAULTS[fault](feeder)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_line_that_a_peer_has_open_leaves_buses_dead_for_it(mv, engine):
    feeder, ours = mv
    at = _loaded(feeder)
    lines = [
        replace(line, on=(False, False)) if i == at else line for i, line in enumerate(feeder.lines)
    ]
    with pytest.raises(AssertionError, match=r"^bus \d+ is dead for one of them"):
        assert_agree(ours, ENGINES[engine](replace(feeder, lines=lines)))
