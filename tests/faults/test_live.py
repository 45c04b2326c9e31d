"""A live site outlives its field and its console, has one control room, and ends when told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from grid.operation import demo
from grid.operation.demo_site import DEFAULT_DAY
from grid.store import Store, control

PATIENCE_S = 300.0


def _until(what: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.2)


def _clock(directory: Path) -> int:
    store = Store.at(directory)
    with store.read() as tx:
        clock_s = int(control.get_meta(tx, "clock_s") or 0)
    store.close()
    return clock_s


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _children(pid: int) -> dict[int, str]:
    """Return the command line of every living process below `pid`."""
    found: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == pid and stat[0] != "Z":
                found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue
    return found


def _child(pid: int, words: str) -> int:
    return next((child for child, line in _children(pid).items() if words in line), 0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.timeout(1200)
def test_a_live_site_outlives_its_field_and_console_and_ends_on_sigterm(tmp_path: Path) -> None:
    directory, port = tmp_path / "site", _free_port()
    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    command = [sys.executable, "-m", "grid.console.cli", "run", str(directory / "SITE.toml")]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            [*command, "--port", str(port), "--pace", "1"], stdout=log, stderr=log
        )
    try:
        start_s = _clock(directory)
        _until(lambda: _clock(directory) > start_s + 900, "no cycle passed")
        _until(lambda: _answers(port), "the console does not answer")

        second = subprocess.run([*command, "--port", "0"], capture_output=True, text=True)
        assert second.returncode == 1
        assert f"process {running.pid} runs this site" in second.stderr

        os.kill(_child(running.pid, "grid.operation.field"), signal.SIGKILL)
        died_s = _clock(directory)
        _until(lambda: _clock(directory) > died_s + 1800, "no cycle after the field died")
        assert running.poll() is None

        os.kill(_child(running.pid, "grid.console "), signal.SIGKILL)
        _until(lambda: not _answers(port), "the console answers though it was killed")
        _until(lambda: _answers(port), "the console was not started again")

        store = Store.at(directory)
        with store.read() as tx:
            codes = {row["code"] for row in control.findings(tx, limit=1000)}
        store.close()
        assert "cycle.failed" in codes
        field = json.loads((directory / "field.json").read_text())["pid"]
        left = {*_children(running.pid), field}
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "children are left")
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()
