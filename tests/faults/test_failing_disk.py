"""A settlement that is killed, or whose disk fails or fills, at any call: once, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from grid.errors import StoreError
from grid.store import ReadOnlyError, Store, control
from grid.store.schema import meta
from tests.faults import nursery, settled_village
from tests.faults.nursery import Nursery
from tests.faults.power_cut import recording

STRIDE = int(os.environ.get("KHAZRI_CALL_STRIDE", "19"))
"""Of so many writes one is disturbed; every sync is."""

DATABASE, JOURNAL = nursery.FILES

pytestmark = pytest.mark.skipif(not recording.can_trace(), reason="nothing can be traced here")


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    """A nursery."""
    with closing(Nursery()) as one:
        yield one


@pytest.fixture(scope="module")
def unsettled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The village before it is settled."""
    folder = tmp_path_factory.mktemp("unsettled")
    settled_village.make(folder)
    return folder


@pytest.fixture
def copied(unsettled: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return what makes a fresh copy of it."""

    def copy() -> Path:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        return Path(shutil.copytree(unsettled, tmp_path / "copy"))

    return copy


@pytest.fixture(scope="module")
def undisturbed(
    born: Nursery, unsettled: Path, tmp_path_factory: pytest.TempPathFactory
) -> nursery.Outcome:
    """What a child does that nobody disturbs."""
    folder = shutil.copytree(unsettled, tmp_path_factory.mktemp("undisturbed") / "copy")
    done = born.child(Path(folder))
    assert done.told["errors"] == []
    settled, _, lines, total = done.told["state"]
    assert settled == [[settled_village.FIRST_S, 1], [settled_village.FIRST_S + 900, 1]]
    assert lines > 30
    assert total == 0
    assert done.calls["pwrite64"] > 60
    assert done.calls["fdatasync"] >= 4
    return done


def _indexes(calls: dict[str, int], *, start: int = 1) -> Iterator[tuple[str, int]]:
    for call, count in sorted(calls.items()):
        if call == "pread64":
            continue
        stride = STRIDE if call == "pwrite64" else 1
        for index in range(start, count + 1, stride):
            yield call, index


def test_a_kill_at_any_call_leaves_the_settlement_of_an_undisturbed_run(
    born: Nursery, undisturbed: nursery.Outcome, copied: Callable[[], Path]
) -> None:
    for call, index in _indexes(undisturbed.calls):
        folder = copied()
        killed = born.child(folder, f"{call}:signal=KILL:when={index}")
        assert killed.status == signal.SIGKILL, f"{call} {index} was not reached"
        resumed = born.child(folder)
        assert resumed.told["errors"] == [], f"{call} {index}"
        assert resumed.told["state"] == undisturbed.told["state"], f"{call} {index}"


def test_a_disk_full_at_any_write_is_got_over_once_there_is_room(
    born: Nursery, undisturbed: nursery.Outcome, copied: Callable[[], Path]
) -> None:
    refused = 0
    for call, index in _indexes({"pwrite64": undisturbed.calls["pwrite64"]}, start=2):
        done = born.child(copied(), f"{call}:error=ENOSPC:when={index}")
        assert done.status == 0
        # The same process tries again, and goes on writing.
        assert done.told["state"] == undisturbed.told["state"], f"{call} {index}"
        failed = [*done.told["errors"], *({done.told["write"]} - {"done"})]
        assert len(failed) <= 1, f"{call} {index}"
        assert all("disk is full" in error for error in failed), failed
        refused += len(done.told["errors"])
    assert refused > undisturbed.calls["pwrite64"] // STRIDE // 4


def test_a_file_system_that_is_really_full_is_got_over(
    born: Nursery, undisturbed: nursery.Outcome, unsettled: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        folder = Path(shutil.copytree(unsettled, small / "copy"))
        room = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
        (small / "filler").write_bytes(bytes(room - 60_000))
        refused = born.child(folder).told
        assert len(refused["errors"]) == 2
        assert "full" in refused["errors"][0]
        assert refused["state"][0] == []
        (small / "filler").unlink()
        assert born.child(folder).told["state"] == undisturbed.told["state"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize(
    ("inject", "file", "name"),
    [
        ("fdatasync:error=EIO:when=2", JOURNAL, "SQLITE_IOERR_FSYNC"),
        ("fdatasync:error=ENOSPC:when=2", JOURNAL, "SQLITE_IOERR_FSYNC"),
        ("pwrite64:error=EIO:when=2", JOURNAL, "SQLITE_IOERR_WRITE"),
        ("pread64:error=EIO:when=20", DATABASE, "SQLITE_CORRUPT"),
        ("pread64:error=EBADF:when=20", DATABASE, "SQLITE_IOERR_READ"),
    ],
)
def test_a_disk_that_fails_once_is_never_written_again_by_this_process(
    born: Nursery,
    undisturbed: nursery.Outcome,
    copied: Callable[[], Path],
    inject: str,
    file: str,
    name: str,
) -> None:
    folder = copied()
    done = born.child(folder, inject, [file])
    failed, refused = done.told["errors"]
    assert failed.startswith("StoreError: the store failed")
    for error in (refused, done.told["write"]):
        assert error.startswith(f"ReadOnlyError: the store is read-only: the disk failed ({name}")
        assert "start this program again" in error
    # It reads on, and what failed is not there.
    assert done.told["state"][0] == []
    assert born.child(folder).told["state"] == undisturbed.told["state"]


@pytest.mark.parametrize(
    ("inject", "name"),
    [("fdatasync:error=EIO:when=1", "FSYNC"), ("pwrite64:error=EIO:when=3", "WRITE")],
)
def test_a_failure_while_the_journal_is_copied_is_seen_and_undoes_nothing(
    born: Nursery,
    undisturbed: nursery.Outcome,
    copied: Callable[[], Path],
    inject: str,
    name: str,
) -> None:
    folder = copied()
    (folder / nursery.JOURNAL_BYTES).write_text("0")
    done = born.child(folder, inject, [DATABASE])
    # The settlement was committed before: it stands, and is told of as done.
    assert done.told["errors"] == []
    assert done.told["state"] == undisturbed.told["state"]
    assert f"the disk failed (SQLITE_IOERR_{name}" in done.told["write"]
    assert born.child(folder).told["state"] == undisturbed.told["state"]


def test_a_file_that_is_no_database_any_more_is_not_written(
    unsettled: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unsettled, tmp_path / "copy"))
    with closing(Store.at(folder)) as store:
        store.close()
        (folder / DATABASE).write_bytes(b"something else" * 1000)
        with pytest.raises(StoreError, match="not a database"), store.read() as tx:
            control.get_meta(tx, "site_toml")
        with pytest.raises(ReadOnlyError, match="SQLITE_NOTADB"), store.write():
            pass


def test_a_transaction_under_way_when_another_thread_meets_the_failure_is_undone(
    unsettled: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unsettled, tmp_path / "copy"))
    with closing(Store.at(folder)) as store:
        with pytest.raises(ReadOnlyError), store.write() as tx:  # noqa: PT012  the body is the point
            control.put_meta(tx, "probe", "x")
            store._refuse("a test says so")
        with store.read() as tx:
            assert control.get_meta(tx, "probe") is None


def test_what_writes_past_the_transactions_of_the_store_is_held_back_too(
    unsettled: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unsettled, tmp_path / "copy"))
    with closing(Store.at(folder)) as store:
        store._refuse("a test says so")
        with store.engine.connect() as connection:
            connection.execute(select(meta)).fetchall()
            with pytest.raises(DBAPIError, match="readonly"):
                connection.execute(delete(meta))


def test_a_control_room_whose_disk_failed_runs_no_more_cycles_and_is_read_on(
    unsettled: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unsettled, tmp_path / "copy"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.faults.refused_room", str(folder), str(port)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=recording.ROOT)
    assert running.stdout
    try:
        said = []
        for line in running.stdout:
            said.append(line.strip())
            if line.startswith("no cycle is run any more"):
                break
        assert said[-1] == (
            "no cycle is run any more: the store is read-only: the disk failed. "
            "The console is read on"
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            assert answer.status == 200
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        said += [line.strip() for line in running.stdout]
        assert said.count("a cycle") == 1
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
