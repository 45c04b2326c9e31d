"""The devices of a site that can be controlled.

Powers are kW, energies kWh, prices nano-currency per Wh. `url` is where a device
answers, ``modbus://HOST:PORT/UNIT``; empty at a simulated field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from grid.ids import AssetId, UsagePointId
from grid.site_facts import (
    AMOUNT_MOST,
    FREE,
    NOTHING,
    PRICE_MOST,
    Amount,
    Fault,
    Price,
    outside,
    refuse,
    undecided,
)
from grid.site_movable import Charger, Flexible, Heat

__all__ = [
    "MOST_FORMING", "MOVABLE", "Asset", "Battery", "Charger", "ColdStart", "Flexible",
    "FuelSegment", "Genset", "Heat", "Plant", "Shedding", "Solar", "Wind",
]  # fmt: skip

_COLD_MOST = 96
_PLANT = {"power_kw": (0.001, 1e6), "operating": (0, PRICE_MOST), "curtailment_order": (0, 1000)}
_FUEL_MOST = 1000 * PRICE_MOST
"""Fuel of a benchmark is in other units than a microgrid's."""

MOST_FORMING = 4
"""Batteries that share critical load in an outage: each set of them is a row of a plan."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery with its controller. `wear` is charged per Wh discharged.

    It loses `standing_loss_percent_per_day` of what it holds. Above `taper_energy_kwh` it takes
    less and less, down to `taper_power_kw` when full; below `fade_energy_kwh` it gives less and
    less, down to `fade_power_kw` at its least energy.
    """

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
    standing_loss_percent_per_day: float = 0.0
    taper_energy_kwh: float | None = None
    taper_power_kw: float | None = None
    fade_energy_kwh: float | None = None
    fade_power_kw: float | None = None

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
            standing_loss_percent_per_day=(0.0, 50.0),
            wear=(0, PRICE_MOST),
        )
        faults += undecided(self, f"battery {self.id}", "forming")
        for name in ("taper", "fade"):
            energy, power = getattr(self, f"{name}_energy_kwh"), getattr(self, f"{name}_power_kw")
            if (energy is None) != (power is None):
                message = f"battery {self.id}: {name}_energy_kwh and {name}_power_kw go together"
                given = "energy_kwh" if power is None else "power_kw"
                faults.append((f"{name}_{given}", message))
            elif energy is not None:
                limits = {f"{name}_power_kw": (0.0, self.power_kw)}
                least, most = self.min_energy_kwh, self.energy_kwh
                limits[f"{name}_energy_kwh"] = (least, most)
                faults += outside(self, f"battery {self.id}", **limits)
                if energy == (most if name == "taper" else least):
                    message = f"battery {self.id}: {name}_energy_kwh leaves no room to {name} in"
                    faults.append((f"{name}_energy_kwh", message))
        refuse(faults)

    def kept_share(self, hours: float) -> float:
        """Return the share of what is stored that is left after some hours."""
        lost: float = self.standing_loss_percent_per_day / 100.0
        return float((1.0 - lost) ** (hours / 24.0))

    def bend(self, way: str) -> tuple[float, float]:
        """Return slope and offset of ``power + slope * energy <= offset``, kW/kWh and kW.

        Parameters
        ----------
        way : str
            ``"taper"`` of the charge, ``"fade"`` of the discharge.
        """
        taper = way == "taper"
        energy = self.taper_energy_kwh if taper else self.fade_energy_kwh
        power = self.taper_power_kw if taper else self.fade_power_kw
        if energy is None or power is None:
            return 0.0, self.power_kw
        end = self.energy_kwh if taper else self.min_energy_kwh
        slope = (self.power_kw - power) / (end - energy)
        return slope, self.power_kw + slope * energy

    def most_kw(self, energy_kwh: float) -> tuple[float, float]:
        """Return what it takes and what it gives at most with so much stored, kW."""
        ways = (offset - slope * energy_kwh for slope, offset in map(self.bend, ("taper", "fade")))
        take, give = (min(self.power_kw, max(0.0, one)) for one in ways)
        return take, give

    def headroom_kw(self, energy_kwh: float, hours: float) -> tuple[float, float]:
        """Return what it can take and what it can give for some hours, kW."""
        take, give = self.most_kw(energy_kwh)
        kept = energy_kwh * self.kept_share(hours)
        room = max(0.0, self.energy_kwh - kept) / (self.charge_efficiency * hours)
        ready = max(0.0, kept - self.min_energy_kwh) * self.discharge_efficiency / hours
        return min(take, room), min(give, ready)

    def after_kwh(
        self, energy_kwh: float, charge_kw: float, discharge_kw: float, hours: float
    ) -> float:
        """Return what is stored after some hours of a flow, kWh."""
        gain = charge_kw * self.charge_efficiency
        loss = discharge_kw / self.discharge_efficiency
        return energy_kwh * self.kept_share(hours) + hours * (gain - loss)


@dataclass(frozen=True, slots=True)
class Solar:
    """A photovoltaic plant whose output can be limited; `operating` is per Wh produced.

    Of plants whose withholding means the same, those of the lowest `curtailment_order` are withheld
    first, and those of one order pro rata. Weather tells its output where it is told how the
    modules lie, `azimuth_degree` clockwise from north; `peak_kw` is what they give in the
    standard's sun, `power_kw` without it.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    url: str = ""
    operating: Price = FREE
    curtailment_order: int = 0
    tilt_degree: float | None = None
    azimuth_degree: float | None = None
    peak_kw: float | None = None

    def __post_init__(self) -> None:
        subject = f"solar {self.id}"
        optional = {
            "tilt_degree": (0.0, 90.0),
            "azimuth_degree": (0.0, 360.0),
            "peak_kw": (0.001, 1e6),
        }
        told = {key: span for key, span in optional.items() if getattr(self, key) is not None}
        faults = outside(self, subject, **_PLANT, **told)
        if ("tilt_degree" in told) != ("azimuth_degree" in told):
            message = f"{subject}: tilt_degree and azimuth_degree go together"
            faults.append(("tilt_degree", message))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class Wind:
    """A wind turbine whose output can be limited; `profile` names its simulated wind.

    `operating` is per Wh produced; `curtailment_order` as of :class:`Solar`. Weather tells its
    output where `hub_height_m` is told; `turbine` is a type of windpowerlib's list, a usual one
    without it.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    profile: str = ""
    url: str = ""
    operating: Price = FREE
    curtailment_order: int = 0
    hub_height_m: float | None = None
    turbine: str = ""

    def __post_init__(self) -> None:
        height = {} if self.hub_height_m is None else {"hub_height_m": (2.0, 250.0)}
        faults = outside(self, f"wind {self.id}", **_PLANT, **height)
        if self.turbine and self.hub_height_m is None:
            faults.append(("turbine", f"wind {self.id}: turbine and hub_height_m go together"))
        refuse(faults)


@dataclass(frozen=True, slots=True)
class FuelSegment:
    """Above `from_kw` each Wh more costs `fuel`."""

    from_kw: float
    fuel: Price

    def __post_init__(self) -> None:
        refuse(outside(self, "fuel segment", from_kw=(0.0, 1e6), fuel=(0, _FUEL_MOST)))


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start after `after_intervals` of standing, or more, costs `start`."""

    after_intervals: int
    start: Amount

    def __post_init__(self) -> None:
        limits = {"after_intervals": (0, _COLD_MOST), "start": (0, AMOUNT_MOST)}
        refuse(outside(self, "cold start", **limits))


@dataclass(frozen=True, slots=True)
class Genset:
    """A diesel genset: `fuel` per Wh produced, `no_load` per hour running.

    `fuel_segment` makes fuel dearer with load, `cold_start` a start with the time it stood.
    Its output moves by at most `ramp_up_kw_per_hour` and `ramp_down_kw_per_hour`; in its first
    interval it gives at most `start_kw`, in its last `stop_kw`. None: no such limit.

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
    stop: Amount = NOTHING
    fuel_segment: tuple[FuelSegment, ...] = ()
    cold_start: tuple[ColdStart, ...] = ()
    ramp_up_kw_per_hour: float | None = None
    ramp_down_kw_per_hour: float | None = None
    start_kw: float | None = None
    stop_kw: float | None = None
    co2_g_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        subject = f"genset {self.id}"
        optional = {
            "ramp_up_kw_per_hour": (0.001, 1e8),
            "ramp_down_kw_per_hour": (0.001, 1e8),
            "start_kw": (self.min_power_kw, self.power_kw),
            "stop_kw": (self.min_power_kw, self.power_kw),
        }
        faults = outside(
            self,
            subject,
            power_kw=(0.001, 1e6),
            min_power_kw=(0.0, self.power_kw),
            min_up_intervals=(1, 96),
            min_down_intervals=(1, 96),
            co2_g_per_kwh=(0.0, 1e5),
            fuel=(0, _FUEL_MOST),
            no_load_per_hour=(0, AMOUNT_MOST),
            start=(0, AMOUNT_MOST),
            stop=(0, AMOUNT_MOST),
            **{
                name: limits for name, limits in optional.items() if getattr(self, name) is not None
            },
        )
        faults += undecided(self, subject, "island_required")
        refuse(faults or self._out_of_order(subject))

    def _out_of_order(self, subject: str) -> list[Fault]:
        """Return what does not rise as it must."""
        faults = []
        kws = [0.0, *(one.from_kw for one in self.fuel_segment), self.power_kw]
        if kws != sorted(set(kws)):
            faults.append(
                ("fuel_segment", f"{subject}: from_kw of fuel segments must rise within its rating")
            )
        fuels = [self.fuel, *(one.fuel for one in self.fuel_segment)]
        if fuels != sorted(fuels):
            faults.append(
                ("fuel_segment", f"{subject}: fuel must not fall from segment to segment")
            )
        after = [1, *(one.after_intervals for one in self.cold_start)]
        if after != sorted(set(after)) or after[-1] > _COLD_MOST:
            message = f"after_intervals of cold starts must rise within 2 to {_COLD_MOST}"
            faults.append(("cold_start", f"{subject}: {message}"))
        starts = [self.start, *(one.start for one in self.cold_start)]
        if starts != sorted(starts):
            faults.append(("cold_start", f"{subject}: a start must not get cheaper with standing"))
        return faults


@dataclass(frozen=True, slots=True)
class Shedding:
    """Load that may be limited as a last resort, at `penalty` per Wh not served.

    `share` is the part of it that may be withheld: what street lights may be dimmed by.
    """

    id: AssetId
    usage_points: tuple[UsagePointId, ...]
    penalty: Price
    url: str = ""
    share: float = 1.0

    def __post_init__(self) -> None:
        faults = outside(self, f"shedding {self.id}", share=(0.01, 1.0), penalty=(0, PRICE_MOST))
        if not self.usage_points:
            faults.append(("usage_points", f"shedding {self.id}: usage_points names none"))
        refuse(faults)


Plant: TypeAlias = Solar | Wind
Asset: TypeAlias = Battery | Solar | Wind | Genset | Shedding | Charger | Flexible
MOVABLE = (Charger, Flexible)
"""What takes power as it likes up to a limit that is sent to it."""
