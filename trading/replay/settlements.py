"""Every interval settled again, from what its meters counted and what was traded in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grid import interval
from grid.errors import GridError
from grid.ids import AccountId, UsagePointId
from trading.accounts import Posting
from trading.agreement_months import fee_due, opening_banks
from trading.agreements import Agreement
from trading.late import settle_late
from trading.mechanisms import mechanism
from trading.replay.difference import DifferenceError
from trading.replay.log import Fields, Record
from trading.replay.postings import Names, compare
from trading.replay.terms import SiteTerms
from trading.settlement import resettle, settle
from trading.settlement_facts import (
    NOTHING_TRADED,
    MonthAccount,
    Settlement,
    SettlementInput,
    Traded,
    UsagePointInput,
    members,
)
from trading.sharing import share, summary
from trading.tariffs.clock import head_price, segment_at
from trading.topology import Topology

HEAD = ("head_export_wh", "head_import_wh", "loss_wh")
LATE_AHEAD_S = 31 * interval.DAY_S
"""How far past the newest readings a statement may be that late postings stand on."""
_INSTRUCTED = ("charge_wh", "discharge_wh", "produced_wh", "curtailed_wh", "shed_wh")


class Settlements:
    """What was settled so far.

    Attributes
    ----------
    accounts : dict
        By month: the account of each agreement and tariff.
    posted : dict
        By month of the statement and account: when each posting's interval begins, and it.
    billed : set of str
        Months whose invoices are made: nothing can stand on their statements any more.
    """

    def __init__(self, names: Names) -> None:
        self.accounts: dict[str, dict[tuple[int, str], MonthAccount]] = {}
        self.posted: dict[tuple[str, AccountId], list[tuple[int, Posting]]] = {}
        self.billed: set[str] = set()
        self._names = names
        self._read_until_s = 0
        self._newest: dict[int, Settlement] = {}
        self._readings: dict[int, Record] = {}
        self._shared: dict[int, Record] = {}

    def read(self, record: Record) -> None:
        """Keep readings until their settlement comes."""
        self._readings[record.start_s] = record
        self._read_until_s = max(self._read_until_s, record.start_s)

    def shared(self, record: Record) -> None:
        """Keep what is told to be shared until it can be derived from the readings."""
        self._shared[record.start_s] = record

    def settle(
        self,
        record: Record,
        terms: SiteTerms,
        standing: Mapping[UsagePointId, Agreement],
        traded: Mapping[str, Traded],
        topology: Topology,
    ) -> None:
        """Settle an interval again and compare every posting.

        Raises
        ------
        DifferenceError
        """
        start_s, late = record.start_s, record.body["state"] == "late"
        old = self._newest.get(start_s)
        month = interval.month_label(start_s, terms.time_zone)
        try:
            given = self._given(record, terms, standing, traded, topology)
            if not late and shares(terms, start_s):
                given = self._share(record, given, first=old is None)
            if old is None:
                done = settle(given)
            else:
                done = settle_late(old, given) if late else resettle(old, given)
        except DifferenceError:
            raise
        except GridError as error:
            raise record.differs("readings", str(error), "what can be settled") from error
        billed = self._statement_month(record, month, terms.time_zone) if late else month
        compare(record, self._names, billed, done.postings, billed=billed if late else "")
        told = len(record.of("posting"))
        record.expect("commitments of postings", record.commitments, told)
        self._keep(done, month, billed)

    def _keep(self, done: Settlement, month: str, billed: str) -> None:
        self._newest[done.start_s] = done
        accounts = self.accounts.setdefault(month, {})
        for one in done.usage_points:
            accounts[one.agreement, str(one.tariff)] = one.account
        self.post(billed, done.start_s, done.postings)

    def post(self, month: str, start_s: int, lines: Sequence[Posting]) -> None:
        """Let postings stand on the statements of a month."""
        for line in lines:
            for account in (line.debit, line.credit):
                self.posted.setdefault((month, account), []).append((start_s, line))

    def _share(self, record: Record, given: SettlementInput, *, first: bool) -> SettlementInput:
        """Return an interval with what was shared in it, which is told when it is first settled."""
        shared = share(given)
        if first:
            told = self._shared.pop(given.start_s, None)
            if told is None:
                raise record.differs("clearing", "missing", "told before the settlement")
            Fields(told, "public", told.body).equals(summary(shared, given.market.minimum_group))
        return shared.given

    def _given(
        self,
        record: Record,
        terms: SiteTerms,
        standing: Mapping[UsagePointId, Agreement],
        traded: Mapping[str, Traded],
        topology: Topology,
    ) -> SettlementInput:
        """Return what an interval is settled from."""
        start_s, read = record.start_s, self._readings.pop(record.start_s)
        version = read.body["version"]
        for opening in (*read.openings.values(), *record.openings.values()):
            read.expect("version of an opening", opening.label.version, version)
        head = _head(read, version)
        price = head_price(terms.grid_price, start_s, terms.time_zone)
        metered, instructed = read.of("reading"), read.of("instructed")
        read.expect("usage points", sorted(metered), sorted(map(str, standing)))
        read.expect("usage_points", read.body["usage_points"], len(metered))
        accounts = self.accounts.get(interval.month_label(start_s, terms.time_zone), {})
        banks = self._banks(terms, start_s)
        tariffs = {tariff.id: tariff for tariff in terms.tariff}
        points = []
        for point, agreement in standing.items():
            one = agreement.terms_at(start_s)
            if one.tariff not in tariffs:
                raise record.differs(f"tariff of {point}", one.tariff, "one of the terms")
            tariff = tariffs[one.tariff]
            prices = {"grid.buy": price.buy, "grid.sell": price.sell}
            brought = MonthAccount(bank_wh=banks.get(agreement.id, 0))
            account = accounts.get((agreement.id, str(tariff.id)), brought)
            fee = 0
            if point not in terms.community_points:
                fee = fee_due(tariff, agreement, start_s, account, terms.time_zone)
            points.append(
                UsagePointInput(
                    usage_point=point,
                    agreement=agreement.id,
                    party=agreement.party,
                    tariff=tariff.id,
                    segment=segment_at(tariff, start_s, terms.time_zone, prices),
                    import_wh=metered[point].whole("import_wh"),
                    export_wh=metered[point].whole("export_wh"),
                    account=account,
                    fee_due_nano=fee,
                    share_percent=one.share_percent,
                    key_percent=one.key_percent,
                    zone=topology.of(str(point)).zone,
                    **members(traded.get(str(point), NOTHING_TRADED))
                    | _told_instructed(instructed.pop(point, None)),
                )
            )
        if instructed:
            raise read.differs(f"instructed {min(instructed)}", "there", "no such usage point")
        return SettlementInput(
            start_s=start_s,
            usage_points=tuple(points),
            market=terms.market,
            regulation=terms.law_at(start_s),
            tariffs=tariffs,
            buy_price=price.buy,
            sell_price=price.sell,
            **head,
        )

    def _statement_month(self, record: Record, month: str, time_zone: str) -> str:
        """Return the month of the statement that late postings stand on, which is to be written."""
        told = {one.text("month") for one in record.of("posting").values()}
        last = interval.month_label(self._read_until_s + LATE_AHEAD_S, time_zone)
        if len(told) > 1 or any(one in self.billed or not month <= one <= last for one in told):
            derived = f"one from {month} to {last} that is not billed"
            raise record.differs("month", ", ".join(sorted(told)), derived)
        return min(told, default=month)

    def _banks(self, terms: SiteTerms, start_s: int) -> dict[int, int]:
        """Return the energy bank that each agreement brings from the month before."""
        before_s = interval.month_bounds(start_s, terms.time_zone)[0] - 1
        accounts = self.accounts.get(interval.month_label(before_s, terms.time_zone), {})
        month = interval.local_day(before_s, terms.time_zone).month
        return opening_banks(accounts, month, terms.law_at(start_s))


def shares(terms: SiteTerms, start_s: int) -> bool:
    """Whether the energy of an interval is shared out when it is over."""
    return terms.law_at(start_s).trading_allowed and mechanism(terms.market.mechanism).metered


def _head(read: Record, version: int) -> dict[str, int]:
    """Return energies at the feeder head and losses: in clear at first, then opened."""
    if version == 0:
        return {name: Fields(read, "public", read.body).whole(name) for name in HEAD}
    opened = read.of("head")
    read.expect("head", sorted(opened), ["head"])
    return {name: opened["head"].decimal(name) for name in HEAD}


def _told_instructed(one: Fields | None) -> dict[str, int]:
    """Return what devices of a usage point did on instruction, in Wh."""
    if one is None:
        return {}
    if unknown := sorted(set(one.members()) - set(_INSTRUCTED)):
        raise one.record.differs(one.what, unknown[0], f"one of {', '.join(_INSTRUCTED)}")
    return {name: one.decimal(name) for name in one.members()}
