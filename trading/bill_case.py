"""A month's bill as a TOML file, with what it should come to if somebody worked it out."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from grid.errors import BadInputError
from grid.ids import TariffId
from grid.interval import parse_date
from grid.quantities import format_price
from grid.site import Price, RegulationProfile, Tariff
from grid.site_facts import FREE, outside, refuse
from grid.site_file import tables
from grid.site_tariff import SINGLE_RATE
from trading.accounts import NETWORK_FEE_KINDS, PostingKind
from trading.bills import Bill, BillInput, BillLine
from trading.origin import Origin, origin
from trading.regulation import Netting, regulation_on
from trading.statements import exact_money
from trading.tariffs.clock import Segment
from trading.tariffs.month import month_use

_RECEIVED = (PostingKind.SALE, PostingKind.SURPLUS, PostingKind.BATTERY_USE)
_PAID = (PostingKind.PURCHASE, PostingKind.SHORTFALL, *sorted(NETWORK_FEE_KINDS))


@dataclass(frozen=True, slots=True)
class Facts:
    """``[bill]``: whose month it is. `first_day` and `end_day` (not of it) where it is a part."""

    month: str
    tariff: TariffId
    profile: RegulationProfile
    currency: str = "AZN"
    feed_in: Price = FREE
    bank_wh: int = 0
    guaranteed: bool = False
    first_day: date | None = None
    end_day: date | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """``[[use]]``: metered energy, and what of it was bought of members; corrections add up.

    `day` says which version of the tariff it is charged at, `rate` the register, and
    `series_price` what the series of a dynamic price says.
    """

    day: date | None = None
    rate: str = SINGLE_RATE
    series_price: Price | None = None
    import_wh: int = 0
    export_wh: int = 0
    bought_wh: int = 0


@dataclass(frozen=True, slots=True)
class Trade:
    """``[[trade]]``: energy at a price; who pays is told by the kind."""

    kind: PostingKind
    energy_wh: int
    price: Price

    def __post_init__(self) -> None:
        faults = outside(self, f"trade of kind {self.kind}", energy_wh=(1, 10**15))
        if self.kind not in (*_RECEIVED, *_PAID):
            known = ", ".join((*_PAID, *_RECEIVED))
            faults.append(("kind", f"trade of kind {self.kind}, must be one of {known}"))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Matched:
    """``[origin]``: of the imports, what members' renewable plants exported in the same intervals.

    `co2_mg_per_kwh` is what the rest emits; 0 where that is not known.
    """

    local_wh: int
    co2_mg_per_kwh: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    """``[expect]``: each figure with all its digits, as :func:`figures` writes it."""

    lines: tuple[str, ...]
    supplier: str
    trading: str
    fees: str
    counterfactual: str
    gain: str
    guarantee: str
    vat: str
    rounding: str
    total: str
    bank_wh: int


@dataclass(frozen=True, slots=True)
class BillCase:
    """A case: what the bill is made from, what it should come to, and the energy's origin."""

    month: str
    currency: str
    given: BillInput
    expected: Expected | None
    origin: Origin | None = None


def parse_case(text: str, name: str) -> BillCase:
    """Return the case that a text in TOML describes.

    Raises
    ------
    BadInputError
        With the line of every error, or naming what does not fit together.
    """
    kinds = {"bill": Facts, "use": Use, "trade": Trade, "tariff": Tariff}
    kinds |= {"origin": Matched, "expect": Expected}
    found, others = tables(text, name, kinds, {})
    known = ", ".join(kinds)
    if others:
        raise BadInputError(f"{name}: unknown key {next(iter(others))!r}; known: {known}")
    if len(found["bill"]) != 1 or any(len(found[one]) > 1 for one in ("origin", "expect")):
        raise BadInputError(
            f"{name}: there must be one [bill], and one [origin] and [expect] at the most"
        )
    try:
        given, came = _given(found), _origin(found)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from error
    facts: Facts = found["bill"][0]
    expected = next(iter(found["expect"]), None)
    return BillCase(facts.month, facts.currency, given, expected, came)


def figures(bill: Bill) -> dict[str, Any]:
    """Return every figure of a bill, amounts as decimals with all their digits."""
    amounts = {
        name: exact_money(getattr(bill, f"{name}_nano"))
        for name in (one.name for one in fields(Expected))
        if name not in ("lines", "bank_wh")
    }
    return {"lines": [written(line) for line in bill.lines], **amounts, "bank_wh": bill.bank_wh}


def differences(case: BillCase, bill: Bill) -> list[str]:
    """Return where a bill is not what was expected."""
    if case.expected is None:
        return []
    found = figures(bill)
    wanted = {one.name: getattr(case.expected, one.name) for one in fields(Expected)}
    wanted["lines"] = list(wanted["lines"])
    return [
        f"{name} is {found[name]}, expected {value}"
        for name, value in wanted.items()
        if found[name] != value
    ]


def written(line: BillLine) -> str:
    """Return a line as one text: kind, energy, price per kWh and amount."""
    if not line.energy_wh:
        return f"{line.kind} = {exact_money(line.amount_nano)}"
    price = "dynamic" if line.price is None else format_price(line.price)
    return f"{line.kind} {line.energy_wh} Wh at {price} = {exact_money(line.amount_nano)}"


def _given(found: dict[str, tuple[Any, ...]]) -> BillInput:
    facts: Facts = found["bill"][0]
    tariff = {one.id: one for one in found["tariff"]}.get(facts.tariff)
    if tariff is None:
        raise BadInputError(f"tariff {facts.tariff} is not known")
    first, end = _days(facts)
    law = regulation_on(facts.profile, first)
    netted = law.netting is Netting.MONTH
    metered, supplied = [], []
    for use in found["use"]:
        segment = _segment(tariff, use, first)
        metered.append((segment, use.import_wh - use.export_wh * netted))
        supplied.append((segment, -use.bought_wh))
    export_wh = 0 if netted else sum(use.export_wh for use in found["use"])
    return BillInput(
        tariff=tariff,
        first=first,
        end=end,
        metered=month_use(metered),
        supplied=month_use([*metered, *supplied]),
        regulation=law,
        bank_wh=facts.bank_wh,
        export_wh=export_wh,
        others=_others(
            found["trade"], sum(use.bought_wh for use in found["use"]), export_wh, facts
        ),
        feed_in=facts.feed_in,
        guaranteed=facts.guaranteed,
    )


def _origin(found: dict[str, tuple[Any, ...]]) -> Origin | None:
    import_wh = sum(use.import_wh for use in found["use"])
    one: Matched
    for one in found["origin"]:
        return origin(import_wh, one.local_wh, one.co2_mg_per_kwh)
    return None


def _days(facts: Facts) -> tuple[date, date]:
    first = parse_date(f"{facts.month}-01")
    end = first + timedelta(days=monthrange(first.year, first.month)[1])
    days = facts.first_day or first, facts.end_day or end
    if not first <= days[0] < days[1] <= end:
        raise BadInputError(f"days {days[0]} to {days[1]}, must be within {first} to {end}")
    return days


def _segment(tariff: Tariff, use: Use, first: date) -> Segment:
    version = tariff.version_on(use.day or first)
    rates = {rate.id: rate for rate in tariff.versions[version].rates}
    if use.series_price is None or use.rate not in rates:
        return Segment(version, use.rate)
    return Segment(version, use.rate, rates[use.rate].dynamic_price(use.series_price))


def _others(
    trades: Sequence[Trade], bought_wh: int, export_wh: int, facts: Facts
) -> tuple[BillLine, ...]:
    """Return the lines of the trades, and of exports that were not sold."""
    lines = []
    total = dict.fromkeys(PostingKind, 0)
    for trade in trades:
        sign = -1 if trade.kind in _RECEIVED else 1
        gives = trade.kind in (PostingKind.SALE, PostingKind.SURPLUS)
        energy_wh = -trade.energy_wh if gives else trade.energy_wh
        amount = sign * trade.energy_wh * trade.price
        lines.append(BillLine(trade.kind, energy_wh, trade.price, amount))
        total[trade.kind] += trade.energy_wh
    if total[PostingKind.PURCHASE] - total[PostingKind.SURPLUS] != bought_wh:
        raise BadInputError(
            f"bought_wh is {bought_wh} in all, must be the {total[PostingKind.PURCHASE]} Wh of the "
            f"purchases less the {total[PostingKind.SURPLUS]} Wh of surplus"
        )
    fed_in = export_wh - total[PostingKind.SALE] + total[PostingKind.SHORTFALL]
    if fed_in < 0:
        raise BadInputError(f"{total[PostingKind.SALE]} Wh sold of {export_wh} Wh exported")
    if fed_in:
        price = facts.feed_in
        lines.append(BillLine(PostingKind.FEED_IN, -fed_in, price, -fed_in * price))
    return tuple(lines)
