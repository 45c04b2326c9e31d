"""The 25 benchmark microgrids of pymgrid as plain data, read from the package's files.

A year of hourly steps in kW and kWh. pymgrid limits a battery by what is stored, not by what
passes its terminals: a limit of 100 with an efficiency of 0.9 takes 111 kW and gives 90. Its wear
counts stored energy too, both ways. Both are turned into terminal quantities here.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

HOURS = 8760


@dataclass(frozen=True)
class PymgridBattery:
    """Power and wear at the terminals, energy inside; one efficiency each way."""

    charge_kw: float
    discharge_kw: float
    energy_kwh: float
    min_energy_kwh: float
    initial_kwh: float
    efficiency: float
    charge_cost: float
    discharge_cost: float


@dataclass(frozen=True, eq=False)
class PymgridGrid:
    """Limits, and by hour what is paid, received and emitted per kWh, and whether it is there."""

    import_kw: float
    export_kw: float
    buy: np.ndarray
    sell: np.ndarray
    emission_kg_per_kwh: np.ndarray
    emission_price: float
    available: np.ndarray


@dataclass(frozen=True)
class PymgridGenset:
    """Runs between two limits from one hour to the next; `cost` per kWh without emissions."""

    min_kw: float
    max_kw: float
    cost: float
    emission_kg_per_kwh: float
    emission_price: float
    on: bool


@dataclass(frozen=True, eq=False)
class PymgridMicrogrid:
    """A microgrid; `lost_cost` and `excess_cost` per kWh not served and not taken."""

    number: int
    load_kw: np.ndarray
    sun_kw: np.ndarray
    battery: PymgridBattery
    grid: PymgridGrid | None
    genset: PymgridGenset | None
    lost_cost: float
    excess_cost: float


class _Loader(yaml.SafeLoader):
    """Reads the package's tags as plain mappings and names; nothing of it is constructed."""


def _plain(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {"tag": suffix, **loader.construct_mapping(node, deep=True)}
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _plain)


def read(folder: Path, number: int) -> PymgridMicrogrid:
    """Return microgrid `number` of 0 to 24 from the folder of all of them."""
    home = folder / f"microgrid_{number}"
    raw = yaml.load((home / f"microgrid_{number}.yaml").read_text(), Loader=_Loader)
    parts = dict(raw["modules"])
    facts = {name: module["cls_params"] for name, module in parts.items()}

    def series(name: str) -> np.ndarray:
        with gzip.open(home / facts[name]["time_series"], "rt") as text:
            found = np.loadtxt(text, delimiter=",", skiprows=1, ndmin=2)[:, 1:]
        assert found.shape[0] == HOURS, (name, found.shape)
        assert np.isfinite(found).all(), name
        return found

    balance = facts["unbalanced_energy"]
    return PymgridMicrogrid(
        number,
        # what leaves the balance is negative in the package's files
        -series("load")[:, 0],
        series("pv")[:, 0],
        _battery(facts["battery"], parts["battery"]["state"]),
        _grid(facts["grid"], series("grid")) if "grid" in facts else None,
        _genset(facts["genset"], parts["genset"]["state"]) if "genset" in facts else None,
        balance["loss_load_cost"],
        balance["overgeneration_cost"],
    )


def _battery(facts: dict[str, Any], state: dict[str, Any]) -> PymgridBattery:
    share = facts["efficiency"]
    return PymgridBattery(
        charge_kw=facts["max_charge"] / share,
        discharge_kw=facts["max_discharge"] * share,
        energy_kwh=facts["max_capacity"],
        min_energy_kwh=facts["min_capacity"],
        initial_kwh=state["current_charge"],
        efficiency=share,
        charge_cost=facts["battery_cost_cycle"] * share,
        discharge_cost=facts["battery_cost_cycle"] / share,
    )


def _grid(facts: dict[str, Any], series: np.ndarray) -> PymgridGrid:
    return PymgridGrid(
        facts["max_import"],
        facts["max_export"],
        series[:, 0],
        series[:, 1],
        series[:, 2],
        facts["cost_per_unit_co2"],
        series[:, 3] == 1.0,
    )


def _genset(facts: dict[str, Any], state: dict[str, Any]) -> PymgridGenset:
    assert facts["start_up_time"] == facts["wind_down_time"] == 0
    return PymgridGenset(
        facts["running_min_production"],
        facts["running_max_production"],
        facts["genset_cost"],
        facts["co2_per_unit"],
        facts["cost_per_unit_co2"],
        bool(state["_current_status"]),
    )
