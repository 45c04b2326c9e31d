"""What plants give by physics: against pvlib's own chain, real years, and by hand."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
import pandas as pd
import pytest

from dispatch.forecast import physical
from dispatch.forecast.outlook import Outside, outlook
from dispatch.forecast.weather import parse_weather
from grid.errors import BadInputError
from grid.ids import AssetId, UsagePointId
from grid.interval import label, parse
from grid.site import Location, Solar, Wind

UP = UsagePointId("UP")
BAKU = Location(40.4, 49.9)
SOUTH = Solar(AssetId("PV"), UP, 8.0, tilt_degree=30.0, azimuth_degree=180.0, peak_kw=10.0)
TURBINE = Wind(AssetId("WT"), UP, 100.0, hub_height_m=80.0, turbine="E-82/2300")


@pytest.fixture(scope="module")
def greensboro() -> tuple[Location, pd.DataFrame]:
    """A typical year of Greensboro, North Carolina, that pvlib brings: hours by their middle."""
    from pvlib.iotools import read_tmy3

    with as_file(files("pvlib").joinpath("data", "723170TYA.CSV")) as path:
        year, told = read_tmy3(path, coerce_year=2025, map_variables=True)
    year.index = (year.index - pd.Timedelta(minutes=30)).tz_convert("UTC")
    return Location(told["latitude"], told["longitude"], told["altitude"]), year


def _seconds(times: pd.DatetimeIndex) -> np.ndarray:
    return times.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)


def test_a_year_is_that_of_pvlibs_own_chain(greensboro: tuple[Location, pd.DataFrame]) -> None:
    """Hour by hour within a millionth of the plant, clipped by its inverter or not."""
    from pvlib import location, modelchain, pvsystem, temperature

    place, year = greensboro
    year = year[["ghi", "dni", "dhi", "wind_speed"]].assign(temp_air=12.0)
    cells = temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]["open_rack_glass_glass"]
    array = pvsystem.Array(
        pvsystem.FixedMount(30.0, 180.0),
        module_parameters={"pdc0": 10_000.0, "gamma_pdc": -0.0035},
        temperature_model_parameters=cells,
    )
    plant = pvsystem.PVSystem([array], inverter_parameters={"pdc0": 8_000.0 / 0.96})
    where = location.Location(
        place.latitude_degree, place.longitude_degree, altitude=place.altitude_m
    )
    chain = modelchain.ModelChain.with_pvwatts(plant, where).run_model(year)
    stands = physical.sun(place, _seconds(year.index))
    light = year[["ghi", "dni", "dhi"]].to_numpy(np.float64).T
    ours = physical.solar_kw(SOUTH, stands, light, *year[["temp_air", "wind_speed"]].to_numpy().T)
    theirs = np.nan_to_num(chain.results.ac.to_numpy()) / 1000.0
    assert np.abs(ours - theirs)[stands.up].max() < 1e-6 * SOUTH.power_kw
    assert (ours[~stands.up] == 0.0).all()
    assert ours.max() == SOUTH.power_kw
    assert 1200.0 < ours.sum() / 10.0 < 1600.0  # kWh of a year and kW of peak


def test_beam_and_diffuse_are_nearly_made_from_their_sum(
    greensboro: tuple[Location, pd.DataFrame],
) -> None:
    place, year = greensboro
    stands = physical.sun(place, _seconds(year.index))
    beam, diffuse = physical.split(stands, year["ghi"].to_numpy(np.float64))
    high = stands.zenith < 80.0
    whole = beam * np.cos(np.radians(stands.zenith)) + diffuse
    assert np.allclose(whole[high], year["ghi"].to_numpy()[high], atol=1e-6)
    assert np.abs(diffuse - year["dhi"].to_numpy())[high].mean() < 40.0


def test_noon_at_midsummer_is_where_the_almanac_has_it() -> None:
    """At 40.4 N the sun of 21 June 2026 culminates at 40.4 - 23.44 degrees from straight above."""
    minutes = parse("2026-06-21T07:00Z") + 60 * np.arange(180)
    stands = physical.sun(BAKU, minutes)
    noon = int(stands.zenith.argmin())
    assert stands.zenith[noon] == pytest.approx(40.4 - 23.44, abs=0.02)
    # 49.9 E is 3 h 19.6 min before UTC; the sundial is 1.8 min late that day.
    assert label(int(minutes[noon])) in ("2026-06-21T08:42Z", "2026-06-21T08:41Z")
    assert stands.azimuth[noon] == pytest.approx(180.0, abs=0.7)
    clear = physical.clear_ghi(stands)[noon]
    cosine = np.cos(np.radians(stands.apparent[noon]))
    assert clear == pytest.approx(1098.0 * cosine * np.exp(-0.059 / cosine), rel=1e-12)


def test_cells_in_the_standards_sun_give_what_is_written_on_them() -> None:
    """1000 W/m2 straight on, cells at 25 degrees: the peak less losses, through the inverter."""
    plant = Solar(AssetId("PV"), UP, 20.0, tilt_degree=0.0, azimuth_degree=180.0, peak_kw=10.0)
    overhead = physical.Sun(*(np.array([value]) for value in (0.0, 0.0, 180.0, 1361.0)))
    light = np.array([[1000.0], [1000.0], [0.0]])
    heats = 1000.0 * np.exp(-3.47) + 3.0  # King's open rack in still air, kelvin
    (warm,) = physical.solar_kw(plant, overhead, light, np.array([25.0 - heats]), np.zeros(1))
    dc = 10.0 * (1 - 0.1407566)
    part = dc * 0.96 / 20.0
    eta = 0.96 / 0.9637 * (-0.0162 * part - 0.0059 / part + 0.9858)
    assert warm == pytest.approx(dc * eta, rel=1e-5)
    (hot,) = physical.solar_kw(plant, overhead, light, np.array([35.0 - heats]), np.zeros(1))
    assert hot / warm == pytest.approx(1.0 - 0.035, abs=5e-4)


def test_an_hour_brings_its_quarters_what_it_has_and_none_to_the_night() -> None:
    lines = ["time,ghi_w_per_m2,temperature_celsius"]
    start_s = parse("2026-03-20T00:00Z")
    lines += [f"{label(start_s + 3600 * hour)},200,10" for hour in range(24)]
    weather = parse_weather("\n".join(lines).encode(), issued_s=start_s)
    view = outlook(Outside(BAKU, (SOUTH,), weather), ("PV",), 900, start_s, start_s + 86_400)
    kw, air = view.known(start_s, start_s, 96)
    stands = physical.sun(BAKU, start_s + 900 * np.arange(96) + 450)
    assert (kw[0, ~stands.up] == 0.0).all()
    assert (kw[0, stands.apparent < 88.0] > 0.0).all()
    assert (air == 10.0).all()
    assert np.isnan(view.known(start_s - 1, start_s, 96)[0]).all()
    assert (np.diff(kw[0, 16:20]) > 0.0).all()  # from 04:00Z to 05:00Z the sun climbs


def test_a_turbine_has_its_makers_curve() -> None:
    ten, none = np.full(6, 80.0), np.full(6, np.nan)
    speeds = np.array([1.0, 7.0, 10.0, 14.0, 25.5, np.nan])
    found = physical.wind_kw(TURBINE, speeds, ten, none, none)
    watts = {7.0: 532_000.0, 10.0: 1_580_000.0, 14.0: 2_350_000.0}
    curve = dict(zip(*physical.curve("E-82/2300"), strict=True))
    for speed, value in zip(speeds[1:4], found[1:4], strict=True):
        assert value == pytest.approx(100.0 * curve[speed], rel=1e-12)
        assert value == pytest.approx(100.0 * watts[speed] / 2_350_000.0, rel=0.05)
    assert found[0] == 0.0
    assert found[4] == 0.0  # beyond its cut-out
    assert np.isnan(found[5])


def test_wind_at_a_mast_is_taken_to_the_hub_and_cold_air_carries_more() -> None:
    mast, none = np.full(1, 10.0), np.full(1, np.nan)
    at_mast = physical.wind_kw(TURBINE, np.array([6.0]), mast, none, none)
    at_hub = np.array([6.0 * 8.0 ** (1 / 7)])
    assert at_mast == pytest.approx(physical.wind_kw(TURBINE, at_hub, mast * 8, none, none))
    cold, warm = (
        physical.wind_kw(TURBINE, at_hub, mast * 8, np.array([air]), np.array([1013.25]))[0]
        for air in (-15.0, 35.0)
    )
    assert cold > 1.1 * warm


def test_a_usual_turbine_stops_in_a_storm() -> None:
    usual = Wind(AssetId("WT"), UP, 50.0, hub_height_m=30.0)
    speeds, hub = np.array([2.9, 12.0, 24.9, 25.1]), np.full(4, 30.0)
    found = physical.wind_kw(usual, speeds, hub, np.full(4, np.nan), np.full(4, np.nan))
    assert found == pytest.approx([0.0, 50.0, 50.0, 0.0])
    with pytest.raises(BadInputError, match="'Windy 3' is none of windpowerlib's"):
        physical.curve("Windy 3")
