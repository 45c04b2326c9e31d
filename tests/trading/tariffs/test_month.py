"""A month's charge is of its energy by segment alone: no order, split or correction changes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.errors import BadInputError
from trading.tariffs.clock import Segment
from trading.tariffs.month import (
    ChargeLine,
    MonthUse,
    charge_nano,
    charges,
    closing_bank,
    difference,
    marginal_price,
    month_use,
    with_energy,
)

from .tariff_world import CHANGING, CHANGING_SEGMENTS, TIMED, TIMED_SEGMENTS, parts

BOTH = st.sampled_from([(CHANGING, CHANGING_SEGMENTS), (TIMED, TIMED_SEGMENTS)])
FEW_WH = 150_000
BANK_WH = st.integers(0, 400_000)


def slow_charge(tariff, use, bank_wh=0):
    """Charge Wh after Wh (here in steps of 50 Wh), in time order of the versions."""
    total, counters = 0, {}
    for segment, energy_wh in use.energy:
        if segment.price is not None:
            total += energy_wh * segment.price
            continue
        rates = {rate.id: rate for rate in tariff.versions[segment.version].rates}
        step = 50 if energy_wh > 0 else -50
        for _ in range(abs(energy_wh) // 50):
            at = counters.get(segment.rate, -bank_wh)
            counters[segment.rate] = at + step
            low = min(at, at + step)
            if low >= 0:
                ends = [(b.up_to_kwh * 1000 or 10**12, b.price) for b in rates[segment.rate].block]
                total += step * next(price for end, price in ends if low < end)
    return total


@given(BOTH, st.data())
def test_any_order_and_any_split_of_a_months_energy_costs_the_same(which, draw):
    tariff, segments = which
    energy = draw.draw(parts(segments, 0, FEW_WH))
    whole = month_use(energy)
    mixed = draw.draw(st.permutations(energy))
    use = MonthUse()
    for segment, energy_wh in mixed:
        cut = draw.draw(st.integers(0, energy_wh))
        use = with_energy(with_energy(use, segment, cut), segment, energy_wh - cut)
    assert use == whole
    assert charges(tariff, use) == charges(tariff, whole)


@given(BOTH, st.data())
def test_the_lines_posted_for_each_step_add_up_to_the_charge_of_the_month(which, draw):
    """Corrections may be negative as long as no segment is in the end."""
    tariff, segments = which
    energy = draw.draw(parts(segments, 0, FEW_WH))
    late = [(segment, -wh) for segment, wh in energy[::2]]
    posted, before, use = [], (), MonthUse()
    for segment, energy_wh in [*energy, *late, *energy[::2]]:
        use = with_energy(use, segment, energy_wh)
        after = charges(tariff, use)
        posted += difference(before, after)
        before = after
    assert difference((), posted) == difference((), charges(tariff, month_use(energy)))
    assert sum(line.amount_nano for line in posted) == charge_nano(tariff, month_use(energy))


@given(parts(CHANGING_SEGMENTS, -FEW_WH, FEW_WH), BANK_WH)
def test_netted_energy_and_what_the_bank_keeps_are_all_the_energy(energy, bank_wh):
    use = month_use(energy)
    lines = charges(CHANGING, use, bank_wh)
    charged = sum(line.energy_wh for line in lines)
    assert charged == max(use.total_wh - bank_wh, 0)
    assert charged - closing_bank(use, bank_wh) == use.total_wh - bank_wh


@given(parts(CHANGING_SEGMENTS, -3_000, 3_000), st.integers(0, 100))
def test_a_netted_month_costs_what_counting_it_wh_by_wh_does(energy, bank):
    use = month_use((segment, wh * 50) for segment, wh in energy)
    assert charge_nano(CHANGING, use, bank * 500) == slow_charge(CHANGING, use, bank * 500)


@given(parts(TIMED_SEGMENTS, 0, 3_000))
def test_registers_cost_what_counting_each_wh_by_wh_does(energy):
    use = month_use((segment, wh * 50) for segment, wh in energy)
    assert charge_nano(TIMED, use) == slow_charge(TIMED, use)


@given(BOTH, st.data())
def test_the_marginal_price_is_what_one_more_wh_costs(which, draw):
    tariff, segments = which
    use = month_use(draw.draw(parts(segments, 0, FEW_WH)))
    segment = draw.draw(st.sampled_from(segments))
    price = marginal_price(tariff, use, segment)
    more = charge_nano(tariff, with_energy(use, segment, 1))
    assert more == charge_nano(tariff, use) + price


def test_the_next_wh_of_a_month_that_exports_were_netted_in_is_free_until_the_bank_is_empty():
    segment = Segment(0, "total")
    use = month_use([(segment, 30_000)])
    assert marginal_price(CHANGING, use, segment, bank_wh=30_001) == 0
    assert marginal_price(CHANGING, use, segment, bank_wh=30_000) == 84_000


def test_a_register_goes_on_counting_from_version_to_version():
    use = month_use([(Segment(0, "total"), 60_000), (Segment(1, "total"), 10_000)])
    assert charges(TIMED, use) == (
        ChargeLine(0, "total", 0, 60_000, 84_000),
        ChargeLine(1, "total", 1, 10_000, 70_000),
    )


@pytest.mark.parametrize(
    ("tariff", "energy", "bank_wh", "message"),
    [
        (CHANGING, [(Segment(3, "total"), 1)], 0, "version 3 has no rate 'total'"),
        (CHANGING, [(Segment(-1, "total"), 1)], 0, "version -1 has no rate 'total'"),
        (CHANGING, [(Segment(0, "day"), 1)], 0, "version 0 has no rate 'day'"),
        (TIMED, [(Segment(2, "spot"), 1)], 0, "no rate 'spot' without a dynamic price"),
        (TIMED, [(Segment(2, "day", 5), 1)], 0, "no rate 'day' with a dynamic price"),
        (CHANGING, [], -1, "bank_wh is -1, must be at least 0"),
        (TIMED, [(Segment(1, "day"), 5), (Segment(1, "total"), -1)], 0, "in one register"),
        (TIMED, [(Segment(2, "spot", 50_000), -1)], 0, "in one register of blocks, not in spot"),
        (TIMED, [(Segment(1, "day"), 5), (Segment(1, "total"), 1)], 1, "not in day, total"),
    ],
)
def test_what_has_no_price_or_no_order_is_refused(tariff, energy, bank_wh, message):
    with pytest.raises(BadInputError, match=message):
        charges(tariff, month_use(energy), bank_wh)
