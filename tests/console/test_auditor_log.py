"""The log over HTTP is the folder of an export, file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from grid.operation import audit
from grid.store import Store

SignIn = Callable[..., FlaskClient]


def test_each_file_of_an_export_is_served_byte_by_byte_and_kept_nowhere(
    sign_in: SignIn, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    audit.export(store, folder)
    client = sign_in("auditor")
    files = [folder / "checkpoint", *(one for one in folder.glob("tile/**/*") if one.is_file())]
    assert len(files) == 3
    for file in files:
        answer = client.get(f"/audit/log/{file.relative_to(folder)}")
        assert answer.data == file.read_bytes(), file
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "0/000",
        "0/000.p/49",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/08",
        "0/x000/000.p/8",
        "0/0.p/8",
        "0/001.p/8",
        "1/000.p/1",
        "8/000.p/1",
        "entries/000",
        "entries/000.p/49",
        "entries/x999/x999/x999/x999/999",
        "entries/x999/x999/x999/x999/x999/999",
        "other/000.p/8",
        "0/٠٠٠.p/8",
    ],
)
def test_what_the_log_does_not_have_is_absent(sign_in: SignIn, path: str) -> None:
    assert sign_in("auditor").get(f"/audit/log/tile/{path}").status_code == 404


@pytest.mark.parametrize("role", ["operator", "prosumer", "administrator"])
def test_the_log_is_the_auditors(sign_in: SignIn, role: str) -> None:
    client = sign_in(role)
    for path in ("checkpoint", "tile/0/000.p/8", "tile/entries/000.p/8"):
        assert client.get(f"/audit/log/{path}").status_code == 403


def test_a_damaged_entry_is_still_shown(sign_in: SignIn, store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE ledger_entry SET content = X'7bff' WHERE sequence = 5")
    page = sign_in("auditor").get("/audit/entries/5")
    assert page.status_code == 200
    assert "data-canonical" in page.text
