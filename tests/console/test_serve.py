"""The real server starts, answers, and does not carry the network model."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.console import village


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_serve_answers_on_its_port_and_stops_when_told(folder: Path) -> None:
    (folder / "SITE.toml").write_text(village.TOML, encoding="utf-8")
    port = _free_port()
    code = (
        "from pathlib import Path; from grid.console.web import serve; import sys;"
        "d = Path(sys.argv[1]); serve(f'sqlite:///{d}/khazri.sqlite3', d / 'SITE.toml', d,"
        " '127.0.0.1', int(sys.argv[2]))"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        for _ in range(300):
            assert server.poll() is None, server.stderr and server.stderr.read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as got:
                    assert got.read() == b"ok\n"
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("the server did not answer within 30 s")
    finally:
        os.kill(server.pid, signal.SIGTERM)
        _, errors = server.communicate(timeout=30)
    assert b"Traceback" not in errors


def test_the_console_does_not_import_the_heavy_crafts() -> None:
    code = (
        "import sys, grid.console.web;"
        "heavy = {'pandapower', 'simbench', 'pyomo', 'highspy', 'numba', 'pymodbus'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
