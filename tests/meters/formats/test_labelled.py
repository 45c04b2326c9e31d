"""NetCDF and Parquet hold the readings exactly, with what they mean and where they come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from grid import interval
from grid.errors import BadInputError
from meters.formats.labelled import SCHEMA, described, read_netcdf, write_netcdf
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality

START = interval.parse("2026-05-01T00:00Z")
PROVENANCE = {"site": "demo", "files": {"UP-000": ["ab" * 32]}}


def readings(points: int = 3, count: int = 150) -> xr.Dataset:
    rng = np.random.default_rng(8)
    dims, shape = ("usage_point", "interval"), (points, count)
    values = {name: (dims, rng.integers(-1, 2**31, shape)) for name in CHANNELS}
    quality = rng.integers(0, len(Quality), shape).astype(np.uint16)
    return xr.Dataset(
        {**values, "quality": (dims, quality)},
        coords={
            "usage_point": [f"UP-{row:03d}" for row in range(points)],
            "interval": interval.starts(START, count, 900),
        },
    )


def test_netcdf_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    write_netcdf(readings(), path, PROVENANCE)
    found = read_netcdf(path)
    assert found.equals(readings())
    assert {name: found[name].dtype for name in CHANNELS} == dict.fromkeys(CHANNELS, np.int64)
    assert found["quality"].dtype == np.uint16
    assert [item.name for item in tmp_path.iterdir()] == ["a.nc"]


def test_netcdf_says_units_qualities_and_provenance_to_any_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    write_netcdf(readings(), path, PROVENANCE)
    with netcdf_file(str(path), mmap=False) as plain:
        assert json.loads(plain.provenance) == PROVENANCE
        assert plain.schema.decode() == SCHEMA
        assert plain.variables["import_wh"].units == b"Wh"
        assert plain.variables["export_varh"].units == b"varh"
        assert plain.variables["import_wh"].missing == MISSING
        assert plain.variables["quality"].flag_meanings.split()[1] == b"valid"
        assert plain.variables["quality"].flag_values.tolist() == [*Quality]
        assert plain.variables["interval"].units == b"minutes since 1970-01-01"
        assert int(plain.variables["interval"][0]) * 60 == START


def test_netcdf_refuses_what_its_integers_cannot_hold(tmp_path: Path) -> None:
    given = readings()
    given["import_wh"].values[0, 0] = 2**31
    with pytest.raises(BadInputError, match="import_wh 2147483648 Wh must be at most 2147483647"):
        write_netcdf(given, tmp_path / "a.nc", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"CDF", b"CDF\x02" + b"\xff" * 200, b"x" * 1000])
def test_another_file_is_no_netcdf_of_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(BadInputError):
        read_netcdf(path)


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fastparquet'] = None\n"
        "from meters.formats.labelled import write_parquet\n"
        "from grid.errors import BadInputError\n"
        "try: write_parquet(None, 'a.parquet', {})\n"
        "except BadInputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'khazri[export]'" in done.stdout


WRITE = """
import sys
import numpy as np
from meters.formats.labelled import read_netcdf, write_parquet
write_parquet(read_netcdf(sys.argv[1]), sys.argv[2], {"site": "demo"})
"""
PEER = """
import json, sys, duckdb
query = duckdb.connect()
rows = query.execute(
    "SELECT usage_point, epoch(interval)::BIGINT, import_wh, export_wh, import_varh, export_varh,"
    " quality FROM read_parquet(?) ORDER BY 1, 2", [sys.argv[1]]).fetchall()
facts = query.execute("SELECT key, value FROM parquet_kv_metadata(?)", [sys.argv[1]]).fetchall()
types = query.execute("SELECT typeof(import_wh), typeof(quality) FROM read_parquet(?) LIMIT 1",
                      [sys.argv[1]]).fetchall()
json.dump({"rows": rows, "types": types[0],
           "facts": {bytes(k).decode(): bytes(v).decode() for k, v in facts}}, sys.stdout)
"""


def test_parquet_is_read_equal_by_another_reader(tmp_path: Path, packages: Any, peer: Any) -> None:
    folder = packages("fastparquet-2026.9.0", "fastparquet==2026.9.0", "cramjam", "fsspec")
    python = peer("duckdb-2.0.1", "duckdb==2.0.1")
    write_netcdf(readings(), tmp_path / "a.nc", {})
    path = tmp_path / "a.parquet"
    paths = os.pathsep.join([str(Path.cwd()), str(folder)])
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path / "a.nc"), str(path)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [str(python), "-c", PEER, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    given = readings()
    seconds = given["interval"].values.astype("datetime64[s]").astype(int).tolist()
    expected = [
        [
            point, at_s,
            *(None if (wh := int(given[name].values[row, column])) == MISSING else wh
              for name in CHANNELS),
            int(given["quality"].values[row, column]),
        ]
        for row, point in enumerate(given["usage_point"].values.tolist())
        for column, at_s in enumerate(seconds)
    ]  # fmt: skip
    assert found["rows"] == expected
    assert found["types"] == ["BIGINT", "USMALLINT"]
    assert json.loads(found["facts"]["provenance"]) == {"site": "demo"}
    assert json.loads(found["facts"]["variables"])["import_wh"]["units"] == "Wh"
    assert found["facts"]["schema"] == SCHEMA


def test_a_description_leaves_the_readings_as_they_are() -> None:
    given = readings()
    assert described(given, PROVENANCE).equals(given)
    assert given["import_wh"].attrs == {}
