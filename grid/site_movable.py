"""Devices whose use may move in time: charge points, flexible loads, and tanks of heat.

Powers are kW, energies kWh, prices nano-currency per Wh, as in :mod:`grid.site_devices`.
"""

from __future__ import annotations

from dataclasses import dataclass

from grid.ids import AssetId, UsagePointId
from grid.site_facts import CLOCK, FREE, PRICE_MOST, Price, outside, refuse

_HEAT = ("capacity_kwh_per_k", "loss_kw_per_k", "low_celsius", "high_celsius")

SAFE_CHARGE_KW = 1.38
"""6 A at 230 V, the least current of a charge point (IEC 61851-1)."""


@dataclass(frozen=True, slots=True)
class Charger:
    """A charge point for electric vehicles; with `discharge_kw` it takes from them too (V2G).

    `missed` is charged per Wh that a vehicle lacks when it leaves. A vehicle of which nobody said
    anything gets `usual_kwh` by the next `usual_departure`, a civil time of day. One that hears
    nothing charges with `safe_kw`.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    energy_kwh: float
    missed: Price
    discharge_kw: float = 0.0
    charge_efficiency: float = 0.92
    discharge_efficiency: float = 0.92
    wear: Price = FREE
    safe_kw: float | None = None
    usual_kwh: float = 10.0
    usual_departure: str = "07:00"
    url: str = ""

    def __post_init__(self) -> None:
        faults = outside(
            self,
            f"charger {self.id}",
            power_kw=(0.001, 1e6),
            energy_kwh=(0.001, 1e7),
            discharge_kw=(0.0, 1e6),
            charge_efficiency=(0.5, 1.0),
            discharge_efficiency=(0.5, 1.0),
            usual_kwh=(0.0, 1e5),
            missed=(0, PRICE_MOST),
            wear=(0, PRICE_MOST),
            **({} if self.safe_kw is None else {"safe_kw": (0.0, self.power_kw)}),
        )
        if not CLOCK.fullmatch(self.usual_departure):
            message = f"charger {self.id}: usual_departure is {self.usual_departure!r}"
            faults.append(("usual_departure", f"{message}, must be HH:MM on a quarter-hour"))
        refuse(faults)

    @property
    def fallback_kw(self) -> float:
        """With what it charges when it hears nothing: its least, if nothing else is said."""
        return min(SAFE_CHARGE_KW, self.power_kw) if self.safe_kw is None else self.safe_kw


@dataclass(frozen=True, slots=True)
class Flexible:
    """Use that may move in time; `gain` is what it stores per energy it takes.

    `missed` is charged per Wh below its corridor and interval. In a running site the corridor
    follows from one of two sets of facts:

    - a pump, a boiler, a batch: `daily_kwh` between `from_time` and `to_time`, civil times of day;
    - a heat pump: a house with `capacity_kwh_per_k` that loses `loss_kw_per_k` and is kept within
      `low_celsius` and `high_celsius`, measured by the sensor `indoor`; outside it is as the sensor
      `outdoor` says, `outdoor_celsius` where there is none.

    One that hears nothing takes `safe_kw`; if that is not given, its daily energy spread evenly, or
    what its own thermostat wants.
    """

    id: AssetId
    usage_point: UsagePointId
    power_kw: float
    missed: Price
    gain: float = 1.0
    standing_loss_percent_per_hour: float = 0.0
    safe_kw: float | None = None
    daily_kwh: float | None = None
    from_time: str = "00:00"
    to_time: str = "00:00"
    capacity_kwh_per_k: float | None = None
    loss_kw_per_k: float | None = None
    low_celsius: float | None = None
    high_celsius: float | None = None
    outdoor_celsius: float = 5.0
    indoor: str = ""
    outdoor: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        optional = {
            "safe_kw": (0.0, self.power_kw),
            "daily_kwh": (0.001, _number(self.power_kw) * self.window_h),
            "capacity_kwh_per_k": (0.001, 1e5),
            "loss_kw_per_k": (0.0, 1e4),
            "low_celsius": (-50.0, 100.0),
            "high_celsius": (-50.0, 100.0),
        }
        given = {
            name: limits for name, limits in optional.items() if getattr(self, name) is not None
        }
        subject = f"flexible {self.id}"
        faults = outside(
            self,
            subject,
            power_kw=(0.001, 1e6),
            gain=(0.01, 20.0),
            standing_loss_percent_per_hour=(0.0, 50.0),
            outdoor_celsius=(-60.0, 60.0),
            missed=(0, PRICE_MOST),
            **given,
        )
        for name in ("from_time", "to_time"):
            if not CLOCK.fullmatch(getattr(self, name)):
                message = f"{subject}: {name} is {getattr(self, name)!r}"
                faults.append((name, f"{message}, must be HH:MM on a quarter-hour"))
        heat = [getattr(self, name) is not None for name in _HEAT] + [bool(self.indoor)]
        if any(heat) and not all(heat):
            names = ", ".join((*_HEAT, "indoor"))
            faults.append(("indoor", f"{subject}: {names} go together"))
        elif all(heat) and not _below(self.low_celsius, self.high_celsius):
            faults.append(("high_celsius", f"{subject}: high_celsius must be above low_celsius"))
        if all(heat) and self.daily_kwh is not None:
            faults.append(("daily_kwh", f"{subject}: has daily_kwh or else a house, not both"))
        refuse(faults)

    @property
    def window_h(self) -> float:
        """Hours of a day in which its daily energy may be taken."""
        if not (CLOCK.fullmatch(self.from_time) and CLOCK.fullmatch(self.to_time)):
            return 24.0
        first, last = (60 * int(t[:2]) + int(t[3:]) for t in (self.from_time, self.to_time))
        return ((last - first) % 1440 or 1440) / 60.0

    @property
    def fallback_kw(self) -> float:
        """What it takes when it hears nothing."""
        if self.safe_kw is not None:
            return self.safe_kw
        return self.power_kw if self.daily_kwh is None else self.daily_kwh / self.window_h

    def kept_share(self, hours: float) -> float:
        """Return the share of what is stored that is left after some hours."""
        lost: float = self.standing_loss_percent_per_hour / 100.0
        return float((1.0 - lost) ** hours)


@dataclass(frozen=True, slots=True)
class Heat:
    """A tank of heat that a genset fills with `heat_per_kwh` of what it produces, and a boiler.

    `boiler` is per Wh of its heat, `missed` per Wh that is wanted and not there.
    """

    id: AssetId
    genset: AssetId
    heat_per_kwh: float
    energy_kwh: float
    boiler_kw: float
    boiler: Price
    missed: Price
    standing_loss_percent_per_hour: float = 0.0

    def __post_init__(self) -> None:
        faults = outside(
            self,
            f"heat {self.id}",
            heat_per_kwh=(0.0, 20.0),
            energy_kwh=(0.001, 1e7),
            boiler_kw=(0.0, 1e6),
            boiler=(0, PRICE_MOST),
            missed=(0, PRICE_MOST),
            standing_loss_percent_per_hour=(0.0, 50.0),
        )
        refuse(faults)

    def kept_share(self, hours: float) -> float:
        """Return the share of what is stored that is left after some hours."""
        lost: float = self.standing_loss_percent_per_hour / 100.0
        return float((1.0 - lost) ** hours)


def _number(value: object) -> float:
    """Return a number; 0 for what is none, which is told of elsewhere."""
    return float(value) if isinstance(value, (int, float)) else 0.0


def _below(low: float | None, high: float | None) -> bool:
    return _number(low) < _number(high)
