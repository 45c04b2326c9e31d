"""``khazri network threephase``: what it prints, its JSON, and how it refuses."""

import json
import signal

import pytest

from grid.console import cli

EUROPEAN = "pandapower:ieee_european_lv_asymmetric"
KERBER = "pandapower:create_kerber_landnetz_freileitung_1"


@pytest.fixture
def said(capsys):
    """Return a function (words) -> (exit status, standard output, standard error)."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*words):
        try:
            code = cli.main(["network", "threephase", *words])
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


def test_the_european_feeder_is_printed_and_agrees_with_pandapower(said):
    code, text, _ = said(EUROPEAN, "--voltage", "1.05", "--judge", "--json")
    assert code == 0
    facts = json.loads(text.splitlines()[-1])
    assert facts["judge_vm_pu"] < 1e-8
    assert facts["absorbed_kw"]["b"] == pytest.approx(33.698, abs=1e-3)
    assert facts["lowest"]["bus"] == 899
    assert facts["lowest"]["phase"] == "b"
    assert facts["findings"] == []
    code, text, _ = said(EUROPEAN, "--voltage", "1.05")
    assert code == 0
    assert f"{facts['lowest']['vm_pu']:.4f} pu   bus 899, phase b" in text
    assert f"{facts['neutral'][0]['neutral_a']:.2f}" in text
    assert "within limits" in text


def test_loads_move_to_the_phase_that_a_file_says(said, tmp_path):
    path = tmp_path / "phases.csv"
    code, text, _ = said(KERBER, "--assume-zero-sequence", "--json")
    even = json.loads(text)
    assert code == 0
    assert max(row["neutral_a"] for row in even["neutral"]) < 1e-6
    assert any("were assumed" in one for one in even["findings"])
    path.write_text("bus,phase\n" + "".join(f"{n},c\n" for n in range(4, 8)))
    code, text, _ = said(KERBER, "--assume-zero-sequence", "--phases", str(path), "--json")
    moved = json.loads(text)
    assert code == 0
    assert moved["absorbed_kw"]["c"] > even["absorbed_kw"]["c"] + 1
    assert moved["neutral"][0]["neutral_a"] > 10
    assert moved["lowest"]["phase"] == "c"
    assert sum(moved["absorbed_kw"].values()) == pytest.approx(sum(even["absorbed_kw"].values()))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([KERBER], 1, "r0_ohm_per_km is missing"),
        ([KERBER, "--assume-zero-sequence", "--phases", "nowhere.csv"], 1, "nowhere.csv"),
        ([KERBER, "--voltage", "2"], 2, "must be a number within 0.8 to 1.2"),
        (["pandapower:nothing"], 1, "has no function 'nothing'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(said, words, code, message):
    returned, _, stderr = said(*words)
    assert returned == code
    assert message in stderr
    assert len(stderr.strip().splitlines()) <= 3
