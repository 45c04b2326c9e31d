"""The whole of a log, derived again in the order in which it was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from grid import interval
from trading.contracts import of_book
from trading.ledger.entry import Kind
from trading.ledger.succession import Loss
from trading.mechanisms import mechanism
from trading.replay import accounts, topologies
from trading.replay.agreements import Agreements
from trading.replay.books import Books
from trading.replay.contracts import TOLD, Contracts
from trading.replay.difference import Difference, DifferenceError
from trading.replay.invoices import Invoices
from trading.replay.log import Record
from trading.replay.postings import Names
from trading.replay.public import Public
from trading.replay.settlements import Settlements, shares
from trading.replay.terms import SiteTerms
from trading.topology import ACTION, LOSSES, Topology


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a log was what it must be.

    Attributes
    ----------
    difference : Difference or None
        The first; nothing after it was looked at.
    checked : dict
        How many facts of each kind follow publicly from those before.
    derived : dict
        How many of each kind were derived again.
    stopped : int or None
        The entry from which on nothing was derived: it, or what it follows from, is not opened
        in full or not told; none when all was derived.
    why : str
        What is missing there.
    left : tuple of str
        Months whose statements were not derived: the log begins in the middle of them, in the
        place of one that ended.
    """

    difference: Difference | None
    checked: dict[str, int]
    derived: dict[str, int]
    stopped: int | None
    why: str
    left: tuple[str, ...] = ()


def replay(log: Iterable[Record]) -> Replayed:
    """Check and derive a log until the first difference."""
    public, whole = Public(), Derivation()
    checked: Counter[str] = Counter()
    found: Difference | None = None
    try:
        for record in log:
            public.check(record)
            checked[str(record.kind)] += 1
            whole.derive(record, public.terms, public.follows)
    except DifferenceError as error:
        found = error.difference
    derived = {kind: count for kind, count in sorted(whole.derived.items()) if count}
    return Replayed(
        found, dict(sorted(checked.items())), derived, whole.stopped, whole.why, whole.left
    )


class Derivation:
    """What was derived so far."""

    def __init__(self) -> None:
        names = Names()
        self.derived: Counter[str] = Counter()
        self.stopped: int | None = None
        self.why = ""
        self.left: tuple[str, ...] = ()
        self._agreements = Agreements()
        self._contracts = Contracts()
        self._books = Books()
        self._topology = Topology()
        self._settled = Settlements(names)
        self._invoices = Invoices(self._settled, names)

    def derive(self, record: Record, terms: SiteTerms | None, follows: Loss | None) -> None:
        """Derive one fact and compare it, as long as all before it were derived.

        Parameters
        ----------
        terms : SiteTerms or None
            The site's, where the log holds them.
        follows : Loss or None
            What is left of a log that it follows.

        Raises
        ------
        DifferenceError
        """
        if self.stopped is not None or not self._is_wanted(record):
            return
        missing = f"{record.commitments - len(record.openings)} of {record.commitments}"
        if not record.is_opened:
            self.stopped, self.why = record.sequence, f"{missing} commitments are not opened"
        elif record.kind is Kind.ACTION and record.body["action"] != accounts.ACTION:
            self._take(record)
        elif terms is None:
            self.stopped, self.why = record.sequence, "the log does not hold the site's terms"
        elif self._lacks_lines(record, terms):
            self.stopped, self.why = record.sequence, "the log does not hold the feeder's lines"
        elif record.kind is Kind.ACTION:
            month = interval.month_label(record.start_s, terms.time_zone)
            self._settled.accounts[month] = dict(accounts.take(record))
        elif record.kind is Kind.INVOICE and follows and record.start_s < follows.from_s:
            self._leave(record)
        else:
            self.derived.update(self._trading(record, terms))

    def _leave(self, record: Record) -> None:
        """Leave statements and credits of a month whose beginning the log does not hold."""
        if "invoices" in record.body:
            month = str(record.body["month"])
            self._settled.billed.add(month)
            self.left = (*self.left, month)

    def _lacks_lines(self, record: Record, terms: SiteTerms) -> bool:
        """Whether a record needs the feeder's lines, which older logs do not tell."""
        needs = mechanism(terms.market.mechanism).needs
        return record.kind is Kind.CLEARING and "feeder" in needs and not self._topology.parent

    def _is_wanted(self, record: Record) -> bool:
        """Whether something follows from a record, or it from something."""
        if record.kind is Kind.ACTION:
            action = str(record.body.get("action", ""))
            known = (ACTION, LOSSES, accounts.EMPTIED, *accounts.TOLD, *TOLD)
            return action in known or action.startswith(("agreement.", "agreements."))
        return record.kind in (
            Kind.BOOK, Kind.CLEARING, Kind.READINGS, Kind.SETTLEMENT, Kind.CORRECTION, Kind.INVOICE,
        )  # fmt: skip

    def _take(self, record: Record) -> None:
        """Take what an action agrees or tells of the network."""
        if record.body["action"] == accounts.EMPTIED:
            self._books.empty_batteries()
        elif record.body["action"] == accounts.BATTERIES:
            self._books.begin(accounts.take_batteries(record))
        elif record.body["action"] in TOLD:
            self._contracts.take(record)
        elif record.body["action"] in (ACTION, LOSSES):
            self._topology = topologies.take(record, self._topology)
        else:
            self._agreements.take(record)

    def _trading(self, record: Record, terms: SiteTerms) -> Iterator[str]:
        """Yield the names of what was derived."""
        if record.kind is Kind.BOOK:
            standing = self._agreements.standing(record)
            holders = {str(point): str(one.party) for point, one in standing.items()}
            self._books.seal(record, holders)
        elif record.kind is Kind.CLEARING:
            if mechanism(terms.market.mechanism).metered:
                self._settled.shared(record)
                return
            known, held = self._contracts.listed(), self._agreements.listed()
            between = partial(of_book, known, held, start_s=record.start_s)
            standing = self._agreements.standing(record)
            self._books.clear(record, terms, between, self._topology, standing)
            yield "prices"
            yield from ["trades"] * (record.commitments // 2)
        elif record.kind is Kind.READINGS:
            self._settled.read(record)
        elif record.kind is Kind.INVOICE:
            if "invoices" not in record.body:
                self._invoices.credit(record)
                return
            self._invoices.bill(record, terms, self._agreements.listed())
            yield from ["statements"] * int(record.body["invoices"])
        elif record.body["state"] != "final":
            standing = self._agreements.standing(record)
            traded = self._books.traded.get(record.start_s, {})
            self._settled.settle(record, terms, standing, traded, self._topology)
            if record.kind is Kind.SETTLEMENT and shares(terms, record.start_s):
                yield "prices"
            yield "settlements"
            yield from ["postings"] * record.commitments
