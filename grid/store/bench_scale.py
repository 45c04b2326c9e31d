"""A million meter-days in one run: validated, stored, read back as xarray, and compared.

::

    python -m grid.store.bench_scale --meters 33334 --days 30

Registers are drawn; two in a hundred are not read. Validation has every fact that a rule
can need, so that all of them run: each day some meters lose power, one in a hundred has its
clock set, reads off its boundary, an odd voltage or no contract, one in ten counts its
intervals by itself too, and a feeder head stands above a few. One local day of all meters
is in memory at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid.interval import DAY_S, starts
from grid.store.engine import Store
from grid.store.series import REGISTERS, get_intervals, put_intervals
from meters.reading import MISSING
from meters.vee import validate
from meters.vee.facts import EventKind, Facts, FeederHead, MeterEvent, Tenure

_START_S, _ZONE, _STEP_S, _SLOTS = 1_767_225_600, "UTC", 900, 96
_MOST_WH = 6_000
_FEEDER = 30
"""Meters behind the feeder head."""
_SEED = 7


def run(store: Store, meters: int, days: int) -> dict[str, Any]:
    """Return the figures of `meters` × `days`, seconds and MB.

    Raises
    ------
    AssertionError
        When what is read back is not what was put in.
    """
    names = [f"M{number:07d}" for number in range(meters)]
    seconds = {"drawn": 0.0, "validated": 0.0, "stored": 0.0, "read": 0.0}
    sums, estimated = [], 0
    told: Counter[str] = Counter()
    begun = np.zeros(meters, np.int64)
    for day in range(days):
        clock = time.perf_counter()
        registers, reference, energy, begun = _drawn(names, day, begun)
        facts = _facts(names, day, energy)
        clock = _passed(seconds, "drawn", clock)
        checked, findings = validate(
            registers,
            reference,
            limit_wh=np.full(meters, _MOST_WH, np.int64),
            register_digits=np.full(meters, 12, np.int64),
            estimate_before_s=_START_S + (day + 1) * DAY_S,
            facts=facts,
        )
        clock = _passed(seconds, "validated", clock)
        with store.write() as tx:
            put_intervals(
                tx, checked.rename(meter="usage_point"), time_zone=_ZONE, cycle_s=_START_S
            )
        _passed(seconds, "stored", clock)
        sums.append(_sums(checked))
        estimated += int((checked["quality"].values != 1).sum())
        told.update(one.code for one in findings)
    for day in range(days):
        clock = time.perf_counter()
        low = _START_S + day * DAY_S
        with store.read() as tx:
            found = get_intervals(tx, names, low, low + DAY_S, time_zone=_ZONE, decided=True)
        _passed(seconds, "read", clock)
        assert _sums(found) == sums[day], f"day {day} is not what was put in"
    count = meters * days
    return {
        "meter_days": count,
        "intervals_not_simply_read": estimated,
        "findings": dict(sorted(told.items())),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "meter_days_a_second": round(count / sum(seconds.values())),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _passed(seconds: dict[str, float], name: str, since: float) -> float:
    now = time.perf_counter()
    seconds[name] += now - since
    return now


def _drawn(
    names: list[str], day: int, begun: np.ndarray
) -> tuple[xr.Dataset, xr.Dataset, np.ndarray, np.ndarray]:
    draw = np.random.default_rng([_SEED, day])
    energy = draw.integers(0, 400, (len(names), _SLOTS))
    total = np.concatenate([begun[:, None], begun[:, None] + np.cumsum(energy, axis=1)], axis=1)
    known = np.where(draw.random(total.shape) < 0.02, MISSING, total)
    known[:, [0, -1]] = total[:, [0, -1]]
    none = np.zeros_like(known)
    channels = dict.fromkeys(REGISTERS, none) | {"import_wh": known}
    low = _START_S + day * DAY_S
    registers = xr.Dataset(
        {name: (("meter", "boundary"), values) for name, values in channels.items()},
        coords={"meter": names, "boundary": starts(low, _SLOTS + 1, _STEP_S)},
    )
    like = dict.fromkeys(REGISTERS, np.full(energy.shape, 200, np.int64))
    reference = xr.Dataset(
        {name: (("meter", "interval"), values) for name, values in like.items()},
        coords={"meter": names, "interval": starts(low, _SLOTS, _STEP_S)},
    )
    return registers, reference, energy, total[:, -1]


def _facts(names: list[str], day: int, energy: np.ndarray) -> Facts:
    """Return what is known of a day beside registers.

    Parameters
    ----------
    energy : ndarray of int64 (meter, interval)
        What flowed, whether it was read or not.
    """
    meters, count = energy.shape
    draw = np.random.default_rng([_SEED, day, 1])
    low = _START_S + day * DAY_S
    odd = np.flatnonzero(draw.random(meters) < 0.01)
    outage = np.zeros(energy.shape, np.bool_)
    outage[odd[0::5], 30:34] = True
    voltage = draw.normal(230.0, 3.0, energy.shape).astype(np.float32)
    voltage[odd[1::5], 50] = 300.0
    offset = np.zeros((meters, count + 1), np.int64)
    offset[odd[2::5], 40] = 120
    active = np.ones(meters, np.bool_)
    active[odd[3::5]] = False
    captured = np.full(energy.shape, MISSING, np.int64)
    captured[::10] = energy[::10]
    few = np.arange(meters) < _FEEDER
    net = energy[few].sum(axis=0)
    none = np.zeros(count, np.int64)
    return Facts(
        captured={"import_wh": captured},
        captured_quality=np.ones(energy.shape, np.uint16),
        shape=dict.fromkeys(REGISTERS, np.broadcast_to(np.int64(200), energy.shape)),
        outage=outage,
        active=active,
        average_day_wh=np.full(meters, 200 * count, np.int64),
        zero_days=np.zeros(meters, np.int64),
        estimated_days=np.zeros(meters, np.int64),
        capture_s=np.full(meters, _STEP_S),
        offset_s=offset,
        ratio=np.full(meters, 40, np.int64),
        voltage_v=voltage,
        nominal_v=np.full(meters, 230.0),
        serial=np.array(names),
        tenures=tuple(Tenure(name, name, None, None, 12) for name in names),
        events=tuple(
            MeterEvent(names[row], low + 9_000, EventKind.CLOCK_SET, 60) for row in odd[4::5]
        ),
        checks=tuple(zip(names[0:100:2], names[1:100:2], strict=True)),
        feeder=FeederHead("F-1", net + net // 50, none, none == 0, net // 50, few),
        siblings=True,
    )


def _sums(intervals: xr.Dataset) -> tuple[int, ...]:
    """Return what two equal sets of intervals have in common: places count too."""
    weight = np.arange(1, _SLOTS + 1)
    names = (*REGISTERS, "quality", "rule")
    return tuple(int((intervals[name].values.astype(np.int64) @ weight).sum()) for name in names)


def main(arguments: list[str] | None = None) -> int:
    """Run once and print the figures as one object."""
    parser = argparse.ArgumentParser(description=__doc__, prog="grid.store.bench_scale")
    parser.add_argument("--meters", type=int, default=33_334)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--store", default="", help="URL of another database, an empty one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = (
            Store(options.store, create=True)
            if options.store
            else Store.at(Path(folder), create=True)
        )
        facts = run(store, options.meters, options.days)
        store.close()
        facts["disk_mb"] = sum(path.stat().st_size for path in Path(folder).iterdir()) // 2**20
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
