"""What was metered before the first cycle: made for the demo, or taken from a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from grid.interval import DAY_S, label
from grid.operation.commission import AVAILABLE
from grid.operation.field.serve import open_world
from grid.operation.field.world import World
from grid.operation.record import record_action
from grid.site import Site
from grid.store import Store, control, series
from meters.formats.history import read_history, write_history
from meters.vee import Quality

HISTORY_FILE = "history.csv"
DAYS_MAX = 1100
"""How far back a history may go: three years."""

_WH_PER_KW_INTERVAL = 250
_SHOWN = 20


def history(world: World, end_s: int, days: int) -> xr.Dataset:
    """Return what an older metering system would export of the days before `end_s`.

    Usage points as metered, and for each solar plant and turbine what it
    produced (``ID``) and could have produced (``ID.available``). No battery or
    genset ran.
    """
    site = world.site
    starts_s = end_s - 900 * np.arange(days * 96, 0, -1, dtype=np.int64)
    weather = world.weather(starts_s)
    plants = site.plants
    produced = np.hstack([weather.solar_kw, weather.wind_kw])
    row = {str(point.id): number for number, point in enumerate(site.usage_point)}
    net: npt.NDArray[np.float64] = weather.load_kw.copy()
    for column, plant in enumerate(plants):
        net[:, row[plant.usage_point]] -= produced[:, column]
    names = known_series(site)
    none = np.zeros_like(produced)
    columns = {
        "import_wh": np.hstack([np.maximum(net, 0.0), none, none]),
        "export_wh": np.hstack([np.maximum(-net, 0.0), produced, produced]),
        "import_varh": np.hstack([weather.absorbed_kvar, none, none]),
        "export_varh": np.hstack([weather.injected_kvar, none, none]),
    }
    dims = ("usage_point", "interval")
    variables = {
        name: (dims, np.rint(values.T * _WH_PER_KW_INTERVAL).astype(np.int64))
        for name, values in columns.items()
    }
    shape = (len(names), len(starts_s))
    return xr.Dataset(
        {**variables, "quality": (dims, np.full(shape, Quality.VALID, np.uint16))},
        coords={"usage_point": names, "interval": starts_s.astype("datetime64[s]")},
    )


def known_series(site: Site) -> list[str]:
    """Return what a history may tell of: usage points, plants, what plants could have made."""
    return [
        *(str(point.id) for point in site.usage_point),
        *(str(plant.id) for plant in site.plants),
        *(f"{plant.id}{AVAILABLE}" for plant in site.plants),
    ]


def write_demo_history(directory: Path, site: Site, end_s: int) -> Path:
    """Write the simulated field's past as a history file; return its path."""
    path = directory / HISTORY_FILE
    write_history(history(open_world(site), end_s, site.operation.history_days), path)
    return path


def most_wh(site: Site) -> dict[str, int]:
    """Return by series what its connection or rating can carry in an interval, Wh or varh."""
    rating_kw = {str(point.id): point.connection_kw for point in site.usage_point}
    for plant in site.plants:
        rating_kw |= {str(plant.id): plant.power_kw, f"{plant.id}{AVAILABLE}": plant.power_kw}
    return {name: round(rating_kw[name] * _WH_PER_KW_INTERVAL) for name in known_series(site)}


def read(site: Site, path: Path, first_cycle_s: int) -> xr.Dataset:
    """Return the history of a file.

    Raises
    ------
    BadInputError
        Naming the first refused lines: with a strange usage point, more energy than
        its connection carries, or an interval that is not of the three years before
        the first cycle.
    """
    low_s = first_cycle_s - DAYS_MAX * DAY_S
    taken, refused = read_history(path, within_s=(low_s, first_cycle_s), most_wh=most_wh(site))
    if refused:
        problems = [finding.message for finding in refused[:_SHOWN]]
        problems.append(
            f"{path.name}: {len(refused)} lines refused, nothing taken; "
            f"a history ends before the first cycle, {label(first_cycle_s)}"
        )
        raise BadInputError("\n".join(problems))
    return taken


def import_history(store: Store, site: Site, path: Path) -> int:
    """Take a history file into the store, with a record of it; return the number of intervals.

    Raises
    ------
    BadInputError
        See :func:`read`; nothing is stored then.
    """
    with store.read() as tx:
        first_cycle_s = int(control.get_meta(tx, "first_cycle_s") or 0)
    taken = read(site, path, first_cycle_s)
    count = int(taken["import_wh"].size)
    detail = {"intervals": count, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    with store.write() as tx:
        at_s = control.clock_s(tx)
        series.put_intervals(tx, taken, time_zone=site.time_zone, cycle_s=at_s)
        record_action(
            tx, site, at_s=at_s, user="command line", kind="history.import", subject="history",
            detail=detail,
        )  # fmt: skip
    return count
