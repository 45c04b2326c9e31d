"""A tables-only import refuses pickles, function references, absolute paths and hidden URLs.

Every file here is one that would have done something, or could have, in a reader
that makes objects or follows paths. What it would have done is also watched for.
"""

import json
import os
import pickle
import sys

import pytest

from grid.errors import BadInputError
from networks.sources.columns import COLUMNS
from networks.sources.importing import import_network
from networks.sources.tables import check_tables

FRAME = {"_module": "pandas.core.frame", "_class": "DataFrame", "orient": "split"}
BUS = {"columns": ["name", "vn_kv", "in_service"], "index": [0], "data": [["b", 0.4, True]]}
GRID = {"columns": ["bus", "vm_pu", "in_service"], "index": [0], "data": [[0, 1.0, True]]}
PLACES = [
    "/etc/passwd",
    " /etc/passwd",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "http://198.51.100.7/net.json",
    "HTTPS://example.org",
    "see ftp://example.org/x",
    "\\\\host\\share\\net.json",
    "//host/share",
    "C:\\Users\\net.json",
    "c:/net.json",
    "~/.ssh/id_rsa",
    "../../etc/passwd",
    "a/../../etc/passwd",
    "..\\..\\secret",
    "javascript:alert(1)",
    "data:text/html;base64,AAAA",
    "smb:share",
]


def frame(payload, **extra):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return {**FRAME, "_object": text, **extra}


def net(**tables):
    """Return a pandapower file of two good tables, and what a case puts beside or over them."""
    content = {
        "bus": frame(BUS),
        "ext_grid": frame(GRID),
        "version": "3.5.6",
        "format_version": "3.3.0",
        "f_hz": 50.0,
        "sn_mva": 1.0,
        "name": "",
    }
    return {
        "_module": "pandapower.auxiliary",
        "_class": "pandapowerNet",
        "_object": {**content, **tables},
    }


def refused(tmp_path, content, reason, name="net.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(BadInputError, match=reason):
        import_network(path)


def with_bus(column, value, dtype="object"):
    bus = {
        "columns": [*BUS["columns"], column],
        "index": [0],
        "data": [[*BUS["data"][0], value]],
    }
    return net(bus=frame(bus, dtype={column: dtype}))


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_the_file_that_the_cases_spoil_is_read(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(net()))
    tables = import_network(path).tables
    assert (len(tables["bus"]), tables["ext_grid"][0]["vm_pu"]) == (1, 1.0)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "name", [f"net.{end}" for end in ("json", "toml", "p", "pkl", "pickle", "dss", "xml", "zip")]
)
def test_a_pickle_is_refused_under_any_name_and_not_run(tmp_path, name, protocol):
    mark = tmp_path / "was_run"
    refused(tmp_path, pickle.dumps(Bomb(mark), protocol), r"net\.", name)
    assert not mark.exists()


OBJECTS = {
    "a module": {"_module": "os", "_class": "system", "_object": "id"},
    "a function": {"_module": "os", "_class": "function", "_object": "getcwd"},
    "a function of ours": {"_module": "networks.bench", "_class": "function", "_object": "rows"},
    "a function of a stub": {"_module": "evil_module", "_class": "function", "_object": "run"},
    "a builtin": {"_module": "builtins", "_class": "exec", "_object": "1"},
    "an object": {"_module": "pandapower.control", "_class": "ConstControl", "_object": "{}"},
    "a graph": {"_module": "networkx", "_class": "MultiGraph", "_object": {}},
    "a state": {"_module": "x", "_class": "y", "_state": {"_init": {}}},
    "a class alone": {"_class": "function", "_object": "x"},
    "a series": {"_module": "pandas.core.series", "_class": "Series", "_object": "{}"},
    "jsonpickle": {"py/object": "os.system", "py/reduce": []},
    "a reduction": {"__reduce__": ["os.system", ["id"]]},
}  # fmt: skip


@pytest.mark.parametrize("case", OBJECTS)
@pytest.mark.parametrize("where", ["table", "fact", "deep", "cell", "text cell", "dtype"])
def test_an_object_or_function_reference_is_refused_wherever_it_is(
    tmp_path, monkeypatch, case, where
):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    hidden = OBJECTS[case]
    content = {
        "table": lambda: net(line=hidden),
        "fact": lambda: net(user_pf_options=hidden),
        "deep": lambda: net(std_types={"line": {"NAYY": {"q": [1, [hidden]]}}}),
        "cell": lambda: with_bus("object", hidden),
        "text cell": lambda: with_bus("object", json.dumps(hidden)),
        "dtype": lambda: net(bus=frame(BUS, dtype=hidden)),
    }[where]()
    refused(tmp_path, content, "is never made|function or an object|is not a table")
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("where", ["cell", "left-out table", "fact", "key", "column", "payload"])
def test_a_path_or_url_is_refused_wherever_it_is(tmp_path, place, where):
    measured = {"columns": ["element_type", "value"], "index": [0], "data": [[place, 1.0]]}
    content = {
        "cell": lambda: with_bus("zone", place),
        "left-out table": lambda: net(measurement=frame(measured)),
        "fact": lambda: net(user_pf_options={"init": place}),
        "key": lambda: net(std_types={place: 1}),
        "column": lambda: with_bus(place, 1),
        # pandas opens a text that ends in .json as a file.
        "payload": lambda: net(bus=frame(place)),
    }[where]()
    refused(tmp_path, content, "is never followed|is not a table")


def test_a_file_that_a_table_names_is_not_opened(tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(BUS))
    refused(tmp_path, net(bus=frame(str(other))), "is not a table")


@pytest.mark.parametrize("place", PLACES)
def test_a_name_may_look_like_a_path_since_nothing_opens_it(tmp_path, place):
    content = net()
    content["_object"]["bus"] = frame({**BUS, "data": [[place, 0.4, True]]})
    path = tmp_path / "net.json"
    path.write_text(json.dumps(content))
    assert import_network(path).tables["bus"][0]["name"] == place


ROWS = {
    "bus": {"vn_kv": 0.4},
    "line": {
        "from_bus": 0, "to_bus": 1, "length_km": 1, "r_ohm_per_km": 1, "x_ohm_per_km": 1,
        "max_i_ka": 1,
    },
    "trafo": {
        "hv_bus": 0, "lv_bus": 1, "sn_mva": 1, "vn_hv_kv": 1, "vn_lv_kv": 1, "vk_percent": 1,
        "vkr_percent": 1, "pfe_kw": 1, "i0_percent": 1,
    },
    "ext_grid": {"bus": 0},
    "gen": {"bus": 0, "p_mw": 1},
    "switch": {"bus": 0, "element": 1, "et": "b"},
    "load": {"bus": 0, "p_mw": 1},
    "sgen": {"bus": 0, "p_mw": 1},
    "storage": {"bus": 0, "p_mw": 1},
    "shunt": {"bus": 0, "q_mvar": 1},
    "asymmetric_load": {"bus": 0},
    "asymmetric_sgen": {"bus": 0},
    "network": {},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_text_of_our_tables_but_a_name_holds_a_path_or_url(place):
    good = {table: [{"index": 0, **row}] for table, row in ROWS.items()}
    good["bus"] = [{"index": index, **ROWS["bus"]} for index in (0, 1)]
    texts = [
        (table, name)
        for table, columns in COLUMNS.items()
        for name, column in columns.items()
        if column.kind == "text"
    ]
    assert len(texts) > 20
    for table, name in texts:
        first, *others = good[table]
        spoilt = {**good, table: [{**first, name: place}, *others]}
        if name == "name":
            assert check_tables(spoilt)[table][0]["name"] == place
        else:
            with pytest.raises(BadInputError, match=f"{table} row 1: {name} is "):
                check_tables(spoilt)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (net(format_version="1.0", version="1.2.0"), "other units"),
        (net(format_version=None, version=None), "other units"),
        (net(bus=frame({**BUS, "index": [0, 0], "data": [BUS["data"][0]] * 2})), "twice"),
        (net(bus=frame({**BUS, "index": ["0"]})), "whole number"),
        (net(bus=frame({**BUS, "index": [True]})), "whole number"),
        (net(bus=frame({**BUS, "data": [["b", 0.4]]})), "must have 3 values"),
        (net(bus=frame({**BUS, "columns": ["vn_kv"] * 3})), "twice"),
        (net(bus=frame({"vn_kv": {"0": 0.4}})), "columns, index and data"),
        (net(bus=frame("[" * 100_000)), "is not a table"),
        (net(bus={**FRAME, "_object": {"bus": 1}}), "as JSON text"),
        (net(bus=frame(BUS, path_or_buf="x")), "no key 'path_or_buf'"),
        (net(bus=frame({**BUS, "data": [["b", "0.4; import os", True]]})), "vn_kv is '0.4"),
        (net(f_hz="50"), "must be a number"),
        ({"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": "{}"}, "object"),
        ({"_module": "os", "_class": "system", "_object": {}}, "not a pandapowerNet"),
        ({"_module": "pandapower.auxiliary", "_class": "pandapowerNet"}, "object of tables"),
        ({**net(), "_extra": 1}, "not a pandapowerNet"),
        ([net()], "object of tables"),
    ],
)
def test_a_malformed_pandapower_file_is_refused_with_a_reason(tmp_path, content, reason):
    refused(tmp_path, content, reason)


def test_our_table_files_say_how_a_pandapower_file_comes_in(tmp_path):
    from networks.sources.tables import read_tables

    path = tmp_path / "net.json"
    path.write_text(json.dumps(net()))
    with pytest.raises(BadInputError, match="khazri network import"):
        read_tables(path)
