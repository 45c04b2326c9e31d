"""The monthly fee of an agreement that may be of part of a month."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

from grid.errors import BadInputError
from grid.site import FeeBy, Tariff


def fixed_fee(tariff: Tariff, first: date, end: date) -> int:
    """Return nano-currency of the monthly fee for the days ``[first, end)`` of one month.

    The fee is that of the version in force on `first`. Where it is by day, each day of the
    month has an equal part in whole nano-currency, and what that leaves goes one by one to
    the earliest days (all remainders being equal, the largest are the first): agreements
    that share a month pay the fee together, to the last nano.

    Raises
    ------
    BadInputError
        When the days are none or not of one month, or before the tariff's first version.
    """
    days = monthrange(first.year, first.month)[1]
    if not first < end <= first.replace(day=1) + timedelta(days=days):
        raise BadInputError(f"fee of tariff {tariff.id}: {first} to {end} are no days of a month")
    version = tariff.versions[tariff.version_on(first)]
    if version.fixed_fee_by is FeeBy.MONTH:
        return version.fixed_fee
    each, left = divmod(version.fixed_fee, days)
    before = first.day - 1
    until = before + (end - first).days
    return each * (until - before) + min(until, left) - min(before, left)
