"""What came from the field: register reads and device states, never overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from sqlalchemy import RowMapping, func, select

from grid import interval
from grid.store.engine import Transaction
from grid.store.schema import device_state, register_read, stage
from grid.store.series import REGISTERS
from grid.store.upsert import put
from meters.device import DeviceState
from meters.reading import MISSING, MeterRead, ProfileRead, RegisterRow


def _row(
    meter: str, row: RegisterRow, read: MeterRead | ProfileRead, cycle_s: int, from_profile: bool
) -> dict[str, Any]:
    voltage_v = read.voltage_v if isinstance(read, MeterRead) and not from_profile else None
    return {
        "meter": meter,
        "at_s": row.at_s,
        "cycle_s": cycle_s,
        "from_profile": from_profile,
        **dict(zip(REGISTERS, row.values, strict=True)),
        "voltage_v": voltage_v,
        "raw_sha256": read.raw_sha256,
        "serial": read.serial or None,
        "invocation_counter": read.invocation_counter,
    }


def put_reads(tx: Transaction, reads: Iterable[MeterRead], *, cycle_s: int) -> None:
    """Keep each register row with the hash of the bytes it came in."""
    rows = []
    for read in reads:
        rows.append(_row(read.meter, read.now, read, cycle_s, False))
        rows += [_row(read.meter, row, read, cycle_s, True) for row in read.load_profile]
    put(tx, register_read, rows, replace=False)


def put_profiles(tx: Transaction, reads: Iterable[ProfileRead], *, cycle_s: int) -> None:
    """Keep rows of load profiles that were read by themselves; see :func:`put_reads`."""
    rows = [_row(read.meter, row, read, cycle_s, True) for read in reads for row in read.rows]
    put(tx, register_read, rows, replace=False)


Stays = Mapping[str, Sequence[tuple[int | None, int | None, str]]]
"""By meter: from when, until when, and as what a device was there; oldest first."""


def boundaries(
    tx: Transaction,
    meters: Sequence[str],
    start_s: int,
    count: int,
    interval_s: int,
    *,
    stays: Stays | None = None,
) -> xr.Dataset:
    """Return the registers at interval boundaries.

    Parameters
    ----------
    stays : mapping, optional
        Of the meters whose device was exchanged: what one of them told of a time when
        another of them was there is left out.

    Returns
    -------
    xarray.Dataset
        Dims (meter, boundary) with ``count + 1`` boundaries from `start_s`: the
        four registers int64, `MISSING` where none was read, and ``from_profile``
        bool. A read of the moment wins over a later row of the load profile.
    """
    position = {meter: number for number, meter in enumerate(meters)}
    shape = (len(meters), count + 1)
    energy = {register: np.full(shape, MISSING, np.int64) for register in REGISTERS}
    from_profile = np.zeros(shape, np.bool_)
    names = ("meter", "at_s", "from_profile", *REGISTERS, "serial")
    rows = tx.execute(
        select(*(register_read.c[name] for name in names))
        .where(
            register_read.c.at_s >= start_s,
            register_read.c.at_s <= start_s + count * interval_s,
            register_read.c.at_s % interval_s == 0,
        )
        .order_by(register_read.c.from_profile.desc(), register_read.c.cycle_s.desc())
    ).all()
    best = {
        (position[row[0]], (row[1] - start_s) // interval_s): row[2:-1]
        for row in rows
        if row[0] in position and not (stays and _elsewhere(stays.get(row[0]), row[1], row[-1]))
    }
    if best:
        where = tuple(np.array(list(best)).T)
        values = np.array(list(best.values()), np.int64)
        from_profile[where] = values[:, 0] != 0
        for number, register in enumerate(REGISTERS, start=1):
            energy[register][where] = values[:, number]
    dims = ("meter", "boundary")
    return xr.Dataset(
        {
            **{name: (dims, values) for name, values in energy.items()},
            "from_profile": (dims, from_profile),
        },
        coords={
            "meter": list(meters),
            "boundary": interval.starts(start_s, count + 1, interval_s),
        },
    )


def _elsewhere(
    stays: Sequence[tuple[int | None, int | None, str]] | None, at_s: int, serial: str | None
) -> bool:
    """Return whether a device is known to have been elsewhere than at its meter's place."""
    if not stays or serial not in {name for _, _, name in stays}:
        return False
    return not any(
        name == serial
        and (from_s is None or from_s <= at_s)
        and (until_s is None or at_s <= until_s)
        for from_s, until_s, name in stays
    )


def voltages(
    tx: Transaction, meters: Sequence[str], start_s: int, count: int, interval_s: int
) -> npt.NDArray[np.float64]:
    """Return the phase voltage that each meter showed at the end of each interval, V.

    (meter, interval); NaN where it was not read or the meter shows none.
    """
    position = {meter: number for number, meter in enumerate(meters)}
    values = np.full((len(meters), count), np.nan)
    rows = tx.execute(
        select(register_read.c.meter, register_read.c.at_s, register_read.c.voltage_v)
        .where(
            register_read.c.at_s > start_s,
            register_read.c.at_s <= start_s + count * interval_s,
            register_read.c.at_s % interval_s == 0,
            register_read.c.voltage_v.is_not(None),
        )
        .order_by(register_read.c.cycle_s.desc())
    )
    for meter, at_s, voltage_v in rows:
        if meter in position:
            values[position[meter], (at_s - start_s) // interval_s - 1] = voltage_v
    return values


def serials(tx: Transaction, start_s: int, end_s: int) -> dict[str, str]:
    """Return what each meter last called itself in a reading of ``[start_s, end_s]``."""
    rows = tx.execute(
        select(register_read.c.meter, register_read.c.serial)
        .where(
            register_read.c.at_s >= start_s,
            register_read.c.at_s <= end_s,
            register_read.c.serial.is_not(None),
        )
        .order_by(register_read.c.at_s, register_read.c.cycle_s)
    )
    return {str(meter): str(serial) for meter, serial in rows}


def read_share(tx: Transaction, since_s: int, until_s: int) -> tuple[int, dict[str, int]]:
    """Return how many cycles of ``[since_s, until_s]`` read, and how many each meter answered."""
    cycles = tx.execute(
        select(func.count()).where(
            stage.c.stage == "read", stage.c.cycle_s >= since_s, stage.c.cycle_s <= until_s
        )
    ).scalar_one()
    rows = tx.execute(
        select(register_read.c.meter, func.count(func.distinct(register_read.c.cycle_s)))
        .where(
            register_read.c.at_s >= since_s,
            register_read.c.cycle_s >= since_s,
            register_read.c.cycle_s <= until_s,
            register_read.c.from_profile.is_(False),
        )
        .group_by(register_read.c.meter)
    )
    return int(cycles), {str(meter): int(count) for meter, count in rows}


def read_cycles(tx: Transaction, since_s: int, until_s: int) -> list[int]:
    """Return the cycles of ``[since_s, until_s]`` that read, oldest first."""
    query = select(stage.c.cycle_s).where(
        stage.c.stage == "read", stage.c.cycle_s >= since_s, stage.c.cycle_s <= until_s
    )
    return [int(one) for one in tx.execute(query.order_by(stage.c.cycle_s)).scalars()]


def captured(
    tx: Transaction, meters: Sequence[str], start_s: int, end_s: int
) -> dict[str, set[int]]:
    """Return at which instants of ``(start_s, end_s]`` meters captured rows of a load profile."""
    rows = tx.execute(
        select(register_read.c.meter, register_read.c.at_s).where(
            register_read.c.meter.in_(meters),
            register_read.c.at_s > start_s,
            register_read.c.at_s <= end_s,
            register_read.c.from_profile.is_(True),
        )
    )
    found: dict[str, set[int]] = {meter: set() for meter in meters}
    for meter, at_s in rows:
        found[str(meter)].add(int(at_s))
    return found


def last_reads(tx: Transaction, until_s: int = 2**62) -> dict[str, int]:
    """Return for each meter the instant of its newest register row, seconds UTC.

    A row that a meter with a wrong clock labelled later than `until_s` is not looked at.
    """
    rows = tx.execute(
        select(register_read.c.meter, func.max(register_read.c.at_s))
        .where(register_read.c.at_s <= until_s)
        .group_by(register_read.c.meter)
    )
    return {meter: int(at_s) for meter, at_s in rows}


def raw_reads(tx: Transaction, meter: str, start_s: int, end_s: int) -> list[RowMapping]:
    """Return the stored register rows of a meter in ``[start_s, end_s]``, oldest first."""
    rows = tx.execute(
        select(register_read)
        .where(
            register_read.c.meter == meter,
            register_read.c.at_s >= start_s,
            register_read.c.at_s <= end_s,
        )
        .order_by(register_read.c.at_s, register_read.c.cycle_s)
    )
    return list(rows.mappings())


def put_device_states(tx: Transaction, states: Iterable[DeviceState], *, at_s: int) -> None:
    """Keep what each device said of itself at a cycle."""
    names = ("charged_wh", "discharged_wh", "throttled_w", "available_w", "energy_wh", "alarm")
    put(
        tx,
        device_state,
        [
            {
                "asset": state.asset,
                "at_s": at_s,
                "running": state.running,
                **{name: getattr(state, name) for name in names},
            }
            for state in states
        ],
        replace=False,
    )


def device_states(tx: Transaction, at_s: int) -> dict[str, dict[str, Any]]:
    """Return the states stored at one instant by asset."""
    rows = tx.execute(select(device_state).where(device_state.c.at_s == at_s))
    return {str(row["asset"]): {str(k): v for k, v in row.items()} for row in rows.mappings()}


def last_device_states(tx: Transaction, at_s: int, *, since_s: int) -> dict[str, dict[str, Any]]:
    """Return the newest state of each asset in ``[since_s, at_s]``."""
    newest = (
        select(device_state.c.asset, func.max(device_state.c.at_s).label("at_s"))
        .where(device_state.c.at_s >= since_s, device_state.c.at_s <= at_s)
        .group_by(device_state.c.asset)
        .subquery()
    )
    same = (device_state.c.asset == newest.c.asset) & (device_state.c.at_s == newest.c.at_s)
    rows = tx.execute(select(device_state).join(newest, same).order_by(device_state.c.asset))
    return {str(row["asset"]): {str(k): v for k, v in row.items()} for row in rows.mappings()}


def was_running(tx: Transaction, asset: str, start_s: int, end_s: int) -> list[bool]:
    """Return whether a device ran, at each instant stored in ``[start_s, end_s]``."""
    rows = tx.execute(
        select(device_state.c.running)
        .where(
            device_state.c.asset == asset,
            device_state.c.at_s >= start_s,
            device_state.c.at_s <= end_s,
        )
        .order_by(device_state.c.at_s)
    )
    return [bool(running) for (running,) in rows]
