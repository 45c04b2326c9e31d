"""Replay of a ledger: every price, trade, posting and statement is derived again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grid.console.cli import main
from grid.operation import audit, ordering
from grid.store import books, control, market
from tests.operation import replay_site
from tests.operation.month_site import STEP_S, Month
from tests.operation.replay_site import altered, rewritten
from trading.ledger import note
from trading.ledger.commitment import Opening
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records

Street = tuple[Month, Path, str]


def _street(name: str, folder: Path) -> Street:
    lived = replay_site.lived(folder / "site", name)
    _, key = audit.export(lived.room.store, folder / "out", openings=True)
    return lived, folder / "out", key


@pytest.fixture(scope="module")
def auction(tmp_path_factory: pytest.TempPathFactory) -> Street:
    """The street that trades ahead, its ledger opened, and the key."""
    return _street("auction", tmp_path_factory.mktemp("auction"))


@pytest.fixture(scope="module", params=list(replay_site.STREETS))
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Street:
    """Each street after the end of a month."""
    if request.param == "auction":
        return request.getfixturevalue("auction")
    return _street(request.param, tmp_path_factory.mktemp(request.param))


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status = main(["ledger", "replay", *map(str, arguments), "--json"])
    out = capsys.readouterr().out.strip()
    return status, json.loads(out) if out else {}


def test_replay_reproduces_every_entry(street: Street, capsys: pytest.CaptureFixture[str]) -> None:
    lived, out, key = street
    status, facts = _run(capsys, out, "--key", key, "--openings")
    assert (status, facts["difference"], facts["reproduced"]) == (0, None, True)
    with lived.room.store.read() as tx:
        posted = len(market.postings(tx))
        rows = market.rows(tx)
    closing = facts["checked"]["invoice"] and sum(
        1 for line in (out / "openings.jsonl").read_bytes().splitlines() if b'"invoice-' in line
    )
    assert facts["derived"]["postings"] + closing == posted
    assert facts["derived"]["statements"] == 6
    assert facts["derived"].get("trades", 0) == len(rows["trade"])
    assert facts["checked"]["correction"] > 20


def test_without_openings_what_is_public_is_checked_and_that_is_said(
    street: Street, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lived, _, key = street
    audit.export(lived.room.store, tmp_path / "public")
    status, facts = _run(capsys, tmp_path / "public", "--key", key)
    assert (status, facts["reproduced"], facts["derived"]) == (0, False, {})
    assert facts["stopped"] == 1
    assert "are not opened" in facts["why"]
    assert sum(facts["checked"].values()) == facts["size"]
    assert main(["ledger", "replay", str(tmp_path / "public"), "--key", key]) == 0
    assert "NO DIFFERENCE in what is public" in capsys.readouterr().out
    assert _run(capsys, tmp_path / "public", "--key", key, "--openings")[0] == 1


def _raised(payload: dict[str, Any]) -> None:
    """Let a seller ask for more than anybody paid."""
    payload["price"] = "90000"


def _one_more(payload: dict[str, Any]) -> None:
    payload["import_wh"] += 1


def _dearer(payload: dict[str, Any]) -> None:
    payload["price"] = str(int(payload["price"]) + 100)
    payload["amount_nano"] = str(int(payload["energy_wh"]) * int(payload["price"]))


def _by(payload: dict[str, Any]) -> None:
    payload["total"] = "1.00"


def _greener(payload: dict[str, Any]) -> None:
    payload["origin"]["local_wh"] += 1


def _for_another(payload: dict[str, Any]) -> None:
    payload["party"] = "P-2"


def _of_seller(one: Opening) -> bool:
    return one.payload["side"] == "sell" and one.payload["usage_point"] == "UP-1"


def _of_supply(one: Opening) -> bool:
    return one.payload["kind"] == "supply"


@pytest.mark.parametrize(
    ("kind", "which", "change", "entry", "what"),
    [
        ("order", _of_seller, _raised, "clearing", "order P-"),
        ("order", _of_seller, _for_another, "book", "order P-1-"),
        ("reading", lambda one: one.label.subject == "UP-2", _one_more, "settlement", "posting"),
        ("posting", _of_supply, _dearer, "settlement", "posting"),
        ("agreement", lambda one: one.label.subject[0] == "2", _for_another, "book", "order"),
        ("invoice", lambda one: one.payload["party"] == "P-4", _by, "invoice", "total"),
        ("invoice", lambda one: one.payload["party"] == "P-2", _greener, "invoice", "origin"),
    ],
    ids=["order", "order of another", "reading", "posting", "agreement", "invoice", "origin"],
)
def test_one_altered_fact_is_named(
    auction: Street,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    which: Callable[[Opening], bool],
    change: Callable[[dict[str, Any]], None],
    entry: str,
    what: str,
) -> None:
    lived, out, _ = auction
    apply, found = altered(kind, which, change)
    key = rewritten(lived.site, out, tmp_path / "out", apply)
    assert len(found) == 1
    status, facts = _run(capsys, tmp_path / "out", "--key", key)
    assert status == 1
    difference = facts["difference"]
    assert difference["kind"] == entry
    assert what in difference["what"]
    assert difference["value"] != difference["derived"]
    if kind != "agreement":
        assert difference["interval"] == found[0].label.interval
    if change is _by:
        assert (difference["value"], difference["what"]) == ("1.00", "invoice 2026-06-0004 total")


def test_an_altered_rule_an_exchanged_name_and_a_price_of_its_own_are_named(
    auction: Street, tmp_path: Path
) -> None:
    lived, out, _ = auction
    done = _replayed(out)
    assert done.difference is None

    def dearer(entry, openings):
        body = json.loads(json.dumps(entry.body))
        if "terms" in body:
            body["terms"]["tariff"][0]["block"][0]["price"] = "85"
        return body, openings

    rewritten(lived.site, out, tmp_path / "rule", dearer)
    found = _replayed(tmp_path / "rule").difference
    assert found is not None
    assert (found.kind, found.what) == ("settlement", "posting 0 amount_nano")

    def published(entry, openings):
        body = dict(entry.body)
        if entry.kind == "clearing" and body["price"]:
            body["price"] = "0.0999"
        return body, openings

    rewritten(lived.site, out, tmp_path / "price", published)
    found = _replayed(tmp_path / "price").difference
    assert found is not None
    assert (found.kind, found.what) == ("clearing", "public price")
    assert found.value == "0.0999"

    names: list[str] = []

    def exchanged(entry, openings):
        made = []
        for one in openings:
            payload = dict(one.payload)
            for side in ("debit", "credit"):
                name = str(payload.get(side, ""))
                if name.startswith("p-") and name not in names:
                    names.append(name)
                if len(names) > 3 and name in names[:2] and entry.sequence > 100:
                    payload[side] = names[1 - names.index(name)]
            made.append(replay_site.replace(one, payload=payload))
        return entry.body, made

    rewritten(lived.site, out, tmp_path / "name", exchanged)
    found = _replayed(tmp_path / "name").difference
    assert found is not None
    assert "posting" in found.what
    assert found.value in names[:2]


@pytest.mark.parametrize("month", ["2026-05", "2026-06", "2999-01"])
def test_what_came_late_cannot_be_hidden_on_a_statement_nobody_gets(
    auction: Street, tmp_path: Path, month: str
) -> None:
    lived, out, _ = auction
    billed: list[int] = []
    done: list[int] = []

    def moved(entry, openings):
        billed.extend([entry.sequence] if "invoices" in entry.body else [])
        if entry.body.get("state") != "late" or not openings or not billed:
            return entry.body, openings
        done.append(entry.sequence)
        made = [
            replay_site.replace(one, payload={**one.payload, "month": month}) for one in openings
        ]
        return entry.body, made

    rewritten(lived.site, out, tmp_path / "out", moved)
    found = _replayed(tmp_path / "out").difference
    assert found is not None
    assert (found.what, found.value, found.sequence) == ("month", month, done[0])


def _without(kind: str, number: int = 0) -> Callable[..., Any]:
    """Return a change that moves what an entry of a kind says to the wrong place."""

    def apply(entry, openings):
        body = dict(entry.body)
        if entry.kind == kind:
            apply.met += 1
            if apply.met == 5 and kind == "book":
                body["by"] = "agents"
            if apply.met == 9 and kind == "settlement":
                body["version"] = 3
            if kind == "invoice" and "invoices" in body:
                body["month"] = "2026-07"
            if apply.met == 5 and kind == "readings":
                body["usage_points"] = 99
        return body, []

    apply.met = 0
    return apply


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("book", "clearing"),
        ("settlement", "settlement"),
        ("readings", "readings"),
        ("invoice", "invoice"),
    ],
)
def test_in_public_what_does_not_follow_is_named(
    auction: Street, tmp_path: Path, kind: str, named: str
) -> None:
    lived, out, _ = auction

    def apply(entry, openings):
        body, _ = change(entry, openings)
        return body, openings

    change = _without(kind)
    rewritten(lived.site, out, tmp_path / "out", apply)
    (tmp_path / "out" / "openings.jsonl").unlink()
    found = _replayed(tmp_path / "out").difference
    assert found is not None
    assert found.kind == named, found.sentence()


def _receipted(street: Month) -> tuple[str, str]:
    """Return the receipt of the first order of a member, and the order."""
    with street.room.store.read() as tx:
        row = next(row for row in market.rows(tx)["market_order"] if row["party"] == "P-1")
        kept = books.party_order(tx, "P-1", row["id"])
        return ordering.receipt(tx, kept.order), row["id"]


def test_a_dropped_order_is_proved_by_its_receipt_and_a_kept_one_is_told(
    auction: Street, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lived, out, key = auction
    text, order = _receipted(lived)
    receipt = tmp_path / "receipt"
    receipt.write_text(text)
    status, facts = _run(capsys, out, "--key", key, "--receipt", receipt)
    assert (status, facts["receipt"]["order"], facts["receipt"]["kept"]) == (0, order, True)

    dropped: list[int] = []

    def drop(entry, openings):
        body = dict(entry.body)
        left = [one for one in openings if (one.label.kind, one.label.subject) != ("order", order)]
        if len(left) < len(openings):
            dropped.append(entry.sequence)
            body["orders"] -= 1
        return body, left

    key = rewritten(lived.site, out, tmp_path / "out", drop)
    assert len(dropped) == 1
    arguments = [tmp_path / "out", "--key", key, "--receipt", receipt]
    status, facts = _run(capsys, *arguments)
    assert (status, facts["verified"]) == (1, False)
    told = {"order": order, "entry": dropped[0], "kept": False}
    assert told.items() <= facts["receipt"].items()
    assert facts["entry"]["sequence"] == dropped[0]
    assert main(["ledger", "verify", *map(str, arguments)]) == 1
    said = capsys.readouterr().out
    assert order in said
    assert f"entry {dropped[0]} book" in said
    assert "the book lacks it" in said


def test_a_changed_order_breaks_its_promise_and_a_receipt_of_another_key_proves_nothing(
    auction: Street, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lived, out, key = auction
    text, order = _receipted(lived)
    receipt = tmp_path / "receipt"
    receipt.write_text(text)
    apply, found = altered("order", lambda one: one.label.subject == order, _raised)
    rewritten(lived.site, out, tmp_path / "out", apply)
    status, facts = _run(capsys, tmp_path / "out", "--key", key, "--receipt", receipt)
    assert (status, facts["receipt"]["kept"], len(found)) == (1, False, 1)

    body = text.split("\n\n")[0] + "\n"
    forged = note.sign(body, [note.signer("khazri/street/receipts", bytes(32))])
    receipt.write_text(forged)
    status, facts = _run(capsys, out, "--key", key, "--receipt", receipt)
    assert status == 1
    assert "proves nothing" in facts["reason"]
    assert "receipt" not in facts
    receipt.write_text(text.replace(order, f"{order}0"))
    status, facts = _run(capsys, out, "--key", key, "--receipt", receipt)
    assert status == 1
    assert "proves nothing" in facts["reason"]
    receipt.write_text("anything")
    assert _run(capsys, out, "--key", key, "--receipt", receipt)[0] == 2


def test_a_wrong_key_a_wrong_policy_and_a_key_file_within_the_export_are_refused(
    auction: Street, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lived, out, key = auction
    other = note.signer("khazri/street", bytes(32)).key.encode()
    status, facts = _run(capsys, out, "--key", other)
    assert status == 1
    assert "is not signed by the key given" in facts["reason"]
    witness = note.signer("grid.example", bytes(32), note.COSIGNATURE).key.encode()
    policy = tmp_path / "policy"
    policy.write_text(f"witness grid {witness}\nquorum grid\n")
    status, facts = _run(capsys, out, "--key", key, "--policy", policy)
    assert status == 1
    assert "quorum" in facts["reason"]

    def same(entry, openings):
        return entry.body, openings

    rewritten(lived.site, out, tmp_path / "out", same)
    assert _run(capsys, tmp_path / "out", "--key", key)[0] == 0
    (tmp_path / "out" / "key").write_text(key)
    status, facts = _run(capsys, tmp_path / "out", "--key", tmp_path / "out" / "key")
    assert (status, facts["file"]) == (1, "key")
    assert facts["reason"] == "is no file of this log"


def test_a_promise_whose_book_is_not_sealed_yet_is_neither_kept_nor_broken(
    auction: Street, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lived, out, key = auction
    with lived.room.store.read() as tx:
        at_s = control.clock_s(tx)
    start_s = at_s + 4 * STEP_S
    lived.order("P-4", at_s, start_s, "buy", "0.060", 10)
    with lived.room.store.read() as tx:
        kept = books.party_order(tx, "P-4", f"P-4-{start_s}")
        assert kept is not None
        text = ordering.receipt(tx, kept.order)
    (tmp_path / "receipt").write_text(text)
    status, facts = _run(capsys, out, "--key", key, "--receipt", tmp_path / "receipt")
    assert (status, facts["entry"]) == (1, None)
    assert "is not sealed yet" in facts["reason"]
    assert "receipt" not in facts
