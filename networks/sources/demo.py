"""The demo feeder's facts and its year of 15-minute series, from SimBench.

SimBench's own storage series only ever discharge, so they are not used.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from networks.model import Float
from networks.sources import cache
from networks.sources.source import read_net, split

STEPS = 35_136
INTERVAL_S = 900
WIND_PROFILES = ("WP4", "WP7")
_HEAT_PUMP = ("Air_", "Soil_")
_CHARGE_POINT = ("HLS_", "APLS_")


@dataclass(frozen=True, slots=True)
class DemoUsagePoint:
    """A bus with loads. `kind` is ``household`` or ``business``."""

    bus: int
    kind: str
    connection_kw: float
    heat_pump: bool
    charge_point: bool


@dataclass(frozen=True, slots=True)
class DemoSolar:
    """A photovoltaic plant and its rated power."""

    bus: int
    power_kw: float


@dataclass(frozen=True, slots=True)
class DemoBattery:
    """A home battery; `efficiency` is one way, 0 to 1."""

    bus: int
    power_kw: float
    energy_kwh: float
    efficiency: float


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """What stands where on a SimBench feeder, sorted by bus.

    `solar` has the order of the ``plant`` dimension of :func:`load_year`.
    """

    lv_bus: int
    usage_point: tuple[DemoUsagePoint, ...]
    solar: tuple[DemoSolar, ...]
    battery: tuple[DemoBattery, ...]


def demo_site_facts(source: str) -> DemoFacts:
    """Return usage points, solar plants and home batteries of a ``simbench:`` feeder.

    A bus with any ``G*`` profile is a business. A connection is rated at one and
    a half times its loads, at least 5 kW.

    Raises
    ------
    BadInputError
        When the source is not a SimBench feeder with one transformer.
    """
    arrays, facts = _demo(source)
    del arrays
    return DemoFacts(
        lv_bus=int(facts["lv_bus"]),
        usage_point=tuple(DemoUsagePoint(**row) for row in facts["usage_point"]),
        solar=tuple(DemoSolar(**row) for row in facts["solar"]),
        battery=tuple(DemoBattery(**row) for row in facts["battery"]),
    )


def load_year(source: str) -> xr.Dataset:
    """Return the feeder's year of series, 2016 as SimBench tells it.

    Returns
    -------
    xarray.Dataset
        (interval, bus), a bus for each usage point: `load_kw`,
        `absorbed_kvar`, `injected_kvar`. (interval, plant): `solar_kw`.
        (interval, wind_profile): `wind_per_unit` of rated power. All float64
        and >= 0; `plant` counts :attr:`DemoFacts.solar`, `plant_bus` is its bus.

    Raises
    ------
    BadInputError
        See :func:`demo_site_facts`.
    """
    arrays, facts = _demo(source)
    start = np.datetime64("2016-01-01T00:00:00", "s")
    interval = start + np.arange(STEPS) * np.timedelta64(INTERVAL_S, "s")
    reactive = arrays["load_kvar"].astype(np.float64)

    def variable(dim: str, values: Float, units: str) -> xr.Variable:
        return xr.Variable(("interval", dim), values, {"units": units})

    return xr.Dataset(
        {
            "load_kw": variable("bus", arrays["load_kw"].astype(np.float64), "kW"),
            "absorbed_kvar": variable("bus", np.maximum(reactive, 0.0), "kvar"),
            "injected_kvar": variable("bus", np.maximum(-reactive, 0.0), "kvar"),
            "solar_kw": variable("plant", arrays["solar_kw"].astype(np.float64), "kW"),
            "wind_per_unit": variable("wind_profile", arrays["wind"].astype(np.float64), "1"),
        },
        {
            "interval": interval,
            "bus": [row["bus"] for row in facts["usage_point"]],
            "plant": np.arange(len(facts["solar"])),
            "plant_bus": ("plant", [row["bus"] for row in facts["solar"]]),
            "wind_profile": list(WIND_PROFILES),
        },
    )


def _demo(source: str) -> tuple[dict[str, Any], dict[str, Any]]:
    kind, _ = split(source)
    if kind != "simbench":
        raise BadInputError(
            f"network source {source!r} has no year of series, only a simbench: network has"
        )
    path = cache.cache_path("demo", source)
    stored = cache.read(path)
    if stored is None:
        stored = _extract(read_net(source))
        cache.write(path, *stored)
    return stored


def _extract(net: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    import simbench

    if len(net.trafo) != 1:
        raise BadInputError(
            f"the year of a network needs one transformer, this one has {len(net.trafo)}: "
            "choose a low-voltage network"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    points = _usage_points(net)
    buses = [point.bus for point in points]
    sgen = net.sgen[net.sgen["type"] == "PV"].sort_values("bus", kind="stable")
    storage = net.storage.sort_values("bus", kind="stable")
    facts = {
        "lv_bus": int(net.trafo["lv_bus"].iloc[0]),
        "usage_point": [asdict(point) for point in points],
        "solar": [
            asdict(DemoSolar(int(row.bus), round(row.sn_mva * 1e3, 6))) for row in sgen.itertuples()
        ],
        "battery": [
            asdict(
                DemoBattery(
                    int(row.bus),
                    round(row.sn_mva * 1e3, 6),
                    round(row.max_e_mwh * 1e3, 6),
                    # The column says percent and holds a fraction.
                    float(row.efficiency_percent),
                )
            )
            for row in storage.itertuples()
        ],
    }
    arrays = {
        "load_kw": _by_bus(net, values["load", "p_mw"], buses),
        "load_kvar": _by_bus(net, values["load", "q_mvar"], buses),
        "solar_kw": _kilo(values["sgen", "p_mw"][sgen.index].to_numpy()),
        "wind": _wind(Path(simbench.__file__).parent),
    }
    return arrays, facts


def _usage_points(net: Any) -> list[DemoUsagePoint]:
    points = []
    for bus, loads in net.load.groupby("bus"):
        profiles = tuple(loads["profile"])
        rating_kw = float(loads["sn_mva"].sum()) * 1e3
        points.append(
            DemoUsagePoint(
                bus=int(bus),
                kind="business" if any(p.startswith("G") for p in profiles) else "household",
                connection_kw=float(max(5, math.ceil(1.5 * rating_kw))),
                heat_pump=any(p.startswith(_HEAT_PUMP) for p in profiles),
                charge_point=any(p.startswith(_CHARGE_POINT) for p in profiles),
            )
        )
    return points


def _kilo(mega: Any) -> Any:
    if mega.shape[0] != STEPS or not np.isfinite(mega).all():
        raise BadInputError(f"a SimBench series has {mega.shape[0]} steps or a gap, not {STEPS}")
    return (mega * 1e3).astype(np.float32)


def _by_bus(net: Any, frame: Any, buses: list[int]) -> Any:
    total = np.zeros((len(frame), len(buses)))
    where = {bus: column for column, bus in enumerate(buses)}
    for load in net.load.index:
        total[:, where[int(net.load.at[load, "bus"])]] += frame[load].to_numpy()
    return _kilo(total)


def _wind(package: Path) -> Any:
    import pandas as pd

    file = package / "networks" / "1-complete_data-mixed-all-1-sw" / "RESProfile.csv"
    columns = pd.read_csv(file, sep=";", usecols=list(WIND_PROFILES))
    # A standing turbine draws a hundred-thousandth of its rating: less than a meter counts.
    return np.maximum(columns[list(WIND_PROFILES)].to_numpy(), 0.0).astype(np.float32)
