"""Replay of a ledger: every price, trade, posting and statement is derived again."""

from __future__ import annotations

from pathlib import Path

import pytest

from grid.operation import audit
from tests.operation import replay_site
from tests.operation.month_site import Month
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records

Street = tuple[Month, Path, str]


@pytest.fixture(scope="module", params=list(replay_site.STREETS))
def street(request, tmp_path_factory) -> Street:
    """A street after the end of a month, its ledger opened, and the key."""
    folder = tmp_path_factory.mktemp(request.param)
    lived = replay_site.lived(folder / "site", request.param)
    _, key = audit.export(lived.room.store, folder / "out", openings=True)
    yield lived, folder / "out", key
    lived.room.store.close()


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def test_replay_reproduces_every_entry(street: Street) -> None:
    _, out, _ = street
    done = _replayed(out)
    assert done.difference is None, done.difference.sentence()
    print(done)
