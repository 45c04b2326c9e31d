"""What validation is told about a site's meters beside their registers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError, SolverError
from grid.operation import meter_exchanges, outage_facts
from grid.operation.metering_facts import standings
from grid.operation.room import Room
from grid.site import Site, Threshold, UsageKind
from grid.store import Transaction, control, field, reading, series
from meters.reading import CHANNELS, MISSING
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent, Tenure
from meters.vee.like_days import BACK_DAYS, group_shape
from meters.vee.past import past_of
from meters.vee.thresholds import Columns, Thresholds

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PHASE_VOLTAGE_V = 230.0
_HEAD = "feeder-head"


def groups(site: Site) -> dict[str, Thresholds]:
    """Return the thresholds of each kind of usage point, and of the feeder head.

    Raises
    ------
    BadInputError
        When there is no threshold of a name, or its value is out of range.
    """
    found = {name: Thresholds() for name in (*map(str, UsageKind), _HEAD)}
    for one in site.vee.threshold:
        for name in found:
            if one.kind is None or name == one.kind:
                found[name] = with_threshold(found[name], one)
    return found


def with_threshold(known: Thresholds, one: Threshold) -> Thresholds:
    """Return thresholds with one of another value.

    Raises
    ------
    BadInputError
        When there is none of its name, or its value is out of range.
    """
    names = Thresholds.__dataclass_fields__
    if one.name not in names:
        raise BadInputError(f"name {one.name!r} is none of {', '.join(names)}")
    return replace(known, **{one.name: one.value})


def thresholds(site: Site) -> Columns:
    """Return the thresholds of each meter, in the order of the site."""
    kind = {point.id: str(point.kind) for point in site.usage_point}
    of = [kind[meter.usage_point] if meter.usage_point else _HEAD for meter in site.meter]
    return Columns(groups(site), of)


def window_facts(
    room: Room,
    tx: Transaction,
    registers: xr.Dataset,
    reference: xr.Dataset,
    estimate_before_s: int,
    devices: Devices,
) -> Facts:
    """Return what the intervals of one cycle are validated with.

    Parameters
    ----------
    registers : Dataset, dims (meter, boundary)
        Meters in the order of the site.
    reference : Dataset, dims (meter, interval)
        What the intervals are like.
    estimate_before_s : int
        Before then estimates are due.
    devices : Devices
        Of :func:`devices_there`.

    Returns
    -------
    Facts
        With the feeder head and load shapes only where something is missing of which no
        like day is known: nothing else needs them.
    """
    starts = reference["interval"].values.astype("datetime64[s]").astype(np.int64)
    energy = {name: _rises(registers[name].values) for name in CHANNELS}
    lost = (energy["import_wh"] == MISSING) & (reference["import_wh"].values == MISSING)
    lost &= starts < estimate_before_s
    head = head_row(room.site)
    member = np.arange(len(room.site.meter)) != head
    serial, tenures = devices
    end_s = int(starts[-1]) + room.site.interval_s
    events = _clocks_set(tx, int(starts[0]), end_s)
    outage = outage_facts.dark(tx, room.site, int(starts[0]), starts.size)
    if not lost[member].any():
        return Facts(outage=outage, serial=serial, tenures=tenures, events=events)
    group = _groups(room.site)
    shape = {
        name: group_shape(values, (values != MISSING) & member[:, None], group)
        for name, values in energy.items()
    }
    return Facts(
        shape=shape,
        feeder=_feeder(room, energy, starts, lost[member].any(axis=0)),
        outage=outage,
        serial=serial,
        tenures=tenures,
        events=events,
    )


def _clocks_set(tx: Transaction, start_s: int, end_s: int) -> tuple[MeterEvent, ...]:
    """Return the clocks that were set where that touches intervals of ``[start_s, end_s)``."""
    rows = reading.clocks_set(tx, start_s - interval.DAY_S, end_s + interval.DAY_S)
    return tuple(
        MeterEvent(row.meter, row.at_s, EventKind.CLOCK_SET, row.shift_s)
        for row in rows
        if row.shift_s
    )


Devices = tuple[npt.NDArray[np.str_], tuple[Tenure, ...]]


def devices_there(room: Room, tx: Transaction, start_s: int, end_s: int) -> Devices:
    """Return what the devices last called themselves, and which should be there.

    Where no exchange was recorded it is the first that ever answered.
    """
    told = field.serials(tx, start_s, end_s)
    known: dict[str, str] = json.loads(control.get_meta(tx, meter_exchanges.SERIALS) or "{}")
    if new := {meter: serial for meter, serial in told.items() if meter not in known}:
        known |= new
        control.put_meta(tx, meter_exchanges.SERIALS, json.dumps(known, sort_keys=True))
    tenures = meter_exchanges.tenures(tx, room.site, known)
    return np.array([told.get(str(meter.id), "") for meter in room.site.meter]), tenures


def day_facts(room: Room, tx: Transaction, day: date, intervals: xr.Dataset) -> Facts:
    """Return what a whole day is judged with, once it is over.

    Parameters
    ----------
    day : date
    intervals : Dataset, dims (usage_point, interval)
        The day as stored, usage points in the order of the site's meters.
    """
    zone, step_s = room.site.time_zone, room.site.interval_s
    low, high = interval.day_bounds(day, zone)
    names = [str(one) for one in intervals["usage_point"].values]
    first, _ = interval.day_bounds(date.fromordinal(day.toordinal() - BACK_DAYS), zone)
    before = series.get_intervals(tx, names, first, low, time_zone=zone)
    starts = before["interval"].values.astype("datetime64[s]").astype(np.int64)
    ordinal = np.array([interval.local_day(int(one), zone).toordinal() for one in starts])
    past = past_of(before.rename(usage_point="meter"), ordinal)
    meters = [str(meter.id) for meter in room.site.meter]
    energy = {name: intervals[name].values for name in CHANNELS}
    return Facts(
        average_day_wh=past.average_day_wh,
        # What stands behind a plant, a battery or a genset may rest for weeks.
        zero_days=np.where(_has_device(room), MISSING, past.zero_days),
        outage=outage_facts.dark(tx, room.site, low, (high - low) // step_s),
        estimated_days=past.estimated_days,
        voltage_v=phase_voltages(room, tx, meters, low, (high - low) // step_s),
        nominal_v=np.full(len(meters), PHASE_VOLTAGE_V),
        feeder=_feeder(
            room,
            energy,
            intervals["interval"].values.astype("datetime64[s]").astype(np.int64),
            np.ones(intervals.sizes["interval"], np.bool_),
        ),
        events=_clocks_set(tx, low, high),
        siblings=room.site.vee.siblings,
    )


def phase_voltages(
    room: Room, tx: Transaction, meters: Sequence[str], start_s: int, count: int
) -> npt.NDArray[np.float64]:
    """Return the phase voltage at each meter at the end of each interval, V.

    (meter, interval); NaN where it was not read, and where a voltage transformer stood before
    the meter: what is nominal on its other side is not in the site file.
    """
    step_s = room.site.interval_s
    shown = field.voltages(tx, meters, start_s, count, step_s)
    ends_s = start_s + step_s * np.arange(1, count + 1)
    row = {meter: number for number, meter in enumerate(meters)}
    held = [one for one in standings(tx, room.site) if one.meter in row]
    for one, following in zip_longest(held, held[1:]):
        if one.voltage.value != 1:
            there = ends_s > (one.from_s or 0)
            if following is not None and following.meter == one.meter and following.from_s:
                there &= ends_s <= following.from_s
            shown[row[one.meter], there] = np.nan
    return shown


def head_row(site: Site) -> int:
    """Return which of the site's meters is at the feeder head."""
    return next(row for row, meter in enumerate(site.meter) if meter.usage_point is None)


def _has_device(room: Room) -> Bools:
    points = set(room.point_of.values())
    return np.array([str(meter.usage_point) in points for meter in room.site.meter], np.bool_)


def _groups(site: Site) -> Ints:
    """Return the number of each meter's kind of usage point; the feeder head's is its own."""
    kind = {point.id: list(UsageKind).index(point.kind) for point in site.usage_point}
    head = len(UsageKind)
    return np.array(
        [kind[meter.usage_point] if meter.usage_point else head for meter in site.meter], np.int64
    )


def _rises(registers: Ints) -> Ints:
    """Return the energy between registers, MISSING where one is not known or fell."""
    low, high = registers[:, :-1], registers[:, 1:]
    return np.where((low >= 0) & (high >= low), high - low, MISSING)


def _feeder(
    room: Room, energy: Mapping[str, Ints], starts: Ints, wanted: Bools
) -> FeederHead | None:
    """Return what the feeder head measured, with the losses that the model expects of it.

    What a meter did not tell counts as nothing in the losses: they are small beside it.
    """
    row = head_row(room.site)
    head = {name: values[row] for name, values in energy.items()}
    known = np.all([values != MISSING for values in head.values()], axis=0) & wanted
    known &= room.grid_available(starts)
    if not known.any():
        return None
    member = np.arange(len(room.site.meter)) != row
    at = np.flatnonzero(known)
    loss_wh = np.zeros(starts.size, np.int64)
    loss_wh[at] = _losses_wh(room, _by_point(room, energy, at), starts[at])
    return FeederHead(
        name=str(room.head),
        net_wh=np.where(known, head["import_wh"] - head["export_wh"], 0),
        net_varh=np.where(known, head["import_varh"] - head["export_varh"], 0),
        known=known,
        loss_wh=loss_wh,
        member=member,
    )


def _by_point(room: Room, energy: Mapping[str, Ints], at: npt.NDArray[np.intp]) -> dict[str, Ints]:
    """Return what usage points took in some intervals, nothing where it is not known."""
    rows = np.array([room.row.get(str(meter.usage_point), -1) for meter in room.site.meter])
    found = {}
    for name, values in energy.items():
        total = np.zeros((len(room.points), at.size), np.int64)
        np.add.at(total, rows[rows >= 0], np.maximum(values[rows >= 0][:, at], 0))
        found[name] = total
    return found


def _losses_wh(room: Room, energy: Mapping[str, Ints], starts: Ints) -> Ints:
    """Return the losses of the feeder in each interval by its model, 0 where it has no state."""
    dims = ("usage_point", "interval")
    taken = xr.Dataset(
        {name: (dims, values) for name, values in energy.items()},
        coords={"usage_point": room.points, "interval": starts.astype("datetime64[s]")},
    )
    try:
        state = room.flow(taken)
    except SolverError:
        return np.zeros(starts.size, np.int64)
    return np.rint(state["losses_kw"].values * room.site.interval_s / 3.6).astype(np.int64)
