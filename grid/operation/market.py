"""Stages ``seal`` and ``clear``: sealed books, their price and their trades."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from grid import interval
from grid.errors import Finding, VerificationError
from grid.operation import agreements, record, topology_entries
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import Site
from grid.store import Transaction, batteries, books, contracts, control
from grid.store import agreements as held
from grid.store import market as store
from trading.agreements import in_force
from trading.battery_accounts import battery_moves
from trading.book import Book, Clearing, Order, Side
from trading.contracts import of_book
from trading.ledger.entry import Kind
from trading.mechanisms import mechanism
from trading.mechanisms.terms import Terms
from trading.orders import TICK, receipt
from trading.regulation import Regulation, regulation_on
from trading.sealed_book import SealedBook, amendment_payload, sealed_book
from trading.statements import market_summary
from trading.tariffs.clock import head_price
from trading.topology import Topology, Trade, trades


def law_at(site: Site, start_s: int) -> Regulation:
    """Return the law in force in an interval."""
    day = interval.local_day(start_s, site.time_zone)
    return regulation_on(site.market.profile_on(day), day)


def trades_ahead(site: Site, start_s: int) -> bool:
    """Whether orders for an interval are taken and cleared before it begins."""
    allowed = law_at(site, start_s).trading_allowed
    return allowed and not mechanism(site.market.mechanism).metered


def is_continuous(site: Site) -> bool:
    """Whether orders trade in the order in which they come, are amended and are cancelled."""
    return "events" in mechanism(site.market.mechanism).reads


def shares(site: Site, start_s: int) -> bool:
    """Whether the energy of an interval is shared out when it is over."""
    allowed = law_at(site, start_s).trading_allowed
    return allowed and mechanism(site.market.mechanism).metered


def seal(room: Room, at_s: int) -> None:
    """Close the book of the interval after the next set-points, and commit to it.

    Every order that was received is committed to with its amendments, those cancelled since too,
    and the checkpoint over them is signed before clearing begins: whoever holds a receipt can
    prove that their order is in it, or that it was dropped. The network it is cleared by is told
    before.
    """
    start_s = at_s + room.site.interval_s
    if not trades_ahead(room.site, start_s):
        with room.store.write() as tx:
            if shares(room.site, start_s):
                topology_entries.tell(room, tx, at_s, start_s, law_at(room.site, start_s))
            control.mark_done(tx, at_s, "seal")
        return room.log(at_s, "seal", trades="none ahead")
    with room.store.write() as tx:
        if books.sealed(tx, start_s) is None:
            topology_entries.tell(room, tx, at_s, start_s, law_at(room.site, start_s))
        count = _commit_to_book(tx, at_s, start_s)
    # A checkpoint is of what was committed: a signature cannot be taken back.
    with room.store.write() as tx:
        head = record.checkpoint(tx, room.signer.sign, at_s)
        control.mark_done(tx, at_s, "seal")
    room.log(at_s, "seal", orders=count, size=head.size)


def _commit_to_book(tx: Transaction, at_s: int, start_s: int) -> int:
    """Append the entry of a book, once; return how many orders of members it has."""
    received = [one for one in books.received(tx, start_s) if not one.order.agent]
    if books.sealed(tx, start_s) is not None:
        return len(received)
    facts = []
    for one in received:
        party = str(one.order.party)
        facts.append(Personal(party, "order", one.order.id, receipt(one.order)))
        for change, _ in one.amended:
            facts.append(Personal(party, "amend", str(change.id), amendment_payload(change)))
        if one.cancelled_s is not None:
            fact = cancellation(one.order.id, one.cancelled_s, one.cancel_sequence)
            facts.append(Personal(party, "cancel", one.order.id, fact))
    public = {"by": "members", "orders": len(received)}
    sequence = record.append(tx, Kind.BOOK, start_s, at_s, public, facts)
    books.put_sealed(tx, start_s, sequence=sequence, orders=len(received))
    return len(received)


def cancellation(order: str, at_s: int, sequence: int | None) -> dict[str, object]:
    """Return what the ledger commits to of a cancellation; old ones have no sequence."""
    told: dict[str, object] = {"cancelled": interval.label(at_s), "order": order}
    return told if sequence is None else {**told, "sequence": sequence}


def clear(room: Room, at_s: int) -> None:
    """Clear the book that was sealed."""
    start_s = at_s + room.site.interval_s
    if not trades_ahead(room.site, start_s):
        return _pass(room, at_s, "clear")
    with room.store.write() as tx:
        placed = [one.placed for one in books.received(tx, start_s) if one.in_book]
        told = sealed_book(placed, by_events=is_continuous(room.site))
        orders, book = told.orders, Book.of(told.orders)
        rules = mechanism(room.site.market.mechanism)
        topology = topology_entries.told(tx)
        terms = _terms(room.site, tx, told, topology, start_s)
        outcome = rules.clear(book, terms)
        if broken := rules.certify(book, outcome, terms):
            raise VerificationError(f"{interval.label(start_s)} clearing: {broken[0]}")
        made = trades(outcome, terms, topology, orders)
        rows = [_row(orders, one) for one in made]
        summary = market_summary(told.in_all(outcome), outcome, room.site.market.minimum_group)
        if topology.parent:
            summary["topology_sha256"] = topology.sha256
        facts = {
            "mechanism": outcome.mechanism,
            "price": outcome.price,
            "price_low": outcome.price_low,
            "price_high": outcome.price_high,
            "volume_wh": outcome.volume_wh,
            "summary": json.dumps(summary),
        }
        store.put_clearing(tx, start_s, facts, rows)
        _move_batteries(tx, start_s, orders, outcome)
        record.append(tx, Kind.CLEARING, start_s, at_s, summary, _told(tx, start_s, rows, made))
        if topology.parent and made:
            control.put_findings(tx, at_s, _broken(room, start_s, rows))
        control.mark_done(tx, at_s, "clear")
    room.log(at_s, "clear", orders=len(orders), volume_wh=outcome.volume_wh, price=outcome.price)


def _terms(
    site: Site, tx: Transaction, told: SealedBook, topology: Topology, start_s: int
) -> Terms:
    """Return what the site's mechanism is told beside the book."""
    terms = Terms(tick=TICK, start_s=start_s, events=told.events)
    if "contracts" in mechanism(site.market.mechanism).needs:
        agreed = of_book(contracts.accepted(tx, start_s), held.listed(tx), told.orders, start_s)
        return replace(terms, contracts=agreed)
    return topology.terms(terms, site.market, told.orders) if topology.parent else terms


def _row(orders: Sequence[Order], one: Trade) -> dict[str, Any]:
    """Return a trade as it is stored."""
    buy, sell = orders[one.buy], orders[one.sell]
    return {
        "buy_order": buy.id,
        "sell_order": sell.id,
        "buyer": buy.usage_point,
        "seller": sell.usage_point,
        "price": one.paid,
        "sell_price": one.got,
        "energy_wh": one.energy_wh,
        "zone_fee": one.zone_fee,
        "loss_fee": one.loss_fee,
        "regional": one.regional,
    }


def _move_batteries(
    tx: Transaction, start_s: int, orders: Sequence[Order], outcome: Clearing
) -> None:
    """Bring the accounts of batteries to what they traded, kept and gave."""
    if any(order.battery for order in orders):
        standing = in_force(held.listed(tx), start_s)
        moves = battery_moves(orders, outcome, standing, batteries.accounts(tx))
        batteries.put_moves(tx, start_s, moves)


def _broken(room: Room, start_s: int, rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    from grid.operation.market_feeder import broken_by

    bought = [(str(row["buyer"]), row["energy_wh"]) for row in rows]
    return broken_by(
        room, start_s, bought + [(str(row["seller"]), -row["energy_wh"]) for row in rows]
    )


def _pass(room: Room, at_s: int, stage: str) -> None:
    """Let a stage be done where nothing is traded ahead."""
    with room.store.write() as tx:
        control.mark_done(tx, at_s, stage)
    room.log(at_s, stage, trades="none ahead")


def _told(
    tx: Transaction, start_s: int, rows: Sequence[Mapping[str, Any]], made: Sequence[Trade]
) -> list[Personal]:
    """Return what each side of each trade is told of it; the fees in its price the buyer."""
    party = agreements.holders(tx, start_s)
    personal = []
    for number, row in enumerate(rows):
        for side, word in (("buyer", Side.BUY), ("seller", Side.SELL)):
            payload: dict[str, object] = {"side": str(word), "usage_point": str(row[side])}
            price = row["price" if word is Side.BUY else "sell_price"]
            payload |= {"energy_wh": str(row["energy_wh"]), "price": str(price)}
            if word is Side.BUY:
                payload |= made[number].told()
            personal.append(Personal(party[str(row[side])], "trade", f"{number}-{side}", payload))
    return personal


def prices_at(room: Room, at_s: int) -> tuple[int, int]:
    """Return the community's buy and sell price at the feeder head, nano per Wh."""
    step = head_price(room.site.grid.price, at_s, room.site.time_zone)
    return step.buy, step.sell
