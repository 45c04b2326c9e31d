"""Registers of water, gas and heat become exact whole numbers, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from grid import interval
from grid.errors import BadInputError
from grid.quantities import INT64_MAX
from meters import media, obis
from meters.media import MediaError, MediaRegister, Medium, parse_register
from meters.reading import MISSING
from meters.vee import Quality

START_S = interval.parse("2026-05-29T00:00Z")

GOOD = [
    ("8-0:1.0.0", 123456, (-3, 13), Medium.COLD_WATER, "water_l", 123456),
    ("8-0:1.0.0", 123456, (-4, 13), Medium.COLD_WATER, "water_l", 12345),
    ("8-0:1.0.0", 12.345, (0, 13), Medium.COLD_WATER, "water_l", 12345),
    ("9-0:1.0.0", 77, (0, 19), Medium.HOT_WATER, "hot_water_l", 77),
    ("7-0:3.0.0", 5, (-1, 13), Medium.GAS, "gas_l", 500),
    ("7-0:13.2.0", 98765, (-2, 14), Medium.GAS, "gas_base_l", 987650),
    ("6-0:1.0.0", 12, (3, 30), Medium.HEAT, "heat_wh", 12000),
    ("6-0:1.0.0", 12, (9, 25), Medium.HEAT, "heat_kj", 12_000_000),
    ("6-0:2.0.0", 4, (-2, 13), Medium.HEAT, "heat_volume_l", 40),
    ("5-0:1.0.0", 3, (3, 30), Medium.COOLING, "cooling_wh", 3000),
    ("4-0:2.0.0", 415, (0, 255), Medium.HEAT_COST, "heat_cost_units", 415),
    ("8-0:1.0.0", None, (-3, 13), Medium.COLD_WATER, "water_l", MISSING),
]
BAD = [
    ("1-0:1.8.0", 1, (0, 30), "no total of electricity"),
    ("8-0:2.0.0", 1, (-3, 15), "no total of cold_water"),
    ("8-0:1.0.1", 1, (-3, 13), "no total of cold_water"),
    ("8-0:1.0.0*1", 1, (-3, 13), "no total of cold_water"),
    ("3-0:1.0.0", 1, (-3, 13), "is of medium 3"),
    ("8-0:1.0.0", 1, (-3, 30), r"has unit 30, must be one of \[13, 14, 19\]"),
    ("8-0:1.0.0", -1, (-3, 13), "holds less than 0"),
    ("8-0:1.0.0", 2**63, (0, 13), "holds less than 0 or more than"),
    ("8-0:1.0.0", float("nan"), (-3, 13), "must be finite"),
    ("8-0:1.0.0", True, (-3, 13), "holds no number"),
    ("8-0:1.0.0", b"1", (-3, 13), "holds no number"),
    ("8-0:1.0.0", 1, (-13, 13), "has scaler -13"),
    ("8-0:1.0.0", 1, None, "scaler_unit is malformed"),
    ("8-0:1.0.0", 1, (True, 13), "scaler_unit is malformed"),
    ("0-1:24.2.1", 1, (-3, 13), "is of medium 0"),
]


@pytest.mark.parametrize(("code", "value", "scaler_unit", "kind", "register", "whole"), GOOD)
def test_a_register_is_exact_in_the_smallest_sensible_unit(
    code: str,
    value: object,
    scaler_unit: object,
    kind: Medium,
    register: str,
    whole: int,
) -> None:
    got = parse_register(obis.parse(code), value, scaler_unit)
    assert got == MediaRegister(kind, register, whole)
    assert register in media.REGISTERS


@pytest.mark.parametrize(("code", "value", "scaler_unit", "reason"), BAD)
def test_a_register_that_is_none_of_them_is_refused(
    code: str, value: object, scaler_unit: object, reason: str
) -> None:
    with pytest.raises(MediaError, match=reason):
        parse_register(obis.parse(code), value, scaler_unit)


@pytest.mark.parametrize(
    ("device", "register"),
    [(0x03, "gas_l"), (0x07, "water_l"), (0x16, "water_l"), (0x06, "hot_water_l")],
)
def test_a_meter_behind_an_m_bus_channel_is_known_by_its_device_type(
    device: int, register: str
) -> None:
    code = obis.parse("0-1:24.2.1")
    got = parse_register(code, 14523, (-3, 13), mbus_device=device)
    assert (got.register, got.value) == (register, 14523)


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text()


@given(st.binary(max_size=8), _VALUES, _VALUES | st.tuples(_VALUES, _VALUES), st.integers())
def test_nothing_decoded_raises_anything_but_its_own_refusal(
    code: bytes, value: object, scaler_unit: object, device: int
) -> None:
    for tried in (code, bytes([8, 0, 1, 0, 0, 255])):
        for unit in (scaler_unit, (-3, 13)):
            try:
                got = parse_register(tried, value, unit, mbus_device=device)
            except MediaError:
                continue
            assert MISSING <= got.value <= INT64_MAX
            assert (got.value == MISSING) == (value is None)


def _registers(rows: list[list[int]], name: str = "water_l") -> xr.DataArray:
    return xr.DataArray(
        np.array(rows, np.int64),
        dims=("meter", "boundary"),
        coords={
            "meter": [f"W-{n}" for n in range(len(rows))],
            "boundary": interval.starts(START_S, len(rows[0]), 900),
        },
        name=name,
    )


def test_volumes_are_differences_and_what_cannot_be_is_missing_or_suspect() -> None:
    rows = [
        [10, 15, MISSING, 30, 30],
        [99_990, 99_999, 4, 4, 4],
        [500, 490, 495, 95_000, 95_001],
    ]
    limit = np.array([1000, 1000, 1000], np.int64)
    digits = np.array([5, 5, 5], np.int64)
    got, findings = media.intervals(_registers(rows), limit=limit, digits=digits)
    assert got["water_l"].values.tolist() == [
        [5, MISSING, MISSING, 0],
        [9, 5, 0, 0],
        [MISSING, 5, 94_505, 1],
    ]
    assert got["quality"].values[0].tolist() == [1, Quality.MISSING, Quality.MISSING, 1]
    assert got["quality"].values[1].tolist() == [1, 1, 1, 1]
    assert got["quality"].values[2].tolist() == [Quality.MISSING, 1, Quality.SUSPECT, 1]
    assert [one.message for one in findings] == [
        "W-2 2026-05-29T00:00Z water_l fell by 10 l, it can only rise",
        "W-2 2026-05-29T00:30Z water_l rose by 94505 l, limit is 1000 l",
    ]


def test_a_register_that_is_none_of_ours_makes_no_intervals() -> None:
    one = np.array([5], np.int64)
    with pytest.raises(BadInputError, match="'import_wh' is no register"):
        media.intervals(_registers([[1, 2]], "import_wh"), limit=one, digits=one)
    with pytest.raises(BadInputError, match="must have 1 values"):
        media.intervals(_registers([[1, 2]]), limit=one, digits=np.array([5, 5], np.int64))
