"""Values of COSEM objects (IEC 62056-6-2): Data, registers, demand, disconnect, object list.

Energy stays exact: a value with its scaler is an integer of Wh or varh or it is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import tzinfo
from enum import IntEnum
from fractions import Fraction

from grid.quantities import INT64_MAX
from meters.dlms.civil_time import Instant, decode_date_time
from meters.dlms.data import Value
from meters.dlms.errors import DlmsError
from meters.reading import MISSING

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER = 1, 3, 4, 5
PROFILE_GENERIC, CLOCK, ASSOCIATION, SECURITY_SETUP, DISCONNECT_CONTROL = 7, 8, 15, 64, 70
UNIT_WATT, UNIT_WH, UNIT_VARH, UNIT_VOLT = 27, 30, 32, 35
_UNIT_NAMES = {UNIT_WATT: "W", UNIT_WH: "Wh", UNIT_VARH: "varh", UNIT_VOLT: "V"}


def parse_scaler(value: Value, unit: int) -> int:
    """Return the power of ten of a scaler_unit.

    Raises
    ------
    DlmsError
        When it is malformed, of another unit, or beyond ±12.
    """
    if not (isinstance(value, tuple) and len(value) == 2 and _integers(value)):
        raise DlmsError("a scaler_unit is malformed")
    scaler: int = value[0]
    stated: int = value[1]
    if stated != unit:
        raise DlmsError(f"a register has unit {stated}, must be {unit} ({_UNIT_NAMES[unit]})")
    if abs(scaler) > 12:
        raise DlmsError(f"a register has scaler {scaler}, must be within -12 to 12")
    return scaler


def _integers(values: tuple[Value, ...]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def scale_energy(value: Value, scaler: int) -> int:
    """Return value × 10^scaler, an exact integer of Wh or varh; ``MISSING`` for null.

    Raises
    ------
    DlmsError
        When it is no number, negative, not whole, or above int64.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DlmsError("an energy register holds no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise DlmsError(f"an energy register holds {value}")
    if isinstance(value, int):
        power: int = 10 ** abs(scaler)
        energy, rest = (value * power, 0) if scaler >= 0 else divmod(value, power)
    else:
        exactly = exact(value, scaler)
        energy, rest = divmod(exactly.numerator, exactly.denominator)
    if rest:
        raise DlmsError(f"an energy register holds {value} with scaler {scaler}: not whole")
    if not 0 <= energy <= INT64_MAX:
        raise DlmsError(f"an energy register holds {energy}, must be within 0 to {INT64_MAX}")
    return energy


def scale_voltage(value: Value, scaler: int) -> float:
    """Return value × 10^scaler in volts.

    Raises
    ------
    DlmsError
        When it is no number or out of 0 to 1,000,000 V.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DlmsError("a voltage register holds no number")
    volts: float = value / 10**-scaler if scaler < 0 else float(value * 10**scaler)
    if not 0.0 <= volts <= 1e6:
        raise DlmsError(f"a voltage register holds {volts} V, must be within 0 to 1000000")
    return volts


def parse_unit(value: Value) -> tuple[int, int]:
    """Return the power of ten and the unit (IEC 62056-6-2, table 4) of a scaler_unit.

    Raises
    ------
    DlmsError
        When it is malformed or beyond ±12.
    """
    if not (isinstance(value, tuple) and len(value) == 2 and _integers(value)):
        raise DlmsError("a scaler_unit is malformed")
    if abs(value[0]) > 12:
        raise DlmsError(f"a register has scaler {value[0]}, must be within -12 to 12")
    return value[0], value[1]


def exact(value: Value, scaler: int) -> Fraction:
    """Return value × 10^scaler, exactly.

    Raises
    ------
    DlmsError
        When it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DlmsError("a register holds no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise DlmsError(f"a register holds {value}")
    return Fraction(value) * Fraction(10) ** scaler


@dataclass(frozen=True, slots=True)
class Demand:
    """A DemandRegister: averages over the running and the last period, in `unit`."""

    current: Fraction
    last: Fraction
    unit: int
    captured: Instant
    period_s: int
    periods: int


def parse_demand(values: tuple[Value, ...], zone: tzinfo | None = None) -> Demand:
    """Return a DemandRegister of its attributes 2, 3, 4, 6, 8 and 9.

    Raises
    ------
    DlmsError
        When one is malformed.
    """
    current, last, scaler_unit, captured, period_s, periods = values
    scaler, unit = parse_unit(scaler_unit)
    if not _integers((period_s, periods)) or period_s < 1 or periods < 1:
        raise DlmsError(f"a demand register averages {periods!r} periods of {period_s!r} s")
    at = decode_date_time(captured, zone)
    return Demand(exact(current, scaler), exact(last, scaler), unit, at, period_s, periods)


@dataclass(frozen=True, slots=True)
class Extended:
    """An ExtendedRegister: a value in `unit`, and when it was captured."""

    value: Fraction
    unit: int
    captured: Instant


def parse_extended(values: tuple[Value, ...], zone: tzinfo | None = None) -> Extended:
    """Return an ExtendedRegister of its attributes 2, 3 and 5; errors as :func:`parse_demand`."""
    value, scaler_unit, captured = values
    scaler, unit = parse_unit(scaler_unit)
    return Extended(exact(value, scaler), unit, decode_date_time(captured, zone))


class ControlState(IntEnum):
    """What a disconnect control says of itself."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


@dataclass(frozen=True, slots=True)
class DisconnectState:
    """A Disconnect control: whether the output is on, and what is allowed next."""

    is_on: bool
    state: ControlState


def parse_disconnect(output: Value, state: Value) -> DisconnectState:
    """Return a Disconnect control of its attributes 2 and 3.

    Raises
    ------
    DlmsError
        When one is malformed.
    """
    if not isinstance(output, bool) or not _integers((state,)) or state not in (0, 1, 2):
        raise DlmsError(f"a disconnect control has output {output!r} and state {state!r}")
    return DisconnectState(output, ControlState(state))


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object that an association shows, and its readable and writable attributes."""

    class_id: int
    version: int
    obis: bytes
    readable: tuple[int, ...]
    writable: tuple[int, ...] = ()


MAX_OBJECTS = 4096


def parse_object_list(value: Value) -> tuple[ObjectEntry, ...]:
    """Return the objects of an association (class 15, attribute 2).

    Raises
    ------
    DlmsError
        When the list is malformed or has more than :data:`MAX_OBJECTS`.
    """
    if not isinstance(value, list) or len(value) > MAX_OBJECTS:
        raise DlmsError(f"the object list is no array of at most {MAX_OBJECTS}")
    return tuple(_object(element) for element in value)


def _object(element: Value) -> ObjectEntry:
    if not isinstance(element, tuple) or len(element) != 4:
        raise DlmsError("an entry of the object list is malformed")
    class_id, version, obis, rights = element
    fits = _integers((class_id, version)) and isinstance(obis, bytes) and len(obis) == 6
    if not fits or not isinstance(rights, tuple) or not rights or not isinstance(rights[0], list):
        raise DlmsError("an entry of the object list is malformed")
    readable, writable = [], []
    for access in rights[0]:
        if not isinstance(access, tuple) or len(access) < 2 or not _integers(access[:2]):
            raise DlmsError("the rights of an object are malformed")
        # The low bit is reading in every version: read only, read and write, authenticated.
        if access[1] & 1 or access[1] in (4, 6):
            readable.append(access[0])
        if access[1] & 2 or access[1] == 5:
            writable.append(access[0])
    return ObjectEntry(class_id, version, obis, tuple(readable), tuple(writable))
