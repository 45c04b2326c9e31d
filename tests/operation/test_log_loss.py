"""A ledger whose entries nobody has: it ends where the store has it, and a new log says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.console.cli import main
from grid.errors import BadInputError, StoreError, VerificationError
from grid.operation import (
    audit,
    commission,
    cycle,
    log_loss,
    log_recovery,
    log_rotation,
    record,
    witnessing,
)
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.room import Room
from grid.operation.signer import FOLDER, BehindError
from grid.store import Transaction, control, ended_logs, log
from tests.operation.witnessed_site import START_S, STEP_S, Place, one_cycle, opened, place
from trading import verify
from trading.ledger import entry, note

DATABASE = "khazri.sqlite3"


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Place]:
    """A witness that knows the log of the site's seed."""
    text = demo_site(day=DEFAULT_DAY, seed=1)
    commission.commission(tmp_path / "twin", text, at_s=START_S, seed=1)
    one = place(tmp_path / "twin", "w.example")
    one.up()
    yield one
    one.stop()


def _lines(witness: Place) -> list[str]:
    return [witness.line, f"quorum {witness.key.key.name}"]


def _commissioned(folder: Path, *lines: str) -> None:
    """Make a site whose file names a policy of `lines`, none without."""
    folder.mkdir()
    text = demo_site(day=DEFAULT_DAY, seed=1)
    if lines:
        (folder / "policy.txt").write_text("\n".join([*lines, ""]))
        text += '\n[ledger]\npolicy = "policy.txt"\n'
    commission.commission(folder, text, at_s=START_S, seed=1)


def _put_back(folder: Path, copy: Path, *, signer: bool) -> None:
    """Let a copy of the store take its place, and of the signer's folder when asked."""
    for path in folder.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(copy / DATABASE, folder)
    if signer:
        shutil.rmtree(folder / FOLDER)
        shutil.copytree(copy / FOLDER, folder / FOLDER)


def _behind(folder: Path, *lines: str, signer: bool = False) -> None:
    """Let a site lose the four entries of four cycles: it has four of the eight that were seen."""
    with opened(folder, *lines) as room:
        one_cycle(room, 1)
    shutil.copytree(folder, folder.parent / "copy")
    with opened(folder, *lines) as room:
        for number in range(2, 6):
            assert one_cycle(room, number) == 3 + number
        audit.export(room.store, folder.parent / "mirror")
    _put_back(folder, folder.parent / "copy", signer=signer)


def _accept(
    room: Room, lost: int = 4, reason: str = "both disks burnt", now_s: int | None = None
) -> note.VerifierKey:
    return log_loss.accept(
        room.store, room.site, room.signer, room.policy,
        lost=lost, reason=reason, user="anna", now_s=now_s,
    )  # fmt: skip


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _verified(*arguments: object) -> tuple[int, dict[str, Any]]:
    options = verify.arguments([*map(str, arguments), "--json"])
    try:
        return 0, verify.run(options)
    except verify.NotVerified as verdict:
        return 1, verdict.report


def test_a_log_that_nobody_has_all_of_ends_and_another_follows_that_an_auditor_can_tell(
    witness: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = tmp_path / "site", _lines(witness)
    _commissioned(folder, *lines)
    _behind(folder, *lines, signer=True)
    with opened(folder, *lines) as room, pytest.raises(BehindError, match="cosigned 8 entries"):
        cycle.run(room, START_S + 2 * STEP_S)
    command = ["ledger", "recover", "--dir", str(folder), "--accept-loss", "4"]
    assert main([*command, "--reason", "both disks burnt"]) == 2
    said = ["--reason", "both disks burnt", "--by", "anna"]
    capsys.readouterr()
    assert main([*command, *said]) == 0
    told = capsys.readouterr().out
    assert "log 1 has ended with 4 entries lost; khazri/" in told
    assert "from cycle 2026-" in told
    assert (
        main(["ledger", "export", str(tmp_path / "old"), "--log", "1", "--dir", str(folder)]) == 0
    )
    assert main(["ledger", "export", str(tmp_path / "new"), "--dir", str(folder)]) == 0
    assert main(["ledger", "export", str(tmp_path / "no"), "--log", "2", "--dir", str(folder)]) == 1
    capsys.readouterr()
    with opened(folder) as room, room.store.read() as tx:
        key, before = record.first_key(tx).encode(), witness.logs[0].encode()
        assert control.clock_s(tx) == START_S + (2 + log_loss.PAUSE_INTERVALS) * STEP_S
        (action,) = [row for row in control.actions(tx) if row["kind"] == "ledger.accept_loss"]
        assert json.loads(action["detail"])["reason"] == "both disks burnt"
        assert "ledger.lost" in {row["code"] for row in control.findings(tx)}
    assert key in told
    assert _verified(tmp_path / "old", "--key", before)[1]["size"] == 4
    given = [tmp_path / "new", "--key", key]
    seen = {"origin": witness.logs[0].name, "key": before, "size": 4, "seen_size": 8, "lost": 4}
    report = _verified(*given)[1]
    assert {name: report["follows"][name] for name in seen} == seen
    assert b"burnt" not in b"".join(
        p.read_bytes() for p in tmp_path.glob("new/**/*") if p.is_file()
    )
    # An auditor may have kept the whole log, of which the operator has four entries.
    for previous in ("old", "mirror"):
        both = ["--previous", str(tmp_path / previous), "--previous-key", before]
        assert main(["ledger", "verify", *map(str, given), *both]) == 0
        assert "that log agrees with its export" in capsys.readouterr().out

    with opened(folder, *lines) as room:
        next_s = START_S + 4 * STEP_S
        witnessing.admit(room, next_s)
        one_cycle(room, 4)
        with room.store.read() as tx:
            assert witnessing.witnessed_size(tx) == 0
        witness.stop()
        witness.logs.append(note.parse_key(key))
        witness.up()
        size = one_cycle(room, 5)
        with room.store.read() as tx:
            assert witnessing.witnessed_size(tx) == size
    (folder / "policy.txt").write_text("\n".join([f"log {before}", *lines, ""]))
    old = [f"log {before}", *lines]
    why = r"does not list this log: khazri/.*/2\+"
    with opened(folder, *old) as room, pytest.raises(BadInputError, match=why):
        cycle.run(room, next_s)


def test_the_number_of_lost_entries_is_the_right_one_or_nothing_happens(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        for lost in (3, 5):
            with pytest.raises(BadInputError, match=r"has 4 that are signed, 8 were seen, .* be 4"):
                _accept(room, lost)
        with pytest.raises(BadInputError, match="needs a reason"):
            _accept(room, reason=" ")
        with pytest.raises(BadInputError, match="within 400 days of the store's clock"):
            _accept(room, now_s=START_S + 401 * interval.DAY_S)
        with room.store.read() as tx:
            assert (ended_logs.count(tx), log.size(tx)) == (0, 4)
        assert _accept(room).name.endswith("/2")


def test_a_log_of_which_nothing_is_lost_is_not_ended(witness: Place, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    with opened(folder, *_lines(witness)) as room:
        one_cycle(room, 1)
        with pytest.raises(BadInputError, match=r"has the 4 entries of khazri/.*: none is"):
            _accept(room, 1)
        witness.stop()
        with pytest.raises(BadInputError, match=r"witness w\.example does not tell what it saw"):
            _accept(room, 1)


def test_without_the_key_that_is_in_force_no_log_can_follow(tmp_path: Path) -> None:
    """It was replaced in the entries that are lost: the old one is gone, the new one unknown."""
    folder = tmp_path / "site"
    _commissioned(folder)
    with opened(folder) as room:
        one_cycle(room, 1)
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        log_rotation.rotate(room.store, room.site, room.signer, user="anna")
        _, size = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
    _put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        with pytest.raises(StoreError, match="does not hold the key of the ledger"):
            _accept(room, size - 4)
        with room.store.read() as tx:
            assert ended_logs.count(tx) == 0


def test_after_a_key_was_replaced_the_newest_one_vouches_for_the_log_that_follows(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    with opened(folder) as room, room.store.read() as tx:
        first = record.first_key(tx).encode()
    with opened(folder) as room:
        newest, _ = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        one_cycle(room, 1)
    _put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        key = _accept(room, 1)
        audit.export_ended(room.store, 1, tmp_path / "old")
        audit.export(room.store, tmp_path / "new")
    given = [tmp_path / "new", "--key", key.encode(), "--previous", tmp_path / "old"]
    status, report = _verified(*given, "--previous-key", first)
    assert (status, report["follows"]["key"]) == (0, newest.encode())
    # Its last key is not its first: what an auditor trusts is the one they know.
    assert _verified(*given, "--previous-key", newest.encode())[0] == 1


def test_killed_at_any_write_nothing_has_happened_or_it_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    real, left = Transaction.execute, [10**9]

    def execute(self: Transaction, *arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    monkeypatch.setattr(Transaction, "execute", execute)

    def killed_at(number: int) -> bool:
        left[0] = number
        try:
            _accept(room)
        except KeyboardInterrupt:
            return True
        finally:
            left[0] = 10**9
        return False

    with opened(folder) as room:
        with room.store.read() as tx:
            before = list(log.entries(tx)), log.checkpoints(tx), control.actions(tx)
        first = ended = 0
        while not ended:
            first += 1
            assert killed_at(first)
            with room.store.read() as tx:
                ended = ended_logs.count(tx)
                now = list(log.entries(tx)), log.checkpoints(tx), control.actions(tx)
                assert ended or now == before
        assert first > 40
        second = 1
        while killed_at(second):
            second += 1
            with room.store.read() as tx, pytest.raises(BehindError, match="is not signed yet"):
                record.check_held(tx)
        assert second > 3
        with room.store.read() as tx:
            assert ended_logs.count(tx) == 1
            record.check_held(tx)
        witnessing.admit(room, START_S + 8 * STEP_S)
        one_cycle(room, 8)


def test_killed_after_the_signer_signed_it_signs_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        with monkeypatch.context() as patch:
            patch.setattr(
                log, "put_checkpoint", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                _accept(room)
        last = room.signer.last()
    with opened(folder) as room:
        with pytest.raises(VerificationError, match="NOT VERIFIED"):
            log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="a")
        assert _accept(room, lost=999).name == last.origin
        assert room.signer.last() == last
        one_cycle(room, 8)


def test_entries_that_turn_up_before_the_loss_is_accepted_bring_the_log_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key was drawn for a log that never began: it is in nobody's way."""
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        with monkeypatch.context() as patch:
            patch.setattr(ended_logs, "end", _killed)
            with pytest.raises(KeyboardInterrupt):
                _accept(room)
        log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="anna")
        key, _ = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
        with room.store.read() as tx:
            assert key.name == record.first_key(tx).name
        one_cycle(room, 9)


def test_a_copy_from_before_the_loss_was_accepted_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        _accept(room)
    _put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        with pytest.raises(BehindError, match=r"the signer signs for khazri/.*/2, the store holds"):
            cycle.run(room, START_S + 2 * STEP_S)
        with pytest.raises(BadInputError, match="take a newer store"):
            _accept(room)
        with pytest.raises(BadInputError, match="has ended, the signer signs for"):
            log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="a")


def test_a_second_loss_ends_the_second_log(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        second = _accept(room)
    shutil.rmtree(tmp_path / "copy")
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        one_cycle(room, 8)
    _put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        third = _accept(room, 1)
        audit.export_ended(room.store, 2, tmp_path / "second")
        audit.export(room.store, tmp_path / "third")
    assert (second.name[-2:], third.name[-2:]) == ("/2", "/3")
    given = ["--previous", tmp_path / "second", "--previous-key", second.encode()]
    assert _verified(tmp_path / "third", "--key", third.encode(), *given)[0] == 0
    assert _verified(tmp_path / "second", "--key", second.encode())[1]["follows"]["lost"] == 4


def test_the_public_part_of_a_genesis_names_nobody_and_no_reason(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    _commissioned(folder)
    _behind(folder)
    with opened(folder) as room:
        _accept(room)
        with room.store.read() as tx:
            genesis = entry.decode(next(log.entries(tx)))
    assert set(genesis.body) == {"follows", "key", "receipts", "site"}
    assert list(genesis.body["follows"]) == verify.FOLLOWS
