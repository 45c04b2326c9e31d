"""Between checked tables and a pandapower net."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from networks.sources.columns import COLUMNS, Column
from networks.sources.tables import Row, Tables, check_tables


def to_net(tables: Tables) -> Any:
    """Return a pandapower net of checked tables."""
    import numpy as np
    import pandapower as pp

    net = pp.create_empty_network(sn_mva=1.0)
    for row in tables["bus"]:
        placed = math.isfinite(row["longitude"]) and math.isfinite(row["latitude"])
        point = (row["longitude"], row["latitude"]) if placed else None
        pp.create_bus(net, row["vn_kv"], geodata=point, **_pick(row, "index name in_service"))
    for row in tables["line"]:
        pp.create_line_from_parameters(net, **row)
    for row in tables["trafo"]:
        tap = {
            "tap_side": row["tap_side"] or None,
            "tap_neutral": row["tap_neutral"] if row["tap_side"] else np.nan,
            "tap_pos": row["tap_pos"] if row["tap_side"] else np.nan,
            "tap_step_percent": row["tap_step_percent"] if row["tap_side"] else np.nan,
            "tap_changer_type": "Ratio" if row["tap_side"] else None,
        }
        plain = {name: value for name, value in row.items() if not name.startswith("tap_")}
        pp.create_transformer_from_parameters(net, **plain, **tap)
    for row in tables["ext_grid"]:
        pp.create_ext_grid(net, **row)
    for row in tables["switch"]:
        pp.create_switch(net, **row)
    for row in tables["load"]:
        pp.create_load(net, **row)
    return net


def _pick(row: Row, names: str) -> Row:
    return {name: row[name] for name in names.split()}


def from_net(net: Any) -> Tables:
    """Return the tables of a pandapower net: the way into a file from a SimBench grid.

    Loads keep their nominal values; plants and storages are left out.

    Raises
    ------
    BadInputError
        See :func:`networks.sources.check.check_net`.
    """
    from networks.sources.check import check_net

    check_net(net)
    made: dict[str, list[Row]] = {}
    for table, columns in COLUMNS.items():
        frame = net[table]
        made[table] = [
            _from_record(dict(record, index=int(index)), columns)
            for index, record in zip(frame.index, frame.to_dict("records"), strict=True)
        ]
    return check_tables(made)


def _from_record(record: Row, columns: Mapping[str, Column]) -> Row:
    geo = record.get("geo")
    if isinstance(geo, str):
        record["longitude"], record["latitude"] = json.loads(geo)["coordinates"][:2]
    row: Row = {}
    cast = {"int": int, "float": float, "bool": bool, "text": str}
    for name, column in columns.items():
        value = record.get(name)
        if value is None or value != value:
            continue
        row[name] = cast[column.kind](value)
    return row
