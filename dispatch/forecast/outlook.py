"""What the weather lets expect of each plant, as it was known at an instant.

Records of a weather file become steps; each knows when it was issued, and what each plant
gives in it. An instant sees, of each step, what was issued last up to that instant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.forecast import physical
from dispatch.forecast.weather import HEIGHT, QUANTITIES, instants_of
from grid.errors import BadInputError
from grid.site import Location, Plant, Solar, Wind

Float = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outside:
    """What is told of a site's surroundings.

    Attributes
    ----------
    location : Location or None
    plants : tuple of Solar or Wind
    weather : Dataset or None
        Records of :mod:`dispatch.forecast.weather`, of any time.
    """

    location: Location | None = None
    plants: tuple[Plant, ...] = ()
    weather: xr.Dataset | None = None

    @property
    def lying(self) -> dict[str, Solar]:
        """Plants whose sun can be computed, by series."""
        if self.location is None:
            return {}
        suns = (plant for plant in self.plants if isinstance(plant, Solar))
        return {str(plant.id): plant for plant in suns if plant.tilt_degree is not None}

    @property
    def turning(self) -> dict[str, Wind]:
        """Turbines whose power can be computed, by series."""
        winds = (plant for plant in self.plants if isinstance(plant, Wind))
        return {str(plant.id): plant for plant in winds if plant.hub_height_m is not None}

    def clear_kw(self, series: tuple[str, ...], at_s: Ints, interval_s: int) -> Float | None:
        """Return each series' power under a clear sky (series, step), kW; NaN where not told.

        ``None`` where it is told of none.
        """
        lying = self.lying
        if self.location is None or not lying.keys() & set(series):
            return None
        stands = physical.sun(self.location, at_s + interval_s // 2)
        result = np.full((len(series), at_s.size), np.nan)
        for row, name in enumerate(series):
            if name in lying:
                result[row] = physical.clear_kw(lying[name], stands)
        return result


@dataclass(frozen=True, slots=True)
class Outlook:
    """Steps of weather with what each series gives in them; arrays ascend by step and issue.

    Attributes
    ----------
    interval_s : int
    step_s, issued_s : ndarray of int64 (record,)
    kw : ndarray of float64 (series, record)
        NaN where it cannot be told.
    celsius : ndarray of float64 (record,)
    """

    interval_s: int
    step_s: Ints
    issued_s: Ints
    kw: Float
    celsius: Float

    def known(self, at_s: int, start_s: int, count: int) -> tuple[Float, Float]:
        """Return power (series, step) and air (step,) of steps as foretold up to `at_s`."""
        return self._latest(self.issued_s <= at_s, start_s, count)

    def of_past(self, start_s: int, count: int) -> tuple[Float, Float]:
        """Return power (series, step) and air (step,) as foretold when each step began."""
        return self._latest(self.issued_s <= self.step_s, start_s, count)

    def _latest(self, seen: npt.NDArray[np.bool_], start_s: int, count: int) -> tuple[Float, Float]:
        end_s = start_s + count * self.interval_s
        found = np.flatnonzero(seen & (self.step_s >= start_s) & (self.step_s < end_s))
        kw, celsius = np.full((self.kw.shape[0], count), np.nan), np.full(count, np.nan)
        at = (self.step_s[found] - start_s) // self.interval_s
        # of several issues of a step the last stays.
        last = np.append(np.diff(at) > 0, np.ones(min(at.size, 1), np.bool_))
        kw[:, at[last]], celsius[at[last]] = self.kw[:, found[last]], self.celsius[found[last]]
        return kw, celsius


def outlook(
    outside: Outside, series: tuple[str, ...], interval_s: int, start_s: int, end_s: int
) -> Outlook:
    """Return what the weather of steps within ``[start_s, end_s)`` says of each series.

    Raises
    ------
    BadInputError
        When intervals of the weather are no multiple of `interval_s`.
    """
    assert outside.weather is not None
    weather, of = _steps(outside.weather, interval_s, start_s, end_s)
    step_s, issued_s = (instants_of(weather, name) for name in ("interval", "issued"))
    values = {name: weather[name].values for name in (*QUANTITIES, HEIGHT)}
    celsius, wind, height_m = (
        values[name] for name in ("temperature_celsius", "wind_m_per_s", HEIGHT)
    )
    kw = np.full((len(series), step_s.size), np.nan)
    place = {name: row for row, name in enumerate(series)} if step_s.size else {}
    lying, turning = outside.lying, outside.turning
    if outside.location is not None and lying.keys() & place.keys():
        stands, light = _light(outside.location, values, of, step_s + interval_s // 2)
        breeze = physical.at_height(wind, height_m, physical.MODULE_HEIGHT_M)
        for name in lying.keys() & place.keys():
            kw[place[name]] = physical.solar_kw(lying[name], stands, light, celsius, breeze)
    for name in turning.keys() & place.keys():
        hpa = values["pressure_hpa"]
        kw[place[name]] = physical.wind_kw(turning[name], wind, height_m, celsius, hpa)
    order = np.lexsort((issued_s, step_s))
    return Outlook(interval_s, step_s[order], issued_s[order], kw[:, order], celsius[order])


def _steps(
    weather: xr.Dataset, interval_s: int, start_s: int, end_s: int
) -> tuple[xr.Dataset, npt.NDArray[np.intp]]:
    """Return records of one step each, and which record each was: an hour's has quarters."""
    begin_s, length_s = instants_of(weather, "interval"), weather["length_s"].values
    wanted = np.flatnonzero((begin_s + length_s > start_s) & (begin_s < end_s))
    begin_s, length_s = begin_s[wanted], length_s[wanted]
    if (length_s % interval_s).any():
        raise BadInputError(
            f"weather: intervals of {length_s.min()} s are no multiple of {interval_s} s"
        )
    each = length_s // interval_s
    of = np.repeat(np.arange(wanted.size), each)
    number = np.arange(of.size) - np.repeat(np.cumsum(each) - each, each)
    step_s = begin_s[of] + number * interval_s
    whole = weather.isel(record=wanted[of])
    return whole.assign_coords(interval=("record", step_s.astype("datetime64[s]"))), of


def _light(
    place: Location, values: dict[str, Float], of: npt.NDArray[np.intp], middle_s: Ints
) -> tuple[physical.Sun, Float]:
    """Return the sun of each step, and irradiance on the horizontal, of the beam, diffuse.

    What an hour brings is spread over its quarters as a clear sky would spread it. Beam and
    diffuse are made from the sum where the weather does not tell both.
    """
    instants, which = np.unique(middle_s, return_inverse=True)
    once = physical.sun(place, instants)
    clear = physical.clear_ghi(once)[which]
    stands = once.at(which)
    mean = (np.bincount(of, clear) / np.bincount(of))[of]
    shape = np.where(mean > 1.0, clear / np.maximum(mean, 1.0), 1.0)
    ghi, dhi = values["ghi_w_per_m2"] * shape, values["dhi_w_per_m2"] * shape
    # A file that is an hour off brings a low sun more than there is.
    ghi = np.minimum(ghi, stands.extra * np.cos(np.radians(np.minimum(stands.apparent, 90.0))))
    beam = values["dni_w_per_m2"]
    told = np.isfinite(beam) & np.isfinite(dhi)
    made = physical.split(stands, ghi)
    return stands, np.stack([ghi, np.where(told, beam, made[0]), np.where(told, dhi, made[1])])
