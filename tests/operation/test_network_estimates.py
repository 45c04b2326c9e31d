"""The network has a state with stated confidence as soon as an interval is over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from grid.operation import cycle, demo
from grid.operation.network_estimates import KIND
from grid.operation.room import Room
from grid.store import control, datasets
from networks.estimation.bad_data import CLEAN

Played = Callable[..., AbstractContextManager[Room]]
SILENT = ("M-003", "M-020", "M-047", "M-060")


def test_a_state_is_estimated_while_meters_are_silent_and_again_when_they_have_told(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 5) as room:
        from_s = cycle.clock(room)
        step_s = room.site.interval_s
        for meter in SILENT:
            fault = {"meter": meter, "kind": "silent", "from_s": from_s, "to_s": from_s + step_s}
            room.link.ask(do="fault", fault=fault)
        demo.play(room, 1, lambda text: None)
        last_s = from_s - step_s
        with room.store.read() as tx:
            assert last_s not in datasets.instants(tx, "network", 0, 2**40)
            first = datasets.require_dataset(tx, KIND, last_s)
            before = datasets.require_dataset(tx, KIND, last_s - step_s)
            exact = datasets.require_dataset(tx, "network", last_s - step_s)
        assert int(first["silent"]) == len(SILENT)
        assert int(before["silent"]) == 0
        assert np.isfinite(first["vm_pu"]).all()
        assert (first["vm_sd_pu"] > 0).all()
        assert float(first["vm_sd_pu"].max()) < 0.02
        # With every meter heard, the estimate is the power flow of what they said.
        away = np.abs(before["vm_pu"] - exact["vm_pu"])
        assert float((away / before["vm_sd_pu"]).max()) < 3.0
        assert str(before["verdict"].values) == CLEAN

        demo.play(room, 2, lambda text: None)
        with room.store.read() as tx:
            told = datasets.require_dataset(tx, "network", last_s)
            again = datasets.require_dataset(tx, KIND, last_s)
        # DLMS meters told their load profile; what a Modbus meter counted is spread over the gap.
        assert int(again["silent"]) == 2
        # What was said of the interval while four meters were silent held.
        within = np.abs(first["vm_pu"] - told["vm_pu"]) <= 3.3 * first["vm_sd_pu"]
        assert within.all()
        assert float(again["vm_sd_pu"].mean()) < float(first["vm_sd_pu"].mean())


def test_settlement_does_not_wait_for_the_estimate_nor_use_it(
    played: Played, tmp_path: Path
) -> None:
    with played(tmp_path / "site", 4) as room, room.store.read() as tx:
        states = set(datasets.instants(tx, "network", 0, 2**40))
        estimates = set(datasets.instants(tx, KIND, 0, 2**40))
        assert states <= estimates
        assert estimates
        codes = {row["code"] for row in control.findings(tx, limit=10_000)}
        assert "network.no_estimate" not in codes
