"""Which device stood at a meter's place when, and what a Wh that it showed is worth.

An exchange is told with the registers of both devices. From then on the intervals around it
are two exact differences, and what each device told counts only for its own time. One that is
told late is used all the same: the intervals since are validated again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from grid.operation.record import record_action
from grid.site import Site
from grid.store import Transaction, control, field
from grid.store.meter_exchanges import MeterExchange, Registers, exchanges, put_exchange
from meters.reading import CHANNELS, MISSING
from meters.vee.facts import Tenure

LATE_DAYS = 62
"""An exchange further back is not told any more: its bills were written long ago."""

SERIALS = "meter.serials"
"""What the first device at each meter's place calls itself."""

_AGAIN = "validate_from_s"
_SERIAL_MAX = 64
_REGISTER_MOST = 10**18
_PARTS_MOST = 10**9


def record_exchange(tx: Transaction, site: Site, told: MeterExchange) -> int:
    """Keep an exchange and let the intervals since be validated again; return its number.

    Raises
    ------
    BadInputError
        When there is no such meter, the time is in the future or too far back, another device
        was there, or a register has more digits than the device.
    """
    where = f"{told.meter} {interval.label(told.at_s)}"
    meter = next((one for one in site.meter if one.id == told.meter), None)
    if meter is None:
        raise BadInputError(f"{told.meter[:64]}: no such meter in the site")
    clock_s = control.clock_s(tx)
    first_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    earliest_s = max(first_s, clock_s - LATE_DAYS * interval.DAY_S)
    if not earliest_s < told.at_s <= clock_s:
        raise BadInputError(
            f"{where}: must be after {interval.label(earliest_s)} and not after the site's "
            f"clock, {interval.label(clock_s)}"
        )
    others = exchanges(tx, told.meter)
    _check_serials(tx, told, others, where)
    before = [one for one in others if one.at_s < told.at_s]
    digits = before[-1].digits if before else meter.register_digits
    _check_registers(where, "last", told.last, digits)
    _check_registers(where, "first", told.first, told.digits)
    if max(told.factor.as_integer_ratio()) > _PARTS_MOST:
        raise BadInputError(f"{where}: factor {told.factor} has a part beyond {_PARTS_MOST}")
    _tenure(told, None)
    number = put_exchange(tx, told)
    validate_from(tx, told.at_s - told.at_s % site.interval_s - interval.DAY_S)
    # Serial numbers stay in the store: the ledger holds none, not even sealed.
    detail = {"at": interval.label(told.at_s), "exchange": number}
    record_action(
        tx, site, at_s=clock_s, user=told.recorded_by, kind="meter.exchange",
        subject=told.meter, detail=detail,
    )  # fmt: skip
    return number


def validate_from(tx: Transaction, from_s: int) -> None:
    """Let the next validation begin at `from_s`, seconds UTC, or before."""
    again = control.get_meta(tx, _AGAIN)
    control.put_meta(tx, _AGAIN, str(min(from_s, int(again)) if again else from_s))


def take_again(tx: Transaction, start_s: int) -> int:
    """Return from where to validate: `start_s`, or earlier, once, when more became known."""
    again = control.get_meta(tx, _AGAIN)
    if not again:
        return start_s
    control.put_meta(tx, _AGAIN, "")
    return min(start_s, int(again))


def tenures(tx: Transaction, site: Site, known: Mapping[str, str]) -> tuple[Tenure, ...]:
    """Return which device stood where and when.

    Parameters
    ----------
    known : mapping of str to str
        What the first device at each meter's place calls itself, where it ever said so.
    """
    by_meter: dict[str, list[MeterExchange]] = {}
    for one in exchanges(tx):
        by_meter.setdefault(one.meter, []).append(one)
    found: list[Tenure] = []
    for meter in site.meter:
        told = by_meter.get(meter.id, [])
        if not told and meter.id not in known and meter.factor == 1:
            continue
        until = told[0] if told else None
        found.append(
            Tenure(
                meter.id,
                until.old_serial if until else known.get(meter.id, ""),
                None,
                until.at_s if until else None,
                meter.register_digits,
                meter.factor,
                last=_primary(until.last, meter.factor) if until else None,
            )
        )
        for number, one in enumerate(told):
            found.append(_tenure(one, told[number + 1] if number + 1 < len(told) else None))
    return tuple(found)


def untold(tx: Transaction, site: Site) -> dict[str, tuple[str, str]]:
    """Return which device is recorded and which one answers, where another one answers.

    By meter, of the readings of the last day.
    """
    clock_s = control.clock_s(tx)
    known: dict[str, str] = json.loads(control.get_meta(tx, SERIALS) or "{}")
    there = {one.meter: one.serial for one in tenures(tx, site, known) if one.until_s is None}
    answers = field.serials(tx, clock_s - interval.DAY_S, clock_s)
    return {
        meter: (there[meter], serial)
        for meter, serial in sorted(answers.items())
        if there.get(meter, serial) not in ("", serial)
    }


def devices(found: Iterable[Tenure]) -> dict[str, list[tuple[int | None, int | None, str]]]:
    """Return when which device was there, for the meters that had more than one."""
    by_meter: dict[str, list[tuple[int | None, int | None, str]]] = {}
    for one in found:
        by_meter.setdefault(one.meter, []).append((one.from_s, one.until_s, one.serial))
    return {meter: stays for meter, stays in by_meter.items() if len(stays) > 1}


def converted(registers: xr.Dataset, found: Iterable[Tenure]) -> xr.Dataset:
    """Return registers in primary Wh: each times the factor of the device that told it.

    A whole register is converted and rounded down, never an interval: so intervals add up to
    the register difference times the factor, to the Wh.

    Parameters
    ----------
    registers : Dataset, dims (meter, boundary)
        :data:`meters.reading.CHANNELS` int64 as the devices showed them.
    """
    scaled = [one for one in found if one.factor != 1]
    if not scaled:
        return registers
    at_s = registers["boundary"].values.astype("datetime64[s]").astype(np.int64)
    row = {str(meter): number for number, meter in enumerate(registers["meter"].values)}
    values = {name: registers[name].values.copy() for name in CHANNELS}
    for one in scaled:
        there = np.ones(at_s.size, np.bool_)
        if one.from_s is not None:
            there &= at_s >= one.from_s
        if one.until_s is not None:
            there &= at_s < one.until_s
        for shown in values.values():
            shown[row[one.meter], there] = _times(shown[row[one.meter], there], one.factor)
    return registers.assign({name: (("meter", "boundary"), values[name]) for name in CHANNELS})


def _times(values: npt.NDArray[np.int64], factor: Fraction | int) -> npt.NDArray[np.int64]:
    """Return values times a factor; what is not known or beyond any register is MISSING."""
    over, under = Fraction(factor).as_integer_ratio()
    fits = (values >= 0) & (values <= _REGISTER_MOST // over * under)
    whole, rest = np.divmod(np.where(fits, values, 0), under)
    return np.where(fits, whole * over + rest * over // under, MISSING)


def _tenure(one: MeterExchange, following: MeterExchange | None) -> Tenure:
    return Tenure(
        one.meter,
        one.new_serial,
        one.at_s,
        following.at_s if following else None,
        one.digits,
        one.factor,
        first=_primary(one.first, one.factor),
        last=_primary(following.last, one.factor) if following else None,
    )


def _primary(registers: Registers, factor: Fraction | int) -> Registers:
    a, b, c, d = (MISSING if value < 0 else int(value * factor) for value in registers)
    return a, b, c, d


def _check_serials(
    tx: Transaction, told: MeterExchange, others: list[MeterExchange], where: str
) -> None:
    """Refuse a device that was not there, or would not be there at the next exchange."""
    for name in (told.old_serial, told.new_serial):
        if not 0 < len(name) <= _SERIAL_MAX or not name.isprintable():
            raise BadInputError(f"{where}: a serial number has 1 to {_SERIAL_MAX} characters")
    if any(one.at_s == told.at_s for one in others):
        raise BadInputError(f"{where}: this exchange is recorded already")
    before = [one for one in others if one.at_s < told.at_s]
    after = [one for one in others if one.at_s > told.at_s]
    known: dict[str, str] = json.loads(control.get_meta(tx, SERIALS) or "{}")
    was = before[-1].new_serial if before else known.get(told.meter, told.old_serial)
    if was != told.old_serial:
        raise BadInputError(f"{where}: {was} was there, not {told.old_serial}")
    if after and after[0].old_serial != told.new_serial:
        raise BadInputError(
            f"{where}: {after[0].old_serial} was there until {interval.label(after[0].at_s)}, "
            f"not {told.new_serial}"
        )


def _check_registers(where: str, name: str, registers: tuple[int, ...], digits: int) -> None:
    for channel, value in zip(CHANNELS, registers, strict=True):
        if value != MISSING and not 0 <= value < 10**digits:
            raise BadInputError(
                f"{where}: {name} {channel} is {value}, must be within 0 to {10**digits - 1}"
            )
