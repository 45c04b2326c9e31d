"""What an interval is settled from, and what a settlement is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from grid.errors import BadInputError
from grid.ids import PartyId, TariffId, UsagePointId
from grid.interval import label
from grid.site import Market, RegulationProfile, Tariff
from trading.accounts import Posting


@dataclass(frozen=True, slots=True)
class UsagePointInput:
    """What settlement needs to know of one usage point in one interval, in Wh.

    Attributes
    ----------
    usage_point, party, tariff
        Whose connection it is and on which retail tariff.
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
    bought_wh, sold_wh : int
        Traded.
    month_wh : int
        Energy taken at the block tariff in this month so far, by everything
        settled until now.
    bank_wh : int
        Balance of the energy bank (lawful profile); zero when `month_wh` is not.
    fixed_fee_due : bool
        The tariff's monthly fee is posted with this interval.
    """

    usage_point: UsagePointId
    party: PartyId
    tariff: TariffId
    import_wh: int
    export_wh: int
    charge_wh: int = 0
    discharge_wh: int = 0
    produced_wh: int = 0
    curtailed_wh: int = 0
    shed_wh: int = 0
    bought_wh: int = 0
    sold_wh: int = 0
    month_wh: int = 0
    bank_wh: int = 0
    fixed_fee_due: bool = False


@dataclass(frozen=True, slots=True)
class SettlementInput:
    """Everything one interval is settled from.

    `buy_price` and `sell_price` are the community's prices at the feeder head
    in this interval, nano-currency per Wh.
    """

    start_s: int
    usage_points: tuple[UsagePointInput, ...]
    clearing_price: int | None
    market: Market
    tariffs: Mapping[TariffId, Tariff]
    loss_wh: int
    head_import_wh: int
    head_export_wh: int
    buy_price: int
    sell_price: int


@dataclass(frozen=True, slots=True)
class UsagePointResult:
    """How one usage point was settled, in Wh.

    `baseline_import_wh` and `baseline_export_wh` are what the meter would have
    counted without instructions. `block_wh` is the energy at the tariff by
    block, negative where a correction or an export moved energy out of a block;
    `bank_change_wh` what the energy bank gained. `month_wh` and `bank_wh` are
    the totals after this settlement.
    """

    usage_point: UsagePointId
    party: PartyId
    baseline_import_wh: int
    baseline_export_wh: int
    bought_wh: int
    sold_wh: int
    surplus_wh: int
    shortfall_wh: int
    tariff_wh: int
    block_wh: tuple[int, ...]
    bank_change_wh: int
    month_wh: int
    bank_wh: int
    fixed_fee_due: bool


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
    """

    start_s: int
    version: int
    corrects: int | None
    postings: tuple[Posting, ...]
    lines: tuple[Posting, ...]
    usage_points: tuple[UsagePointResult, ...]
    residual_wh: int


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
        if point.month_wh and point.bank_wh:
            raise BadInputError(
                f"{subject} bank_wh is {point.bank_wh}, must be 0 beside month_wh {point.month_wh}"
            )
        if point.bank_wh and given.market.profile is not RegulationProfile.LAWFUL:
            raise BadInputError(
                f"{subject} bank_wh is {point.bank_wh}: only the lawful profile has a bank"
            )
        if point.tariff not in given.tariffs:
            raise BadInputError(f"{subject} tariff {point.tariff} is not known")
    bought = sum(point.bought_wh for point in given.usage_points)
    sold = sum(point.sold_wh for point in given.usage_points)
    if bought != sold:
        raise BadInputError(f"{when} bought {bought} Wh, sold {sold} Wh: must be equal")
    if bought and given.clearing_price is None:
        raise BadInputError(f"{when} traded {bought} Wh without a clearing price")
    if bought and given.market.profile is RegulationProfile.LAWFUL:
        raise BadInputError(f"{when} traded {bought} Wh: the lawful profile has no trades")
