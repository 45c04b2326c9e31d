"""``khazri network switch|contingency|blackstart``: text for people, an object for machines."""

import json

import pytest

from grid.console import cli

RURAL = "simbench:1-LV-rural1--0-sw"
MV = "simbench:1-MV-rural--0-sw"


@pytest.fixture
def said(capsys):
    """Return a function (words) -> (exit status, output, errors)."""

    def run(*words):
        try:
            status = cli.main(["network", *words])
        except SystemExit as stopped:
            status = stopped.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_switch_says_who_loses_supply_and_what_to_heed(said):
    status, text, _ = said("switch", MV, "--out", "line:3")
    assert status == 0
    assert text.startswith("LOST      1421.0 kW at 7 buses")
    status, text, _ = said("switch", MV, "--out", "line:3", "--close", "193")
    assert status == 0
    assert text.startswith("HEED      switch 193")


def test_switch_for_machines(said):
    status, text, _ = said(
        "switch", MV, "--tap", "0=-2", "--tap", "1=-2", "--close", "193", "--json"
    )
    assert status == 0
    facts = json.loads(text.splitlines()[-1])
    assert facts["after"]["loops"] == facts["before"]["loops"] + 1
    assert facts["after"]["vm_pu_lowest"]["value"] > facts["before"]["vm_pu_lowest"]["value"]
    assert facts["lost"] == []
    assert 93 in facts["looped_line"]


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("switch", MV), 2, "nothing to switch"),
        (("switch", MV, "--open", "x"), 2, "must be the index of a switch"),
        (("switch", MV, "--out", "bus:1"), 2, "must be line:N or trafo:N"),
        (("switch", MV, "--tap", "0"), 2, "must be N=POSITION"),
        (("switch", MV, "--open", "9999"), 1, "switch 9999 is not in the network"),
        (("switch", MV, "--tap", "0=-99"), 1, "trafo 0: tap -99 must be within -9 to 9"),
        (("switch", MV, "--out", "line:1", "--band", "1.1,0.9"), 2, "must be LOW,HIGH"),
        (("contingency", RURAL, "--load", "-1"), 2, "within 0 to 1000"),
        (("blackstart", RURAL, "--bus", "5", "--kw", "0", "--kwh", "1"), 2, "must be a number"),
        (("blackstart", RURAL, "--bus", "999", "--kw", "9", "--kwh", "9"), 1, "bus 999 is not"),
    ],
)
def test_what_is_wrong_is_named(said, words, status, named):
    got, _, errors = said(*words)
    assert (got, named in errors) == (status, True), errors


def test_contingency_ranks_and_names_the_tie(said):
    status, text, _ = said("contingency", MV, "--top", "2")
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("102 outages: ")
    assert "84 can be fed back by one tie" in lines[0]
    assert any(line.startswith("  close switch 195") for line in lines)
    status, text, _ = said("contingency", RURAL, "--json")
    facts = json.loads(text.splitlines()[-1])
    assert status == 0
    kw = [one["unserved_kw"] for one in facts["outages"]]
    assert kw == sorted(kw, reverse=True)
    assert len(facts["outages"]) == 15


def test_blackstart_is_1_when_load_stays_dark(said):
    words = ("blackstart", RURAL, "--bus", "5", "--kwh", "200", "--medical", "9")
    status, text, _ = said(*words, "--kw", "200")
    assert status == 0
    assert "STOPPED" not in text
    assert text.splitlines()[0].split()[2] == "open"
    status, text, _ = said(*words, "--kw", "60", "--json")
    facts = json.loads(text.splitlines()[-1])
    assert status == 1
    assert facts["stopped"]
    assert facts["unserved"]
    first = next(step for step in facts["steps"] if step["action"] == "pick up")
    assert first["buses"] == [9]


def test_tap_prints_every_position_and_what_a_changer_does(said):
    words = ("tap", RURAL, "--band", "0.95,1.05", "--follow", "1.0,0.015")
    status, text, _ = said(*words, "--voltage", "1.025")
    lines = text.splitlines()
    assert len(lines) == 7
    assert sum("best" in line for line in lines) == 1
    assert status == (0 if " 0 h" in next(line for line in lines if "best" in line) else 1)
    assert lines[-1].startswith("changer")
    status, _, errors = said("tap", RURAL, "--follow", "1.0,0.001")
    assert (status, "the dead band must be at least as wide" in errors) == (1, True)
