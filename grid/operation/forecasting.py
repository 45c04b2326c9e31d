"""Stage ``forecast``: loads, sun and wind of the day ahead, from what is stored."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import xarray as xr

from dispatch.forecast import predict, train
from grid import interval
from grid.operation.commission import AVAILABLE
from grid.operation.room import Room
from grid.site import Genset, Shedding, Solar, Wind
from grid.store import Transaction, control, datasets, series
from meters.vee import Quality

_RECENT_DAYS = 3


def forecast(room: Room, at_s: int) -> None:
    """Forecast from `at_s`; the model is trained once a civil day."""
    site = room.site
    with room.store.write() as tx:
        day_s, _ = interval.day_bounds(interval.local_day(at_s, site.time_zone), site.time_zone)
        until_s = max(day_s, room.first_cycle_s)
        start_s = until_s - site.operation.history_days * 86_400
        # Readings that came late train it again: in memory is nothing that a restart changes.
        key = f"forecast {until_s} {series.last_change(tx, start_s, until_s)}"
        if key not in room.memory:
            for old in [name for name in room.memory if name.startswith("forecast ")]:
                del room.memory[old]
            local = datetime.fromtimestamp(at_s, interval.zone(site.time_zone))
            offset = local.utcoffset() or datetime.now(UTC).utcoffset()
            assert offset is not None
            past = gross(room, tx, start_s, until_s)
            room.memory[key] = (
                train(past, utc_offset_s=int(offset.total_seconds())),
                tan_phi(past),
            )
        model, ratio = room.memory[key]
        recent = gross(room, tx, at_s - _RECENT_DAYS * 86_400, at_s)
        ahead = predict(model, recent, at_s, site.operation.horizon_intervals)
        ahead["mean_kvar"] = ahead["mean_kw"] * ratio
        datasets.put_dataset(tx, "forecast", at_s, ahead.drop_vars(["power_kw", "most_kw"]))
        control.mark_done(tx, at_s, "forecast")
    room.log(at_s, "forecast", series=ahead.sizes["series"], method=ahead.attrs.get("method"))


def tan_phi(past: xr.Dataset) -> xr.DataArray:
    """Return the reactive power of each series per kW, as the days of `past` had it."""
    known = past["power_kw"].notnull() & past["reactive_kvar"].notnull()
    active = past["power_kw"].where(known).sum("interval")
    reactive = past["reactive_kvar"].where(known).sum("interval")
    return (reactive / active.where(active > 0.0)).fillna(0.0).drop_vars("group")


def gross(room: Room, tx: Transaction, start_s: int, end_s: int) -> xr.Dataset:
    """Return each usage point's own load and each plant's possible output.

    Returns
    -------
    xarray.Dataset
        ``power_kw`` (series, interval) in kW, NaN where missing, and what the
        loads take in ``reactive_kvar`` (below 0 where they give, 0 for plants);
        coordinate ``group`` on the series. Series are ``load:ID`` for usage points with
        whatever their devices did taken out again, then plants by ID.
    """
    site = room.site
    assets = [asset for asset in site.assets if not isinstance(asset, Shedding)]
    names = [*room.points, *(str(asset.id) for asset in assets)]
    names += [f"{plant.id}{AVAILABLE}" for plant in site.plants]
    stored = series.get_intervals(tx, names, start_s, end_s, time_zone=site.time_zone)
    kilo = 3.6 / site.interval_s
    taken = np.maximum(stored["import_wh"].values, 0) * kilo
    given = np.maximum(stored["export_wh"].values, 0) * kilo
    known = stored["quality"].values != Quality.MISSING
    points = len(room.points)
    load = np.where(known[:points], taken[:points] - given[:points], np.nan)
    for number, asset in enumerate(assets, start=points):
        assert isinstance(asset, (Solar, Wind, Genset)) or hasattr(asset, "energy_kwh")
        did = np.where(known[number], given[number] - taken[number], np.nan)
        load[room.row[str(asset.usage_point)]] += did
    reactive = (
        stored["import_varh"].values[:points] - stored["export_varh"].values[:points]
    ) * kilo
    reactive = np.where(known[:points], reactive, np.nan)
    first = points + len(assets)
    possible = np.where(known[first:], given[first:], np.nan)
    groups = ["load"] * points + ["solar"] * len(site.solar) + ["wind"] * len(site.wind)
    labels = [*(f"load:{point}" for point in room.points), *(str(p.id) for p in site.plants)]
    return xr.Dataset(
        {
            "power_kw": (
                ("series", "interval"),
                np.vstack([np.maximum(load, 0.0), possible]),
                {"units": "kW"},
            ),
            "reactive_kvar": (
                ("series", "interval"),
                np.vstack([reactive, np.zeros_like(possible)]),
                {"units": "kvar"},
            ),
        },
        coords={
            "series": labels,
            "group": ("series", groups),
            "interval": stored["interval"].values,
        },
    )
