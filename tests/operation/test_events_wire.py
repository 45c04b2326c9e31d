"""An event over the wire: devices of a running site keep the import below what is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from grid.console.cli import main
from grid.operation import audit, cycle, demo, event_delivery, events
from grid.operation.event_asked import Asked
from grid.operation.event_baseline import metered
from grid.operation.room import Room
from grid.site import GridPrice, Price
from grid.store import control
from grid.store import events as stored
from grid.store.events import EventKind, EventState
from trading import verify

Played = Callable[..., AbstractContextManager[Room]]
ANNA, BORIS = "anna@example.org", "boris@example.org"
LIMIT_W = 15_000


def _play(room: Room, count: int) -> None:
    demo.play(room, count, lambda text: None)


@pytest.mark.timeout(900)
def test_import_stays_below_an_accepted_event_and_the_ledger_tells_by_how_much(
    played: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with played(tmp_path / "site", 1) as room:
        # Energy costs next to nothing for an hour and sells afterwards: without the event the
        # batteries fill in it.
        price = (
            GridPrice("00:00", Price(1), Price(0)),
            GridPrice("01:15", Price(150_000), Price(100_000)),
        )
        room.site = replace(room.site, grid=replace(room.site.grid, price=price))
        at_s = cycle.clock(room)
        facts = {
            "kind": EventKind.IMPORT_LIMIT, "start_s": at_s + 1800, "end_s": at_s + 3600,
            "powers_w": (LIMIT_W,), "asked_by": "City utility", "received_by": ANNA,
            "reward": 200_000, "program": "peak",
        }  # fmt: skip
        with room.store.write() as tx:
            one = events.receive(tx, room.site, Asked(**facts, name="night"))
            late = events.receive(tx, room.site, Asked(**facts, name="unanswered"))
        _play(room, 1)
        with room.store.read() as tx:
            known = json.loads(stored.get_event(tx, one.id).weighed or "")
        assert known["sources"] == ["new plan", "new plan"]
        assert known["short"] == []
        without, kept = known["flows_kw"]
        assert max(without[1:4]) > LIMIT_W / 1000
        assert max(kept[2:4]) <= LIMIT_W / 1000
        # tie-breaks are no cost
        assert known["costs"][1] >= known["costs"][0] - known["within"] - 1e-4
        assert known["changes"], "some device does something else"
        with room.store.write() as tx:
            if events.accept(tx, room.site, one.id, ANNA).state is EventState.APPROVING:
                events.approve(tx, room.site, one.id, BORIS)
        # The site's own file has other prices; what counts is that it plans beside the room.
        main(["control", "events", "weigh", str(one.id), "--dir", str(room.directory), "--json"])
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["steps"], told["sources"]) == (2, ["new plan", "new plan"])
        _play(room, 4)
        with room.store.read() as tx:
            done = stored.get_event(tx, one.id)
            assert stored.get_event(tx, late.id).state is EventState.EXPIRED
            made = event_delivery.of_event(tx, room.site, done)
            before, _ = metered(tx, room.site, "import", at_s, one.start_s)
            after, _ = metered(tx, room.site, "import", one.end_s, one.end_s + 900)
            codes = [row["code"] for row in control.findings(tx, limit=1000)]
        assert done.state is EventState.MEASURED
        assert [row["kept"] for row in made["rows"]] == [True, True]
        assert all(row["metered_wh"] <= LIMIT_W // 4 for row in made["rows"])
        assert max([*before, *after]) > LIMIT_W // 4, "the limit was no limit"
        assert "plan.fallback" not in codes
        assert {"event.short", "event.broken"}.isdisjoint(codes)

        _, key = audit.export(room.store, tmp_path / "export", openings=True)
        assert verify.main([str(tmp_path / "export"), "--key", key, "--openings"]) == 0
        told = b"".join(
            path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file()
        )
        assert (done.report_sha256 or "").encode() in told
        assert b"City utility" not in told
