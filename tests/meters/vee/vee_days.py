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


def households(count, days, seed):
    """Wh of each quarter-hour (household, day, 96): base load, fridge, habits and appliances.

    Day 0 is a Thursday: days 2 and 3 of each seven are a weekend. Each household has a level,
    hours and a way of spending weekends of its own; appliances run when people are up, for
    one to eight quarter-hours.
    """
    draw = np.random.default_rng(seed)
    hour = np.arange(96) / 4
    level = draw.lognormal(0.0, 0.4, (count, 1, 1))
    shift = draw.normal(0.0, 1.0, (count, 1, 1))
    weekend = np.isin((np.arange(days) + 3) % 7, (5, 6))[None, :, None]

    def bump(at, width):
        return np.exp(-0.5 * ((hour - at - shift) / width) ** 2)

    up = np.where(weekend, bump(10, 2.0) + bump(14, 2.5), bump(7, 1.2) + 0.3 * bump(13, 2.0))
    up = 0.05 + up * draw.uniform(0.7, 1.3, (count, days, 1)) + 1.3 * bump(19.5, 2.2)
    base = draw.uniform(60, 160, (count, 1, 1)) + 40 * draw.random((count, days, 96))
    power = base + 250 * up * draw.uniform(0.6, 1.4, (count, days, 96))
    starts = draw.random((count, days, 96)) < 0.12 * up
    load = np.where(starts, draw.choice([800, 1200, 2000, 2600], starts.shape), 0)
    length = draw.integers(1, 9, starts.shape)
    flat, running = load.reshape(count, -1), np.zeros((count, days * 96))
    lasts = length.reshape(count, -1)
    for step in range(8):
        ahead = np.where(lasts > step, flat, 0)
        running[:, step:] += ahead[:, : ahead.shape[1] - step]
    power = power + np.minimum(running, 5000).reshape(power.shape)
    return np.rint(power * level / 4).astype(np.int64)
