"""A prosumer's orders: what became of each, and what the ledger committed to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from grid.interval import label
from grid.store import Transaction, log, market, views
from grid.store.books import Kept
from trading.book import Order, Side
from trading.ledger import canonical, entry
from trading.ledger.commitment import Opening, decode_opening
from trading.ledger.entry import Kind
from trading.orders import receipt

_DOMAIN = b"khazri/commitment/v1\n"
_SIDES = (("buy_order", "buyer", "price"), ("sell_order", "seller", "sell_price"))


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and what became of it.

    Attributes
    ----------
    status : str
        ``open`` while its gate is, ``sealed`` until it is cleared, then ``filled``,
        ``partly`` or ``unfilled``; ``cancelled`` when it was in time.
    kept : Kept
        As it was placed, with its amendments.
    traded_wh, amount_nano, trades : int
        Wh of all its trades, what they came to at their own prices, and their number: what each
        one took is the other's fact too.
    """

    kept: Kept
    status: str
    traded_wh: int = 0
    amount_nano: int = 0
    trades: int = 0

    @property
    def order(self) -> Order:
        """The order as it was amended last."""
        return self.kept.now

    @property
    def received_s(self) -> int:
        """When it was placed."""
        return self.kept.received_s

    @property
    def price(self) -> int:
        """What a traded Wh came to on average, nano per Wh, half up."""
        return (2 * self.amount_nano + self.traded_wh) // (2 * self.traded_wh)

    @property
    def bought(self) -> bool:
        """Whether it buys."""
        return self.order.side is Side.BUY


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger holds of an order, checked against the order as stored.

    Attributes
    ----------
    sequence : int
        The entry.
    digest : str
        The commitment, recomputed from the order and the opening's salt.
    content : str
        Canonical bytes that were hashed after domain and salt.
    committed : bool
        Whether the entry lists that digest.
    """

    sequence: int
    interval: str
    digest: str
    content: str
    salt: bytes
    opening: Opening
    entry: bytes
    committed: bool

    @property
    def command(self) -> str:
        """A POSIX shell line that prints the digest."""
        octal = "".join(f"\\{byte:03o}" for byte in self.salt)
        head = _DOMAIN.decode().replace("\n", "\\n")
        return f"{{ printf '{head}{octal}'; printf %s '{self.content}'; }} | sha256sum"


def _status(order: Order, traded_wh: int, cleared: bool, now_s: int, interval_s: int) -> str:
    if not cleared:
        # The cycle at T closes the book of the interval after the next set-points.
        return "open" if now_s < order.start_s - interval_s else "sealed"
    if traded_wh >= order.energy_wh:
        return "filled"
    return "partly" if traded_wh else "unfilled"


def _opening(tx: Transaction, order: Order) -> RowMapping | None:
    about = label(order.start_s)
    for row in views.party_openings(tx, order.party, str(Kind.BOOK), about):
        named = decode_opening(str(row["content"]).encode())[1].label
        if (named.kind, named.subject) == ("order", order.id):
            return row
    return None


def rows(tx: Transaction, orders: Iterable[Kept], now_s: int, interval_s: int) -> list[OrderRow]:
    """Return what became of one party's orders, in their order."""
    orders = list(orders)
    if not orders:
        return []
    first_s = min(one.order.start_s for one in orders)
    last_s = max(one.order.start_s for one in orders)
    cleared = {row["start_s"] for row in market.clearings(tx, first_s, last_s + interval_s)}
    trades: dict[str, list[tuple[int, int]]] = {}
    for point in sorted({one.order.usage_point for one in orders}):
        for trade in market.trades(tx, first_s, last_s + interval_s, usage_point=point):
            for side, who, price in _SIDES:
                if trade[who] == point:
                    energy_wh = int(trade["energy_wh"])
                    done = (energy_wh, energy_wh * int(trade[price]))
                    trades.setdefault(trade[side], []).append(done)
    found = []
    for one in orders:
        order = one.now
        traded = trades.get(order.id, [])
        traded_wh = sum(energy_wh for energy_wh, _ in traded)
        status = _status(order, traded_wh, order.start_s in cleared, now_s, interval_s)
        found.append(
            OrderRow(
                kept=one,
                status=status if one.cancelled_s is None else "cancelled",
                traded_wh=traded_wh,
                amount_nano=sum(amount for _, amount in traded),
                trades=len(traded),
            )
        )
    return found


def totals(found: Iterable[OrderRow]) -> dict[str, int]:
    """Return Wh bought and sold, and what was paid and received for them, nano."""
    sums = dict.fromkeys(("bought_wh", "sold_wh", "paid", "received"), 0)
    for row in found:
        sums["bought_wh" if row.bought else "sold_wh"] += row.traded_wh
        sums["paid" if row.bought else "received"] += row.amount_nano
    return sums


def read_receipt(tx: Transaction, order: Order) -> Receipt | None:
    """Return the receipt of an order, or ``None`` before its book is sealed."""
    row = _opening(tx, order)
    if row is None:
        return None
    held = log.entry_row(tx, int(row["sequence"]))
    assert held is not None, "an opening without its entry"
    sequence, stored = decode_opening(str(row["content"]).encode())
    # From the order as it is stored now, so that a changed order has another digest.
    payload: dict[str, Any] = dict(receipt(order))
    opening = Opening(stored.label, stored.salt, payload)
    about = stored.label
    content = canonical.encode([about.interval, about.kind, about.subject, about.version, payload])
    data = bytes(held["content"])
    return Receipt(
        sequence=sequence,
        interval=about.interval,
        digest=opening.digest,
        content=content.decode(),
        salt=stored.salt,
        opening=opening,
        entry=data,
        committed=opening.digest in entry.decode(data).commitments,
    )
