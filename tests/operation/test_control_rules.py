"""Who may hold a device and release a tag; what a device is said to make of its set-point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grid.errors import BadInputError
from grid.operation import following, overrides, safety_tags
from grid.operation.overrides import Wanted
from grid.operation.room import Room
from grid.operation.sending import AS_SENT, NOTHING_SENT, REVERTED, UNLIKE, judge
from grid.site_file import SiteFileError, parse
from grid.store import control, log
from grid.store import overrides as stored
from grid.store.overrides import Action, OverrideState, Reason
from meters.device import DeviceState, Setpoint
from tests.operation import control_site as hamlet


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A control room of the hamlet: more than 45 kW takes two people."""
    with hamlet.room_of(tmp_path / "site") as opened:
        yield opened


def _wanted(kw: float = 20.0, **changes: Any) -> Wanted:
    facts = {
        "asset": "BAT-1",
        "action": Action.DISCHARGE,
        "power_w": round(1000 * kw),
        "minutes": 60,
        "reason": Reason.NETWORK,
        "by": hamlet.ANNA,
        "note": "a neighbour called",
    }
    return Wanted(**{**facts, **changes})


def test_nobody_approves_their_own_and_nothing_is_approved_twice(room: Room) -> None:
    with room.store.write() as tx:
        one = overrides.ask(tx, room.site, _wanted())
        assert (one.state, one.stake_w) == (OverrideState.ASKED, 50_000)
        for name in (hamlet.ANNA, hamlet.ANNA.upper(), f" {hamlet.ANNA} "):
            with pytest.raises(BadInputError, match="second person"):
                overrides.approve(tx, room.site, one.id, name)
        held = overrides.approve(tx, room.site, one.id, hamlet.BORIS)
        assert (held.state, held.approved_by) == (OverrideState.ACTIVE, hamlet.BORIS)
        with pytest.raises(BadInputError, match="only what is asked"):
            overrides.approve(tx, room.site, one.id, hamlet.BORIS)


def test_what_nobody_approves_lapses_and_never_held(room: Room) -> None:
    with room.store.write() as tx:
        one = overrides.ask(tx, room.site, _wanted())
        for at_s, state in (
            (hamlet.AT_S + 2700, OverrideState.ASKED),
            (hamlet.AT_S + 3600, OverrideState.LAPSED),
        ):
            control.put_meta(tx, "clock_s", str(at_s))
            assert overrides.pass_time(tx, room.site, at_s) == []
            assert stored.get_override(tx, one.id).state is state
        again = overrides.ask(tx, room.site, _wanted(minutes=180))
        control.put_meta(tx, "clock_s", str(hamlet.AT_S + 7200))
        late = overrides.approve(tx, room.site, again.id, hamlet.BORIS)
        assert late.state is OverrideState.LAPSED


def test_what_is_asked_after_the_plan_begins_with_the_next_cycle_and_lasts_as_long(
    room: Room,
) -> None:
    with room.store.write() as tx:
        control.mark_done(tx, hamlet.AT_S, "plan")
        one = overrides.ask(tx, room.site, _wanted(kw=10.0, minutes=15))
        assert (one.start_s, one.end_s) == (hamlet.AT_S + 900, hamlet.AT_S + 1800)
        assert overrides.pass_time(tx, room.site, hamlet.AT_S) == []
        assert overrides.pass_time(tx, room.site, hamlet.AT_S + 900) == [one]


def test_what_it_may_move_a_device_by_decides_who_must_agree(room: Room) -> None:
    site = room.site
    assets = {str(asset.id): asset for asset in site.assets}
    for name, action, power_w, stake_w in (
        ("BAT-1", Action.OFF, 0, 30_000),
        ("BAT-1", Action.CHARGE, 30_000, 60_000),
        ("DG-1", Action.OFF, 0, 40_000),
        ("DG-1", Action.RUN, 30_000, 30_000),
        ("PV-1", Action.LIMIT, 25_000, 15_000),
        ("PV-1", Action.OFF, 0, 40_000),
        ("SHED-1", Action.LIMIT, 60_000, 40_000),
    ):
        assert overrides.stake(site, assets[name], action, power_w) == stake_w


def test_the_ledger_has_pseudonyms_and_codes_and_the_store_who_it_was(room: Room) -> None:
    with room.store.write() as tx:
        one = overrides.ask(tx, room.site, _wanted())
        overrides.approve(tx, room.site, one.id, hamlet.BORIS)
        overrides.end(tx, room.site, one.id, hamlet.ANNA)
        rows = control.actions(tx)
        entries = b"".join(log.entries(tx, 0, log.size(tx)))
        opened = [str(row["content"]) for row in log.openings(tx)]
    kinds = [row["kind"] for row in rows]
    assert kinds == ["override.end", "override.approve", "override.ask"]
    assert all(row["sequence"] is not None for row in rows)
    assert hamlet.ANNA in rows[1]["detail"]
    assert rows[1]["user"] == hamlet.BORIS
    names = (hamlet.ANNA, hamlet.BORIS, "neighbour", "BAT-1")
    assert not any(name.encode() in entries for name in names)
    told = "".join(text for text in opened if "override" in text)
    assert "p-" in told
    assert not any(name in told for name in names[:3])


def test_a_refused_override_leaves_nothing(room: Room) -> None:
    with room.store.write() as tx:
        size = log.size(tx)
        overrides.ask(tx, room.site, _wanted(asset="PV-1", action=Action.LIMIT))
        taken = log.size(tx)
        for changes, told in (
            ({"asset": "PV-1", "action": Action.OFF}, "end it first"),
            ({"asset": "SHED-1", "action": Action.OFF}, "never held off"),
            ({"asset": "DG-1", "action": Action.CHARGE}, "cannot be held"),
            ({"power_w": -1}, "must be within"),
            ({"power_w": 30_001}, "must be within"),
            ({"minutes": 0}, "15 to 1440"),
            ({"minutes": 1455}, "15 to 1440"),
            ({"asset": "X"}, "no such device"),
        ):
            with pytest.raises(BadInputError, match=told):
                overrides.ask(tx, room.site, _wanted(**changes))
        assert log.size(tx) == taken == size + 1
    for changes in ({"by": " "}, {"note": "x" * 201}, {"note": "a\nb"}):
        with pytest.raises(BadInputError):
            _wanted(**changes)


def test_a_tag_names_the_generation_behind_a_line_and_only_its_holder_releases_it(
    room: Room,
) -> None:
    site, bus = room.site, 25
    upstream = [
        int(index)
        for index, a, b in zip(
            room.model.line.index, room.model.line.from_bus, room.model.line.to_bus, strict=True
        )
        if bus in safety_tags_buses(room, int(index)) and bus in (int(a), int(b))
    ]
    assert upstream, "no line feeds the bus"
    element = f"line:{upstream[0]}"
    with room.store.write() as tx:
        tag = safety_tags.place(
            tx, site, lambda: room.model, element=element, reason=Reason.MAINTENANCE,
            by=hamlet.ANNA, note="joint",
        )  # fmt: skip
        assert set(tag.devices) == {str(asset.id) for asset in site.assets}
        assert dict(safety_tags.generation(site, tag.devices)) == {
            "BAT-1": 30.0, "BAT-2": 10.0, "PV-1": 40.0, "WIND-1": 20.0, "DG-1": 40.0,
        }  # fmt: skip
        assert safety_tags.may_form(site, tag.devices) == ["BAT-1", "DG-1"]
        assert set(safety_tags.blocked(tx)) == set(tag.devices)
        with pytest.raises(BadInputError, match="stands before it"):
            overrides.ask(tx, site, _wanted())
        with pytest.raises(BadInputError, match="stands on it already"):
            safety_tags.place(
                tx, site, lambda: room.model, element=element, reason=Reason.TEST, by=hamlet.ANNA
            )
        safety_tags.place(
            tx, site, lambda: room.model, element=element, reason=Reason.TEST, by=hamlet.BORIS
        )
        with pytest.raises(BadInputError, match="only its holder"):
            safety_tags.release(tx, site, tag.id, hamlet.BORIS)
        safety_tags.release(tx, site, tag.id, hamlet.ANNA)
        assert safety_tags.blocked(tx), "the second tag still stands"
        safety_tags.release(tx, site, tag.id + 1, hamlet.BORIS)
        assert safety_tags.blocked(tx) == {}


def safety_tags_buses(room: Room, line: int) -> tuple[int, ...]:
    """Return the buses behind a line."""
    from networks.operating.permits import behind

    return behind(room.model, "line", line).buses


def _said(setpoint: Setpoint, remaining_s: int | None = 900) -> DeviceState:
    return DeviceState(
        setpoint.asset, hamlet.AT_S, 0, 0, 0, 0, 0, True, 0, setpoint, remaining_s=remaining_s
    )


def test_what_a_device_holds_is_told_apart() -> None:
    at_s, last = hamlet.AT_S, Setpoint("B", "storage", charge_w=5)
    wish, safe = replace(last, charge_w=7), replace(last, charge_w=0, revert_s=0)
    before = [(at_s - 900, last)]
    assert judge(_said(last), before, wish, at_s) == AS_SENT
    # A crash after it was sent, and one before the answer was kept.
    assert judge(_said(wish), before, wish, at_s) == AS_SENT
    assert judge(_said(wish), [*before, (at_s - 900, wish)], last, at_s) == AS_SENT
    assert judge(_said(safe, 0), before, wish, at_s) == REVERTED
    assert judge(_said(safe, 0), [], wish, at_s) == NOTHING_SENT
    # A device that keeps showing its set-point after its timer ran out.
    assert judge(_said(last, 0), [(at_s - 1800, last)], wish, at_s) == REVERTED
    assert judge(_said(last, None), before, wish, at_s) == AS_SENT
    assert judge(_said(replace(last, charge_w=6)), before, wish, at_s) == UNLIKE
    assert judge(_said(last), [], wish, at_s) == UNLIKE


@pytest.mark.parametrize(
    ("asset", "told", "now", "what"),
    [
        ("BAT-1", {"charge_w": 20_000}, {"charged_wh": 5_000, "energy_wh": 20_000}, ""),
        ("BAT-1", {"charge_w": 20_000}, {"charged_wh": 2_000, "energy_wh": 20_000}, "-8000 W"),
        ("BAT-1", {"charge_w": 20_000}, {"charged_wh": 2_000, "energy_wh": 60_000}, ""),
        ("BAT-1", {"discharge_w": 20_000}, {"energy_wh": 0}, ""),
        ("BAT-1", {"discharge_w": 20_000}, {"energy_wh": 9_000}, "did 0 W"),
        ("BAT-1", {}, {"discharged_wh": 1_000, "energy_wh": 9_000}, "did 4000 W"),
        ("PV-1", {"limit_w": 8_000}, {"discharged_wh": 2_000}, ""),
        ("PV-1", {"limit_w": 8_000}, {"discharged_wh": 3_000}, "at most 8000 W"),
        ("DG-1", {"discharge_w": 2_000}, {"discharged_wh": 1_250}, ""),
        ("DG-1", {"running": False}, {"discharged_wh": 1_250}, "was told 0 W"),
        ("SHED-1", {"limit_w": 50_000}, {"available_w": 90_000, "throttled_w": 40_000}, ""),
        ("SHED-1", {"limit_w": 50_000}, {"available_w": 90_000}, "had 90000 W"),
    ],
)
def test_a_device_that_does_not_follow_is_named_and_one_at_its_end_is_not(
    asset: str, told: dict[str, Any], now: dict[str, int], what: str
) -> None:
    site = parse(hamlet.TOML)
    found = next(one for one in site.assets if one.id == asset)
    zero = dict.fromkeys(("charged_wh", "discharged_wh", "available_w", "throttled_w"), 0)
    before = {**zero, "energy_wh": 30_000}
    kind = {"B": "storage", "D": "genset"}.get(asset[0], "limit")
    said = following.astray(site, found, Setpoint(asset, kind, **told), before, {**before, **now})
    assert bool(said) == bool(what)
    assert what in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("two_person_kw = -1", "two_person_kw"),
        ("two_person_kw = nan", "two_person_kw"),
        ("revert_s = 900", "revert_s"),
        ("approval_hours = 0", "approval_hours"),
        ("watch = 1", "unknown key 'watch'"),
    ],
)
def test_a_wrong_limit_of_control_is_told_with_its_line(line: str, told: str) -> None:
    text = hamlet.TOML.replace("two_person_kw = 45", line)
    with pytest.raises(SiteFileError, match=told):
        parse(text)
    for wrong in (
        'asset = "X-1"',
        'asset = "BAT-2"\nkw_per_min = 1\n[[control.ramp]]\nasset = "BAT-2"',
    ):
        with pytest.raises(SiteFileError, match="ramp"):
            parse(hamlet.TOML.replace('asset = "BAT-2"', wrong, 1))
