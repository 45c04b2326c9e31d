"""A loss that is accepted, killed anywhere or with older copies: nothing is half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grid.errors import BadInputError, VerificationError
from grid.operation import (
    cycle,
    log_recovery,
    log_rotation,
    record,
    witnessing,
)
from grid.operation.signer import BehindError
from grid.store import Transaction, control, ended_logs, log
from tests.operation.lost_site import accept, behind, commissioned, killed, put_back
from tests.operation.witnessed_site import START_S, STEP_S, one_cycle, opened


def test_killed_at_any_write_nothing_has_happened_or_it_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    behind(folder)
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
            accept(room)
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
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        with monkeypatch.context() as patch:
            patch.setattr(
                log, "put_checkpoint", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                accept(room)
        last = room.signer.last()
    with opened(folder) as room:
        with pytest.raises(VerificationError, match="NOT VERIFIED"):
            log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="a")
        assert accept(room, lost=999).name == last.origin
        assert room.signer.last() == last
        one_cycle(room, 8)


def test_entries_that_turn_up_before_the_loss_is_accepted_bring_the_log_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key was drawn for a log that never began: it is in nobody's way."""
    folder = tmp_path / "site"
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        with monkeypatch.context() as patch:
            patch.setattr(ended_logs, "end", killed)
            with pytest.raises(KeyboardInterrupt):
                accept(room)
        log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="anna")
        key, _ = log_rotation.rotate(room.store, room.site, room.signer, user="anna")
        with room.store.read() as tx:
            assert key.name == record.first_key(tx).name
        one_cycle(room, 9)


def test_a_copy_from_before_the_loss_was_accepted_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    commissioned(folder)
    behind(folder)
    with opened(folder) as room:
        accept(room)
    put_back(folder, tmp_path / "copy", signer=False)
    with opened(folder) as room:
        with pytest.raises(BehindError, match=r"the signer signs for khazri/.*/2, the store holds"):
            cycle.run(room, START_S + 2 * STEP_S)
        with pytest.raises(BadInputError, match="take a newer store"):
            accept(room)
        with pytest.raises(BadInputError, match="has ended, the signer signs for"):
            log_recovery.recover(room.store, room.site, room.signer, tmp_path / "mirror", user="a")
