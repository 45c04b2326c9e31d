"""Every statement of a month that is billed, written again from its postings."""

from __future__ import annotations

from grid import interval
from grid.errors import GridError
from grid.ids import AccountId
from trading.accounts import POOL, Posting, PostingKind, money_line, party_account
from trading.agreement_months import months_of
from trading.agreements import Agreement
from trading.replay.log import Record
from trading.replay.postings import Names, compare
from trading.replay.settlements import Settlements
from trading.replay.terms import SiteTerms
from trading.statements import Statement, statement


class Invoices:
    """What was billed and credited so far."""

    def __init__(self, settled: Settlements, names: Names) -> None:
        self._settled = settled
        self._names = names
        self._credits: dict[str, list[tuple[str, int]]] = {}
        self._closing: dict[str, int] = {}

    def credit(self, record: Record) -> None:
        """Take a credit of a decided dispute: nothing says what it must be but who decided.

        Raises
        ------
        DifferenceError
            When it is something else than a credit of the pool.
        """
        month = str(record.body["month"])
        place = self._closing.get(month, 0)
        told = record.of("posting")
        record.expect("posting", list(told), [f"invoice-{place}"])
        one = told[f"invoice-{place}"]
        name, amount = one.text("credit"), one.decimal("amount_nano")
        if amount <= 0:
            raise record.differs(f"{one.what} amount_nano", amount, "at least 1")
        account = self._names.account(month, name) or AccountId(name)
        line = money_line(POOL, account, amount, PostingKind.CREDIT)
        if account.startswith("party:"):
            compare(record, self._names, month, [line], first=place, prefix="invoice-")
        self._credits.setdefault(month, []).append((name, amount))
        self._closing[month] = place + 1

    def bill(self, record: Record, terms: SiteTerms, agreements: list[Agreement]) -> None:
        """Write the statements of a month again and compare them, with what closes them.

        Raises
        ------
        DifferenceError
        """
        month = str(record.body["month"])
        parties = sorted({str(one.party) for one in agreements} - {str(terms.community)})
        try:
            drafts = {name: self._draft(record, terms, agreements, name) for name in parties}
        except GridError as error:
            raise record.differs("statement", str(error), "one that can be written") from error
        billed = {name: one for name, one in drafts.items() if one.document["lines"]}
        told = record.of("invoice")
        closing: list[Posting] = []
        for place, one in enumerate(billed.values(), start=1):
            number = f"{month}-{place:04d}"
            found = told.pop(number, None)
            if found is None:
                raise record.differs(f"invoice {number}", "missing", one.document)
            _compare_lines(record, number, found.members().get("lines"), one.document["lines"])
            found.equals(one.document)
            closing += one.closing
        if told:
            raise record.differs(f"invoice {min(told)}", "there", "none")
        record.expect("invoices", record.body["invoices"], len(billed))
        first = self._closing.get(month, 0)
        compare(record, self._names, month, closing, first=first, prefix="invoice-")
        record.expect("commitments", record.commitments, len(billed) + len(closing))
        self._closing[month] = first + len(closing)
        self._settled.billed.add(month)

    def _draft(
        self, record: Record, terms: SiteTerms, agreements: list[Agreement], party: str
    ) -> Statement:
        """Return the statement of a party for the month of a record."""
        month = str(record.body["month"])
        bounds = interval.month_bounds(record.start_s, terms.time_zone)
        name = next(one.party for one in agreements if str(one.party) == party)
        account = party_account(name)
        lines = [
            (start_s < bounds[0], line)
            for start_s, line in self._settled.posted.get((month, account), [])
        ]
        for alias, amount in self._credits.get(month, []):
            if self._names.account(month, alias) == account:
                lines.append((True, money_line(POOL, account, amount, PostingKind.CREDIT)))
        tariffs = {str(tariff.id): tariff for tariff in terms.tariff}
        accounts = self._settled.accounts.get(month, {})
        months = months_of(party, agreements, accounts, tariffs, bounds, int(month[5:]))
        law = terms.law_at(bounds[0])
        return statement(
            name, month, terms.currency, lines, months, terms.market, law, terms.co2_mg_per_kwh
        )


def _compare_lines(record: Record, number: str, told: object, derived: object) -> None:
    """Compare the lines of a statement one by one, to name the first that differs."""
    assert isinstance(derived, list)
    if not isinstance(told, list) or len(told) != len(derived):
        count = len(told) if isinstance(told, list) else "none"
        raise record.differs(f"invoice {number} lines", count, len(derived))
    for place, (one, other) in enumerate(zip(told, derived, strict=True)):
        record.expect(f"invoice {number} line {place}", one, other)
