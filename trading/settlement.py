"""One interval: metered energy, instructions and trades → postings.

A prosumer is settled on the baseline: what the meter would have counted
without the operator's instructions. Against it stand the trades; what is
imported beyond them comes from the supplier at the block tariff, what is
exported beyond them is fed in, and a trade that was not consumed or delivered
is settled at the surplus or shortfall price.

The community draws all energy at the feeder head at its own prices, so it, not
the supplier, provides what members take at the block tariff: the ``resale``
lines hand that on, and the supplier ends with the feeder head and the fixed
fees, counted once. Instructed energy thus needs no line of its own: it is what
the head's energy differs from the baselines'.

In the lawful profile nothing is traded: a month's exports are netted against
its imports in kWh, and what is left over stays in an energy bank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from grid.errors import BadInputError
from grid.interval import label
from grid.site import RegulationProfile
from trading.accounts import (
    BATTERY_USE,
    COMMUNITY,
    GRID_OPERATOR,
    IMBALANCE,
    LOSSES,
    MARKET,
    SUPPLIER,
    Posting,
    PostingKind,
    assert_balanced,
    energy_line,
    party_account,
)
from trading.settlement_facts import (
    Settlement,
    SettlementInput,
    UsagePointInput,
    UsagePointResult,
    check_input,
)
from trading.tariffs.blocks import charge_blocks

__all__ = [
    "Settlement",
    "SettlementInput",
    "UsagePointInput",
    "UsagePointResult",
    "check_input",
    "resettle",
    "settle",
]


def settle(given: SettlementInput) -> Settlement:
    """Return the first settlement of an interval.

    Raises
    ------
    BadInputError
        When energy is missing or negative, trades do not balance, or a tariff
        is not known.
    """
    return _settle(given, None)


def resettle(old: Settlement, given: SettlementInput) -> Settlement:
    """Return the correction of `old` with better readings.

    Parameters
    ----------
    old : Settlement
        The newest version of the interval.
    given : SettlementInput
        With ``month_wh`` and ``bank_wh`` as of now, what `old` took included.
        Whether the fixed fee is due stays as in `old`.

    Notes
    -----
    The tariff is charged ``F(now - old + new) - F(now)`` on top of what `old`
    charged, so that all charges of a month add up to ``F`` of its energy in
    whatever order corrections come. One that comes after the month's end takes
    the totals of its own month.

    Raises
    ------
    BadInputError
        As :func:`settle`, or when the usage points are not those of `old`.
    """
    before = [result.usage_point for result in old.usage_points]
    if old.start_s != given.start_s or before != sorted(x.usage_point for x in given.usage_points):
        raise BadInputError(f"{label(given.start_s)}: a correction needs the same usage points")
    return _settle(given, old)


def _settle(given: SettlementInput, old: Settlement | None) -> Settlement:
    check_input(given)
    earlier = {result.usage_point: result for result in old.usage_points} if old else {}
    results, lines = [], []
    for point in sorted(given.usage_points, key=lambda point: point.usage_point):
        result = _result(given, point, earlier.get(point.usage_point))
        results.append(result)
        lines += _lines(given, point, result)
    lines += _resale(lines)
    lines += _community(given)
    postings = tuple(lines) if old is None else _difference(old.lines, lines)
    assert_balanced(lines)
    assert_balanced(postings)
    return Settlement(
        start_s=given.start_s,
        version=old.version + 1 if old else 1,
        corrects=old.version if old else None,
        postings=postings,
        lines=tuple(lines),
        usage_points=tuple(results),
        residual_wh=sum(point.import_wh - point.export_wh for point in given.usage_points)
        + given.loss_wh
        - (given.head_import_wh - given.head_export_wh),
    )


def _result(
    given: SettlementInput, point: UsagePointInput, old: UsagePointResult | None
) -> UsagePointResult:
    net = (
        point.import_wh
        - point.export_wh
        - point.charge_wh
        + point.discharge_wh
        + point.produced_wh
        - point.curtailed_wh
    )
    baseline_import, baseline_export = max(net, 0), max(-net, 0)
    position = point.bought_wh - point.sold_wh
    bought, sold = max(position, 0), max(-position, 0)
    if given.market.profile is RegulationProfile.LAWFUL:
        tariff_wh = net
    else:
        tariff_wh = max(baseline_import - bought, 0)
    before = point.month_wh - point.bank_wh
    after = before + tariff_wh - (old.tariff_wh if old else 0)
    if after < 0 and given.market.profile is RegulationProfile.SANDBOX:
        raise BadInputError(
            f"{point.usage_point} {label(given.start_s)} month_wh is {point.month_wh}, "
            "must include what the corrected version took"
        )
    tariff = given.tariffs[point.tariff]
    blocks = charge_blocks(tariff, max(before, 0), max(after, 0))
    bank_change = max(-after, 0) - max(-before, 0)
    if old:
        blocks = tuple(was + more for was, more in zip(old.block_wh, blocks, strict=True))
        bank_change += old.bank_change_wh
    return UsagePointResult(
        usage_point=point.usage_point,
        party=point.party,
        baseline_import_wh=baseline_import,
        baseline_export_wh=baseline_export,
        bought_wh=point.bought_wh,
        sold_wh=point.sold_wh,
        surplus_wh=max(bought - baseline_import, 0),
        shortfall_wh=max(sold - baseline_export, 0),
        tariff_wh=tariff_wh,
        block_wh=blocks,
        bank_change_wh=bank_change,
        month_wh=max(after, 0),
        bank_wh=max(-after, 0),
        fixed_fee_due=old.fixed_fee_due if old else point.fixed_fee_due,
    )


def _lines(
    given: SettlementInput, point: UsagePointInput, result: UsagePointResult
) -> list[Posting]:
    """Return the lines of one usage point, none for zero energy."""
    market, where = given.market, point.usage_point
    party = party_account(point.party)
    tariff = given.tariffs[point.tariff]
    trade = given.clearing_price or 0
    shed = min(result.surplus_wh, point.shed_wh)
    fed_in = 0
    if market.profile is RegulationProfile.SANDBOX:
        sold = max(point.sold_wh - point.bought_wh, 0)
        fed_in = max(result.baseline_export_wh - sold, 0)
    withheld = min(point.curtailed_wh, fed_in)
    entries = [
        (party, MARKET, point.bought_wh, trade, PostingKind.PURCHASE),
        (MARKET, party, point.sold_wh, trade, PostingKind.SALE),
        (party, GRID_OPERATOR, point.bought_wh, market.grid_fee, PostingKind.GRID_FEE),
        (COMMUNITY, party, shed, trade, PostingKind.SHEDDING),
        (IMBALANCE, party, result.surplus_wh - shed, market.surplus, PostingKind.SURPLUS),
        (party, IMBALANCE, result.shortfall_wh, market.shortfall, PostingKind.SHORTFALL),
        (SUPPLIER, party, fed_in - withheld, market.feed_in, PostingKind.FEED_IN),
        (COMMUNITY, party, withheld, market.feed_in, PostingKind.CURTAILMENT),
        (BATTERY_USE, party, point.discharge_wh, market.battery_use_fee, PostingKind.BATTERY_USE),
        (SUPPLIER, party, result.bank_change_wh, 0, PostingKind.BANK),
    ]
    entries += [
        (party, SUPPLIER, energy_wh, step.price, PostingKind.SUPPLY)
        for energy_wh, step in zip(result.block_wh, tariff.block, strict=True)
    ]
    lines = [energy_line(*entry, usage_point=where) for entry in entries if entry[2]]
    if result.fixed_fee_due and tariff.fixed_fee:
        lines.append(
            Posting(party, SUPPLIER, tariff.fixed_fee, 0, PostingKind.FIXED_FEE, usage_point=where)
        )
    return lines


def _resale(lines: Iterable[Posting]) -> list[Posting]:
    """Return what the community provides to the supplier's members, by price."""
    provided: Counter[int] = Counter()
    for line in lines:
        if line.kind in (PostingKind.SUPPLY, PostingKind.FEED_IN, PostingKind.BANK):
            taken = line.energy_wh if line.credit == SUPPLIER else -line.energy_wh
            provided[line.price] += taken
    return [
        energy_line(SUPPLIER, COMMUNITY, energy_wh, price, PostingKind.RESALE)
        for price, energy_wh in sorted(provided.items())
        if energy_wh
    ]


def _community(given: SettlementInput) -> list[Posting]:
    """Return the lines at the feeder head and of the losses."""
    importing = given.head_import_wh >= given.head_export_wh
    loss_price = given.buy_price if importing else given.sell_price
    entries = [
        (COMMUNITY, SUPPLIER, given.head_import_wh, given.buy_price, PostingKind.HEAD_IMPORT),
        (SUPPLIER, COMMUNITY, given.head_export_wh, given.sell_price, PostingKind.HEAD_EXPORT),
        (LOSSES, COMMUNITY, given.loss_wh, loss_price, PostingKind.LOSSES),
    ]
    return [energy_line(*entry) for entry in entries if entry[2]]


def _difference(old: Iterable[Posting], new: Iterable[Posting]) -> tuple[Posting, ...]:
    """Return reversals of the lines that are gone, then the lines that are new."""
    before, after = Counter(old), Counter(new)
    gone = [line.reversed for line in (before - after).elements()]
    return (*gone, *(after - before).elements())
