"""``khazri network outage`` locates from given evidence; ``reliability`` counts from a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grid import interval
from grid.console import cli
from grid.operation import commission
from grid.operation.demo_site import demo_site
from grid.store import Store, control, incidents

NETWORK = "simbench:1-LV-rural2--2-sw"
FIRST = interval.parse("2026-07-01T08:15Z")
BEHIND_46 = "82,96,39,94,89,15,92,27"


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert cli.main([*words, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_silent_buses_are_explained_by_a_line_and_a_tie_feeds_some_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("network", "outage", NETWORK, "--silent", f"{BEHIND_46},50", "--tie", "27,63,40")
    found = _json(capsys, *words)
    (outage,) = found["outages"]
    assert (outage["element"]["kind"], outage["element"]["index"]) == ("line", 46)
    assert outage["confidence"] == "located"
    assert sorted(outage["buses"]) == sorted(map(int, BEHIND_46.split(",")))
    assert found["not_answering"] == [50]
    actions = [step["action"] for step in outage["restoration"]]
    assert actions == ["isolate", "back-feed", "repair", "close"]
    assert cli.main(list(words)) == 0
    assert "located: line 46 'LV2.101 Line 35'; 8 buses" in capsys.readouterr().out


def test_a_bus_that_answers_clears_what_is_above_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("network", "outage", NETWORK, "--silent", "92", "--gasped", "27", "--powered", "15")
    (outage,) = _json(capsys, *words)["outages"]
    assert outage["element"]["index"] == 69
    assert outage["restoration"]


def test_one_silent_bus_is_no_outage(capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(capsys, "network", "outage", NETWORK, "--silent", "27") == {
        "outages": [],
        "not_answering": [27],
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([NETWORK], "nothing is out"),
        ([NETWORK, "--silent", "a"], "'a' must be numbers of buses"),
        ([NETWORK, "--silent", "27", "--powered", "27"], "bus 27 is given with two of"),
        ([NETWORK, "--silent", "27", "--tie", "1,2"], "'1,2' must be BUS,FROM,KW"),
    ],
)
def test_wrong_usage_is_told(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["network", "outage", *words])
    except SystemExit as stop:
        status = int(str(stop.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_a_bus_that_is_not_there_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["network", "outage", NETWORK, "--silent", "4711"]) == 1
    assert "bus 4711 is not in the network" in capsys.readouterr().err


def test_indices_of_a_site_are_those_of_its_incidents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "site"
    commission.commission(directory, demo_site(), at_s=FIRST, seed=1)
    store = Store.at(directory)
    facts = {"kind": "line", "element": 46, "name": "line 46", "state": "located"}
    facts |= {"start_s": FIRST, "found_s": FIRST, "planned": False}
    with store.write() as tx:
        number = incidents.add(tx, facts, {"evidence": "gasp", "section": []})
        incidents.interrupt(tx, number, {"UP-001": FIRST, "UP-002": FIRST})
        one, _ = incidents.interruptions(tx, [number])
        incidents.settle(tx, one, start_s=FIRST, end_s=FIRST + 1800)
        control.put_meta(tx, "clock_s", str(FIRST + 3600))
    store.close()
    found = _json(capsys, "network", "reliability", "--dir", str(directory))
    assert list(found) == ["2026-07", "2026"]
    # One of 96 customers for 30 minutes, another for 60 so far.
    assert found["2026-07"]["saidi_minutes"] == pytest.approx(90 / 96, rel=1e-12)
    assert found["2026"]["saifi"] == pytest.approx(2 / 96, rel=1e-12)
    words = ("network", "reliability", "--dir", str(directory), "--month", "2026-06")
    assert _json(capsys, *words)["2026-06"]["interruptions"] == 0
    assert cli.main(list(words)) == 0
    assert "SAIDI, min" in capsys.readouterr().out
