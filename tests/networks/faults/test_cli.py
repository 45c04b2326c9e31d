"""``khazri network shortcircuit`` for people and machines."""

import json

import pytest

from grid.console.cli import main

CIGRE = "pandapower:create_cigre_network_lv"


def _run(capsys, *arguments):
    status = main(["network", "shortcircuit", *arguments])
    return status, capsys.readouterr()


def test_a_feeder_that_is_protected_is_success_and_says_what_was_assumed(capsys):
    status, told = _run(
        capsys, "simbench:1-LV-rural1--0-sw", "--s-sc-mva", "200", "--rx", "0.1",
        "--zero-sequence", "4,4", "--end-temperature", "80", "--protect",
    )  # fmt: skip
    assert status == 0
    assert "s_sc_max_mva of every external grid is 200, as given" in told.out
    assert told.out.count("proposed) at line") == 4
    assert "--converter-k" in told.out


def test_fuses_that_do_not_reach_are_failure_and_machines_get_every_number(capsys):
    status, told = _run(
        capsys,
        CIGRE,
        "--zero-sequence",
        "4,4",
        "--protect",
        "--json",
    )
    assert status == 1
    facts = json.loads(told.out.splitlines()[-1])
    assert len(facts["buses"]) == 44
    assert {made["reaches"] for made in facts["protection"]} == {False}
    at = facts["buses"][1]
    assert at["3ph_max"]["ikss_ka"] == pytest.approx(100 / 3**0.5 / 20)
    # What is not known is null and has a finding.
    assert at["1ph_max"]["ikss_ka"] is None
    assert "faults.earth_unknown" in {finding["code"] for finding in facts["findings"]}


def test_in_an_island_the_same_fuses_fail(capsys):
    status, told = _run(
        capsys, CIGRE, "--zero-sequence", "4,4", "--protect",
        "--island", "2", "--inverter-mva", "0.1", "--inverter-k", "1.5",
    )  # fmt: skip
    assert status == 1
    # 1.5 times 100 kVA at 400 V, into a busbar of three feeders.
    assert told.out.count("DOES NOT REACH, 217 A") == 3


def test_what_is_missing_or_wrong_says_which_option(capsys):
    status, told = _run(capsys, "pandapower:create_kerber_landnetz_freileitung_1")
    assert status == 1
    assert "s_sc_max_mva is missing" in told.err
    assert "see --s-sc-mva" in told.err
    status, told = _run(capsys, CIGRE, "--fault", "1ph")
    assert status == 1
    assert "see --zero-sequence" in told.err
    status, told = _run(capsys, CIGRE, "--island", "2")
    assert status == 2
    with pytest.raises(SystemExit) as wrong:
        _run(capsys, CIGRE, "--zero-sequence", "4")
    assert wrong.value.code == 2


def test_one_case_and_fault_is_shown_alone(capsys):
    status, told = _run(capsys, CIGRE, "--case", "min", "--fault", "2ph")
    assert status == 0
    assert told.out.startswith("2ph min")
    assert "max" not in told.out.splitlines()[0]
    assert "3ph" not in told.out
