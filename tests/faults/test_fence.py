"""One control room at a time writes to a store that several machines reach."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from grid.errors import BadInputError, StoreError
from grid.operation import opening
from grid.store import ReadOnlyError, Store, control, fence, log
from tests.faults.power_cut.recording import ROOT

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


class Holder:
    """A control room as a process of its own."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.holder", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.hear() == "holds"

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def asked(self, line: str) -> str:
        self.say(line)
        return self.hear()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


@pytest.fixture
def begun(store: Store) -> Iterator[Callable[[], Holder]]:
    """Return what starts a control room on the store; all are killed in the end."""
    made: list[Holder] = []

    def start() -> Holder:
        made.append(Holder(store.url))
        return made[-1]

    yield start
    for one in made:
        one.end()


def _contents(store: Store) -> list[bytes]:
    with store.read() as tx:
        return list(log.entries(tx))


def _end_sessions(store: Store, said: BadInputError) -> None:
    """Do in the database what a refused control room advised."""
    advised = re.search(r"SELECT pg_terminate_backend.*", str(said))
    assert advised
    with psycopg.connect(store.url.replace("+psycopg", ""), autocommit=True) as connection:
        ended = connection.execute(advised[0].encode()).fetchall()
    assert ended


def _end_locks(store: Store) -> None:
    """End the sessions that hold the lock of a control room, as a broken connection would."""
    with psycopg.connect(store.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database() AND granted "
            f"AND objid = {fence._ROOM_LOCK % 2**32}"
        )


def _append(store: Store, content: bytes) -> None:
    with store.write() as tx:
        log.append(
            tx,
            sequence=log.size(tx),
            kind="action",
            label="",
            cycle_s=0,
            content=content,
            leaf_hash=bytes(32),
        )


def test_a_second_control_room_is_told_who_runs_the_site(
    store: Store, begun: Callable[[], Holder]
) -> None:
    first = begun()
    told = rf"'khazri {first.process.pid} .*' runs this site"
    with pytest.raises(BadInputError, match=told), store.sole():
        pass
    assert first.asked("one") == "done"
    # A console is no control room: it writes beside it.
    _append(store, b"console")
    assert first.asked("two") == "done"
    assert _contents(store) == [b"one\n", b"console", b"two\n"]


def test_a_control_room_in_another_folder_does_not_open_the_store_of_one_that_runs(
    store: Store, tmp_path: Path
) -> None:
    with store.sole():
        with (
            pytest.raises(BadInputError, match="runs this site"),
            opening.opened(tmp_path, store_url=store.url),
        ):
            pass
        _append(store, b"one")


def test_a_commit_waits_for_the_disk_whatever_the_address_asks_for(store: Store) -> None:
    options = "options=-c%20synchronous_commit%3Doff%20-c%20work_mem%3D5MB"
    with closing(Store(f"{store.url}&{options}")) as asked, asked.read() as tx:
        shown = [
            tx.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("synchronous_commit", "work_mem", "lock_timeout")
        ]
    assert shown == ["on", "5MB", "30s"]


def test_a_control_room_that_ends_leaves_the_site_to_the_next(store: Store) -> None:
    for content in (b"one", b"two"):
        with closing(Store(store.url)) as room, room.sole():
            _append(room, content)
    assert _contents(store) == [b"one", b"two"]


def test_a_killed_control_room_leaves_the_site_to_the_next_at_once(
    store: Store, begun: Callable[[], Holder]
) -> None:
    first = begun()
    assert first.asked("one") == "done"
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    until = time.monotonic() + 10
    while True:
        try:
            with store.sole():
                _append(store, b"two")
            break
        except BadInputError:
            # The server has yet to see that the socket is gone.
            assert time.monotonic() < until
            time.sleep(0.02)
    assert _contents(store) == [b"one\n", b"two"]


@pytest.mark.parametrize("within", [False, True], ids=["between", "within a transaction"])
def test_a_paused_control_room_that_was_taken_over_writes_nothing_when_it_wakes(
    store: Store, begun: Callable[[], Holder], within: bool
) -> None:
    first = begun()
    assert first.asked("one") == "done"
    if within:
        assert first.asked("wait") == "waits"
    os.kill(first.process.pid, signal.SIGSTOP)
    with pytest.raises(BadInputError) as refused, store.sole():
        pass
    _end_sessions(store, refused.value)
    with store.sole():
        _append(store, b"two")
        os.kill(first.process.pid, signal.SIGCONT)
        if within:
            # Its transaction was lost with its session; it hears of that first.
            assert first.asked("").startswith("StoreError: the store failed")
        # The first use of a session that was ended fails; a new one tells why.
        answers = [first.asked(f"late {number}") for number in range(3)]
        assert "done" not in answers
        assert re.fullmatch(
            r"ReadOnlyError: the store is read-only: 'khazri \d+ .*', in epoch 2 after this one's "
            r"1, runs this site now; end this process; reads 2",
            answers[-1],
        )
        _append(store, b"three")
    assert _contents(store) == [b"one\n", b"two", b"three"]


def test_a_control_room_that_lost_its_lock_goes_on_until_another_takes_over(store: Store) -> None:
    with closing(Store(store.url)) as first, first.sole():
        _append(first, b"one")
        _end_locks(store)
        _append(first, b"two")
        with store.sole():
            _append(store, b"three")
            with pytest.raises(ReadOnlyError, match="in epoch 2 after this one's 1"):
                _append(first, b"four")
        # Nor does it come back when the other has gone.
        with pytest.raises(ReadOnlyError):
            _append(first, b"five")
        assert _contents(first) == [b"one", b"two", b"three"]


def test_a_transaction_under_way_ends_before_another_takes_over(store: Store) -> None:
    entered = threading.Event()

    def take_over() -> None:
        with store.sole():
            entered.set()
            _append(store, b"two")

    other = threading.Thread(target=take_over)
    with closing(Store(store.url)) as first, first.sole():
        with first.write() as tx:
            _end_locks(store)
            other.start()
            assert not entered.wait(0.3)
            control.put_meta(tx, "kept", "yes")
        other.join(10)
        assert entered.is_set()
        with first.read() as tx:
            assert control.get_meta(tx, "kept") == "yes"
    assert _contents(store) == [b"two"]


def test_a_lost_connection_is_an_error_that_passes(store: Store) -> None:
    _append(store, b"one")
    with psycopg.connect(store.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreError, match="the store failed"):
        _append(store, b"two")
    _append(store, b"two")
    assert _contents(store) == [b"one", b"two"]
