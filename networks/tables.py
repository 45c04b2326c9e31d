"""Our network file: plain tables in TOML or JSON, with strict columns.

A file is an object of tables; a table is a list of rows; a row has the columns
below and no others. The words and units are pandapower's. An untrusted network
enters only through here: nothing in it is ever code, a path or an object.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grid.errors import BadInputError

Row = dict[str, Any]
Tables = dict[str, list[Row]]

MAX_BYTES = 16_000_000
MAX_ROWS = 50_000
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, range and default (None: must be given).

    `kind` is ``int``, ``float``, ``bool``, ``text`` or ``choice``; text uses
    `choices` when there are any.
    """

    kind: str
    low: float = -math.inf
    high: float = math.inf
    default: Any = None
    choices: tuple[str, ...] = ()


_INDEX = Column("int", 0, 10**9)
_NAME = Column("text", default="")
_ON = Column("bool", default=True)
_COUNT = Column("int", 1, 1000, 1)
_DERATING = Column("float", 1e-6, 10, 1.0)

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "bus": {
        "index": _INDEX,
        "name": _NAME,
        "vn_kv": Column("float", 1e-3, 2000),
        "longitude": Column("float", -180, 180, math.nan),
        "latitude": Column("float", -90, 90, math.nan),
        "in_service": _ON,
    },
    "line": {
        "index": _INDEX,
        "name": _NAME,
        "from_bus": _INDEX,
        "to_bus": _INDEX,
        "length_km": Column("float", 1e-9, 1e5),
        "r_ohm_per_km": Column("float", 0, 1e6),
        "x_ohm_per_km": Column("float", -1e6, 1e6),
        "c_nf_per_km": Column("float", 0, 1e9, 0.0),
        "g_us_per_km": Column("float", 0, 1e9, 0.0),
        "max_i_ka": Column("float", 1e-9, 1e9),
        "df": _DERATING,
        "parallel": _COUNT,
        "in_service": _ON,
    },
    "trafo": {
        "index": _INDEX,
        "name": _NAME,
        "hv_bus": _INDEX,
        "lv_bus": _INDEX,
        "sn_mva": Column("float", 1e-6, 1e5),
        "vn_hv_kv": Column("float", 1e-3, 2000),
        "vn_lv_kv": Column("float", 1e-3, 2000),
        "vk_percent": Column("float", 1e-6, 100),
        "vkr_percent": Column("float", 0, 100),
        "pfe_kw": Column("float", 0, 1e6),
        "i0_percent": Column("float", 0, 100),
        "shift_degree": Column("float", -360, 360, 0.0),
        "tap_side": Column("text", default="", choices=("", "hv", "lv")),
        "tap_neutral": Column("float", -1000, 1000, 0.0),
        "tap_pos": Column("float", -1000, 1000, 0.0),
        "tap_step_percent": Column("float", 0, 50, 0.0),
        "df": _DERATING,
        "parallel": _COUNT,
        "in_service": _ON,
    },
    "ext_grid": {"index": _INDEX, "name": _NAME, "bus": _INDEX, "in_service": _ON},
    "switch": {
        "index": _INDEX,
        "name": _NAME,
        "bus": _INDEX,
        "element": _INDEX,
        "et": Column("text", choices=("b", "l", "t")),
        "closed": _ON,
    },
    "load": {
        "index": _INDEX,
        "name": _NAME,
        "bus": _INDEX,
        "p_mw": Column("float", -1e5, 1e5),
        "q_mvar": Column("float", -1e5, 1e5, 0.0),
        "in_service": _ON,
    },
}
_REQUIRED = ("bus", "ext_grid")
_BUS_COLUMNS = ("bus", "from_bus", "to_bus", "hv_bus", "lv_bus")


def read_bytes(path: Path) -> bytes:
    """Return a network file's bytes.

    Raises
    ------
    BadInputError
        When it cannot be read or is larger than :data:`MAX_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"network file {path}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise BadInputError(f"network file {path} is larger than {MAX_BYTES} bytes")
    return content


def read_tables(path: Path) -> Tables:
    """Return the checked tables of a ``.toml`` or ``.json`` network file, defaults filled in.

    Raises
    ------
    BadInputError
        Naming the file, table, row and column that is wrong.
    """
    content = read_bytes(path)
    if path.suffix not in (".toml", ".json"):
        raise BadInputError(f"network file {path} must end in .toml or .json")
    try:
        text = content.decode()
        given = tomllib.loads(text) if path.suffix == ".toml" else _strict_json(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"network file {path}: {error}") from error
    return check_tables(given, str(path))


def _strict_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("an object names a column twice")
        return made

    return json.loads(text, object_pairs_hook=unique)


def check_tables(given: Any, subject: str = "network") -> Tables:
    """Return tables with defaults filled in, after checking columns, ranges and references.

    Raises
    ------
    BadInputError
        Naming the table, row and column that is wrong.
    """
    if not isinstance(given, dict):
        raise BadInputError(f"{subject}: must be an object of tables")
    unknown = sorted(set(given) - set(COLUMNS))
    if unknown:
        raise BadInputError(f"{subject}: unknown table {unknown[0]!r}")
    tables: Tables = {}
    for name, columns in COLUMNS.items():
        rows = given.get(name, [])
        if not isinstance(rows, list):
            raise BadInputError(f"{subject}: table {name} must be a list of rows")
        if len(rows) > MAX_ROWS:
            raise BadInputError(f"{subject}: table {name} has {len(rows)} rows, limit {MAX_ROWS}")
        if not rows and name in _REQUIRED:
            raise BadInputError(f"{subject}: table {name} is missing")
        tables[name] = [
            _check_row(row, columns, f"{subject}: {name} row {number}")
            for number, row in enumerate(rows, start=1)
        ]
        indices = [row["index"] for row in tables[name]]
        if len(set(indices)) != len(indices):
            twice = next(index for index in indices if indices.count(index) > 1)
            raise BadInputError(f"{subject}: {name} {twice} is there twice")
    _check_references(tables, subject)
    return tables


def _check_row(row: Any, columns: Mapping[str, Column], subject: str) -> Row:
    if not isinstance(row, dict):
        raise BadInputError(f"{subject}: must be an object of columns")
    unknown = sorted(set(row) - set(columns))
    if unknown:
        raise BadInputError(f"{subject}: unknown column {unknown[0]!r}")
    checked: Row = {}
    for name, column in columns.items():
        if name in row:
            checked[name] = _check_value(row[name], column, f"{subject}: {name}")
        elif column.default is None:
            raise BadInputError(f"{subject}: column {name} is missing")
        else:
            checked[name] = column.default
    return checked


def _check_value(value: Any, column: Column, subject: str) -> Any:
    if column.kind == "bool":
        if not isinstance(value, bool):
            raise BadInputError(f"{subject} is {value!r}, must be true or false")
        return value
    if column.kind == "text":
        if not isinstance(value, str) or len(value) > MAX_TEXT or not (value.isprintable()):
            raise BadInputError(f"{subject} must be a printable text up to {MAX_TEXT} characters")
        if column.choices and value not in column.choices:
            raise BadInputError(f"{subject} is {value!r}, must be one of {list(column.choices)}")
        return value
    numeric = (int,) if column.kind == "int" else (int, float)
    if isinstance(value, bool) or not isinstance(value, numeric):
        raise BadInputError(f"{subject} is {value!r:.40}, must be a number ({column.kind})")
    if not column.low <= value <= column.high:
        raise BadInputError(
            f"{subject} is {value!r:.40}, must be within {column.low:g} to {column.high:g}"
        )
    return value if column.kind == "int" else float(value)


def _check_references(tables: Tables, subject: str) -> None:
    known = {name: {row["index"] for row in rows} for name, rows in tables.items()}
    for name, rows in tables.items():
        for row in rows:
            for column in _BUS_COLUMNS:
                if column in row and row[column] not in known["bus"]:
                    raise BadInputError(
                        f"{subject}: {name} {row['index']}: {column} {row[column]} is not a bus"
                    )
    joined = {"b": "bus", "l": "line", "t": "trafo"}
    ends = {
        (table, row["index"]): {row[a], row[b]}
        for table, a, b in (("line", "from_bus", "to_bus"), ("trafo", "hv_bus", "lv_bus"))
        for row in tables[table]
    }
    for (table, index), buses in ends.items():
        if len(buses) == 1:
            raise BadInputError(f"{subject}: {table} {index} starts and ends at one bus")
    for row in tables["switch"]:
        table = joined[row["et"]]
        where = f"{subject}: switch {row['index']}"
        if row["element"] not in known[table]:
            raise BadInputError(f"{where}: element {row['element']} is not a {table}")
        if table != "bus" and row["bus"] not in ends[table, row["element"]]:
            raise BadInputError(f"{where}: bus {row['bus']} is no end of {table} {row['element']}")


def write_tables(tables: Tables, path: Path) -> None:
    """Write checked tables as ``.toml`` or ``.json``; what equals a default is left out.

    Raises
    ------
    BadInputError
        When the tables are not valid, or the name ends otherwise.
    """
    tables = check_tables(
        {name: [_shortened(row, COLUMNS[name]) for row in rows] for name, rows in tables.items()}
    )
    short = {
        name: [_shortened(row, COLUMNS[name]) for row in rows]
        for name, rows in tables.items()
        if rows
    }
    if path.suffix == ".json":
        path.write_text(json.dumps(short, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    elif path.suffix == ".toml":
        blocks = [
            "\n".join([f"[[{name}]]", *(f"{key} = {_toml(value)}" for key, value in row.items())])
            for name, rows in short.items()
            for row in rows
        ]
        path.write_text("\n\n".join(blocks) + "\n")
    else:
        raise BadInputError(f"network file {path} must end in .toml or .json")


def _shortened(row: Row, columns: Mapping[str, Column]) -> Row:
    return {
        name: value
        for name, value in row.items()
        if name not in columns or not _is_default(value, columns[name].default)
    }


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(default, float) and math.isnan(default):
        return isinstance(value, float) and math.isnan(value)
    return default is not None and type(value) is type(default) and bool(value == default)


def _toml(value: Any) -> str:
    # A JSON text without control characters is a TOML basic string too.
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


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
        See :func:`networks.compile.check_net`.
    """
    from networks.compile import check_net

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
