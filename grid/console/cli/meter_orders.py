"""``khazri meter disconnect|reconnect|replace-key|orders|approve|cancel|give-up``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, directory, whole
from grid.console.cli.users import COMMAND_LINE, by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from grid.store.meter_orders import MeterOrder

_VERBS = {
    "disconnect": ("disconnect", "ask for a meter's output to be switched off"),
    "reconnect": ("reconnect", "ask for a meter's output to be switched on"),
    "replace-key": ("key-replacement", "ask for a new encryption key at a meter"),
}
_NUMBER_MAX = 2**63 - 1


def declare_orders(verbs: Any) -> None:
    """Declare the options of the commands about orders."""
    for verb, (kind, text) in _VERBS.items():
        asks = verbs.add_parser(verb, help=text)
        asks.add_argument("meter", metavar="NAME")
        asks.add_argument("--reason", required=True, help="goes with the order for good")
        if kind == "disconnect":
            asks.add_argument(
                "--island-source",
                action="store_true",
                help="known: what forms or feeds an island stands behind it",
            )
        by_user(asks)
        directory(asks)
        as_json(asks)
        asks.set_defaults(run=run_ask, kind=kind, island_source=False)
    lists = verbs.add_parser("orders", help="list the orders of meters, the newest first")
    directory(lists)
    as_json(lists)
    lists.set_defaults(run=run_list)
    marks = verbs.add_parser("medical", help="tell that a usage point has medical loads")
    marks.add_argument("usage_point", metavar="USAGE_POINT")
    marks.add_argument("--no-longer", action="store_true", help="it has them no longer")
    by_user(marks, required=True)
    directory(marks)
    as_json(marks)
    marks.set_defaults(run=run_medical)
    for verb, text in (
        ("approve", "agree to an order that another person asked for"),
        ("cancel", "take back an order before it goes to the meter"),
        ("give-up", "end an order whose meter does not answer any more"),
    ):
        decides = verbs.add_parser(verb, help=text)
        decides.add_argument("number", type=whole(1, _NUMBER_MAX), metavar="ID")
        by_user(decides, required=verb != "cancel")
        if verb == "give-up":
            decides.add_argument("--reason", required=True, help="goes with the order for good")
        directory(decides)
        as_json(decides)
        decides.set_defaults(run=run_decide)


def run_ask(options: argparse.Namespace) -> int:
    """Ask for something of a meter."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.meter_orders import Asked, ask
    from grid.store.meter_orders import OrderKind

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "meter_orders.ask")
            wanted = Asked(
                OrderKind(options.kind), options.meter, options.reason, user,
                options.island_source, COMMAND_LINE,
            )  # fmt: skip
            order = ask(tx, site, wanted)
    finally:
        store.close()
    text = _line(order)
    if order.open:
        text += f"\nanother person approves it: khazri meter approve {order.id} --by USER"
    answer(options, _facts(order), text)
    return 0 if order.open else 1


def run_list(options: argparse.Namespace) -> int:
    """List the orders."""
    from grid.operation import commission
    from grid.store import meter_orders

    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            found = meter_orders.listed(tx, 200)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "nothing is ordered of any meter"
    answer(options, {"orders": [_facts(order) for order in found]}, text)
    return 0


def run_decide(options: argparse.Namespace) -> int:
    """Approve an order, take it back, or give it up."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.given_up_orders import give_up
    from grid.operation.meter_orders import approve, cancel
    from grid.store.meter_orders import OrderState

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, f"meter_orders.{options.verb.replace('-', '_')}")
            if options.verb == "give-up":
                order = give_up(tx, site, options.number, user, options.reason, COMMAND_LINE)
            else:
                decide = approve if options.verb == "approve" else cancel
                order = decide(tx, site, options.number, user, COMMAND_LINE)
    finally:
        store.close()
    answer(options, _facts(order), _line(order))
    return 1 if order.state in (OrderState.REFUSED, OrderState.EXPIRED) else 0


def run_medical(options: argparse.Namespace) -> int:
    """Keep that a usage point has medical loads: it is never disconnected then."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.medical_loads import mark

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    is_medical = not options.no_longer
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "meter_orders.ask")
            mark(tx, site, options.usage_point, is_medical=is_medical, by=user)
    finally:
        store.close()
    says = "has medical loads and is never disconnected" if is_medical else "has no medical loads"
    facts = {"usage_point": options.usage_point, "medical": is_medical}
    answer(options, facts, f"{options.usage_point} {says}")
    return 0


def _facts(order: MeterOrder) -> dict[str, Any]:
    facts = asdict(order)
    for name in ("asked", "expires", "approved", "executing", "ended"):
        at_s = facts.pop(f"{name}_s")
        facts[name] = None if at_s is None else label(at_s)
    return facts


def _line(order: MeterOrder) -> str:
    who = f"asked by {order.asked_by} {label(order.asked_s)}"
    if order.approved_by is not None and order.approved_s is not None:
        who += f", approved by {order.approved_by} {label(order.approved_s)}"
    told = f"\n    {order.outcome}" if order.outcome else ""
    return (
        f"order {order.id}: {order.kind} {order.meter} is {order.state}; {who}; "
        f"expires {label(order.expires_s)}; reason: {order.reason}{told}"
    )
