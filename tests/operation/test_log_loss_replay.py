"""A log that follows one that ended goes on with the books, and all that it can tell is derived."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.console.cli import main
from grid.operation import audit, log_loss, record, tariffs
from grid.operation import contracts as contracting
from grid.store import (
    Store,
    Transaction,
    batteries,
    contracts,
    control,
    ended_logs,
    invoices,
    log,
    market,
)
from grid.store import erasure as erasing
from grid.store.erasure import Erasure, Stay
from tests.operation import contract_street as bilateral
from tests.operation import replay_site
from tests.operation import test_batteries as trading
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.test_tariffs import FILE
from trading import verify
from trading.replay import accounts, terms
from trading.replay.derivation import replay
from trading.replay.difference import Difference
from trading.replay.log import Record, records

CYCLES, LOST = 40, 3
"""So many cycles are lived before so many are lost."""


def lose(street: Month, at_s: int, live: Callable[[int, int], None]) -> int:
    """Let the store be what it was before three cycles, and a new log follow; return its cycle.

    `live` runs the cycles between two instants.
    """
    room, path = street.room, street.room.directory / "khazri.sqlite3"
    with room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))
    with room.store.read() as tx:
        size = log.size(tx)
    room.store.close()
    shutil.copy(path, path.with_suffix(".old"))
    room.store = Store.at(room.directory)
    next_s = at_s + LOST * STEP_S
    live(at_s, next_s)
    last = room.signer.last()
    assert last is not None
    room.store.close()
    for one in room.directory.glob(f"{path.name}*"):
        one.unlink()
    path.with_suffix(".old").rename(path)
    room.store = Store.at(room.directory)
    log_loss.accept(
        room.store, street.site, room.signer, None,
        lost=last.size - size, reason="burnt", user="anna", now_s=next_s,
    )  # fmt: skip
    return next_s


Lived = tuple[Month, Path, dict[str, str], int]


@pytest.fixture(scope="module", params=list(replay_site.STREETS))
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A street that lost entries in a month and lived into the next; both logs, and the cycle."""
    folder, name = tmp_path_factory.mktemp(request.param), str(request.param)
    street, start_s, last_s = replay_site.begun(folder / "site", name)
    # What would only be corrected when the log has ended was read well at once.
    cut = slice(CYCLES - 14, CYCLES)
    street.told[:, cut] = street.truth[:, cut]
    lose_s = start_s + CYCLES * STEP_S
    replay_site.live(street, name, start_s, lose_s)
    next_s = lose(street, lose_s, partial(replay_site.live, street, name))
    replay_site.live(street, name, next_s, last_s)
    street.room.signer.close()
    _, old = audit.export_ended(street.room.store, 1, folder / "old", openings=True)
    _, new = audit.export(street.room.store, folder / "new", openings=True)
    return street, folder, {"old": old, "new": new}, next_s


def _replayed(
    capsys: pytest.CaptureFixture[str], folder: Path, key: str, *more: object
) -> tuple[int, dict[str, Any]]:
    status = main(["ledger", "replay", str(folder), "--key", key, *map(str, more), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_both_logs_are_derived_again_but_for_the_statements_of_the_month_that_was_cut(
    lived: Lived, capsys: pytest.CaptureFixture[str]
) -> None:
    street, folder, keys, next_s = lived
    status, facts = _replayed(capsys, folder / "old", keys["old"], "--openings")
    assert (status, facts["reproduced"], facts["left"]) == (0, True, [])
    before = facts["derived"]
    status, facts = _replayed(capsys, folder / "new", keys["new"], "--openings")
    month = interval.month_label(next_s, street.site.time_zone)
    assert (status, facts["difference"], facts["stopped"]) == (0, None, None)
    assert (facts["reproduced"], facts["left"]) == (False, [month])
    assert facts["derived"]["settlements"] > 60
    assert facts["checked"]["correction"] > 8
    with street.room.store.read() as tx:
        posted = [line for _, version, line in market.postings(tx) if version]
        assert market.postings_sum(tx) == 0
        assert before["postings"] + facts["derived"]["postings"] == len(posted)
        assert len(invoices.invoices(tx, month=month)) == 6
        states = {row["state"] for row in market.settlements(tx, 0, next_s + STEP_S)}
        assert states <= {"final", "late"}
        assert audit.compare(tx, street.site.time_zone) == []
        told = {row["code"]: row["message"] for row in control.findings(tx)}
    assert "or is in a log that has ended" in told["settlement.late_reading"]
    assert main(["ledger", "replay", str(folder / "new"), "--key", keys["new"]]) == 0
    out = capsys.readouterr().out
    assert "the log begins in the middle of a month, in the place of one that ended" in out
    assert f"statements not derived, as they follow from both: {month}" in out
    assert "REPRODUCED but for those statements" in out


def test_nothing_is_told_twice_and_nothing_of_what_was_lost(lived: Lived) -> None:
    street, folder, _, next_s = lived
    first_s = next_s + STEP_S
    kinds = {"settlement", "correction", "readings", "clearing", "book"}
    starts = [one.start_s for one in _told(folder) if str(one.kind) in kinds]
    assert min(starts) == first_s
    with street.room.store.read() as tx:
        settled = {row["start_s"] for row in market.settlements(tx, 0, first_s + 10 * STEP_S)}
    gap = set(range(next_s - LOST * STEP_S, first_s, STEP_S))
    assert not settled & gap
    assert first_s in settled


def _told(folder: Path) -> list[Record]:
    return list(records(folder / "new", _size(folder / "new")))


def _differs(told: list[Record]) -> Difference:
    found = replay(told).difference
    assert found is not None
    return found


def test_an_account_that_is_told_otherwise_is_found_in_the_first_settlement(lived: Lived) -> None:
    _, folder, _, next_s = lived
    told = _told(folder)
    for one in told:
        for opening in one.openings.values():
            if opening.label.kind == "account" and opening.payload["agreement"] == 2:
                opening.payload["fee_nano"] = str(int(opening.payload["fee_nano"]) - 7)
    found = _differs(told)
    assert (found.kind, found.interval) == ("settlement", interval.label(next_s + STEP_S))


def test_only_a_log_that_follows_another_takes_anything_over_and_only_where_it_begins(
    lived: Lived,
) -> None:
    _, folder, _, _ = lived
    told = _told(folder)
    first, *others = told
    alone = {name: value for name, value in first.body.items() if name != "follows"}
    assert _differs([replace(first, body=alone), *others]).what.startswith("taken over")
    account = next(one for one in told if one.body.get("action") == accounts.ACTION)
    assert _differs([*told, account]).what.startswith("taken over")


def test_an_interval_of_the_log_before_is_told_by_no_other(lived: Lived) -> None:
    _, folder, _, next_s = lived
    told = _told(folder)
    place = next(n for n, one in enumerate(told) if str(one.kind) == "readings")
    told[place] = replace(told[place], interval=interval.label(next_s))
    assert _differs(told).what == "interval"


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
    told = _told(tmp_path)
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
    street = trading._begun(tmp_path / "site", trading.COUNT)
    street.truth[:, :, 1] *= 4
    street.told[:] = street.truth
    trading._consent(street, "UP-1", trading.LAST_DAY, battery=True)
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
    told = _told(tmp_path)
    done = replay(told)
    assert (done.difference, done.stopped) == (None, None)
    one = next(one for one in told if one.body.get("action") == accounts.BATTERIES)
    (opening,) = one.openings.values()
    assert opening.payload["stored_wh"] == str(held)
    opening.payload["stored_wh"] = "0"
    assert _differs(told).kind == "clearing"


def _do_end(street: Month, number: int, at_s: int) -> None:
    with street.room.store.write() as tx:
        control.put_meta(tx, "clock_s", str(at_s))
    bilateral.do(street, contracting.end, number, "P-1", at_s)
    with street.room.store.write() as tx:
        record.checkpoint(tx, street.room.signer.sign, at_s)


def test_an_erased_person_leaves_the_log_that_ended_too(lived: Lived, tmp_path: Path) -> None:
    """As a store that is purged: what a person committed to before the loss is forgotten."""
    street, folder, _, _ = lived
    shutil.copytree(folder / "site", tmp_path / "site")
    store, start_s = Store.at(tmp_path / "site"), street.room.first_cycle_s
    with store.read() as tx:
        before = len(ended_logs.openings(tx, 1))
        stay = Stay("UP-4", start_s, start_s + 4 * STEP_S)
        first_s = interval.month_bounds(start_s, street.site.time_zone)[0]
        month_s = interval.label(first_s)
        told = [one for one in _openings(tx) if '"kind":"account"' in one]
        assert told
        assert all(month_s in one for one in told)
    one = Erasure("P-4", 1, (stay,), 2, street.site.time_zone, "community")
    with store.write() as tx:
        erasing.erase(tx, one, control.get_meta(tx, erasing.SITE_TEXT) or "")
    with store.read() as tx:
        kept = ended_logs.openings(tx, 1)
        assert 0 < len(kept) < before
        assert not any('"P-4"' in opening for opening in (*kept, *_openings(tx)))
        # Everybody's accounts of its months, and all of the time of its stay.
        assert not any('"kind":"account"' in opening for opening in _openings(tx))
        inside = interval.label(start_s)
        assert not any(f'"interval":"{inside}"' in opening for opening in kept)
    _, key = audit.export_ended(store, 1, tmp_path / "old", openings=True)
    store.close()
    assert verify.main([str(tmp_path / "old"), "--key", key, "--partial"]) == 0


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


def _openings(tx: Transaction) -> list[str]:
    return [str(row["content"]) for row in log.openings(tx)]


def _size(folder: Path) -> int:
    return int((folder / "checkpoint").read_text().split("\n")[1])
