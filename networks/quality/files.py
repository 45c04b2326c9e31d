"""Series of voltages from files: CSV of usage points, or NetCDF."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import BadInputError

_BYTES_MAX = 2 << 30
_INTERVALS_MAX = 2_000_000
_VALUES_MAX = 400_000_000


def read_voltages(path: Path, name: str = "voltage") -> tuple[xr.DataArray, int]:
    """Return voltages (interval, usage_point), even in time, and the length of an interval in s.

    Parameters
    ----------
    path : Path
        ``.csv``: the first column tells where each interval begins, ISO 8601 with ``Z`` or an
        offset; each other column is a usage point, empty where missing. ``.nc``: NetCDF 3 with
        one variable `name`, `name`_v or `name`_pu of dims (interval, usage_point). Intervals
        that are not there become NaN.

    Raises
    ------
    BadInputError
        Naming the file, and the row or column that is wrong.
    """
    size = path.stat().st_size
    if size > _BYTES_MAX:
        raise BadInputError(f"{path.name} has {size} bytes, at most {_BYTES_MAX}")
    table = _netcdf(path, name) if path.suffix == ".nc" else _csv(path)
    starts_s = table["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
    if len(starts_s) < 2:
        raise BadInputError(f"{path.name} has {len(starts_s)} intervals, needs at least 2")
    steps = np.diff(starts_s)
    if (steps <= 0).any():
        at = interval.label(int(starts_s[int(np.argmax(steps <= 0)) + 1]))
        raise BadInputError(f"{path.name}: {at} does not come after the interval before it")
    step_s = int(steps.min())
    off = np.flatnonzero((starts_s - starts_s[0]) % step_s)
    if len(off):
        at = interval.label(int(starts_s[off[0]]))
        raise BadInputError(f"{path.name}: {at} is off the {step_s} s steps of the others")
    count = int((starts_s[-1] - starts_s[0]) // step_s) + 1
    if count > _INTERVALS_MAX:
        raise BadInputError(f"{path.name} spans {count} intervals, at most {_INTERVALS_MAX}")
    points = table.sizes["usage_point"]
    if count * points > _VALUES_MAX:
        raise BadInputError(
            f"{path.name} spans {count} intervals of {points} usage points, at most "
            f"{_VALUES_MAX} values"
        )
    whole = interval.starts(int(starts_s[0]), count, step_s)
    return table.assign_coords(interval=starts_s.astype("datetime64[s]")).reindex(
        interval=whole
    ), step_s


def _csv(path: Path) -> xr.DataArray:
    import pandas as pd

    try:
        frame = pd.read_csv(path, index_col=0, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise BadInputError(f"{path.name} is not a CSV table of voltages: {error}") from error
    _check_header(path)
    if not len(frame):
        raise BadInputError(f"{path.name} has no row, needs at least 2")
    starts_s = np.empty(len(frame), dtype=np.int64)
    for row, text in enumerate(frame.index):
        try:
            starts_s[row] = interval.parse(str(text))
        except BadInputError as error:
            raise BadInputError(f"{path.name} line {row + 2}: {error}") from error
    for column in frame:
        if pd.api.types.is_bool_dtype(frame[column]):
            raise BadInputError(f"{path.name}: {column} holds true and false, not numbers")
        if not pd.api.types.is_numeric_dtype(frame[column]):
            wrong = frame[column][pd.to_numeric(frame[column], errors="coerce").isna()].dropna()
            line = int(np.argmax(frame.index == wrong.index[0])) + 2
            raise BadInputError(
                f"{path.name} line {line}: {column} is {str(wrong.iloc[0])[:40]!r}, not a number"
            )
    values = frame.to_numpy(dtype=np.float64)
    return _checked(path, values, starts_s, [str(name) for name in frame.columns])


def _check_header(path: Path) -> None:
    """Refuse names that pandas would make up or change."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        names = [name.strip() for name in next(csv.reader(file), [])][1:]
    for place, name in enumerate(names):
        if not name:
            raise BadInputError(f"{path.name} line 1: column {place + 2} has no name")
        if name in names[:place]:
            raise BadInputError(f"{path.name} has the usage point {name} twice")


def _netcdf(path: Path, name: str) -> xr.DataArray:
    try:
        with xr.open_dataset(path, engine="scipy") as file:
            found = next(file[one] for one in (name, f"{name}_v", f"{name}_pu") if one in file)
            if set(found.dims) != {"interval", "usage_point"}:
                raise BadInputError(
                    f"{path.name}: {found.name} has dims {found.dims}, must be (interval, "
                    "usage_point)"
                )
            table = found.transpose("interval", "usage_point").load()
            starts_s = table["interval"].to_numpy().astype("datetime64[s]").astype(np.int64)
            names = [str(point) for point in table["usage_point"].to_numpy()]
            return _checked(path, table.to_numpy().astype(np.float64), starts_s, names)
    except StopIteration as error:
        raise BadInputError(f"{path.name} has no variable {name!r}") from error
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInputError(f"{path.name} is not NetCDF 3 with voltages: {error}") from error


def _checked(path: Path, values: Any, starts_s: Any, names: list[str]) -> xr.DataArray:
    if not names:
        raise BadInputError(f"{path.name} has no usage point")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"{path.name} has the usage point {twice} twice")
    wrong = np.argwhere((values < 0.0) | np.isinf(values))
    if len(wrong):
        row, column = wrong[0]
        raise BadInputError(
            f"{path.name} {interval.label(int(starts_s[row]))}: {names[column]} is "
            f"{values[row, column]}, must be finite and not below 0"
        )
    return xr.DataArray(
        values,
        {"interval": starts_s.astype("datetime64[s]"), "usage_point": names},
        ("interval", "usage_point"),
    )
