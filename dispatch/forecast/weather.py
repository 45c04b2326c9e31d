"""Files of weather forecasts → records: what was foretold of an interval, and when.

A file is CSV in UTF-8. Its first line names the columns: ``time``, where an interval of
a quarter-hour or an hour begins, in UTC; any of :data:`QUANTITIES`; the mean wind speed at a
stated height, such as ``wind_10m_m_per_s``; and ``issued_at``, from when on a line was
known. An interval may stand there once for each issue. An empty cell is a missing value.
"""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from grid.interval import label, parse

Ints = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

QUANTITIES: Final[dict[str, tuple[str, float, float]]] = {
    "ghi_w_per_m2": ("W/m2", 0.0, 1600.0),
    "dni_w_per_m2": ("W/m2", 0.0, 1600.0),
    "dhi_w_per_m2": ("W/m2", 0.0, 1600.0),
    "temperature_celsius": ("celsius", -70.0, 70.0),
    "wind_m_per_s": ("m/s", 0.0, 120.0),
    "pressure_hpa": ("hPa", 450.0, 1100.0),
}
"""Unit and limits of what a file may tell: irradiance on the horizontal, of the beam and
diffuse, air temperature at 2 m, wind, pressure at ground."""
HEIGHT: Final = "wind_height_m"
STEPS_S: Final = (900, 3600)
_WIND: Final = re.compile(r"wind_([0-9]{1,3}(?:\.[0-9])?)m_m_per_s", re.ASCII)
_MOST_RECORDS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a file: its place, what it tells, and its name there."""

    at: int
    quantity: str
    name: str


def parse_weather(
    octets: bytes, name: str = "weather", *, issued_s: int | None = None
) -> xr.Dataset:
    """Return the records of a file.

    Parameters
    ----------
    octets : bytes
        The content of a CSV file.
    name : str
        What the file is called in messages.
    issued_s : int, optional
        From when on its lines were known, where there is no column ``issued_at``.

    Returns
    -------
    Dataset, dims (record,)
        The variables of :data:`QUANTITIES`, float64, NaN where the file does not tell;
        ``wind_height_m`` of the wind. Coordinates, ascending: ``interval``, where it begins,
        ``issued``, both datetime64[s], and ``length_s``.

    Raises
    ------
    BadInputError
        Naming the line and the column that are wrong.
    """
    rows = _rows(octets, name)
    header = [cell.strip() for cell in rows[0][1]]
    columns, height_m = _columns(header, name)
    if "issued_at" not in header and issued_s is None:
        raise BadInputError(f"{name}:1: has no column issued_at, which tells what was known when")
    at = {key: header.index(key) for key in ("time", "issued_at") if key in header}
    values = np.full((len(QUANTITIES), len(rows) - 1), np.nan)
    order = {quantity: number for number, quantity in enumerate(QUANTITIES)}
    starts, lines = (np.zeros(len(rows) - 1, np.int64) for _ in range(2))
    issues = np.full(len(rows) - 1, issued_s or 0, np.int64)
    for number, (line, cells) in enumerate(rows[1:]):
        if len(cells) != len(header):
            raise BadInputError(f"{name}:{line}: has {len(cells)} cells, the header {len(header)}")
        lines[number] = line
        starts[number] = _instant(cells[at["time"]], f"{name}:{line}: time")
        if "issued_at" in at:
            issues[number] = _instant(cells[at["issued_at"]], f"{name}:{line}: issued_at")
        for column in columns:
            where = f"{name}:{line}: {column.name}"
            values[order[column.quantity], number] = _value(cells[column.at], column, where)
    return _records(starts, issues, lines, values, height_m, name)


def _rows(octets: bytes, name: str) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line that is not empty."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{name}: byte {error.start} is not UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, cells))
                if len(rows) > _MOST_RECORDS:
                    raise BadInputError(f"{name}: has more than {_MOST_RECORDS} lines")
    except csv.Error as error:
        raise BadInputError(f"{name}:{reader.line_num}: {error}") from error
    if len(rows) < 2:
        raise BadInputError(f"{name}: needs a line of column names and one of weather")
    return rows


def _columns(header: list[str], name: str) -> tuple[list[_Column], float]:
    """Return what the columns tell, and the height of the wind, NaN for none."""
    columns, height_m = [], math.nan
    for at, key in enumerate(header):
        if header.index(key) != at:
            raise BadInputError(f"{name}:1: column {key!r} stands twice")
        if key in ("time", "issued_at"):
            continue
        if wind := _WIND.fullmatch(key):
            if not math.isnan(height_m):
                raise BadInputError(f"{name}:1: {key} is a second height of the wind")
            height_m = float(wind[1])
            if not 1.0 <= height_m <= 300.0:
                raise BadInputError(f"{name}:1: {key} must be of 1 to 300 m above ground")
            columns.append(_Column(at, "wind_m_per_s", key))
        elif key in QUANTITIES and key != "wind_m_per_s":
            columns.append(_Column(at, key, key))
        else:
            known = ["time", "issued_at", *QUANTITIES]
            known[known.index("wind_m_per_s")] = "wind_10m_m_per_s"
            raise BadInputError(f"{name}:1: unknown column {key!r}; known: {', '.join(known)}")
    if "time" not in header or not columns:
        raise BadInputError(f"{name}:1: needs a column time and one that tells of the weather")
    return columns, height_m


def _instant(cell: str, where: str) -> int:
    text = cell.strip()
    try:
        at_s = parse(text)
    except (BadInputError, OverflowError) as error:
        raise BadInputError(f"{where}: {error}") from error
    if at_s < 0:
        raise BadInputError(f"{where}: {text!r} is before 1970")
    return at_s


def _value(cell: str, column: _Column, where: str) -> float:
    if not cell.strip():
        return math.nan
    _, low, high = QUANTITIES[column.quantity]
    try:
        value = float(cell.replace("_", "?"))
    except ValueError as error:
        raise BadInputError(f"{where}: {cell.strip()!r} is not a number") from error
    if not low <= value <= high:
        raise BadInputError(f"{where}: is {value:g}, must be within {low:g} to {high:g}")
    return value


def _records(
    starts: Ints, issues: Ints, lines: Ints, values: Float, height_m: float, name: str
) -> xr.Dataset:
    order = np.lexsort((issues, starts))
    starts, issues, lines, values = starts[order], issues[order], lines[order], values[:, order]
    twice = (np.diff(starts) == 0) & (np.diff(issues) == 0)
    if twice.any():
        line, begin = (int(one[1:][twice][0]) for one in (lines, starts))
        raise BadInputError(f"{name}:{line}: {label(begin)} stands twice in its issue")
    distinct = np.unique(starts)
    length_s = int(np.diff(distinct).min(initial=STEPS_S[-1]))
    if length_s not in STEPS_S:
        raise BadInputError(f"{name}: intervals are {length_s} s long, must be 900 or 3600")
    uneven = starts % length_s != 0
    if uneven.any():
        line, begin = (int(one[uneven][0]) for one in (lines, starts))
        raise BadInputError(f"{name}:{line}: {label(begin)} is not on a multiple of {length_s} s")
    units = {name: {"units": unit} for name, (unit, _, _) in QUANTITIES.items()}
    return xr.Dataset(
        {
            **{name: ("record", values[row], units[name]) for row, name in enumerate(QUANTITIES)},
            HEIGHT: ("record", np.full(starts.size, height_m), {"units": "m"}),
        },
        coords={
            "interval": ("record", starts.astype("datetime64[s]")),
            "issued": ("record", issues.astype("datetime64[s]")),
            "length_s": ("record", np.full(starts.size, length_s), {"units": "s"}),
        },
    )


def instants_of(weather: xr.Dataset, name: str) -> Ints:
    """Return the coordinate `name` of records in seconds UTC."""
    return weather[name].values.astype("datetime64[s]").astype(np.int64)


def by_issue(weather: xr.Dataset) -> dict[int, xr.Dataset]:
    """Return the records of each issue, by when it was issued, seconds UTC."""
    issued = instants_of(weather, "issued")
    return {
        int(one): weather.isel(record=np.flatnonzero(issued == one)) for one in np.unique(issued)
    }


def joined(parts: list[xr.Dataset]) -> xr.Dataset | None:
    """Return the records of several datasets in order, ``None`` of none."""
    if not parts:
        return None
    whole = {
        name: np.concatenate([part[name].values for part in parts])
        for name in ("interval", "issued", "length_s", *QUANTITIES, HEIGHT)
    }
    order = np.lexsort((whole["issued"], whole["interval"]))
    records = xr.Dataset(
        {name: ("record", values[order], parts[0][name].attrs) for name, values in whole.items()}
    )
    return records.set_coords(["interval", "issued", "length_s"])
