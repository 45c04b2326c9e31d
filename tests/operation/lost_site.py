"""A site that lost entries of its ledger: its store, or its signer too, is an older copy."""

from __future__ import annotations

import shutil
from pathlib import Path

from grid.operation import (
    audit,
    commission,
    log_loss,
)
from grid.operation.demo_site import DEFAULT_DAY, demo_site
from grid.operation.room import Room
from grid.operation.signer import FOLDER
from tests.operation.witnessed_site import START_S, one_cycle, opened
from trading.ledger import note

DATABASE = "khazri.sqlite3"


def commissioned(folder: Path, *lines: str) -> None:
    """Make a site whose file names a policy of `lines`, none without."""
    folder.mkdir()
    text = demo_site(day=DEFAULT_DAY, seed=1)
    if lines:
        (folder / "policy.txt").write_text("\n".join([*lines, ""]))
        text += '\n[ledger]\npolicy = "policy.txt"\n'
    commission.commission(folder, text, at_s=START_S, seed=1)


def put_back(folder: Path, copy: Path, *, signer: bool) -> None:
    """Let a copy of the store take its place, and of the signer's folder when asked."""
    for path in folder.glob(f"{DATABASE}*"):
        path.unlink()
    shutil.copy(copy / DATABASE, folder)
    if signer:
        shutil.rmtree(folder / FOLDER)
        shutil.copytree(copy / FOLDER, folder / FOLDER)


def behind(folder: Path, *lines: str, signer: bool = False) -> None:
    """Let a site lose the four entries of four cycles: it has four of the eight that were seen."""
    with opened(folder, *lines) as room:
        one_cycle(room, 1)
    shutil.copytree(folder, folder.parent / "copy")
    with opened(folder, *lines) as room:
        for number in range(2, 6):
            assert one_cycle(room, number) == 3 + number
        audit.export(room.store, folder.parent / "mirror")
    put_back(folder, folder.parent / "copy", signer=signer)


def accept(
    room: Room, lost: int = 4, reason: str = "both disks burnt", now_s: int | None = None
) -> note.VerifierKey:
    """Accept the loss as a person does on the command line; return the key of the new log."""
    return log_loss.accept(
        room.store, room.site, room.signer, room.policy,
        lost=lost, reason=reason, user="anna", now_s=now_s,
    )  # fmt: skip


def killed(*_: object) -> None:
    """Stand for what the process is killed in."""
    raise KeyboardInterrupt
