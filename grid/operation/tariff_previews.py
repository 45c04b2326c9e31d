"""What past months would have cost if a proposed tariff had been in force in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid import interval
from grid.errors import BadInputError
from grid.operation import agreements
from grid.operation.market import law_at
from grid.operation.tariffs import SERIES, in_force
from grid.site import Site, Tariff, UsageKind
from grid.store import Transaction, control, series
from meters.vee import Quality
from trading.regulation import Netting
from trading.tariff_preview import PastUse, Preview, always, preview
from trading.tariffs.clock import head_price

MONTHS_MOST = 12


@dataclass(frozen=True, slots=True)
class PastPreview:
    """A preview, and of what it is one.

    Attributes
    ----------
    preview : Preview
        By usage point and month.
    usage_points : tuple of str
        Those that are on the tariff now, or everybody's where it is a new one.
    from_s, until_s : int
        Of whole months, where there is one.
    whole : bool
        Whether they are.
    missing : tuple of int
        Of each usage point, the intervals of which nothing is known: they cost nothing here.
    """

    preview: Preview
    usage_points: tuple[str, ...]
    from_s: int
    until_s: int
    whole: bool
    missing: tuple[int, ...]


def past_preview(tx: Transaction, site: Site, new: Tariff) -> PastPreview:
    """Return what up to twelve months would have cost at the tariff in force and at a new one.

    Raises
    ------
    BadInputError
        When nothing was metered yet, or nobody is on the tariff.
    """
    zone, now_s = site.time_zone, control.clock_s(tx)
    first_s = int(control.get_meta(tx, "first_cycle_s") or now_s)
    standing = agreements.standing(tx, now_s)
    members = [one.id for one in site.usage_point if one.kind is not UsageKind.COMMUNITY]
    tariff_of = {str(name): standing[str(name)].terms_at(now_s).tariff for name in members}
    tariffs = {one.id: one for one in in_force(tx, site)}
    names = [name for name, one in tariff_of.items() if one == new.id] or sorted(tariff_of)
    from_s, until_s, whole = _months(first_s, now_s, zone)
    if from_s >= until_s or not names:
        raise BadInputError(f"tariff {new.id}: nothing was metered yet that could be previewed")
    told = series.get_intervals(tx, names, from_s, until_s, time_zone=zone)
    unknown = told["quality"].values == Quality.MISSING
    energy_wh = np.where(unknown, 0, told["import_wh"].values)
    law = law_at(site, until_s - 1)
    if law.netting is Netting.MONTH:
        energy_wh = energy_wh - np.where(unknown, 0, told["export_wh"].values)
    starts_s = np.arange(from_s, until_s, site.interval_s)
    steps = [head_price(site.grid.price, start_s, zone) for start_s in starts_s.tolist()]
    prices = [[one.buy for one in steps], [one.sell for one in steps]]
    dynamic = {name: np.array(row, np.int64) for name, row in zip(SERIES, prices, strict=True)}
    use = PastUse(starts_s, energy_wh.astype(np.int64), zone, dynamic)
    old_nano = np.zeros((len(names), 0), np.int64)
    new_nano = old_nano
    for old in sorted({tariff_of[name] for name in names}):
        rows = [row for row, name in enumerate(names) if tariff_of[name] == old]
        some = replace(use, energy_wh=use.energy_wh[rows])
        made = preview(tariffs[old], always(new), some, law)
        if not old_nano.size:
            old_nano, new_nano = np.zeros((2, len(names), len(made.months)), np.int64)
        old_nano[rows], new_nano[rows] = made.old_nano, made.new_nano
    return PastPreview(
        Preview(made.months, old_nano, new_nano),
        tuple(names),
        from_s,
        until_s,
        whole,
        tuple(unknown.sum(axis=1).tolist()),
    )


def _months(first_s: int, now_s: int, zone: str) -> tuple[int, int, bool]:
    """Return bounds of the newest whole months; of all that is known where there is none."""
    start_s, until_s = interval.month_bounds(first_s, zone)
    if first_s > start_s:
        start_s = until_s
    end_s = interval.month_bounds(now_s, zone)[0]
    if start_s >= end_s:
        return first_s, now_s, False
    oldest_s = end_s
    for _ in range(MONTHS_MOST):
        oldest_s = max(start_s, interval.month_bounds(oldest_s - 1, zone)[0])
    return oldest_s, end_s, True
