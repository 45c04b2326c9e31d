"""``khazri meter facts|seal|move-in``: what is known of a meter beside its readings, by date."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.meter_exchange import registers
from grid.console.cli.options import answer, as_json, directory, instant
from grid.console.cli.users import by_user, user_of
from grid.interval import label

if TYPE_CHECKING:
    from grid.operation.metering_facts import Standing
    from grid.store.metering_facts import MoveIn, Seal


def declare_facts(verbs: Any) -> None:
    """Declare the options of the commands about metering facts."""
    lists = verbs.add_parser("facts", help="list transformers, verifications, seals, move-ins")
    lists.add_argument("meter", nargs="?", metavar="NAME", help="one meter; all, else")
    directory(lists)
    as_json(lists)
    lists.set_defaults(run=run_facts)
    seal = verbs.add_parser("seal", help="tell that a seal was placed on a meter, or removed")
    seal.add_argument("meter", metavar="NAME")
    seal.add_argument("number", metavar="NUMBER", help="as it is printed on the seal")
    seal.add_argument("--at", type=instant, required=True, help="when, such as 2026-05-27T10:40Z")
    seal.add_argument("--removed", action="store_true", help="it was removed then")
    by_user(seal)
    directory(seal)
    as_json(seal)
    seal.set_defaults(run=run_seal)
    moves = verbs.add_parser("move-in", help="tell who moved in, and what the meter showed")
    moves.add_argument("usage_point", metavar="USAGE_POINT")
    moves.add_argument("party", metavar="PARTY")
    moves.add_argument("--at", type=instant, required=True, help="when an interval begins")
    moves.add_argument(
        "--reading",
        type=registers,
        required=True,
        metavar="WH",
        help="import[,export[,reactive import,reactive export]] in whole Wh as the meter shows",
    )
    by_user(moves)
    directory(moves)
    as_json(moves)
    moves.set_defaults(run=run_move_in)


def run_facts(options: argparse.Namespace) -> int:
    """List what holds and held."""
    from grid import site_file
    from grid.errors import BadInputError
    from grid.operation import commission
    from grid.operation.metering_facts import standings
    from grid.store import metering_facts

    site = site_file.read(options.dir / site_file.SITE_FILE)
    points = {str(meter.id): str(meter.usage_point) for meter in site.meter}
    wanted = [options.meter] if options.meter else list(points)
    if options.meter and options.meter not in points:
        raise BadInputError(f"{options.meter[:64]}: no such meter in the site")
    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            held = [one for one in standings(tx, site) if one.meter in wanted]
            seals = metering_facts.seals(tx)
            moved = metering_facts.move_ins(tx, [points[meter] for meter in wanted])
    finally:
        store.close()
    sealed = [seal for meter in wanted for seal in seals.get(meter, [])]
    facts = {
        "facts": [_standing_facts(one) for one in held],
        "seals": [_labelled(asdict(one)) for one in sealed],
        "move_ins": [_labelled(asdict(one)) for one in moved],
    }
    lines = [_standing(one) for one in held]
    lines += [_seal(one) for one in sealed] + [_move_in(one) for one in moved]
    answer(options, facts, "\n".join(lines))
    return 0


def run_seal(options: argparse.Namespace) -> int:
    """Keep a seal."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.metering_facts import place_seal, remove_seal
    from grid.store.metering_facts import Seal

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            by = user_of(tx, options.by, "readings.edit")
            if options.removed:
                remove_seal(tx, site, options.meter, options.number, options.at, by)
            else:
                place_seal(tx, site, Seal(options.meter, options.number, options.at, by))
    finally:
        store.close()
    did = "removed" if options.removed else "placed"
    facts = {"meter": options.meter, "number": options.number, did: label(options.at)}
    text = f"{options.meter}: seal {options.number} {did} {label(options.at)}"
    answer(options, facts, text)
    return 0


def run_move_in(options: argparse.Namespace) -> int:
    """Keep a move-in."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.metering_facts import record_move_in
    from grid.store import control
    from grid.store.metering_facts import MoveIn

    site = site_file.read(options.dir / site_file.SITE_FILE)
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            told = MoveIn(
                usage_point=options.usage_point,
                party=options.party,
                at_s=options.at,
                registers=options.reading,
                recorded_by=user_of(tx, options.by, "readings.edit"),
                recorded_s=control.clock_s(tx),
            )
            record_move_in(tx, site, told)
    finally:
        store.close()
    answer(options, _labelled(asdict(told)), _move_in(told))
    return 0


def _labelled(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts with labels in place of instants."""
    at = {name for name, value in facts.items() if name.endswith("_s") and value is not None}
    return {
        name.removesuffix("_s"): label(value) if name in at else value
        for name, value in facts.items()
    }


def _standing_facts(one: Standing) -> dict[str, Any]:
    facts = asdict(one) | {"current": str(one.current), "voltage": str(one.voltage)}
    return _labelled(facts)


def _standing(one: Standing) -> str:
    since = "from the beginning" if one.from_s is None else f"from {label(one.from_s)}"
    until_s = one.verified_until_s
    verified = "verification not told" if until_s is None else f"verified until {label(until_s)}"
    return (
        f"{one.meter} {since}: device {one.serial or 'not named'}, current {one.current}, voltage "
        f"{one.voltage}, times {one.multiplier}, {one.digits} digits, {verified}"
    )


def _seal(one: Seal) -> str:
    removed = "" if one.removed_s is None else f", removed {label(one.removed_s)}"
    return f"{one.meter} seal {one.number}: placed {label(one.placed_s)}{removed}"


def _move_in(one: MoveIn) -> str:
    shown = ",".join("–" if value < 0 else str(value) for value in one.registers)
    return f"{one.usage_point} {label(one.at_s)}: {one.party} moved in at {shown} Wh"
