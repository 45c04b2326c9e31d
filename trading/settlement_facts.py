"""What an interval is settled from, and what a settlement is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from grid.errors import BadInputError
from grid.ids import PartyId, TariffId, UsagePointId
from grid.interval import label
from grid.site import Market, Tariff
from trading.accounts import Posting
from trading.book import Side
from trading.regulation import Netting, Regulation
from trading.tariffs.clock import Segment
from trading.tariffs.month import ChargeLine, MonthUse

NO_USE = MonthUse()


@dataclass(frozen=True, slots=True, order=True)
class Leg:
    """What a usage point traded at one price: Wh, nano-currency per Wh.

    Attributes
    ----------
    price : int
        What a buyer pays before the grid fee, fees of zones and losses included, or a seller gets.
    zone_fee, loss_fee : int
        Of a buyer's price, what is paid for borders of zones and for losses on the way.
    regional : bool
        The energy is from another zone.
    """

    side: Side
    price: int
    energy_wh: int
    zone_fee: int = 0
    loss_fee: int = 0
    regional: bool = False


@dataclass(frozen=True, slots=True)
class Traded:
    """What a usage point traded ahead in an interval.

    Attributes
    ----------
    legs, battery_legs : tuple of Leg
        For its own use and generation, and for its batteries.
    kept_wh, used_wh : int
        Own surplus that its batteries kept, and own need that they served, without a trade.
    """

    legs: tuple[Leg, ...] = ()
    battery_legs: tuple[Leg, ...] = ()
    kept_wh: int = 0
    used_wh: int = 0


NOTHING_TRADED = Traded()


def members(one: Traded) -> dict[str, Any]:
    """Return what was traded as members of :class:`UsagePointInput`."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


@dataclass(frozen=True, slots=True)
class MonthAccount:
    """A usage point's month under one agreement and tariff, by everything settled so far.

    Attributes
    ----------
    supplied : MonthUse
        Charged by the tariff; net of exports where the law nets them.
    metered : MonthUse
        What would have been charged without trading.
    export_wh : int
        Baseline exports, where they are not netted.
    bank_wh : int
        The energy bank at the start of the month.
    fee_nano : int
        Of the monthly fee, what was posted.
    import_wh, local_wh : int
        Baseline imports; of them what members' renewable plants exported in the same intervals.
    battery_wh : int
        Bought, sold, kept and used by batteries that trade, all together.
    """

    supplied: MonthUse = NO_USE
    metered: MonthUse = NO_USE
    export_wh: int = 0
    bank_wh: int = 0
    fee_nano: int = 0
    import_wh: int = 0
    local_wh: int = 0
    battery_wh: int = 0


@dataclass(frozen=True, slots=True)
class UsagePointInput:
    """What settlement needs to know of one usage point in one interval, in Wh.

    Attributes
    ----------
    usage_point, agreement, party, tariff
        Whose connection it is, by which agreement, and on which retail tariff.
    segment : Segment
        What the interval is charged at by the tariff.
    import_wh, export_wh : int
        Metered, net of all behind the connection.
    charge_wh, discharge_wh : int
        Charged and discharged by batteries on the operator's instruction.
    produced_wh : int
        Produced by gensets on the operator's instruction.
    curtailed_wh : int
        Solar and wind withheld on the operator's instruction.
    shed_wh : int
        Demand not served on the operator's instruction.
    legs, battery_legs : tuple of Leg
        What it traded for its own use and generation, and for its batteries.
    kept_wh, used_wh : int
        Own surplus that its batteries kept for it, and own need that they served.
    account : MonthAccount
        Of the month of the interval, as of now.
    fee_due_nano : int
        The tariff's fee for the month as far as it is known.
    share_percent, key_percent : int
        Of its energy, what takes part in energy sharing; of what is shared, its static part.
    zone : str
        In which it is, empty for none.
    """

    usage_point: UsagePointId
    party: PartyId
    tariff: TariffId
    segment: Segment
    import_wh: int
    export_wh: int
    charge_wh: int = 0
    discharge_wh: int = 0
    produced_wh: int = 0
    curtailed_wh: int = 0
    shed_wh: int = 0
    legs: tuple[Leg, ...] = ()
    battery_legs: tuple[Leg, ...] = ()
    kept_wh: int = 0
    used_wh: int = 0
    account: MonthAccount = MonthAccount()
    fee_due_nano: int = 0
    agreement: int = 0
    share_percent: int = 100
    key_percent: int = 0
    zone: str = ""

    @property
    def own_wh(self) -> int:
        """What the meter would have counted without instructions; an export is negative."""
        return (
            self.import_wh
            - self.export_wh
            - self.charge_wh
            + self.discharge_wh
            + self.produced_wh
            - self.curtailed_wh
        )

    @property
    def net_wh(self) -> int:
        """That with what its batteries kept for it and gave it."""
        return self.own_wh + self.kept_wh - self.used_wh

    @property
    def position_wh(self) -> int:
        """What it bought less what it sold, without its batteries."""
        return traded_wh(self.legs, Side.BUY) - traded_wh(self.legs, Side.SELL)

    @property
    def renewable_wh(self) -> int:
        """What went out of its solar and wind plants: not of batteries or gensets."""
        return min(self.export_wh, max(-self.own_wh, 0), max(-self.net_wh, 0))

    @property
    def battery_wh(self) -> int:
        """What its batteries bought, sold, kept and gave, all together."""
        return self.kept_wh + self.used_wh + sum(leg.energy_wh for leg in self.battery_legs)


@dataclass(frozen=True, slots=True)
class SettlementInput:
    """Everything one interval is settled from.

    `buy_price` and `sell_price` are the community's prices at the feeder head
    in this interval, nano-currency per Wh.
    """

    start_s: int
    usage_points: tuple[UsagePointInput, ...]
    market: Market
    regulation: Regulation
    tariffs: Mapping[TariffId, Tariff]
    loss_wh: int
    head_import_wh: int
    head_export_wh: int
    buy_price: int
    sell_price: int

    @property
    def is_netted(self) -> bool:
        """Whether the law nets exports over the month."""
        return self.regulation.netting is Netting.MONTH


@dataclass(frozen=True, slots=True)
class UsagePointResult:
    """How one usage point was settled, in Wh.

    Attributes
    ----------
    baseline_import_wh, baseline_export_wh : int
        What the meter would have counted without instructions.
    surplus_wh, shortfall_wh : int
        Bought and not consumed, sold and not delivered.
    tariff_wh : int
        Charged by the tariff in `segment`.
    charge : tuple of ChargeLine
        What that changed in the month's charge, as of this version; negative
        where a correction or an export moved energy out of a block.
    bank_change_wh : int
        What the energy bank gained.
    fee_nano : int
        Of the monthly fee, posted with this interval.
    account : MonthAccount
        The month after this settlement.
    local_wh : int
        Of the baseline imports, what members' renewable plants exported in the interval.
    battery_legs, kept_wh, used_wh
        As of :class:`Traded`; what is kept and used is in the baselines.
    """

    usage_point: UsagePointId
    agreement: int
    party: PartyId
    tariff: TariffId
    segment: Segment
    baseline_import_wh: int
    baseline_export_wh: int
    legs: tuple[Leg, ...]
    surplus_wh: int
    shortfall_wh: int
    tariff_wh: int
    charge: tuple[ChargeLine, ...]
    bank_change_wh: int
    fee_nano: int
    account: MonthAccount
    local_wh: int = 0
    battery_legs: tuple[Leg, ...] = ()
    kept_wh: int = 0
    used_wh: int = 0

    @property
    def own_wh(self) -> int:
        """What its baselines would be without its batteries; an export is negative."""
        net = self.baseline_import_wh - self.baseline_export_wh
        return net - self.kept_wh + self.used_wh

    @property
    def battery_wh(self) -> int:
        """What its batteries bought, sold, kept and gave, all together."""
        return self.kept_wh + self.used_wh + sum(leg.energy_wh for leg in self.battery_legs)

    def traded_wh(self, side: Side) -> int:
        """Return what it traded on one side, without its batteries."""
        return traded_wh(self.legs, side)


@dataclass(frozen=True, slots=True)
class Settlement:
    """One version of an interval's settlement.

    Attributes
    ----------
    start_s : int
    version : int
        1 for the first; a correction is one more than what it corrects.
    corrects : int or None
        The version this one corrects.
    postings : tuple of Posting
        To append to the ledger: all lines, or for a correction the reversals
        of the lines that changed and the lines that replace them.
    lines : tuple of Posting
        What the interval amounts to as of this version: the sum of the
        postings of all versions so far.
    usage_points : tuple of UsagePointResult
        Sorted by usage point.
    residual_wh : int
        Imports less exports plus losses, less the net import at the feeder
        head: what meters and network state leave unexplained. Not posted.
    late : bool
        It corrects what was final, against the pool.
    """

    start_s: int
    version: int
    corrects: int | None
    postings: tuple[Posting, ...]
    lines: tuple[Posting, ...]
    usage_points: tuple[UsagePointResult, ...]
    residual_wh: int
    late: bool = False


def traded_wh(legs: Iterable[Leg], side: Side) -> int:
    """Return the Wh of the legs of one side."""
    return sum(leg.energy_wh for leg in legs if leg.side is side)


_ENERGIES = tuple(field.name for field in fields(UsagePointInput) if field.name.endswith("_wh"))


def check_input(given: SettlementInput) -> None:
    """Refuse what cannot be settled.

    Raises
    ------
    BadInputError
        Naming the usage point, interval, field and value.
    """
    when = label(given.start_s)
    for name in ("loss_wh", "head_import_wh", "head_export_wh"):
        if getattr(given, name) < 0:
            raise BadInputError(f"{when} {name} is {getattr(given, name)}, must be at least 0")
    seen = set()
    for point in given.usage_points:
        subject = f"{point.usage_point} {when}"
        if point.usage_point in seen:
            raise BadInputError(f"{subject} is there twice")
        seen.add(point.usage_point)
        for name in _ENERGIES:
            if getattr(point, name) < 0:
                raise BadInputError(
                    f"{subject} {name} is {getattr(point, name)}, must be at least 0"
                )
        for leg in (*point.legs, *point.battery_legs):
            if leg.energy_wh <= 0:
                raise BadInputError(f"{subject} trades {leg.energy_wh} Wh, must be at least 1")
        if point.account.bank_wh and not given.is_netted:
            raise BadInputError(
                f"{subject} bank_wh is {point.account.bank_wh}: nothing is netted here"
            )
        if point.tariff not in given.tariffs:
            raise BadInputError(f"{subject} tariff {point.tariff} is not known")
    bought, sold = (
        sum(traded_wh((*point.legs, *point.battery_legs), side) for point in given.usage_points)
        for side in Side
    )
    if bought != sold:
        raise BadInputError(f"{when} bought {bought} Wh, sold {sold} Wh: must be equal")
    if bought and not given.regulation.trading_allowed:
        raise BadInputError(f"{when} traded {bought} Wh, must be 0: {given.regulation.title}")
