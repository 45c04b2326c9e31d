"""``khazri market invoices|dispute|decide``: what was billed, and lines that are not accepted."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from grid.console.cli.options import answer, as_json, directory, whole
from grid.console.cli.users import acting, by_user

MAY = "agreements.listed"


def declare_invoices(verbs: Any) -> None:
    """Declare the commands' options."""
    lists = verbs.add_parser("invoices", help="list invoices, with what is held by disputes")
    lists.add_argument("--month", metavar="YYYY-MM")
    lists.add_argument("--party")
    _common(lists, run_invoices)
    opens = verbs.add_parser("dispute", help="tell that a party does not accept a line")
    opens.add_argument("invoice", metavar="NUMBER")
    opens.add_argument("line", type=whole(0, 10_000), metavar="LINE", help="from 0, as listed")
    opens.add_argument("--party", required=True)
    opens.add_argument("--reason", required=True)
    by_user(opens)
    _common(opens, run_dispute)
    decides = verbs.add_parser("decide", help="decide a dispute: a credit, or none")
    decides.add_argument("dispute", type=whole(1, 2**31), metavar="DISPUTE")
    decides.add_argument("--credit", default="0", metavar="AMOUNT", help="none rejects it")
    decides.add_argument("--note", required=True)
    by_user(decides)
    _common(decides, run_decide)


def _common(parser: argparse.ArgumentParser, run: Any) -> None:
    directory(parser)
    as_json(parser)
    parser.set_defaults(run=run)


def run_invoices(options: argparse.Namespace) -> int:
    """List invoices by month and number."""
    from grid.operation import billing, commission
    from grid.store import invoices
    from trading.statements import exact_money

    with closing(commission.open_store(options.dir)) as store, store.read() as tx:
        found = invoices.invoices(tx, month=options.month, party=options.party)
        disputes = invoices.disputes(tx, [one.number for one in found])
    facts, rows = [], []
    for one in found:
        held = billing.held_nano([it for it in disputes if it.invoice == one.number])
        shown = {"number": one.number, "party": one.party, "month": one.month}
        shown |= {"total": one.document["total"], "held": exact_money(held)}
        told = {"lines": one.document["lines"], "origin": one.document.get("origin")}
        # None in a log that has ended.
        entry = one.sequence if one.sequence >= 0 else None
        facts.append({**shown, "entry": entry, **told})
        rows.append(
            f"{one.number} {one.party:<16} {one.document['total']:>12} "
            f"{one.document['currency']}" + (f", held {shown['held']}" if held else "")
        )
        if options.party:
            rows += [
                f"  {place}: {line['kind']} {line['energy_wh']} Wh {line['amount']}"
                + (" late" if line["late"] else "")
                for place, line in enumerate(one.document["lines"])
            ]
    answer(options, {"invoices": facts}, "\n".join(rows) or "no invoices yet")
    return 0


def run_dispute(options: argparse.Namespace) -> int:
    """Keep that a line is not accepted."""
    from grid.operation import billing

    with acting(options, MAY) as (tx, site, by):
        number = billing.dispute(
            tx,
            site,
            options.invoice,
            options.line,
            party=options.party,
            reason=options.reason,
            by=by,
        )
    text = f"dispute {number}: line {options.line} of invoice {options.invoice} is held"
    answer(options, {"dispute": number}, text)
    return 0


def run_decide(options: argparse.Namespace) -> int:
    """Decide a dispute."""
    from grid.operation import billing
    from grid.quantities import parse_money
    from trading.statements import exact_money

    with acting(options, MAY) as (tx, site, by):
        done = billing.decide(
            tx,
            site,
            options.dispute,
            credit_nano=parse_money(options.credit),
            note=options.note,
            by=by,
        )
    credit = exact_money(done.credit_nano)
    text = f"dispute {done.id} is {done.state}, credit {credit} on the next invoice"
    answer(options, {"dispute": done.id, "state": str(done.state), "credit": credit}, text)
    return 0
