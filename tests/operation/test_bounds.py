"""What a plan keeps to beside the network: overrides, ramps and safety tags, solved for real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dispatch.plan import Plan, PlanInput, Reason
from dispatch.solve import solve
from grid.operation.bounds import Bounds, bounds
from grid.operation.overrides import Wanted, ask, pass_time
from grid.operation.room import Room
from grid.store import control
from grid.store.overrides import Action, Override
from grid.store.overrides import Reason as Why
from grid.store.safety_tags import put_tag
from meters.device import Setpoint
from tests.operation import control_site as hamlet


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A control room of the hamlet."""
    with hamlet.room_of(tmp_path / "site") as opened:
        yield opened


def _hold(room: Room, asset: str, action: Action, kw: float = 0.0, minutes: int = 60) -> Override:
    with room.store.write() as tx:
        wanted = Wanted(asset, action, round(1000 * kw), minutes, Why.TEST, hamlet.ANNA)
        return ask(tx, room.site, wanted)


def _bounds(room: Room, given: PlanInput) -> Bounds:
    with room.store.write() as tx:
        return bounds(room, tx, given, pass_time(tx, room.site, given.start_s))


def _flow(plan: Plan, asset: str) -> np.ndarray:
    one = plan.schedule.sel(asset=asset)
    given = one["discharge_kw"] + one["produce_kw"] - one["charge_kw"]
    return np.asarray(given.values)


def _free(room: Room) -> Room:
    room.site = replace(room.site, control=replace(room.site.control, ramp=()))
    return room


def test_without_any_the_input_is_the_same_object(room: Room) -> None:
    given = hamlet.asked(room)
    assert _bounds(_free(room), given).on(given) is given


def test_a_held_battery_does_what_it_was_told_until_its_time_is_over(room: Room) -> None:
    given = hamlet.asked(_free(room))
    _hold(room, "BAT-1", Action.CHARGE, 12.0, minutes=60)
    kept = _bounds(room, given)
    plan = solve(kept.on(given))
    assert _flow(plan, "BAT-1")[:4] == pytest.approx([-12.0] * 4, abs=1e-3)
    assert np.isnan(kept.fixed["BAT-1"][4:]).all()
    assert _flow(plan, "BAT-1")[4:].max() >= 0.0
    (wish,) = kept.kept([Setpoint("BAT-1", "storage", charge_w=11_999)])
    assert (wish.charge_w, wish.discharge_w) == (12_000, 0)


def test_a_battery_that_runs_empty_is_held_to_what_it_can_give(room: Room) -> None:
    given = hamlet.asked(_free(room), battery_energy_kwh=np.array([10.0, 10.0]))
    _hold(room, "BAT-1", Action.DISCHARGE, 15.0, minutes=120)
    kept = _bounds(room, given)
    plan = solve(kept.on(given))
    # 10 kWh at 0.95 are 9.5 kWh: two steps of 15 kW, then 2 kWh within the third.
    assert _flow(plan, "BAT-1") == pytest.approx([15.0, 15.0, 8.0, 0, 0, 0, 0, 0], abs=1e-3)


def test_a_genset_is_held_off_within_its_minimum_time_up_and_runs_when_told(room: Room) -> None:
    given = hamlet.asked(_free(room), genset_on=np.array([True]))
    one = _hold(room, "DG-1", Action.OFF, minutes=30)
    kept = _bounds(room, given)
    assert not solve(kept.on(given)).schedule["on"].sel(asset="DG-1").values[:2].any()
    (wish,) = kept.kept([Setpoint("DG-1", "genset", discharge_w=5_000)])
    assert (wish.running, wish.discharge_w) == (False, 0)
    with room.store.write() as tx:
        from grid.operation.overrides import end

        end(tx, room.site, one.id, hamlet.ANNA)
    _hold(room, "DG-1", Action.RUN, 9.0, minutes=30)
    off = hamlet.asked(room)
    assert _flow(solve(_bounds(room, off).on(off)), "DG-1")[:2] == pytest.approx(
        [9.0] * 2, abs=1e-3
    )


def test_a_limited_plant_gives_no_more_and_loads_are_served_no_more(room: Room) -> None:
    given = hamlet.asked(_free(room))
    _hold(room, "PV-1", Action.LIMIT, 7.5)
    _hold(room, "SHED-1", Action.LIMIT, 90.0)
    kept = _bounds(room, given)
    plan = solve(kept.on(given))
    assert _flow(plan, "PV-1")[:4] == pytest.approx([7.5] * 4, abs=1e-3)
    assert _flow(plan, "PV-1")[4:] == pytest.approx([30.0] * 4, abs=1e-3)
    wishes = [
        Setpoint("PV-1", "limit", limit_w=40_000),
        Setpoint("SHED-1", "limit", limit_w=100_000),
    ]
    assert [one.limit_w for one in kept.kept(wishes)] == [7_500, 90_000]
    # The network's limit is the lower one: an override lifts nothing.
    assert kept.kept([replace(wishes[0], limit_w=3_000)])[0].limit_w == 3_000


def test_an_override_ends_by_itself_and_is_told_before(room: Room) -> None:
    from grid.operation.overrides import ending

    one = _hold(room, "BAT-1", Action.OFF, minutes=30)
    with room.store.write() as tx:
        told = []
        for at_s in (hamlet.AT_S, hamlet.AT_S + 900, hamlet.AT_S + 1800):
            control.put_meta(tx, "clock_s", str(at_s))
            active = pass_time(tx, room.site, at_s)
            told.append((len(active), [f.code for f in ending(active, at_s, 900)]))
        kinds = [row["kind"] for row in control.actions(tx)]
    assert told == [(1, []), (1, ["override.ends"]), (0, [])]
    assert kinds == ["override.expire", "override.hold"]
    assert one.end_s == hamlet.AT_S + 1800


def test_a_set_point_moves_by_its_ramp_from_what_was_confirmed(room: Room) -> None:
    given = hamlet.asked(
        room,
        demand_kw=np.full(8, 150.0),
        buy_price=np.full(8, 5.0),
        genset_on=np.array([True]),
        genset_intervals_in_state=np.array([9]),
    )
    with room.store.write() as tx:
        before = [
            Setpoint("DG-1", "genset", discharge_w=6_000),
            Setpoint("BAT-2", "storage", charge_w=4_000),
        ]
        control.put_setpoints(tx, hamlet.AT_S - 900, before, "confirmed")
    plan = solve(_bounds(room, given).on(given))
    # 0.5 kW a minute are 7.5 kW a step, 0.2 are 3 kW.
    assert _flow(plan, "DG-1")[:3] == pytest.approx([13.5, 21.0, 28.5], abs=1e-3)
    assert _flow(plan, "BAT-2")[0] == pytest.approx(-1.0, abs=1e-3)
    kept = _bounds(room, given)
    wishes = [
        Setpoint("DG-1", "genset", discharge_w=40_000),
        Setpoint("BAT-2", "storage", discharge_w=9_000),
    ]
    done = kept.kept(wishes)
    assert (done[0].discharge_w, done[1].charge_w) == (13_500, 1_000)


def test_without_a_confirmed_set_point_the_ramp_begins_at_the_safe_state(room: Room) -> None:
    given = hamlet.asked(room, buy_price=np.full(8, 5.0))
    with room.store.write() as tx:
        old = [Setpoint("BAT-2", "storage", discharge_w=9_000)]
        control.put_setpoints(tx, hamlet.AT_S - 2700, old, "confirmed")
    plan = solve(_bounds(room, given).on(given))
    assert _flow(plan, "BAT-2")[0] == pytest.approx(3.0, abs=1e-3)


def test_a_device_behind_a_tag_is_planned_with_nothing_whatever_else_holds(room: Room) -> None:
    given = hamlet.asked(_free(room))
    _hold(room, "BAT-1", Action.CHARGE, 12.0)
    with room.store.write() as tx:
        put_tag(
            tx, element="asset:BAT-1", devices=["BAT-1", "PV-1"], ties=[], reason=Why.SAFETY,
            note="", holder=hamlet.BORIS, placed_s=hamlet.AT_S,
        )  # fmt: skip
    kept = _bounds(room, given)
    assert kept.overrides == ()
    reasons = kept.explained([Reason("BAT-1", "idle", {}, "idle"), Reason("plan", "cost", {}, "")])
    assert [(one.subject, one.code) for one in reasons] == [
        ("BAT-1", "control.blocked"), ("PV-1", "control.blocked"), ("plan", "cost"),
    ]  # fmt: skip
    plan = solve(kept.without_wishes().on(given))
    assert _flow(plan, "BAT-1") == pytest.approx(np.zeros(8), abs=1e-6)
    assert _flow(plan, "PV-1") == pytest.approx(np.zeros(8), abs=1e-6)


def test_what_forms_an_island_is_held_until_the_island_begins(room: Room) -> None:
    there = np.array([True, True, *[False] * 6])
    given = hamlet.asked(_free(room), grid_available=there)
    _hold(room, "BAT-1", Action.CHARGE, 12.0)
    fixed = _bounds(room, given).fixed["BAT-1"]
    assert fixed[:2] == pytest.approx([-12.0, -12.0], abs=1e-3)
    assert np.isnan(fixed[2:]).all()


def test_a_held_genset_goes_by_its_ramp_to_what_it_is_told(room: Room) -> None:
    given = hamlet.asked(room)
    _hold(room, "DG-1", Action.RUN, 25.0)
    kept = _bounds(room, given)
    # From rest 7.5 kW a step; it cannot run below 5 kW.
    assert kept.fixed["DG-1"][:4] == pytest.approx([7.5, 15.0, 22.5, 25.0], abs=1e-3)
    assert _flow(solve(kept.on(given)), "DG-1")[:4] == pytest.approx(
        [7.5, 15.0, 22.5, 25.0], abs=1e-3
    )
