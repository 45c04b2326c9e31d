"""The cycle over real sockets: each interval settled once, exact, the same on every store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from grid import interval
from grid.console import prosumer_statement
from grid.ids import PartyId
from grid.operation import audit, cycle, demo, settlement_inputs, settling
from grid.operation.room import Room
from grid.store import Transaction, control, datasets, log, market, series
from grid.store.schema import metadata
from meters.vee import Quality
from networks.flow.judge import compare
from trading import verify
from trading.accounts import balances, party_account
from trading.settlement import settle
from trading.settlement_facts import MonthAccount

Played = Callable[..., AbstractContextManager[Room]]

CYCLES = 5


def _run(room: Room, count: int) -> None:
    demo.play(room, count, lambda text: None)


def _root(room: Room) -> str:
    with room.store.read() as tx:
        return str(log.checkpoints(tx, limit=1)[0]["note"])


def test_a_few_cycles_hold_every_promise_on_each_store(
    played: Played, store_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with played(tmp_path / "site", CYCLES, store_url=store_url) as room:
        _settled_once_and_balanced(room)
        _energy_adds_up_and_voltages_agree(room)
        _ledger_verifies(room, tmp_path)
        before, rows = _root(room), _rows(room)
        cycle.run(room, cycle.clock(room) - room.site.interval_s)
        assert _rows(room) == rows, "running an interval again changed the store"
        seen = tmp_path_factory.getbasetemp() / "root-of-the-first-store"
        if seen.exists():
            assert seen.read_text() == before, "two stores gave two ledgers"
        seen.write_text(before)


def _rows(room: Room) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with room.store.read() as tx:
        return {
            table.name: sorted((tuple(row) for row in tx.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def _settled_once_and_balanced(room: Room) -> None:
    with room.store.read() as tx:
        rows = market.settlements(tx, 0, 2**40)
        assert [row["version"] for row in rows] == [1] * (CYCLES - 1)
        assert market.postings_sum(tx) == 0
        assert {row["state"] for row in control.setpoints(tx, room.first_cycle_s)} == {"confirmed"}


def _energy_adds_up_and_voltages_agree(room: Room) -> None:
    start_s, end_s = room.first_cycle_s, cycle.clock(room) - room.site.interval_s
    with room.store.read() as tx:
        zone = room.site.time_zone
        readings = series.get_intervals(tx, room.points, start_s, end_s, time_zone=zone)
        head = series.get_intervals(tx, [room.head], start_s, end_s, time_zone=zone)
    state = room.flow(readings)
    assert compare(room.model, state, steps=range(state.sizes["interval"]))["vm_pu"] < 1e-8
    imports = readings["import_wh"].values.sum(axis=0)
    exports = readings["export_wh"].values.sum(axis=0)
    through = (head["import_wh"].values - head["export_wh"].values)[0]
    losses = state["losses_kw"].values * 250.0
    tolerance = 1e-3 * (imports + exports) + len(room.site.meter)
    assert (np.abs(imports - exports + losses - through) <= tolerance).all()


def _ledger_verifies(room: Room, tmp_path: Path) -> None:
    out = tmp_path / "export"
    _, key = audit.export(room.store, out, openings=True)
    assert verify.main([str(out), "--key", key, "--openings"]) == 0


def test_a_silent_meter_is_estimated_then_made_good_exactly(
    played: Played, store_url: str, tmp_path: Path
) -> None:
    """UP-001 speaks Modbus, UP-002 and the feeder head DLMS: silent for three hours, then back."""
    with played(tmp_path / "site", 3, store_url=store_url) as room:
        from_s = cycle.clock(room)
        for meter in ("M-001", "M-002", room.head):
            fault = {"meter": meter, "kind": "silent", "from_s": from_s, "to_s": from_s + 3 * 3600}
            room.link.ask(do="fault", fault=fault)
        _run(room, 12)
        silent_s = from_s - room.site.interval_s
        with room.store.read() as tx:
            gap = _gap(room, tx, silent_s, 10)
            assert (gap["quality"].values >= Quality.ESTIMATED_LINEAR).all()
            assert (gap["import_wh"].values > 0).all()
            codes = {(row["code"], row["subject"]) for row in control.findings(tx, limit=10_000)}
            assert ("meter.silent", "M-001") in codes
            assert ("settlement.head_modelled", room.head) in codes
        _run(room, 4)
        with room.store.read() as tx:
            gap = _gap(room, tx, silent_s, 12)
            qualities = {int(q) for q in gap["quality"].values[0]}
            assert qualities == {int(Quality.SCALED)}
            assert {int(q) for q in gap["quality"].values[1]} == {int(Quality.BACKFILLED)}
            versions = [row["version"] for row in market.settlements(tx, 0, 2**40)]
            assert max(versions) > 1, "nothing was settled again"
            assert market.postings_sum(tx) == 0
            _accounts_are_as_if_known_at_once(room, tx)
            _statements_add_up(room, tx)
            _the_head_is_billed_as_metered(room, tx)
            states = datasets.instants(tx, "network", 0, 2**40)
            assert len(states) == len({row["start_s"] for row in market.settlements(tx, 0, 2**40)})
        _ledger_verifies(room, tmp_path)


def _accounts_are_as_if_known_at_once(room: Room, tx: Transaction) -> None:
    """Settling every interval afresh with the readings as they are now ends at the same money."""
    posted, fresh = Counter[str](), Counter[str]()
    accounts: dict[tuple[int, str], MonthAccount] = {}
    for _, _, line in market.postings(tx):
        posted[line.debit] -= line.amount_nano
        posted[line.credit] += line.amount_nano
    for row in market.settlements(tx, 0, 2**40):
        if row["version"] > 1:
            continue
        given, _ = settlement_inputs.settlement_input(room, tx, row["start_s"], accounts)
        done = settle(given)
        for result in done.usage_points:
            accounts[result.agreement, str(result.tariff)] = result.account
        for line in done.postings:
            fresh[line.debit] -= line.amount_nano
            fresh[line.credit] += line.amount_nano
    assert posted == fresh
    assert any(posted.values())


def _statements_add_up(room: Room, tx: Transaction) -> None:
    """The statements of corrected months add up to their accounts, digit by digit."""
    month = interval.month_label(room.first_cycle_s, room.site.time_zone)
    for party in ("P-001", "P-002"):
        made = prosumer_statement.make(tx, room.site, PartyId(party), month)
        lines = market.postings(tx, account=party_account(PartyId(party)), month=month)
        owed = -balances([line for _, _, line in lines])[party_account(PartyId(party))]
        shown = sum((Decimal(item.amount) for item in made.items), Decimal(0))
        assert shown == Decimal(owed).scaleb(-9)
        assert shown + Decimal(made.rounding) == Decimal(made.document["total"])
        assert made.alone - Decimal(made.document["total"]) == made.gain


def _the_head_is_billed_as_metered(room: Room, tx: Transaction) -> None:
    """What the feeder-head meter back-filled was settled, not what the model said meanwhile."""
    for row in market.settlements(tx, 0, 2**40):
        start_s = row["start_s"]
        head = series.get_intervals(
            tx, [room.head], start_s, start_s + 900, time_zone=room.site.time_zone
        )
        given, _ = settlement_inputs.settlement_input(room, tx, start_s, {})
        assert given.head_import_wh == int(head["import_wh"].values[0, 0])
        done = settling.newest(tx, start_s)
        assert done is not None
        assert done.residual_wh == settle(given).residual_wh


def _gap(room: Room, tx: object, start_s: int, count: int) -> object:
    end_s = start_s + count * room.site.interval_s
    return series.get_intervals(
        tx, ["UP-001", "UP-002"], start_s, end_s, time_zone=room.site.time_zone
    )
