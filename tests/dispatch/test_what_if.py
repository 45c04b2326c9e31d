"""What if: how a change is written, what it changes, and how two plans are held side by side."""

import numpy as np
import pytest

from dispatch.compare import compared
from dispatch.plan import per_kwh
from dispatch.solve import solve
from dispatch.what_if import Change, changed, parse
from grid.errors import BadInputError
from grid.site import Price, Shedding


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("demand=+5%", Change("demand", "share", 0.05)),
        ("demand=-20%", Change("demand", "share", -0.2)),
        ("demand=95%", Change("demand", "share", -0.05)),
        ("buy_price=+0.02", Change("buy_price", "more", 0.02)),
        ("buy_price=-0.02", Change("buy_price", "more", -0.02)),
        ("asset.B-1.power_kw=20", Change("asset.B-1.power_kw", "set", 20.0)),
    ],
)
def test_a_change_is_a_share_a_difference_or_a_value(text, change):
    found = parse(text)
    assert (found.name, found.kind) == (change.name, change.kind)
    assert found.value == pytest.approx(change.value)


@pytest.mark.parametrize("text", ["demand", "demand=", "=5", "demand=nan", "demand=1e9", "x=+-5"])
def test_what_is_no_change_is_refused(text):
    with pytest.raises(BadInputError, match="is no change"):
        parse(text)


@pytest.fixture
def evening(community, make):
    return community(
        3,
        demand_kw=[4.0, 10.0, 4.0],
        battery=(make.battery("b.1", wear=10_000),),
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        sheddable_kw=[[1.0, 5.0, 0.0]],
        genset=(make.genset(),),
        buy_price=[0.1, 0.5, 0.2],
    )


def after(given, *texts):
    return changed(given, [parse(text) for text in texts])


def test_what_may_be_shed_changes_with_the_load(evening):
    found = after(evening, "demand=+10%")
    assert found.demand_kw == pytest.approx([4.4, 11.0, 4.4])
    assert found.sheddable_kw[0] == pytest.approx([1.1, 5.5, 0.0])
    assert evening.demand_kw.tolist() == [4.0, 10.0, 4.0]


def test_facts_of_assets_change_in_the_units_of_a_site_file(evening):
    found = after(
        evening, "asset.b.1.power_kw=+1", "asset.b.1.wear=0.02", "asset.gen-1.start=+50%",
        "asset.gen-1.min_up_intervals=3", "grid.import_limit_kw=60", "battery_energy_kwh=5",
        "asset.gen-1.ramp_up_kw_per_hour=7", "end_value_per_kwh=0.05",
    )  # fmt: skip
    assert found.battery[0].power_kw == 6.0
    assert per_kwh(found.battery[0].wear) == pytest.approx(0.02)
    assert found.genset[0].start == 600_000_000
    assert (found.genset[0].min_up_intervals, found.genset[0].ramp_up_kw_per_hour) == (3, 7.0)
    assert isinstance(found.genset[0].min_up_intervals, int)
    assert found.grid.import_limit_kw == 60.0
    assert (found.battery_energy_kwh.tolist(), found.end_value_per_kwh) == ([5.0], 0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wind_speed=+1", "'wind_speed' is no number of this plan; there are .*demand_kw"),
        ("critical_kw=+1", "is no number of this plan"),
        ("grid_available=0", "is no number of this plan"),
        ("asset.b-9.power_kw=1", "names no asset of this plan; there are b.1, gen-1, shed-1"),
        ("asset.b.1.forming=1", "b.1 has no number 'forming'"),
        ("asset.b.1.taper_power_kw=+1", "b.1 has no taper_power_kw yet: set it"),
        ("asset.b.1.power_kw=-9", "battery b.1: power_kw is -4.0, must be within"),
        ("demand=-300%", "demand_kw"),
        ("buy_price=999999", "buy_price.*1000"),
    ],
)
def test_what_cannot_be_is_refused_by_name(evening, text, message):
    with pytest.raises(BadInputError, match=message):
        after(evening, text)


def test_two_plans_are_held_side_by_side(evening):
    first = solve(evening, gap=0.0)
    other_input = after(evening, "asset.b.1.power_kw=2")
    other = solve(other_input, gap=0.0)
    found = compared((evening, first), (other_input, other))
    assert found.cost == pytest.approx(other.objective - first.objective)
    assert found.cost == pytest.approx(sum(found.items.values()))
    assert found.cost > 0.1
    moved = {(one.asset, one.step): one for one in found.moved}
    charge, discharge = (first.schedule[f"{way}_kw"].values[0] for way in ("charge", "discharge"))
    for step in range(3):
        same = np.isclose(charge[step], other.schedule["charge_kw"].values[0, step], atol=1e-3)
        same &= np.isclose(discharge[step], other.schedule["discharge_kw"].values[0, step])
        assert (("b.1", step) in moved) == (not same)
    # an hour of charging and its way back: 5 kW before, 2 kW then
    assert moved["b.1", 1].before_given_kw == pytest.approx(5.0 * 0.9 * 0.9)
    assert moved["b.1", 1].after_given_kw == pytest.approx(2.0 * 0.9 * 0.9)
    assert compared((evening, first), (evening, first)).moved == ()
