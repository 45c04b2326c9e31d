"""Hosting capacity is what pandapower and the two-bus formula give, and names what limits it."""

import math

import numpy as np
import pytest
import xarray as xr

from grid.errors import BadInputError
from grid.interval import starts
from networks.flow.judge import judge
from networks.hosting.addition import Addition, coincident
from networks.hosting.capacity import hosting, joint
from networks.hosting.limits import HostingLimits
from networks.injection import INPUTS
from networks.sources.source import load
from networks.sources.tables import write_tables

ANALYTIC_KW = 1e-3


def _series(model, inputs):
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in zip(INPUTS, inputs, strict=True)},
        {"interval": starts(1_463_313_600, len(inputs[0]), 900), "bus": model.bus},
    )


def _idle(model, count=1):
    return _series(model, [np.zeros((count, len(model.bus))) for _ in INPUTS])


@pytest.fixture
def two_bus(tmp_path):
    """Return a function that makes a source, a line and a bus of 0.4 kV."""

    def make(**line):
        told = {
            "index": 12, "name": "far", "from_bus": 1, "to_bus": 2, "length_km": 0.5,
            "r_ohm_per_km": 0.206, "x_ohm_per_km": 0.08, "max_i_ka": 1.0,
        } | line  # fmt: skip
        path = tmp_path / "net.json"
        bus = [{"index": 1, "vn_kv": 0.4}, {"index": 2, "vn_kv": 0.4}]
        write_tables({"bus": bus, "ext_grid": [{"index": 0, "bus": 1}], "line": [told]}, path)
        return load(f"file:{path}", source_voltage_pu=1.0)

    return make


def _analytic_kw(r_ohm, x_ohm, v_pu, sign=1.0):
    """Return the power at the far end that makes its voltage `v_pu`, by the two-bus formula.

    From ``v1^2 = (v2 - R p / v2)^2 + (X p / v2)^2`` with `p` into the network.
    """
    v1, v2 = 400.0, 400.0 * v_pu
    square = r_ohm**2 + x_ohm**2
    root = math.sqrt((r_ohm * v2**2) ** 2 - square * v2**2 * (v2**2 - v1**2))
    return sign * (r_ohm * v2**2 - root) / square / 1e3


@pytest.mark.parametrize(("v_max", "rise"), [(1.1, None), (1.05, None), (1.1, 3.0)])
def test_a_plant_at_the_end_of_a_line_is_the_two_bus_formula(two_bus, v_max, rise):
    model = two_bus()
    limits = HostingLimits(voltage_max_pu=v_max, rise_max_percent=rise)
    found = hosting(model, _idle(model), limits=limits, accuracy_kw=1e-4).sel(bus=2)
    bound = min(v_max, 1.0 + (rise or 50.0) / 100)
    assert float(found["hosting_kw"]) == pytest.approx(
        _analytic_kw(0.103, 0.04, bound), abs=ANALYTIC_KW
    )
    assert str(found["limit_kind"].item()) == ("voltage_high" if rise is None else "voltage_rise")
    assert "bus 2" in str(found["limit"].item())


def test_a_load_at_the_end_of_a_line_is_the_two_bus_formula(two_bus):
    model = two_bus()
    found = hosting(model, _idle(model), addition=Addition("load"), accuracy_kw=1e-4).sel(bus=2)
    assert float(found["hosting_kw"]) == pytest.approx(
        _analytic_kw(0.103, 0.04, 0.9, sign=-1.0), abs=ANALYTIC_KW
    )
    assert str(found["limit"].item()) == "bus 2 voltage 0.9 pu"


def test_a_thin_line_limits_by_its_current(two_bus):
    model = two_bus(length_km=0.02, max_i_ka=0.1)
    found = hosting(model, _idle(model), accuracy_kw=1e-4).sel(bus=2)
    r, x = 0.206 * 0.02, 0.08 * 0.02
    # 100 A in phase with the far end's voltage: v1^2 = (v2 - R i)^2 + (X i)^2 to earth.
    v2 = math.sqrt((400 / math.sqrt(3)) ** 2 - (x * 100) ** 2) + r * 100
    assert float(found["hosting_kw"]) == pytest.approx(3 * v2 * 100 / 1e3, abs=ANALYTIC_KW)
    assert str(found["limit"].item()) == "line 12 'far' loading 100 %"


def test_what_no_limit_stops_is_capped_and_says_so(two_bus):
    model = two_bus(length_km=0.001)
    found = hosting(model, _idle(model), ceiling_kw=50.0)
    assert found["hosting_kw"].to_numpy().tolist() == [50.0, 50.0]
    assert found["capped"].all()
    assert found["limit"].to_numpy().tolist() == ["", ""]
    assert np.isnat(found["limit_at"]).all()


def test_reactive_power_that_a_plant_takes_lets_more_in(two_bus):
    model = two_bus(x_ohm_per_km=0.3)
    taking = Addition(power_factor=0.9)
    giving = Addition(power_factor=0.9, gives_reactive=True)
    sizes = [
        float(hosting(model, _idle(model), addition=one)["hosting_kw"].sel(bus=2))
        for one in (giving, Addition(), taking)
    ]
    assert sizes[0] < 0.9 * sizes[1] < 0.8 * sizes[2]


@pytest.fixture(scope="module")
def village(rural, random_inputs):
    """A few intervals of the rural feeder, with plants at half of its buses."""
    absorbed, injected, absorbed_q, injected_q = random_inputs(rural, 6)
    injected[:, ::2] = 0.0
    return _series(rural, (absorbed, injected * 1.5, absorbed_q, injected_q * 0.2))


def _brute_kw(model, series, bus, limits, addition):
    """Return the largest size at one bus by bisection through ``runpp`` alone."""
    court, at = judge(model), model.position(bus)
    profile, per_kw = addition.profile_of(series), addition.per_kw
    columns = [series[name].to_numpy() for name in INPUTS]

    def state(step, kw, plants=True):
        inputs = [values[step].copy() for values in columns]
        if not plants:
            inputs[1][:] = 0.0
        size = kw * profile[step]
        inputs[1 if per_kw.real > 0 else 0][at] += size * abs(per_kw.real)
        inputs[3 if per_kw.imag > 0 else 2][at] += size * abs(per_kw.imag)
        net = court.run(inputs, numba=True)
        return (
            net.res_bus["vm_pu"].to_numpy(),
            net.res_line["loading_percent"].max(),
            net.res_trafo["loading_percent"].max(),
        )

    low_voltage = model.vn_kv <= 1.0
    high = []
    for step in range(len(profile)):
        bare = state(step, 0.0, plants=False)[0]
        rise = np.where(low_voltage, bare * (1 + (limits.rise_max_percent or 99) / 100), 9.0)
        high.append(np.minimum(limits.voltage_max_pu, rise))

    def holds(kw):
        for step in range(len(profile)):
            vm_pu, line, trafo = state(step, kw)
            if (vm_pu > high[step]).any() or (vm_pu < limits.voltage_min_pu).any():
                return False
            if max(line, trafo) > limits.loading_max_percent:
                return False
        return True

    low_kw, high_kw = 0.0, 320.0
    while high_kw - low_kw > 0.05:
        middle_kw = (low_kw + high_kw) / 2
        low_kw, high_kw = (middle_kw, high_kw) if holds(middle_kw) else (low_kw, middle_kw)
    return low_kw


@pytest.mark.parametrize(
    ("addition", "limits"),
    [
        (Addition(), HostingLimits(rise_max_percent=3.0)),
        (Addition(power_factor=0.95), HostingLimits(voltage_max_pu=1.04, loading_max_percent=80)),
        (Addition("load", power_factor=0.97), HostingLimits(voltage_min_pu=0.97)),
    ],
    ids=["rise", "band", "load"],
)
def test_bisection_through_runpp_gives_the_same_at_two_buses(rural, village, addition, limits):
    buses = [int(rural.bus[4]), int(rural.bus[9])]
    few = village.isel(interval=slice(0, 3))
    found = hosting(rural, few, addition=addition, limits=limits, buses=buses)
    for bus in buses:
        brute = _brute_kw(rural, few, bus, limits, addition)
        assert float(found["hosting_kw"].sel(bus=bus)) == pytest.approx(brute, abs=0.1)
    assert found["checked"].all()
    assert not found["capped"].any()


def test_the_transformer_limits_where_lines_are_strong(rural, village):
    strong = HostingLimits(voltage_max_pu=1.2, loading_max_percent=100.0)
    head = int(rural.lv_bus)
    found = hosting(rural, village, limits=strong, buses=[head])
    assert found["limit_kind"].item() == "trafo"
    assert "trafo 0" in found["limit"].item()
    assert found["limit"].item().endswith("loading 100 %")


def test_what_is_broken_already_is_no_room_and_what_relieves_it_is(rural, village):
    """A plant may relieve a line that loads overload; another load may not be added."""
    heavy = village.isel(interval=[0]).copy(deep=True)
    heavy["injected_kw"][:] = 0.0
    far = int(rural.bus[4])
    heavy["absorbed_kw"].loc[{"bus": far}] = 170.0
    limits = HostingLimits(voltage_min_pu=0.6)
    plant = hosting(rural, heavy, limits=limits, buses=[far])
    assert float(plant["hosting_kw"].item()) > 170.0
    more = hosting(rural, heavy, limits=limits, buses=[far], addition=Addition("load"))
    assert float(more["hosting_kw"].item()) == 0.0
    assert more["limit_kind"].item() in ("line", "trafo")


def test_a_dead_bus_hosts_nothing_and_is_not_zero(rural, village):
    cut = rural.switched(out=[("line", int(rural.line.index[0]))])
    dead = cut.bus[cut.node < 0]
    assert len(dead)
    found = hosting(cut, village).sel(bus=dead)
    assert np.isnan(found["hosting_kw"]).all()
    assert set(found["limit_kind"].to_numpy()) == {"dead"}
    with pytest.raises(BadInputError, match="cut off"):
        joint(cut, village, {int(dead[0]): 1.0})


def test_an_interval_that_the_search_did_not_see_is_found_by_the_check(rural, village, monkeypatch):
    """Whatever intervals the search begins with, the whole series decides."""
    right = hosting(rural, village)
    profile = coincident(village)
    mildest = int(np.argmin(profile))
    monkeypatch.setattr("networks.hosting.search.worst", lambda frame, lowers: np.array([mildest]))
    misled = hosting(rural, village, check=0)
    assert (misled["hosting_kw"] > right["hosting_kw"] + 10.0).sum() > 10
    assert not misled["checked"].any()
    put_right = hosting(rural, village)
    assert np.abs(put_right["hosting_kw"] - right["hosting_kw"]).max() < 0.02
    assert put_right.attrs["corrected"] > 10
    assert put_right["checked"].all()


def test_all_together_with_one_share_is_that_bus_alone(rural, village):
    bus = int(rural.bus[4])
    alone = hosting(rural, village, buses=[bus])
    shared = joint(rural, village, {bus: 3.0})
    assert float(shared["hosting_kw"]) == pytest.approx(float(alone["hosting_kw"][0]), abs=0.02)
    tight = HostingLimits(rise_max_percent=2.0)
    alone = hosting(rural, village, limits=tight, buses=[bus])
    spread = joint(rural, village, dict.fromkeys(rural.bus[:14].tolist(), 1.0), limits=tight)
    assert float(spread["hosting_kw"]) > 1.5 * float(alone["hosting_kw"][0]) > 0.0


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: HostingLimits(voltage_max_pu=0.8), "must rise"),
        (lambda: HostingLimits(rise_max_percent=0.0), "rise_max_percent is 0.0"),
        (lambda: Addition("both"), "direction 'both'"),
        (lambda: Addition(power_factor=0.2), "power_factor is 0.2"),
    ],
)
def test_wrong_limits_are_refused_by_name(made, words):
    with pytest.raises(BadInputError, match=words):
        made()


def test_a_profile_out_of_range_is_refused(rural, village):
    for profile in (np.full(6, 1.1), np.zeros(5), np.zeros(6)):
        with pytest.raises(BadInputError, match="profile of the addition"):
            hosting(rural, village, addition=Addition(profile=profile))
