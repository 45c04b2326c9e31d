"""The verifier in the auditor's browser believes the key it is given, never the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect

from grid.console.web import create_app
from grid.store import Store, log
from tests.console import village
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
def lengthened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
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
    store: Store,
    tmp_path: Path,
    served: Callable[[Flask], AbstractContextManager[str]],
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
    page: Any, lengthened: tuple[Path, list[str]]
) -> None:
    assert page.get_by_label("Verifier key you were given").input_value() == ""
    verdict = _verify(page, village.SIGNER.key.encode(), lengthened[1][0])
    expect(verdict).to_contain_text("✓ VERIFIED: all 600 entries of khazri/village")
    expect(verdict).to_contain_text("earlier checkpoint of 300 entries is a prefix")
    expect(verdict).to_contain_text("each signed by the key before: 1.")


def test_a_flipped_byte_of_an_entry_is_red_and_names_it(page: Any, store: Store) -> None:
    for sequence, at, kind in ((0, 30, ""), (100, 0, "plan"), (255, -3, ""), (300, 200, "key")):
        _flip(store, sequence, at)
        verdict = _verify(page, village.SIGNER.key.encode())
        expect(verdict).to_contain_text("◆ NOT VERIFIED")
        expect(verdict).to_contain_text(f"Entry {sequence}, {kind}")
        _flip(store, sequence, at)
    _flip(store, 599, 60)
    expect(_verify(page, village.SIGNER.key.encode())).to_contain_text("Entry 599, plan")


def test_a_rewritten_entry_is_named_by_the_chain_and_other_damage_by_its_file(
    page: Any, store: Store
) -> None:
    key = village.SIGNER.key.encode()
    _flip(store, 400, 12)
    with store.write() as tx:
        row = log.entry_row(tx, 400)
        assert row
        leaf = merkle.leaf_hash(bytes(row["content"]))
        before = bytes(row["leaf_hash"])
        tx.exec_driver_sql("UPDATE ledger_entry SET leaf_hash = ? WHERE sequence = 400", (leaf,))
    verdict = _verify(page, key)
    expect(verdict).to_contain_text("Entry 400, plan")
    _flip(store, 400, 12)
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE ledger_entry SET leaf_hash = ? WHERE sequence = 400", (before,))
    expect(_verify(page, key)).to_contain_text("✓ VERIFIED")
    _edit(store, "UPDATE tile_hash SET hash = zeroblob(32) WHERE level = 1 AND number = 1")
    expect(_verify(page, key)).to_contain_text("Hash 1 of tile/1/000.p/2")


def test_an_entry_rewritten_with_all_that_follows_is_not_the_signed_root(
    page: Any, store: Store
) -> None:
    with store.write() as tx:
        one = entry.decode(log.last_content(tx) or b"")
        forged = entry.Entry(599, one.previous, one.kind, one.interval, {"note": 0})
        tx.exec_driver_sql(
            "UPDATE ledger_entry SET content = ?, leaf_hash = ? WHERE sequence = 599",
            (forged.encode(), forged.leaf_hash),
        )
    verdict = _verify(page, village.SIGNER.key.encode())
    expect(verdict).to_contain_text("The 600 entries do not have the signed root")


def test_another_key_is_red_and_the_servers_verdict_does_not_help(page: Any, store: Store) -> None:
    other = note.signer("khazri/village", bytes(range(3, 35))).key.encode()
    expect(_verify(page, other)).to_contain_text("The log was not begun with your key")
    expect(_verify(page, _second().key.encode())).to_contain_text("not begun with your key")
    foreign = note.signer("khazri/elsewhere", bytes(32)).key.encode()
    expect(_verify(page, foreign)).to_contain_text("is of the log khazri/village")
    changed = village.SIGNER.key.encode().replace("+", "+0", 1)
    expect(_verify(page, changed)).to_contain_text("The ID of this key must be")


def test_a_log_signed_anew_by_whoever_holds_the_store_is_red(page: Any, store: Store) -> None:
    thief = note.signer("khazri/village", bytes(range(3, 35)))
    with store.write() as tx:
        head = checkpoint.Checkpoint("khazri/village", 600, merkle.root(log.leaf_hashes(tx)))
        log.put_note(tx, 600, checkpoint.sign(head, thief))
    verdict = _verify(page, village.SIGNER.key.encode())
    expect(verdict).to_contain_text("checkpoint is not signed by your key")


def test_a_log_cut_off_or_forked_is_red_with_an_earlier_checkpoint(
    page: Any, store: Store, lengthened: tuple[Path, list[str]]
) -> None:
    key = village.SIGNER.key.encode()
    forged = checkpoint.Checkpoint("khazri/village", 300, bytes(32))
    fork = checkpoint.sign(forged, village.SIGNER)
    expect(_verify(page, key, fork)).to_contain_text("of another history")
    with store.write() as tx:
        tx.exec_driver_sql("DELETE FROM ledger_entry WHERE sequence >= 300")
        tx.exec_driver_sql("DELETE FROM tile_hash WHERE number > 0")
        tx.exec_driver_sql("DELETE FROM checkpoint WHERE size > 300")
    page.reload()
    expect(_verify(page, key)).to_contain_text("✓ VERIFIED: all 300 entries")
    page.reload()
    expect(_verify(page, key, lengthened[1][1])).to_contain_text("600: it was cut off")


def test_one_entry_is_checked_from_the_bytes_shown(page: Any, store: Store) -> None:
    key = village.SIGNER.key.encode()
    for sequence in (5, 599):
        page.goto(f"/audit/entries/{sequence}")
        page.get_by_label("Verifier key you were given").fill(key)
        page.keyboard.press("Enter")
        verdict = _verdict(page)
        expect(verdict).to_contain_text(f"✓ VERIFIED: entry {sequence} is in the 600 entries")
    _flip(store, 599, -1)
    page.reload()
    page.get_by_label("Verifier key you were given").fill(key)
    page.keyboard.press("Enter")
    expect(_verdict(page)).to_contain_text("Its bytes do not lead to the signed root")
    page.goto("/audit/entries/5")
    page.get_by_label("Verifier key you were given").fill(_second().key.encode())
    page.keyboard.press("Enter")
    expect(_verdict(page)).to_contain_text("◆ NOT VERIFIED")


def test_the_key_is_kept_when_asked_and_a_browser_without_ed25519_is_told(enter: Enter) -> None:
    page = enter("auditor", width=390)
    page.get_by_label("Remember it").check()
    expect(_verify(page, village.SIGNER.key.encode())).to_contain_text("✓ VERIFIED")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.add_init_script(
        "SubtleCrypto.prototype.importKey = () => Promise.reject(new Error('NotSupportedError'))"
    )
    page.reload()
    field = page.get_by_label("Verifier key you were given")
    assert field.input_value() == village.SIGNER.key.encode()
    page.get_by_role("button", name="Verify here").click()
    expect(_verdict(page)).to_contain_text("Chrome and Edge can from version 137")
    page.get_by_label("Remember it").uncheck()
    page.reload()
    assert field.input_value() == ""


def test_a_log_with_what_is_no_canonical_json_is_red(page: Any) -> None:
    good = [b'{"a":1}', '{"\u20ac":"\u2028\\n"}'.encode(), b'{"__proto__":1}', b'{"1":0,"a":[]}']
    bad = [
        b'{"a":1,"a":1}', b'{"b":1,"a":1}', b'{"a":1.0}', b'{"a":-0}', b'{"a": 1}', b'{"a":1e2}',
        b'{"a":9007199254740992}', b'{"a":"\\u0041"}', b'{"a":"\\ud800"}', b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}', b"[" * 17 + b"]" * 17,
    ]  # fmt: skip
    script = Path(create_app.__code__.co_filename).parent / "static" / "verify.js"
    reasons = """(all) => { %s
        return all.map((bytes) => {
            try { parseEntry(Uint8Array.from(bytes)); }
            catch (error) { return error.report.reason; }
        }); }"""
    told = page.evaluate(reasons % script.read_text(), [list(one) for one in good + bad])
    assert told == ["members"] * len(good) + ["canonical"] * len(bad)
