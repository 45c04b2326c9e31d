import subprocess
import sys
import threading

import numpy as np
import pytest

from grid.errors import BadInputError
from networks.flow.year import nominal_flow
from networks.sources import cache
from networks.sources.source import load
from networks.sources.tables import write_tables


def test_case33bw_has_the_published_losses_and_lowest_voltage():
    state = nominal_flow(load("pandapower:case33bw", source_voltage_pu=1.0))
    assert float(state["losses_kw"][0]) == pytest.approx(202.677, abs=5e-4)
    assert float(state["vm_pu"].min()) == pytest.approx(0.91309, abs=5e-6)


def test_the_tap_of_a_simbench_transformer_acts():
    # 0.9632 pu is what comes out when pandapower 3 ignores SimBench's tap.
    source = "simbench:1-LV-rural3--1-sw"
    model = load(source, source_voltage_pu=1.025)
    assert float(nominal_flow(model)["vm_pu"].min()) == pytest.approx(0.99116, abs=1e-5)


def test_a_tap_below_neutral_on_the_hv_side_lifts_the_busbar(tmp_path):
    # One step of 2.5 % fewer turns on the HV side: 1 / 0.975 at the idle busbar.
    trafo = {
        "index": 0, "hv_bus": 0, "lv_bus": 1, "sn_mva": 0.25, "vn_hv_kv": 20.0, "vn_lv_kv": 0.4,
        "vk_percent": 6.0, "vkr_percent": 1.32, "pfe_kw": 0.0, "i0_percent": 0.0,
        "tap_side": "hv", "tap_pos": -1.0, "tap_step_percent": 2.5,
    }  # fmt: skip
    tables = {
        "bus": [{"index": 0, "vn_kv": 20.0}, {"index": 1, "vn_kv": 0.4}],
        "ext_grid": [{"index": 0, "bus": 0}],
        "trafo": [trafo],
    }
    path = tmp_path / "tap.json"
    write_tables(tables, path)
    state = nominal_flow(load(f"file:{path}", source_voltage_pu=1.0))
    assert float(state["vm_pu"].sel(bus=1)[0]) == pytest.approx(1 / 0.975, abs=1e-12)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "rural",
        "simbench:",
        "simbench:../../etc/passwd",
        "simbench:1-LV-nowhere--0-sw",
        "pandapower:from_json",
        "pandapower:__import__",
        "pandapower:no_such_network",
        "pandapower:os.system",
        "pickle:net.p",
        "file:missing.toml",
    ],
)
def test_an_unknown_source_is_refused(source, tmp_path):
    with pytest.raises(BadInputError):
        load(source, source_voltage_pu=1.0, base_dir=tmp_path)


@pytest.mark.parametrize("voltage", [float("nan"), 0.0, 1.3])
def test_an_impossible_source_voltage_is_refused(voltage):
    with pytest.raises(BadInputError, match="source_voltage_pu"):
        load("pandapower:case33bw", source_voltage_pu=voltage)


def test_a_network_with_a_voltage_controlled_generator_names_it():
    with pytest.raises(BadInputError, match="gen 0"):
        load("pandapower:case9", source_voltage_pu=1.0)


def test_the_second_load_is_equal_and_imports_no_pandapower(rural):
    code = (
        "import sys; from networks.sources.source import load; "
        f"m = load({rural.source!r}, source_voltage_pu=1.015); "
        "print(m.topology_hash.hex(), 'pandapower' in sys.modules or 'simbench' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [rural.topology_hash.hex(), "False"]


def test_a_torn_cache_file_is_compiled_again(tmp_path, monkeypatch):
    monkeypatch.setenv("KHAZRI_CACHE", str(tmp_path))
    first = load("pandapower:case33bw", source_voltage_pu=1.0)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:2000])
    again = load("pandapower:case33bw", source_voltage_pu=1.0)
    assert again.topology_hash == first.topology_hash
    assert (again.ybus != first.ybus).nnz == 0


def test_concurrent_writers_leave_one_whole_file(tmp_path):
    path = tmp_path / "one.npz"
    values = np.arange(50_000.0)

    def put(number):
        cache.write(path, {"values": values + number}, {"number": number})

    writers = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    arrays, facts = cache.read(path)
    assert (arrays["values"] == values + facts["number"]).all()
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_follows_the_voltage_and_nothing_else(rural):
    same = load(rural.source, source_voltage_pu=1.015)
    other = load(rural.source, source_voltage_pu=1.0)
    assert same.topology_hash == rural.topology_hash != other.topology_hash
    assert len(rural.topology_hash) == 32
