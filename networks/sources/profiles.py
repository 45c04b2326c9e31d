"""SimBench's year of measured profiles, each its own series, per unit of its rating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from networks.sources import cache
from networks.sources.demo import INTERVAL_S, STEPS

LOADS = (
    *("H0-A", "H0-B", "H0-C", "H0-G", "H0-L"),
    *("G0-A", "G1-A", "G2-A", "G3-A", "G4-A", "G5-A", "G6-A"),
    *("L0-A", "L1-A", "L2-A"),
)
"""Households, businesses and farms at low voltage."""
SUNS = tuple(f"PV{number}" for number in range(1, 9))
WINDS = tuple(f"WP{number}" for number in range(1, 13))
"""All photovoltaic and wind profiles that there are."""


def load_profiles(names: tuple[str, ...] = (*LOADS, *SUNS, *WINDS)) -> xr.Dataset:
    """Return profiles of 2016 by their SimBench names.

    Returns
    -------
    xarray.Dataset
        ``power_kw`` (series, interval) float64, >= 0, of a connection or plant of
        1 kW; coordinate ``group`` on the series is ``load``, ``solar`` or ``wind``.

    Raises
    ------
    BadInputError
        For a name that is no load, photovoltaic or wind profile.
    """
    path = cache.cache_path("profiles", *names)
    stored = cache.read(path)
    if stored is None:
        stored = {"power": np.stack([_column(name) for name in names])}, {}
        cache.write(path, *stored)
    start = np.datetime64("2016-01-01T00:00:00", "s")
    return xr.Dataset(
        {"power_kw": (("series", "interval"), stored[0]["power"], {"units": "kW"})},
        coords={
            "series": list(names),
            "group": ("series", [_group(name) for name in names]),
            "interval": start + np.arange(STEPS) * np.timedelta64(INTERVAL_S, "s"),
        },
    )


def _group(name: str) -> str:
    if name in SUNS:
        return "solar"
    return "wind" if name in WINDS else "load"


def _column(name: str) -> Any:
    import pandas as pd
    import simbench

    folder = Path(simbench.__file__).parent / "networks" / "1-complete_data-mixed-all-1-sw"
    load = _group(name) == "load"
    column = f"{name}_pload" if load else name
    file = folder / ("LoadProfile.csv" if load else "RESProfile.csv")
    try:
        values = pd.read_csv(file, sep=";", usecols=[column])[column].to_numpy(np.float64)
    except ValueError as error:
        raise BadInputError(f"profile {name!r} is none of SimBench's") from error
    if values.size != STEPS or not np.isfinite(values).all():
        raise BadInputError(f"profile {name!r} has {values.size} steps or a gap, not {STEPS}")
    # A standing turbine draws a hundred-thousandth of its rating: less than a meter counts.
    return np.maximum(values, 0.0)
