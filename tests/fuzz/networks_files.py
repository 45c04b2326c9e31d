"""Targets of network files: our tables, pandapower's JSON, OpenDSS scripts, CGMES."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from networks.sources.cgmes import check_xml, unpacked
from networks.sources.dss_text import read_script
from networks.sources.pandapower_file import read_pandapower
from networks.sources.tables import check_tables, parsed
from networks.sources.validate import validate
from tests.fuzz.target import Target

_MEMORY = Path("/dev/shm")
_FOLDER = tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)


def _written(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        path = Path(_FOLDER.name) / name
        path.write_bytes(octets)
        read(path)

    return run


def _tables(path: Path) -> None:
    # What is a network is one that can be judged: any value that passes is finite and in range.
    validate(check_tables(parsed(path)))


def _pandapower(path: Path) -> None:
    read_pandapower(parsed(path), "net.json")


_ROWS: dict[str, list[dict[str, Any]]] = {
    "bus": [{"index": 0, "vn_kv": 20.0}, {"index": 1, "vn_kv": 0.4, "name": "İ"}],
    "ext_grid": [{"index": 0, "bus": 0}],
    "trafo": [
        {
            "index": 0, "hv_bus": 0, "lv_bus": 1, "sn_mva": 0.4, "vn_hv_kv": 20.0, "vn_lv_kv": 0.4,
            "vk_percent": 6.0, "vkr_percent": 1.4, "pfe_kw": 1.0, "i0_percent": 0.3,
            "tap_side": "hv", "vector_group": "Dyn5",
        }
    ],
    "switch": [{"index": 0, "bus": 0, "element": 0, "et": "t"}],
    "load": [{"index": 0, "bus": 1, "p_mw": 0.1, "const_z_p_percent": 30.0}],
}  # fmt: skip
_TOML = b"""[[bus]]
index = 0
vn_kv = 0.4
[[bus]]
index = 1
vn_kv = 0.4
[[line]]
index = 0
from_bus = 0
to_bus = 1
length_km = 0.1
r_ohm_per_km = 0.2
x_ohm_per_km = 0.08
max_i_ka = 0.27
[[ext_grid]]
index = 0
bus = 0
"""


def _frame(rows: list[dict[str, Any]]) -> dict[str, str]:
    columns = [name for name in rows[0] if name != "index"]
    payload = {
        "columns": columns,
        "index": [row["index"] for row in rows],
        "data": [[row.get(name) for name in columns] for row in rows],
    }
    frame = {"_module": "pandas.core.frame", "_class": "DataFrame", "orient": "split"}
    return {**frame, "_object": json.dumps(payload)}


def _net() -> bytes:
    content: dict[str, Any] = {name: _frame(_ROWS[name]) for name in ("bus", "ext_grid", "load")}
    content |= {"format_version": "2.14.0", "f_hz": 50.0, "std_types": {"line": {"a": {"r": 1}}}}
    net = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": content}
    return json.dumps(net).encode()


_DSS = b"""Clear
New Circuit.f basekv=11 pu=1.02 bus1=a ! head
New Line.l bus1=a.1.2.3 bus2=b length=(2 3 /) units=km rmatrix=[1 | .1 1 | .1 .1 1]
~ normamps = 200
Line.l.x1=0.1
New Loadshape.d mult=(file=d.csv)
New Load.h bus1=b kw=5 daily=d
Set VoltageBases=[11 0.4]
Buscoords x.csv
"""
_XML = b"""<?xml version="1.0" encoding="utf-8"?>
<!-- a --><r xmlns:c="http://iec.ch/TC57/2013/CIM-schema-cim16#"><c:x c:y="#z">1</c:x></r>
"""


def _script(path: Path) -> None:
    path.with_name("x.csv").write_bytes(b"a, 1, 2\n")
    read_script(path)


def _zip() -> bytes:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("EQ.xml", "<r>" + "a" * 40 + "</r>")
    return packed.getvalue()


TARGETS = {
    "network-json": Target(
        _written("net.json", _tables), (json.dumps(_ROWS).encode(),), 1500, quick=False
    ),
    "network-toml": Target(_written("net.toml", _tables), (_TOML,), 800, quick=False),
    "network-pandapower": Target(
        _written("pandapower.json", _pandapower), (_net(),), 2500, quick=False
    ),
    "network-dss": Target(_written("master.dss", _script), (_DSS,), 1000, quick=False),
    "network-xml": Target(lambda octets: check_xml(octets, "EQ.xml"), (_XML,), 400),
    "network-zip": Target(lambda octets: unpacked(octets, "net.zip"), (_zip(),), 400),
}
