"""Events from outside: who answers, what a plan makes of them, and what they delivered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dispatch.check import check_plan
from dispatch.solve import solve
from grid import interval
from grid.errors import BadInputError, StoreError
from grid.operation import event_baseline, event_delivery, event_limits, events
from grid.operation.event_asked import Asked
from grid.operation.room import Room
from grid.store import Transaction, control, log, series
from grid.store import events as stored
from grid.store.events import Cause, Event, EventKind, EventState
from meters.vee.quality import Quality
from tests.operation import control_site as hamlet

H = 3600


ANNA, BORIS, NOW = hamlet.ANNA, hamlet.BORIS, hamlet.AT_S


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A control room of the hamlet: more than 45 kW takes two people."""
    with hamlet.room_of(tmp_path / "site") as opened:
        yield opened


def _asked(kw: float = 180.0, **changes: Any) -> Asked:
    facts: dict[str, Any] = {
        "kind": EventKind.IMPORT_LIMIT,
        "start_s": NOW + 3 * H,
        "end_s": NOW + 5 * H,
        "powers_w": (round(1000 * kw),),
        "asked_by": "City utility",
        "received_by": ANNA,
        "reward": 200_000,
        "penalty": 500_000,
        "program": "peak",
        "name": "evening",
    }
    return Asked(**{**facts, **changes})


def _state(tx: Transaction, number: int) -> EventState:
    return stored.get_event(tx, number).state


def test_an_event_is_accepted_by_one_or_by_two_and_never_twice(room: Room) -> None:
    with room.store.write() as tx:
        small = events.receive(tx, room.site, _asked())
        assert (small.state, small.stake_w, len(small.limits_w)) == (
            EventState.RECEIVED, 20_000, 8,
        )  # fmt: skip
        assert events.accept(tx, room.site, small.id, ANNA).state is EventState.ACCEPTED
        with pytest.raises(BadInputError, match="it is accepted, only received"):
            events.accept(tx, room.site, small.id, BORIS)
        large = events.receive(tx, room.site, _asked(20.0, name="deep"))
        assert events.accept(tx, room.site, large.id, ANNA).state is EventState.APPROVING
        with pytest.raises(BadInputError, match="second person"):
            events.approve(tx, room.site, large.id, ANNA.upper())
        assert event_limits.promised(tx, NOW) == [stored.get_event(tx, small.id)]
        done = events.approve(tx, room.site, large.id, BORIS)
        assert (done.accepted_by, done.approved_by) == (ANNA, BORIS)
        with pytest.raises(BadInputError, match="only what waits for a second operator"):
            events.approve(tx, room.site, large.id, BORIS)


def test_of_two_clicks_one_is_first(room: Room) -> None:
    """Both saw it as received; the second to write is told, and nothing is written twice."""
    with room.store.write() as tx:
        one = events.receive(tx, room.site, _asked())
        seen = stored.get_event(tx, one.id)
    with room.store.write() as tx:
        events.decline(tx, room.site, one.id, BORIS, Cause.TOO_DEAR)
        size = log.size(tx)
    with pytest.raises(StoreError, match="is not received any more"), room.store.write() as tx:
        stored.move(tx, seen.id, seen.state, EventState.ACCEPTED, accepted_by=ANNA)
    with room.store.write() as tx:
        for late in (events.accept, events.approve):
            with pytest.raises(BadInputError, match="it is declined"):
                late(tx, room.site, one.id, ANNA)
        with pytest.raises(BadInputError, match="cannot be cancelled"):
            events.cancel(tx, room.site, one.id, ANNA, Cause.OTHER)
        assert log.size(tx) == size
        gone = stored.get_event(tx, one.id)
    assert (gone.state, gone.cause, gone.closed_by) == (
        EventState.DECLINED, Cause.TOO_DEAR, BORIS,
    )  # fmt: skip


def test_what_nobody_answers_expires_and_an_answer_after_that_is_too_late(room: Room) -> None:
    with room.store.write() as tx:
        until_s = NOW + 2 * H
        first = events.receive(tx, room.site, _asked(answer_by_s=until_s))
        second = events.receive(tx, room.site, _asked(name="other", answer_by_s=until_s))
        assert events.pass_time(tx, room.site, until_s - 900) == []
        control.put_meta(tx, "clock_s", str(until_s))
        assert events.accept(tx, room.site, second.id, ANNA).state is EventState.EXPIRED
        (told,) = events.pass_time(tx, room.site, until_s)
        assert (told.code, told.subject) == ("event.expired", "event 1")
        assert _state(tx, first.id) is EventState.EXPIRED
        assert event_limits.promised(tx, until_s) == []


def test_an_event_begins_runs_and_is_over_and_may_be_cancelled_until_then(room: Room) -> None:
    with room.store.write() as tx:
        one = events.receive(tx, room.site, _asked())
        other = events.receive(tx, room.site, _asked(name="other"))
        for number in (one.id, other.id):
            events.accept(tx, room.site, number, ANNA)
        for at_s, state in (
            (one.start_s - 900, EventState.ACCEPTED),
            (one.start_s, EventState.RUNNING),
            (one.end_s - 900, EventState.RUNNING),
        ):
            events.pass_time(tx, room.site, at_s)
            assert _state(tx, one.id) is state
        events.cancel(tx, room.site, other.id, ANNA, Cause.WITHDRAWN)
        assert [held.id for held in event_limits.promised(tx, one.end_s - 900)] == [one.id]
        events.pass_time(tx, room.site, one.end_s)
        assert _state(tx, one.id) is EventState.OVER
        with pytest.raises(BadInputError, match="it is over and cannot be cancelled"):
            events.cancel(tx, room.site, one.id, ANNA, Cause.OTHER)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_s": NOW + 100}, "must be at the start of an interval"),
        ({"start_s": NOW}, "must be after 2026-05-27T10:00Z"),
        ({"end_s": NOW + 3 * H}, "lasts 0 h, must be within 0.25 to 48 h"),
        ({"answer_by_s": NOW + 4 * H}, "by its start"),
        ({"powers_w": (1, 2, 3)}, "tells 3 intervals, must tell 1 or 8"),
        ({"powers_w": (200_001,)}, "import-limit is 200.001 kW, must be within 0 to 200 kW"),
        ({"asked_by": " "}, "who asks"),
        ({"program": "a\nb"}, "program has at most 128 printable"),
        ({"reward": -1}, "reward is -1e-06 per kWh"),
        ({"kind": EventKind.IMPORT_REDUCTION}, "needs a baseline of 5 like days"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    room: Room, changes: dict[str, Any], message: str
) -> None:
    with room.store.write() as tx:
        with pytest.raises(BadInputError, match=message):
            events.receive(tx, room.site, _asked(**changes))
        assert stored.listed(tx) == []


def test_the_same_event_is_not_taken_twice(room: Room) -> None:
    with room.store.write() as tx:
        events.receive(tx, room.site, _asked())
        with pytest.raises(BadInputError, match="event 1 says the same and is received"):
            events.receive(tx, room.site, _asked())


def test_the_ledger_has_codes_and_pseudonyms_and_no_names(room: Room) -> None:
    with room.store.write() as tx:
        one = events.receive(tx, room.site, _asked(20.0))
        events.accept(tx, room.site, one.id, ANNA)
        events.approve(tx, room.site, one.id, BORIS)
        kinds = [row["kind"] for row in control.actions(tx)]
        opened = "".join(str(row["content"]) for row in log.openings(tx))
        told = b"".join(log.entries(tx)).decode() + opened
    assert kinds[:3] == ["event.approve", "event.ask", "event.receive"]
    for text in ("example.org", "City utility", "evening"):
        assert text not in told
    assert '\\"kind\\": \\"import-limit\\"' in opened


def _ahead(given: Any, load_high: float = 4.0, sun_low: float = 3.0) -> xr.Dataset:
    """Return a forecast of which load may be so much above, and sun below, its mean."""
    means = np.array([given.demand_kw, given.solar_available_kw[0]])
    off = np.array([[-1.0, -sun_low], [0.0, 0.0], [load_high, 1.0]])
    return xr.Dataset(
        {
            "total_kw": (("quantile", "group", "interval"), means[None] + off[:, :, None]),
            "total_mean_kw": (("group", "interval"), means),
        },
        coords={"quantile": [0.1, 0.5, 0.9], "group": ["load", "solar"]},
    )


def _event(kw: float, start_s: int, end_s: int, **changes: Any) -> Event:
    count = (end_s - start_s) // 900
    none = dict.fromkeys(
        ("accepted_by", "accepted_s", "approved_by", "approved_s", "closed_by", "closed_s",
         "cause", "weighed", "report")
    )  # fmt: skip
    facts: dict[str, Any] = {
        "id": 7, "kind": EventKind.IMPORT_LIMIT, "start_s": start_s, "end_s": end_s,
        "asked_w": round(1000 * kw), "limits_w": (round(1000 * kw),) * count, "reward": 0,
        "penalty": 0, "stake_w": 0, "asked_by": "u", "program": "", "name": "",
        "received_by": ANNA, "received_s": start_s - H, "answer_by_s": start_s,
        "state": EventState.ACCEPTED,
    }  # fmt: skip
    return Event(**{**facts, **none, **changes})


def test_a_plan_stays_below_an_event_by_what_the_forecast_may_miss(room: Room) -> None:
    given = replace(
        hamlet.asked(room),
        solar_available_kw=np.full((1, 8), 5.0),
        wind_available_kw=np.zeros((1, 8)),
    )
    free = solve(given)
    one = _event(40.0, NOW + 1800, NOW + 3600)
    wanted = event_limits.limited(given, _ahead(given), [one])
    # 5 kW by load and sun as if independent, and 1 % for losses
    assert wanted.limit_margin_kw == pytest.approx([0, 0, 5.4, 5.4, 0, 0, 0, 0])
    plan = solve(wanted)
    assert check_plan(wanted, plan) == []
    assert (free.schedule["import_kw"].values[2:4] > 40.0).all()
    assert plan.schedule["import_kw"].values[2:4] == pytest.approx([34.6, 34.6])
    assert event_limits.shortfalls([one], plan.schedule) == []
    assert event_limits.limited(given, _ahead(given), [_event(1.0, NOW - H, NOW)]) is given


def test_a_short_event_is_named_and_no_load_is_shed_for_it(room: Room) -> None:
    given = replace(
        hamlet.asked(room),
        solar_available_kw=np.zeros((1, 8)),
        wind_available_kw=np.zeros((1, 8)),
        battery_energy_kwh=np.zeros(2),
    )
    one = _event(20.0, NOW, NOW + 900)
    wanted = event_limits.limited(given, _ahead(given, 0.0, 0.0), [one])
    assert wanted.limit_penalty_per_kwh == pytest.approx(4.5), "below shedding at 5"
    plan = solve(wanted)
    assert float(plan.schedule["shed_kw"].sum()) == 0.0
    (short,) = event_limits.shortfalls([one], plan.schedule)
    assert short.text == "at most 20.0 kW asked for, 50.0 kW needed"
    (told,) = event_limits.findings([short])
    assert (told.code, told.severity) == ("event.short", "alarm")
    assert "event 7 2026-05-27T10:00Z cannot be kept: at most 20.0 kW" in told.message


def _put(tx: Transaction, start_s: int, values: list[int], quality: int = Quality.VALID) -> None:
    """Write what the feeder head imported from an instant on, Wh."""
    names = ("import_wh", "export_wh", "import_varh", "export_varh")
    dims = ("usage_point", "interval")
    told = np.array([values], np.int64)
    table = {name: (dims, told if name == "import_wh" else 0 * told) for name in names}
    content = xr.Dataset(
        {**table, "quality": (dims, np.full(told.shape, quality, np.uint16))},
        coords={
            "usage_point": ["M-HEAD"],
            "interval": interval.starts(start_s, len(values), 900),
        },
    )
    series.put_intervals(tx, content, time_zone="Asia/Baku", cycle_s=start_s)


def _history(tx: Transaction, room: Room) -> None:
    """Workdays before Wednesday 27 May: 100 Wh from 10:00 on, and their own from 17:00 to 19:00."""
    day = date(2026, 5, 27)
    level = {1: 1000, 2: 1200, 5: 1400, 6: 1300, 7: 1100, 8: 9000}
    for back, wh in level.items():
        start_s = interval.parse(f"{day - timedelta(days=back)}T10:00+04:00")
        _put(tx, start_s, [100] * 28 + [wh] * 8)


def test_delivery_is_measured_against_the_limit_and_a_baseline_by_hand(room: Room) -> None:
    with room.store.write() as tx:
        _history(tx, room)
        # Of 1000, 1200, 1400, 1300 and 1100 the lowest is left out: 1250. The sixth is too old.
        one = events.receive(tx, room.site, _asked(4.0, end_s=NOW + 4 * H))
        events.accept(tx, room.site, one.id, ANNA)
        events.approve(tx, room.site, one.id, BORIS)
        # Notice at 14:00: from 11:00 on the day took 40 more each, what came after does not count.
        _put(tx, NOW - 3 * H, [140] * 12 + [5000] * 12)
        _put(tx, NOW + 3 * H, [900, 1000, 1001])
        _put(tx, NOW + 3 * H + 2700, [1400], Quality.ESTIMATED_LIKE_DAY)
        one = stored.get_event(tx, one.id)
        made = event_delivery.report(tx, room.site, one)
    assert made["baseline_days"] == ["2026-05-25", "2026-05-22", "2026-05-21", "2026-05-20"]
    assert made["adjustment_wh"] == 40
    rows = made["rows"]
    assert [row["baseline_wh"] for row in rows] == [1290] * 4
    assert [row["metered_wh"] for row in rows] == [900, 1000, 1001, None]
    assert [row["kept"] for row in rows] == [True, True, False, None]
    assert [row["above_wh"] for row in rows] == [0, 0, 1, None]
    assert [row["delivered_wh"] for row in rows] == [390, 290, 289, None]
    assert rows[3]["quality"] == "3.8.2"
    totals = made["totals"]
    assert (totals["delivered_wh"], totals["above_wh"], totals["missing"]) == (969, 1, 1)
    assert made["reward_nano"] == str(969 * 200_000)
    assert made["penalty_nano"] == str(500_000)


def test_a_notice_of_the_day_before_adjusts_nothing(room: Room) -> None:
    with room.store.write() as tx:
        _history(tx, room)
        _put(tx, NOW - 3 * H, [140] * 12 + [5000] * 12)
        start_s, end_s = NOW + 3 * H, NOW + 4 * H
        told = []
        for notice_s in (NOW - 24 * H, NOW - 12 * H, NOW + 2 * H + 1800):
            found = event_baseline.of_event(tx, room.site, "import", start_s, end_s, notice_s)
            assert found
            told.append((found.baseline.adjustment_wh, "not adjusted" in found.method))
    # With notice after 16:00 the hours from 13:00 to 16:00 count: 4 of 140 and 8 of 5000.
    assert told == [(0, True), (0, True), (round((4 * 40 + 8 * 4900) / 12), False)]


def test_a_report_waits_for_readings_and_its_hash_is_in_the_ledger(room: Room) -> None:
    with room.store.write() as tx:
        one = events.receive(tx, room.site, _asked(end_s=NOW + 4 * H))
        events.accept(tx, room.site, one.id, ANNA)
        _put(tx, one.start_s, [900, 1000, 1001])
        events.pass_time(tx, room.site, one.end_s)
        assert event_delivery.measure_due(tx, room.site, one.end_s) == []
        assert _state(tx, one.id) is EventState.OVER
        _put(tx, one.end_s - 900, [700])
        assert event_delivery.measure_due(tx, room.site, one.end_s + 900) == []
        done = stored.get_event(tx, one.id)
        last = json.loads(list(log.entries(tx))[-1])
        assert event_delivery.of_event(tx, room.site, done)["baseline_method"] is None
    assert done.state is EventState.MEASURED
    assert done.report
    assert last["body"]["action"] == "event.measure"
    assert last["body"]["report_sha256"] == hashlib.sha256(done.report.encode()).hexdigest()
    assert last["body"]["delivered_wh"] is None, "there is no baseline"


def test_readings_that_never_come_are_told_after_the_deadline(room: Room) -> None:
    with room.store.write() as tx:
        one = events.receive(tx, room.site, _asked(end_s=NOW + 4 * H))
        events.accept(tx, room.site, one.id, ANNA)
        events.pass_time(tx, room.site, one.end_s)
        final_s = one.end_s + 32 * 900
        assert event_delivery.measure_due(tx, room.site, final_s - 900) == []
        (told,) = event_delivery.measure_due(tx, room.site, final_s)
        made = json.loads(stored.get_event(tx, one.id).report or "")
    assert "kept in 0 of 4 intervals, 4 not known" in told.message
    assert made["totals"]["metered_wh"] is None


def test_a_reduction_is_a_limit_below_the_baseline_and_event_days_are_not_like_others(
    room: Room,
) -> None:
    with room.store.write() as tx:
        _history(tx, room)
        reduce = _asked(2.0, kind=EventKind.IMPORT_REDUCTION)
        one = events.receive(tx, room.site, reduce)
        # 1250 Wh are 5 kW, less 2 kW
        assert one.limits_w == (3000,) * 8
        assert (one.asked_w, one.stake_w) == (2000, 2000)
        yesterday = NOW - 24 * H
        stored.put_event(
            tx, **_row_of(_event(1.0, yesterday + 3 * H, yesterday + 5 * H, id=90))
        )  # fmt: skip
        found = event_baseline.of_event(
            tx, room.site, "import", NOW + 3 * H, NOW + 5 * H, None
        )  # fmt: skip
    assert found
    # 1000 is gone, 9000 has come: of 1200, 1400, 1300, 1100 and 9000 the four highest
    assert found.baseline.energy_wh.tolist() == [3225] * 8


def _row_of(one: Event) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Event.__slots__ if name != "id"}
