"""A month's bill of one usage point, and what the month would have cost without trading.

The supplier's part is charged by the tariff on what members did not provide. Beside it stands
the counterfactual: the same metering, all of it supplied. Where the bill is guaranteed, whoever
lost by trading is topped up to the counterfactual. Everything is exact until the end: the
total is rounded to the cent once, half away from zero, and the residue is a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from grid.errors import BadInputError
from grid.quantities import NANO
from grid.site import Tariff
from trading.accounts import NETWORK_FEE_KINDS, PostingKind
from trading.regulation import Netting, Regulation
from trading.settlement_facts import MonthAccount
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import MonthUse, charge_nano, charges, closing_bank

CENT = NANO // 100
SUPPLIER_KINDS = frozenset({PostingKind.SUPPLY, PostingKind.FIXED_FEE, PostingKind.FEED_IN})
FEE_KINDS = NETWORK_FEE_KINDS | {PostingKind.BATTERY_USE}
APART_KINDS = frozenset({PostingKind.BATTERY_USE})
"""What is paid whether or not there is trading."""
LAST_KINDS = frozenset({PostingKind.GUARANTEE, PostingKind.ROUNDING})
"""What is added when all else is known."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """A line of a bill.

    Attributes
    ----------
    kind : PostingKind
    energy_wh : int
        Positive where the party receives energy, or as the measure of a service.
    price : int or None
        Nano-currency per Wh; none where a dynamic price was another in each interval, or
        where there is no energy.
    amount_nano : int
        Positive where the party pays.
    version, rate : int, str
        Of the tariff, on its own lines.
    """

    kind: PostingKind
    energy_wh: int
    price: int | None
    amount_nano: int
    version: int = 0
    rate: str = ""


@dataclass(frozen=True, slots=True)
class BillInput:
    """What a month's bill is made from.

    Attributes
    ----------
    first, end : date
        The days ``[first, end)`` of the month in which the agreement held.
    metered, supplied : MonthUse
        Imports, and what of them members did not provide; net of exports where the law nets
        them, and then both are the same.
    bank_wh : int
        The energy bank at the start of the month.
    export_wh : int
        Metered, where exports are not netted.
    others : tuple of BillLine
        Purchases, sales, fees and what else was settled; fed-in energy too.
    feed_in : int
        Nano-currency per Wh that exports bring without trading.
    guaranteed : bool
    """

    tariff: Tariff
    first: date
    end: date
    metered: MonthUse
    supplied: MonthUse
    regulation: Regulation
    bank_wh: int = 0
    export_wh: int = 0
    others: tuple[BillLine, ...] = ()
    feed_in: int = 0
    guaranteed: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """A month's bill; amounts in nano-currency, positive where the party pays.

    Attributes
    ----------
    lines : tuple of BillLine
        They sum to the total.
    counterfactual_nano : int
        What the month would have cost without trading.
    vat_nano : int
        Value-added tax that the lines contain, in whole cents.
    bank_wh : int
        The energy bank after the month.
    """

    lines: tuple[BillLine, ...]
    counterfactual_nano: int
    vat_nano: int
    bank_wh: int

    def sum_nano(self, kinds: Iterable[PostingKind]) -> int:
        """Return the sum of the lines of some kinds."""
        wanted = frozenset(kinds)
        return sum(line.amount_nano for line in self.lines if line.kind in wanted)

    @property
    def supplier_nano(self) -> int:
        """The supplier's part."""
        return self.sum_nano(SUPPLIER_KINDS)

    @property
    def fees_nano(self) -> int:
        """Fees for services."""
        return self.sum_nano(FEE_KINDS)

    @property
    def trading_nano(self) -> int:
        """What was traded, and traded but not kept."""
        return self.sum_nano(frozenset(PostingKind) - SUPPLIER_KINDS - FEE_KINDS - LAST_KINDS)

    @property
    def gain_nano(self) -> int:
        """What trading saved before the guarantee; a loss is negative."""
        return self.counterfactual_nano - self.sum_nano(frozenset(PostingKind) - LAST_KINDS)

    @property
    def guarantee_nano(self) -> int:
        """What a loser is topped up with, at least 0."""
        return -self.sum_nano((PostingKind.GUARANTEE,))

    @property
    def rounding_nano(self) -> int:
        """What rounding to the cent added."""
        return self.sum_nano((PostingKind.ROUNDING,))

    @property
    def total_nano(self) -> int:
        """What is to be paid, in whole cents."""
        return sum(line.amount_nano for line in self.lines)


def bill(given: BillInput) -> Bill:
    """Return the bill of a usage point's month.

    Raises
    ------
    BadInputError
        When the law does not allow what is billed, or more is supplied than metered.
    """
    _check(given)
    lines = [*_supply(given), *given.others]
    without = _without_trading(given)
    exact = sum(line.amount_nano for line in lines)
    if given.guaranteed and exact > without:
        lines.append(BillLine(PostingKind.GUARANTEE, 0, None, without - exact))
        exact = without
    if residue := to_cent(exact) - exact:
        lines.append(BillLine(PostingKind.ROUNDING, 0, None, residue))
    closing = closing_bank(given.supplied, given.bank_wh)
    return Bill(
        lines=tuple(lines),
        counterfactual_nano=without,
        vat_nano=_vat(given, lines),
        bank_wh=closing - given.regulation.expired_wh(closing, given.first.month),
    )


def counterfactual(
    tariff: Tariff, account: MonthAccount, month: int, feed_in: int, regulation: Regulation
) -> int:
    """Return nano-currency a usage point's month would have cost without any trade.

    The same metering at the retail tariff and the feed-in price, with the fixed fee; where the
    law nets, imports less exports and the bank, and what the bank pays out. Prices contain the
    same value-added tax.

    Parameters
    ----------
    month : int
        Of the calendar, 1 to 12.
    feed_in : int
        Nano-currency per Wh.
    """
    energy = charge_nano(tariff, account.metered, account.bank_wh)
    paid_out_wh = _paid_out_wh(regulation, account.metered, account.bank_wh, month)
    return energy + account.fee_nano - (account.export_wh + paid_out_wh) * feed_in


def to_cent(nano: int | Fraction) -> int:
    """Return nano-currency rounded to the cent, half away from zero."""
    cents = abs(Fraction(nano)) * Fraction(1, CENT) + Fraction(1, 2)
    whole = cents.numerator // cents.denominator * CENT
    return -whole if nano < 0 else whole


def _without_trading(given: BillInput) -> int:
    """Return what the month would have cost, with what is paid whether or not there is trading."""
    account = MonthAccount(
        metered=given.metered,
        export_wh=given.export_wh,
        bank_wh=given.bank_wh,
        fee_nano=fixed_fee(given.tariff, given.first, given.end),
    )
    apart = sum(line.amount_nano for line in given.others if line.kind in APART_KINDS)
    month, law = given.first.month, given.regulation
    return counterfactual(given.tariff, account, month, given.feed_in, law) + apart


def _supply(given: BillInput) -> list[BillLine]:
    """Return the lines of the tariff; a register with dynamic prices is one line."""
    lines = []
    dynamic: dict[tuple[int, str], list[int]] = {}
    versions = given.tariff.versions
    for line in charges(given.tariff, given.supplied, given.bank_wh):
        rates = {rate.id: rate for rate in versions[line.version].rates}
        energy_wh, amount = line.energy_wh, line.amount_nano
        if rates[line.rate].series:
            total = dynamic.setdefault((line.version, line.rate), [0, 0])
            total[0] += energy_wh
            total[1] += amount
        else:
            kind, place, rate = PostingKind.SUPPLY, line.version, line.rate
            lines.append(BillLine(kind, energy_wh, line.price, amount, place, rate))
    for (version, rate), (energy_wh, amount) in dynamic.items():
        lines.append(BillLine(PostingKind.SUPPLY, energy_wh, None, amount, version, rate))
    if fee := fixed_fee(given.tariff, given.first, given.end):
        place = given.tariff.version_on(given.first)
        lines.append(BillLine(PostingKind.FIXED_FEE, 0, None, fee, place))
    month, law = given.first.month, given.regulation
    if lost_wh := _paid_out_wh(law, given.supplied, given.bank_wh, month):
        paid = -lost_wh * given.feed_in
        lines.append(BillLine(PostingKind.FEED_IN, -lost_wh, given.feed_in, paid))
    return lines


def _paid_out_wh(regulation: Regulation, use: MonthUse, bank_wh: int, month: int) -> int:
    if not regulation.bank_paid_out:
        return 0
    return regulation.expired_wh(closing_bank(use, bank_wh), month)


def _vat(given: BillInput, lines: Iterable[BillLine]) -> int:
    """Return the tax contained in the lines, amount x p / (100 + p), rounded once to the cent."""
    contained = Fraction(0)
    for line in lines:
        if line.kind in (PostingKind.SUPPLY, PostingKind.FIXED_FEE):
            percent = given.tariff.versions[line.version].vat_percent
        elif line.kind is PostingKind.PURCHASE:
            percent = given.regulation.trade_vat_percent
        elif line.kind in NETWORK_FEE_KINDS:
            percent = given.regulation.fee_vat_percent
        else:
            continue
        contained += Fraction(line.amount_nano * percent, 100 + percent)
    return to_cent(contained)


def _check(given: BillInput) -> None:
    """Refuse what the law does not allow, and energy that was not metered."""
    law = given.regulation
    if given.guaranteed and not law.guarantee_allowed:
        raise BadInputError(f"{law.title}: a bill must not be guaranteed")
    for line in given.others:
        if line.kind in (PostingKind.PURCHASE, PostingKind.SALE) and not law.trading_allowed:
            raise BadInputError(f"{law.title}: {line.energy_wh} Wh traded, must be 0")
    if law.netting is Netting.MONTH:
        if given.metered != given.supplied or given.export_wh:
            raise BadInputError(
                f"{law.title}: exports are netted, nobody but the supplier supplies"
            )
        return
    if given.bank_wh or given.export_wh < 0:
        raise BadInputError(
            f"{law.title}: bank_wh is {given.bank_wh}, must be 0; "
            f"export_wh is {given.export_wh}, must be at least 0"
        )
    metered = dict(given.metered.energy)
    for segment, energy_wh in (*given.supplied.energy, *given.metered.energy):
        most = metered.get(segment, 0)
        if not 0 <= energy_wh <= most:
            raise BadInputError(
                f"{energy_wh} Wh of {segment.rate} in version {segment.version}, "
                f"must be within 0 and the {most} Wh metered"
            )
