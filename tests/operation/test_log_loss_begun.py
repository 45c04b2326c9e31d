"""What a log that follows one that ended takes over: contracts, tariffs, batteries."""

from __future__ import annotations

from pathlib import Path

from grid.operation import audit, log_loss, record, tariffs
from grid.operation import contracts as contracting
from grid.store import (
    batteries,
    contracts,
    control,
    ended_logs,
    log,
    market,
)
from grid.store import erasure as erasing
from grid.store.erasure import Erasure, Stay
from tests.operation import battery_street as trading
from tests.operation import contract_street as bilateral
from tests.operation import replay_site
from tests.operation.lost_street import difference_of, lose, told_of
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_tariffs import FILE
from trading import verify
from trading.replay import accounts, terms
from trading.replay.derivation import replay


def test_contracts_and_the_tariffs_in_force_are_told_anew_and_hold(tmp_path: Path) -> None:
    street = begin(tmp_path / "site", bilateral.TEXT, bilateral.NOW, 120, seed=3)
    day = tariffs.read(FILE.replace("2026-06-29", "2026-06-25"), "new.toml")
    with street.room.store.write() as tx:
        number = tariffs.propose(tx, street.site, day, "a@example.org").id
        tariffs.approve(tx, street.site, number, "b@example.org")
    kept = [bilateral.agreed(street), bilateral.agreed(street, energy_wh=20)]
    bilateral.lives(street, 6)
    lose_s = bilateral.NOW + 6 * STEP_S

    def live(low_s: int, high_s: int) -> None:
        bilateral.lives(street, (high_s - low_s) // STEP_S, low_s)

    next_s = lose(street, lose_s, live)
    live(next_s, next_s + 8 * STEP_S)
    _do_end(street, kept[0], next_s + 8 * STEP_S)
    street.room.signer.close()
    audit.export(street.room.store, tmp_path / "new", openings=True)
    told = told_of(tmp_path)
    done = replay(told)
    assert (done.difference, done.stopped) == (None, None)
    (rules,) = [terms.decode(one.body["terms"]) for one in told if "terms" in one.body]
    with street.room.store.read() as tx:
        assert [one.id for one in contracts.not_ended(tx, next_s)] == kept
        assert rules.tariff == tariffs.in_force(tx, street.site) != street.site.tariff
        rows = market.trades(tx, next_s + STEP_S, next_s + 20 * STEP_S)
        assert {row["price"] for row in rows} >= {70_000}
    assert done.derived["trades"] == len(rows)


def test_what_a_battery_holds_is_told_anew(tmp_path: Path) -> None:
    street = trading.begun(tmp_path / "site", trading.COUNT)
    street.truth[:, :, 1] *= 4
    street.told[:] = street.truth
    trading.consent(street, "UP-1", trading.LAST_DAY, battery=True)
    first_s = street.room.first_cycle_s

    def live(low_s: int, high_s: int) -> None:
        for at_s in range(low_s, high_s, STEP_S):
            street.cycle(at_s)

    lose_s = first_s + (trading.BEFORE + 34) * STEP_S
    live(first_s, lose_s)
    with street.room.store.read() as tx:
        (held,) = batteries.accounts(tx).values()
    assert held
    next_s = lose(street, lose_s, live)
    live(next_s, first_s + trading.COUNT * STEP_S)
    street.room.signer.close()
    audit.export(street.room.store, tmp_path / "new", openings=True)
    told = told_of(tmp_path)
    done = replay(told)
    assert (done.difference, done.stopped) == (None, None)
    one = next(one for one in told if one.body.get("action") == accounts.BATTERIES)
    (opening,) = one.openings.values()
    assert opening.payload["stored_wh"] == str(held)
    opening.payload["stored_wh"] = "0"
    assert difference_of(told).kind == "clearing"


def _do_end(street: Month, number: int, at_s: int) -> None:
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))
    bilateral.do(street, contracting.end, number, "P-1", at_s)
    with street.room.store.write() as tx:
        record.checkpoint(tx, street.room.signer.sign, at_s)


def test_on_either_engine_a_log_ends_and_is_erased_from(tmp_path: Path, store_url: str) -> None:
    text, _, zone = replay_site.STREETS["auction"]
    street = begin(tmp_path / "site", text, bilateral.NOW, 40, seed=3, store_url=store_url)
    store = street.room.store
    bilateral.lives(street, 12)
    with store.read() as tx:
        before, _ = log.checkpoints(tx, limit=2)[::-1]
        newest, size = log.size(tx), int(before["size"])
    with store.write() as tx:
        for table, column in (("checkpoint", "size"), ("ledger_entry", "sequence")):
            limit = size + (table == "checkpoint")
            tx.exec_driver_sql(f"DELETE FROM {table} WHERE {column} >= {limit}")
        tx.exec_driver_sql(f"DELETE FROM opening WHERE sequence >= {size}")
    log_loss.accept(
        store, street.site, street.room.signer, None,
        lost=newest - size, reason="burnt", user="anna",
    )  # fmt: skip
    street.room.signer.close()
    stay = Stay("UP-4", bilateral.NOW, bilateral.NOW + 4 * STEP_S)
    with store.write() as tx:
        assert ended_logs.count(tx) == 1
        kept = len(ended_logs.openings(tx, 1))
        one = Erasure("P-4", 1, (stay,), 2, zone, "community")
        erasing.erase(tx, one, control.get_meta(tx, erasing.SITE_TEXT) or "")
        assert 0 < len(ended_logs.openings(tx, 1)) < kept
    head, key = audit.export_ended(store, 1, tmp_path / "old", openings=True)
    store.close()
    assert head.size == size
    assert verify.main([str(tmp_path / "old"), "--key", key, "--partial"]) == 0
