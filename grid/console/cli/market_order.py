"""``khazri market order list|place|amend|cancel|receipt``: a party's own orders."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, day, directory, instant, whole
from grid.console.cli.users import acting_member, by_user, party_of, user_of
from grid.errors import BadInputError
from grid.interval import day_bounds, label, local_day
from grid.quantities import format_price

if TYPE_CHECKING:
    from grid.console.prosumer_orders import OrderRow
    from grid.site import Site
    from grid.store import Transaction

_WH = whole(1, 10**9)


def declare_order(verbs: Any) -> None:
    """Declare the commands' options."""
    order = verbs.add_parser("order", help="orders by hand of a user's party, with receipts")
    acts = order.add_subparsers(dest="act", metavar="ACT", required=True)
    lists = acts.add_parser("list", help="the orders for a day, and what became of them")
    lists.add_argument("--day", type=day, metavar="DAY", help="YYYY-MM-DD; today, if not given")
    _common(lists, run_list)
    places = acts.add_parser("place", help="place an order")
    places.add_argument("usage_point", metavar="USAGE_POINT")
    places.add_argument("start", type=instant, metavar="START", help="of the interval, ISO 8601")
    places.add_argument("side", choices=("buy", "sell"))
    places.add_argument("--price", required=True, help="limit per kWh")
    places.add_argument("--wh", type=_WH, required=True)
    _named(places)
    _common(places, run_place)
    amends = acts.add_parser("amend", help="give an order another limit or energy, or both")
    amends.add_argument("order", metavar="ORDER")
    amends.add_argument("--price", help="limit per kWh; loses the order's place in time")
    amends.add_argument("--wh", type=_WH, help="of the order in all; less keeps its place in time")
    _named(amends)
    _common(amends, run_amend)
    cancels = acts.add_parser("cancel", help="let an order not stand any more")
    cancels.add_argument("order", metavar="ORDER")
    _common(cancels, run_cancel)
    prints = acts.add_parser("receipt", help="print the signed receipt of an order, for a file")
    prints.add_argument("order", metavar="ORDER")
    which = prints.add_mutually_exclusive_group()
    which.add_argument("--amendment", default="", metavar="ID", help="of an amendment of it")
    which.add_argument("--cancellation", action="store_true", help="of its cancellation")
    _common(prints, run_receipt)


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--id", default="", metavar="ID", help="your own: what is sent again is done once"
    )


def _common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    by_user(parser, required=True)
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def run_list(options: argparse.Namespace) -> int:
    """List the orders of a user's party for the intervals of a day."""
    from grid.console.prosumer_orders import rows
    from grid.operation import commission, cycle
    from grid.store import books, control

    with closing(commission.open_store(options.dir)) as store:
        site, _ = cycle.facts(options.dir, store)
        with store.read() as tx:
            now_s = control.clock_s(tx)
            party = party_of(tx, user_of(tx, options.by, "prosumer.trades"))
            bounds = day_bounds(options.day or local_day(now_s, site.time_zone), site.time_zone)
            kept = books.party_orders(tx, party, *bounds)
            found = rows(tx, kept, now_s, site.interval_s)
    text = "\n".join(map(_line, found)) or "no orders"
    answer(options, {"orders": [_facts(one) for one in found]}, text)
    return 0


def run_place(options: argparse.Namespace) -> int:
    """Place an order, and print its receipt."""
    from grid.operation import ordering

    fields = {
        "usage_point": options.usage_point,
        "start": label(options.start),
        "side": options.side,
        "price": options.price,
        "energy_wh": options.wh,
    }
    with acting_member(options, "ordering.place") as (tx, site, who):
        made = ordering.place(
            tx, site, fields, party=who["party"], at_s=who["at_s"], order_id=options.id
        )
        told = {"receipt": ordering.receipt(tx, made)}
        row = _recorded(options, tx, site, who, str(made.id))
    return _told(options, row, told)


def run_amend(options: argparse.Namespace) -> int:
    """Amend an order, and print the receipt of the amendment."""
    from grid.operation import ordering

    given = {"price": options.price, "energy_wh": options.wh}
    fields = {name: value for name, value in given.items() if value is not None}
    with acting_member(options, "ordering.amend") as (tx, site, who):
        made = ordering.amend(
            tx, site, options.order, fields, party=who["party"], at_s=who["at_s"],
            amendment_id=options.id,
        )  # fmt: skip
        row = _recorded(options, tx, site, who, options.order)
        receipt = ordering.amendment_receipt(tx, row.kept.order, made.id)
    return _told(options, row, {"amendment": made.id, "receipt": receipt})


def run_cancel(options: argparse.Namespace) -> int:
    """Cancel an order, and print the receipt of the cancellation."""
    from grid.operation import ordering

    with acting_member(options, "ordering.cancel") as (tx, site, who):
        order = ordering.cancel(tx, site, options.order, party=who["party"], at_s=who["at_s"])
        told = {"receipt": ordering.cancellation_receipt(tx, order)}
        row = _recorded(options, tx, site, who, options.order)
    return _told(options, row, told)


def run_receipt(options: argparse.Namespace) -> int:
    """Print a receipt and nothing else."""
    from grid.operation import commission, cycle, ordering
    from grid.store import books

    with closing(commission.open_store(options.dir)) as store:
        cycle.facts(options.dir, store)
        with store.read() as tx:
            party = party_of(tx, user_of(tx, options.by, "ordering.receipt"))
            found = books.party_order(tx, party, options.order)
            if found is None:
                raise BadInputError(f"order {options.order[:64]}: no such order of {party}")
            if options.cancellation:
                receipt = ordering.cancellation_receipt(tx, found.order)
            elif options.amendment:
                receipt = ordering.amendment_receipt(tx, found.order, options.amendment)
            else:
                receipt = ordering.receipt(tx, found.order)
    answer(options, {"order": options.order, "receipt": receipt}, receipt.rstrip("\n"))
    return 0


def _recorded(
    options: argparse.Namespace, tx: Transaction, site: Site, who: dict[str, Any], order: str
) -> OrderRow:
    """Record the act, as the pages do; return the order as it is then."""
    from grid.console.prosumer_orders import rows
    from grid.operation.record import record_action
    from grid.store import books

    record_action(
        tx, site, at_s=who["at_s"], user=who["by"], kind=f"order.{options.act}", subject=order,
        detail={"order": order},
    )  # fmt: skip
    kept = books.party_order(tx, who["party"], order)
    assert kept is not None, "an order that was just changed"
    return rows(tx, [kept], who["at_s"], site.interval_s)[0]


def _told(options: argparse.Namespace, row: OrderRow, told: dict[str, Any]) -> int:
    answer(options, _facts(row) | told, f"{_line(row)}\n\n{told['receipt'].rstrip()}")
    return 0


def _facts(row: OrderRow) -> dict[str, Any]:
    order = row.order
    return {
        "order": order.id,
        "usage_point": order.usage_point,
        "start": label(order.start_s),
        "side": str(order.side),
        "price": format_price(order.price),
        "energy_wh": order.energy_wh,
        "status": row.status,
        "traded_wh": row.traded_wh,
        "amendments": [one.id for one, _ in row.kept.amended],
    }


def _line(row: OrderRow) -> str:
    told = _facts(row)
    times = f", amended {len(told['amendments'])} times" if told["amendments"] else ""
    traded = f", {row.traded_wh} Wh traded" if row.traded_wh else ""
    return (
        f"{told['order']} {told['side']} {told['energy_wh']} Wh at {told['price']} for "
        f"{told['usage_point']} {told['start']}: {row.status}{traded}{times}"
    )
