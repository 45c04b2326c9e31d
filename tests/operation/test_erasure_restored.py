"""What an older copy, a crash or a reader brings back of an erased person goes at the opening."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from grid import site_file
from grid.errors import Severity, StoreError
from grid.operation import agreements, audit, commission, erasure_requests
from grid.operation.purge_list import KEY_FILE, LIST_FILE, PurgeList
from grid.operation.signer import FOLDER
from grid.store import Store, log
from grid.store import erasure as stored
from grid.store import erasure_requests as requests
from tests.operation.erasure_world import EMAIL, END_S, GONE, TEXT, ZONE, Lived, files_of, found_of


def test_a_restored_copy_is_purged_at_its_opening_and_tells_its_ledger_once(
    erased: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(erased.folder / name, back)
    assert found_of(erased, files_of(back))
    for _ in range(2):
        commission.open_store(back).close()
    assert found_of(erased, files_of(back)) == []
    with closing(Store.at(back)) as store, store.read() as tx:
        told = [json.loads(one)["body"].get("action") for one in log.entries(tx)]
        assert told.count("erasure") == 1
        assert {one.severity for one in audit.compare(tx, ZONE)} == {Severity.INFO}


def test_a_restored_copy_in_which_the_person_asked_names_them_no_more(
    erased: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    with closing(Store.at(back)) as store, store.write() as tx:
        erasure_requests.ask_own(tx, site_file.parse(TEXT), GONE, by=EMAIL)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(erased.folder / name, back)
    with closing(commission.open_store(back)) as store, store.read() as tx:
        assert erasure_requests.waiting(tx) == []
        assert [one.name for one in requests.done(tx)] == ["erased-1"]
    assert found_of(erased, files_of(back)) == []


def test_a_copy_from_while_the_person_lived_there_is_the_communitys_after(
    erased: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    with closing(Store.at(back)) as store, store.write() as tx:
        follows = "SELECT id FROM agreement WHERE party = 'community' AND usage_point = 'UP-3'"
        tx.exec_driver_sql(f"DELETE FROM agreement_terms WHERE agreement IN ({follows})")
        tx.exec_driver_sql(f"DELETE FROM agreement WHERE id IN ({follows})")
        tx.exec_driver_sql("UPDATE agreement SET until_s = NULL WHERE usage_point = 'UP-3'")
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(erased.folder / name, back)
    with closing(commission.open_store(back)) as store, store.read() as tx:
        assert agreements.holders(tx, END_S - 1)["UP-3"] == "erased-1"
        assert agreements.holders(tx, END_S)["UP-3"] == "community"


def test_a_restored_ledger_behind_what_was_signed_is_purged_and_not_forked(
    erased: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(erased.folder / name, back)
    with closing(Store.at(back)) as store, store.write() as tx:
        size = log.size(tx)
        tx.exec_driver_sql(f"DELETE FROM opening WHERE sequence = {size - 1}")
        tx.exec_driver_sql(f"DELETE FROM ledger_entry WHERE sequence = {size - 1}")
    assert (back / FOLDER).exists()
    with closing(commission.open_store(back)) as store, store.read() as tx:
        assert log.size(tx) == size - 1
        assert GONE not in agreements.store.parties(tx)


def test_the_list_names_nobody_and_without_its_key_no_store_is_opened(
    erased: Lived, tmp_path: Path
) -> None:
    line = (erased.folder / LIST_FILE).read_text()
    assert f'"{GONE}"' not in line
    assert hashlib.sha256(GONE.encode()).hexdigest() not in line
    assert os.stat(erased.folder / KEY_FILE).st_mode & 0o077 == 0
    back = tmp_path / "back"
    shutil.copytree(erased.folder, back)
    (back / KEY_FILE).unlink()
    with pytest.raises(StoreError, match=r"purged\.key is gone"):
        commission.open_store(back)


def test_an_erasure_that_is_cut_off_after_its_line_is_made_good(
    erased: Lived, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    with closing(Store.at(back)) as store, store.read() as tx:
        held = [one for one in agreements.store.listed(tx) if one.party == GONE]
        stays = [stored.Stay(str(one.usage_point), one.from_s, one.until_s or 0) for one in held]
    PurgeList(back).add(GONE, 0, stays)
    with (back / LIST_FILE).open("ab") as torn:
        torn.write(b'{"at_s": 1, "num')
    commission.open_store(back).close()
    assert found_of(erased, files_of(back)) == []
    assert PurgeList(back).add("P-9", 0, []).number == 2
    assert [one.number for one in PurgeList(back).entries] == [1, 2]


def test_what_a_reader_kept_in_the_files_goes_at_the_next_opening(
    erased: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = tmp_path / "back"
    shutil.copytree(erased.copy, back)
    for name in (LIST_FILE, KEY_FILE):
        shutil.copy(erased.folder / name, back)

    def read_meanwhile(store: Store) -> None:
        raise StoreError("the store is read by another process")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write_anew", read_meanwhile)
        with pytest.raises(StoreError, match="is read by another process"):
            commission.open_store(back)
    commission.open_store(back).close()
    assert found_of(erased, files_of(back)) == []
