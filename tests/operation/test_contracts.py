"""Bilateral contracts in a running site: agreed by two, served first, told to both, replayed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grid import interval, site_file
from grid.errors import BadInputError
from grid.operation import agreements, audit, contracts, market, tariffs
from grid.operation.contracts import Proposal
from grid.site import Tariff
from grid.site_tariff import TariffRate
from grid.store import contracts as kept
from grid.store import control, invoices, log
from grid.store import market as stored
from grid.store.contracts import KeptContract
from tests.operation.month_site import STEP_S, Month, begin
from tests.operation.replay_site import altered, rewritten
from tests.operation.test_month import BAKU
from trading import verify
from trading.accounts import PostingKind, party_account
from trading.agreements import Agreement, Terms
from trading.contracts import end_s, guaranteed_range
from trading.ledger.commitment import Opening
from trading.ledger.entry import decode
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records

ZONE = "Asia/Baku"
NOW = interval.parse("2026-06-23T23:00+04:00")
TODAY = date(2026, 6, 23)
DAY_S = interval.parse("2026-06-24T00:00+04:00")
TEXT = BAKU.replace('"uniform_price"', '"bilateral"').replace(
    "guaranteed = true", "guaranteed = false"
)


def _day(number: int) -> date:
    return TODAY + timedelta(days=number)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Month]:
    """A street in the last hour of a day, where contracts hold."""
    made = begin(tmp_path / "site", TEXT, NOW, 120, seed=3)
    yield made
    made.room.signer.close()


def _propose(street: Month, party: str = "P-2", at_s: int = NOW, **change: Any) -> KeptContract:
    facts = {"counterparty": "P-1", "side": "buy", "price": "0.070", "first": _day(1)}
    facts |= {"energy_wh": 60} | change
    with street.room.store.write() as tx:
        return contracts.propose(
            tx, street.site, Proposal(**facts), party=party, at_s=at_s, by="p@example.org"
        )


def _do(
    street: Month, act: Callable[..., KeptContract], number: int, party: str, at_s: int = NOW,
    **more: Any,
) -> KeptContract:  # fmt: skip
    with street.room.store.write() as tx:
        return act(tx, street.site, number, party=party, at_s=at_s, by="p@example.org", **more)


def _agreed(street: Month, **change: Any) -> int:
    number = _propose(street, **change).contract.id
    return _do(street, contracts.accept, number, "P-1").contract.id


def _lives(street: Month, cycles: int = 10, begun_s: int = NOW) -> None:
    """Run cycles in which P-1 sells, P-2 and P-4 buy, each interval the same."""
    for at_s in range(begun_s, begun_s + cycles * STEP_S, STEP_S):
        start_s = at_s + 2 * STEP_S
        street.order("P-1", at_s, start_s, "sell", "0.050", 100)
        street.order("P-2", at_s, start_s, "buy", "0.060", 80)
        street.order("P-4", at_s, start_s, "buy", "0.065", 50)
        street.cycle(at_s)


def _trades(street: Month, start_s: int) -> list[tuple[str, str, int, int]]:
    with street.room.store.read() as tx:
        return [
            (row["buyer"], row["seller"], row["energy_wh"], row["price"])
            for row in stored.trades(tx, start_s, start_s + 1)
        ]


def _replayed(folder: Path) -> Replayed:
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def test_a_contract_is_served_first_from_its_day_on_at_its_price_and_settled_at_it(
    street: Month,
) -> None:
    _agreed(street)
    _lives(street)
    # All of it is auctioned the evening before: P-4 bids most, P-2 gets what is left.
    assert _trades(street, DAY_S - STEP_S) == [
        ("UP-2", "UP-1", 50, 60_000),
        ("UP-4", "UP-1", 50, 60_000),
    ]
    # 60 Wh of 100 by contract; of what is left P-4 alone bids enough: 40 Wh at its limit.
    assert _trades(street, DAY_S) == [
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
        number = _propose(street, buyer, counterparty=seller, energy_wh=wh).contract.id
        _do(street, contracts.accept, number, seller)
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
    late = _propose(street, "P-4", energy_wh=90, price="0.080").contract.id
    early = _propose(street, energy_wh=None, share_percent=30).contract.id
    for number in (early, late):
        _do(street, contracts.accept, number, "P-1")
    _lives(street, 6)
    assert _trades(street, DAY_S) == [
        ("UP-2", "UP-1", 30, 70_000),
        ("UP-4", "UP-1", 50, 80_000),
        ("UP-2", "UP-1", 20, 60_000),
    ]


def test_a_replay_derives_the_clearing_with_contracts_and_names_one_dropped_or_altered(
    street: Month, tmp_path: Path
) -> None:
    number = _agreed(street)
    _lives(street, 8)
    out = tmp_path / "out"
    audit.export(street.room.store, out, openings=True)
    done = _replayed(out)
    assert (done.difference, done.stopped) == (None, None)
    assert done.derived["trades"] == sum(
        len(_trades(street, NOW + n * STEP_S)) for n in range(2, 9)
    )

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
    found = _replayed(tmp_path / "both").difference
    assert found is not None
    assert (found.kind, found.interval) == ("clearing", interval.label(DAY_S))
    assert (found.value, found.derived) == ("70000", "71000")

    one, _ = altered("contract", lambda one: True, lambda told: told.update(price="71000"))
    rewritten(street.site, out, tmp_path / "one", one)
    found = _replayed(tmp_path / "one").difference
    assert found is not None
    assert f"contract {number}-" in found.what
    assert found.what.endswith(" price")

    def dropped(entry, openings: list[Opening]):
        body = dict(entry.body)
        if body.get("action") == "contract.accept":
            return {"action": "limits.set"}, []
        return body, openings

    rewritten(street.site, out, tmp_path / "none", dropped)
    found = _replayed(tmp_path / "none").difference
    assert found is not None
    assert (found.kind, found.interval) == ("clearing", interval.label(DAY_S))

    def unsaid(entry, openings: list[Opening]):
        body = dict(entry.body)
        return body, openings[:1] if body.get("action") == "contract.accept" else openings

    rewritten(street.site, out, tmp_path / "half", unsaid)
    (tmp_path / "half" / "openings.jsonl").unlink()
    found = _replayed(tmp_path / "half").difference
    assert found is not None
    assert (found.what, found.value, found.derived) == ("commitments", "1", "2")


def test_the_ledger_tells_nobody_in_clear_who_contracts_with_whom(street: Month) -> None:
    number = _agreed(street)
    _do(street, contracts.end, number, "P-2")
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


def test_notice_ends_a_contract_from_the_day_after_tomorrow_on(street: Month) -> None:
    number = _agreed(street, last=_day(30))
    with pytest.raises(BadInputError, match="it ends from 2026-06-25 on"):
        _do(street, contracts.end, number, "P-1", day=_day(1))
    ended = _do(street, contracts.end, number, "P-1")
    assert ended.contract.until_s == DAY_S + interval.DAY_S
    assert ended.ended_by == "P-1"
    with pytest.raises(BadInputError, match="ends at 2026-06-24T20:00Z already"):
        _do(street, contracts.end, number, "P-2", day=_day(3))


def test_a_day_of_contract_stands_on_the_statements_and_ends_with_its_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TEXT.replace("final_after_intervals = 32", "final_after_intervals = 8").replace(
        "invoice_after_days = 1", "invoice_after_days = 0"
    )
    begun_s = interval.parse("2026-06-29T23:00+04:00")
    july_s = interval.parse("2026-07-01T00:00+04:00")
    street = begin(tmp_path / "site", text, begun_s, 130, seed=3)
    number = _propose(street, at_s=begun_s, first=date(2026, 6, 30)).contract.id
    _do(street, contracts.accept, number, "P-1", at_s=begun_s)
    _do(street, contracts.end, number, "P-2", at_s=begun_s)
    _lives(street, 116, begun_s)
    assert _trades(street, july_s - STEP_S)[0] == ("UP-2", "UP-1", 60, 70_000)
    assert ("UP-2", "UP-1", 60, 70_000) not in _trades(street, july_s)
    assert _trades(street, july_s)
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
    done = _replayed(tmp_path / "out")
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


def test_who_moves_out_has_no_contract_any_more_and_moving_in_again_brings_none_back(
    street: Month,
) -> None:
    _agreed(street)
    with street.room.store.write() as tx:
        agreements.move_out(tx, street.site, usage_point="UP-2", day=_day(2), by="clerk")
        held = agreements.store.listed(tx)
        (known,) = kept.accepted(tx, DAY_S)
    assert end_s(known, held) == DAY_S + interval.DAY_S
    again_s = DAY_S + 3 * interval.DAY_S
    terms = (Terms(again_s, held[0].terms[0].tariff),)
    back = Agreement(99, held[0].usage_point, known.buyer, again_s, None, terms)
    assert end_s(known, [*held, back]) == DAY_S + interval.DAY_S


def test_without_consent_to_trade_a_contract_ends(street: Month) -> None:
    _agreed(street)
    with street.room.store.write() as tx:
        agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=_day(3), by="clerk", trades=False
        )
        (known,) = kept.accepted(tx, DAY_S)
        assert end_s(known, agreements.store.listed(tx)) == DAY_S + 2 * interval.DAY_S


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"first": TODAY}, "it begins from the day after 2026-06-23 on"),
        ({"first": _day(401)}, "at most 400 days ahead"),
        ({"last": TODAY}, "its last day 2026-06-23 is before its first"),
        ({"counterparty": "P-2"}, "cannot contract with itself"),
        ({"counterparty": "P-99"}, "P-99 does not trade here"),
        ({"counterparty": "P-3"}, "P-3 does not trade here"),
        ({"counterparty": "a b"}, "party"),
        ({"side": "hold"}, "must be 'buy' or 'sell'"),
        ({"price": "-1"}, "must be within 0 to"),
        ({"price": "0.07001"}, "must be a multiple of"),
        ({"energy_wh": 0}, "must be within 1 to 5000"),
        ({"energy_wh": 5001}, "must be within 1 to 5000"),
        ({"share_percent": 10}, "either energy_wh or share_percent"),
        ({"energy_wh": None}, "either energy_wh or share_percent"),
        ({"energy_wh": None, "share_percent": 101}, "must be within 1 to 100"),
    ],
)
def test_what_is_no_contract_is_refused_with_why_and_nothing_is_kept(
    street: Month, change: dict[str, Any], told: str
) -> None:
    with street.room.store.write() as tx:
        agreements.change_terms(
            tx, street.site, usage_point="UP-3", day=_day(1), by="clerk", trades=False
        )
    with pytest.raises(BadInputError, match=told):
        _propose(street, **change)
    with street.room.store.read() as tx:
        assert kept.of_party(tx, "P-2") == []


def test_contracts_are_refused_where_the_mechanism_is_another_or_the_law_does_not_allow_them(
    tmp_path: Path,
) -> None:
    for name, text in (
        ("auction", TEXT.replace('"bilateral"', '"uniform_price"')),
        ("netting", TEXT.replace('"azerbaijan_sandbox"', '"azerbaijan"')),
    ):
        street = begin(tmp_path / name, text, NOW, 4, seed=3)
        with pytest.raises(BadInputError, match="contracts hold where the mechanism is bilateral"):
            _propose(street)


def test_where_losers_are_topped_up_a_contract_must_make_no_loss(tmp_path: Path) -> None:
    text = TEXT.replace("guaranteed = false", "guaranteed = true")
    street = begin(tmp_path / "site", text, NOW, 4, seed=3)
    # The cheapest supply is 0.090 from the 24th on, the grid fee 0.012; feeding in pays 0.050.
    for price in ("0.0781", "0.0499"):
        with pytest.raises(BadInputError, match=r"must be within 0\.05 to 0\.078 per kWh|0\.0500"):
            _propose(street, price=price)
    for price in ("0.0780", "0.0500"):
        assert _propose(street, price=price).waits


NEXT = """
[[tariff]]
id = "{id}"
name = "Next"
valid_from = {day}
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 0
price = "{price}"
"""


def _activate(street: Month, price: str, day: date, name: str = "home") -> None:
    new = tariffs.read(NEXT.format(id=name, day=day, price=price), "next.toml")
    with street.room.store.write() as tx:
        number = tariffs.propose(tx, street.site, new, "a@example.org").id
        tariffs.approve(tx, street.site, number, "b@example.org")


@pytest.fixture
def guaranteed(tmp_path: Path) -> Iterator[Month]:
    """A street where losses by trading are made good."""
    text = TEXT.replace("guaranteed = false", "guaranteed = true")
    made = begin(tmp_path / "guaranteed", text, NOW, 4, seed=3)
    yield made
    made.room.signer.close()


def test_a_proposal_that_a_cheaper_tariff_makes_a_loss_is_not_accepted(guaranteed: Month) -> None:
    number = _propose(guaranteed, price="0.0780", first=_day(3)).contract.id
    _activate(guaranteed, "0.070", _day(2))
    with pytest.raises(BadInputError, match="a contract must not make any"):
        _do(guaranteed, contracts.accept, number, "P-1")


def test_a_tariff_that_makes_a_standing_contract_a_loss_is_refused(guaranteed: Month) -> None:
    _agreed(guaranteed, price="0.0780", first=_day(3), last=_day(4))
    with pytest.raises(BadInputError, match="1 contracts that hold then have prices outside"):
        _activate(guaranteed, "0.070", _day(2))
    _activate(guaranteed, "0.070", _day(5))


def test_a_tariff_that_is_yet_to_begin_hinders_no_contract_before(guaranteed: Month) -> None:
    _activate(guaranteed, "0.120", _day(90), name="later")
    assert _propose(guaranteed, price="0.0780").waits


def test_a_dynamic_rate_counts_with_the_least_that_it_can_cost() -> None:
    rate = TariffRate("total", series="grid.buy", adder=100_000, cap=50_000)
    tariff = Tariff("dynamic", "Dynamic", 0, rate=(rate,))
    site = site_file.parse(TEXT)
    head = site.grid.price
    _, high = guaranteed_range(site.market, [tariff], TODAY, head)
    assert high == 50_000 - site.market.grid_fee
    free = replace(tariff, rate=(replace(rate, cap=None),))
    _, high = guaranteed_range(site.market, [free], TODAY, head)
    assert high == 100_000 + min(step.sell for step in head) - site.market.grid_fee


def test_only_the_other_party_accepts_and_a_third_one_finds_no_such_contract(
    street: Month,
) -> None:
    number = _propose(street).contract.id
    with pytest.raises(BadInputError, match="P-1 has to answer it, not P-2"):
        _do(street, contracts.accept, number, "P-2")
    for act in (contracts.accept, contracts.refuse, contracts.end):
        with pytest.raises(BadInputError, match=f"contract {number}: no such contract of P-4"):
            _do(street, act, number, "P-4")
    with pytest.raises(BadInputError, match="nothing to end"):
        _do(street, contracts.end, number, "P-1")
    with pytest.raises(BadInputError, match="it was to begin at 2026-06-23T20:00Z"):
        _do(street, contracts.accept, number, "P-1", at_s=DAY_S)
    market.seal(street.room, DAY_S - STEP_S)
    with pytest.raises(BadInputError, match="it was to begin at 2026-06-23T20:00Z"):
        _do(street, contracts.accept, number, "P-1", at_s=DAY_S - STEP_S)
    _do(street, contracts.refuse, number, "P-2")
    with pytest.raises(BadInputError, match="was refused or taken back already"):
        _do(street, contracts.accept, number, "P-1")


def _race(street: Month, *acts: Callable[[], object]) -> list[str]:
    """Let acts run at once; return what each was told."""
    gate, told = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
            told.append("done")
        except BadInputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(told)


def test_of_two_who_answer_or_end_at_once_one_wins_and_the_other_is_told(street: Month) -> None:
    number = _propose(street).contract.id
    told = _race(
        street,
        *[lambda: _do(street, contracts.accept, number, "P-1")] * 2,
        lambda: _do(street, contracts.refuse, number, "P-2"),
    )
    assert told.count("done") == 1
    assert all("already" in one for one in told if one != "done")
    with street.room.store.read() as tx:
        size = log.size(tx)
        won = kept.get(tx, number, "P-1")
    assert won is not None
    if won.accepted_s is None:
        number = _agreed(street)
    told = _race(
        street, *[lambda who=who: _do(street, contracts.end, number, who) for who in ("P-1", "P-2")]
    )
    assert told.count("done") == 1
    assert sum("already" in one for one in told) == 1
    with street.room.store.read() as tx:
        ends = [decode(content).body.get("action") for content in log.entries(tx)]
    assert ends.count("contract.end") == 1
    assert len(ends) > size


def test_a_party_has_so_many_proposals_that_wait(street: Month) -> None:
    for _ in range(contracts.PROPOSALS_MOST):
        _propose(street)
    with pytest.raises(BadInputError, match="20 proposals of P-2 wait for an answer"):
        _propose(street)
    with street.room.store.read() as tx:
        assert kept.count(tx, NOW)["proposed"] == contracts.PROPOSALS_MOST
