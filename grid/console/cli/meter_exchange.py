"""``khazri meter exchange|exchanges``: one device gave way to another, and what both showed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, checked, directory, instant, whole
from grid.console.cli.users import by_user, user_of
from grid.errors import BadInputError
from grid.interval import label

if TYPE_CHECKING:
    from grid.store.meter_exchanges import MeterExchange

_DIGITS = 15
_READINGS = "of the old: import[,export[,reactive import,reactive export]] in whole Wh as it shows"


def declare_exchange(verbs: Any) -> None:
    """Declare the options of ``exchange`` and ``exchanges``."""
    tells = verbs.add_parser("exchange", help="tell that a meter was exchanged, with both readings")
    tells.add_argument("meter", metavar="NAME")
    tells.add_argument("--old-serial", required=True)
    tells.add_argument("--new-serial", required=True)
    tells.add_argument("--at", type=instant, required=True, help="when, such as 2026-05-27T10:40Z")
    tells.add_argument(
        "--last-reading", type=_registers, required=True, metavar="WH", help=_READINGS
    )
    tells.add_argument(
        "--first-reading", type=_registers, required=True, metavar="WH", help="of the new, alike"
    )
    tells.add_argument(
        "--digits", type=whole(4, _DIGITS), help="of the new one's register; else as the old one's"
    )
    tells.add_argument(
        "--multiplier", type=whole(1, 10**6), help="primary Wh a Wh of the new one; else as before"
    )
    by_user(tells)
    directory(tells)
    as_json(tells)
    tells.set_defaults(run=run_exchange)
    lists = verbs.add_parser("exchanges", help="list the exchanges of meters")
    directory(lists)
    as_json(lists)
    lists.set_defaults(run=run_exchanges)


@checked
def _registers(text: str) -> tuple[int, int, int, int]:
    parts = [part.strip() for part in text.split(",")]
    whole_numbers = all(part.isdecimal() and len(part) <= _DIGITS for part in parts)
    if len(parts) not in (1, 2, 4) or not whole_numbers:
        raise BadInputError(f"{text[:60]!r} must be 1, 2 or 4 whole numbers of Wh, such as 4711,0")
    a, b, c, d = (*map(int, parts), *(-1,) * (4 - len(parts)))
    return a, b, c, d


def run_exchange(options: argparse.Namespace) -> int:
    """Keep an exchange."""
    from grid import site_file
    from grid.operation import commission
    from grid.operation.meter_exchanges import record_exchange
    from grid.store import control
    from grid.store.meter_exchanges import MeterExchange, exchanges

    site = site_file.read(options.dir / site_file.SITE_FILE)
    meter = next((one for one in site.meter if one.id == options.meter), None)
    if meter is None:
        raise BadInputError(f"{options.meter}: no such meter in the site")
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            before = [one for one in exchanges(tx, meter.id) if one.at_s < options.at]
            was = before[-1] if before else None
            told = MeterExchange(
                meter=str(meter.id),
                at_s=options.at,
                old_serial=options.old_serial,
                new_serial=options.new_serial,
                last=options.last_reading,
                first=options.first_reading,
                digits=options.digits or (was.digits if was else meter.register_digits),
                multiplier=options.multiplier or (was.multiplier if was else meter.multiplier),
                recorded_by=user_of(tx, options.by, "readings.edit"),
                recorded_s=control.clock_s(tx),
            )
            number = record_exchange(tx, site, told)
    finally:
        store.close()
    text = f"exchange {number}: {_line(told)}; the next cycle validates what came since again"
    answer(options, {"exchange": number, **_facts(told)}, text)
    return 0


def run_exchanges(options: argparse.Namespace) -> int:
    """List the exchanges."""
    from grid.operation import commission
    from grid.store.meter_exchanges import exchanges

    store = commission.open_store(options.dir)
    try:
        with store.read() as tx:
            found = exchanges(tx)
    finally:
        store.close()
    text = "\n".join(map(_line, found)) or "no meter was exchanged"
    answer(options, {"exchanges": [_facts(one) for one in found]}, text)
    return 0


def _facts(one: MeterExchange) -> dict[str, Any]:
    facts = asdict(one)
    for name in ("at", "recorded"):
        facts[name] = label(facts.pop(f"{name}_s"))
    return facts


def _line(one: MeterExchange) -> str:
    def shown(registers: tuple[int, ...]) -> str:
        return ",".join("–" if value < 0 else str(value) for value in registers)

    return (
        f"{one.meter} {label(one.at_s)}: {one.old_serial} ({shown(one.last)} Wh) gave way to "
        f"{one.new_serial} ({shown(one.first)} Wh, {one.digits} digits, times {one.multiplier}), "
        f"told by {one.recorded_by}"
    )
