"""The process with the ledger's key: one history is signed, whatever dies and whoever asks."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from grid.console.cli import main
from grid.errors import BadInputError, StoreError
from grid.interval import day_bounds
from grid.operation import commission, cycle, log_key, record
from grid.operation.audit import export
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.log_key import LogKey
from grid.operation.log_rotation import rotate
from grid.operation.signer import FOLDER, LOG_SEED, BehindError, Signer, adopt
from grid.store import Store, control, log
from trading import verify
from trading.ledger import checkpoint, merkle, note, prove, rotation
from trading.ledger.checkpoint import Checkpoint
from trading.ledger.entry import Kind
from trading.ledger.witness import RefusedError

ORIGIN = "khazri/here"
SEED = bytes(range(32))
KEY = note.signer(ORIGIN, SEED).key
START_S, _ = day_bounds(DEFAULT_DAY, TIME_ZONE)


def tree(count: int, fork: int | None = None) -> merkle.Tree:
    named = (f"{n}{'x' if fork is not None and n >= fork else ''}" for n in range(count))
    return merkle.Tree(merkle.leaf_hash(name.encode()) for name in named)


def head(count: int, fork: int | None = None) -> Checkpoint:
    return Checkpoint(ORIGIN, count, tree(count, fork).root())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    log_key.begin(tmp_path / FOLDER, ORIGIN, SEED, None)
    return tmp_path


@pytest.fixture
def signer(directory: Path) -> Iterator[Signer]:
    with closing(Signer(directory)) as one:
        yield one


def sign(signer: Signer, count: int, fork: int | None = None) -> str:
    return signer.sign(head(count, fork), KEY, tree(count, fork).consistency)


def test_a_growing_ledger_is_signed_and_the_same_one_again(signer: Signer) -> None:
    assert signer.last() is None
    for count in (1, 5, 5, 300):
        assert checkpoint.verify(sign(signer, count), KEY) == head(count)
    assert signer.last() == head(300)


@pytest.mark.parametrize("restarted", [False, True])
def test_no_smaller_and_no_other_history_is_signed(
    directory: Path, signer: Signer, restarted: bool
) -> None:
    sign(signer, 8)
    if restarted:
        signer.close()
    for count, fork in ((7, None), (8, 3), (9, 3), (300, 0)):
        with pytest.raises(BehindError):
            sign(signer, count, fork)
    assert sign(signer, 9)


def test_the_process_itself_refuses_what_its_client_would_not_ask(directory: Path) -> None:
    """A control room in the wrong hands asks what it likes."""
    with closing(LogKey(directory / FOLDER)) as key:
        key.sign(0, [], head(8), KEY.encode())
        for old, proof, wanted in (
            (0, [], head(9)),
            (8, [], head(9)),
            (8, [], head(7)),
            (8, list(tree(9, 3).consistency(8)), head(9, 3)),
            (0, [], head(8, 3)),
        ):
            with pytest.raises(RefusedError):
                key.sign(old, proof, wanted, KEY.encode())
        with pytest.raises(BadInputError):
            key.sign(8, [], Checkpoint("khazri/elsewhere", 8, head(8).root), KEY.encode())
        with pytest.raises(BadInputError, match="does not hold"):
            key.sign(8, [], head(8), note.signer(ORIGIN, bytes(32)).key.encode())


def test_the_key_is_its_owners_and_one_process_at_a_time_has_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = directory / FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(log_key, "_LOCK_S", 0.1)
    with closing(LogKey(folder)) as key:
        key.sign(0, [], head(8), KEY.encode())
        with pytest.raises(StoreError, match="another process signs"):
            LogKey(folder)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir() if path.name != "lock"} == {
        0o600
    }


def test_a_dead_signer_is_started_again_and_one_that_cannot_start_says_why(
    directory: Path, signer: Signer
) -> None:
    sign(signer, 3)
    pid = signer.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert sign(signer, 4)
    assert signer.pid != pid
    signer.close()
    (directory / FOLDER / log_key.SIGNED).write_text("nonsense")
    with pytest.raises(StoreError, match="is not signed by the key beside it"):
        signer.last()


def test_killed_at_any_moment_it_never_forgets_what_it_signed(directory: Path) -> None:
    """Kills fall between a request and its answer, on a clock that is not the signer's."""
    count = seen = 0
    for number in range(6):
        with closing(Signer(directory)) as signer:
            last = signer.last()
            assert (last.size if last else 0) >= seen
            pid = signer.pid
            assert pid
            kill = threading.Timer(0.01 * number, os.kill, (pid, signal.SIGKILL))
            kill.start()
            while kill.is_alive():
                count += 1
                sign(signer, count)
                seen = count
            kill.join()
            count = seen = seen + 1
            sign(signer, count)
            with pytest.raises(BehindError):
                sign(signer, count, fork=count - 1)
    assert seen > 6


class DiedError(Exception):
    """The process ends here."""


def test_dying_at_any_write_of_a_signature_leaves_one_history(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file operation in turn is the last: what left by then is what is remembered."""
    folder, size = directory / FOLDER, 0
    for step in range(12):
        left = iter([True] * step)
        for place, name in ((os, "fsync"), (os, "open"), (Path, "replace"), (Path, "unlink")):
            monkeypatch.setattr(place, name, _until(left, getattr(place, name)))
        signed = None
        with suppress(DiedError), closing(LogKey(folder)) as key:
            key_last = key.last.size if key.last else 0
            old = tree(size + 1).consistency(key_last)
            signed = key.sign(key_last, list(old), head(size + 1), KEY.encode())
        monkeypatch.undo()
        with closing(LogKey(folder)) as key:
            remembered = key.last.size if key.last else 0
            assert remembered in (size, size + 1)
            assert signed is None or remembered == size + 1
            size = remembered
            if size:
                with pytest.raises(RefusedError):
                    key.sign(size, [], head(size, fork=size - 1), KEY.encode())
    assert size > 0


def _until(left: Iterator[bool], real: Callable[..., object]) -> Callable[..., object]:
    def run(*arguments: object, **named: object) -> object:
        if not next(left, False):
            raise DiedError
        return real(*arguments, **named)

    return run


def test_a_new_key_signs_only_once_it_is_asked_for_and_the_old_one_is_gone_then(
    directory: Path,
) -> None:
    folder = directory / FOLDER
    with closing(LogKey(folder)) as key:
        key.sign(0, [], head(8), KEY.encode())
        vkey, signature = key.replace(8, bytes(32))
        assert KEY.verifies(signature, rotation.statement(ORIGIN, 8, bytes(32), vkey))
        assert key.replace(8, bytes(32)) == (vkey, signature)
        key.sign(8, list(tree(9).consistency(8)), head(9), KEY.encode())
    with closing(LogKey(folder)) as key:
        signed = key.sign(9, list(tree(10).consistency(9)), head(10), vkey)
        assert checkpoint.verify(signed, note.parse_key(vkey)).size == 10
        with pytest.raises(BadInputError, match="does not hold"):
            key.sign(10, [], head(10), KEY.encode())
    assert sorted(path.name for path in folder.iterdir()) == ["key", "lock", "signed"]
    assert SEED.hex() not in (folder / "key").read_text()


def test_a_promotion_that_was_cut_short_is_finished(directory: Path) -> None:
    folder = directory / FOLDER
    with closing(LogKey(folder)) as key:
        vkey, _ = key.replace(8, bytes(32))
        with pytest.MonkeyPatch.context() as patch, suppress(DiedError):
            patch.setattr(key, "_promote", _until(iter([]), key._promote))
            key.sign(0, [], head(9), vkey)
    assert (folder / "key.next").exists()
    with closing(LogKey(folder)) as key:
        assert key.signer.key.encode() == vkey
        assert key.last == head(9)


def test_the_folder_of_a_used_key_is_not_written_over(directory: Path, signer: Signer) -> None:
    sign(signer, 1)
    signer.close()
    log_key.begin(directory / FOLDER, ORIGIN, bytes(32), None)
    log_key.begin(directory / FOLDER, ORIGIN, SEED, None)
    sign(signer, 2)
    signer.close()
    with pytest.raises(BadInputError, match="signed 2 entries"):
        log_key.begin(directory / FOLDER, ORIGIN, bytes(32), None)


@pytest.fixture
def site_folder(tmp_path: Path) -> Path:
    commission.commission(tmp_path, demo_site(day=DEFAULT_DAY, seed=1), at_s=START_S, seed=1)
    return tmp_path


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("khazri.sqlite3*"))


def test_no_key_is_in_a_store_and_one_of_an_earlier_version_leaves_no_byte_there(
    site_folder: Path,
) -> None:
    secret = note.parse_secret((site_folder / FOLDER / "key").read_text())
    text = (site_folder / FOLDER / "key").read_text().rsplit("+", 1)[1]
    seed = base64.b64decode(text)[1:]
    assert seed not in _files(site_folder)
    for path in (site_folder / FOLDER).iterdir():
        path.unlink()
    with closing(Store.at(site_folder)) as store:
        with store.write() as tx:
            control.put_secrets(tx, {LOG_SEED: seed})
        assert seed in _files(site_folder)
        adopt(site_folder, store)
        assert seed not in _files(site_folder)
        with closing(Signer(site_folder)) as signer:
            last = signer.last()
            assert last is not None
            assert last.size == 1
            with store.write() as tx:
                assert record.checkpoint(tx, signer.sign, START_S).size == 3
                assert record.first_key(tx) == secret.key
        # The folder's memory outlives a copy of the store that still has the key.
        with store.write() as tx:
            control.put_secrets(tx, {LOG_SEED: seed})
        adopt(site_folder, store)
        assert seed not in _files(site_folder)
        (site_folder / FOLDER / "key").unlink()
        with pytest.raises(StoreError, match="no key to sign"):
            adopt(site_folder, store)


def test_a_key_is_replaced_within_the_ledger_and_again(site_folder: Path) -> None:
    with closing(Store.at(site_folder)) as store, closing(Signer(site_folder)) as signer:
        with store.read() as tx:
            first = record.first_key(tx)
        site, _ = cycle.facts(site_folder, store)
        keys = [rotate(store, site, signer, user="command line")[0] for _ in range(2)]
        with store.read() as tx:
            assert [key for _, key in record.keys(tx)] == [first, *keys]
            assert len({key.public for key in (first, *keys)}) == 3
        _, vkey = export(store, site_folder / "out")
        assert vkey == first.encode()
        report = verify.verify(site_folder / "out", verify.parse_key(vkey, 1))
        assert (report["keys"], report["key"]) == (3, keys[-1].encode())
        assert report["size"] == 7
        for other in keys:
            with pytest.raises(verify.NotVerified):
                verify.verify(site_folder / "out", verify.parse_key(other.encode(), 1))


def test_the_command_replaces_the_key_of_a_site_that_does_not_run(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate_key = ["ledger", "rotate-key", "--dir", str(site_folder), "--json"]
    with cycle.sole(site_folder):
        assert main(rotate_key) == 1
        assert "runs this site; stop it first" in capsys.readouterr().err
    assert main(rotate_key) == 0
    key = json.loads(capsys.readouterr().out.splitlines()[-1])["key"]
    with closing(Store.at(site_folder)) as store, store.read() as tx:
        first = record.first_key(tx).encode()
        assert [one.encode() for _, one in record.keys(tx)] == [first, key]
        assert [row["kind"] for row in control.actions(tx)] == ["ledger.rotate_key"]
    assert main(["ledger", "prove", "3", "--dir", str(site_folder), "--json"]) == 0
    proof = json.loads(capsys.readouterr().out.splitlines()[-1])["proof"]
    assert prove.verify(proof, note.parse_key(first)).entry.kind is Kind.KEY


@pytest.mark.parametrize("stage", ["checkpoint", "replace", "append", "sign"])
def test_a_replacement_that_died_is_done_by_the_next(
    site_folder: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store.at(site_folder)) as store, closing(Signer(site_folder)) as signer:
        site, _ = cycle.facts(site_folder, store)
        left = {"checkpoint": 0, "replace": 0, "append": 0, "sign": 1}[stage]
        name = {"checkpoint": "sign", "append": "append_key"}.get(stage, stage)
        place = record if name == "append_key" else signer
        with monkeypatch.context() as patch, suppress(DiedError):
            patch.setattr(place, name, _until(iter([True] * left), getattr(place, name)))
            rotate(store, site, signer, user="command line")
        key, size = rotate(store, site, signer, user="command line")
        with store.read() as tx:
            assert record.keys(tx)[-1][1] == key
            assert log.size(tx) == size
            rows = log.listed(tx, kind=str(Kind.KEY))
        assert len(rows) == (2 if stage == "sign" else 1)


def test_a_held_ledger_takes_no_action(site_folder: Path) -> None:
    with closing(Store.at(site_folder)) as store, closing(Signer(site_folder)) as signer:
        site, _ = cycle.facts(site_folder, store)
        with store.write() as tx:
            control.put_meta(tx, record.HELD, "behind a witness")
        with pytest.raises(BehindError, match="behind a witness"):
            rotate(store, site, signer, user="command line")
        with store.write() as tx, pytest.raises(BehindError):
            record.record_action(tx, site, at_s=START_S, user="u", kind="k", subject="s", detail={})
