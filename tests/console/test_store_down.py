"""When the store is broken or locked, every page says so in one sentence, with 503."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.errors import StoreError
from grid.store import Store, engine

SignIn = Callable[..., FlaskClient]
URLS = ("/login", "/healthz", "/no-such-page", "/", "/operator/now", "/operator/now/live")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits half a minute for a lock here."""
    monkeypatch.setattr(engine, "_BUSY_S", 0.1)


def _overwrite(path: Path) -> object:
    path.write_bytes(b"this is no database " * 500)
    return None


def _drop(path: Path) -> object:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA foreign_keys=OFF; DROP TABLE user; DROP TABLE meta;")
    connection.close()
    return None


def _lock(path: Path) -> object:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("DELETE FROM meta WHERE name = 'none'")
    return connection


def _folder(path: Path) -> object:
    path.unlink()
    path.mkdir()
    return None


@pytest.fixture(params=[_overwrite, _drop, _lock, _folder])
def broken(
    request: pytest.FixtureRequest, app: Flask, folder: Path, sign_in: SignIn
) -> list[FlaskClient]:
    """A stranger and an operator of a console whose store has just broken."""
    clients = [app.test_client(), sign_in("operator")]
    token = clients[0].get("/login").text
    app.extensions["khazri"].store.close()
    for name in ("-wal", "-shm"):
        (folder / f"khazri.sqlite3{name}").unlink(missing_ok=True)
    request.node.token = token.split('csrf_token" value="')[1].split('"')[0]
    request.node.held = request.param(folder / "khazri.sqlite3")
    return clients


def test_every_page_says_what_to_do(
    broken: list[FlaskClient], request: pytest.FixtureRequest
) -> None:
    stranger, operator = broken
    for client in broken:
        for url in URLS:
            if client is stranger and (url == "/" or url.startswith("/operator")):
                continue  # sent to sign in, for which nothing is read
            answer = client.get(url)
            assert answer.status_code == 503, (url, answer.status_code, answer.text)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert "sqlite3." not in answer.text
            assert "OperationalError" not in answer.text
            if url == "/healthz":
                assert answer.mimetype == "text/plain"
            else:
                assert "khazri run SITE.toml" in answer.text
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    form = {"email": "operator@example.org", "password": "x" * 12, "csrf_token": request.node.token}
    assert stranger.post("/login", data=form).status_code == 503
    assert operator.get("/static/console.css").status_code == 200


def test_a_store_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "khazri.sqlite3"
    store = Store(f"sqlite:///{path}", create=True)
    store.close()
    _overwrite(path)
    with pytest.raises(StoreError), store.read():
        pass
    with pytest.raises(StoreError), store.write():
        pass
    with pytest.raises(StoreError):
        Store(f"sqlite:///{path}")
