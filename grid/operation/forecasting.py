"""Stage ``forecast``: loads, sun and wind of the day ahead, from what is stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from dispatch.forecast import predict, train
from dispatch.forecast.model import KEEP_DAYS
from dispatch.forecast.outlook import Outside
from dispatch.forecast.weather import instants_of
from grid import interval
from grid.errors import BadInputError
from grid.operation import weather
from grid.operation.commission import AVAILABLE
from grid.operation.room import Room
from grid.site import Shedding, Site
from grid.store import Transaction, control, datasets, series
from meters.vee import Quality

_RECENT_DAYS = 3
_SKILL_DAYS_MIN = 10
ESTIMATE_WEIGHT = 0.25
"""What an estimated reading says in training against one that was read."""
_ESTIMATES = [
    Quality.ESTIMATED_LINEAR,
    Quality.ESTIMATED_LIKE_DAY,
    Quality.ESTIMATED_LOAD_SHAPE,
    Quality.ESTIMATED_FEEDER,
    Quality.SUSPECT,
]


def forecast(room: Room, at_s: int) -> None:
    """Forecast from `at_s`; the model is trained once a civil day."""
    weather.keep(room, at_s)
    with room.store.write() as tx:
        ahead = ahead_of(room, tx, at_s)
        datasets.put_dataset(tx, "forecast", at_s, ahead)
        control.mark_done(tx, at_s, "forecast")
    room.log(at_s, "forecast", series=ahead.sizes["series"], method=ahead.attrs.get("method"))


def ahead_of(room: Room, tx: Transaction, at_s: int) -> xr.Dataset:
    """Return the forecast from `at_s`, from what is stored; nothing is written."""
    site = room.site
    day_s, _ = interval.day_bounds(interval.local_day(at_s, site.time_zone), site.time_zone)
    until_s = max(day_s, room.first_cycle_s)
    start_s = until_s - site.operation.history_days * 86_400
    outside = weather.outside(room, tx, min(start_s, until_s - KEEP_DAYS * 86_400), at_s)
    then = _issued_by(outside, until_s)
    # Readings and weather that came late train it again: in memory is nothing that a
    # restart changes.
    key = f"forecast {until_s} {series.last_change(tx, start_s, until_s)} {then}"
    if key not in room.memory:
        for old in [name for name in room.memory if name.startswith("forecast ")]:
            del room.memory[old]
        past = gross(room, tx, start_s, until_s)
        offset_s = interval.utc_offset_s(at_s, site.time_zone)
        room.memory[key] = train(past, utc_offset_s=offset_s, outside=outside), tan_phi(past)
    model, ratio = room.memory[key]
    recent = gross(room, tx, at_s - _RECENT_DAYS * 86_400, at_s)
    n = site.operation.horizon_intervals
    ahead = predict(model, recent, at_s, n, weather=outside.weather)
    ahead["mean_kvar"] = ahead["mean_kw"] * ratio
    return ahead.drop_vars(["power_kw", "most_kw"])


def _issued_by(outside: Outside, until_s: int) -> int:
    """Return how many records of weather were issued by then; what is stored only grows."""
    if outside.weather is None:
        return -1
    return int((instants_of(outside.weather, "issued") <= until_s).sum())


def tan_phi(past: xr.Dataset) -> xr.DataArray:
    """Return the reactive power of each series per kW, as the days of `past` had it."""
    known = past["power_kw"].notnull() & past["reactive_kvar"].notnull()
    active = past["power_kw"].where(known).sum("interval")
    reactive = past["reactive_kvar"].where(known).sum("interval")
    return (reactive / active.where(active > 0.0)).fillna(0.0).drop_vars(["group", "rating_kw"])


def gross(room: Room, tx: Transaction, start_s: int, end_s: int) -> xr.Dataset:
    """Return each usage point's own load and each plant's possible output.

    Returns
    -------
    xarray.Dataset
        ``power_kw`` (series, interval) in kW, NaN where missing, its ``weight`` in
        training, and what the
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
            "weight": (("series", "interval"), _weight(room, stored["quality"].values)),
        },
        coords={
            "series": labels,
            "group": ("series", groups),
            "rating_kw": ("series", _rating_kw(site)),
            "interval": stored["interval"].values,
        },
    )


def _rating_kw(site: Site) -> list[float]:
    """Return the most of each load, with what its devices make of it, and of each plant."""
    most = {str(point.id): point.connection_kw for point in site.usage_point}
    for asset in site.assets:
        if not isinstance(asset, Shedding):
            most[str(asset.usage_point)] += asset.power_kw
    return [*most.values(), *(plant.power_kw for plant in site.plants)]


def _weight(room: Room, quality: np.ndarray) -> np.ndarray:
    """Return what each power says in training: as much as the least sound reading in it."""
    each = np.where(np.isin(quality, _ESTIMATES), ESTIMATE_WEIGHT, 1.0)
    points = len(room.points)
    assets = [asset for asset in room.site.assets if not isinstance(asset, Shedding)]
    load = each[:points].copy()
    for number, asset in enumerate(assets, start=points):
        row = room.row[str(asset.usage_point)]
        load[row] = np.minimum(load[row], each[number])
    return np.vstack([load, each[points + len(assets) :]])


def keep_skill(
    room: Room, days: int, window_days: int, progress: Callable[[int, int], None]
) -> xr.Dataset:
    """Return how well the site's own past could have been forecast from it, and store that.

    Parameters
    ----------
    days : int
        Days before the site's time that are forecast, as far as there are any.
    window_days : int
        Days that are trained on; fewer where the history is short.

    Raises
    ------
    BadInputError
        When the site has fewer than ten days of readings.
    """
    at_s, found = _skill(room, days, window_days, progress, None)
    with room.store.write() as tx:
        datasets.put_dataset(tx, "skill", at_s, found)
    return found


def weather_skill(
    room: Room,
    days: int,
    window_days: int,
    progress: Callable[[int, int], None],
    records: xr.Dataset,
) -> xr.Dataset:
    """Return how well weather would have let the same be forecast.

    Parameters
    ----------
    days, window_days, progress
        As :func:`keep_skill` takes them.
    records : Dataset
        Weather of :mod:`dispatch.forecast.weather`.

    Raises
    ------
    BadInputError
        When the site has fewer than ten days of readings.
    """
    outside = Outside(room.site.location, room.site.plants, records)
    return _skill(room, days, window_days, progress, outside)[1]


def _skill(
    room: Room,
    days: int,
    window_days: int,
    progress: Callable[[int, int], None],
    outside: Outside | None,
) -> tuple[int, xr.Dataset]:
    from dispatch.forecast.skill import skill

    site = room.site
    with room.store.read() as tx:
        at_s = control.clock_s(tx)
        most_s = at_s - (days + window_days + 1) * 86_400
        past = gross(room, tx, most_s, at_s)
        offset_s = interval.utc_offset_s(at_s, site.time_zone)
    known = np.flatnonzero(past["power_kw"].notnull().any("series").values)
    first = int(known[0]) if known.size else len(past["interval"])
    have = (len(past["interval"]) - first) * site.interval_s // 86_400
    if have < _SKILL_DAYS_MIN:
        raise BadInputError(f"skill: the site has {have} days of readings, needs {_SKILL_DAYS_MIN}")
    window = min(window_days, max(have - 1 - days, 2 * have // 3, 8))
    past = past.isel(interval=slice(len(past["interval"]) - have * 96, None))
    found = skill(
        past,
        days=days,
        window_days=window,
        utc_offset_s=offset_s,
        outside=outside,
        progress=progress,
    )
    return at_s, found
