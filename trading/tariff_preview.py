"""What past months would have cost at another tariff, for many usage points at once.

The same sums as in :mod:`trading.tariffs.month`, over arrays: int64 is exact as long as no
total is beyond it, which is checked before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from grid import interval
from grid.errors import BadInputError
from grid.quantities import INT64_MAX, WH_PER_KWH
from grid.site import Tariff, TariffRate
from trading.regulation import Netting, Regulation
from trading.tariffs.clock import places
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import is_netted_alike

Wh = npt.NDArray[np.int64]
Nano = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PastUse:
    """Metered energy of whole civil months.

    Attributes
    ----------
    starts_s : ndarray of int64 [interval]
        Rising.
    energy_wh : ndarray of int64 [usage_point, interval]
        Imports; less exports where the law nets them.
    time_zone : str
    series : Mapping of str to ndarray of int64 [interval]
        Prices of dynamic rates, nano-currency per Wh.
    """

    starts_s: npt.NDArray[np.int64]
    energy_wh: Wh
    time_zone: str
    series: Mapping[str, Nano] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.starts_s)
        if count == 0 or self.energy_wh.ndim != 2 or self.energy_wh.shape[1] != count:
            shape = self.energy_wh.shape
            raise BadInputError(
                f"energy of shape {shape}, must be usage points x {count} intervals"
            )
        if (np.diff(self.starts_s) <= 0).any():
            raise BadInputError("the intervals must rise")
        for name, prices in self.series.items():
            if prices.shape != (count,):
                raise BadInputError(f"series {name} has {prices.size} prices, must have {count}")


@dataclass(frozen=True, slots=True)
class Preview:
    """What months cost at two tariffs, nano-currency with the fixed fee.

    Attributes
    ----------
    months : tuple of str
        ``YYYY-MM``.
    old_nano, new_nano : ndarray of int64 [usage_point, month]
    """

    months: tuple[str, ...]
    old_nano: Nano
    new_nano: Nano

    @property
    def difference_nano(self) -> Nano:
        """What is more at the new tariff."""
        return self.new_nano - self.old_nano


def always(tariff: Tariff) -> Tariff:
    """Return a tariff as if its newest version had always been in force."""
    newest = tariff.versions[-1]
    return Tariff(
        tariff.id,
        newest.name,
        newest.fixed_fee,
        newest.block,
        newest.rate,
        newest.vat_percent,
        newest.fixed_fee_by,
    )


def preview(old: Tariff, new: Tariff, use: PastUse, law: Regulation) -> Preview:
    """Return what each usage point's months cost at two tariffs.

    Each is charged by its versions in force then; of one that is yet to come, give
    :func:`always`. Where the law nets over the month the energy bank starts empty; what an
    expired bank is paid out is the same at both tariffs and left out.

    Raises
    ------
    BadInputError
        As :func:`trading.tariffs.month.charges`, or when a total could leave int64.
    """
    months, old_nano = month_amounts(old, use, law)
    return Preview(months, old_nano, month_amounts(new, use, law)[1])


def month_amounts(tariff: Tariff, use: PastUse, law: Regulation) -> tuple[tuple[str, ...], Nano]:
    """Return the months, and what each cost: nano-currency [usage_point, month]."""
    columns, which = places(tariff, use.starts_s, use.time_zone)
    prices = _prices(tariff, columns, which, use)
    _check(tariff, columns, prices, use, law)
    labels = [interval.month_label(start_s, use.time_zone) for start_s in use.starts_s.tolist()]
    months = tuple(dict.fromkeys(labels))
    amounts = np.zeros((len(use.energy_wh), len(months)), np.int64)
    bank = np.zeros(len(use.energy_wh), np.int64)
    edges = np.searchsorted(labels, [*months, "~"])
    for number, month in enumerate(months):
        part = slice(edges[number], edges[number + 1])
        counters: dict[str, Wh] = {}
        for place, (_, rate) in enumerate(columns):
            inside = which[part] == place
            energy_wh = use.energy_wh[:, part][:, inside]
            if rate.series:
                amounts[:, number] += energy_wh @ prices[part][inside]
            elif inside.any():
                before = counters.get(rate.id, -bank)
                counters[rate.id] = after = before + energy_wh.sum(axis=1)
                amounts[:, number] += _cost(rate, after) - _cost(rate, before)
        if law.netting is Netting.MONTH:
            (left,) = counters.values()
            kept = 0 if int(month[5:]) == law.bank_expires_after_month else 1
            bank = np.maximum(-left, 0) * kept
        first = interval.parse_date(f"{month}-01")
        end = (first + timedelta(days=32)).replace(day=1)
        amounts[:, number] += fixed_fee(tariff, first, end)
    return months, amounts


def _cost(rate: TariffRate, month_wh: Wh) -> Nano:
    """Return F of each total; below zero it is zero."""
    cost = np.zeros_like(month_wh)
    start = 0
    for step in rate.block:
        end = min(step.up_to_kwh * WH_PER_KWH, INT64_MAX) or INT64_MAX
        cost += np.maximum(np.minimum(month_wh, end) - start, 0) * step.price
        start = end
    return cost


def _prices(
    tariff: Tariff, columns: tuple[tuple[int, TariffRate], ...], which: Wh, use: PastUse
) -> Nano:
    """Return the dynamic price of each interval, 0 where it has none."""
    prices = np.zeros(len(use.starts_s), np.int64)
    for place, (_, rate) in enumerate(columns):
        if not rate.series:
            continue
        if rate.series not in use.series:
            raise BadInputError(f"tariff {tariff.id}: series {rate.series} has no prices")
        inside = np.flatnonzero(which == place)
        told = use.series[rate.series][inside].tolist()
        prices[inside] = [rate.dynamic_price(price) for price in told]
    return prices


def _check(
    tariff: Tariff,
    columns: tuple[tuple[int, TariffRate], ...],
    prices: Nano,
    use: PastUse,
    law: Regulation,
) -> None:
    """Refuse what has no order to be netted in, and totals that int64 may not hold."""
    least, most = int(use.energy_wh.min(initial=0)), int(use.energy_wh.max(initial=0))
    if law.netting is Netting.NONE and least < 0:
        raise BadInputError(f"energy of {least} Wh, must be at least 0: {law.title} nets nothing")
    if law.netting is Netting.MONTH and not is_netted_alike(
        (rate.id, bool(rate.series)) for _, rate in columns
    ):
        raise BadInputError(f"tariff {tariff.id}: exports are netted in one register of blocks")
    steps = [step.price for _, rate in columns for step in rate.block]
    price = max(*steps, abs(int(prices.min())), abs(int(prices.max())), 1)
    total = max(most, -least) * len(use.starts_s) * price * 2
    if total + max(version.fixed_fee for version in tariff.versions) > INT64_MAX:
        raise BadInputError(
            f"tariff {tariff.id}: {max(most, -least)} Wh in each of {len(use.starts_s)} intervals "
            f"at {price} nano per Wh may be beyond {INT64_MAX}"
        )
