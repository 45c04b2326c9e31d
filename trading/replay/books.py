"""Sealed books, opened and cleared again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from grid import interval
from grid.errors import GridError
from grid.ids import AssetId, OrderId, PartyId, UsagePointId
from grid.site_facts import PRICE_MOST
from trading.agreements import Agreement
from trading.battery_accounts import battery_moves, traded
from trading.book import Book, Order, Side
from trading.mechanisms import mechanism
from trading.mechanisms.terms import Contract, Terms
from trading.orders import TICK
from trading.replay.log import Fields, Record
from trading.replay.terms import SiteTerms
from trading.sealed_book import Amendment, Placed, sealed_book
from trading.settlement_facts import Leg, Traded
from trading.statements import market_summary
from trading.topology import Topology, trades

Between = Callable[[Sequence[Order]], tuple[Contract, ...]]

ENERGY_MOST_WH = 10**9
"""Of an order: more cannot be told in nine digits."""


class Books:
    """The orders of books that are not cleared yet, and what was traded in those that are."""

    def __init__(self) -> None:
        self.traded: dict[int, dict[str, Traded]] = {}
        self._accounts: dict[tuple[int, AssetId], int] = {}
        self._placed: dict[int, list[Placed]] = {}

    def empty_batteries(self) -> None:
        """Let every battery's account hold nothing."""
        self._accounts.clear()

    def begin(self, accounts: Mapping[tuple[int, AssetId], int]) -> None:
        """Take what batteries hold where a log begins, by agreement and battery."""
        self._accounts |= accounts

    def seal(self, record: Record, holders: Mapping[str, str]) -> None:
        """Take the orders of a book; `holders` are the parties of usage points then.

        Raises
        ------
        DifferenceError
            When an order is none of this book, or something else than orders, their amendments
            and their cancellations is in it.
        """
        orders = [_order(record, subject, one) for subject, one in record.of("order").items()]
        record.expect("orders", record.body["orders"], len(orders))
        known = {str(order.id) for order in orders}
        gone, changed = _cancelled(record, known), _amended(record, known)
        count = len(orders) + len(gone) + sum(map(len, changed.values()))
        record.expect("commitments of orders", record.commitments, count)
        by_agents = record.body["by"] == "agents"
        for order in orders:
            record.expect(f"order {order.id} agent", order.agent, by_agents)
            if order.battery and not by_agents:
                raise record.differs(f"order {order.id} battery", order.battery, "none")
            holder = holders.get(str(order.usage_point), "nobody")
            record.expect(f"order {order.id} party", str(order.party), holder)
        placed = self._placed.setdefault(record.start_s, [])
        for order in orders:
            name = str(order.id)
            # Cancelled before there were numbers for it, an order is in no book.
            if gone.get(name, 0) is not None:
                placed.append(Placed(order, changed.get(name, ()), gone.get(name)))

    def clear(
        self,
        record: Record,
        terms: SiteTerms,
        contracts: Between,
        topology: Topology,
        standing: Mapping[UsagePointId, Agreement],
    ) -> None:
        """Clear a sealed book again, and compare prices, volumes and every trade.

        Parameters
        ----------
        contracts : Callable
            Gives those that hold in the interval between the parties of a book.
        standing : Mapping
            The agreement of each usage point, with the batteries that may be traded.

        Raises
        ------
        DifferenceError
        """
        start_s, rules = record.start_s, mechanism(terms.market.mechanism)
        try:
            sealed = sealed_book(self._placed.pop(start_s, []), by_events="events" in rules.reads)
            orders, book = sealed.orders, Book.of(sealed.orders)
            agreed = contracts(orders) if "contracts" in rules.needs else ()
            given = Terms(tick=TICK, start_s=start_s, events=sealed.events, contracts=agreed)
            if topology.parent:
                given = topology.terms(given, terms.market, orders)
            outcome = rules.clear(book, given)
            made = trades(outcome, given, topology, orders)
            moves = battery_moves(orders, outcome, standing, self._accounts)
        except GridError as error:
            raise record.differs("book", str(error), "one that can be cleared") from error
        if broken := rules.certify(book, outcome, given):
            raise record.differs("clearing", broken[0], "one that certifies")
        told = record.of("trade")
        sides: list[tuple[str, bool, Leg]] = []
        for number, one in enumerate(made):
            pair = orders[one.buy], orders[one.sell]
            for leg, order in zip(one.legs(), pair, strict=True):
                point = str(order.usage_point)
                sides.append((point, bool(order.battery), leg))
                payload: dict[str, object] = {
                    "energy_wh": str(leg.energy_wh),
                    "price": str(leg.price),
                    "side": str(leg.side),
                    "usage_point": point,
                }
                if leg.side is Side.BUY:
                    payload |= one.told()
                _compare(record, f"{number}-{leg.side}er", payload, told, pair)
        if told:
            raise record.differs(f"trade {min(told)}", "there", "none")
        record.expect("commitments of trades", record.commitments, 2 * len(made))
        self.traded[start_s] = traded(sides, moves)
        self._accounts |= {(one.agreement, one.battery): one.stored_wh for one in moves}
        summary = market_summary(sealed.in_all(outcome), outcome, terms.market.minimum_group)
        if topology.parent:
            summary["topology_sha256"] = topology.sha256
        Fields(record, "public", record.body).equals(summary)


def _cancelled(record: Record, known: Set[str]) -> dict[str, int | None]:
    """Return by order when it was cancelled; none where that has no place in time."""
    gone: dict[str, int | None] = {}
    for subject, one in record.of("cancel").items():
        record.expect("order of a cancellation", one.text("order"), subject)
        one.text("cancelled")
        gone[subject] = one.whole("sequence") if "sequence" in one.members() else None
    if unknown := set(gone) - known:
        raise record.differs("cancellation", min(unknown), "of an order in the book")
    return gone


def _amended(record: Record, known: Set[str]) -> dict[str, tuple[Amendment, ...]]:
    """Return the amendments of orders in time."""
    found: dict[str, list[Amendment]] = {}
    for subject, one in record.of("amend").items():
        record.expect(f"{one.what} id", one.text("amendment"), subject)
        order = one.text("order")
        if order not in known:
            raise record.differs(f"{one.what} order", order, "an order in the book")
        change = Amendment(
            id=OrderId(subject),
            order=OrderId(order),
            price=one.decimal("price"),
            energy_wh=one.whole("energy_wh"),
            sequence=one.whole("sequence"),
        )
        _within(record, one, change)
        found.setdefault(order, []).append(change)
    return {
        order: tuple(sorted(changes, key=lambda change: change.sequence))
        for order, changes in found.items()
    }


def _within(record: Record, one: Fields, told: Order | Amendment) -> None:
    """Refuse a limit or an energy that no order can have."""
    for name, most in (("price", PRICE_MOST), ("energy_wh", ENERGY_MOST_WH)):
        if not 0 <= getattr(told, name) <= most:
            raise record.differs(f"{one.what} {name}", getattr(told, name), f"0 to {most}")


def _compare(
    record: Record,
    name: str,
    payload: dict[str, object],
    told: dict[str, Fields],
    orders: Sequence[Order],
) -> None:
    """Compare one side of a trade and strike it off; the difference names both orders."""
    one = told.pop(name, None)
    between = f"trade {name} (order {orders[0].id} with {orders[1].id})"
    if one is None:
        raise record.differs(between, "missing", payload)
    Fields(record, between, one.payload).equals(payload)


def _order(record: Record, subject: str, one: Fields) -> Order:
    """Return an order as its opening tells it."""
    side = one.text("side")
    if side not in list(Side):
        raise record.differs(f"{one.what} side", side, "buy or sell")
    order = Order(
        id=OrderId(one.text("id")),
        party=PartyId(one.text("party")),
        usage_point=UsagePointId(one.text("usage_point")),
        start_s=one.whole("start_s"),
        side=Side(side),
        price=one.decimal("price"),
        energy_wh=one.whole("energy_wh"),
        sequence=one.whole("sequence"),
        agent=one.flag("agent"),
        battery=one.text("battery") if "battery" in one.members() else "",
    )
    _within(record, one, order)
    record.expect(f"{one.what} id", str(order.id), subject)
    record.expect(f"{one.what} interval", interval.label(order.start_s), record.interval)
    return order
