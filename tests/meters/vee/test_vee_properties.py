"""What holds for any day."""

from itertools import pairwise

import numpy as np
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meters.reading import CHANNELS, MISSING
from meters.vee import Quality, validate
from meters.vee.estimation import spread

START_S = 1_778_616_000
METERS = 6
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def household_day(rng, n, *, connection_w, ev_w):
    """Wh of each interval of a house with base load, kitchen, heat pump and a car."""
    minutes = n * 15
    power = 80 + 60 * rng.random() + 40 * rng.random(minutes)
    for _ in range(rng.integers(0, 12)):  # kettles, ovens, hair dryers
        at, length = rng.integers(minutes), rng.integers(2, 50)
        power[at : at + length] += rng.choice([900, 1500, 2000, 3000])
    if rng.random() < 0.5:  # heat pump cycling
        on = (np.arange(minutes) // rng.integers(15, 60)) % 2 == 0
        power = power + on * rng.choice([1500, 3000])
    for _ in range(rng.integers(0, 3)):  # charging, at any minute, for half an hour or more
        at, length = rng.integers(minutes), rng.integers(30, 400)
        power[at : at + length] += ev_w
    return np.minimum(power, connection_w).reshape(n, 15).sum(axis=1) / 60


def dataset(energy, reference, start=1_000_000):
    """Registers and reference of import; export follows the sun around noon."""
    count, n = energy.shape
    known = np.zeros((count, n + 1), dtype=np.int64)
    known[:, 1:] = np.cumsum(np.rint(energy).astype(np.int64), axis=1)
    noon = np.rint(2000 * np.clip(np.sin((np.arange(n) / n - 0.25) * 2 * np.pi), 0, None))
    sun = np.concatenate([[0], np.cumsum(noon.astype(np.int64))])
    rows = {
        "import_wh": start + known,
        "export_wh": start + np.tile(sun, (count, 1)),
        "import_varh": start + known // 4,
        "export_varh": start + known * 0,
    }
    at = (START_S + 900 * np.arange(n + 1)).astype("datetime64[s]")
    meters = [f"M-{index:02d}" for index in range(count)]
    registers = xr.Dataset(
        {name: (("meter", "boundary"), rows[name]) for name in CHANNELS},
        coords={"meter": meters, "boundary": at},
    )
    like = xr.Dataset(
        {name: (("meter", "interval"), reference.astype(np.int64)) for name in CHANNELS},
        coords={"meter": meters, "interval": at[:-1]},
    )
    return registers, like


def check(registers, like, limit, before=START_S + 10**6):
    return validate(
        registers,
        like,
        limit_wh=np.full(METERS, limit),
        register_digits=np.full(METERS, 9),
        estimate_before_s=before,
    )


@QUICK
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([92, 96, 100]),
    shown=st.integers(1, 100),
    ev=st.sampled_from([(14_500, 3_700), (14_500, 11_000), (24_000, 11_000), (24_000, 22_000)]),
    known=st.booleans(),
)
def test_no_clean_day_is_flagged_even_when_a_car_starts_to_charge(seed, n, shown, ev, known):
    """At any time of the open day, with like days that never saw the car."""
    rng = np.random.default_rng(seed)
    connection_w, ev_w = ev
    energy = np.stack(
        [household_day(rng, n, connection_w=connection_w, ev_w=ev_w) for _ in range(METERS)]
    )[:, :shown]
    reference = np.full(energy.shape, 60 if known else MISSING)
    registers, like = dataset(energy, reference)
    result, findings = check(registers, like, connection_w // 4 + 1)
    assert findings == []
    assert (result["quality"].values == Quality.VALID).all()
    assert np.array_equal(
        result["import_wh"].values, np.diff(registers["import_wh"].values, axis=1)
    )


@QUICK
@given(seed=st.integers(0, 2**32 - 1), holes=st.floats(0.02, 0.9))
def test_between_any_two_reads_the_energy_is_the_register_difference(seed, holes):
    rng = np.random.default_rng(seed)
    energy = rng.integers(0, 900, (METERS, 96)).astype(float)
    registers, like = dataset(energy, rng.integers(0, 900, energy.shape))
    lost = rng.random((METERS, 97)) < holes
    whole = {name: registers[name].values.copy() for name in CHANNELS}
    for name in CHANNELS:
        registers[name].values[lost] = MISSING
    result, findings = check(registers, like, 5000)
    for name in CHANNELS:
        values = result[name].values
        for row in range(METERS):
            read = np.flatnonzero(~lost[row])
            for first, last in pairwise(read):
                total = whole[name][row, last] - whole[name][row, first]
                assert values[row, first:last].sum() == total
    assert (result["import_wh"].values >= 0).all()
    assert len(findings) <= METERS * 96
    again, same = check(registers, like, 5000)
    assert again.identical(result)
    assert same == findings


@QUICK
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_any_registers_at_all_give_non_negative_energy_within_the_limit(seed, data):
    rng = np.random.default_rng(seed)
    top = data.draw(st.sampled_from([10, 10_000, 10**9, 10**12]))
    registers, like = dataset(np.zeros((METERS, 24)), rng.integers(-1, 9000, (METERS, 24)))
    for name in CHANNELS:
        registers[name].values[:] = rng.integers(-3, top, (METERS, 25))
    result, findings = check(registers, like, 5000)
    for name in CHANNELS:
        values = result[name].values
        assert ((values >= 0) | (values == MISSING)).all()
        direct = result["quality"].values == Quality.VALID
        assert (values[direct] <= 5000).all()
    told = {item.subject for item in findings}
    changed = (result["quality"].values != Quality.VALID).any(axis=1)
    assert told >= {f"M-{row:02d}" for row in np.flatnonzero(changed)}


@QUICK
@given(
    total=st.integers(0, 10**12),
    weight=st.lists(st.integers(0, 10**12), min_size=1, max_size=60),
)
def test_spread_is_exact_and_never_off_its_share_by_a_unit(total, weight):
    first = np.zeros(1, dtype=np.int64)
    share = spread(
        np.array([total]), np.array(weight), np.zeros(len(weight), dtype=np.int64), first
    )
    assert share.sum() == total
    assert (share >= 0).all()
    whole = sum(weight)
    if 0 < whole * max(total, 1) < 2**62:
        exact = np.array([total * item / whole for item in weight])
        assert (np.abs(share - exact) < 1 + 1e-6 * exact).all()
