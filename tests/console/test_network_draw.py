"""``khazri network draw``: what it writes, its JSON, and how it refuses."""

import csv
import json
import signal
from xml.etree import ElementTree

import pytest

from grid.console import cli

RURAL = "simbench:1-LV-rural1--0-sw"
TIES = "pandapower:case33bw"


@pytest.fixture
def said(capsys):
    """Return a function (words) -> (exit status, standard output, standard error)."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words):
        try:
            code = cli.main(["network", "draw", *map(str, words)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KHAZRI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_a_picture_and_its_table_are_written_and_told(said, tmp_path):
    out, table = tmp_path / "net.svg", tmp_path / "net.csv"
    code, text, _ = said(RURAL, "--out", out, "--table", table)
    assert code == 0
    assert f"drawn     {out}" in text
    root = ElementTree.parse(out).getroot()
    assert root.get("role") == "img"
    assert root.find("{http://www.w3.org/2000/svg}style") is not None
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15 + 13 + 1
    assert f"{table}, {len(rows)} rows" in text
    lowest = min(float(row["vm_pu"]) for row in rows if row["kind"] == "bus")
    assert f"lowest {lowest:.4f} pu" in text


def test_machines_get_one_object(said, tmp_path):
    code, text, _ = said(TIES, "--out", tmp_path / "a.svg", "--outage", "line:5", "--json")
    assert code == 0
    facts = json.loads(text.splitlines()[-1])
    assert (facts["kind"], facts["rows"], facts["table"]) == ("one-line", 33 + 37, None)
    assert "27 buses without voltage" not in facts["description"]
    assert "buses without voltage" in facts["description"]


def test_switches_are_opened_and_closed(said, tmp_path):
    source = "pandapower:create_cigre_network_mv"
    files = [tmp_path / f"{n}.svg" for n in range(3)]
    assert said(source, "--out", files[0])[0] == 0
    assert said(source, "--out", files[1], "--close", 1, "--close", 4)[0] == 0
    opens = [file.read_text().count('class="blade"') for file in files[:2]]
    assert opens == [3 + 1, 1 + 1]  # one of them is in the legend
    code, _, error = said(source, "--out", files[2], "--open", 99)
    assert code == 1
    assert "switch 99 is not in the network" in error
    assert not files[2].exists()


def test_a_map_and_why_there_is_none(said, tmp_path):
    out = tmp_path / "map.svg"
    code, text, _ = said(RURAL, "--kind", "map", "--out", out)
    assert code == 0
    assert "Map of the feeder" in text
    code, _, error = said(TIES, "--kind", "map", "--out", tmp_path / "none.svg")
    assert code == 1
    assert "draw it as a one-line diagram" in error
    assert not (tmp_path / "none.svg").exists()


def test_a_year_by_the_clock_of_a_place(said, tmp_path):
    out, table = tmp_path / "year.svg", tmp_path / "year.csv"
    code, text, _ = said(
        RURAL, "--kind", "year", "--quantity", "trafo-loading", "--loading-max", 20,
        "--time-zone", "Asia/Baku", "--out", out, "--table", table,
    )  # fmt: skip
    assert code == 0
    assert "Civil time in Asia/Baku." in text
    assert "h above 20 %" in text
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["intervals"]) for row in rows) == 35_136
    beyond = sum(float(row["hours_above_20_percent"]) for row in rows)
    assert f"{beyond:,.2f} h above 20 %" in text


def test_hosting_capacities_from_the_table_of_host(said, tmp_path):
    kept, out = tmp_path / "host.csv", tmp_path / "host.svg"
    kept.write_text("bus,name,hosting_kw,limit\n0,a,12.5,line 3\n1,b,,dead\n")
    code, text, _ = said(RURAL, "--kind", "hosting", "--hosting", kept, "--out", out)
    assert code == 0
    assert "least 12.5 kW" in text
    assert "line 3" in out.read_text()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("bus,kw\n1,2\n", "has no column 'hosting_kw'"),
        ("bus,hosting_kw\n", "has no rows"),
        ("bus,hosting_kw\n1,x\n", "line 2: bus '1' and hosting_kw 'x' must be"),
        ("bus,hosting_kw\n1,2\n1,3\n", "line 3: bus 1 comes twice"),
        ("bus,hosting_kw\n1,-2\n", "must be finite and at least 0"),
        ("bus,hosting_kw\n777,2\n", "bus 777 is not in the network"),
    ],
)
def test_a_wrong_table_is_refused_by_line(said, tmp_path, content, why):
    kept = tmp_path / "host.csv"
    kept.write_text(content)
    out = tmp_path / "x.svg"
    code, _, error = said(RURAL, "--kind", "hosting", "--hosting", kept, "--out", out)
    assert code == 1
    assert why in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "x.png"],
        [],
        ["--out", "x.svg", "--table", "x.txt"],
        ["--out", "x.svg", "--kind", "hosting"],
        ["--out", "x.svg", "--outage", "bus:3"],
        ["--out", "x.svg", "--time-zone", "Mars/Olympus"],
        ["--out", "x.svg", "--voltage-min", "1.2"],
    ],
)
def test_wrong_usage_is_exit_2(said, words):
    code, out, error = said(RURAL, *words)
    assert code == 2
    assert out == ""
    assert "khazri" in error
