"""Our network file: plain tables in TOML or JSON, with strict columns.

A file is an object of tables; a table is a list of rows; a row has the columns of
:mod:`networks.sources.columns` and no others. The words and units are
pandapower's. An untrusted network enters only through here: nothing in it is
ever code, a path or an object.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grid.errors import BadInputError
from networks.sources.columns import COLUMNS, Column

Row = dict[str, Any]
Tables = dict[str, list[Row]]

MAX_BYTES = 16_000_000
MAX_ROWS = 50_000
MAX_TEXT = 200


_BUS_COLUMNS = ("bus", "from_bus", "to_bus", "hv_bus", "lv_bus")
_TAP = tuple(name for name in COLUMNS["trafo"] if name.startswith("tap_"))


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
    return check_tables(parsed(path), str(path))


def parsed(path: Path) -> Any:
    """Return what a ``.toml`` or ``.json`` file says, not yet checked.

    Raises
    ------
    BadInputError
        When it cannot be read, is too large, or is no text of its kind.
    """
    content = read_bytes(path)
    if path.suffix not in (".toml", ".json"):
        raise BadInputError(
            f"network file {path} must end in .toml or .json; other formats come in with 'khazri "
            "network import'"
        )
    try:
        text = content.decode()
        return tomllib.loads(text) if path.suffix == ".toml" else strict_json(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"network file {path}: {error!s:.200}") from error


def strict_json(text: str) -> Any:
    """Return parsed JSON; an object that names a key twice is a ValueError."""

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
        hint = ""
        if "_module" in given:
            hint = "; a file of pandapower is imported with 'khazri network import'"
        raise BadInputError(f"{subject}: unknown table {unknown[0]!r:.60}{hint}")
    tables: Tables = {}
    for name, columns in COLUMNS.items():
        rows = given.get(name, [])
        if not isinstance(rows, list):
            raise BadInputError(f"{subject}: table {name} must be a list of rows")
        if len(rows) > MAX_ROWS:
            raise BadInputError(f"{subject}: table {name} has {len(rows)} rows, limit {MAX_ROWS}")
        if not rows and name == "bus":
            raise BadInputError(f"{subject}: table bus is missing")
        tables[name] = [
            _check_row(row, columns, f"{subject}: {name} row {number}")
            for number, row in enumerate(rows, start=1)
        ]
        indices = [row["index"] for row in tables[name]]
        if len(set(indices)) != len(indices):
            twice = next(index for index in indices if indices.count(index) > 1)
            raise BadInputError(f"{subject}: {name} {twice} is there twice")
    if not tables["ext_grid"] and not any(row["slack"] for row in tables["gen"]):
        raise BadInputError(f"{subject}: table ext_grid is missing, and no gen is a slack")
    _check_references(tables, subject)
    _check_shares(tables, subject)
    return _plain(tables)


def _plain(tables: Tables) -> Tables:
    """Return `tables` in one form for one meaning.

    A tap without a side is no tap, half a place is no place, and a place on Earth
    needs none in a plane.
    """
    for row in tables["trafo"]:
        if not row["tap_side"]:
            row |= {name: COLUMNS["trafo"][name].default for name in _TAP}
    for row in tables["bus"]:
        for pair in (("longitude", "latitude"), ("x", "y")):
            half = any(math.isnan(row[name]) for name in pair)
            beside = pair == ("x", "y") and not math.isnan(row["longitude"])
            if half or beside:
                row |= dict.fromkeys(pair, math.nan)
    columns = COLUMNS["network"]
    tables["network"] = [
        row
        for row in tables["network"]
        if any(row[name] != column.default for name, column in columns.items())
    ]
    return tables


def _check_row(row: Any, columns: Mapping[str, Column], subject: str) -> Row:
    if not isinstance(row, dict):
        raise BadInputError(f"{subject}: must be an object of columns")
    unknown = sorted(set(row) - set(columns))
    if unknown:
        raise BadInputError(f"{subject}: unknown column {unknown[0]!r:.60}")
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
        if column.pattern and value and not re.fullmatch(column.pattern, value):
            raise BadInputError(f"{subject} is {value!r}, must match {column.pattern}")
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


def _check_shares(tables: Tables, subject: str) -> None:
    for row in tables["load"]:
        for power in "pq":
            share = row[f"const_z_{power}_percent"] + row[f"const_i_{power}_percent"]
            if share > 100:
                raise BadInputError(
                    f"{subject}: load {row['index']}: const_z_{power}_percent and "
                    f"const_i_{power}_percent add up to {share:g}, must be at most 100"
                )


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
