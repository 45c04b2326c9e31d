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
from grid.errors import BadInputError, StoreError
from grid.operation import (
    audit,
    commission,
    cycle,
    log_loss,
    log_rotation,
    record,
    witnessing,
)
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.signer import BehindError
from grid.store import control, ended_logs, log
from tests.operation.lost_site import accept, behind, commissioned, put_back
from tests.operation.witnessed_site import START_S, STEP_S, Place, one_cycle, opened, place
from trading import verify
from trading.ledger import entry, note


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
    commissioned(folder, *lines)
    behind(folder, *lines, signer=True)
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
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        for lost in (3, 5):
            with pytest.raises(BadInputError, match=r"has 4 that are signed, 8 were seen, .* be 4"):
                accept(room, lost)
        with pytest.raises(BadInputError, match="needs a reason"):
            accept(room, reason=" ")
        with pytest.raises(BadInputError, match="within 400 days of the store's clock"):
            accept(room, now_s=START_S + 401 * interval.DAY_S)
        with room.store.read() as tx:
            assert (ended_logs.count(tx), log.size(tx)) == (0, 4)
        assert accept(room).name.endswith("/2")


def test_a_log_of_which_nothing_is_lost_is_not_ended(witness: Place, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    with opened(folder, *_lines(witness)) as room:
        one_cycle(room, 1)
        with pytest.raises(BadInputError, match=r"has the 4 entries of khazri/.*: none is"):
            accept(room, 1)
        witness.stop()
        with pytest.raises(BadInputError, match=r"witness w\.example does not tell what it saw"):
            accept(room, 1)


def test_without_the_key_that_is_in_force_no_log_can_follow(tmp_path: Path) -> None:
    """It was replaced in the entries that are lost: the old one is gone, the new one unknown."""
    folder = tmp_path / "site"
    commissioned(folder)
    with opened(folder) as room:
        one_cycle(room, 1)
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        log_rotation.rotate(room.store, room.site, room.signer, user="anna")
        _, size = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
    put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        with pytest.raises(StoreError, match="does not hold the key of the ledger"):
            accept(room, size - 4)
        with room.store.read() as tx:
            assert ended_logs.count(tx) == 0


def test_after_a_key_was_replaced_the_newest_one_vouches_for_the_log_that_follows(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    with opened(folder) as room, room.store.read() as tx:
        first = record.first_key(tx).encode()
    with opened(folder) as room:
        newest, _ = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        one_cycle(room, 1)
    put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        key = accept(room, 1)
        audit.export_ended(room.store, 1, tmp_path / "old")
        audit.export(room.store, tmp_path / "new")
    given = [tmp_path / "new", "--key", key.encode(), "--previous", tmp_path / "old"]
    status, report = _verified(*given, "--previous-key", first)
    assert (status, report["follows"]["key"]) == (0, newest.encode())
    # Its last key is not its first: what an auditor trusts is the one they know.
    assert _verified(*given, "--previous-key", newest.encode())[0] == 1


def test_a_second_loss_ends_the_second_log(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        second = accept(room)
    shutil.rmtree(tmp_path / "copy")
    shutil.copytree(folder, tmp_path / "copy")
    with opened(folder) as room:
        one_cycle(room, 8)
    put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        third = accept(room, 1)
        audit.export_ended(room.store, 2, tmp_path / "second")
        audit.export(room.store, tmp_path / "third")
    assert (second.name[-2:], third.name[-2:]) == ("/2", "/3")
    given = ["--previous", tmp_path / "second", "--previous-key", second.encode()]
    assert _verified(tmp_path / "third", "--key", third.encode(), *given)[0] == 0
    assert _verified(tmp_path / "second", "--key", second.encode())[1]["follows"]["lost"] == 4


def test_the_public_part_of_a_genesis_names_nobody_and_no_reason(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        accept(room)
        with room.store.read() as tx:
            genesis = entry.decode(next(log.entries(tx)))
    assert set(genesis.body) == {"follows", "key", "receipts", "site"}
    assert list(genesis.body["follows"]) == verify.FOLLOWS
