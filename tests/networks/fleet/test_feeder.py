"""A derived feeder is what pandapower makes of its base with its lines and loads."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from grid.errors import BadInputError, SolverError
from networks.fleet.base import base, series
from networks.fleet.feeder import Feeder, feeder, loads, network
from networks.fleet.fleet import plan
from networks.fleet.jobs import QUANTITIES, Batch, Limits, feeder_year, solve
from networks.fleet.results import read
from networks.fleet.verify import verify
from networks.flow.year import year, year_inputs
from networks.sources.demo import demo_site_facts, load_year
from networks.sources.source import load

RURAL = "simbench:1-LV-rural1--0-sw"


def _told(values):
    return dict(zip(QUANTITIES, values.tolist(), strict=True))


def _unchanged(origin):
    """Return the feeder that is its base with its customers' series, without plants."""
    count = origin.customers
    nothing = np.zeros(count)
    return Feeder(
        0, origin.source, 1.0, 1.0, np.arange(count), np.ones(count), np.arange(count) * 0, nothing
    )


def test_a_feeder_is_drawn_by_its_number_alone(fleet):
    origin = fleet.base(8)
    one, again, other = (feeder(n, origin, seed=3) for n in (8, 8, 10))
    assert pickle.dumps(one) == pickle.dumps(again)
    assert sorted(one.order.tolist()) == list(range(origin.customers))
    assert one.line_length_factor != other.line_length_factor
    assert (feeder(8, origin, seed=4).scale != one.scale).all()


def test_drawn_feeders_agree_with_runpp_on_their_own_lines_and_loads(fleet, serial):
    verdicts = verify(fleet, read(serial), feeders=3, steps=2, seed=5)
    assert len(verdicts) == 3
    assert max(one.gap_pu for one in verdicts) < 1e-8
    # The judge would see lines of the wrong length.
    shorter = replace(fleet, seed=4)
    assert max(one.gap_pu for one in verify(shorter, read(serial), feeders=1, seed=5)) > 1e-5


def test_an_unchanged_feeder_has_the_year_of_its_base():
    origin, own = base(RURAL), series(RURAL)
    values, bus_pu = feeder_year(_unchanged(origin), origin.equipment, own, Limits())
    model = load(RURAL)
    inputs = year_inputs(model, load_year(RURAL))
    inputs["injected_kw"] *= 0.0
    result, told = year(model, inputs), _told(values)
    assert np.abs(bus_pu[:, 0] - result["vm_pu_minimum"]).max() < 1e-12
    assert np.abs(bus_pu[:, 1] - result["vm_pu_maximum"]).max() < 1e-12
    assert told["losses_kwh"] == pytest.approx(float(result["losses_kw"].sum()) / 4, rel=1e-9)
    trafo = float(result["trafo_loading_percent_highest"].max())
    assert told["trafo_loading_percent"] == pytest.approx(trafo, abs=1e-9)
    lowest = result["vm_pu_lowest"].idxmin().values.astype("datetime64[s]").astype(np.int64)
    assert told["vm_pu_lowest_at_s"] == lowest


def test_a_plant_of_its_base_gives_what_it_gives_there():
    origin, own = base(RURAL), series(RURAL)
    plant = demo_site_facts(RURAL).solar[2]
    one = _unchanged(origin)
    one.plant[4], one.plant_kw[4] = 2, plant.power_kw
    injected = loads(one, own, slice(4_000, 4_100))[1]
    expected = load_year(RURAL)["solar_kw"][4_000:4_100, 2]
    assert np.abs(injected[:, 4] - expected).max() < 1e-5 * plant.power_kw
    assert not np.delete(injected, 4, axis=1).any()


def test_energy_is_neither_made_nor_lost(serial):
    results = read(serial)
    given = results["head_import_kwh"] + results["injected_kwh"]
    taken = results["head_export_kwh"] + results["absorbed_kwh"] + results["losses_kwh"]
    assert np.abs(given - taken).max() < 1e-3
    assert float(results["solar_kw"].max()) > 0
    assert float(results["recheck_pu"].max()) < 1e-10
    assert float(results["residual_mva"].max()) < 1e-9


def test_hours_beyond_the_limits_follow_the_limits(fleet):
    origin, own = fleet.base(1), series(fleet.base(1).source)
    one = fleet.feeder(1)
    told = _told(feeder_year(one, origin.equipment, own, Limits())[0])
    assert told["below_band_h"] == told["above_band_h"] == told["overload_h"] == 0.0
    edge = Limits(told["vm_pu_lowest"] + 1e-12, told["vm_pu_highest"] - 1e-12, 1.0)
    tight = _told(feeder_year(one, origin.equipment, own, edge)[0])
    assert (tight["below_band_h"], tight["above_band_h"] % 0.25) == (0.25, 0.0)
    assert tight["above_band_h"] >= 0.25
    assert tight["overload_h"] > 8_000


def test_loads_without_a_solution_name_feeder_interval_and_load(fleet):
    origin, own = fleet.base(0), series(fleet.base(0).source)
    heavy = replace(fleet.feeder(0), scale=fleet.feeder(0).scale * 60)
    with pytest.raises(SolverError, match=r"feeder 0 of simbench.*Z: no power flow.* kW absorbed"):
        feeder_year(heavy, origin.equipment, own, Limits())


def test_a_value_that_is_no_load_names_its_bus(fleet):
    origin, own = fleet.base(0), series(fleet.base(0).source)
    one = fleet.feeder(0)
    one.scale[3] = -1.0
    with pytest.raises(BadInputError, match=rf"bus {own.bus[3]} .*2016-01-01T00:00Z: absorbed_kw"):
        feeder_year(one, origin.equipment, own, Limits())


def test_nothing_takes_the_net_of_the_base_for_that_of_the_feeder(fleet):
    model = network(fleet.feeder(0), fleet.base(0).equipment)
    with pytest.raises(BadInputError, match="feeder 0 of simbench"):
        model.pandapower_net()


def test_a_job_is_small_and_carries_no_net(fleet):
    origin = fleet.base(1)
    origin.equipment.kept["net"] = bytes(10_000_000)
    try:
        assert len(pickle.dumps(fleet.batch((1, 3, 5)))) < 100_000
    finally:
        del origin.equipment.kept["net"]


def test_a_worker_with_other_series_refuses_the_batch(fleet):
    one = fleet.batch((0,))
    with pytest.raises(BadInputError, match="the series of this worker have the digest"):
        solve(Batch(one.equipment, "0" * 64, one.limits, one.feeders))


def test_a_fleet_needs_feeders():
    with pytest.raises(BadInputError, match="has no feeder"):
        plan((), count=3, seed=1)
