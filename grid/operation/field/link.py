"""The control room's side of the field: where devices answer, and what time it is there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from grid.errors import PeerError
from grid.operation.field.serve import FIELD_FILE

_START_S = 120.0
_ADVANCE_S = 300.0


class Link(Protocol):
    """Where the devices of a site answer, and their time.

    Attributes
    ----------
    meters, devices : dict of str to str
        URL by meter and by device.
    """

    meters: dict[str, str]
    devices: dict[str, str]

    def advance(self, to_s: int) -> int:
        """Let it be `to_s`, seconds UTC; return what time it is there.

        Raises
        ------
        PeerError
            When it cannot be.
        """
        ...

    def now_s(self) -> float:
        """Return the time that meters' clocks are compared with, seconds UTC."""
        ...


class FieldLink:
    """Talks to the field process of a site folder, where time passes when it is told to.

    Raises
    ------
    PeerError
        When no field runs there.
    """

    def __init__(self, directory: Path) -> None:
        facts = _announcement(directory)
        if facts is None:
            raise PeerError(f"{directory}: no field runs here; start 'khazri meter simulate'")
        self.meters: dict[str, str] = facts["meters"]
        self.devices: dict[str, str] = facts["devices"]
        self.pid: int = facts["pid"]
        self._port: int = facts["control_port"]
        self._clock_s = 0

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send one command and return its answer.

        Raises
        ------
        PeerError
            When the field does not answer or refuses.
        """
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=_ADVANCE_S) as channel:
                channel.sendall(json.dumps(command).encode() + b"\n")
                with channel.makefile("rb") as lines:
                    answer: dict[str, Any] = json.loads(lines.readline() or b'{"error": "closed"}')
        except (OSError, ValueError) as error:
            raise PeerError(f"the field's control channel failed: {error}") from error
        if "error" in answer:
            raise PeerError(f"the field refused {command.get('do')}: {answer['error']}")
        return answer

    def advance(self, to_s: int) -> int:
        """Let the field's time pass up to `to_s`; return its clock."""
        self._clock_s = int(self.ask(do="advance", to_s=to_s)["clock_s"])
        return self._clock_s

    def now_s(self) -> float:
        """Return the field's time as it was last told: it stands still until then."""
        return float(self._clock_s)


def _announcement(directory: Path) -> dict[str, Any] | None:
    """Return what ``field.json`` says, or ``None`` when no such process lives."""
    try:
        facts: dict[str, Any] = json.loads((directory / FIELD_FILE).read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return facts


def start(directory: Path, *, start_s: int) -> subprocess.Popen[bytes]:
    """Start a field process and wait until it serves.

    Raises
    ------
    PeerError
        With the end of its log when it does not come up.
    """
    (directory / FIELD_FILE).unlink(missing_ok=True)
    log = directory / "field.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "grid.operation.field", str(directory), str(start_s)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if _announcement(directory) is not None:
            return process
        time.sleep(0.02)
    process.kill()
    process.wait()
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise PeerError(f"the field did not start: {last[0] if last else 'no message'}")
