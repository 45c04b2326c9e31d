"""What a retail tariff is: dated versions of a monthly fee and of prices for energy.

A ``[[tariff]]`` of a site file is its first version; each ``[[tariff.version]]`` replaces it
from a civil day of the site on. All prices include value-added tax: `vat_percent` says which
part of them it is, nothing is ever added.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from grid.errors import BadInputError
from grid.ids import TariffId
from grid.site_facts import CLOCK, FREE, Amount, Fault, Price, outside, refuse

EVER = date.min
"""Since when a first version without a day holds."""
SINGLE_RATE = "total"
"""The register of a version whose blocks hold at all times."""
_WINDOW = re.compile(r"(daily|weekday|weekend) ([0-9:]{5})-([0-9:]{5})", re.ASCII)
_QUARTERS = 96


class FeeBy(StrEnum):
    """What an agreement of part of a month pays of the monthly fee: all, or its days."""

    MONTH = "month"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class TariffBlock:
    """A step of a block tariff: `price` holds up to `up_to_kwh` a month (0: no end)."""

    up_to_kwh: int
    price: Price


@dataclass(frozen=True, slots=True)
class TariffRate:
    """What energy costs at some times of the week.

    Attributes
    ----------
    id : str
        The register its energy is counted in, from version to version.
    block : tuple of TariffBlock
        Increasing blocks of a month, mostly one. Empty where the price is dynamic.
    hours : tuple of str
        When it holds, such as ``"weekday 08:00-22:00"``, by civil time on quarter-hours;
        ``daily`` is both kinds of day, Saturday and Sunday are the weekend. The one rate
        without hours holds whenever no other does.
    series : str
        A dynamic price: the series that has a price for each interval.
    adder : Price
        Added to the series.
    floor, cap : Price or None
        The least and the most that the sum may be.
    """

    id: str
    block: tuple[TariffBlock, ...] = ()
    hours: tuple[str, ...] = ()
    series: str = ""
    adder: Price = FREE
    floor: Price | None = None
    cap: Price | None = None

    def __post_init__(self) -> None:
        name = f"rate {self.id!r}"
        faults = _priced(self, name)
        for text in self.hours:
            try:
                _window(text)
            except BadInputError as error:
                faults.append(("hours", f"{name}: {error}"))
        refuse(faults)

    @property
    def quarters(self) -> frozenset[int]:
        """The quarter-hours of a weekday (0 to 95) and of a weekend day (96 to 191) it names."""
        return frozenset(place for text in self.hours for place in _window(text))

    def dynamic_price(self, series_price: int) -> int:
        """Return nano-currency per Wh of an interval whose price in the series is given."""
        price = series_price + self.adder
        price = price if self.floor is None else max(price, self.floor)
        return price if self.cap is None else min(price, self.cap)


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """A tariff from the civil day `valid_from` of the site on.

    Attributes
    ----------
    block : tuple of TariffBlock
        Blocks of a single rate; either these or `rate`.
    rate : tuple of TariffRate
    vat_percent : int
        Of value-added tax that the fee and all prices contain.
    fixed_fee_by : FeeBy
        Whether an agreement of part of a month pays the whole fee or its days of it.
    """

    valid_from: date
    name: str
    fixed_fee: Amount
    block: tuple[TariffBlock, ...] = ()
    rate: tuple[TariffRate, ...] = ()
    vat_percent: int = 0
    fixed_fee_by: FeeBy = FeeBy.MONTH

    def __post_init__(self) -> None:
        faults = outside(self, f"tariff {self.name!r}", vat_percent=(0, 100))
        if bool(self.block) == bool(self.rate):
            faults.append(("", f"tariff {self.name!r} must have either block or rate"))
        elif self.block:
            faults += _rising(self.block, f"tariff {self.name!r}")
        else:
            faults += _timed(self.rate)
        refuse(faults)

    @property
    def rates(self) -> tuple[TariffRate, ...]:
        """Its rates; blocks that hold at all times are the one of :data:`SINGLE_RATE`."""
        return self.rate or _single_rate(self.block)

    def rate_of(self, quarter: int, *, weekend: bool) -> TariffRate:
        """Return the rate of a quarter-hour of the civil day, 0 to 95."""
        place = quarter + _QUARTERS * weekend
        base = self.rates[0]
        for rate in self.rates:
            if place in rate.quarters:
                return rate
            base = base if rate.hours else rate
        return base


@dataclass(frozen=True, slots=True)
class Tariff:
    """A retail tariff: its first version, and those that replaced it.

    Attributes
    ----------
    name, fixed_fee, block, rate, vat_percent, fixed_fee_by, valid_from
        Of the first version, see :class:`TariffVersion`.
    version : tuple of TariffVersion
        The later ones, in the order of their days.
    """

    id: TariffId
    name: str
    fixed_fee: Amount
    block: tuple[TariffBlock, ...] = ()
    rate: tuple[TariffRate, ...] = ()
    vat_percent: int = 0
    fixed_fee_by: FeeBy = FeeBy.MONTH
    valid_from: date = EVER
    version: tuple[TariffVersion, ...] = ()

    def __post_init__(self) -> None:
        days = [version.valid_from for version in self.versions]
        if sorted(set(days)) != days:
            told = ", ".join(str(day) for day in days if day != EVER)
            refuse([("version", f"tariff {self.id}: the days {told} of its versions must rise")])

    @property
    def versions(self) -> tuple[TariffVersion, ...]:
        """All versions, oldest first."""
        return _versions(self)

    def version_on(self, day: date) -> int:
        """Return the place in :attr:`versions` of the one in force on a civil day of the site.

        Raises
        ------
        BadInputError
            Before the first.
        """
        place = bisect_right([version.valid_from for version in self.versions], day) - 1
        if place < 0:
            first = self.valid_from
            raise BadInputError(f"tariff {self.id} on {day}: its first version is of {first}")
        return place


# Both are asked for each usage point and interval that is settled.
@lru_cache(maxsize=256)
def _versions(tariff: Tariff) -> tuple[TariffVersion, ...]:
    first = TariffVersion(
        tariff.valid_from, tariff.name, tariff.fixed_fee, tariff.block, tariff.rate,
        tariff.vat_percent, tariff.fixed_fee_by,
    )  # fmt: skip
    return (first, *tariff.version)


@lru_cache(maxsize=256)
def _single_rate(block: tuple[TariffBlock, ...]) -> tuple[TariffRate, ...]:
    return (TariffRate(SINGLE_RATE, block),)


def _priced(rate: TariffRate, name: str) -> list[Fault]:
    """Return what is wrong with how a rate says its price."""
    faults: list[Fault] = []
    if bool(rate.block) == bool(rate.series):
        faults.append(("", f"{name} must have either block or series"))
    elif rate.block:
        faults += _rising(rate.block, name)
        if rate.adder or rate.floor is not None or rate.cap is not None:
            faults.append(("", f"{name}: adder, floor and cap are of a dynamic price"))
    elif rate.floor is not None and rate.cap is not None and rate.floor > rate.cap:
        faults.append(("floor", f"{name}: floor is {rate.floor}, must be at most cap {rate.cap}"))
    if not rate.id or not rate.id.isprintable():
        faults.append(("id", f"{name} must have a name that can be printed"))
    return faults


def _rising(blocks: tuple[TariffBlock, ...], subject: str) -> list[Fault]:
    ends = [step.up_to_kwh for step in blocks]
    if ends[-1] != 0:
        return [("block", f"{subject}: the last block must have up_to_kwh = 0")]
    if any(end <= 0 for end in ends[:-1]) or sorted(set(ends[:-1])) != ends[:-1]:
        return [("block", f"{subject}: block ends {ends} must rise")]
    return []


def _timed(rates: tuple[TariffRate, ...]) -> list[Fault]:
    """Return what is wrong with when the rates of a version hold."""
    faults: list[Fault] = []
    names = [rate.id for rate in rates]
    base = [rate.id for rate in rates if not rate.hours]
    if sorted(set(names)) != sorted(names):
        faults.append(("rate", f"rates {', '.join(names)}: each must have a name of its own"))
    if len(base) != 1:
        faults.append(("rate", f"{len(base)} rates have no hours, must be 1: it holds else"))
    taken: dict[int, str] = {}
    for rate in rates:
        both = sorted(rate.quarters & taken.keys())
        if both:
            faults.append(("rate", f"rates {taken[both[0]]} and {rate.id} hold at the same time"))
        taken |= dict.fromkeys(rate.quarters, rate.id)
    return faults


def _window(text: str) -> Iterable[int]:
    """Return the quarter-hours of ``KIND HH:MM-HH:MM``: of a weekday, then of a weekend day."""
    found = _WINDOW.fullmatch(text)
    kind, *clocks = found.groups() if found else ("",)
    if not all(CLOCK.fullmatch(clock) or clock == "24:00" for clock in clocks) or not clocks:
        raise BadInputError(f"hours {text!r}: write 'weekday 08:00-22:00', on quarter-hours")
    start, end = (int(clock[:2]) * 4 + int(clock[3:]) // 15 for clock in clocks)
    if start >= end:
        raise BadInputError(f"hours {text!r}: must end after they start, at 24:00 at the latest")
    days = {"daily": (0, 1), "weekday": (0,), "weekend": (1,)}[kind]
    return [day * _QUARTERS + quarter for day in days for quarter in range(start, end)]
