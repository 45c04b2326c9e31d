"""What every kind of asset must hold: its table, its rows in the model, its optimum by hand."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.assets import REGISTRY
from dispatch.check import check_plan
from dispatch.model import build
from dispatch.plan import LinearCut, PlanInput
from dispatch.solve import solve
from grid import site, site_devices
from grid.site import Price, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat

GOLDEN = Path(__file__).parent / "golden"


def battery_case(community, make):
    """Buys 4 / 0.81 kWh more at 0.10 to serve 4 kWh at 0.30, wearing 0.02 a kWh."""
    case = community(
        2, battery=(make.battery(wear=20_000),), demand_kw=[4, 4], buy_price=[0.1, 0.3]
    )
    return case, frozenset({("bat-1", 0)}), 0.1 * (4 + 4 / 0.81) + 0.02 * 4


def solar_case(community, make):
    """Buys 1 kWh at 0.20, then sells the 1 kWh that export allows at 0.05 and withholds 1."""
    case = community(
        2,
        solar=(Solar("pv-1", "u-1", 8.0),),
        grid=make.grid(export_kw=1.0),
        demand_kw=[4, 4],
        solar_available_kw=[[3, 6]],
        buy_price=[0.2, 0.2],
        sell_price=[0.05, 0.05],
    )
    return case, frozenset(), 0.2 - 0.05


def wind_case(community, make):
    """Feeding in would cost 0.02 a kWh: withholds all that the load does not take."""
    case = community(
        2,
        wind=(Wind("wind-1", "u-1", 8.0),),
        grid=make.grid(export_kw=10.0),
        demand_kw=[4, 4],
        wind_available_kw=[[2, 6]],
        sell_price=[-0.02, -0.02],
    )
    return case, frozenset(), 0.1 * 2


def genset_case(community, make):
    """Runs through the two dear hours: 2 (0.5 + 10 · 0.3) + 0.4, and buys 10 kWh twice."""
    case = community(
        4,
        genset=(make.genset(min_up_intervals=2),),
        demand_kw=[10] * 4,
        buy_price=[0.1, 0.6, 0.6, 0.1],
    )
    return case, frozenset(), 1.0 + 7.0 + 0.4 + 1.0


def shedding_case(community, make):
    """Import brings 5 of 8 kW; the other 3 cost 2 a kWh."""
    case = community(
        1,
        shedding=(Shedding("shed-1", ("u-1",), Price(2_000_000)),),
        grid=make.grid(import_kw=5.0),
        demand_kw=[8],
        sheddable_kw=[[4]],
    )
    return case, frozenset(), 0.5 + 6.0


def grid_case(community, make):
    """Selling pays more than buying costs, but one meter nets what passes it."""
    case = community(
        2,
        grid=make.grid(20.0, 20.0),
        demand_kw=[5, 0],
        sell_price=[0.2, 0.2],
        grid_available=[True, False],
    )
    return case, frozenset({("grid-1", 0)}), 0.5


def charger_case(community, make):
    """Holds 2 of 6 kWh, has two hours at 3 kW and then leaves: 1 kWh at 0.3, 3 at 0.1."""
    charger = Charger("ev-1", "u-1", 3.0, 50.0, Price(9_000_000), charge_efficiency=1.0)
    case = community(
        3,
        charger=(charger,),
        ev_connected=np.array([[True, True, False]]),
        ev_arrival_kwh=np.zeros((1, 3)),
        ev_target_kwh=np.array([[0.0, 6.0, 0.0]]),
        ev_energy_kwh=np.array([2.0]),
        buy_price=[0.3, 0.1, 0.01],
    )
    return case, frozenset({("ev-1", 1)}), 0.3 + 0.3


def flexible_case(community, make):
    """A heat pump warms a house that loses 3 kWh an hour, ahead of the dear hour as it can.

    2 kW give 6 kWh, of which with the 1 before 4 are left, all that the corridor holds; the two
    dear hours need 2 kWh more, for 2/3 of a kWh.
    """
    load = Flexible("hp-1", "u-1", 2.0, Price(9_000_000), gain=3.0)
    case = community(
        3,
        flexible=(load,),
        flexible_need_kw=np.full((1, 3), 3.0),
        flexible_low_kwh=np.zeros((1, 3)),
        flexible_high_kwh=np.full((1, 3), 4.0),
        flexible_energy_kwh=np.array([1.0]),
        buy_price=[0.1, 0.5, 0.5],
    )
    return case, frozenset(), 0.1 * 2.0 + 0.5 * 2.0 / 3.0


def heat_case(community, make):
    """Runs one dear hour for its heat: fills the tank for the next, and the boiler stands.

    10 kWh of power bring 15 kWh of heat for a need of 12: 0.4 + 0.5 + 3.0, then 8 kWh bought.
    Without the heat it would not run: 18 kWh at 0.35 and 12 kWh of heat at 0.1 are 7.5.
    """
    tank = Heat("tank-1", "gen-1", 1.5, 10.0, 20.0, Price(100_000), Price(9_000_000))
    case = community(
        2,
        genset=(make.genset(power=10.0, least=2.0),),
        heat=(tank,),
        heat_need_kw=np.full((1, 2), 6.0),
        heat_energy_kwh=np.array([0.0]),
        demand_kw=[10, 8],
        buy_price=[0.35, 0.35],
    )
    return case, frozenset(), 0.4 + 0.5 + 3.0 + 8 * 0.35


CASES = {
    "heat": heat_case,
    "charger": charger_case,
    "flexible": flexible_case,
    "battery": battery_case,
    "solar": solar_case,
    "wind": wind_case,
    "genset": genset_case,
    "shedding": shedding_case,
    "grid": grid_case,
}


@pytest.fixture(params=sorted(CASES))
def case(request, community, make):
    return request.param, *CASES[request.param](community, make)


def test_each_registered_asset_has_a_case():
    assert sorted(REGISTRY) == sorted(CASES)


def test_the_optimum_is_the_one_by_hand(case):
    _, plan_input, _, expected = case
    plan = solve(plan_input, gap=0.0)
    assert plan.objective == pytest.approx(expected, abs=1e-8)
    assert plan.status == "optimal"


def test_the_plan_passes_the_check(case):
    _, plan_input, _, _ = case
    assert check_plan(plan_input, solve(plan_input)) == []


def same_as_golden(name, model, folder):
    written = folder / "model.lp"
    model.write(str(written), io_options={"symbolic_solver_labels": True})
    golden = GOLDEN / f"{name}.lp"
    if os.environ.get("KHAZRI_GOLDEN") == "write":
        golden.write_text(written.read_text())
    assert written.read_text() == golden.read_text()


def test_the_model_is_the_golden_one(case, tmp_path):
    name, plan_input, pairs, _ = case
    same_as_golden(name, build(plan_input, pairs), tmp_path)


def island_case(community, make):
    """One islanded step with a reserve and a cut; all that the elastic model has besides."""
    return community(
        1,
        battery=(make.battery(forming=True),),
        demand_kw=[4],
        grid_available=[False],
        battery_energy_kwh=[6.0],
        reserve_kw=[2.0],
        end_energy_min_kwh=[1.0],
        cuts=(LinearCut(0, "vm_pu bus 3 <= 1.05", {"bat-1": 2e-4}, 9e-4),),
    )


def test_reserve_and_cuts_are_the_golden_ones(community, make, tmp_path):
    same_as_golden("island", build(island_case(community, make)), tmp_path)


def test_the_elastic_model_is_the_golden_one(community, make, tmp_path):
    same_as_golden("elastic", build(island_case(community, make), elastic=True), tmp_path)


def test_every_constraint_of_the_model_stands_in_a_golden_file(community, make, demo_day):
    text = "".join(path.read_text() for path in GOLDEN.glob("*.lp"))
    pairs = frozenset({("bat-c", 0), ("grid-1", 0)})
    for elastic in (False, True):
        day = demo_day(range(4), 1, end_energy_min_kwh=np.ones(9))
        for constraint in build(day, pairs, elastic=elastic).component_objects(pyo.Constraint):
            assert f"_{constraint.name}(" in text, constraint.name


def test_the_attribute_table_names_real_attributes():
    inputs = {field.name for field in dataclasses.fields(PlanInput)}
    facts = {kind: getattr(site_devices, kind.title()) for kind in REGISTRY if kind != "grid"}
    facts["grid"] = site.GridConnection
    for name, kind in REGISTRY.items():
        known = inputs | {field.name for field in dataclasses.fields(facts[name])}
        assert {row.name for row in kind.attributes} <= known
        assert all(row.type and row.description for row in kind.attributes)


def test_of_equal_hours_it_charges_in_the_earlier_and_discharges_in_the_later(community, make):
    plan_input = community(
        4,
        battery=(make.battery(power=4.0),),
        demand_kw=[4.0] * 4,
        buy_price=[0.1, 0.1, 0.5, 0.5],
        battery_energy_kwh=[0.0],
    )
    schedule = solve(plan_input).schedule
    assert schedule["charge_kw"].values[0].tolist() == pytest.approx([4.0, 4.0, 0.0, 0.0])
    assert schedule["discharge_kw"].values[0, 2:] == pytest.approx([6.48 - 4.0, 4.0])


def test_surplus_is_withheld_and_not_burnt_in_a_battery(community, make):
    plan_input = community(
        3,
        battery=(make.battery(),),
        solar=(Solar("pv-1", "u-1", 9.0),),
        solar_available_kw=[[9.0] * 3],
        battery_energy_kwh=[10.0],
        end_value_per_kwh=0.1,
    )
    schedule = solve(plan_input).schedule
    assert np.all(schedule["charge_kw"].values == 0.0)
    assert schedule["curtail_kw"].values[1].tolist() == [9.0] * 3
    assert schedule["limit_kw"].values[1].tolist() == [0.0] * 3
