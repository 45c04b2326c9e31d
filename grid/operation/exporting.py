"""Interval readings out of the store into files of other systems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from grid import interval
from grid.errors import BadInputError
from grid.operation.history import known_series
from grid.site import Site
from grid.store import Store, imports, series
from meters.formats.espi_export import write_espi
from meters.formats.history import write_history
from meters.formats.labelled import write_netcdf, write_parquet
from meters.reading import CHANNELS, MISSING

FORMATS: Final = {".csv": "history", ".xml": "espi", ".nc": "netcdf", ".parquet": "parquet"}
"""By the end of the file's name."""


def export_file(
    store: Store,
    site: Site,
    path: Path,
    *,
    file_format: str = "auto",
    usage_points: Sequence[str] = (),
    bounds_s: tuple[int, int] | None = None,
    now_s: int = 0,
) -> int:
    """Write stored intervals to a file; return how many of a usage point are known.

    Parameters
    ----------
    file_format : str
        One of :data:`FORMATS`, or ``"auto"``: by the end of the file's name.
    usage_points : sequence of str
        All of the site when empty.
    bounds_s : (int, int), optional
        From the first to before the second; all that is stored when not given.
    now_s : int
        The time that a feed carries.

    Raises
    ------
    BadInputError
        When a usage point is not of the site, nothing is stored in that time, or the
        format is none.
    """
    if file_format == "auto":
        file_format = FORMATS.get(path.suffix.lower(), "")
    if file_format not in FORMATS.values():
        raise BadInputError(f"{path.name}: format must be one of {', '.join(FORMATS.values())}")
    known = known_series(site)
    for name in usage_points:
        if name not in known:
            raise BadInputError(f"usage point {name!r} is not of the site")
    names = list(usage_points) or [str(point.id) for point in site.usage_point]
    with store.read() as tx:
        days = series.bounds(tx)
        if bounds_s is None and days is not None:
            last = interval.local_day(days[1], site.time_zone)
            bounds_s = days[0], interval.day_bounds(last, site.time_zone)[1]
        if bounds_s is None:
            raise BadInputError("nothing is stored")
        found = series.get_intervals(tx, names, *bounds_s, time_zone=site.time_zone)
        files = imports.files_of(tx, names)
    told = np.zeros(found["quality"].shape, np.bool_)
    for register in CHANNELS:
        told |= found[register].values != MISSING
    columns = np.flatnonzero(told.any(axis=0))
    if not columns.size:
        low, high = map(interval.label, bounds_s)
        raise BadInputError(f"nothing is stored from {low} to before {high}")
    found = found.isel(interval=slice(int(columns[0]), int(columns[-1]) + 1))
    provenance = {"site": str(site.id), "files": files}
    if file_format == "history":
        write_history(found, path)
    elif file_format == "espi":
        write_espi(found, path, updated_s=now_s)
    elif file_format == "netcdf":
        write_netcdf(found, path, provenance)
    else:
        write_parquet(found, path, provenance)
    return int(told.sum())
