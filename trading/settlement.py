"""One interval: metered energy, instructions and trades → postings.

A prosumer is settled on the baseline: what the meter would have counted
without the operator's instructions. Against it stand the trades; what is
imported beyond them comes from the supplier at the retail tariff, what is
exported beyond them is fed in, and a trade that was not consumed or delivered
is settled at the surplus or shortfall price.

The community draws all energy at the feeder head at its own prices, so it, not
the supplier, provides what members take at the retail tariff: the ``resale``
lines hand that on, and the supplier ends with the feeder head and the fixed
fees, counted once. Instructed energy thus needs no line of its own: it is what
the head's energy differs from the baselines'.

A battery that trades does so beside that: what it bought and sold is owed and paid as traded, for
it always follows, and what it kept or gave behind the meter is in the baseline
(:mod:`trading.batteries`).

Where the law nets, nothing is traded: a month's exports are netted against
its imports in kWh, and what is left over stays in an energy bank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from grid.errors import BadInputError
from grid.ids import UsagePointId
from grid.interval import label
from trading.accounts import Posting, assert_balanced
from trading.origin import matched_local
from trading.settlement_facts import (
    MonthAccount,
    Settlement,
    SettlementInput,
    UsagePointInput,
    UsagePointResult,
    check_input,
)
from trading.settlement_lines import community_lines, point_lines, resale_lines, surplus_lines
from trading.tariffs.clock import Segment
from trading.tariffs.month import ChargeLine, MonthUse, charges, closing_bank, difference, month_use

__all__ = [
    "Settlement",
    "SettlementInput",
    "UsagePointInput",
    "UsagePointResult",
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
    """Return the correction of `old` with better readings, while nothing of it is final.

    Parameters
    ----------
    old : Settlement
        The newest version of the interval.
    given : SettlementInput
        With the months' accounts as of now, what `old` took included.

    Notes
    -----
    The tariff is charged ``F(now - old + new) - F(now)`` on top of what `old`
    charged, so that all charges of a month add up to ``F`` of its energy in
    whatever order corrections come. One that comes after the month's end takes
    the account of its own month.

    Raises
    ------
    BadInputError
        As :func:`settle`, or when usage points or agreements are not those of `old`.
    """
    check_same(old, given)
    return _settle(given, old)


def check_same(old: Settlement, given: SettlementInput) -> None:
    """Refuse a correction that is not about the usage points and agreements of `old`.

    Raises
    ------
    BadInputError
    """
    before = [(result.usage_point, result.agreement) for result in old.usage_points]
    now = sorted((point.usage_point, point.agreement) for point in given.usage_points)
    if old.start_s != given.start_s or before != now:
        raise BadInputError(f"{label(given.start_s)}: a correction needs the same usage points")


def _settle(given: SettlementInput, old: Settlement | None) -> Settlement:
    check_input(given)
    earlier = {result.usage_point: result for result in old.usage_points} if old else {}
    results, lines = [], []
    local = local_energy(given)
    for point in sorted(given.usage_points, key=lambda point: point.usage_point):
        local_wh = local[point.usage_point]
        result = point_result(given, point, local_wh, earlier.get(point.usage_point))
        results.append(result)
        lines += point_lines(given, point, result)
    lines += surplus_lines(lines)
    lines += resale_lines(lines)
    lines += community_lines(given)
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
        residual_wh=residual_wh(given),
    )


def residual_wh(given: SettlementInput) -> int:
    """Return what meters and losses leave unexplained at the feeder head."""
    net = sum(point.import_wh - point.export_wh for point in given.usage_points)
    return net + given.loss_wh - (given.head_import_wh - given.head_export_wh)


def local_energy(given: SettlementInput) -> dict[UsagePointId, int]:
    """Return what each usage point imported of the members' renewable exports, in Wh."""
    points = given.usage_points
    matched = matched_local(
        [max(point.net_wh, 0) for point in points],
        [max(point.position_wh, 0) for point in points],
        [point.renewable_wh for point in points],
    )
    return {point.usage_point: wh for point, wh in zip(points, matched, strict=True)}


def point_result(
    given: SettlementInput, point: UsagePointInput, local_wh: int, old: UsagePointResult | None
) -> UsagePointResult:
    """Return how a usage point is settled, on top of what `old` took."""
    net = point.net_wh
    baseline_import, baseline_export = max(net, 0), max(-net, 0)
    bought, sold = max(point.position_wh, 0), max(-point.position_wh, 0)
    own = point.own_wh
    metered_wh = own if given.is_netted else max(own, 0)
    tariff_wh = net if given.is_netted else max(baseline_import - bought, 0)
    export_wh = 0 if given.is_netted else max(-own, 0)
    account = point.account
    changed = MonthAccount(
        supplied=_moved(given, point, account.supplied, tariff_wh, _supplied(old)),
        metered=_moved(given, point, account.metered, metered_wh, _metered(given, old)),
        export_wh=account.export_wh + export_wh - (_exported(given, old) if old else 0),
        bank_wh=account.bank_wh,
        fee_nano=point.fee_due_nano,
        import_wh=account.import_wh + baseline_import - (old.baseline_import_wh if old else 0),
        local_wh=account.local_wh + local_wh - (old.local_wh if old else 0),
        battery_wh=account.battery_wh + point.battery_wh - (old.battery_wh if old else 0),
    )
    charge, bank_change = _charged(given, point, changed)
    return UsagePointResult(
        usage_point=point.usage_point,
        agreement=point.agreement,
        party=point.party,
        tariff=point.tariff,
        segment=point.segment,
        baseline_import_wh=baseline_import,
        baseline_export_wh=baseline_export,
        legs=point.legs,
        surplus_wh=max(bought - baseline_import, 0),
        shortfall_wh=max(sold - baseline_export, 0),
        tariff_wh=tariff_wh,
        charge=difference((), [*(old.charge if old else ()), *charge]),
        bank_change_wh=bank_change + (old.bank_change_wh if old else 0),
        fee_nano=point.fee_due_nano - account.fee_nano + (old.fee_nano if old else 0),
        account=changed,
        local_wh=local_wh,
        battery_legs=point.battery_legs,
        kept_wh=point.kept_wh,
        used_wh=point.used_wh,
    )


def _supplied(old: UsagePointResult | None) -> tuple[Segment, int] | None:
    return None if old is None else (old.segment, old.tariff_wh)


def _metered(given: SettlementInput, old: UsagePointResult | None) -> tuple[Segment, int] | None:
    if old is None:
        return None
    return old.segment, old.own_wh if given.is_netted else max(old.own_wh, 0)


def _exported(given: SettlementInput, old: UsagePointResult) -> int:
    return 0 if given.is_netted else max(-old.own_wh, 0)


def _moved(
    given: SettlementInput,
    point: UsagePointInput,
    use: MonthUse,
    energy_wh: int,
    took: tuple[Segment, int] | None,
) -> MonthUse:
    """Return a month's use with the interval's energy in place of what it took before."""
    gone = [] if took is None else [(took[0], -took[1])]
    moved = month_use([*use.energy, (point.segment, energy_wh), *gone])
    if not given.is_netted and any(wh < 0 for _, wh in moved.energy):
        raise BadInputError(
            f"{point.usage_point} {label(given.start_s)} the month's account holds "
            f"{use.total_wh} Wh, must include what the corrected version took"
        )
    return moved


def _charged(
    given: SettlementInput, point: UsagePointInput, changed: MonthAccount
) -> tuple[tuple[ChargeLine, ...], int]:
    """Return what the month's charge and the energy bank gain."""
    tariff, before = given.tariffs[point.tariff], point.account
    lines = difference(
        charges(tariff, before.supplied, before.bank_wh),
        charges(tariff, changed.supplied, before.bank_wh),
    )
    if not given.is_netted:
        return lines, 0
    gained = closing_bank(changed.supplied, before.bank_wh)
    return lines, gained - closing_bank(before.supplied, before.bank_wh)


def _difference(old: Iterable[Posting], new: Iterable[Posting]) -> tuple[Posting, ...]:
    """Return reversals of the lines that are gone, then the lines that are new."""
    before, after = Counter(old), Counter(new)
    gone = [line.reversed for line in (before - after).elements()]
    return (*gone, *(after - before).elements())
