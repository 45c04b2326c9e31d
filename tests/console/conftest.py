"""A console on a store with a small village and half a day of facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from grid.site import Site
from grid.store import Store
from tests.console import village


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a filled store, made once."""
    folder = tmp_path_factory.mktemp("village")
    village.fill(folder)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A copy of the filled store for one test."""
    import shutil

    for file in filled.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def site() -> Site:
    """The village."""
    return village.SITE


@pytest.fixture
def signs() -> Callable[..., str]:
    """What signs the village's checkpoints."""
    return village.signs


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """The village's store."""
    opened = Store.at(folder)
    yield opened
    opened.close()


@pytest.fixture
def app(folder: Path, site: Site) -> Flask:
    """The console of the village."""
    from grid.console.web import create_app

    return create_app(f"sqlite:///{folder / 'khazri.sqlite3'}", site, directory=folder)


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """Sign in as a role of the village."""

    def enter(role: str) -> FlaskClient:
        client = app.test_client()
        page = client.get("/login")
        token = village.token(page.text)
        answer = client.post(
            "/login",
            data={
                "email": f"{role}@example.org",
                "password": village.PASSWORD,
                "csrf_token": token,
            },
        )
        assert answer.status_code == 302, answer.text
        return client

    return enter


SECOND = "second@example.org"
_PASSWORD = "another long enough password"


@pytest.fixture
def second(app: Flask, store: Store) -> FlaskClient:
    """Another operator, signed in."""
    from grid.console.auth_passwords import hash_password

    _second(store, hash_password(_PASSWORD))
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert token
    form = {"email": SECOND, "password": _PASSWORD, "csrf_token": token[1]}
    assert client.post("/login", data=form).status_code == 302
    return client


@pytest.fixture
def site_folder(folder: Path, store: Store) -> Path:
    """The village's folder with its site file and another operator."""
    (folder / "SITE.toml").write_text(village.TOML)
    _second(store, "")
    return folder


def _second(store: Store, password_hash: str) -> None:
    from grid.store import people

    with store.write() as tx:
        people.create(
            tx, email=SECOND, name="Second", password_hash=password_hash,
            roles=["operator"], at_s=0,
        )  # fmt: skip
