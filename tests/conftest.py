"""Real stores for the tests: SQLite in a folder, PostgreSQL in a schema of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grid.store import Store


def _binary(name: str) -> Path | None:
    found = shutil.which(name)
    if found:
        return Path(found)
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder / name for folder in versions if (folder / name).exists()), None)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL cluster of this run on its own socket; the URL lacks the database."""
    if given := os.environ.get("KHAZRI_TEST_POSTGRESQL"):
        yield given
        return
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    assert initdb, "no PostgreSQL on this machine: run 'make test-tools'"
    assert pg_ctl
    root = Path(tempfile.mkdtemp(prefix="khazri-pg-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(root, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    cluster = root / "cluster"

    def run(*command: str) -> None:
        done = subprocess.run(
            [*prefix, *command], cwd=root, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run(str(initdb), "-D", str(cluster), "-U", "khazri", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-k {root} -c listen_addresses= -c fsync=off"
    run(str(pg_ctl), "-D", str(cluster), "-o", options, "-l", str(root / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://khazri@/{{database}}?host={root}"
    finally:
        run(str(pg_ctl), "-D", str(cluster), "-m", "immediate", "-w", "stop")
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'khazri.sqlite3'}"
    server: str = request.getfixturevalue("postgresql_server")
    import psycopg

    database = f"t{secrets.token_hex(8)}"
    dsn = server.format(database="postgres").replace("+psycopg", "")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
    return server.format(database=database)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store with the current schema, on each engine in turn."""
    opened = Store(store_url, create=True)
    yield opened
    opened.close()
