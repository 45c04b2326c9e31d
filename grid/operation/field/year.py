"""The sky and the people: a profile year, shifted and drawn from by civil time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.site import Site

Floats = npt.NDArray[np.float64]

YEAR_DAYS = 366
SLOTS = 96


@dataclass(frozen=True, slots=True)
class Weather:
    """Loads per usage point and possible output per plant, (interval, …) or one interval."""

    load_kw: Floats
    absorbed_kvar: Floats
    injected_kvar: Floats
    solar_kw: Floats
    wind_kw: Floats


class Year:
    """Maps instants to steps of the profile year, and buses to usage points.

    Parameters
    ----------
    year : xarray.Dataset
        As :func:`networks.sources.demo.load_year` returns it: a leap year of quarter-hours.
    """

    def __init__(self, site: Site, year: xr.Dataset) -> None:
        self._site = site
        column = {int(bus): number for number, bus in enumerate(year["bus"].values)}
        taken: set[int] = set()
        columns: list[int] = []
        for point in site.usage_point:
            first = point.bus in column and point.bus not in taken
            columns.append(column[point.bus] if first else -1)
            taken.add(point.bus)
        self._has_load = np.array(columns) >= 0
        self._columns = np.maximum(np.array(columns), 0)
        self._load = {
            name: year[name].values for name in ("load_kw", "absorbed_kvar", "injected_kvar")
        }
        bus_of = {point.id: point.bus for point in site.usage_point}
        plants = [int(bus) for bus in year["plant_bus"].values]
        self._solar = year["solar_kw"].values[
            :, [plants.index(bus_of[solar.usage_point]) for solar in site.solar]
        ]
        winds = [str(name) for name in year["wind_profile"].values]
        self._wind = year["wind_per_unit"].values[:, [winds.index(w.profile) for w in site.wind]]
        self._wind_kw = np.array([wind.power_kw for wind in site.wind])

    def step(self, at_s: int) -> int:
        """Return the step of the profile year for an instant."""
        zone = self._site.time_zone
        day = interval.local_day(at_s, zone).toordinal() + self._site.field.profile_offset_days
        return day % YEAR_DAYS * SLOTS + interval.minute_of_day(at_s, zone) // 15

    def at(self, starts_s: npt.NDArray[np.int64]) -> Weather:
        """Return the weather of intervals, first axis as `starts_s`."""
        steps = np.array([self.step(int(at_s)) for at_s in starts_s])
        load = {
            name: np.where(self._has_load, values[steps][:, self._columns], 0.0)
            for name, values in self._load.items()
        }
        return Weather(
            load["load_kw"],
            load["absorbed_kvar"],
            load["injected_kvar"],
            self._solar[steps],
            self._wind[steps] * self._wind_kw,
        )
