"""``khazri network import|export|show``: in, out, findings, and failures in one line."""

import json

import pandapower as pp
import pandapower.networks as pn
import pytest

from grid.console import cli
from networks.sources.tables import read_tables


@pytest.fixture
def said(capsys):
    def run(*words):
        status = cli.main(["network", *map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def pandapower_file(tmp_path):
    path = tmp_path / "cigre.json"
    pp.to_json(pn.create_cigre_network_lv(), str(path))
    return path


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_pandapower_file_comes_in_and_is_shown(said, pandapower_file, tmp_path, suffix):
    out = tmp_path / f"net{suffix}"
    status, text, _ = said("import", pandapower_file, out)
    assert status == 0
    assert "44 bus, 37 line, 3 trafo, 1 ext_grid, 3 switch, 15 load (from pandapower)" in text
    assert f"next: khazri network show {out}" in text
    status, text, _ = said("show", out)
    assert status == 0
    assert "20 kV, 0.4 kV" in text
    assert "0.15, 0.3, 0.5 MVA" in text
    assert "network.zero_sequence_missing  line: 37 of 37 lack" in text


def test_a_network_by_name_goes_out_and_means_the_same(said, tmp_path):
    out = tmp_path / "net.toml"
    status, text, _ = said("export", "pandapower:case33bw", out, "--json")
    answer = json.loads(text.splitlines()[-1])
    assert status == 0
    assert answer["elements"] == {"bus": 33, "line": 37, "ext_grid": 1, "load": 32}
    assert {finding["code"] for finding in answer["findings"]} >= {"network.line_rating"}
    assert len(read_tables(out)["line"]) == 37


def test_show_tells_a_few_of_each_kind_or_all(said):
    _, few, _ = said("show", "pandapower:case33bw")
    _, every, _ = said("show", "pandapower:case33bw", "--all")
    assert "… 34 more of network.line_rating" in few
    assert every.count("network.line_rating  line") == 37


def test_show_ends_with_1_when_a_finding_is_an_alarm(said, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(
        json.dumps(
            {
                "bus": [{"index": 0, "vn_kv": 0.4}, {"index": 1, "vn_kv": 0.4}],
                "ext_grid": [{"index": 0, "bus": 0}],
                "load": [{"index": 0, "bus": 1, "p_mw": 0.01}],
            }
        )
    )
    status, text, _ = said("show", path, "--json")
    answer = json.loads(text.splitlines()[-1])
    assert status == 1
    assert answer["coordinates"] == "none"
    alarms = [f["code"] for f in answer["findings"] if f["severity"] == "alarm"]
    assert alarms == ["network.island", "network.slack_disconnected"]


def test_a_file_that_is_there_is_kept(said, pandapower_file, tmp_path):
    out = tmp_path / "net.toml"
    out.write_text("mine")
    status, _, error = said("import", pandapower_file, out)
    assert (status, out.read_text()) == (1, "mine")
    assert "--force" in error
    assert said("import", pandapower_file, out, "--force")[0] == 0
    assert "[[bus]]" in out.read_text()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("net.p", b"\x80\x04N.", "a pickle runs what it holds"),
        ("net.json", b'{"_module": "os", "_class": "system"}', "not a pandapowerNet"),
        ("net.csv", b"a,b", "must end in"),
        ("net.dss", b"Shell id\n", "the command 'Shell' is not one"),
        ("net.xml", b"<!DOCTYPE r><r/>", "a document type, an entity"),
        ("missing.json", None, "missing.json"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(said, tmp_path, name, content, reason):
    path, out = tmp_path / name, tmp_path / "out.toml"
    if content is not None:
        path.write_bytes(content)
    status, _, error = said("import", path, out)
    assert status == 1
    assert reason in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_name_that_ends_otherwise_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["network", "export", "pandapower:case33bw", "net.csv"])
    assert ended.value.code == 2
    assert "must end in .toml or .json" in capsys.readouterr().err
