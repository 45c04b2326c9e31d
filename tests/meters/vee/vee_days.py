"""Days small enough to read."""

from __future__ import annotations

import numpy as np
import xarray as xr

from meters.reading import CHANNELS, MISSING
from meters.vee import Quality, validate
from meters.vee.rules import decided

START_S = 1_774_746_000  # 2026-03-29T01:00Z
LATE = START_S + 10**7


def registers(rows, *, channel="import_wh", meters=None):
    """One meter per row of `rows`; the other channels stand still at 0."""
    known = np.array(rows, dtype=np.int64)
    meters = meters or [f"E-{17 + index}" for index in range(len(known))]
    boundary = (START_S + 900 * np.arange(known.shape[1])).astype("datetime64[s]")
    values = {name: (("meter", "boundary"), np.zeros_like(known)) for name in CHANNELS}
    values[channel] = (("meter", "boundary"), known)
    return xr.Dataset(values, coords={"meter": meters, "boundary": boundary})


def cumulative(rows, start=1_000):
    """Registers of energies (meter, interval)."""
    energy = np.array(rows, dtype=np.int64)
    return start + np.concatenate(
        [np.zeros((len(energy), 1), np.int64), np.cumsum(energy, axis=1)], axis=1
    )


def reference(of, rows=None, *, channel="import_wh"):
    shape = (of.sizes["meter"], of.sizes["boundary"] - 1)
    values = {name: (("meter", "interval"), np.full(shape, MISSING)) for name in CHANNELS}
    if rows is not None:
        values[channel] = (("meter", "interval"), np.array(rows, dtype=np.int64))
    return xr.Dataset(
        values, coords={"meter": of["meter"].values, "interval": of["boundary"].values[:-1]}
    )


def run(of, like=None, *, limit=5000, digits=9, before=LATE, facts=None, thresholds=None):
    count = of.sizes["meter"]
    return validate(
        of,
        reference(of) if like is None else like,
        limit_wh=np.full(count, limit),
        register_digits=np.full(count, digits),
        estimate_before_s=before,
        facts=facts,
        thresholds=thresholds,
    )


def energy(result, row=0, channel="import_wh"):
    return result[channel].values[row].tolist()


def kinds(result, row=0):
    return [Quality(int(value)) for value in result["quality"].values[row]]


def judges(result, row=0):
    """The rule behind each interval: its name, or two joined by an arrow."""
    return ["→".join(n for n, _ in decided(int(c))) for c in result["rule"].values[row]]


def codes(findings):
    return [item.code for item in findings]
