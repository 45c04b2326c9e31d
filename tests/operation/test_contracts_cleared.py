"""Contracts in a running site: served first, settled, told to both parties only, replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.operation import audit, contracts
from grid.store import control, invoices, log
from grid.store import market as stored
from tests.operation.contract_street import (
    DAY_S,
    NOW,
    TEXT,
    agreed,
    do,
    lives,
    propose,
    trades,
)
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.ordered_street import replayed
from tests.operation.replay_site import altered, rewritten
from trading import verify
from trading.accounts import PostingKind, party_account
from trading.ledger.commitment import Opening
from trading.ledger.entry import decode


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Month]:
    """A street in the last hour of a day, where contracts hold."""
    made = begin(tmp_path / "site", TEXT, NOW, 120, seed=3)
    yield made
    made.room.signer.close()


def test_a_contract_is_served_first_from_its_day_on_at_its_price_and_settled_at_it(
    street: Month,
) -> None:
    agreed(street)
    lives(street)
    # All of it is auctioned the evening before: P-4 bids most, P-2 gets what is left.
    assert trades(street, DAY_S - STEP_S) == [
        ("UP-2", "UP-1", 50, 60_000),
        ("UP-4", "UP-1", 50, 60_000),
    ]
    # 60 Wh of 100 by contract; of what is left P-4 alone bids enough: 40 Wh at its limit.
    assert trades(street, DAY_S) == [
        ("UP-2", "UP-1", 60, 70_000),
        ("UP-4", "UP-1", 40, 65_000),
    ]
    with street.room.store.read() as tx:
        lines = [line for _, _, line in stored.postings(tx, start_s=DAY_S)]
        assert audit.compare(tx, street.site.time_zone) == []
    bought = [
        (line.energy_wh, line.price, line.amount_nano)
        for line in lines
        if line.kind is PostingKind.PURCHASE and line.debit == party_account("P-2")
    ]
    assert bought == [(60, 70_000, 60 * 70_000)]


def test_the_auctions_price_is_not_published_where_too_few_traded_at_it(tmp_path: Path) -> None:
    street = begin(
        tmp_path / "site", TEXT.replace("minimum_group = 1", "minimum_group = 2"), NOW, 40, seed=3
    )
    for buyer, seller, wh in (("P-2", "P-1", 50), ("P-4", "P-3", 50)):
        number = propose(street, buyer, counterparty=seller, energy_wh=wh).contract.id
        do(street, contracts.accept, number, seller)
    for at_s in range(NOW, DAY_S, STEP_S):
        for party, side, price, wh in (
            ("P-1", "sell", "0.050", 50),
            ("P-2", "buy", "0.060", 50),
            ("P-3", "sell", "0.050", 90),
            ("P-4", "buy", "0.060", 50),
            ("P-5", "buy", "0.070", 40),
        ):
            street.order(party, at_s, at_s + 2 * STEP_S, side, price, wh)
        street.cycle(at_s)
    with street.room.store.read() as tx:
        before, after = (
            json.loads(row["summary"]) for row in stored.clearings(tx, DAY_S - STEP_S, DAY_S + 1)
        )
    street.room.signer.close()
    assert (before["price"], before["volume_wh"]) == ("0.0550", 140)
    # Two sold and three bought, but P-5 alone bought of P-3 in the auction.
    assert (after["price"], after["volume_wh"]) == (None, 140)


def test_a_share_is_of_what_the_seller_offers_and_contracts_are_served_as_they_were_accepted(
    street: Month,
) -> None:
    late = propose(street, "P-4", energy_wh=90, price="0.080").contract.id
    early = propose(street, energy_wh=None, share_percent=30).contract.id
    for number in (early, late):
        do(street, contracts.accept, number, "P-1")
    lives(street, 6)
    assert trades(street, DAY_S) == [
        ("UP-2", "UP-1", 30, 70_000),
        ("UP-4", "UP-1", 50, 80_000),
        ("UP-2", "UP-1", 20, 60_000),
    ]


def test_a_replay_derives_the_clearing_with_contracts_and_names_one_dropped_or_altered(
    street: Month, tmp_path: Path
) -> None:
    number = agreed(street)
    lives(street, 8)
    out = tmp_path / "out"
    audit.export(street.room.store, out, openings=True)
    done = replayed(out)
    assert (done.difference, done.stopped) == (None, None)
    assert done.derived["trades"] == sum(len(trades(street, NOW + n * STEP_S)) for n in range(2, 9))

    def both(price: str) -> Any:
        def apply(entry, openings: list[Opening]):
            return entry.body, [
                type(one)(one.label, one.salt, {**one.payload, "price": price})
                if one.label.kind == "contract"
                else one
                for one in openings
            ]

        return apply

    rewritten(street.site, out, tmp_path / "both", both("71000"))
    found = replayed(tmp_path / "both").difference
    assert found is not None
    assert (found.kind, found.interval) == ("clearing", interval.label(DAY_S))
    assert (found.value, found.derived) == ("70000", "71000")

    one, _ = altered("contract", lambda one: True, lambda told: told.update(price="71000"))
    rewritten(street.site, out, tmp_path / "one", one)
    found = replayed(tmp_path / "one").difference
    assert found is not None
    assert f"contract {number}-" in found.what
    assert found.what.endswith(" price")

    def dropped(entry, openings: list[Opening]):
        body = dict(entry.body)
        if body.get("action") == "contract.accept":
            return {"action": "limits.set"}, []
        return body, openings

    rewritten(street.site, out, tmp_path / "none", dropped)
    found = replayed(tmp_path / "none").difference
    assert found is not None
    assert (found.kind, found.interval) == ("clearing", interval.label(DAY_S))

    def unsaid(entry, openings: list[Opening]):
        body = dict(entry.body)
        return body, openings[:1] if body.get("action") == "contract.accept" else openings

    rewritten(street.site, out, tmp_path / "half", unsaid)
    (tmp_path / "half" / "openings.jsonl").unlink()
    found = replayed(tmp_path / "half").difference
    assert found is not None
    assert (found.what, found.value, found.derived) == ("commitments", "1", "2")


def test_the_ledger_tells_nobody_in_clear_who_contracts_with_whom(street: Month) -> None:
    number = agreed(street)
    do(street, contracts.end, number, "P-2")
    with street.room.store.read() as tx:
        bodies = [decode(content).body for content in log.entries(tx)]
        actions = control.actions(tx)
        told = [str(row["content"]) for row in log.openings(tx) if '"contract"' in row["content"]]
    said = [body for body in bodies if str(body.get("action", "")).startswith("contract.")]
    assert [body["action"] for body in said] == [
        "contract.propose",
        "contract.accept",
        "contract.end",
    ]
    assert all(set(body) == {"action", "commitments"} for body in said)
    assert [len(body["commitments"]) for body in said] == [1, 2, 2]
    acts = [row for row in actions if row["kind"].startswith("contract.")]
    assert {(row["kind"], row["subject"]) for row in acts} == {
        ("contract.propose", "P-2"),
        ("contract.accept", "P-1"),
        ("contract.end", "P-2"),
    }
    assert len(told) == 4


def test_a_day_of_contract_stands_on_the_statements_and_ends_with_its_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TEXT.replace("final_after_intervals = 32", "final_after_intervals = 8").replace(
        "invoice_after_days = 1", "invoice_after_days = 0"
    )
    begun_s = interval.parse("2026-06-29T23:00+04:00")
    july_s = interval.parse("2026-07-01T00:00+04:00")
    street = begin(tmp_path / "site", text, begun_s, 130, seed=3)
    number = propose(street, at_s=begun_s, first=date(2026, 6, 30)).contract.id
    do(street, contracts.accept, number, "P-1", at_s=begun_s)
    do(street, contracts.end, number, "P-2", at_s=begun_s)
    lives(street, 116, begun_s)
    assert trades(street, july_s - STEP_S)[0] == ("UP-2", "UP-1", 60, 70_000)
    assert ("UP-2", "UP-1", 60, 70_000) not in trades(street, july_s)
    assert trades(street, july_s)
    with street.room.store.read() as tx:
        made = {one.party: one.document for one in invoices.invoices(tx, month="2026-06")}
    for party, kind, sign in (("P-2", "purchase", 1), ("P-1", "sale", -1)):
        (line,) = [
            one
            for one in made[party]["lines"]
            if one["kind"] == kind and one["price_per_kwh"] == "0.0700"
        ]
        # 96 intervals of 60 Wh at 0.07 per kWh: 5760 Wh for 0.4032.
        assert (abs(line["energy_wh"]), Decimal(line["amount"])) == (5760, sign * Decimal("0.4032"))
    # What it would have been without trading is metered, whatever was agreed on: 0.090 in the
    # first block, 0.050 for what is fed in, the fee of 1.00.
    took_wh, gave_wh = street.truth[2, :100].sum(axis=0).tolist()
    otherwise = Decimal(took_wh * 90_000 - gave_wh * 50_000) / 10**9 + 1
    assert Decimal(made["P-2"]["without_trading"]) == otherwise
    _, key = audit.export(street.room.store, tmp_path / "out", openings=True)
    done = replayed(tmp_path / "out")
    assert (done.difference, done.stopped, done.derived["statements"]) == (None, None, 5)
    street.room.signer.close()
    assert verify.main([str(tmp_path / "out"), "--key", key, "--openings"]) == 0
    capsys.readouterr()

    def elsewhere(payload: dict[str, Any]) -> None:
        payload["price"] = "71000"
        payload["amount_nano"] = str(int(payload["energy_wh"]) * 71_000)

    apply, found = altered(
        "posting", lambda one: one.payload["kind"] in ("purchase", "sale"), elsewhere
    )
    key = rewritten(street.site, tmp_path / "out", tmp_path / "other", apply)
    assert verify.main([str(tmp_path / "other"), "--key", key, "--openings"]) == 1
    assert "0.071000 per kWh, at which nothing was traded" in capsys.readouterr().out
    assert len(found) == 1
