"""Placing, amending and cancelling orders: kept, then receipted; a sealed book takes none."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from grid import interval
from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, UsagePointId, check
from grid.operation import agreements, record
from grid.operation.market import cancellation, is_continuous, trades_ahead
from grid.quantities import format_price
from grid.site import Site
from grid.store import Transaction, books, control
from grid.store.books import Kept
from grid.store.order_placing import amend_order, amended_order, place_order
from trading.book import Order, Side
from trading.ledger.commitment import Label, commit
from trading.orders import OrderRules, accept, parse_energy, parse_limit
from trading.orders import receipt as payload
from trading.receipts import AMENDED, CANCELLED, PLACED, Receipt, sign
from trading.sealed_book import Amendment, amendment_payload

_AMENDABLE = {"price", "energy_wh"}
_KINDS = {"order": PLACED, "amend": AMENDED, "cancel": CANCELLED}
"""Of receipts, by what the sealed book commits to."""


def arrival_s(tx: Transaction, site: Site, clock: Callable[[], float]) -> int:
    """Return when what is sent now arrives: the site's time stands still in a driven run."""
    return control.clock_s(tx) if site.field.kind == "simulated" else int(clock())


def place(
    tx: Transaction,
    site: Site,
    fields: Mapping[str, object],
    *,
    party: str,
    at_s: int,
    order_id: str = "",
) -> Order:
    """Take a party's order into the book of its interval.

    Parameters
    ----------
    fields : Mapping
        As :func:`trading.orders.accept` takes them.
    at_s : int
        When it arrived.
    order_id : str
        The sender's own, so that sending it again places it once; drawn when empty.

    Raises
    ------
    BadInputError
        When the order is refused, its book is sealed or is in no ledger that goes on, or nobody
        trades at this site.
    """
    known = books.party_order(tx, party, order_id) if order_id else None
    if known is not None:
        return known.order
    start_s = _start_s(fields)
    if not trades_ahead(site, start_s):
        raise BadInputError("no orders are taken at this site: nothing is traded ahead")
    own = _own(tx, site, start_s)
    order = accept(
        fields,
        party=PartyId(party),
        usage_points=own,
        rules=OrderRules(interval_s=site.interval_s, gate_closure_s=site.interval_s),
        at_s=at_s,
        order_id=OrderId(order_id or f"member-{secrets.token_hex(8)}"),
        sequence=books.next_sequence(tx),
    )
    if books.sealed(tx, order.start_s) is not None:
        raise BadInputError(f"{order.id} {interval.label(order.start_s)}: its book is sealed")
    _require_told(tx, order)
    _require_apart(tx, order)
    return place_order(
        tx,
        order,
        most_wh=own[order.usage_point][1],
        received_s=at_s,
        continuous=is_continuous(site),
    )


def amend(
    tx: Transaction,
    site: Site,
    order_id: str,
    fields: Mapping[str, object],
    *,
    party: str,
    at_s: int,
    amendment_id: str = "",
) -> Amendment:
    """Change the limit or the energy of an order that stands.

    One that only lowers the energy keeps the order's place in time, any other loses it. What the
    order's own receipt promised stays promised; the amendment has a receipt of its own.

    Parameters
    ----------
    fields : Mapping
        ``price`` (decimal text per kWh) and ``energy_wh`` (of the order in all), or one of them.
    at_s : int
        When it arrived.
    amendment_id : str
        The sender's own, so that sending it again amends once; drawn when empty.

    Raises
    ------
    BadInputError
        When there is no such order of the party, it does not stand, its book is sealed, or the
        order would be one that is not taken.
    """
    if not fields or not set(fields) <= _AMENDABLE:
        raise BadInputError(
            f"order {order_id[:64]}: an amendment has {' or '.join(sorted(_AMENDABLE))}"
        )
    kept = _open_order(tx, site, order_id, party=party, at_s=at_s)
    order, own = kept.now, _own(tx, site, kept.order.start_s)
    owner, most_wh = own.get(order.usage_point, (None, 0))
    if owner != party:
        raise BadInputError(f"usage point {order.usage_point} is not one of party {party}")
    subject = f"{order.usage_point} {interval.label(order.start_s)}"
    wanted: dict[str, int] = {}
    if "price" in fields:
        wanted["price"] = parse_limit(fields["price"], subject, OrderRules())
    if "energy_wh" in fields:
        wanted["energy_wh"] = parse_energy(fields["energy_wh"], subject, most_wh)
    name = OrderId(check(amendment_id or f"amend-{secrets.token_hex(8)}", "amendment"))
    for known, _ in kept.amended:
        # What it left as it was may have been amended since.
        if known.id == name and all(getattr(known, one) == wanted[one] for one in wanted):
            return known
    if amended_order(tx, name) is not None:
        raise BadInputError(f"amendment {name}: another one was sent under this id")
    if kept.cancelled_s is not None:
        raise BadInputError(f"order {order.id}: was cancelled and cannot be amended")
    price, energy_wh = wanted.get("price", order.price), wanted.get("energy_wh", order.energy_wh)
    _require_apart(tx, replace(order, price=price))
    return amend_order(
        tx,
        kept,
        Amendment(name, order.id, price, energy_wh, sequence=-1),
        most_wh=most_wh,
        received_s=at_s,
        continuous=is_continuous(site),
    )


def _require_apart(tx: Transaction, order: Order) -> None:
    """Refuse an order that would meet that of the own battery: neither would be offered."""
    is_buy = order.side is Side.BUY
    for kept in books.received(tx, order.start_s, order.usage_point):
        other = kept.order
        if not (other.battery and other.energy_wh) or other.side is order.side:
            continue
        if (order.price - other.price) * (1 if is_buy else -1) >= 0:
            does, word = ("sells from", "below") if is_buy else ("buys at up to", "above")
            raise BadInputError(
                f"{order.usage_point} {interval.label(order.start_s)} price is "
                f"{format_price(order.price)}: your battery {does} {format_price(other.price)} "
                f"then, {order.side} {word} that"
            )


def cancel(tx: Transaction, site: Site, order_id: str, *, party: str, at_s: int) -> Order:
    """Let an order not stand any more; one that was cancelled before stays as it was.

    Raises
    ------
    BadInputError
        When there is no such order of the party, or its book is sealed.
    """
    known = _open_order(tx, site, order_id, party=party, at_s=at_s)
    books.cancel_order(tx, order_id, at_s)
    return known.order


def _open_order(tx: Transaction, site: Site, order_id: str, *, party: str, at_s: int) -> Kept:
    """Return a party's own order whose book still changes."""
    known = books.party_order(tx, party, order_id)
    if known is None or known.order.agent:
        raise BadInputError(f"order {order_id[:64]}: no such order of {party}")
    when = interval.label(known.order.start_s)
    if books.sealed(tx, known.order.start_s) is not None:
        raise BadInputError(f"{order_id} {when}: its book is sealed")
    if at_s >= known.order.start_s - site.interval_s:
        raise BadInputError(f"{order_id} {when}: the gate is closed")
    return known


def receipt(tx: Transaction, order: Order) -> str:
    """Return the signed receipt of an order that is kept; the same one each time it is asked.

    Raises
    ------
    BadInputError
        When there is no such order, or its ledger has ended.
    """
    kept = books.party_order(tx, order.party, order.id)
    if kept is None:
        raise BadInputError(f"order {order.id}: is not kept")
    # As it was placed: what it was amended to since is promised by another receipt.
    told = payload(kept.order)
    return _promise(tx, kept.order, ("order", order.id), told, kept.received_s)


def amendment_receipt(tx: Transaction, order: Order, amendment_id: str) -> str:
    """Return the signed receipt of an amendment that is kept; the same one each time it is asked.

    Raises
    ------
    BadInputError
        When the order has no such amendment.
    """
    kept = books.party_order(tx, order.party, order.id)
    for one, received_s in kept.amended if kept else ():
        if one.id == amendment_id:
            subject = ("amend", str(one.id))
            return _promise(tx, order, subject, amendment_payload(one), received_s)
    raise BadInputError(f"order {order.id}: amendment {amendment_id[:64]} is not kept")


def cancellation_receipt(tx: Transaction, order: Order) -> str:
    """Return the signed receipt of a cancellation; the same one each time it is asked.

    Raises
    ------
    BadInputError
        When the order was not cancelled.
    """
    kept = books.party_order(tx, order.party, order.id)
    if kept is None or kept.cancelled_s is None:
        raise BadInputError(f"order {order.id}: was not cancelled")
    told = cancellation(order.id, kept.cancelled_s, kept.cancel_sequence)
    return _promise(tx, kept.order, ("cancel", order.id), told, kept.cancelled_s)


def _promise(
    tx: Transaction,
    order: Order,
    subject: tuple[str, str],
    told: Mapping[str, object],
    received_s: int,
) -> str:
    """Return a signed receipt of what the sealed book will commit to."""
    _require_told(tx, order)
    label = interval.label(order.start_s)
    secret = control.get_secret(tx, f"{record.PARTY_SECRET}{order.party}")
    kind, name = subject
    digest, _opening = commit(secret, Label(label, kind, name), told)
    promise = Receipt(
        origin=record.first_key(tx).name,
        interval=label,
        order=order.id,
        digest=digest,
        received=interval.label(received_s),
        kind=_KINDS[kind],
        amendment=name if kind == "amend" else "",
    )
    return sign(promise, record.receipts_signer(tx))


def _require_told(tx: Transaction, order: Order) -> None:
    """Refuse what the ledger in force cannot promise: it tells nothing of the interval."""
    if order.start_s < record.told_from_s(tx):
        raise BadInputError(
            f"{order.id} {interval.label(order.start_s)}: its ledger has ended; the receipt that "
            "was given then is of that ledger, which the operator gives to anyone"
        )


def _start_s(fields: Mapping[str, object]) -> int:
    start = fields.get("start")
    return interval.parse(start) if isinstance(start, str) else 0


def _own(tx: Transaction, site: Site, start_s: int) -> dict[UsagePointId, tuple[PartyId, int]]:
    """Return whose each usage point is then, and what its connection carries in an interval."""
    standing = agreements.standing(tx, start_s)
    return {
        point.id: (
            standing[str(point.id)].party,
            round(point.connection_kw * site.interval_s / 3.6),
        )
        for point in site.usage_point
        if str(point.id) in standing
    }
