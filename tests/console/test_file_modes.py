"""What Khazri writes about people is its owner's to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from grid.console import cli
from grid.store import Store, control


@pytest.fixture(autouse=True)
def open_mask() -> Iterator[None]:
    """The usual mask, under which files are for everyone to read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_store_and_its_folder_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    store = Store.at(folder, create=True)
    with store.write() as tx:
        control.put_meta(tx, "x", "y")
    names = {path.name for path in folder.iterdir()}
    assert {"khazri.sqlite3", "khazri.sqlite3-wal", "khazri.sqlite3-shm"} <= names
    assert _mode(folder) == 0o700
    assert {name: _mode(folder / name) for name in names} == dict.fromkeys(names, 0o600)
    store.close()


def test_a_store_by_its_address_is_private_too(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path / 'other.sqlite3'}", create=True).close()
    assert _mode(tmp_path / "other.sqlite3") == 0o600


def test_a_folder_and_a_store_that_were_there_keep_their_modes(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    Store.at(folder, create=True).close()
    folder.chmod(0o750)
    (folder / "khazri.sqlite3").chmod(0o640)
    Store.at(folder, create=True).close()
    assert (_mode(folder), _mode(folder / "khazri.sqlite3")) == (0o750, 0o640)


def test_a_new_site_folder_is_private_and_the_mask_is_as_before(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert cli.main(["init", str(folder)]) == 0
    assert (_mode(folder), _mode(folder / "SITE.toml")) == (0o700, 0o600)
    assert os.umask(0o022) == 0o022


def test_what_the_control_room_and_the_field_write_is_private(tmp_path: Path) -> None:
    from grid.operation import demo, opening
    from grid.operation.demo_site import DEFAULT_DAY

    folder = tmp_path / "site"
    with cli.private():
        demo.prepare(folder, day=DEFAULT_DAY, seed=1)
        with opening.opened(folder):
            files = [path for path in folder.rglob("*") if path.is_file()]
            modes = {path.name: _mode(path) for path in files}
            assert _mode(folder / "signer") == 0o700
    assert {"khazri.sqlite3", "history.csv", "field-state.json", "field.log"} <= set(modes)
    assert modes == dict.fromkeys(modes, 0o600)
    assert _mode(folder) == 0o700


def test_openings_are_private_and_the_rest_of_an_export_is_for_everyone(
    folder: Path, tmp_path: Path
) -> None:
    from grid.operation.audit import export

    store = Store.at(folder)
    out = tmp_path / "export"
    export(store, out, openings=True)
    store.close()
    assert _mode(out / "openings.jsonl") == 0o600
    assert (_mode(out), _mode(out / "checkpoint")) == (0o755, 0o644)
