"""Bilateral contracts: what two parties may agree on, who answers, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.errors import BadInputError
from grid.operation import agreements, contracts, market
from grid.store import contracts as kept
from grid.store import log
from tests.operation.contract_street import (
    DAY_S,
    NOW,
    TEXT,
    TODAY,
    agreed,
    do,
    in_days,
    propose,
)
from tests.operation.month_site import STEP_S, Month, begin
from trading.agreements import Agreement, Terms
from trading.contracts import end_s
from trading.ledger.entry import decode


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Month]:
    """A street in the last hour of a day, where contracts hold."""
    made = begin(tmp_path / "site", TEXT, NOW, 120, seed=3)
    yield made
    made.room.signer.close()


def test_notice_ends_a_contract_from_the_day_after_tomorrow_on(street: Month) -> None:
    number = agreed(street, last=in_days(30))
    with pytest.raises(BadInputError, match="it ends from 2026-06-25 on"):
        do(street, contracts.end, number, "P-1", day=in_days(1))
    ended = do(street, contracts.end, number, "P-1")
    assert ended.contract.until_s == DAY_S + interval.DAY_S
    assert ended.ended_by == "P-1"
    with pytest.raises(BadInputError, match="ends at 2026-06-24T20:00Z already"):
        do(street, contracts.end, number, "P-2", day=in_days(3))


def test_who_moves_out_has_no_contract_any_more_and_moving_in_again_brings_none_back(
    street: Month,
) -> None:
    agreed(street)
    with street.room.store.write() as tx:
        agreements.move_out(tx, street.site, usage_point="UP-2", day=in_days(2), by="clerk")
        held = agreements.store.listed(tx)
        (known,) = kept.accepted(tx, DAY_S)
    assert end_s(known, held) == DAY_S + interval.DAY_S
    again_s = DAY_S + 3 * interval.DAY_S
    terms = (Terms(again_s, held[0].terms[0].tariff),)
    back = Agreement(99, held[0].usage_point, known.buyer, again_s, None, terms)
    assert end_s(known, [*held, back]) == DAY_S + interval.DAY_S


def test_without_consent_to_trade_a_contract_ends(street: Month) -> None:
    agreed(street)
    with street.room.store.write() as tx:
        agreements.change_terms(
            tx, street.site, usage_point="UP-1", day=in_days(3), by="clerk", trades=False
        )
        (known,) = kept.accepted(tx, DAY_S)
        assert end_s(known, agreements.store.listed(tx)) == DAY_S + 2 * interval.DAY_S


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"first": TODAY}, "it begins from the day after 2026-06-23 on"),
        ({"first": in_days(401)}, "at most 400 days ahead"),
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
            tx, street.site, usage_point="UP-3", day=in_days(1), by="clerk", trades=False
        )
    with pytest.raises(BadInputError, match=told):
        propose(street, **change)
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
            propose(street)


def test_only_the_other_party_accepts_and_a_third_one_finds_no_such_contract(
    street: Month,
) -> None:
    number = propose(street).contract.id
    with pytest.raises(BadInputError, match="P-1 has to answer it, not P-2"):
        do(street, contracts.accept, number, "P-2")
    for act in (contracts.accept, contracts.refuse, contracts.end):
        with pytest.raises(BadInputError, match=f"contract {number}: no such contract of P-4"):
            do(street, act, number, "P-4")
    with pytest.raises(BadInputError, match="nothing to end"):
        do(street, contracts.end, number, "P-1")
    with pytest.raises(BadInputError, match="it was to begin at 2026-06-23T20:00Z"):
        do(street, contracts.accept, number, "P-1", at_s=DAY_S)
    market.seal(street.room, DAY_S - STEP_S)
    with pytest.raises(BadInputError, match="it was to begin at 2026-06-23T20:00Z"):
        do(street, contracts.accept, number, "P-1", at_s=DAY_S - STEP_S)
    do(street, contracts.refuse, number, "P-2")
    with pytest.raises(BadInputError, match="was refused or taken back already"):
        do(street, contracts.accept, number, "P-1")


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
    number = propose(street).contract.id
    told = _race(
        street,
        *[lambda: do(street, contracts.accept, number, "P-1")] * 2,
        lambda: do(street, contracts.refuse, number, "P-2"),
    )
    assert told.count("done") == 1
    assert all("already" in one for one in told if one != "done")
    with street.room.store.read() as tx:
        size = log.size(tx)
        won = kept.get(tx, number, "P-1")
    assert won is not None
    if won.accepted_s is None:
        number = agreed(street)
    told = _race(
        street, *[lambda who=who: do(street, contracts.end, number, who) for who in ("P-1", "P-2")]
    )
    assert told.count("done") == 1
    assert sum("already" in one for one in told) == 1
    with street.room.store.read() as tx:
        ends = [decode(content).body.get("action") for content in log.entries(tx)]
    assert ends.count("contract.end") == 1
    assert len(ends) > size


def test_a_party_has_so_many_proposals_that_wait(street: Month) -> None:
    for _ in range(contracts.PROPOSALS_MOST):
        propose(street)
    with pytest.raises(BadInputError, match="20 proposals of P-2 wait for an answer"):
        propose(street)
    with street.room.store.read() as tx:
        assert kept.count(tx, NOW)["proposed"] == contracts.PROPOSALS_MOST
