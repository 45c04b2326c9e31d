"""A small site whose plans are made by the stage itself from a forecast that is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from grid import interval
from grid.operation import planning
from grid.operation.room import Room
from grid.store import Transaction, control, datasets, field
from meters.device import DeviceState, Setpoint
from tests.operation import control_site

AT_S = control_site.AT_S
N = 96

EVENING = """[[grid.price]]
from_time = "18:00"
buy = "0.24"
sell = "0.12"
[[grid.price]]
from_time = "22:00"
buy = "0.08"
sell = "0.04"
"""
WARD = """
[[usage_point]]
id = "UP-WARD"
bus = 20
party = "community"
kind = "community"
tariff = "home"
connection_kw = 60
critical = true
[[meter]]
id = "M-WARD"
protocol = "modbus"
profile = "sdm630"
usage_point = "UP-WARD"
"""


def text(more: str = "", **operation: float) -> str:
    """Return the site file of the hamlet with a ward that is critical, and no ramps."""
    head, _, rest = control_site.TOML.partition('[[control.ramp]]\nasset = "DG-1"')
    rest = rest[rest.index("[grid]") :]
    rest = rest.replace('sell = "0.04"\n', 'sell = "0.04"\n' + EVENING, 1)
    limits = "".join(f"{name} = {value}\n" for name, value in operation.items())
    return (head + rest).replace("[operation]\n", f"[operation]\n{limits}") + WARD + more


def put_forecast(tx: Transaction, room: Room, at_s: int, mean_kw: Mapping[str, Any]) -> None:
    """Store the forecast of a cycle: what is not named is 0, every quantile is the mean."""
    labels = [f"load:{point}" for point in room.points] + [str(p.id) for p in room.site.plants]
    mean = np.array([np.broadcast_to(mean_kw.get(name, 0.0), N) for name in labels], np.float64)
    kinds = ["load"] * len(room.points) + ["solar"] * len(room.site.solar)
    kinds += ["wind"] * len(room.site.wind)
    total = np.array(
        [mean[[k == group for k in kinds]].sum(axis=0) for group in ("load", "solar", "wind")]
    )
    content = xr.Dataset(
        {
            "mean_kw": (("series", "interval"), mean),
            "mean_kvar": (("series", "interval"), 0.2 * mean),
            "total_kw": (("quantile", "group", "interval"), np.stack([total] * 3)),
            "total_mean_kw": (("group", "interval"), total),
        },
        coords={
            "series": labels,
            "group": ["load", "solar", "wind"],
            "quantile": [0.1, 0.5, 0.9],
            "interval": interval.starts(at_s, N, 900),
        },
    )
    datasets.put_dataset(tx, "forecast", at_s, content)


def put_stored(tx: Transaction, at_s: int, **energy_wh: int) -> None:
    """Let batteries (``BAT_1`` is ``BAT-1``) say what they hold."""
    states = [
        DeviceState(name.replace("_", "-"), at_s, 0, 0, 0, 0, wh, True, 0,
                    Setpoint(name.replace("_", "-"), "storage", revert_s=0))
        for name, wh in energy_wh.items()
    ]  # fmt: skip
    field.put_device_states(tx, states, at_s=at_s)


def planned(room: Room, at_s: int = AT_S) -> tuple[xr.Dataset, list[Any]]:
    """Run the stage; return the schedule that it stored and its findings."""
    planning.plan(room, at_s)
    with room.store.read() as tx:
        return datasets.require_dataset(tx, "plan", at_s), list(control.findings(tx, since_s=at_s))
