"""A demo site folder, played for a few cycles or for its whole day over real sockets."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grid.operation import demo, opening
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.room import Room

Played = Callable[..., AbstractContextManager[Room]]


@contextmanager
def _played(directory: Path, count: int, *, store_url: str = "", seed: int = 1) -> Iterator[Room]:
    demo.prepare(directory, day=DEFAULT_DAY, seed=seed, store_url=store_url)
    with opening.opened(directory, store_url=store_url) as room:
        demo.play(room, count, lambda text: None)
        yield room


@pytest.fixture(scope="session")
def played() -> Played:
    """Return what yields a control room after `count` cycles from midnight; its field runs on."""
    return _played


@dataclass(frozen=True)
class Day:
    """The demo's past day as the command played it: its folder and the object it printed."""

    directory: Path
    facts: dict[str, Any]


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> list[Day]:
    """The same day by two processes at once, each with a hash seed of its own.

    Workers of one test run share it: the first one plays, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    told = shared / "days.json"
    with (shared / "days.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            folders = [shared / f"day-{hash_seed}" for hash_seed in ("1", "2")]
            told.write_text(json.dumps(_played_at_once(folders)))
    return [Day(Path(folder), facts) for folder, facts in json.loads(told.read_text())]


def _played_at_once(folders: list[Path]) -> list[tuple[str, Any]]:
    running = []
    for hash_seed, directory in enumerate(folders, start=1):
        process = subprocess.Popen(
            [sys.executable, "-m", "grid.console.cli"]
            + ["demo", "--once", "--json", "--dir", str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        )
        running.append((directory, process))
    found = []
    for directory, process in running:
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out
        found.append((str(directory), json.loads(out.strip().splitlines()[-1])))
    return found
