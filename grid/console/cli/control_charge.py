"""``khazri control charge|uncharge|vehicles``: what people want of charge points."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, directory, number, whole
from grid.console.cli.users import by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from grid.store.charging import Session


def declare_charge(verbs: Any) -> None:
    """Declare the commands about vehicles."""
    states = verbs.add_parser("charge", help="state when a vehicle leaves and what it is to get")
    states.add_argument("charger", metavar="NAME")
    states.add_argument(
        "--departs", required=True, metavar="T", help="in the site's time, YYYY-MM-DDTHH:MM"
    )
    states.add_argument("--kwh", type=number(0.1, 1e5, "kWh"), required=True)
    states.add_argument("--arrives", metavar="T", help="where it is not there yet")
    by_user(states, required=True)
    takes = verbs.add_parser("uncharge", help="take a wish back: the one before it holds again")
    takes.add_argument("number", type=whole(1, 2**63 - 1), metavar="ID")
    by_user(takes, required=True)
    lists = verbs.add_parser("vehicles", help="list what was wanted and what came of it")
    for parser, run in ((states, run_charge), (takes, run_uncharge), (lists, run_vehicles)):
        directory(parser)
        as_json(parser)
        parser.set_defaults(run=run)


def run_charge(options: argparse.Namespace) -> int:
    """State a wish; an operator for any charge point, a prosumer for the own."""
    from grid import interval, site_file
    from grid.errors import BadInputError
    from grid.operation import charging, commission
    from grid.store import people

    site = site_file.read(options.dir / site_file.SITE_FILE)
    zone = site.time_zone
    wanted = charging.Wanted(
        options.charger,
        interval.parse_civil(options.departs, zone),
        round(1000 * options.kwh),
        options.by,
        interval.parse_civil(options.arrives, zone) if options.arrives else None,
    )
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "charging.state")
            who = next(one for one in people.people(tx) if one.email == user)
            owner = charging.party_of(tx, charging.charger_of(site, options.charger))
            if "operator" not in who.roles and who.party != owner:
                raise BadInputError(f"{options.charger}: no charge point of {user}")
            made = charging.state(tx, site, wanted)
    finally:
        store.close()
    answer(options, _facts(made), _line(made))
    return 0


def run_uncharge(options: argparse.Namespace) -> int:
    """Take a wish back."""
    from grid import site_file
    from grid.errors import BadInputError
    from grid.operation import charging, commission
    from grid.store import charging as kept
    from grid.store import people

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            user = user_of(tx, options.by, "charging.withdraw")
            who = next(one for one in people.people(tx) if one.email == user)
            found = kept.get_session(tx, options.number)
            if "operator" not in who.roles and who.party != found.party:
                raise BadInputError(f"charging session {options.number}: none of {user}")
            gone = charging.withdraw(tx, site, options.number, user)
    finally:
        store.close()
    answer(options, _facts(gone), _line(gone))
    return 0


def run_vehicles(options: argparse.Namespace) -> int:
    """List wishes, the newest first."""
    from grid.operation import commission
    from grid.store import charging

    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            found = charging.listed(tx)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "nobody stated anything"
    answer(options, {"sessions": [_facts(one) for one in found]}, text)
    return 0


def _facts(one: Session) -> dict[str, Any]:
    facts = asdict(one)
    for name in ("stated", "arrives", "departs", "ended"):
        at_s = facts.pop(f"{name}_s")
        facts[name] = None if at_s is None else label(at_s)
    return facts


def _line(one: Session) -> str:
    got = "" if one.got_wh is None else f", got {one.got_wh / 1000:g} kWh"
    wanted = f"{one.wanted_wh / 1000:g} kWh by {label(one.departs_s)}"
    return f"{one.id} {one.charger} {wanted}: {one.state}{got}, by {one.stated_by}"
