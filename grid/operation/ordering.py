"""Placing and cancelling orders: each is kept, then receipted; a sealed book takes none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from grid import interval
from grid.errors import BadInputError
from grid.ids import OrderId, PartyId, UsagePointId
from grid.operation import agreements, record
from grid.operation.market import trades_ahead
from grid.site import Site
from grid.store import Transaction, control
from grid.store import market as store
from grid.store.order_placing import place_order
from trading.book import Order
from trading.ledger.commitment import Label, commit
from trading.orders import OrderRules, accept
from trading.orders import receipt as payload
from trading.receipts import Receipt, sign


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
        When the order is refused, its book is sealed, or nobody trades at this site.
    """
    known = store.party_order(tx, party, order_id) if order_id else None
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
        sequence=store.next_sequence(tx),
    )
    if store.sealed(tx, order.start_s) is not None:
        raise BadInputError(f"{order.id} {interval.label(order.start_s)}: its book is sealed")
    return place_order(tx, order, most_wh=own[order.usage_point][1], received_s=at_s)


def cancel(tx: Transaction, site: Site, order_id: str, *, party: str, at_s: int) -> Order:
    """Let an order not stand any more.

    Raises
    ------
    BadInputError
        When there is no such order of the party, or its book is sealed.
    """
    known = store.party_order(tx, party, order_id)
    if known is None or known.order.agent:
        raise BadInputError(f"order {order_id[:64]}: no such order of {party}")
    when = interval.label(known.order.start_s)
    if store.sealed(tx, known.order.start_s) is not None:
        raise BadInputError(f"{order_id} {when}: its book is sealed")
    if at_s >= known.order.start_s - site.interval_s:
        raise BadInputError(f"{order_id} {when}: the gate is closed")
    store.cancel_order(tx, order_id, at_s)
    return known.order


def receipt(tx: Transaction, site: Site, order: Order) -> str:
    """Return the signed receipt of an order that is kept; the same one each time it is asked.

    Raises
    ------
    BadInputError
        When there is no such order.
    """
    kept = store.party_order(tx, order.party, order.id)
    if kept is None:
        raise BadInputError(f"order {order.id}: is not kept")
    label = interval.label(order.start_s)
    secret = control.get_secret(tx, f"{record.PARTY_SECRET}{order.party}")
    digest, _opening = commit(secret, Label(label, "order", order.id), payload(order))
    promise = Receipt(
        origin=record.origin(site),
        interval=label,
        order=order.id,
        digest=digest,
        received=interval.label(kept.received_s),
    )
    return sign(promise, record.receipts_signer(tx, site))


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
