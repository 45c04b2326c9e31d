"""A place whose weather drives its sun, wind and warmth, and forecasts of that weather."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from dispatch.forecast import physical
from dispatch.forecast.outlook import Outside
from dispatch.forecast.weather import parse_weather
from grid.ids import AssetId, UsagePointId
from grid.interval import label, starts
from grid.site import Location, Solar, Wind

START_S = 1_776_643_200  # 2026-04-20T00:00Z, a Monday
DAY = 96
HOURS_AHEAD = 48
BAKU = Location(40.4, 49.9, 0.0)
UP = UsagePointId("UP")
PLANTS = (
    Solar(AssetId("PV-S"), UP, 8.0, tilt_degree=30.0, azimuth_degree=180.0, peak_kw=10.0),
    Solar(AssetId("PV-E"), UP, 5.0, tilt_degree=20.0, azimuth_degree=100.0),
    Wind(AssetId("WT"), UP, 60.0, hub_height_m=60.0),
)


@dataclass(frozen=True)
class World:
    """What came, hour by hour, and what each plant and a heated house made of it."""

    days: int
    cloud: np.ndarray
    wind: np.ndarray
    celsius: np.ndarray
    power: xr.Dataset


def _drift(rng: np.random.Generator, count: int, keep: float) -> np.ndarray:
    values = np.zeros(count)
    for at in range(1, count):
        values[at] = keep * values[at - 1] + np.sqrt(1 - keep**2) * rng.standard_normal()
    return values


def world(days: int, seed: int = 5) -> World:
    """Return a world; its plants give less than by the book, and the house heats."""
    rng = np.random.default_rng(seed)
    hours = days * 24
    cloud = 1 / (1 + np.exp(-1.8 * _drift(rng, hours, 0.93)))
    wind = np.clip(6 + 3 * _drift(rng, hours, 0.95), 0, None)
    hour = np.arange(hours) % 24
    celsius = 10 + 6 * _drift(rng, hours, 0.985) + 4 * np.sin((hour - 4) / 24 * 2 * np.pi)
    at_s = START_S + 900 * np.arange(days * DAY)
    sun = physical.sun(BAKU, at_s + 450)
    fine = np.clip(np.repeat(cloud, 4) + 0.05 * rng.standard_normal(days * DAY), 0, 1.05)
    ghi = physical.clear_ghi(sun) * fine
    air = np.repeat(celsius, 4)
    light = np.stack([ghi, *physical.split(sun, ghi)])
    breeze = np.clip(np.repeat(wind, 4) + 0.4 * rng.standard_normal(days * DAY), 0, None)
    still = np.full(ghi.shape, np.nan)
    south = 0.9 * physical.solar_kw(PLANTS[0], sun, light, air, still)
    east = 0.8 * physical.solar_kw(PLANTS[1], sun, light, air, still)
    turbine = 0.92 * physical.wind_kw(PLANTS[2], breeze, np.full(ghi.shape, 10.0), still, still)
    clock = np.arange(days * DAY) % DAY / 4
    shape = 0.4 + np.exp(-((clock - 8) ** 2) / 4) + 1.2 * np.exp(-((clock - 19) ** 2) / 6)
    house = shape * rng.gamma(40.0, 1 / 40, shape.size) + 0.25 * np.clip(15 - air, 0, None)
    power = xr.Dataset(
        {"power_kw": (("series", "interval"), np.stack([house, south, east, turbine]))},
        coords={
            "series": ["house", "PV-S", "PV-E", "WT"],
            "group": ("series", ["load", "solar", "solar", "wind"]),
            "interval": starts(START_S, days * DAY, 900),
        },
    )
    return World(days, cloud, wind, celsius, power)


def forecasts(world: World, *, every_h: int = 6, seed: int = 9, first_h: int = 0) -> bytes:
    """Return a file of forecasts of a world's weather that err the more the further ahead."""
    rng = np.random.default_rng(seed)
    hours = world.days * 24
    at_s = START_S + 3600 * np.arange(hours)
    quarters = (at_s[:, None] + 900 * np.arange(4) + 450).ravel()
    clear = physical.clear_ghi(physical.sun(BAKU, quarters)).reshape(hours, 4).mean(axis=1)
    lines = ["issued_at,time,ghi_w_per_m2,temperature_celsius,wind_10m_m_per_s"]
    for issue in range(first_h, hours, every_h):
        count = min(HOURS_AHEAD, hours - issue)
        grows = np.sqrt((np.arange(count) + 3) / HOURS_AHEAD)
        errs = [grows * _drift(rng, count, 0.9) for _ in range(3)]
        here = slice(issue, issue + count)
        ghi = clear[here] * np.clip(world.cloud[here] + 0.12 * errs[0], 0, 1.05)
        air = world.celsius[here] + 1.5 * errs[1]
        wind = np.clip(world.wind[here] + 1.2 * errs[2], 0, None)
        issued = label(int(at_s[issue]))
        lines += [
            f"{issued},{label(int(at_s[issue + n]))},{ghi[n]:.1f},{air[n]:.2f},{wind[n]:.2f}"
            for n in range(count)
        ]
    return "\n".join(lines).encode()


def outside(octets: bytes | None) -> Outside:
    """Return what is told of the place, with the forecasts of a file or without."""
    told = Outside(BAKU, PLANTS)
    return told if octets is None else replace(told, weather=parse_weather(octets))
