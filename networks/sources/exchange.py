"""Between checked tables and a pandapower net.

Tables to net and back give equal tables; net to tables and back gives the same
power flow, balanced and three-phase, and the same short circuit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from grid.errors import BadInputError
from networks.sources.columns import COLUMNS, Column
from networks.sources.tables import Row, Tables, check_tables

PLACE = ("longitude", "latitude", "x", "y")
# What pandapower gives a column of its own that the file does not have.
_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "ext_grid": {"slack_weight": 1.0},
    "gen": {"controllable": True, "slack_weight": 0.0},
}
# These act in pandapower, and the file has no table for them.
NO_TABLE = (
    "trafo3w", "ward", "xward", "impedance", "dcline", "motor", "svc", "ssc", "tcsc", "vsc",
    "vsc_stacked", "vsc_bipolar", "line_dc", "load_dc", "source_dc",
)  # fmt: skip
TABLES = (*(name for name in COLUMNS if name != "network"), *NO_TABLE, "controller")
"""The frames of a pandapower net that :func:`from_records` looks at."""

_NO_COLUMN = (
    ("trafo", "tap_dependency_table"), ("trafo", "tap2_side"), ("shunt", "step_dependency_table"),
    ("load", "const_z_percent"), ("load", "const_i_percent"), ("line", "tdpf"),
)  # fmt: skip
# pandapower takes these as 0 or as not there when they are missing.
_MAY_MISS = ("tap_", "const_", "z_ohm", "min_e_mwh", "step", "max_step", "f_hz", "sn_mva")


def to_net(tables: Tables) -> Any:
    """Return a pandapower net of checked tables, with acting taps."""
    import pandapower as pp

    net = pp.create_empty_network(sn_mva=1.0)
    for row in tables["network"]:
        net["name"], net["f_hz"], net["sn_mva"] = row["name"], row["f_hz"], row["sn_mva"]
    for table, columns in COLUMNS.items():
        rows = tables[table]
        if rows and table != "network":
            net[table] = _frame(net[table], table, rows, columns)
    _place(net.bus, tables["bus"])
    return net


def _frame(empty: Any, table: str, rows: list[Row], columns: Mapping[str, Column]) -> Any:
    """Return `rows` as pandapower's frame: its own columns, and ours where one is in use."""
    import numpy as np
    import pandas as pd

    index = pd.Index([row["index"] for row in rows], dtype=np.int64)
    made: dict[str, Any] = {}
    for name, column in columns.items():
        values = [row[name] for row in rows]
        if name == "index" or name in PLACE:
            continue
        if name not in empty.columns and all(_same(value, column.default) for value in values):
            continue
        if column.kind == "text":
            made[name] = pd.Series([value or None for value in values], index, dtype=object)
        else:
            dtype = {"int": np.int64, "float": np.float64, "bool": np.bool_}[column.kind]
            if name in empty.columns and empty[name].dtype.kind in "iufb":
                dtype = empty[name].dtype
            made[name] = pd.Series(np.array(values, dtype=dtype), index)
    if table == "trafo":
        _no_tap_without_side(made)
    for name in empty.columns:
        if name not in made:
            made[name] = _filled(_GIVEN.get(table, {}).get(name), empty[name].dtype, index)
    order = [*empty.columns, *(name for name in made if name not in empty.columns)]
    return pd.DataFrame({name: made[name] for name in order}, index=index)


def _filled(value: Any, dtype: Any, index: Any) -> Any:
    import pandas as pd

    if value is None:
        value = {"f": math.nan, "b": False}.get(getattr(dtype, "kind", "O"))
    return pd.Series([value] * len(index), index, dtype=dtype)


def _no_tap_without_side(made: dict[str, Any]) -> None:
    bare = made["tap_side"].isna()
    made["tap_changer_type"][bare] = None
    for name in COLUMNS["trafo"]:
        if name.startswith("tap_") and COLUMNS["trafo"][name].kind == "float":
            made[name][bare] = math.nan


def _place(bus: Any, rows: list[Row]) -> None:
    for pair in (("longitude", "latitude"), ("x", "y")):
        points = {row["index"]: [row[name] for name in pair] for row in rows}
        placed = {index: point for index, point in points.items() if all(map(math.isfinite, point))}
        if pair == ("x", "y") and placed:
            # Kept as columns too: a point alone does not say whether it is on Earth.
            for at, name in enumerate(pair):
                bus[name] = [points[row["index"]][at] for row in rows]
        for index, point in placed.items():
            if bus.at[index, "geo"] is None:
                bus.at[index, "geo"] = json.dumps({"coordinates": point, "type": "Point"})


def _same(value: Any, default: Any) -> bool:
    return bool(value == default) or (value != value and default != default)


def from_net(net: Any) -> Tables:
    """Return the tables of a pandapower net: the way into a file from a SimBench grid.

    Raises
    ------
    BadInputError
        See :func:`from_records`.
    """
    frames = {name: net[name] for name in TABLES if name in net}
    records = {
        name: [
            dict(record, index=int(index))
            for index, record in zip(frame.index, frame.to_dict("records"), strict=True)
        ]
        for name, frame in frames.items()
    }
    return from_records(records, {name: net.get(name) for name in COLUMNS["network"]})


def from_records(
    records: Mapping[str, list[Row]], facts: Mapping[str, Any], subject: str = "network"
) -> Tables:
    """Return the tables of what pandapower's frames hold, by table one record a row.

    Results, costs, standard types, profiles and the names of kinds that the
    columns do not know are left out; so is an element out of service for which
    the file has no table.

    Parameters
    ----------
    records : mapping of str to list of dict
        Missing values are None or NaN.
    facts : mapping
        `name`, `f_hz` and `sn_mva` of the network, where they are known.
    subject : str
        How the network is named in messages.

    Raises
    ------
    BadInputError
        Naming an element in service that the file has no table or column for, a
        controller, or a value that is missing or out of range.
    """
    for table in NO_TABLE:
        for record in records.get(table, ()):
            if record.get("in_service", True):
                raise BadInputError(
                    f"{table} {record['index']}: the network file has no table for a {table}"
                )
    for table, column in _NO_COLUMN:
        for record in records.get(table, ()):
            value = record.get(column)
            if value is not None and value == value and value not in (False, 0, ""):
                raise BadInputError(
                    f"{table} {record['index']}: {column} is {value!r:.40}, which the network "
                    "file cannot hold"
                )
    for record in records.get("controller", ()):
        raise BadInputError(
            f"controller {record['index']}: a controller acts on this network, and the network "
            "file has none; take it out, and the last position of what it moved stays"
        )
    made: dict[str, list[Row]] = {
        table: [_row(dict(record), columns, table) for record in records.get(table, ())]
        for table, columns in COLUMNS.items()
        if table != "network"
    }
    _agree_on_places(made["bus"])
    made["network"] = [_row(dict(facts, index=0), COLUMNS["network"], "network")]
    return check_tables(made, subject)


def _row(record: Row, columns: Mapping[str, Column], table: str) -> Row:
    """Return one record of a pandapower frame as a row, with what the file has a column for."""
    if table == "bus" and not all(_finite(record.get(name)) for name in ("x", "y")):
        record |= _point(record.get("geo"))
    row: Row = {}
    cast = {"int": int, "float": float, "bool": bool, "text": str}
    for name, column in columns.items():
        value = record.get(name)
        if value is None or value != value:
            if name in record and _means_something(column, name):
                raise BadInputError(f"{table} {record['index']}: {name} is missing")
            continue
        try:
            row[name] = cast[column.kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInputError(
                f"{table} {record['index']}: {name} is {value!r:.40}, must be a {column.kind}"
            ) from error
        if name == "type" and not _known(row[name], column):
            del row[name]
    if table == "trafo" and row.get("tap_side"):
        row.setdefault("tap_changer_type", "")
    return row


def _means_something(column: Column, name: str) -> bool:
    """Return whether a value that is missing may not be taken as the column's default."""
    number = column.kind in ("int", "float") and column.default == column.default
    return number and not name.startswith(_MAY_MISS)


def _known(value: str, column: Column) -> bool:
    return value in column.choices or bool(column.pattern and re.fullmatch(column.pattern, value))


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _point(geo: Any) -> Row:
    """Return the place that a GeoJSON point tells, empty for none."""
    try:
        given = json.loads(geo)["coordinates"][:2] if isinstance(geo, str) else ()
        longitude, latitude = (float(value) for value in given)
    except (TypeError, ValueError, KeyError, RecursionError):
        return {}
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        return {}
    return {"longitude": longitude, "latitude": latitude}


def _agree_on_places(rows: list[Row]) -> None:
    """Take all points as ones of a plane when one of them cannot be on Earth."""
    if all(abs(r.get("longitude", 0)) <= 180 and abs(r.get("latitude", 0)) <= 90 for r in rows):
        return
    for row in rows:
        if "longitude" in row:
            row["x"], row["y"] = row.pop("longitude"), row.pop("latitude")
