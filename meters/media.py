"""Registers of water, gas and heat meters by their OBIS codes, as exact whole numbers.

Value group A of a code is the medium (IEC 62056-6-1, EN 13757-1); a meter behind an
M-Bus channel of another one (``0-n:24.2.1``) has the medium of its device type (EN 13757-7).
A register counts litres, Wh, kJ or units of a heat cost allocator, whatever unit and scaler
the meter shows. One finer than that is cut: what is cut counts in a later interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Finding, PeerError, Severity
from grid.quantities import INT64_MAX
from meters import obis
from meters.reading import MISSING
from meters.vee import Quality

UNIT_M3, UNIT_M3_CORRECTED, UNIT_LITRE = 13, 14, 19
UNIT_JOULE, UNIT_WH, UNIT_COUNT = 25, 30, 255
_MAX_SCALER = 12
_MBUS_VALUE = 24
_CURRENT = 255


class MediaError(PeerError):
    """A register of another medium is not what its OBIS code says."""

    code = "malformed"


class Medium(IntEnum):
    """Value group A of an OBIS code."""

    ELECTRICITY = 1
    HEAT_COST = 4
    COOLING = 5
    HEAT = 6
    GAS = 7
    COLD_WATER = 8
    HOT_WATER = 9


MBUS_DEVICE: Final = {
    0x02: Medium.ELECTRICITY,
    0x03: Medium.GAS,
    0x04: Medium.HEAT,
    0x06: Medium.HOT_WATER,
    0x07: Medium.COLD_WATER,
    0x08: Medium.HEAT_COST,
    0x0A: Medium.COOLING,
    0x0B: Medium.COOLING,
    0x0C: Medium.HEAT,
    0x15: Medium.HOT_WATER,
    0x16: Medium.COLD_WATER,
}
"""Device types of M-Bus meters."""

_VOLUME: Final = {
    UNIT_M3: ("l", Fraction(1000)),
    UNIT_M3_CORRECTED: ("l", Fraction(1000)),
    UNIT_LITRE: ("l", Fraction(1)),
}
_ENERGY: Final = {UNIT_WH: ("wh", Fraction(1)), UNIT_JOULE: ("kj", Fraction(1, 1000))}
_UNITS: Final = {UNIT_COUNT: ("units", Fraction(1))}

# (medium, value group C, value group D): what is counted, and the units it may be shown in.
_CODES: Final = {
    (Medium.HEAT_COST, 1, 0): ("heat_cost_unrated", _UNITS),
    (Medium.HEAT_COST, 2, 0): ("heat_cost", _UNITS),
    (Medium.COOLING, 1, 0): ("cooling", _ENERGY),
    (Medium.COOLING, 2, 0): ("cooling_volume", _VOLUME),
    (Medium.HEAT, 1, 0): ("heat", _ENERGY),
    (Medium.HEAT, 2, 0): ("heat_volume", _VOLUME),
    (Medium.GAS, 3, 0): ("gas", _VOLUME),
    (Medium.GAS, 3, 1): ("gas_corrected", _VOLUME),
    (Medium.GAS, 3, 2): ("gas_base", _VOLUME),
    (Medium.GAS, 13, 0): ("gas", _VOLUME),
    (Medium.GAS, 13, 1): ("gas_corrected", _VOLUME),
    (Medium.GAS, 13, 2): ("gas_base", _VOLUME),
    (Medium.COLD_WATER, 1, 0): ("water", _VOLUME),
    (Medium.HOT_WATER, 1, 0): ("hot_water", _VOLUME),
}
_MBUS_CODE: Final = {
    Medium.HEAT_COST: (2, 0),
    Medium.COOLING: (1, 0),
    Medium.HEAT: (1, 0),
    Medium.GAS: (3, 0),
    Medium.COLD_WATER: (1, 0),
    Medium.HOT_WATER: (1, 0),
}
REGISTERS: Final = tuple(
    dict.fromkeys(f"{name}_{unit}" for name, units in _CODES.values() for unit, _ in units.values())
)
"""Names under which intervals of these media are stored; the last word is the unit."""


@dataclass(frozen=True, slots=True)
class MediaRegister:
    """A cumulative register of a meter of another medium.

    Attributes
    ----------
    medium : Medium
    register : str
        One of `REGISTERS`.
    value : int
        :data:`~meters.reading.MISSING` where the meter shows null.
    """

    medium: Medium
    register: str
    value: int


def medium(code: bytes, mbus_device: int | None = None) -> Medium:
    """Return what a register counts.

    Parameters
    ----------
    mbus_device : int, optional
        Device type of the meter behind an M-Bus channel, for codes ``0-n:24.2.e``.

    Raises
    ------
    MediaError
        When the code has no medium that is known here.
    """
    if len(code) != 6:
        raise MediaError(f"OBIS code {code.hex()} has {len(code)} bytes, must have 6")
    if code[0] == 0 and code[2] == _MBUS_VALUE and mbus_device in MBUS_DEVICE:
        return MBUS_DEVICE[mbus_device]
    try:
        return Medium(code[0])
    except ValueError:
        raise MediaError(f"{obis.label(code)} is of medium {code[0]}, must be 4 to 9") from None


def parse_register(
    code: bytes, value: Any, scaler_unit: Any, *, mbus_device: int | None = None
) -> MediaRegister:
    """Return what a Register or ExtendedRegister of a meter shows.

    Parameters
    ----------
    code : bytes
        Its logical name: the current total, so that value groups E is 0 and F 255.
    value
        Its decoded value: a number, or ``None`` for null.
    scaler_unit
        Its decoded scaler_unit: power of ten and unit.

    Raises
    ------
    MediaError
        When the code, the unit or the value is not of such a register.
    """
    kind = medium(code, mbus_device)
    name = obis.label(code)
    place = (code[2], code[3]) if code[0] else _MBUS_CODE.get(kind, (0, 0))
    known = _CODES.get((kind, *place))
    if known is None or code[5] != _CURRENT or (code[0] and code[4]):
        raise MediaError(f"{name} is no total of {kind.name.lower()} that is known")
    scaler, unit = _scaler_unit(name, scaler_unit)
    counted, units = known
    if unit not in units:
        raise MediaError(f"{name} has unit {unit}, must be one of {sorted(units)}")
    word, factor = units[unit]
    whole = _whole(name, value, factor * Fraction(10) ** scaler)
    return MediaRegister(kind, f"{counted}_{word}", whole)


def _scaler_unit(name: str, said: Any) -> tuple[int, int]:
    if not (isinstance(said, tuple | list) and len(said) == 2 and _integers(said)):
        raise MediaError(f"{name}: a scaler_unit is malformed")
    scaler, unit = said
    if abs(scaler) > _MAX_SCALER:
        raise MediaError(f"{name} has scaler {scaler}, must be within {_MAX_SCALER} of 0")
    return scaler, unit


def _integers(values: tuple[Any, ...] | list[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _whole(name: str, value: Any, factor: Fraction) -> int:
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MediaError(f"{name} holds no number")
    if isinstance(value, float) and not -1e30 < value < 1e30:
        raise MediaError(f"{name} holds {value}, must be finite")
    # A float such as 12.345 m³ means the decimal it is written as, not its binary neighbour.
    exact = (Fraction(repr(value)) if isinstance(value, float) else Fraction(value)) * factor
    whole = exact.numerator // exact.denominator
    if not 0 <= whole <= INT64_MAX:
        raise MediaError(f"{name} holds less than 0 or more than {INT64_MAX}")
    return whole


def intervals(
    registers: xr.DataArray,
    *,
    limit: npt.NDArray[np.int64],
    digits: npt.NDArray[np.int64],
) -> tuple[xr.Dataset, list[Finding]]:
    """Return what went through each meter in each interval.

    An interval is missing when one of its ends was not read, or when the register fell
    by more than a rollover; it is suspect when more went through than the connection
    carries. Nothing is estimated.

    Parameters
    ----------
    registers : DataArray of int64, dims (meter, boundary)
        Cumulative, `MISSING` where not read; its name is one of `REGISTERS`, its
        `boundary` evenly spaced datetime64[s].
    limit : ndarray of int64 (meter,)
        The most that one interval can carry.
    digits : ndarray of int64 (meter,)
        The register wraps at ``10**digits``.

    Returns
    -------
    Dataset, dims (usage_point, interval)
        The register int64 and ``quality`` uint16, as
        :func:`grid.store.series.put_intervals` takes them with ``registers=(name,)``.
    list of Finding
        ``media.dip`` and ``media.high``, by meter and interval.

    Raises
    ------
    BadInputError
        When the name is no register, or limits and digits do not fit.
    """
    name = str(registers.name)
    if name not in REGISTERS:
        raise BadInputError(f"{name!r} is no register, must be one of {', '.join(REGISTERS)}")
    known = registers.transpose("meter", "boundary").values.astype(np.int64, copy=False)
    if limit.shape != known.shape[:1] or digits.shape != limit.shape:
        raise BadInputError(f"limit and digits must have {known.shape[0]} values each")
    if (digits < 1).any() or (digits > 18).any() or (limit < 1).any():
        raise BadInputError("digits must be within 1 to 18, limits above 0")
    both = (known[:, 1:] != MISSING) & (known[:, :-1] != MISSING)
    value = np.diff(known, axis=1)
    wrapped = value + 10 ** digits[:, None]
    value = np.where((value < 0) & (wrapped >= 0) & (wrapped <= limit[:, None]), wrapped, value)
    dip, high = both & (value < 0), both & (value > limit[:, None])
    quality = np.where(high, Quality.SUSPECT, Quality.VALID).astype(np.uint16)
    quality[~both | dip] = Quality.MISSING
    meters = [str(meter) for meter in registers["meter"].values]
    starts = registers["boundary"].values[:-1].astype("datetime64[s]")
    findings = [
        _found(name, meters[row], int(starts[column].astype(np.int64)),
               int(value[row, column]), int(limit[row]))
        for row, column in np.argwhere(dip | high)
    ]  # fmt: skip
    dims = ("usage_point", "interval")
    made = xr.Dataset(
        {
            name: (dims, np.where(both & ~dip, value, MISSING), {"missing": MISSING}),
            "quality": (dims, quality),
        },
        coords={"usage_point": meters, "interval": starts},
    )
    return made, findings


def _found(register: str, meter: str, start_s: int, value: int, limit: int) -> Finding:
    at, unit = interval.label(start_s), register.rpartition("_")[2]
    if value < 0:
        code, what = "media.dip", f"fell by {-value} {unit}, it can only rise"
    else:
        code, what = "media.high", f"rose by {value} {unit}, limit is {limit} {unit}"
    return Finding(code, meter, at, Severity.WARNING, f"{meter} {at} {register} {what}")
