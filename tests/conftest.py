"""Real stores and brokers for the tests: SQLite, PostgreSQL, mosquitto."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from grid.store import Store

# How long an example takes is the machine's business.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


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


class Mosquitto:
    """A real MQTT broker on a free loopback port, which can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = options or ("allow_anonymous true",)
        first = [f"listener {self.port} 127.0.0.1", "log_type none"]
        if os.geteuid() == 0:
            first.append("user root")  # else it gives up the right to read what a test wrote
        text = "\n".join([*first, *lines, ""])
        self._config.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        binary = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if binary is None:
            pytest.skip("no mosquitto on this machine: run 'make test-tools'")
        command = [binary, "-c", str(self._config)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        raise AssertionError("mosquitto did not come up")

    def kill(self) -> None:
        """Kill it without a word to anyone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Return what starts a broker with the options given; all are killed in the end."""
    made: list[Mosquitto] = []

    def start(*options: str) -> Mosquitto:
        made.append(Mosquitto(tmp_path, *options))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.kill()
