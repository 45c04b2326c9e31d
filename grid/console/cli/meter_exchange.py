"""``khazri meter exchange|exchanges``: one device gave way to another, and what both showed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json, checked, day, directory, instant, whole
from grid.console.cli.users import by_user, user_of
from grid.errors import BadInputError
from grid.interval import label
from grid.quantities import Ratio

if TYPE_CHECKING:
    from grid.operation.metering_facts import Standing
    from grid.site import Site
    from grid.store.meter_exchanges import MeterExchange

_DIGITS = 15
_READINGS = "of the old: import[,export[,reactive import,reactive export]] in whole Wh as it shows"


def declare_exchange(verbs: Any) -> None:
    """Declare the options of ``exchange`` and ``exchanges``."""
    tells = verbs.add_parser("exchange", help="tell that a meter was exchanged, with both readings")
    tells.add_argument("meter", metavar="NAME")
    tells.add_argument("--old-serial", required=True)
    tells.add_argument(
        "--new-serial", help="left out where only the transformers before the meter changed"
    )
    tells.add_argument("--at", type=instant, required=True, help="when, such as 2026-05-27T10:40Z")
    tells.add_argument(
        "--last-reading", type=registers, required=True, metavar="WH", help=_READINGS
    )
    tells.add_argument(
        "--first-reading", type=registers, required=True, metavar="WH", help="of the new, alike"
    )
    tells.add_argument(
        "--digits", type=whole(4, _DIGITS), help="of the new one's register; else as the old one's"
    )
    tells.add_argument(
        "--multiplier", type=whole(1, 10**6), help="of the new one itself; else as before"
    )
    for name, plate in (("current", "200/5"), ("voltage", "10000/100")):
        tells.add_argument(
            f"--{name}",
            type=checked(Ratio.parse),
            metavar=plate,
            help=f"ratio of the {name} transformers before it; else as before",
        )
    tells.add_argument(
        "--verified-until", type=day, metavar="DATE", help="last day of the new one's verification"
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
def registers(text: str) -> tuple[int, int, int, int]:
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
    from grid.operation.metering_facts import in_force
    from grid.store import control
    from grid.store.meter_exchanges import MeterExchange

    site = site_file.read(options.dir / site_file.SITE_FILE)
    meter = next((one for one in site.meter if one.id == options.meter), None)
    if meter is None:
        raise BadInputError(f"{options.meter}: no such meter in the site")
    store = commission.open_store(options.dir)
    try:
        with store.write() as tx:
            was = in_force(tx, site, options.at - 1)[meter.id]
            told = MeterExchange(
                meter=str(meter.id),
                at_s=options.at,
                old_serial=options.old_serial,
                new_serial=options.new_serial or options.old_serial,
                last=options.last_reading,
                first=options.first_reading,
                digits=options.digits or was.digits,
                multiplier=options.multiplier or was.multiplier,
                current=options.current or was.current,
                voltage=options.voltage or was.voltage,
                verified_until_s=_verified_until_s(site, options, was),
                recorded_by=user_of(tx, options.by, "readings.edit"),
                recorded_s=control.clock_s(tx),
            )
            number = record_exchange(tx, site, told)
    finally:
        store.close()
    text = f"exchange {number}: {_line(told)}; the next cycle validates what came since again"
    answer(options, {"exchange": number, **_facts(told)}, text)
    return 0


def _verified_until_s(site: Site, options: argparse.Namespace, was: Standing) -> int | None:
    """Return when the verification ends: another device's is its own."""
    from grid.operation.metering_facts import day_end_s

    if options.verified_until is not None:
        return day_end_s(site, options.verified_until)
    return None if options.new_serial else was.verified_until_s


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
    facts = asdict(one) | {"current": str(one.current), "voltage": str(one.voltage)}
    for name in ("at", "recorded", "verified_until"):
        at_s = facts.pop(f"{name}_s")
        facts[name] = None if at_s is None else label(at_s)
    return facts


def _line(one: MeterExchange) -> str:
    def shown(registers: tuple[int, ...]) -> str:
        return ",".join("–" if value < 0 else str(value) for value in registers)

    return (
        f"{one.meter} {label(one.at_s)}: {one.old_serial} ({shown(one.last)} Wh) gave way to "
        f"{one.new_serial} ({shown(one.first)} Wh, {one.digits} digits, times {one.factor}), "
        f"told by {one.recorded_by}"
    )
