"""Our reader of pandapower's JSON gives the network that pandapower's own reader gives."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pytest

from grid.errors import BadInputError
from networks.sources.exchange import from_net, to_net
from networks.sources.importing import import_network

SHIPPED = Path(pn.__file__).parent


@pytest.mark.parametrize("name", ["mv_oberrhein.json", "IEEE_European_LV_On_Peak_566.json"])
def test_a_file_that_pandapower_ships_is_read_as_pandapower_reads_it(name):
    imported = import_network(SHIPPED / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = from_net(pp.from_json(str(SHIPPED / name)))
    assert imported.format == "pandapower"
    assert json.dumps(imported.tables) == json.dumps(theirs)


@pytest.mark.parametrize("build", [lambda: pn.create_cigre_network_mv(with_der="all"), pn.case9])
def test_what_pandapower_writes_has_the_same_power_flow_here(build, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = build()
        pp.to_json(net, str(tmp_path / "net.json"))
    again = to_net(import_network(tmp_path / "net.json").tables)
    for one in (net, again):
        pp.runpp(one, tolerance_mva=1e-10, numba=False)
    assert np.allclose(net.res_bus, again.res_bus, rtol=0, atol=1e-9)


def test_what_is_left_out_is_said(tmp_path):
    net = pn.case9()
    pp.create_measurement(net, "v", "bus", 1.0, 0.01, 0)
    pp.to_json(net, str(tmp_path / "net.json"))
    found = import_network(tmp_path / "net.json").findings
    assert {finding.subject for finding in found} == {"table measurement", "table poly_cost"}
    assert {finding.code for finding in found} == {"network.import.left_out"}
    assert any("1 rows of 'measurement'" in finding.message for finding in found)


def _frame(rows):
    columns = sorted({name for row in rows for name in row} - {"index"})
    payload = {
        "columns": columns,
        "index": [row["index"] for row in rows],
        "data": [[row.get(name) for name in columns] for row in rows],
    }
    frame = {"_module": "pandas.core.frame", "_class": "DataFrame", "orient": "split"}
    return {**frame, "_object": json.dumps(payload)}


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ({"tap_step_percent": 2.5, "tap_step_degree": 0.0}, "Ratio"),
        ({"tap_step_percent": 2.5, "tap_step_degree": None}, "Ratio"),
        ({"tap_step_percent": 0.5, "tap_step_degree": 90.0}, "Symmetrical"),
        ({"tap_step_percent": None, "tap_step_degree": 1.5}, "Ideal"),
    ],
)
def test_a_file_of_pandapower_2_has_the_taps_loads_and_places_of_today(tmp_path, step, kind):
    trafo = {
        "index": 0, "hv_bus": 0, "lv_bus": 1, "sn_mva": 0.4, "vn_hv_kv": 20.0, "vn_lv_kv": 0.4,
        "vk_percent": 6.0, "vkr_percent": 1.4, "pfe_kw": 1.0, "i0_percent": 0.3,
        "shift_degree": 150.0, "tap_side": "hv", "tap_neutral": 0, "tap_pos": 1, "df": 1.0,
        "tap_phase_shifter": kind == "Ideal", "parallel": 1, "in_service": True, **step,
    }  # fmt: skip
    load = {"index": 0, "bus": 1, "p_mw": 0.1, "q_mvar": 0.0, "const_z_percent": 40.0}
    content = {
        "bus": _frame([{"index": at, "vn_kv": kv} for at, kv in ((0, 20.0), (1, 0.4))]),
        "bus_geodata": _frame([{"index": at, "x": 49.8, "y": 40.3 + at} for at in (0, 1)]),
        "trafo": _frame([trafo]),
        "load": _frame([{**load, "const_i_percent": 0.0, "scaling": 1.0, "in_service": True}]),
        "ext_grid": _frame([{"index": 0, "bus": 0, "vm_pu": 1.0, "va_degree": 0.0}]),
        "version": "2.14.0", "format_version": "2.14.0", "f_hz": 50.0, "sn_mva": 1.0,
    }  # fmt: skip
    path = tmp_path / "old.json"
    path.write_text(
        json.dumps(
            {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": content}
        )
    )
    tables = import_network(path).tables
    assert tables["trafo"][0]["tap_changer_type"] == kind
    assert tables["load"][0]["const_z_p_percent"] == tables["load"][0]["const_z_q_percent"] == 40.0
    assert [row["latitude"] for row in tables["bus"]] == [40.3, 41.3]


def test_an_element_without_a_table_names_itself(tmp_path):
    net = pn.create_cigre_network_mv()
    pp.create_ward(net, 5, 0.1, 0.1, 0.1, 0.1)
    pp.to_json(net, str(tmp_path / "net.json"))
    with pytest.raises(BadInputError, match="ward 0: the network file has no table for a ward"):
        import_network(tmp_path / "net.json")
