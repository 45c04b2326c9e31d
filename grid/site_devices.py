"""The devices of a site that can be controlled.

Powers are kW, energies kWh, prices nano-currency per Wh. `url` is where a device
answers, ``modbus://HOST:PORT/UNIT``; empty at a simulated field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from grid.ids import AssetId, UsagePointId
from grid.site_facts import FREE, Amount, Price, outside, refuse


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery with its controller. `wear` is charged per Wh discharged."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    energy_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    min_energy_kwh: float = 0.0
    initial_energy_kwh: float = 0.0
    wear: Price = FREE
    forming: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        faults = outside(
            self,
            f"battery {self.id}",
            power_kw=(0.0, 1e6),
            energy_kwh=(0.001, 1e7),
            charge_efficiency=(0.5, 1.0),
            discharge_efficiency=(0.5, 1.0),
            min_energy_kwh=(0.0, self.energy_kwh),
            initial_energy_kwh=(0.0, self.energy_kwh),
        )
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Solar:
    """A photovoltaic plant whose output can be limited."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    url: str = ""

    def __post_init__(self) -> None:
        refuse(outside(self, f"solar {self.id}", power_kw=(0.001, 1e6)))


@dataclass(frozen=True, slots=True)
class Wind:
    """A wind turbine whose output can be limited; `profile` names its simulated wind."""

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    profile: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        refuse(outside(self, f"wind {self.id}", power_kw=(0.001, 1e6)))


@dataclass(frozen=True, slots=True)
class Genset:
    """A diesel genset: `fuel` per Wh produced, `no_load` per hour running.

    With `island_required` it runs whenever the public network is away: fuses and
    breakers need the short-circuit current that inverters cannot give.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    min_power_kw: float
    fuel: Price
    no_load_per_hour: Amount
    start: Amount
    min_up_intervals: int = 1
    min_down_intervals: int = 1
    island_required: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        faults = outside(
            self,
            f"genset {self.id}",
            power_kw=(0.001, 1e6),
            min_power_kw=(0.0, self.power_kw),
            min_up_intervals=(1, 96),
            min_down_intervals=(1, 96),
        )
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Shedding:
    """Load that may be limited as a last resort, at `penalty` per Wh not served."""

    id: AssetId
    usage_points: tuple[UsagePointId, ...]
    penalty: Price
    url: str = ""

    def __post_init__(self) -> None:
        if not self.usage_points:
            refuse([("usage_points", f"shedding {self.id}: usage_points names none")])


Plant: TypeAlias = Solar | Wind
Asset: TypeAlias = Battery | Solar | Wind | Genset | Shedding
