"""Leaks are found in what the store keeps of water, and kept as findings of the site."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.console import cli
from grid.operation import commission
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.leaks import find
from grid.site_file import parse
from grid.store import Store, control, series
from meters import media
from meters.vee import Quality

END_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
START_S = END_S - 8 * 86_400


def _water() -> xr.Dataset:
    """Return eight days of two households' registers as intervals: one leaks 8 l an hour."""
    count = 8 * 96
    use = np.zeros((2, count), np.int64)
    use[:, 28::96] = 60
    use[0, 200:] += 2
    total = 1_000 + np.cumsum(use, axis=1)
    registers = xr.DataArray(
        np.concatenate([np.full((2, 1), 1_000), total], axis=1),
        dims=("meter", "boundary"),
        coords={
            "meter": ["UP-001", "UP-002"],
            "boundary": interval.starts(START_S, count + 1, 900),
        },
        name="water_l",
    )
    limit, digits = np.array([1_000] * 2, np.int64), np.array([8] * 2, np.int64)
    made, findings = media.intervals(registers, limit=limit, digits=digits)
    assert findings == []
    return made


def _keep(store: Store) -> None:
    with store.write() as tx:
        options = {"time_zone": TIME_ZONE, "cycle_s": END_S, "registers": ("water_l",)}
        series.put_intervals(tx, _water(), **options)


def test_a_leak_is_found_in_stored_volumes_and_tells_since_when(store: Store) -> None:
    _keep(store)
    with store.read() as tx:
        found = find(tx, parse(demo_site()), END_S + 3_600)
        assert find(tx, parse(demo_site()), START_S) == []
        got = series.get_intervals(
            tx, ["UP-001"], START_S, END_S, time_zone=TIME_ZONE, registers=("water_l",)
        )
    assert int(got["water_l"].sum()) == 8 * 60 + 2 * (8 * 96 - 200)
    assert (got["quality"].values == Quality.VALID).all()
    assert {one.subject for one in found} == {"UP-001"}
    assert [one.code for one in found] == ["leak.continuous", "leak.night"]
    since = interval.label(START_S + 200 * 900)
    assert found[0].message == (
        f"UP-001 {since} flowed without a pause for 142 h, limit is 24 h: "
        "at least 8 l/h, 192 l a day"
    )


def test_the_command_keeps_each_leak_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commission.commission(tmp_path, demo_site(), at_s=END_S, seed=1)
    store = Store.at(tmp_path)
    _keep(store)
    for _ in range(2):
        assert cli.main(["meter", "leaks", "--dir", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["code"] for one in facts["leaks"]] == ["leak.continuous", "leak.night"]
    with store.read() as tx:
        assert sorted(row["code"] for row in control.findings(tx)) == [
            *("leak.continuous", "leak.night")
        ]
    store.close()
