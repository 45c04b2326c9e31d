"""Children that settle the village, each forked from a process in which all is imported.

The nursery reads the folder of a store from its input and answers with the child's number; the
child waits until a second line says that whoever is to disturb it is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.power_cut.recording import ROOT

OUTCOME = "outcome.json"
JOURNAL_BYTES = "journal-bytes"
"""A file beside the store that says at what size of the journal a child copies it."""

FILES = ("khazri.sqlite3", "khazri.sqlite3-wal")


@dataclass
class Outcome:
    """What became of a child: its exit status, what it told, and its calls on the store's files.

    `told` has the errors of its two tries to settle, what a write and a read after them gave.
    """

    status: int
    told: dict[str, Any]
    calls: Counter[str]


class Nursery:
    """Starts children, disturbed by ``strace`` or not."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)

    def _ask(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def child(self, folder: Path, inject: str = "", files: Iterable[str] = FILES) -> Outcome:
        """Let a child settle the village in a folder.

        Parameters
        ----------
        inject : str
            ``CALLS:error=EIO:when=3`` or the like, as ``strace`` takes it.
        files : iterable of str
            Only calls on these files are disturbed.
        """
        (folder / OUTCOME).unlink(missing_ok=True)
        self._ask(str(folder))
        child = self._answer()
        trace = folder / "trace"
        strace = ["strace", "-p", str(child), "-y", "-o", str(trace)]
        strace += ["-e", "trace=pwrite64,pread64,fsync,fdatasync,ftruncate,unlink"]
        strace += [word for name in files for word in ("-P", str(folder / name))]
        strace += ["-e", f"inject={inject}"] if inject else []
        disturber = subprocess.Popen(strace, stderr=subprocess.PIPE, text=True)
        assert disturber.stderr
        assert "attached" in disturber.stderr.readline()
        self._ask("go")
        status = self._answer()
        disturber.wait(20)
        disturber.stderr.close()
        told = json.loads((folder / OUTCOME).read_text()) if status == 0 else {}
        lines = trace.read_text().splitlines()
        return Outcome(status, told, Counter(line.split("(")[0] for line in lines if "(" in line))


def settle(folder: Path) -> dict[str, Any]:
    """Settle the village's intervals unless that was done; try twice."""
    from grid.errors import GridError
    from grid.operation import settling
    from grid.store import control, disk
    from tests.faults import settled_village

    told: dict[str, Any] = {"errors": [], "write": "done"}
    if (folder / JOURNAL_BYTES).exists():
        disk._JOURNAL_BYTES = int((folder / JOURNAL_BYTES).read_text())
    room = settled_village.room(folder)
    for _ in range(2):
        try:
            with room.store.read() as tx:
                done = "settle" in control.done(tx, settled_village.AT_S)
            if not done:
                settling.settle_intervals(room, settled_village.AT_S)
        except GridError as error:
            told["errors"].append(f"{type(error).__name__}: {error}")
    try:
        with room.store.write() as tx:
            control.put_meta(tx, "probe", "x")
    except GridError as error:
        told["write"] = f"{type(error).__name__}: {error}"
    with suppress(GridError):
        settled, entries, lines, total = settled_village.state(room.store)
        ledger = hashlib.sha256(b"".join(entries)).hexdigest()
        told["state"] = [[list(one) for one in settled], ledger, lines, total]
    room.store.close()
    return told


def _child(folder: Path, go: int) -> None:
    os.read(go, 1)
    told = settle(folder)
    (folder / OUTCOME).write_text(json.dumps(told))


def main() -> None:
    """Fork a child for each folder asked for."""
    from tests.faults import settled_village

    settled_village.room  # noqa: B018  imported before anyone is forked
    for line in sys.stdin:
        go, gone = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _child(Path(line.strip()), go)
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)
        sys.stdin.readline()
        os.write(gone, b"!")
        print(os.waitpid(child, 0)[1], flush=True)
        os.close(go)
        os.close(gone)


if __name__ == "__main__":
    main()
