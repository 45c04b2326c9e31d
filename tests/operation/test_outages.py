"""A fuse blown in the simulated feeder becomes one incident: by real cycles over real sockets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandapower.topology as topology
import pytest

from grid.operation import cycle, demo, outage_facts
from grid.operation.network_estimates import KIND
from grid.operation.room import Room
from grid.store import Transaction, control, datasets, incidents, series

Played = Callable[..., AbstractContextManager[Room]]
STEP_S = 900
FUSE, LATERAL = 46, 68
"""A line with eight customers in a row behind it, and the one that feeds the last three."""


def _blow(room: Room, line: int, from_s: int, intervals: int) -> None:
    fault = {"kind": "open", "branch": f"line {line}", "from_s": from_s}
    room.link.ask(do="fault", fault={**fault, "to_s": from_s + STEP_S * intervals})


def _behind(room: Room, line: int) -> set[str]:
    """Return the usage points that a line feeds, by pandapower's own topology."""
    net = room.model.pandapower_net()
    net.line.loc[line, "in_service"] = False
    dead = topology.unsupplied_buses(net)
    return {str(point.id) for point in room.site.usage_point if point.bus in dead}


def _alarms(tx: Transaction) -> list[tuple[str, str]]:
    rows = control.findings(tx, open_only=True, limit=10_000)
    return [(row["code"], row["subject"]) for row in rows]


def test_a_blown_fuse_is_one_incident_with_all_its_customers_and_no_others(
    played: Played, tmp_path: Path
) -> None:
    """Eight customers without supply; five are fed again after 30 minutes, three after 45."""
    with played(tmp_path / "site", 1) as room:
        customers, last = _behind(room, FUSE), _behind(room, LATERAL)
        assert (len(customers), len(last)) == (8, 3)
        blown_s = cycle.clock(room)
        _blow(room, FUSE, blown_s, 2)
        _blow(room, LATERAL, blown_s, 3)
        demo.play(room, 2, lambda text: None)
        _one_incident_while_it_lasts(room, customers, blown_s)
        _the_state_is_dead_behind_it_and_nowhere_else(room, customers, blown_s)
        demo.play(room, 1, lambda text: None)
        with room.store.read() as tx:
            (waiting,) = incidents.open_elements(tx, blown_s + 2 * STEP_S)
            assert waiting.section == (("line", LATERAL),)
            assert set(waiting.usage_points) == last
        demo.play(room, 1, lambda text: None)
        _as_a_hand_calculates(room, customers, last, blown_s)
        _nothing_flowed(room, customers, blown_s)


def _one_incident_while_it_lasts(room: Room, customers: set[str], blown_s: int) -> None:
    with room.store.read() as tx:
        (one,) = incidents.open_incidents(tx)
        assert (one.kind, one.element, one.state) == ("line", FUSE, "located")
        assert one.found_s == blown_s, "it is found by the first cycle that hears nothing"
        assert one.start_s == blown_s, "the first last gasp says when"
        assert 0 < one.content["gasped"] < len(customers), (
            "not all get through, and Modbus has none"
        )
        assert one.content["gasped"] + one.content["silent"] == len(customers)
        (opened,) = incidents.open_elements(tx, blown_s)
        assert opened.section == (("line", FUSE),)
        assert set(opened.usage_points) == customers
        assert len(opened.usage_points) == len(customers)
        assert _alarms(tx) == [("outage.located", "incident 1")]


def _the_state_is_dead_behind_it_and_nowhere_else(
    room: Room, customers: set[str], blown_s: int
) -> None:
    with room.store.read() as tx:
        state = datasets.require_dataset(tx, KIND, blown_s)
    of = {str(point.id): point.bus for point in room.site.usage_point}
    dead = set(state["bus"].values[np.isnan(state["vm_sd_pu"].values)].tolist())
    assert {of[name] for name in customers} <= dead
    assert not dead & {bus for name, bus in of.items() if name not in customers}
    assert np.isfinite(state["vm_pu"].sel(bus=sorted(set(room.model.bus.tolist()) - dead))).all()


def _as_a_hand_calculates(room: Room, customers: set[str], last: set[str], blown_s: int) -> None:
    now_s = cycle.clock(room)
    with room.store.read() as tx:
        (one,) = incidents.incidents(tx)
        assert (one.start_s, one.end_s) == (blown_s, blown_s + 2700)
        assert one.element == FUSE
        rows = incidents.interruptions(tx, [one.id])
        assert {row.usage_point for row in rows} == customers
        assert len(rows) == 8
        assert {row.usage_point for row in rows if row.end_s == blown_s + 2700} == last
        assert incidents.open_incidents(tx) == []
        found = outage_facts.reliability(tx, room.site, blown_s, now_s, now_s=now_s)
    served = len(room.site.usage_point)
    # 5 customers for 30 minutes and 3 for 45.
    assert found.saidi_minutes == pytest.approx((5 * 30 + 3 * 45) / served, rel=1e-12)
    assert found.saifi == pytest.approx(8 / served, rel=1e-12)
    assert found.caidi_minutes == pytest.approx(285 / 8, rel=1e-12)


def _nothing_flowed(room: Room, customers: set[str], blown_s: int) -> None:
    """Registers are intact: what was counted before the fuse blew is there, and no more."""
    zone = room.site.time_zone
    with room.store.read() as tx:
        points = sorted(customers)
        read = series.get_intervals(
            tx, points, blown_s - STEP_S, blown_s + 2 * STEP_S, time_zone=zone
        )
    wh = read["import_wh"].values
    assert (wh[:, 0] > 0).all()
    assert (wh[:, 1:] == 0).all()
