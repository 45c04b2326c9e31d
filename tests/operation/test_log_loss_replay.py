"""A log that follows one that ended goes on with the books, and all that it can tell is derived."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.console.cli import main
from grid.operation import audit
from grid.store import (
    Store,
    Transaction,
    control,
    ended_logs,
    invoices,
    log,
    market,
)
from grid.store import erasure as erasing
from grid.store.erasure import Erasure, Stay
from tests.operation import replay_site
from tests.operation.lost_street import LOST, difference_of, lose, told_of
from tests.operation.month_site import STEP_S, Month
from trading import verify
from trading.replay import accounts

CYCLES = 40
"""So many cycles are lived before some are lost."""


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
    starts = [one.start_s for one in told_of(folder) if str(one.kind) in kinds]
    assert min(starts) == first_s
    with street.room.store.read() as tx:
        settled = {row["start_s"] for row in market.settlements(tx, 0, first_s + 10 * STEP_S)}
    gap = set(range(next_s - LOST * STEP_S, first_s, STEP_S))
    assert not settled & gap
    assert first_s in settled


def test_an_account_that_is_told_otherwise_is_found_in_the_first_settlement(lived: Lived) -> None:
    _, folder, _, next_s = lived
    told = told_of(folder)
    for one in told:
        for opening in one.openings.values():
            if opening.label.kind == "account" and opening.payload["agreement"] == 2:
                opening.payload["fee_nano"] = str(int(opening.payload["fee_nano"]) - 7)
    found = difference_of(told)
    assert (found.kind, found.interval) == ("settlement", interval.label(next_s + STEP_S))


def test_only_a_log_that_follows_another_takes_anything_over_and_only_where_it_begins(
    lived: Lived,
) -> None:
    _, folder, _, _ = lived
    told = told_of(folder)
    first, *others = told
    alone = {name: value for name, value in first.body.items() if name != "follows"}
    assert difference_of([replace(first, body=alone), *others]).what.startswith("taken over")
    account = next(one for one in told if one.body.get("action") == accounts.ACTION)
    assert difference_of([*told, account]).what.startswith("taken over")


def test_an_interval_of_the_log_before_is_told_by_no_other(lived: Lived) -> None:
    _, folder, _, next_s = lived
    told = told_of(folder)
    place = next(n for n, one in enumerate(told) if str(one.kind) == "readings")
    told[place] = replace(told[place], interval=interval.label(next_s))
    assert difference_of(told).what == "interval"


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


def _openings(tx: Transaction) -> list[str]:
    return [str(row["content"]) for row in log.openings(tx)]
