"""A million meter-days in one run: validated, stored, read back as xarray, and compared.

::

    python -m grid.store.bench_scale --meters 33334 --days 30

Registers are drawn; two in a hundred are not read. Every rule that needs no more than
registers and a reference runs. One local day of all meters is in memory at a time.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid.interval import DAY_S, starts
from grid.store.engine import Store
from grid.store.series import REGISTERS, get_intervals, put_intervals
from meters.reading import MISSING
from meters.vee import validate
from meters.vee.facts import Facts

_START_S, _ZONE, _STEP_S, _SLOTS = 1_767_225_600, "UTC", 900, 96
_MOST_WH = 6_000
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
    begun = np.zeros(meters, np.int64)
    for day in range(days):
        clock = time.perf_counter()
        registers, reference, begun = _drawn(names, day, begun)
        clock = _passed(seconds, "drawn", clock)
        checked, _ = validate(
            registers,
            reference,
            limit_wh=np.full(meters, _MOST_WH, np.int64),
            register_digits=np.full(meters, 12, np.int64),
            estimate_before_s=_START_S + (day + 1) * DAY_S,
            facts=_facts(reference),
        )
        clock = _passed(seconds, "validated", clock)
        with store.write() as tx:
            put_intervals(
                tx, checked.rename(meter="usage_point"), time_zone=_ZONE, cycle_s=_START_S
            )
        _passed(seconds, "stored", clock)
        sums.append(_sums(checked))
        estimated += int((checked["quality"].values != 1).sum())
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
) -> tuple[xr.Dataset, xr.Dataset, np.ndarray]:
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
    return registers, reference, total[:, -1]


def _facts(reference: xr.Dataset) -> Facts:
    meters, count = reference["import_wh"].shape
    return Facts(
        average_day_wh=np.full(meters, 200 * count, np.int64),
        zero_days=np.zeros(meters, np.int64),
        estimated_days=np.zeros(meters, np.int64),
        active=np.ones(meters, np.bool_),
        voltage_v=np.full((meters, count), 230.0, np.float32),
        nominal_v=np.full(meters, 230.0),
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
