"""``khazri control``: two people, the holder's release, and studies that heed the tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grid.console.cli import main
from grid.store import Store, control
from grid.store.overrides import Reason
from grid.store.safety_tags import put_tag

OPERATOR, SECOND = "operator@example.org", "second@example.org"
MV = "simbench:1-MV-rural--0-sw"


def _run(folder: Path, *words: str) -> int:
    return main(["control", *words, "--dir", str(folder), "--json"])


def test_the_commands_hold_approve_list_and_end(
    site_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> Any:
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    def refused(*words: str) -> str:
        assert _run(site_folder, *words) == 1
        return capsys.readouterr().err

    hold = ("hold", "BAT-1", "discharge", "--kw", "25", "--minutes", "30", "--reason", "network")
    assert _run(site_folder, *hold, "--by", OPERATOR) == 0
    assert (one := told())["state"] == "asked"
    assert one["stake_w"] == 55_000
    assert "second person" in refused("approve", "1", "--by", OPERATOR)
    assert "no role" in refused("approve", "1", "--by", "metering@example.org")
    assert _run(site_folder, "approve", "1", "--by", SECOND) == 0
    assert told()["approved_by"] == SECOND
    assert "end it first" in refused(*hold, "--by", OPERATOR)
    assert _run(site_folder, "end", "1", "--by", SECOND) == 0
    assert told()["state"] == "ended"
    assert "it is ended already" in refused("end", "1", "--by", SECOND)
    assert _run(site_folder, "overrides") == 0
    assert [row["id"] for row in told()["overrides"]] == [1]
    for wrong in (("hold", "BAT-1", "explode"), (*hold[:-1], "spite"), hold):
        with pytest.raises(SystemExit) as ended:
            _run(site_folder, *wrong)
        assert ended.value.code == 2
    assert main(["control", "overrides", "--dir", str(site_folder)]) == 0
    assert "1 BAT-1 discharge 25 kW until" in capsys.readouterr().out


def test_the_commands_place_release_and_list_tags(
    site_folder: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = ("tag", "asset:DG-1", "--reason", "maintenance", "--note", "oil")
    assert main(["control", *tag, "--by", OPERATOR, "--dir", str(site_folder)]) == 0
    assert "behind it: DG-1, 25 kW" in capsys.readouterr().out
    assert _run(site_folder, "release", "1", "--by", SECOND) == 1
    assert f"only its holder {OPERATOR} releases it" in capsys.readouterr().err
    assert _run(site_folder, "release", "1", "--by", OPERATOR) == 0
    capsys.readouterr()
    assert _run(site_folder, "tags") == 0
    (one,) = json.loads(capsys.readouterr().out)["tags"]
    assert (one["holder"], one["devices"]) == (OPERATOR, ["DG-1"])
    assert one["released"] is not None
    with store.read() as tx:
        kinds = [row["kind"] for row in control.actions(tx)]
    assert kinds[:2] == ["safety_tag.release", "safety_tag.place"]


def test_studies_that_heed_the_tags_energise_nothing_under_one(
    site_folder: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.write() as tx:
        put_tag(
            tx, element="line:3", devices=(), ties=(), reason=Reason.MAINTENANCE, note="",
            holder=OPERATOR, placed_s=0,
        )  # fmt: skip
    heed = ("--tags", str(site_folder))
    assert main(["network", "switch", MV, "--back", "line:3", *heed]) == 1
    told = capsys.readouterr().err
    assert f"line 3 is under safety tag 1 of {OPERATOR}: this would energise it" in told
    assert main(["network", "switch", MV, "--out", "line:4", *heed]) == 0
    capsys.readouterr()
    start = ("network", "blackstart", MV, "--bus", "0", "--kw", "30000", "--kwh", "90000")
    main([*start, *heed, "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["permits"] == [
        f"line 3 is under safety tag 1 of {OPERATOR}"
    ]
