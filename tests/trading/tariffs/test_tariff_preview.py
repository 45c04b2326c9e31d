"""A preview over arrays costs each month what it costs interval by interval."""

from datetime import date

import numpy as np
import pytest

from grid.errors import BadInputError
from grid.interval import month_label, parse
from grid.site import RegulationProfile
from trading.regulation import regulation_on
from trading.tariff_preview import PastUse, always, preview
from trading.tariffs.clock import segment_at
from trading.tariffs.fee import fixed_fee
from trading.tariffs.month import charge_nano, closing_bank, month_use

from .tariff_world import CHANGING, TIMED

VIENNA = "Europe/Vienna"
STARTS = np.arange(parse("2026-03-01T00:00+01:00"), parse("2026-06-01T00:00+02:00"), 900)
MONTHS = {
    "2026-03": (date(2026, 3, 1), date(2026, 4, 1)),
    "2026-04": (date(2026, 4, 1), date(2026, 5, 1)),
    "2026-05": (date(2026, 5, 1), date(2026, 6, 1)),
}
SANDBOX, LAWFUL = (
    regulation_on(profile, date(2026, 5, 1))
    for profile in (RegulationProfile.AZERBAIJAN_SANDBOX, RegulationProfile.AZERBAIJAN)
)


def past_use(low, high, points=3):
    rng = np.random.default_rng(7)
    energy_wh = rng.integers(low, high, (points, STARTS.size))
    prices = rng.integers(-50_000, 400_000, STARTS.size)
    return PastUse(STARTS, energy_wh, VIENNA, {"day_ahead": prices})


def one_by_one(tariff, use, *, netted=False):
    """Return each point's months by the charge of its energy, the bank carried along."""
    prices = use.series["day_ahead"].tolist()
    segments = [
        segment_at(tariff, start_s, VIENNA, {"day_ahead": price})
        for start_s, price in zip(STARTS.tolist(), prices, strict=True)
    ]
    labels = [month_label(start_s, VIENNA) for start_s in STARTS.tolist()]
    rows = []
    for energies in use.energy_wh.tolist():
        bank_wh, row = 0, []
        for month, days in MONTHS.items():
            energy = zip(segments, energies, labels, strict=True)
            whole = month_use((segment, wh) for segment, wh, label in energy if label == month)
            row.append(charge_nano(tariff, whole, bank_wh) + fixed_fee(tariff, *days))
            bank_wh = closing_bank(whole, bank_wh) if netted else 0
        rows.append(row)
    return rows


def test_months_cost_at_both_tariffs_what_they_cost_interval_by_interval():
    use = past_use(0, 400)
    found = preview(CHANGING, TIMED, use, SANDBOX)
    assert found.months == tuple(MONTHS)
    assert found.old_nano.tolist() == one_by_one(CHANGING, use)
    assert found.new_nano.tolist() == one_by_one(TIMED, use)
    assert (found.difference_nano == found.new_nano - found.old_nano).all()
    assert found.difference_nano.any()


def test_netted_months_carry_the_bank_as_month_after_month_does():
    use = past_use(-390, 410, points=5)
    found = preview(CHANGING, always(CHANGING), use, LAWFUL)
    assert found.old_nano.tolist() == one_by_one(CHANGING, use, netted=True)
    assert found.new_nano.tolist() == one_by_one(always(CHANGING), use, netted=True)


@pytest.mark.parametrize(
    ("months", "charged_wh"),
    [
        (("2026-03", "2026-04", "2026-05"), (0, 0, 80_000)),  # 100 in, 30 out, 150 - 70
        (("2026-11", "2026-12", "2027-01"), (0, 0, 150_000)),  # the 70 expire with December
    ],
)
def test_the_bank_pays_for_later_months_until_it_expires(months, charged_wh):
    starts = np.array([parse(f"{month}-15T10:00Z") for month in months])
    energy_wh = np.array([[-100_000, 30_000, 150_000]])
    found = preview(CHANGING, always(CHANGING), PastUse(starts, energy_wh, VIENNA), LAWFUL)
    assert found.new_nano.tolist() == [[wh * 95_000 + 3_000_000_001 for wh in charged_wh]]


def test_a_tariff_to_come_is_previewed_as_if_it_had_always_been_in_force():
    newest = always(CHANGING)
    assert newest.versions[0].block == CHANGING.version[-1].block
    assert newest.version_on(date(2000, 1, 1)) == 0


@pytest.mark.parametrize(
    ("change", "law", "message"),
    [
        (lambda wh: wh - 10**6, SANDBOX, "must be at least 0"),
        (lambda wh: wh * 10**14, SANDBOX, "may be beyond 9223372036854775807"),
        (lambda wh: wh, LAWFUL, "netted in one register"),
        (lambda wh: wh[:, 1:], SANDBOX, "must be usage points x"),
    ],
)
def test_what_cannot_be_previewed_exactly_is_refused(change, law, message):
    use = past_use(0, 400)
    with pytest.raises(BadInputError, match=message):
        preview(TIMED, TIMED, PastUse(STARTS, change(use.energy_wh), VIENNA, use.series), law)


def test_a_missing_series_and_intervals_that_do_not_rise_are_refused():
    use = past_use(0, 400)
    with pytest.raises(BadInputError, match="series day_ahead has no prices"):
        preview(TIMED, TIMED, PastUse(STARTS, use.energy_wh, VIENNA), SANDBOX)
    with pytest.raises(BadInputError, match="must rise"):
        PastUse(STARTS[::-1], use.energy_wh, VIENNA)
    with pytest.raises(BadInputError, match="series day_ahead has 1 prices"):
        PastUse(STARTS, use.energy_wh, VIENNA, {"day_ahead": STARTS[:1]})
