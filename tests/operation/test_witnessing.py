"""A witnessed site: finality waits, and an old copy of the store is not gone on with."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from grid import site_file
from grid.console.cli import main
from grid.errors import BadInputError, VerificationError
from grid.operation import (
    audit,
    check,
    commission,
    cycle,
    log_recovery,
    record,
    settling,
    witnessing,
)
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.room import Room
from grid.operation.signer import FOLDER, BehindError
from grid.store import Store, control, log, market
from tests.operation.witnessed_site import START_S, STEP_S, Place, one_cycle, opened, place
from trading import verify
from trading.ledger import checkpoint, merkle, note, policy
from trading.ledger.entry import Kind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    commission.commission(folder, demo_site(day=DEFAULT_DAY, seed=1), at_s=START_S, seed=1)
    return folder


@pytest.fixture
def witness(folder: Path) -> Iterator[Place]:
    one = place(folder, "w.example")
    one.up()
    yield one
    one.stop()


def witnessed(room: Room) -> int:
    with room.store.read() as tx:
        return witnessing.witnessed_size(tx)


def findings(room: Room, code: str) -> list[str]:
    with room.store.read() as tx:
        return [row["message"] for row in control.findings(tx) if row["code"] == code]


def test_a_witnessed_site_exports_what_a_stranger_with_the_policy_verifies(
    folder: Path, witness: Place, tmp_path: Path
) -> None:
    lines = [witness.line, "quorum w.example"]
    with opened(folder, *lines) as room:
        witnessing.admit(room, START_S)
        assert witnessed(room) == 1
        assert one_cycle(room, 1) == witnessed(room) == 4
        _, key = audit.export(room.store, tmp_path / "out")
    (tmp_path / "policy").write_text("\n".join([*lines, ""]))
    given = [str(tmp_path / "out"), "--key", key, "--policy", str(tmp_path / "policy")]
    assert verify.main(given) == 0
    stranger = note.signer("w.example", bytes(32), note.COSIGNATURE).key
    (tmp_path / "policy").write_text(f"witness w {stranger.encode()}\nquorum w\n")
    assert verify.main(given) == 1


def test_a_witness_that_is_down_delays_finality_alone_and_it_resumes_by_itself(
    folder: Path, witness: Place
) -> None:
    with opened(folder, witness.line, "quorum w.example") as room:
        witnessing.admit(room, START_S)
        one_cycle(room, 1)
        witness.stop()
        for number in range(2, 7):
            one_cycle(room, number)
            late = findings(room, "ledger.unwitnessed")
            assert bool(late) == (number == 6), number
        assert witnessed(room) == 4
        assert "the quorum w.example is missing: nothing becomes final (w.example: " in late[0]
        witness.up()
        assert one_cycle(room, 7) == witnessed(room) == 10


def test_two_of_three_are_enough_and_one_is_not(folder: Path, tmp_path: Path) -> None:
    places = [place(folder, f"{name}.example") for name in "abc"]
    for one in places:
        one.up()
    names = " ".join(one.key.key.name for one in places)
    lines = [*(one.line for one in places), f"group g 2 {names}", "quorum g"]
    with opened(folder, *lines) as room:
        places[0].stop()
        assert one_cycle(room, 1) == 4
        witnessing.admit(room, START_S)
        assert witnessed(room) == 4
        places[1].stop()
        one_cycle(room, 2)
        assert witnessed(room) == 4
        places[2].stop()


def test_a_stricter_policy_takes_back_what_a_weaker_one_found_witnessed(
    folder: Path, witness: Place
) -> None:
    other = place(folder, "other.example")
    with opened(folder, witness.line, "quorum w.example") as room:
        witnessing.admit(room, START_S)
        assert witnessed(room) == 1
    both = ["group g all w.example other.example", "quorum g"]
    with opened(folder, witness.line, other.line.rsplit(" ", 1)[0], *both) as room:
        witnessing.admit(room, START_S)
        assert witnessed(room) == 0
    with opened(folder) as room:
        witnessing.admit(room, START_S)
        assert one_cycle(room, 1) == witnessed(room)


def test_a_policy_of_another_log_is_refused(folder: Path, witness: Place) -> None:
    other = note.signer("khazri/elsewhere", bytes(32)).key
    lines = [witness.line, "quorum w.example"]
    with opened(folder, f"log {other.encode()}", *lines) as room:
        with pytest.raises(BadInputError, match="does not list this log: khazri/"):
            cycle.run(room, START_S)
        with room.store.read() as tx:
            own = record.first_key(tx)
    with opened(folder, f"log {own.encode()}", *lines) as room:
        witnessing.admit(room, START_S)
        assert witnessed(room) == 1


def _settle(room: Room, number: int, version: int = 1) -> None:
    """Store a settlement as the stage does, and its entry."""
    start_s = START_S + STEP_S * number
    with room.store.write() as tx:
        market.put_settlement(
            tx,
            start_s=start_s,
            version=version,
            cycle_s=start_s,
            state="provisional",
            residual_wh=0,
            content={},
            postings=[],
            month="2026-07",
        )
        kind = Kind.SETTLEMENT if version == 1 else Kind.CORRECTION
        body = {"part": 0, "state": "provisional", "version": version - 1}
        record.append(tx, kind, start_s, start_s, body)


def _final(room: Room) -> list[int]:
    with room.store.read() as tx:
        rows = market.settlements(tx, START_S, START_S + 100 * STEP_S)
    return [(row["start_s"] - START_S) // STEP_S for row in rows if row["state"] == "final"]


@pytest.mark.parametrize("is_witnessed", [False, True])
def test_only_what_is_witnessed_becomes_final(
    folder: Path, witness: Place, is_witnessed: bool
) -> None:
    lines = [witness.line, "quorum w.example"] if is_witnessed else []
    with opened(folder, *lines) as room:
        witnessing.admit(room, START_S)
        for number in range(3):
            _settle(room, number)
        one_cycle(room, 3)
        witness.stop()
        _settle(room, 3)
        _settle(room, 1, version=2)
        one_cycle(room, 4)
        late_s = START_S + STEP_S * (room.site.operation.final_after_intervals + 4)
        settling.settle_intervals(room, late_s)
        assert _final(room) == ([0] if is_witnessed else [0, 1, 1, 2, 3])
        witness.up()
        one_cycle(room, 5)
        settling.settle_intervals(room, late_s + STEP_S)
        assert _final(room) == [0, 1, 1, 2, 3]
        witness.stop()


@pytest.mark.parametrize("of", ["store", "store and signer"])
def test_an_old_copy_of_the_store_is_not_gone_on_with_until_its_entries_are_back(
    folder: Path, witness: Place, tmp_path: Path, of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [witness.line, "quorum w.example"]
    with opened(folder, *lines) as room:
        one_cycle(room, 1)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with opened(folder, *lines) as room:
        for number in range(2, 6):
            size = one_cycle(room, number)
        audit.export(room.store, tmp_path / "mirror", openings=True)
        root = log.StoredTree
        with room.store.read() as tx:
            before = root(tx).root()
    for path in folder.glob("khazri.sqlite3*"):
        path.unlink()
    shutil.copy(copy / "khazri.sqlite3", folder)
    if of != "store":
        shutil.rmtree(folder / FOLDER)
        shutil.copytree(copy / FOLDER, folder / FOLDER)
    with opened(folder, *lines) as room:
        for _ in range(2):
            with pytest.raises(BehindError, match="8 entries of khazri/"):
                cycle.run(room, START_S + 2 * STEP_S)
        with room.store.read() as tx:
            assert log.size(tx) == 4
        (told,) = findings(room, "ledger.behind")
        assert "'khazri ledger recover' brings the missing entries back" in told
        with room.store.write() as tx, pytest.raises(BehindError):
            record.record_action(
                tx, room.site, at_s=START_S, user="u", kind="k", subject="s", detail={}
            )
    assert main(["ledger", "recover", "--from", str(copy), "--dir", str(folder)]) == 1
    capsys.readouterr()
    recover = ["ledger", "recover", "--from", str(tmp_path / "mirror"), "--dir", str(folder)]
    assert main(recover) == 0
    assert "4 entries brought back; the ledger has 9" in capsys.readouterr().out
    with opened(folder, *lines) as room:
        with room.store.read() as tx:
            assert root(tx).root(size) == before
            assert control.clock_s(tx) >= START_S + 6 * STEP_S
        witnessing.admit(room, START_S + 6 * STEP_S)
        assert one_cycle(room, 8) == witnessed(room) == 10
        _, key = audit.export(room.store, tmp_path / "out")
        assert verify.main([str(tmp_path / "out"), "--key", key]) == 0


def test_what_is_no_continuation_is_not_brought_back(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as room:
        one_cycle(room, 1)
        audit.export(room.store, tmp_path / "short")
        one_cycle(room, 2)
        site, signer = room.site, room.signer
        with pytest.raises(BadInputError, match="has 4 entries, at least 5 are needed"):
            log_recovery.recover(room.store, site, signer, tmp_path / "short", user="u")
        audit.export(room.store, tmp_path / "damaged")
        path = tmp_path / "damaged" / "tile" / "entries" / "000.p" / "5"
        path.write_bytes(path.read_bytes().replace(b"plan", b"plum"))
        with pytest.raises(VerificationError, match="NOT VERIFIED"):
            log_recovery.recover(room.store, site, signer, tmp_path / "damaged", user="u")


def test_a_database_written_anew_with_the_stolen_key_is_refused_by_a_witness_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    """The witness is a process of its own that never saw the thief's entries."""
    with closing(Store.at(folder)) as store, store.read() as tx:
        key = record.first_key(tx)
    elsewhere = subprocess.Popen(
        [sys.executable, "-m", "grid.console.cli", "ledger", "witness", "--listen", "127.0.0.1:0"]
        + ["--key", str(tmp_path / "w.key"), "--name", "w", "--log", key.encode()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert elsewhere.stdout
        vkey = elsewhere.stdout.readline().removeprefix("key: ").strip()
        where = re.search(r"http\S+", elsewhere.stdout.readline())
        assert where
        lines = [f"witness w {vkey} {where[0]}", "quorum w"]
        with opened(folder, *lines) as room:
            for number in range(1, 4):
                one_cycle(room, number)
            stolen = note.parse_secret((folder / FOLDER / "key").read_text())
            _write_anew(room, stolen)
            policy_text = policy.parse("\n".join([*lines, ""]).encode())
            _, failed = witnessing.ask(
                witnessing._newest(room), list(policy_text.witnesses.values())
            )
            assert isinstance(failed["w"], BehindError)
            with pytest.raises(BehindError):
                cycle.run(room, START_S + 4 * STEP_S)
            audit.export(room.store, tmp_path / "forged")
        (tmp_path / "policy").write_text("\n".join([*lines, ""]))
        given = [str(tmp_path / "forged"), "--key", key.encode()]
        assert verify.main(given) == 0
        assert verify.main([*given, "--policy", str(tmp_path / "policy")]) == 1
    finally:
        elsewhere.kill()
        elsewhere.communicate()


def _write_anew(room: Room, stolen: note.Signer) -> None:
    """What who has the database and the log's key can do: another plan, signed."""
    with room.store.write() as tx:
        for table in ("ledger_entry", "checkpoint"):
            where = "sequence > 0" if table == "ledger_entry" else "size > 1"
            tx.exec_driver_sql(f"DELETE FROM {table} WHERE {where}")
        for number in range(1, 4):
            at_s = START_S + STEP_S * number
            record.append(tx, Kind.PLAN, at_s, at_s, {"plan": f"{number + 9:064x}"})
        tree = log.StoredTree(tx)
        head = checkpoint.Checkpoint(stolen.key.name, tree.size, tree.root())
        log.put_checkpoint(tx, head.size, START_S, checkpoint.sign(head, stolen))


def test_roots_and_proofs_from_stored_tiles_are_those_of_all_leaves(folder: Path) -> None:
    with opened(folder) as room, room.store.write() as tx:
        for number in range(1, 600):
            record.append(tx, Kind.PLAN, START_S, START_S, {"plan": f"{number:064x}"})
        leaves = log.leaf_hashes(tx)
        whole, stored = merkle.Tree(leaves), log.StoredTree(tx)
        for size in (1, 2, 255, 256, 257, 511, 512, 513, 600):
            assert stored.root(size) == whole.root(size)
            for old in {0, 1, size // 2, size - 1, size} - {size + 1}:
                assert stored.consistency(old, size) == whole.consistency(old, size)
            assert stored.inclusion(size // 2, size) == whole.inclusion(size // 2, size)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("quorum nobody\n", "line 1: quorum 'nobody' is no witness or group above"),
        ("KEY", "the witnesses with a URL do not make up the quorum w"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_an_error_of_the_site_file(
    tmp_path: Path, text: str | None, told: str
) -> None:
    key = note.signer("w", bytes(32), note.COSIGNATURE).key.encode()
    if text is not None:
        text = f"witness w {key}\nquorum w\n" if text == "KEY" else text
        (tmp_path / "policy.txt").write_text(text)
    site = demo_site(day=DEFAULT_DAY, seed=1) + '\n[ledger]\npolicy = "policy.txt"\n'
    line = site.count("\n")
    with pytest.raises(site_file.SiteFileError, match=rf"SITE\.toml:{line}: .*{re.escape(told)}"):
        check.check(site, base_dir=tmp_path)
    (tmp_path / "policy.txt").write_text(f"witness w {key} https://w.example/\nquorum w\n")
    assert check.check(site, base_dir=tmp_path).ledger.policy == "policy.txt"
    with pytest.raises(site_file.SiteFileError, match="must be within the site's folder"):
        check.check(site.replace('"policy.txt"', '"../policy.txt"'), base_dir=tmp_path)
