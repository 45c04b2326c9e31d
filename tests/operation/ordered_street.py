"""A street on which orders are placed, amended and cancelled by hand, cleared and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grid import interval
from grid.operation import market, ordering, record
from grid.store import books
from grid.store import market as kept
from tests.operation.month_site import STEP_S, Month
from trading import verify
from trading.replay.derivation import Replayed, replay
from trading.replay.log import records
from trading.sealed_book import Amendment

NOW = interval.parse("2026-06-23T10:00+04:00")
START_S = NOW + 2 * STEP_S


def place(street: Month, party: str, side: str, price: str, wh: int, name: str = "") -> str:
    """Place an order for :data:`START_S`; return its identifier."""
    point = f"UP-{party.removeprefix('P-')}"
    fields = {"usage_point": point, "start": interval.label(START_S), "side": side}
    with street.room.store.write() as tx:
        order = ordering.place(
            tx, street.site, {**fields, "price": price, "energy_wh": wh}, party=party, at_s=NOW,
            order_id=name,
        )  # fmt: skip
    return str(order.id)


def amend(
    street: Month, party: str, order: str, name: str = "", at_s: int = NOW, **fields: Any
) -> Amendment:
    """Amend an order."""
    with street.room.store.write() as tx:
        return ordering.amend(
            tx, street.site, order, fields, party=party, at_s=at_s, amendment_id=name
        )


def cancel(street: Month, party: str, order: str) -> None:
    """Cancel an order."""
    with street.room.store.write() as tx:
        ordering.cancel(tx, street.site, order, party=party, at_s=NOW)


def order_of(street: Month, party: str, name: str) -> books.Kept:
    """Return an order that is kept."""
    with street.room.store.read() as tx:
        found = books.party_order(tx, party, name)
    assert found is not None
    return found


def cleared(street: Month) -> list[tuple[str, str, int, int]]:
    """Seal and clear the book; return buy order, sell order, Wh and price of each trade."""
    at_s = START_S - STEP_S
    market.seal(street.room, at_s)
    market.clear(street.room, at_s)
    with street.room.store.write() as tx:
        record.checkpoint(tx, street.room.signer.sign, at_s)
    with street.room.store.read() as tx:
        return [
            (row["buy_order"], row["sell_order"], row["energy_wh"], row["price"])
            for row in kept.trades(tx, START_S, START_S + 1)
        ]


def replayed(folder: Path) -> Replayed:
    """Derive an export again."""
    size = int((folder / "checkpoint").read_text().split("\n")[1])
    return replay(records(folder, size))


def judged(
    folder: Path, key: str, receipt: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Hold a receipt against an export; return the verifier's exit status and what it said."""
    status = verify.main([str(folder), "--key", key, "--receipt", str(receipt)])
    told = capsys.readouterr()
    return status, told.out + told.err
