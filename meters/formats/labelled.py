"""Interval readings as NetCDF and Parquet, with units, qualities and provenance in the file.

NetCDF is the classic format in its 64-bit offset form, written by SciPy, which is here
anyway: readable by every netCDF library, without a package of its own. It knows no 64-bit
integers, so energy is 32-bit there, checked. Parquet needs the small `fastparquet`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from meters.reading import CHANNELS, MISSING
from meters.vee.quality import Quality

SCHEMA: Final = "khazri interval readings 1"
_INT32_MAX: Final = 2**31 - 1
_DIMS: Final = ("usage_point", "interval")
_EPOCH: Final = "minutes since 1970-01-01"


def described(dataset: xr.Dataset, provenance: Mapping[str, Any]) -> xr.Dataset:
    """Return the registers and the quality of a dataset, each with what it means.

    Parameters
    ----------
    dataset : Dataset, dims (usage_point, interval)
    provenance : mapping
        What is known of where the readings come from; becomes JSON.
    """
    plain = xr.Dataset(
        {name: dataset[name].transpose(*_DIMS).variable for name in (*CHANNELS, "quality")},
        coords={name: dataset[name].variable for name in _DIMS},
        attrs={"schema": SCHEMA, "provenance": json.dumps(provenance, sort_keys=True)},
    )
    for name in CHANNELS:
        unit = name.rsplit("_", 1)[1].replace("wh", "Wh")
        plain[name].attrs = {"units": unit, "missing": MISSING, "per": "interval"}
    plain["quality"].attrs = {
        "scheme": "meters.vee.Quality",
        "flag_values": [int(quality) for quality in Quality],
        "flag_meanings": " ".join(quality.name.lower() for quality in Quality),
        "iec_61968_9": " ".join(quality.code for quality in Quality),
    }
    return plain


def write_netcdf(dataset: xr.Dataset, path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write a NetCDF file; it appears whole or not at all.

    Raises
    ------
    BadInputError
        When an interval holds more than 2^31 - 1 Wh or varh.
    """
    plain = described(dataset, provenance)
    encoding: dict[str, dict[str, Any]] = {"quality": {"dtype": "int16"}}
    for name in CHANNELS:
        most = int(plain[name].max()) if plain[name].size else 0
        if most > _INT32_MAX:
            raise BadInputError(
                f"{name} {most} {plain[name].attrs['units']} must be at most {_INT32_MAX} in NetCDF"
            )
        encoding[name] = {"dtype": "int32"}
    encoding["interval"] = {"dtype": "int32", "units": _EPOCH}
    plain["quality"].attrs["flag_values"] = np.array(plain["quality"].attrs["flag_values"], "int16")
    path = Path(path)
    part = path.with_name(path.name + ".part")
    plain.to_netcdf(part, engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
    part.replace(path)


def read_netcdf(path: Path | str) -> xr.Dataset:
    """Return the dataset of :func:`write_netcdf` as it was.

    Raises
    ------
    BadInputError
        When the file is no such dataset.
    """
    try:
        with xr.open_dataset(path, engine="scipy") as opened:
            found = opened.load()
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInputError(f"{path}: is no NetCDF of ours: {error}") from error
    if found.attrs.get("schema") != SCHEMA:
        raise BadInputError(f"{path}: schema {found.attrs.get('schema')!r} must be {SCHEMA!r}")
    for name in CHANNELS:
        found[name] = found[name].astype(np.int64)
    found["quality"] = found["quality"].astype(np.uint16)
    return found.assign_coords(
        usage_point=found["usage_point"].values.astype(str),
        interval=found["interval"].values.astype("datetime64[s]"),
    )


def write_parquet(dataset: xr.Dataset, path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write one row per usage point and interval; a missing energy is null.

    Raises
    ------
    BadInputError
        When the package for it is not installed.
    """
    try:
        import fastparquet
    except ImportError as error:
        raise BadInputError(
            "Parquet needs the package 'fastparquet': pip install 'khazri[export]'"
        ) from error
    plain = described(dataset, provenance)
    frame = plain.to_dataframe(dim_order=list(_DIMS)).reset_index()
    # In whole seconds the package writes another instant without a word.
    frame["interval"] = frame["interval"].astype("datetime64[ns]").dt.tz_localize("UTC")
    for name in CHANNELS:
        column = frame[name].astype("Int64")
        frame[name] = column.mask(column == MISSING)
    facts = {name: dict(plain[name].attrs) for name in (*CHANNELS, "quality")}
    path = Path(path)
    part = path.with_name(path.name + ".part")
    fastparquet.write(
        str(part),
        frame,
        compression="ZSTD",
        write_index=False,
        custom_metadata={
            "schema": SCHEMA,
            "provenance": str(plain.attrs["provenance"]),
            "variables": json.dumps(facts, sort_keys=True),
        },
    )
    part.replace(path)
