"""pandapower's own JSON, read as plain tables.

``pandapower.from_json`` makes objects and functions that a file names and opens
other files by path. This reader parses text: the tables it knows are taken column by
column into ours, the others are looked through for what is refused
(:mod:`networks.sources.hostile`) and left out.

A file is ``{"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object":
{table: frame, fact: value, ...}}``, a frame ``{"_module": "pandas.core.frame", "_class":
"DataFrame", "_object": "<JSON text of columns, index and data>", "orient": "split", ...}``.
"""

from __future__ import annotations

import math
import re
from typing import Any

from grid.errors import BadInputError, Finding, Severity
from networks.sources.exchange import TABLES, from_records
from networks.sources.hostile import refuse_objects
from networks.sources.tables import MAX_ROWS, Row, Tables, strict_json

_NET = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet"}
_FRAME_MODULES = ("pandas.core.frame", "pandas")
_FRAME_KEYS = {
    "_module", "_class", "_object", "orient", "dtype", "is_multiindex", "is_multicolumn",
    "index_name", "index_names", "column_name", "column_names",
}  # fmt: skip
_READ = {*TABLES, "bus_geodata"}
# Since then powers are in MW; older files are in kW.
_OLDEST = (2, 0)
_TYPED_TAPS = (3, 0)


def is_pandapower(given: Any) -> bool:
    """Return whether parsed JSON is meant as a pandapower net."""
    return isinstance(given, dict) and "_module" in given


def read_pandapower(given: Any, subject: str) -> tuple[Tables, list[Finding]]:
    """Return the tables of a parsed pandapower file, and what was left out.

    Parameters
    ----------
    given : parsed JSON
    subject : str
        How the file is named in messages.

    Returns
    -------
    tables : Tables
    findings : list of Finding
        ``network.import.left_out`` for each table with rows that ours has no place for.

    Raises
    ------
    BadInputError
        Naming the table and what it holds that is never read: a module, class or
        function, a path or URL, a value that is not one, an element without a table.
    """
    if not isinstance(given, dict) or {**given, "_object": 0} != {**_NET, "_object": 0}:
        raise BadInputError(f"{subject}: is not a pandapowerNet of pandapower.auxiliary")
    content = given.get("_object")
    if not isinstance(content, dict):
        raise BadInputError(f"{subject}: the pandapowerNet is not an object of tables")
    records: dict[str, list[Row]] = {}
    findings = []
    for name, value in content.items():
        at = f"{subject}: {name!r:.40}"
        if isinstance(value, dict) and ("_module" in value or "_class" in value):
            payload = _payload(value, at)
            if name in _READ:
                records[name] = _records(payload, at)
            elif _rows(payload) and not name.startswith(("res_", "_")):
                findings.append(_left_out(name, _rows(payload), subject))
        else:
            refuse_objects({name: value}, at)
    version = _version(content.get("format_version", content.get("version")), subject)
    _modernise(records, version)
    facts: dict[str, Any] = {
        name: _number(content.get(name), f"{subject}: {name}") for name in ("f_hz", "sn_mva")
    }
    facts["name"] = _text(content.get("name"))
    return from_records(records, facts, subject), findings


def _payload(frame: Row, subject: str) -> Any:
    if frame.get("_module") not in _FRAME_MODULES or frame.get("_class") != "DataFrame":
        refuse_objects(frame, subject)
    unknown = sorted(set(frame) - _FRAME_KEYS)
    if unknown:
        raise BadInputError(f"{subject}: a frame has no key {unknown[0]!r:.40}")
    refuse_objects({key: frame[key] for key in set(frame) - {*_NET, "_object"}}, subject)
    text = frame.get("_object")
    if not isinstance(text, str):
        raise BadInputError(f"{subject}: a frame holds its table as JSON text")
    try:
        payload = strict_json(text)
    except (ValueError, RecursionError) as error:
        # pandas opens a text that is not JSON as a file.
        raise BadInputError(f"{subject}: {text!r:.40} is not a table: {error}") from error
    _look_through(payload, subject)
    return payload


def _look_through(payload: Any, subject: str) -> None:
    """Refuse what is never read, in each cell of a table but those of names."""
    columns = payload.get("columns") if isinstance(payload, dict) else None
    data = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(columns, list) or not isinstance(data, list):
        refuse_objects(payload, subject)
        return
    refuse_objects({k: v for k, v in payload.items() if k != "data"}, subject)
    for row in data:
        if not isinstance(row, list) or len(row) != len(columns):
            refuse_objects(row, subject)
            continue
        for column, cell in zip(columns, row, strict=True):
            if isinstance(cell, (str, dict, list)):
                refuse_objects(cell, f"{subject} {column!r:.40}", free=column == "name")


def _rows(payload: Any) -> int:
    rows = payload.get("index") if isinstance(payload, dict) else payload
    return len(rows) if isinstance(rows, list) else 0


def _records(payload: Any, subject: str) -> list[Row]:
    """Return a table's rows, each an object of its columns and ``index``."""
    if not isinstance(payload, dict) or sorted(payload) != ["columns", "data", "index"]:
        raise BadInputError(f"{subject}: must have columns, index and data (orient 'split')")
    columns, index, data = payload["columns"], payload["index"], payload["data"]
    if not all(isinstance(part, list) for part in (columns, index, data)):
        raise BadInputError(f"{subject}: columns, index and data must be lists")
    if not all(isinstance(name, str) for name in columns) or len(set(columns)) != len(columns):
        raise BadInputError(f"{subject}: a column is no text, or is there twice")
    if len(index) > MAX_ROWS:
        raise BadInputError(f"{subject}: has {len(index)} rows, limit {MAX_ROWS}")
    if len(index) != len(data):
        raise BadInputError(f"{subject}: has {len(index)} indices and {len(data)} rows")
    made = []
    for number, row in zip(index, data, strict=True):
        if not isinstance(number, int) or isinstance(number, bool):
            raise BadInputError(f"{subject}: index {number!r:.40} must be a whole number")
        if not isinstance(row, list) or len(row) != len(columns):
            raise BadInputError(f"{subject} {number}: must have {len(columns)} values")
        made.append(dict(zip(columns, row, strict=True), index=number))
    return made


def _version(value: Any, subject: str) -> tuple[int, int]:
    found = re.match(r"(\d{1,4})\.(\d{1,4})", value) if isinstance(value, str) else None
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < _OLDEST:
        raise BadInputError(
            f"{subject}: format version {value!r:.20} is older than 2.0, which has other units; "
            "save it again with a newer pandapower"
        )
    return version


def _modernise(records: dict[str, list[Row]], version: tuple[int, int]) -> None:
    """Bring what older versions wrote to today's columns, as pandapower does when it loads."""
    places = {row["index"]: (row.get("x"), row.get("y")) for row in records.pop("bus_geodata", ())}
    for row in records.get("bus", ()):
        point = places.get(row["index"])
        if point and row.get("geo") is None and all(isinstance(at, (int, float)) for at in point):
            row["geo"] = f'{{"coordinates": [{point[0]!r}, {point[1]!r}]}}'
    for row in records.get("load", ()):
        for kind in ("z", "i"):
            share = row.pop(f"const_{kind}_percent", None)
            if share is not None:
                row.setdefault(f"const_{kind}_p_percent", share)
                row.setdefault(f"const_{kind}_q_percent", share)
    if version < _TYPED_TAPS:
        for row in records.get("trafo", ()):
            row.setdefault("tap_changer_type", _tap_changer_type(row))


def _tap_changer_type(row: Row) -> str | None:
    percent, degree = (
        value if isinstance(value, (int, float)) and math.isfinite(value) else 0
        for value in (row.get("tap_step_percent"), row.get("tap_step_degree"))
    )
    if percent:
        return "Symmetrical" if degree == 90 else "Ratio"
    return "Ideal" if degree else None


def _number(value: Any, subject: str) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise BadInputError(f"{subject} is {value!r:.40}, must be a number")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _left_out(name: str, rows: int, subject: str) -> Finding:
    return Finding(
        "network.import.left_out",
        f"table {name[:40]}",
        "",
        Severity.INFO,
        f"{subject}: {rows} rows of {name[:40]!r} are left out, a network file has no such table",
    )
