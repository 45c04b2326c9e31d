"""Whatever a power cut leaves of the store, nothing acknowledged is lost or contradicted."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grid.store import Store
from tests.faults import ledger_writer
from tests.faults.power_cut.disk import File, points
from tests.faults.power_cut.judge import Expected, Recorded, Tally, judge
from tests.faults.power_cut.recording import MAIN, WAL, Create, Sync, Unlink, can_trace, record

IMAGES = int(os.environ.get("KHAZRI_POWER_CUTS", "1500"))
SETTLEMENTS = 60
WRITERS = ("one writer", "two processes", "four threads")
"""Who writes, by the number of the recording: one, control room and console, or a group."""

pytestmark = pytest.mark.skipif(not can_trace(), reason="nothing can be traced here")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: images come and go by the million."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as one:
        yield Path(one)


def _recorded(folder: Path, number: int, *options: str, count: int = SETTLEMENTS) -> Recorded:
    """Record a run that settles, each of its own; journals of several lengths are copied."""
    with closing(Store.at(folder, create=True)) as store:
        ledger_writer.begin(store)
    with closing(sqlite3.connect(folder / MAIN, isolation_level=None)) as connection:
        connection.execute("VACUUM")
    before = {MAIN: (folder / MAIN).read_bytes()}
    first, half = 1 + 97 * number, count // 2
    more = ["--journal-bytes", str(60_000 + 45_000 * (number % 5))]
    more += ["--reopen-every", str(19 + 7 * (number % 4)), *options]
    if WRITERS[number % 3] == "four threads":
        more += ["--threads", "4"]
    shares = [(first, count)]
    if WRITERS[number % 3] == "two processes":
        shares = [(first, half), (first + count, half)]
    writers = [
        [sys.executable, "-m", "tests.faults.ledger_writer", str(folder), str(start), str(share)]
        + more
        for start, share in shares
    ]
    command = ["sh", "-c", " & ".join(map(shlex.join, writers)) + " & wait"]
    events = record(command, folder)
    return Recorded(events, before, Expected.of(folder / MAIN))


def _judged(one: Recorded, memory: Path, per_point: int, *, seed: int, every: int = 1) -> Tally:
    tally = Tally()
    place = memory / "image"
    place.mkdir(exist_ok=True)
    judge(one, place, per_point=per_point, seed=seed, tally=tally, every=every)
    return tally


@pytest.mark.parametrize("number", [0, 1, 2], ids=WRITERS)
def test_a_recording_played_back_gives_the_files_that_are_there(
    tmp_path: Path, number: int
) -> None:
    one = _recorded(tmp_path, number)
    *_, last = points(one.events, one.before, 1)
    for name in (MAIN, WAL):
        assert bytes(last.files[-1][name].cached) == (tmp_path / name).read_bytes()
    asked = {event.process for event in one.events if isinstance(event, Sync)}
    assert len(asked) > 1 or number == 0
    kinds = {(type(event), getattr(event, "name", "")) for event in one.events}
    expected = {(Sync, MAIN), (Sync, WAL), (Sync, ""), (Create, WAL)}
    assert expected <= kinds, "the journal was never copied"
    if number != 1:
        assert (Unlink, WAL) in kinds, "the journal was never begun anew"


def test_a_sync_that_ends_after_a_later_one_takes_nothing_back() -> None:
    file = File.of(WAL, b"")
    file.write(0, b"one")
    earlier = file.asked()
    file.write(3, b"two")
    later = file.asked()
    file.write(6, b"three")
    file.synced(*later)
    file.synced(*earlier)
    assert file.durable == b"onetwo"
    assert [size for _, size in file.sizes] == [6, 11]


def test_no_power_cut_loses_an_acknowledged_entry_or_a_released_checkpoint(
    tmp_path: Path, memory: Path
) -> None:
    per_point = 90 if IMAGES > 50_000 else 9
    total = Tally()
    number = 0
    while total.images < IMAGES or number < len(WRITERS):
        one = _recorded(tmp_path / str(number), number)
        # A short run looks at some points of one recording, a long one at all of them.
        every = 1 if IMAGES > 50_000 else 13
        tally = _judged(one, memory, per_point, seed=number, every=every)
        shutil.rmtree(tmp_path / str(number))
        total.add(tally)
        number += 1
        print(f"{number} recordings, {total}", flush=True)
        assert not tally.faults, tally.first
    assert len(total.distinct) > 0.8 * total.images


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        (["--synchronous", "NORMAL"], "acknowledged entries lost"),
        (["--early", "1"], "acknowledged entries lost"),
        (["--unsigned-early"], "released checkpoints lost"),
    ],
)
def test_a_store_that_acknowledges_too_early_is_found_out(
    tmp_path: Path, memory: Path, options: list[str], lost: str
) -> None:
    one = _recorded(tmp_path, 0, *options, count=20)
    tally = _judged(one, memory, 4, seed=1, every=2)
    assert tally.faults[lost] >= 10
    assert set(tally.faults) <= {"acknowledged entries lost", "released checkpoints lost"}
