import time

import numpy as np
import pytest

from grid.errors import BadInputError
from networks.flow.judge import compare
from networks.flow.year import chunks, year, year_inputs
from networks.sources.demo import demo_site_facts, load_year
from networks.sources.source import load

SOURCE = "simbench:1-LV-rural2--2-sw"


@pytest.fixture(scope="module")
def facts():
    return demo_site_facts(SOURCE)


@pytest.fixture(scope="module")
def series(facts):
    return load_year(SOURCE)


def test_the_demo_feeder_has_its_people_plants_and_batteries(facts):
    points = facts.usage_point
    assert (len(points), len(facts.solar), len(facts.battery)) == (93, 11, 8)
    assert facts.lv_bus == 63
    assert {p.kind for p in points} == {"household", "business"}
    assert sum(p.charge_point for p in points) > 5
    assert sum(p.heat_pump for p in points) > 5
    assert min(p.connection_kw for p in points) >= 5.0
    assert all(0.9 <= b.efficiency <= 1.0 and b.energy_kwh > b.power_kw for b in facts.battery)
    assert {s.bus for s in facts.solar} <= set(range(97))


def test_the_year_is_whole_and_never_negative(facts, series):
    assert dict(series.sizes) == {"interval": 35_136, "bus": 93, "plant": 11, "wind_profile": 2}
    for name in series.data_vars:
        values = series[name].to_numpy()
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert series["bus"].to_numpy().tolist() == [p.bus for p in facts.usage_point]
    assert not ((series["absorbed_kvar"] > 0) & (series["injected_kvar"] > 0)).any()
    assert (series["wind_per_unit"] <= 1.0).all()


def test_no_bus_draws_more_than_its_connection_nor_a_plant_more_than_its_rating(facts, series):
    limits = np.array([p.connection_kw for p in facts.usage_point])
    assert (series["load_kw"].max("interval") <= limits).all()
    rated = np.array([s.power_kw for s in facts.solar])
    assert (series["solar_kw"].max("interval") <= rated + 1e-6).all()


def test_a_second_read_of_the_year_is_quick(series):
    began = time.perf_counter()
    load_year(SOURCE)
    assert time.perf_counter() - began < 3.0


def test_a_voltage_limit_of_105_binds_at_a_sunny_noon(series):
    model = load(SOURCE, source_voltage_pu=1.015)
    may = series.isel(interval=slice(96 * 121, 96 * 152))
    summary = year(model, year_inputs(model, may))
    binding = summary["vm_pu_highest"] > 1.05
    assert binding.any()
    hours = summary["interval"].dt.hour[binding]
    assert 8 <= int(hours.min()) <= int(hours.max()) <= 17


def test_chunks_equal_the_whole_and_the_judge_agrees(series):
    model = load(SOURCE, source_voltage_pu=1.015)
    inputs = year_inputs(model, series.isel(interval=slice(5000, 5050)))
    ((part, whole),) = chunks(model, inputs)
    assert part == slice(0, 50)
    assert compare(model, whole, steps=[25])["vm_pu"] <= 1e-8
    pieces = [state for _, state in chunks(model, inputs, size=17)]
    joined = np.concatenate([state["vm_pu"].to_numpy() for state in pieces])
    assert np.abs(joined - whole["vm_pu"].to_numpy()).max() < 1e-12
    summary = year(model, inputs)
    assert np.allclose(summary["vm_pu_maximum"], whole["vm_pu"].max("interval"), atol=1e-12)


def test_only_a_simbench_feeder_has_a_demo():
    with pytest.raises(BadInputError, match="simbench"):
        demo_site_facts("pandapower:case33bw")
