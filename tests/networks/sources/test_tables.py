import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grid.errors import BadInputError
from networks.sources.exchange import from_net
from networks.sources.source import load
from networks.sources.tables import check_tables, read_tables, write_tables


def _two_bus(**line):
    return {
        "bus": [{"index": 1, "vn_kv": 0.4}, {"index": 2, "vn_kv": 0.4, "name": "İçərişəhər \"2\""}],
        "ext_grid": [{"index": 0, "bus": 1}],
        "line": [
            {
                "index": 12, "name": "Line 3", "from_bus": 1, "to_bus": 2, "length_km": 0.1,
                "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "max_i_ka": 0.27,
            } | line
        ],
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_simbench_grid_survives_the_file(
    rural, rural_net, random_inputs, solve, tmp_path, suffix
):
    path = tmp_path / f"net{suffix}"
    tables = from_net(rural_net())
    write_tables(tables, path)
    # As text, because a coordinate that is not there is NaN.
    assert json.dumps(read_tables(path)) == json.dumps(tables)
    again = load(f"file:{path.name}", source_voltage_pu=1.015, base_dir=tmp_path)
    inputs = random_inputs(rural, 5)
    ours, theirs = solve(again, inputs), solve(rural, inputs)
    for name in ("vm_pu", "line_loading_percent", "trafo_loading_percent", "losses_kw"):
        assert np.abs(ours[name] - theirs[name]).max() < 1e-9
    assert again.bus_name == rural.bus_name
    assert again.equipment.geographic
    assert np.allclose(again.equipment.x, rural.equipment.x)


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_names_in_any_script_survive_the_file(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_tables(_two_bus(), path)
    assert read_tables(path)["bus"][1]["name"] == 'İçərişəhər "2"'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "object of tables"),
        ('{"_module": "pandapower.auxiliary", "_class": "pandapowerNet"}', "unknown table"),
        ('{"bus": [{"index": 1, "vn_kv": 0.4, "py/object": "os.system"}]}', "unknown column"),
        ('{"bus": [{"index": 1, "vn_kv": NaN}]}', "vn_kv"),
        ('{"bus": [{"index": 1, "vn_kv": Infinity}]}', "vn_kv"),
        ('{"bus": [{"index": 1, "vn_kv": "0.4"}]}', "must be a number"),
        ('{"bus": [{"index": true, "vn_kv": 0.4}]}', "must be a number"),
        ('{"bus": [{"index": 1.0, "vn_kv": 0.4}]}', "must be a number"),
        ('{"bus": [{"index": 1, "vn_kv": 0.4, "vn_kv": 0.5}]}', "twice"),
        ('{"bus": [{"index": 1, "vn_kv": 0.4}, {"index": 1, "vn_kv": 0.4}]}', "missing|twice"),
        ('{"bus": {"index": 1}}', "list of rows"),
        ('{"bus": [1]}', "object of columns"),
        ('{"bus": [{"index": 1}]}', "vn_kv is missing"),
        ('{"bus": [{"index": 1, "vn_kv": 0.4}]}', "ext_grid is missing"),
        ('{"bus": [' + "1," * 60_000 + "1]}", "rows"),
        ("[" * 100_000, "network file"),
        ("1" * 5000, "network file"),
        ("\x00", "network file"),
    ],
)
def test_a_hostile_file_is_refused_with_a_reason(tmp_path, text, reason):
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match=reason):
        read_tables(path)


def test_a_file_that_is_too_large_or_of_another_kind_is_refused(tmp_path):
    big = tmp_path / "big.json"
    big.write_bytes(b" " * 16_000_001)
    with pytest.raises(BadInputError, match="larger"):
        read_tables(big)
    other = tmp_path / "net.p"
    other.write_bytes(b"\x80\x04")
    with pytest.raises(BadInputError, match="end in"):
        read_tables(other)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"length_km": 0.0}, "line row 1: length_km"),
        ({"length_km": float("nan")}, "line row 1: length_km"),
        ({"to_bus": 7}, "line 12: to_bus 7 is not a bus"),
        ({"to_bus": 1}, "line 12 starts and ends at one bus"),
        ({"r_ohm_per_km": -1.0}, "line row 1: r_ohm_per_km"),
        ({"std_type": "NAYY"}, "unknown column 'std_type'"),
        ({"parallel": 0}, "parallel"),
    ],
)
def test_a_line_that_cannot_be_names_itself(line, reason):
    with pytest.raises(BadInputError, match=reason):
        check_tables(_two_bus(**line))


def test_a_line_without_impedance_names_itself(tmp_path):
    path = tmp_path / "net.json"
    write_tables(_two_bus(r_ohm_per_km=0.0, x_ohm_per_km=0.0), path)
    with pytest.raises(BadInputError, match="line 12 'Line 3': has no impedance"):
        load(f"file:{path}", source_voltage_pu=1.0)


@pytest.mark.parametrize(
    ("table", "column", "value", "reason"),
    [
        ("line", "length_km", 0.0, r"line \d+ '.+': length_km is 0.0"),
        ("load", "p_mw", float("nan"), r"load \d+ '.+': p_mw is nan"),
    ],
)
def test_a_bad_element_of_a_pandapower_net_names_itself(rural_net, table, column, value, reason):
    from networks.sources.compile import compile_net

    net = rural_net()
    net[table].loc[net[table].index[3], column] = value
    with pytest.raises(BadInputError, match=reason):
        compile_net(net, source="x", base_dir=None)


def test_a_network_without_coordinates_is_laid_out_as_a_tree(tmp_path):
    path = tmp_path / "net.json"
    write_tables(_two_bus(), path)
    model = load(f"file:{path}", source_voltage_pu=1.0)
    assert not model.equipment.geographic
    assert model.equipment.y.tolist() == [0.0, 1.0]
    assert model.lv_bus == model.slack_bus == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["bus", "line", "index", "vn_kv", "name", "ext_grid", "py/object"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(_json)
def test_anything_else_is_either_a_network_or_a_typed_error(given_value):
    try:
        tables = check_tables(given_value)
    except BadInputError:
        return
    assert tables["bus"]
