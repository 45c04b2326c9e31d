"""kill -9 of the control room at any stage: each interval settled once, the same ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from grid.operation import audit, cycle, demo
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.store import Store, control, log, market
from trading import verify

KILLS = int(os.environ.get("KHAZRI_KILLS", "5"))
INTERVALS = int(os.environ.get("KHAZRI_KILL_INTERVALS", "3"))
STAGES = tuple(cycle.STAGES)
DELAYS_S = (0.0, 0.02, 0.06, 0.004, 0.2)
"""From the line that a stage begins to the kill: before its work, within it, at its commit,
and, where it takes less, in the stage that follows."""


def _run(directory: Path, count: int, kill_at: str | None, delay_s: float = 0.0) -> bool:
    """Run `count` cycles in a process; kill it in `kill_at`. Returns whether it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grid.console.cli", "cycle"]
        + [str(directory / "SITE.toml"), "--count", str(count)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if kill_at is not None and f"stage={kill_at} state=begins" in line:
                time.sleep(delay_s)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return False
        assert process.wait() == 0, "".join(lines[-5:])
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stderr.close()


def _left(directory: Path) -> int:
    store = Store.at(directory)
    with store.read() as tx:
        clock_s = int(control.get_meta(tx, "clock_s") or 0)
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    store.close()
    return INTERVALS + 1 - (clock_s - first_s) // 900


def _facts(directory: Path) -> tuple[str, list[tuple[int, int]], int]:
    store = Store.at(directory)
    with store.read() as tx:
        note = str(log.checkpoints(tx, limit=1)[0]["note"])
        settled = [(r["start_s"], r["version"]) for r in market.settlements(tx, 0, 2**40)]
        total = market.postings_sum(tx)
    store.close()
    return note, settled, total


def _field(directory: Path) -> subprocess.Popen[bytes]:
    from grid.operation.field import link

    demo.prepare(directory, day=DEFAULT_DAY, seed=1)
    store = Store.at(directory)
    with store.read() as tx:
        first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    store.close()
    return link.start(directory, start_s=first_s)


def test_kills_in_every_stage_leave_the_ledger_of_an_undisturbed_run(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    fields = [_field(undisturbed), _field(killed)]
    try:
        assert _run(undisturbed, INTERVALS + 1, None)
        kills: Counter[str] = Counter()
        for number in range(KILLS):
            # Every third stage: ten kills visit all of them and take three cycles.
            stage = STAGES[(number * 3 + 1) % len(STAGES)]
            delay_s = DELAYS_S[number % len(DELAYS_S)]
            done = _run(killed, _left(killed), stage, delay_s)
            assert not done, f"the run ended before stage {stage} began"
            kills[stage] += 1
            if number * (INTERVALS + 1) // KILLS > INTERVALS + 1 - _left(killed):
                assert _run(killed, 1, None)
        while _left(killed) > 0:
            assert _run(killed, _left(killed), None)
    finally:
        for field in fields:
            field.terminate()
            field.wait()
    note, settled, total = _facts(killed)
    assert (note, settled, total) == _facts(undisturbed)
    assert len(settled) == len({start for start, _ in settled}) == INTERVALS
    assert total == 0
    store = Store.at(killed)
    _, key = audit.export(store, tmp_path / "export", openings=True)
    assert verify.main([str(tmp_path / "export"), "--key", key, "--openings"]) == 0
    with store.read() as tx:
        assert audit.compare(tx, TIME_ZONE) == [], "the store is not what was committed to"
    store.close()
    assert sum(kills.values()) == KILLS
    if 3 * len(STAGES) <= KILLS:
        assert min(kills[stage] for stage in STAGES) >= 3
