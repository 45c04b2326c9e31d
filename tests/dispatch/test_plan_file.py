"""Our own problem file: what is written is read, and what is wrong is refused by its field."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.plan import LinearCut, PlanInput
from dispatch.plan_file import is_plan, parse, read, written
from dispatch.solve import solve
from grid.console.cli import main
from grid.errors import BadInputError
from grid.site import Battery, Genset, GridConnection, GridPrice, Price, Shedding, Solar
from grid.site_facts import Amount


def day() -> PlanInput:
    """Return four hours with negative prices, of the sort that provokes cycling."""
    return PlanInput(
        start_s=1_792_540_800,
        interval_s=3600,
        battery=(
            Battery(
                "bat-1",
                "u-1",
                5.0,
                10.0,
                charge_efficiency=0.9,
                discharge_efficiency=0.9,
                min_energy_kwh=1.0,
                wear=Price(7),
            ),
        ),
        solar=(Solar("sun", "u-1", 3.0),),
        wind=(),
        genset=(Genset("gen", "u-1", 8.0, 2.0, Price(310_000), Amount(5), Amount(400_000_000)),),
        shedding=(Shedding("shed", ("u-1", "u-2"), Price(2_000_000)),),
        grid=GridConnection("grid", 20.0, 0.0, (GridPrice("00:00", Price(84), Price(50)),)),
        demand_kw=np.full(4, 2.0),
        solar_available_kw=np.array([[0.0, 1.0, 1.5, 0.25]]),
        wind_available_kw=np.zeros((0, 4)),
        sheddable_kw=np.full((1, 4), 0.5),
        buy_price=np.array([-0.1, -0.1, 0.2, 0.3]),
        sell_price=np.zeros(4),
        end_value_per_kwh=0.0,
        grid_available=np.ones(4, dtype=bool),
        battery_energy_kwh=np.array([9.0]),
        genset_on=np.array([False]),
        genset_intervals_in_state=np.array([9]),
        reserve_kw=np.zeros(4),
        cuts=(LinearCut(1, "vm_pu bus 3 <= 1.05", {"sun": 1.0}, 2.5),),
        end_energy_min_kwh=np.array([9.0]),
    )


RAW = written(day())


def test_what_is_written_is_read():
    """Through a file and back: the same devices, the same series, the same plan."""
    found = parse(json.dumps(RAW).encode())
    for name, value in vars(day()).items():
        same = getattr(found, name)
        if isinstance(value, np.ndarray):
            assert np.array_equal(same, value), name
            assert same.dtype == value.dtype, name
        else:
            assert same == value, name
    assert solve(found).objective == solve(day()).objective


def wrong(path, value):
    """Return RAW with `value` at `path`, or without it for None."""
    raw = copy.deepcopy(RAW)
    at = raw
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("format",), "khazri-plan-9", "format must be 'khazri-plan-1'"),
        (("demand_kw",), None, "demand_kw is missing"),
        (("load_kw",), [1.0], "load_kw is unknown"),
        (("demand_kw",), [1.0, 2.0, True, 3.0], "demand_kw is True, must be a list of float64"),
        (("demand_kw",), [1.0, 2.0, -3.0, 3.0], "demand_kw"),
        (("demand_kw",), [1.0, 2.0, 1e30, 3.0], "demand_kw"),
        (("demand_kw",), [[1.0], 2.0, 3.0, 4.0], "demand_kw"),
        (("demand_kw",), 2.0, "demand_kw must be one row"),
        (("grid_available",), [1, 1, 1, 1], "grid_available is 1, must be a list of bool"),
        (("genset_intervals_in_state",), [9.5], "must be a list of int64"),
        (("battery", 0, "power_kw"), "5", "battery[0].power_kw is 5, must be a number"),
        (("battery", 0, "charge_efficiency"), -0.9, "charge_efficiency"),
        (("battery", 0, "volts"), 5, "battery[0].volts is unknown"),
        (("battery", 0, "id"), 7, "battery[0].id is 7, must be text"),
        (("battery", 0, "wear"), -0.1, "battery[0].wear is -0.1, must be within 0 to 1000000"),
        (("battery", 0, "wear"), 1e-8, "battery[0].wear"),
        (("genset", 0, "min_up_intervals"), 1.5, "must be a whole number"),
        (("genset",), {}, "genset is {}, must be a list"),
        (("grid",), [], "grid is list, must be an object"),
        (("cuts", 0, "coefficient", "sun"), "x", "cuts[0].coefficient.sun is x"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(path, value, said):
    """Missing, unknown, of the wrong kind or out of range: the message names the field."""
    with pytest.raises(BadInputError) as told:
        parse(json.dumps(wrong(path, value)).encode())
    assert said in str(told.value)


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b"[" * 100_000, b'{"format": NaN}', b'{"format": 1, "format": 2}']
)
def test_what_is_no_such_file_is_refused(octets):
    """No JSON, no object, no format, numbers that JSON does not have, keys twice."""
    with pytest.raises(BadInputError):
        parse(octets)


LEAVES = [name for name in RAW if name != "format"]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.floats(), max_size=4),
    st.just([{}]),
    st.just({"id": "x"}),
)


@given(st.sampled_from(LEAVES), ODD)
def test_no_value_crashes_the_reader(name, value):
    """Any value in any field: an input, or a typed error."""
    try:
        parse(json.dumps({**RAW, name: value}).encode())
    except BadInputError:
        return


def test_the_command_solves_a_plan_and_says_when_there_is_none(tmp_path, capsys):
    """``khazri dispatch solve`` of our format: cost, reasons, schedule, or what lacks."""
    path, out = tmp_path / "plan.json", tmp_path / "schedule.json"
    path.write_text(json.dumps(RAW))
    assert is_plan(path.read_bytes())
    assert main(["dispatch", "solve", str(path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"cost {solve(day()).objective:,.4f}" in printed
    kept = json.loads(out.read_text())
    assert kept["assets"] == ["bat-1", "sun", "gen", "shed"]
    assert len(kept["schedule"]["charge_kw"]["values"][0]) == 4
    assert main(["dispatch", "solve", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["cost"] == pytest.approx(sum(told["items"].values()))
    short = replace(day(), demand_kw=np.full(4, 50.0))
    path.write_text(json.dumps(written(short)))
    assert main(["dispatch", "solve", str(path)]) == 1
    assert "short" in capsys.readouterr().err
    path.write_text(json.dumps(wrong(("demand_kw",), None)))
    with pytest.raises(BadInputError, match=r"plan.json: demand_kw is missing"):
        read(path)
