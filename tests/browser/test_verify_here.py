"""The verifier in the auditor's browser believes the key it is given, never the server."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect

from grid.console.web import create_app
from grid.store import Store, log
from trading.ledger import checkpoint, entry, merkle, note, rotation

pytestmark = pytest.mark.browser

Enter = Callable[..., Any]
COUNT = 600
"""Entries after the village's own are added: two full tiles and a rest."""

REPLACED = 300
"""The entry that replaces the log's key."""


def _second() -> note.Signer:
    return note.signer("khazri/village", bytes(range(2, 34)))


def _lengthen(store: Store, signer: note.Signer) -> list[str]:
    """Append entries, replace the key among them; return checkpoints of 300 and of all."""
    with store.write() as tx:
        one = entry.decode(log.last_content(tx) or b"")
        leaves = log.leaf_hashes(tx)
        notes: list[str] = []
        for sequence in range(len(leaves), COUNT):
            kind, body = entry.Kind.PLAN, {"note": sequence, "text": "Xəzri \u2028 \U0001f300"}
            if sequence == REPLACED:
                new = _second().key
                before = one.leaf_hash
                signed = rotation.statement(signer.key.name, sequence, before, new.encode())
                kind, body = entry.Kind.KEY, rotation.body(new, signer.sign_bytes(signed))
            one = entry.following(one, kind, "2026-05-27T10:00Z", body)
            leaves.append(one.leaf_hash)
            log.append(
                tx, sequence=sequence, kind=str(kind), label=one.interval, cycle_s=0,
                content=one.encode(), leaf_hash=one.leaf_hash,
            )  # fmt: skip
            if sequence + 1 in (REPLACED, COUNT):
                who = signer if sequence < REPLACED else _second()
                head = checkpoint.Checkpoint(who.key.name, sequence + 1, merkle.root(leaves))
                notes.append(checkpoint.sign(head, who))
                log.put_checkpoint(tx, sequence + 1, sequence, notes[-1])
    return notes


@pytest.fixture(scope="module")
def village() -> Any:
    """The made-up village."""
    return sys.modules["khazri_console_village"]


@pytest.fixture(scope="module")
def lengthened(tmp_path_factory: pytest.TempPathFactory, village: Any) -> tuple[Path, list[str]]:
    """A folder with a log of some tiles, and checkpoints of it that an auditor kept."""
    folder = tmp_path_factory.mktemp("log")
    village.fill(folder)
    store = Store.at(folder)
    notes = _lengthen(store, village.SIGNER)
    store.close()
    return folder, notes


@pytest.fixture
def store(lengthened: tuple[Path, list[str]], tmp_path: Path) -> Iterator[Store]:
    """A copy of the store, to be damaged."""
    origin = Store.at(lengthened[0])
    with origin.write() as tx:
        tx.exec_driver_sql("SELECT 1")
    origin.close()
    for file in lengthened[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    opened = Store.at(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def address(
    store: Store, tmp_path: Path, village: Any, served: Callable[[Flask], AbstractContextManager[str]]
) -> Iterator[str]:
    """The address of the console on the copy."""
    app = create_app(f"sqlite:///{tmp_path / 'khazri.sqlite3'}", village.SITE, directory=tmp_path)
    with served(app) as at:
        yield at


@pytest.fixture
def page(enter: Enter) -> Any:
    """The auditor's page of the ledger."""
    return enter("auditor")


def _verify(page: Any, key: str, earlier: str = "") -> Any:
    page.get_by_label("Verifier key you were given").fill(key)
    if earlier:
        page.get_by_text("A checkpoint you saw earlier").click()
        page.get_by_label("Earlier checkpoint").fill(earlier)
    page.get_by_role("button", name="Verify here").click()
    return _verdict(page)


def _verdict(page: Any) -> Any:
    verdict = page.locator("[data-part=verdict]")
    expect(verdict).to_have_class(re.compile("good|bad"), timeout=15_000)
    return verdict


def _edit(store: Store, statement: str) -> None:
    with store.write() as tx:
        assert tx.exec_driver_sql(statement).rowcount >= 1


def _flip(store: Store, sequence: int, at: int) -> None:
    """Flip the lowest bit of one byte of an entry."""
    with store.write() as tx:
        row = log.entry_row(tx, sequence)
        assert row
        content = bytearray(row["content"])
        content[at] ^= 1
        tx.exec_driver_sql(
            "UPDATE ledger_entry SET content = ? WHERE sequence = ?", (bytes(content), sequence)
        )


def test_a_sound_log_is_green_past_a_replaced_key_and_an_earlier_checkpoint(
    page: Any, village: Any, lengthened: tuple[Path, list[str]]
) -> None:
    assert page.get_by_label("Verifier key you were given").input_value() == ""
    verdict = _verify(page, village.SIGNER.key.encode(), lengthened[1][0])
    expect(verdict).to_contain_text("✓ VERIFIED: all 600 entries of khazri/village")
    expect(verdict).to_contain_text("earlier checkpoint of 300 entries is a prefix")
    expect(verdict).to_contain_text("replaced 1 times")
