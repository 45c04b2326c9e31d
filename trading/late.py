"""Readings that change when their interval is final: a credit or a charge against the pool.

What was traded stays as it was, and so do everybody else's lines: one late meter
does not bill its neighbours again. The usage point itself is brought to what the
better readings say; the other side of every such line is the community's pool,
and the lines stand on the next invoice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from trading.accounts import (
    MONEY_KINDS,
    POOL,
    Posting,
    PostingKind,
    assert_balanced,
    energy_line,
    money_line,
    party_account,
)
from trading.settlement import check_same, local_energy, point_result, residual_wh
from trading.settlement_facts import (
    Settlement,
    SettlementInput,
    UsagePointInput,
    UsagePointResult,
    check_input,
)
from trading.settlement_lines import point_lines

_Effect = dict[tuple[PostingKind, int], tuple[int, int]]


def settle_late(old: Settlement, given: SettlementInput) -> Settlement:
    """Return the correction of a final interval.

    Parameters
    ----------
    old : Settlement
        The newest version of the interval.
    given : SettlementInput
        With better readings and the months' accounts as of now; its trades are not read.

    Raises
    ------
    BadInputError
        As :func:`trading.settlement.resettle`.
    """
    check_same(old, given)
    earlier = {result.usage_point: result for result in old.usage_points}
    given = replace(
        given,
        usage_points=tuple(
            _as_traded(point, earlier[point.usage_point]) for point in given.usage_points
        ),
    )
    check_input(given)
    results: list[UsagePointResult] = []
    postings: list[Posting] = []
    local = local_energy(given)
    for point in sorted(given.usage_points, key=lambda point: point.usage_point):
        # The fee of the month was posted with what was settled in time.
        point = replace(point, fee_due_nano=point.account.fee_nano)
        name = point.usage_point
        result = point_result(given, point, local[name], earlier[name])
        results.append(result)
        was = [line for line in old.lines if line.usage_point == name]
        postings += _pooled(result, was, point_lines(given, point, result))
    assert_balanced(postings)
    return Settlement(
        start_s=given.start_s,
        version=old.version + 1,
        corrects=old.version,
        postings=tuple(postings),
        lines=(*old.lines, *postings),
        usage_points=tuple(results),
        residual_wh=residual_wh(given),
        late=True,
    )


def _as_traded(point: UsagePointInput, old: UsagePointResult) -> UsagePointInput:
    return replace(
        point,
        legs=old.legs,
        battery_legs=old.battery_legs,
        kept_wh=old.kept_wh,
        used_wh=old.used_wh,
    )


def _pooled(
    result: UsagePointResult, was: Iterable[Posting], now: Iterable[Posting]
) -> list[Posting]:
    """Return what brings a usage point from its lines as they were to those as they are now."""
    party = party_account(result.party)
    before, after = _effect(was, party), _effect(now, party)
    lines = []
    for kind, price in sorted(before.keys() | after.keys()):
        old_wh, old_nano = before.get((kind, price), (0, 0))
        energy_wh, amount_nano = after.get((kind, price), (0, 0))
        if kind in MONEY_KINDS:
            if amount_nano != old_nano:
                lines.append(
                    money_line(party, POOL, amount_nano - old_nano, kind, result.usage_point)
                )
        elif energy_wh != old_wh:
            more = energy_wh - old_wh
            lines.append(energy_line(party, POOL, more, price, kind, result.usage_point))
    return lines


def _effect(lines: Iterable[Posting], party: str) -> _Effect:
    """Return by kind and price the Wh a party received and the nano-currency it paid."""
    energy: Counter[tuple[PostingKind, int]] = Counter()
    amount: Counter[tuple[PostingKind, int]] = Counter()
    for line in lines:
        sign = 1 if line.debit == party else -1
        energy[line.kind, line.price] += sign * line.energy_wh
        amount[line.kind, line.price] += sign * line.amount_nano
    return {key: (energy[key], amount[key]) for key in energy.keys() | amount.keys()}
