"""Every benchmark runs on small work and agrees with its reference; how fast is not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grid.console.cli.bench import CRAFTS

ROWS = {
    "meters": ["Modbus poll", "DLMS poll", "fleet", "VEE"],
    "networks": [
        "year of power flow",
        "year of power flow, batched",
        "state estimation",
        "three-phase power flow, batched",
    ],
    "dispatch": [
        "dispatch, cold",
        "dispatch, cold, other layers",
        "dispatch, cold, by arrays",
        "dispatch, rolling",
        "dispatch, whole plan",
    ],
    "trading": [
        "clearing",
        "clearing, truthful",
        "clearing with line limits",
        "ledger, verify",
        "ledger, append",
        "ledger, write",
        "ledger, settlements",
        "ledger, writers at once",
    ],
    "store": ["store, in", "store, out"],
    "console": [],
}
WITHOUT_REFERENCE = {"dispatch, cold, other layers"}


@pytest.fixture(scope="module", params=CRAFTS)
def craft(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def facts(craft: str) -> dict[str, Any]:
    """What the command says of a craft, as machines read it."""
    done = subprocess.run(
        [sys.executable, "-m", "grid.console.cli", "bench", craft, "--quick", "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_row_is_there_and_was_measured(craft: str, facts: dict[str, Any]) -> None:
    assert [row["name"] for row in facts["rows"]] == ROWS[craft]
    assert facts["no_row"] == ([] if ROWS[craft] else [craft])
    for row in facts["rows"]:
        assert row["craft"] == craft
        assert row["unit"].endswith("/s")
        assert row["work"]
        assert row["ours"] > 0
        if row["theirs"] is None:
            assert "not installed" in row["note"]
            assert row["ratio"] is None
            assert row["met"] is None
        else:
            assert row["theirs"] > 0
            assert row["ratio"] > 0


def test_every_outcome_is_within_its_limit_of_error(facts: dict[str, Any]) -> None:
    for row in facts["rows"]:
        if row["theirs"] is None or row["name"] in WITHOUT_REFERENCE:
            continue
        assert row["error"] <= row["error_limit"], row
