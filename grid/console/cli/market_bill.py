"""``khazri market bill FILE.toml``: a month's bill, with what it would be without trading."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid.console.cli.options import answer, as_json
from grid.quantities import format_price
from grid.site_file import read_text

if TYPE_CHECKING:
    from trading.bill_case import BillCase
    from trading.bills import Bill, BillLine
    from trading.origin import Origin


def declare_bill(verbs: Any) -> None:
    """Declare the command's options."""
    text = "a month's bill of a case file, and what the month would cost without trading"
    bill = verbs.add_parser("bill", help=text, description=text)
    bill.add_argument("case", type=Path, metavar="FILE.toml")
    as_json(bill)
    bill.set_defaults(run=run_bill)


def run_bill(options: argparse.Namespace) -> int:
    """Print the bill; exit 1 when the file expects another one."""
    from trading.bill_case import differences, figures, parse_case
    from trading.bills import bill

    case = parse_case(read_text(options.case), options.case.name)
    found = bill(case.given)
    wrong = differences(case, found)
    facts = {"month": case.month, "currency": case.currency, **figures(found), "wrong": wrong}
    facts["lines"] = [_facts(case, line) for line in found.lines]
    facts["origin"] = case.origin and case.origin.facts()
    answer(options, facts, table(case, found))
    for difference in wrong:
        print(f"khazri: {options.case.name}: {difference}", file=sys.stderr)
    return 1 if wrong else 0


def table(case: BillCase, bill: Bill) -> str:
    """Return a bill as a table for people; positive is to pay."""
    from trading.bills import FEE_KINDS, LAST_KINDS, SUPPLIER_KINDS

    given = case.given
    rows = [_row(f"{case.month} {given.tariff.id}", "kWh", "per kWh", case.currency)]
    traded = [line for line in bill.lines if line.kind not in SUPPLIER_KINDS | LAST_KINDS]
    parts = [
        ("Supplier", [line for line in bill.lines if line.kind in SUPPLIER_KINDS]),
        ("Trading", [line for line in traded if line.kind not in FEE_KINDS]),
        ("Fees", [line for line in traded if line.kind in FEE_KINDS]),
    ]
    for title, lines in parts:
        if lines:
            rows.append(_row(title, "", "", _money(sum(line.amount_nano for line in lines))))
            rows += [_line(case, line) for line in lines]
    rows += [
        _row(str(line.kind).capitalize(), "", "", _money(line.amount_nano))
        for line in bill.lines
        if line.kind in LAST_KINDS
    ]
    word = "Loss" if bill.gain_nano < 0 else "Gain"
    rows += [
        _row("To pay", "", "", _money(bill.total_nano)),
        _row("  of which VAT", "", "", _money(bill.vat_nano)),
        _row("Without trading", "", "", _money(bill.counterfactual_nano)),
        _row(f"{word} by trading", "", "", _money(abs(bill.gain_nano))),
    ]
    if bill.bank_wh or given.bank_wh:
        rows.append(_row("Energy bank after the month", _thousands(bill.bank_wh), "", ""))
    return "\n".join(rows + _origin(case.origin))


def _origin(found: Origin | None) -> list[str]:
    """Return where the imported energy came from, if the case says so."""
    if found is None:
        return []
    share = f"{found.local_permille // 10}.{found.local_permille % 10} %"
    rows = [
        _row("Imported", _thousands(found.local_wh + found.grid_wh), "", ""),
        _row(f"  of the community's sun and wind, {share}", _thousands(found.local_wh), "", ""),
        _row("  of the public grid and the rest", _thousands(found.grid_wh), "", ""),
    ]
    if found.co2_mg is not None:
        rows.append(
            _row(f"  CO2 of it: {_thousands((found.co2_mg + 500) // 1_000)} kg", "", "", "")
        )
    return rows


def _line(case: BillCase, line: BillLine) -> str:
    name = f"  {str(line.kind).replace('_', ' ')}"
    if line.rate:
        version = case.given.tariff.versions[line.version]
        name += f", {version.name}" + (f", {line.rate}" if version.rate else "")
    if not line.energy_wh:
        return _row(name, "", "", _money(line.amount_nano))
    price = "by interval" if line.price is None else format_price(line.price)
    return _row(name, _thousands(line.energy_wh), price, _money(line.amount_nano))


def _facts(case: BillCase, line: BillLine) -> dict[str, object]:
    """Return a line for machines; the price is null where it was another in each interval."""
    return {
        "kind": line.kind.value,
        "tariff": case.given.tariff.versions[line.version].name if line.rate else None,
        "rate": line.rate or None,
        "energy_wh": line.energy_wh,
        "price_per_kwh": None if line.price is None else format_price(line.price),
        "amount": _money(line.amount_nano),
    }


def _row(name: str, energy: str, price: str, amount: str) -> str:
    return f"{name[:56]:<56} {energy:>12} {price:>12} {amount:>16}".rstrip()


def _thousands(number: int) -> str:
    """Return Wh as kWh, or g as kg, with three decimals."""
    sign = "-" if number < 0 else ""
    return f"{sign}{abs(number) // 1000}.{abs(number) % 1000:03d}"


def _money(nano: int) -> str:
    from trading.statements import exact_money

    return exact_money(nano)
