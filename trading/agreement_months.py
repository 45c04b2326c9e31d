"""The month of an agreement: its fee, the energy bank it brings, its place on a statement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from grid import interval
from grid.site import Tariff
from trading.agreements import Agreement
from trading.regulation import Regulation
from trading.settlement_facts import MonthAccount
from trading.statements import MonthOf
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import closing_bank

MonthAccounts = Mapping[tuple[int, str], MonthAccount]
"""Accounts of one month by agreement and tariff."""


def fee_due(
    tariff: Tariff, agreement: Agreement, start_s: int, account: MonthAccount, time_zone: str
) -> int:
    """Return the monthly fee of an agreement as far as it is known now, in nano-currency.

    It is that of the tariff the agreement is on when its days in the month begin.
    """
    month = interval.month_bounds(start_s, time_zone)
    low_s, high_s = max(month[0], agreement.from_s), min(month[1], agreement.until_s or month[1])
    if agreement.terms_at(low_s).tariff != tariff.id:
        return account.fee_nano
    first, last = (interval.local_day(at_s, time_zone) for at_s in (low_s, high_s - 1))
    return fixed_fee(tariff, first, last + dt.timedelta(days=1))


def opening_banks(before: MonthAccounts, month: int, regulation: Regulation) -> dict[int, int]:
    """Return the Wh in the energy bank that each agreement brings from the month before.

    Parameters
    ----------
    before : MonthAccounts
        Of that month.
    month : int
        That calendar month, 1 to 12.
    """
    banks: dict[int, int] = {}
    for (agreement, _), one in before.items():
        closing = closing_bank(one.supplied, one.bank_wh)
        left = closing - regulation.expired_wh(closing, month)
        if left:
            banks[agreement] = banks.get(agreement, 0) + left
    return banks


def months_of(
    party: str,
    agreements: Iterable[Agreement],
    accounts: MonthAccounts,
    tariffs: Mapping[str, Tariff],
    bounds_s: tuple[int, int],
    month: int,
) -> list[MonthOf]:
    """Return the metered months of a party's usage points, for its statement.

    Parameters
    ----------
    agreements : iterable of Agreement
        By usage point and time.
    bounds_s : (int, int)
        Of the civil month, whose calendar month is `month`.
    """
    return [
        MonthOf(one.usage_point, tariffs[tariff], accounts[number, tariff], month)
        for one in agreements
        if one.party == party and one.overlaps(*bounds_s)
        for number, tariff in sorted(accounts)
        if number == one.id
    ]
