"""A street in the last hour of a day, where contracts are agreed on and hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from grid import interval
from grid.operation import contracts
from grid.operation.contracts import Proposal
from grid.store import market as stored
from grid.store.contracts import KeptContract
from tests.operation.month_site import STEP_S, Month
from tests.operation.test_month import BAKU

NOW = interval.parse("2026-06-23T23:00+04:00")
TODAY = date(2026, 6, 23)
DAY_S = interval.parse("2026-06-24T00:00+04:00")
TEXT = BAKU.replace('"uniform_price"', '"bilateral"').replace(
    "guaranteed = true", "guaranteed = false"
)


def in_days(number: int) -> date:
    """Return the day so many days from :data:`TODAY` on."""
    return TODAY + timedelta(days=number)


def propose(street: Month, party: str = "P-2", at_s: int = NOW, **change: Any) -> KeptContract:
    """Keep a proposal, of P-2 to P-1 unless told."""
    facts = {"counterparty": "P-1", "side": "buy", "price": "0.070", "first": in_days(1)}
    facts |= {"energy_wh": 60} | change
    with street.room.store.write() as tx:
        return contracts.propose(
            tx, street.site, Proposal(**facts), party=party, at_s=at_s, by="p@example.org"
        )


def do(
    street: Month, act: Callable[..., KeptContract], number: int, party: str, at_s: int = NOW,
    **more: Any,
) -> KeptContract:  # fmt: skip
    """Let a party accept, refuse or end a contract."""
    with street.room.store.write() as tx:
        return act(tx, street.site, number, party=party, at_s=at_s, by="p@example.org", **more)


def agreed(street: Month, **change: Any) -> int:
    """Keep a contract that P-1 accepted; return its number."""
    number = propose(street, **change).contract.id
    return do(street, contracts.accept, number, "P-1").contract.id


def lives(street: Month, cycles: int = 10, begun_s: int = NOW) -> None:
    """Run cycles in which P-1 sells, P-2 and P-4 buy, each interval the same."""
    for at_s in range(begun_s, begun_s + cycles * STEP_S, STEP_S):
        start_s = at_s + 2 * STEP_S
        street.order("P-1", at_s, start_s, "sell", "0.050", 100)
        street.order("P-2", at_s, start_s, "buy", "0.060", 80)
        street.order("P-4", at_s, start_s, "buy", "0.065", 50)
        street.cycle(at_s)


def trades(street: Month, start_s: int) -> list[tuple[str, str, int, int]]:
    """Return buyer, seller, Wh and price of each trade of an interval."""
    with street.room.store.read() as tx:
        return [
            (row["buyer"], row["seller"], row["energy_wh"], row["price"])
            for row in stored.trades(tx, start_s, start_s + 1)
        ]
