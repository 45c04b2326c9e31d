"""What everybody can check of a log without openings: that its facts follow one another.

A book is sealed before it is cleared, and once; after its agents' book; what is read is settled in
the next entry about it, version after version; what is final was settled; a month is billed once,
when all of it is final; and what stands in clear can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from grid import interval
from grid.errors import BadInputError, VerificationError
from grid.quantities import parse_price
from trading.ledger import succession
from trading.ledger.entry import Kind
from trading.ledger.succession import Loss
from trading.mechanisms import mechanism
from trading.orders import TICK
from trading.replay import accounts, contracts, topologies
from trading.replay.log import Fields, Record
from trading.replay.terms import CHANGE, SiteTerms, decode, decode_tariff
from trading.sealed_book import AMENDMENTS_MOST
from trading.tariffs.change import changed
from trading.topology import ACTION

_OF_INTERVALS = (
    Kind.BOOK, Kind.CLEARING, Kind.READINGS, Kind.SETTLEMENT, Kind.CORRECTION,
)  # fmt: skip
"""What a log that follows another one tells of no interval before its first."""

_SIDES = {"bid_wh": "what was bid", "asked_wh": "what was asked"}


class Public:
    """What the log said so far, in clear.

    Attributes
    ----------
    terms : SiteTerms or None
        The newest; none where the log does not hold them.
    follows : Loss or None
        What the genesis says of a log that it follows.
    """

    def __init__(self) -> None:
        self.terms: SiteTerms | None = None
        self.follows: Loss | None = None
        self._books: dict[str, set[int]] = {"agents": set(), "members": set()}
        self._cleared: set[int] = set()
        self._read: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self._provisional: dict[int, int] = {}
        self._billed: set[str] = set()
        self._topology: str | None = None
        self._checks: dict[Kind, Callable[[Record, Fields], None]] = {
            Kind.GENESIS: self._genesis,
            Kind.ACTION: self._action,
            Kind.BOOK: self._book,
            Kind.CLEARING: self._clearing,
            Kind.READINGS: self._readings,
            Kind.SETTLEMENT: self._settlement,
            Kind.CORRECTION: self._settlement,
            Kind.INVOICE: self._invoice,
        }

    def check(self, record: Record) -> None:
        """Check one fact against those before it.

        Raises
        ------
        DifferenceError
            When it does not follow.
        """
        if self.follows is not None and record.kind in _OF_INTERVALS:
            first = interval.label(self.follows.from_s)
            if record.start_s < self.follows.from_s:
                raise record.differs("interval", record.interval, f"from {first} on")
        if record.kind in self._checks:
            self._checks[record.kind](record, Fields(record, "public", record.body))

    def _genesis(self, record: Record, body: Fields) -> None:
        try:
            self.follows = succession.read(record.body)
        except VerificationError as error:
            raise record.differs("follows", str(error), "signed by the log before") from error

    def _action(self, record: Record, body: Fields) -> None:
        if record.body.get("action") in (contracts.BEGUN, *accounts.TOLD):
            begins = not (self._read or self._settled or any(self._books.values()))
            is_taken_over = self.follows is not None and begins
            record.expect("taken over where the log begins", is_taken_over, True)
        if record.body.get("action") == ACTION:
            self._topology = topologies.lines(record).sha256
        if record.body.get("action") == CHANGE:
            self._change(record)
        if record.body.get("action") in contracts.TOLD:
            # The same to both parties.
            record.expect("commitments", record.commitments, 2)
        if "terms" not in record.body:
            return
        try:
            told = decode(record.body["terms"])
        except BadInputError as error:
            raise record.differs("terms", str(error), "terms of a site") from error
        if self.terms is not None:
            self._same(record, self.terms, told)
        self.terms = told

    @staticmethod
    def _same(record: Record, before: SiteTerms, told: SiteTerms) -> None:
        """Refuse terms told again that rule otherwise than those told and changed before."""
        for one in fields(SiteTerms):
            old, now = getattr(before, one.name), getattr(told, one.name)
            # That it was not known was no rule.
            if old != now and (one.name != "co2_mg_per_kwh" or old):
                raise record.differs(f"terms {one.name}", "other", "what was told before")

    def _change(self, record: Record) -> None:
        """Take a change of a tariff, which reaches no interval that was read before it."""
        if self.terms is None:
            raise record.differs("change", "there", "none: the log does not hold the terms")
        latest_s = max((record.start_s, *self._read, *self._settled))
        last = interval.local_day(latest_s, self.terms.time_zone)
        try:
            new = decode_tariff(record.body.get("change"))
            if new.valid_from <= last:
                raise record.differs("valid_from", str(new.valid_from), f"after {last}")
            self.terms = replace(self.terms, tariff=changed(self.terms.tariff, new))
        except BadInputError as error:
            raise record.differs("change", str(error), "a tariff's version") from error

    def _book(self, record: Record, body: Fields) -> None:
        start_s, by, orders = record.start_s, body.text("by"), body.whole("orders")
        if by not in self._books:
            raise record.differs("by", by, "agents or members")
        if start_s in self._books["members"]:
            raise record.differs("book", f"of {by}", "none: it is sealed already")
        if start_s in self._books[by]:
            raise record.differs("book", f"of {by}", "none: they have one already")
        # An order of a member may be amended and cancelled; each is one more commitment.
        most = orders if by == "agents" else (2 + AMENDMENTS_MOST) * orders
        if not orders <= record.commitments <= most:
            raise record.differs("commitments", record.commitments, f"{orders} to {most}")
        self._books[by].add(start_s)

    def _clearing(self, record: Record, body: Fields) -> None:
        start_s, rules = record.start_s, mechanism_of(record, body)
        if start_s in self._cleared:
            raise record.differs("clearing", "another one", "none: it is cleared already")
        if self.terms is not None:
            lawful = self.terms.law_at(start_s).trading_allowed
            record.expect("trading allowed", True, lawful)
            record.expect("mechanism", rules, self.terms.market.mechanism)
        if mechanism(rules).metered:
            record.expect("commitments", record.commitments, 0)
            record.expect("settled before it was shared", start_s in self._settled, False)
        elif "feeder" in mechanism(rules).needs:
            record.expect("topology_sha256", record.body.get("topology_sha256"), self._topology)
        if not mechanism(rules).metered and start_s not in self._books["members"]:
            raise record.differs("clearing", "there", "none: its book is not sealed")
        if record.commitments % 2:
            raise record.differs("commitments", record.commitments, "two for each trade")
        self._figures(record, body, metered=mechanism(rules).metered)
        self._cleared.add(start_s)

    def _figures(self, record: Record, body: Fields, *, metered: bool) -> None:
        """Check that price and volumes can be."""
        price, volume_wh = record.body.get("price"), record.body.get("volume_wh")
        if price is not None:
            try:
                nano = parse_price(body.text("price"))
            except BadInputError as error:
                raise record.differs("price", price, "a decimal per kWh") from error
            if nano < 0 or (nano % TICK and not metered):
                raise record.differs("price", price, "at least 0 and on the tick")
        if volume_wh is None:
            return
        volume_wh = body.whole("volume_wh")
        for name, what in _SIDES.items():
            if record.body.get(name) is not None and body.whole(name) < volume_wh:
                raise record.differs("volume_wh", volume_wh, f"at most {what}, {body.whole(name)}")
        if not metered and bool(volume_wh) != bool(record.commitments):
            raise record.differs("volume_wh", volume_wh, f"of {record.commitments // 2} trades")

    def _readings(self, record: Record, body: Fields) -> None:
        start_s, version = record.start_s, body.whole("version")
        record.expect("version", version, self._settled.get(start_s, -1) + 1)
        if start_s in self._read:
            raise record.differs("readings", f"version {version}", "the settlement of those before")
        if version == 0:
            for name in ("head_export_wh", "head_import_wh", "loss_wh"):
                body.whole(name)
        least = body.whole("usage_points")
        if record.commitments < least:
            raise record.differs("commitments", record.commitments, f"at least {least}")
        self._read[start_s] = version

    def _settlement(self, record: Record, body: Fields) -> None:
        start_s, state, version = record.start_s, body.text("state"), body.whole("version")
        if state == "final":
            record.expect("final version", version, self._provisional.pop(start_s, -1))
            return
        if start_s not in self._read:
            raise record.differs("settlement", f"version {version}", "the readings first")
        record.expect("version", version, self._read.pop(start_s))
        wanted = Kind.CORRECTION if version else Kind.SETTLEMENT
        record.expect("kind", str(record.kind), str(wanted))
        # While no witness has seen it, an interval past its deadline is neither final.
        if state != "late" and (state != "provisional" or not self._is_open(start_s, version)):
            raise record.differs("state", state, "late, as the interval is final")
        self._settled[start_s] = version
        if state == "provisional":
            self._provisional[start_s] = version

    def _is_open(self, start_s: int, version: int) -> bool:
        return version == 0 or start_s in self._provisional

    def _invoice(self, record: Record, body: Fields) -> None:
        if "invoices" not in record.body:  # a credit on the statement of a month
            record.expect("commitments", record.commitments, 1)
            return
        month, count = body.text("month"), body.whole("invoices")
        if month in self._billed:
            raise record.differs("invoices", f"of {month}", "none: it is billed already")
        if record.commitments < count:
            raise record.differs("commitments", record.commitments, f"at least {count}")
        if self.terms is not None:
            zone = self.terms.time_zone
            record.expect("month", month, interval.month_label(record.start_s, zone))
            bounds = interval.month_bounds(record.start_s, zone)
            if early := [at_s for at_s in self._provisional if bounds[0] <= at_s < bounds[1]]:
                raise record.differs(
                    "invoices", month, f"none: {interval.label(min(early))} is open"
                )
        self._billed.add(month)


def mechanism_of(record: Record, body: Fields) -> str:
    """Return the name of the mechanism of a clearing."""
    name = body.text("mechanism")
    try:
        mechanism(name)
    except BadInputError as error:
        raise record.differs("mechanism", name, "a mechanism that is known") from error
    return name
