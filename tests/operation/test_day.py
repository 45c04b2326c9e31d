"""The demo's past day, all 96 intervals of it, as the command plays it."""

from __future__ import annotations

import io
import itertools
import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grid import interval
from grid.console import prosumer_statement
from grid.console.cli import main
from grid.operation import audit, feasibility, plan_certificates
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.room import Room
from grid.site_file import parse
from grid.store import Store, Transaction, control, datasets, log, market, series
from meters.vee import Quality
from networks import verify_certificate
from networks.flow.judge import compare
from networks.limits.certificate import encode
from trading import verify
from trading.ledger import tiles

pytestmark = pytest.mark.timeout(900)

START_S, END_S = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
FIELDS = {
    *("meters", "reads_by_protocol", "intervals_settled", "vm_pu_min", "vm_pu_max", "cuts"),
    *("genset_starts", "plan_status", "plan_source", "cost_realised", "cost_rule"),
    *("cost_foresight", "traded_wh", "postings_sum", "ledger_entries", "ledger_root"),
    *("ledger_key", "ledger_verified", "seconds"),
}


@pytest.fixture(scope="module")
def room(days: list[Any]) -> Room:
    """The control room of the played day; its field has stopped."""
    store = Store.at(days[0].directory)
    with store.read() as tx:
        text = control.get_meta(tx, "site_toml") or ""
    return Room(days[0].directory, parse(text), store, None, START_S)


@contextmanager
def _reading(room: Room) -> Iterator[Transaction]:
    with room.store.read() as tx:
        yield tx


def _registers(room: Room, names: list[str]) -> Any:
    with _reading(room) as tx:
        return series.get_intervals(tx, names, START_S, END_S, time_zone=TIME_ZONE)


def test_the_summary_says_all_that_was_asked(days: list[Any]) -> None:
    facts = days[0].facts
    assert not FIELDS - set(facts)
    assert facts["meters"] == 97
    assert facts["reads_by_protocol"] == {"modbus": 48 * 96, "dlms": 49 * 96}
    assert facts["intervals_settled"] == 96
    assert facts["traded_wh"] > 0
    assert facts["postings_sum"] == 0
    assert facts["ledger_verified"] is True
    assert (facts["plan_status"], facts["plan_source"]) == ("optimal", "new plan")


def test_replay_derives_the_whole_day_again(
    room: Room, days: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.export(room.store, tmp_path / "out", openings=True)
    arguments = [str(tmp_path / "out"), "--key", days[0].facts["ledger_key"], "--openings"]
    assert main(["ledger", "replay", *arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["reproduced"] is True
    with _reading(room) as tx:
        assert facts["derived"]["postings"] == len(market.postings(tx))
        assert facts["derived"]["trades"] == len(market.trades(tx, START_S, END_S + 1800)) > 0


def test_two_processes_with_other_hash_seeds_sign_the_same_root(days: list[Any]) -> None:
    one, other = (day.facts for day in days)
    assert one["ledger_root"] == other["ledger_root"]
    assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_the_plan_beats_the_rule_and_wins_half_of_what_foresight_would(days: list[Any]) -> None:
    facts = days[0].facts
    assert facts["cost_realised"] < facts["cost_rule"]
    won = facts["cost_rule"] - facts["cost_realised"]
    assert won >= 0.5 * (facts["cost_rule"] - facts["cost_foresight"]) > 0
    assert facts["plans_with_binding_cuts"] > 0
    assert facts["genset_starts"] >= 1
    assert facts["shed_kwh"] == 0


def test_the_genset_runs_in_the_outage(room: Room) -> None:
    (outage,) = room.site.outage
    (genset,) = room.site.genset
    done = _registers(room, [str(genset.id)])
    starts = done["interval"].values.astype(np.int64)
    inside = (starts >= outage.start_s) & (starts < outage.end_s)
    assert (done["export_wh"].values[0][inside] > 0).all()


def test_every_step_sent_held_in_ac_as_forecast_and_as_metered(room: Room) -> None:
    network = room.site.network
    with _reading(room) as tx:
        for start_s in range(START_S, END_S, room.site.interval_s):
            ahead = datasets.require_dataset(tx, "forecast", start_s)
            plan = datasets.require_dataset(tx, "plan", start_s)
            step = plan.isel(interval=slice(0, 1))
            planned = feasibility.state_of(room, ahead.isel(interval=slice(0, 1)), step)
            metered = datasets.require_dataset(tx, "network", start_s)
            for state in (planned, metered):
                assert np.nanmax(state["vm_pu"].values) <= network.voltage_max_pu + 1e-9
                assert np.nanmin(state["vm_pu"].values) >= network.voltage_min_pu
                for table in ("line", "trafo"):
                    loading = state[f"{table}_loading_percent"].values.max()
                    assert loading <= network.loading_max_percent
            sent = control.setpoints(tx, start_s)
            assert {row["state"] for row in sent} == {"confirmed"}
            assert len(sent) == len(room.site.assets)


def test_the_certificates_of_the_days_plans_verify(room: Room) -> None:
    """Every eighth: plans of the night, of the sun and around the outage."""
    forming = room.forming_bus
    assert forming is not None
    known = {room.model.topology_hash.hex(), room.model.islanded(forming).topology_hash.hex()}
    topologies = set()
    for start_s in range(START_S, END_S, 8 * room.site.interval_s):
        made = plan_certificates.certificate(room.store, start_s)
        content = encode(made.document)
        wanted = {"claim": [str(made.told)], "topology": sorted(known)}
        _, found, report = verify_certificate.verify(content, wanted)
        assert report.unproved == 0, start_s
        topologies |= set(found["topology"])
    assert topologies == known


def test_every_interval_adds_up_and_agrees_with_runpp(room: Room) -> None:
    readings = _registers(room, room.points)
    head = _registers(room, [room.head])
    imports, exports = (readings[name].values for name in ("import_wh", "export_wh"))
    through = (head["import_wh"].values - head["export_wh"].values)[0]
    state = room.flow(readings)
    assert compare(room.model, state, steps=range(96))["vm_pu"] < 1e-8
    tolerance = 1e-3 * (imports + exports).sum(axis=0) + len(room.site.meter)
    off = (imports - exports).sum(axis=0) + state["losses_kw"].values * 250.0 - through
    assert (np.abs(off) <= tolerance).all(), np.abs(off).max()


def test_postings_of_every_interval_sum_to_zero_and_settle_it_once(room: Room) -> None:
    with _reading(room) as tx:
        rows = market.settlements(tx, START_S, END_S)
        assert [row["start_s"] for row in rows] == list(range(START_S, END_S, 900))
        for row in rows:
            balance: dict[str, int] = {}
            for _, _, line in market.postings(tx, start_s=row["start_s"]):
                assert line.amount_nano == abs(line.energy_wh * line.price) or not line.energy_wh
                balance[line.debit] = balance.get(line.debit, 0) - line.amount_nano
                balance[line.credit] = balance.get(line.credit, 0) + line.amount_nano
            assert balance
            assert sum(balance.values()) == 0
            assert balance.get("market", 0) == 0, "a trade was paid other than it was received"


def test_every_statement_adds_up_to_the_cent_that_is_shown(room: Room) -> None:
    month = interval.month_label(START_S, TIME_ZONE)
    gains = set()
    with _reading(room) as tx:
        for party in room.site.party:
            made = prosumer_statement.make(tx, room.site, party.id, month)
            total = Decimal(made.document["total"])
            amounts = [made.rounding, *(item.amount for item in made.items)]
            assert sum(map(Decimal, amounts)) == total
            assert made.alone - total == made.gain
            assert made.gain == round(made.gain, 2)
            gains.add(made.gain)
    assert len(gains) > 5, "trading made no difference to anyone"


def test_what_is_past_its_deadline_is_final_and_the_ledger_says_so_once(room: Room) -> None:
    # The cycle at the day's end was the last one.
    final_before = END_S - room.site.operation.final_after_intervals * room.site.interval_s
    with _reading(room) as tx:
        rows = market.settlements(tx, START_S, END_S)
        told = [json.loads(content) for content in log.entries(tx)]
    final = [row["start_s"] for row in rows if row["state"] == "final"]
    assert final == list(range(START_S, final_before, room.site.interval_s))
    entries = [e["interval"] for e in told if e["body"].get("state") == "final"]
    assert entries == [interval.label(start_s) for start_s in final]


def test_every_row_of_the_store_is_what_the_ledger_committed_to(room: Room) -> None:
    with _reading(room) as tx:
        assert audit.compare(tx, TIME_ZONE) == []


def test_no_reading_of_a_clean_day_was_doubted(room: Room) -> None:
    readings = _registers(room, room.points)
    assert (readings["quality"].values == Quality.VALID).all()
    with _reading(room) as tx:
        assert control.findings(tx, limit=1000) == []


def _verified(folder: Path, key: str, *more: str) -> tuple[int, str]:
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        status = verify.main([str(folder), "--key", key, *more])
    return status, told.getvalue()


def _sequence(name: str, tile: bytes, offset: int) -> int:
    """Return the number of the entry that holds a byte of an entry bundle."""
    parts = [part for part in name.split("/") if part.strip("x").isdigit()]
    bundle = int("".join(part.strip("x") for part in parts))
    number = at = 0
    while True:
        at += 2 + int.from_bytes(tile[at : at + 2], "big")
        if offset < at:
            return 256 * bundle + number
        number += 1


def test_a_flipped_byte_anywhere_is_refused_and_named(
    room: Room, days: list[Any], tmp_path: Path
) -> None:
    out = tmp_path / "export"
    _, key = audit.export(room.store, out)
    assert key == days[0].facts["ledger_key"]
    assert _verified(out, key)[0] == 0
    choose = random.Random(0)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    entries = [path for path in files if "entries" in path.parts]
    places = [(path, choose.randrange(path.stat().st_size)) for path in files]
    places += [(path, choose.randrange(path.stat().st_size)) for path in entries * 60]
    for number, (path, offset) in enumerate(places):
        sound = path.read_bytes()
        flipped = bytearray(sound)
        flipped[offset] ^= 1 << choose.randrange(8)
        path.write_bytes(flipped)
        status, told = _verified(out, key)
        if number % 20 == 0:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                assert main(["ledger", "verify", str(out), "--key", key]) == 1
        path.write_bytes(sound)
        name = path.relative_to(out).as_posix()
        where = f"{name} byte {offset}: {told}"
        assert status == 1, where
        named = f"entry {_sequence(name, sound, offset)}:" in told if path in entries else False
        assert named or name in told, where
    with redirect_stdout(io.StringIO()):
        assert main(["ledger", "verify", str(out), "--key", key]) == 0


def test_a_truncated_export_is_refused_since_an_older_checkpoint(
    room: Room, days: list[Any], tmp_path: Path
) -> None:
    key, shorter, known = days[0].facts["ledger_key"], tmp_path / "shorter", tmp_path / "known"
    with _reading(room) as tx:
        heads = sorted(log.checkpoints(tx), key=lambda head: int(head["size"]))
        known.write_text(str(heads[-1]["note"]))
        notes = [str(head["note"]) for head in heads[:41]]
        size = int(heads[40]["size"])
        tiles.export(itertools.islice(log.entries(tx), size), notes, shorter, None)
    assert _verified(shorter, key)[0] == 0, "the shorter log is sound by itself"
    status, told = _verified(shorter, key, "--since", str(known))
    assert status == 1, told
    assert str(size) in told


def test_figures_of_the_summary_are_finite(days: list[Any]) -> None:
    for name, value in days[0].facts.items():
        if isinstance(value, float):
            assert math.isfinite(value), name
