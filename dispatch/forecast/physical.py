"""What plants give in a weather: sun through pvlib, wind through windpowerlib.

The sun is taken to the modules after Perez, heats the cells after King (Sandia), and
becomes power as PVWatts version 5 has it (Dobos, NREL/TP-6A20-62641, 2014). Wind is taken
to the hub by a power law and to power by the curve of a turbine, corrected for the air's
density where it is told (Svenningsen 2010). Both libraries are slow to import, so that is
done where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.site import Location, Solar, Wind

Float = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INVERTER_EFFICIENCY: Final = 0.96
TEMPERATURE_COEFFICIENT: Final = -0.0035
"""Of crystalline modules, per kelvin."""
USUAL_CELSIUS: Final = 20.0
MODULE_HEIGHT_M: Final = 10.0
"""Of the wind that the model of the cells was made with."""
_CUT_IN, _RATED, _CUT_OUT = 3.0, 12.0, 25.0


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stands, degrees; arrays (step,).

    Attributes
    ----------
    zenith, apparent : ndarray of float64
        From straight above, the second as the air bends its light.
    azimuth : ndarray of float64
        Clockwise from north.
    extra : ndarray of float64
        W/m2 towards the sun outside the air.
    """

    zenith: Float
    apparent: Float
    azimuth: Float
    extra: Float

    @property
    def up(self) -> npt.NDArray[np.bool_]:
        """Whether its middle is above the horizon."""
        return np.asarray(self.apparent < 90.0)

    def at(self, steps: npt.NDArray[np.intp]) -> Sun:
        """Return the sun of some of the steps."""
        return Sun(self.zenith[steps], self.apparent[steps], self.azimuth[steps], self.extra[steps])


def sun(place: Location, at_s: Ints) -> Sun:
    """Return where the sun stands at a place (NREL's algorithm, NREL/TP-560-34302, 2008).

    Parameters
    ----------
    place : Location
    at_s : ndarray of int64 (step,)
        Instants, seconds UTC: the middle of an interval stands for it.
    """
    import pandas as pd
    from pvlib import atmosphere, irradiance, solarposition

    times = pd.DatetimeIndex(at_s.astype("datetime64[s]"), tz="UTC")
    found = solarposition.get_solarposition(
        times,
        place.latitude_degree,
        place.longitude_degree,
        altitude=place.altitude_m,
        pressure=atmosphere.alt2pres(place.altitude_m),
    )
    return Sun(
        _floats(found["zenith"]),
        _floats(found["apparent_zenith"]),
        _floats(found["azimuth"]),
        _floats(irradiance.get_extra_radiation(times)),
    )


def clear_ghi(stands: Sun) -> Float:
    """Return W/m2 on the horizontal under a clear sky (Haurwitz 1945), 0 in the dark."""
    import pandas as pd
    from pvlib import clearsky

    found = clearsky.haurwitz(pd.Series(stands.apparent))
    return np.nan_to_num(_floats(found["ghi"]))


def split(stands: Sun, ghi: Float) -> tuple[Float, Float]:
    """Return beam and diffuse of an irradiance on the horizontal (Driesse, Jensen, Perez 2024)."""
    from pvlib import irradiance

    with np.errstate(invalid="ignore", divide="ignore"):
        found = irradiance.erbs_driesse(ghi, stands.zenith, dni_extra=stands.extra)
    return _floats(found["dni"]), _floats(found["dhi"])


def solar_kw(
    plant: Solar, stands: Sun, irradiance_w_per_m2: Float, celsius: Float, wind_m_per_s: Float
) -> Float:
    """Return what a plant gives, kW (step,); NaN where the irradiance is.

    Parameters
    ----------
    plant : Solar
        With `tilt_degree` and `azimuth_degree`.
    stands : Sun
    irradiance_w_per_m2 : ndarray of float64 (3, step)
        On the horizontal, of the beam, diffuse.
    celsius, wind_m_per_s : ndarray of float64 (step,)
        Of the air, at 10 m; NaN counts as 20 and 0.
    """
    from pvlib import iam, inverter, irradiance, pvsystem, temperature

    assert plant.tilt_degree is not None
    assert plant.azimuth_degree is not None
    ghi, dni, dhi = irradiance_w_per_m2
    where = (plant.tilt_degree, plant.azimuth_degree)
    with np.errstate(invalid="ignore", divide="ignore"):
        incidence = irradiance.aoi(*where, stands.apparent, stands.azimuth)
        plane = irradiance.get_total_irradiance(
            *where, stands.apparent, stands.azimuth, dni, ghi, dhi,
            dni_extra=stands.extra, model="perez",
        )  # fmt: skip
        plane = {key: np.nan_to_num(_floats(value)) for key, value in plane.items()}
        through = np.nan_to_num(_floats(iam.physical(incidence)))
        cell = temperature.sapm_cell(
            plane["poa_global"],
            np.where(np.isnan(celsius), USUAL_CELSIUS, celsius),
            np.nan_to_num(wind_m_per_s),
            **temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["open_rack_glass_glass"],
        )
        effective = plane["poa_direct"] * through + plane["poa_diffuse"]
        peak_kw = plant.power_kw if plant.peak_kw is None else plant.peak_kw
        dc = pvsystem.pvwatts_dc(effective, cell, peak_kw, TEMPERATURE_COEFFICIENT)
        dc = dc * (1.0 - pvsystem.pvwatts_losses() / 100.0)
        ac = inverter.pvwatts(dc, plant.power_kw / INVERTER_EFFICIENCY, INVERTER_EFFICIENCY)
    told = np.isfinite(ghi) & np.isfinite(dni) & np.isfinite(dhi)
    dark = np.where(stands.up, np.maximum(ac, 0.0), 0.0)
    return np.where(told | ~stands.up, dark, np.nan)


def clear_kw(plant: Solar, stands: Sun) -> Float:
    """Return what a plant gives under a clear sky, kW (step,).

    Modules that the sun is behind get more from a bright cloud, so it is no less than what
    half of the clear sky's light brings from all sides.
    """
    ghi = clear_ghi(stands)
    unknown = np.full(ghi.shape, np.nan)
    skies = (np.stack([ghi, *split(stands, ghi)]), np.stack([ghi / 2, 0.0 * ghi, ghi / 2]))
    clear, cloud = (solar_kw(plant, stands, light, unknown, unknown) for light in skies)
    return np.maximum(clear, cloud)


def at_height(wind_m_per_s: Float, of_m: Float, to_m: float) -> Float:
    """Return a wind at another height, by the power law with exponent 1/7."""
    from windpowerlib import wind_speed

    return _floats(wind_speed.hellman(wind_m_per_s, of_m, to_m))


def wind_kw(plant: Wind, wind_m_per_s: Float, of_m: Float, celsius: Float, hpa: Float) -> Float:
    """Return what a turbine gives, kW (step,); NaN where the wind is.

    Parameters
    ----------
    plant : Wind
        With `hub_height_m`.
    wind_m_per_s, of_m : ndarray of float64 (step,)
        The wind, and its height above ground.
    celsius, hpa : ndarray of float64 (step,)
        At ground; where one is NaN the air's density is not corrected for.
    """
    from windpowerlib import density, power_output, temperature

    assert plant.hub_height_m is not None
    speeds, shares = curve(plant.turbine)
    speed = at_height(wind_m_per_s, of_m, plant.hub_height_m)
    told = np.isfinite(speed)
    result = np.full(speed.shape, np.nan)
    result[told] = power_output.power_curve(speed[told], speeds, shares * plant.power_kw)
    thick = told & np.isfinite(celsius) & np.isfinite(hpa)
    if thick.any():
        kelvin = temperature.linear_gradient(celsius[thick] + 273.15, 2.0, plant.hub_height_m)
        air = density.barometric(hpa[thick] * 100.0, 0.0, plant.hub_height_m, kelvin)
        result[thick] = power_output.power_curve(
            speed[thick], speeds, shares * plant.power_kw, density=air, density_correction=True
        )
    return result


@lru_cache(maxsize=64)
def curve(turbine: str) -> tuple[Float, Float]:
    """Return wind speeds at the hub, m/s, and what share of its power a turbine gives there.

    A usual turbine without a type starts at 3 m/s, gives its power from 12 m/s on, and stops
    at 25 m/s.

    Raises
    ------
    BadInputError
        When windpowerlib has no power curve of that type.
    """
    if not turbine:
        rising = np.linspace(_CUT_IN, _RATED, 19)
        share = (rising**3 - _CUT_IN**3) / (_RATED**3 - _CUT_IN**3)
        return np.append(rising, _CUT_OUT), np.append(share, 1.0)
    table = _curves()
    if turbine not in table.index:
        near = get_close_matches(turbine, list(table.index), 5, 0.0)
        raise BadInputError(
            f"turbine {turbine!r} is none of windpowerlib's, such as {', '.join(near)}"
        )
    values = table.loc[turbine].dropna()
    speeds, watts = values.index.to_numpy(np.float64), values.to_numpy(np.float64)
    return speeds, watts / watts.max()


@lru_cache(maxsize=1)
def _curves() -> Any:
    """Return windpowerlib's table of power curves, W by type and m/s."""
    from importlib.resources import files

    import pandas as pd

    with files("windpowerlib").joinpath("oedb", "power_curves.csv").open("rb") as file:
        return pd.read_csv(file, index_col=0)


def _floats(values: Any) -> Float:
    return np.asarray(values, dtype=np.float64)
