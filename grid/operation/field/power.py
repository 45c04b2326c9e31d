"""The devices of one interval: what each makes of its set-point and its limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from grid.ids import UsagePointId
from grid.operation.field.state import DeviceState
from grid.operation.field.year import Weather
from grid.site import Battery, Charger, Flexible, Genset, Shedding, Site, Solar, Wind
from grid.site_devices import MOVABLE

Floats = npt.NDArray[np.float64]

MWH_PER_KWH = 1_000_000
HOURS = 0.25


class Power:
    """Constant powers of one interval, kW, each ≥ 0.

    The forming battery of an island takes no set-point: :meth:`form` gives it
    what the feeder needed.
    """

    def __init__(
        self,
        site: Site,
        devices: Mapping[str, DeviceState],
        weather: Weather,
        *,
        islanded: bool,
        cut_off: Collection[UsagePointId] = (),
    ) -> None:
        self._site = site
        self._row = {point.id: row for row, point in enumerate(site.usage_point)}
        self.weather = weather
        self.served = np.ones(len(site.usage_point))
        self.charge: dict[str, float] = {}
        self.discharge: dict[str, float] = {}
        self.possible: dict[str, float] = {}
        self.running: dict[str, bool] = {}
        self.forming = next((b for b in site.battery if b.forming), None) if islanded else None
        self.formed_kvar = self.fed_kvar = 0.0
        for battery in site.battery:
            self._battery(battery, devices[battery.id])
        for solar, possible in zip(site.solar, weather.solar_kw, strict=True):
            self._plant(solar, devices[solar.id], float(possible))
        for wind, possible in zip(site.wind, weather.wind_kw, strict=True):
            self._plant(wind, devices[wind.id], float(possible))
        for genset in site.genset:
            self._genset(genset, devices[genset.id])
        for shedding in site.shedding:
            self._shed(shedding, devices[shedding.id])
        for charger in site.charger:
            self._charger(charger, devices[charger.id])
        for load in site.flexible:
            self._flexible(load, devices[load.id])
        self._cut(cut_off)

    def _battery(self, battery: Battery, device: DeviceState) -> None:
        asked = device.setpoint
        charge = 0.0 if asked is None else asked.charge_w / 1000
        discharge = 0.0 if asked is None else asked.discharge_w / 1000
        if battery is self.forming:
            charge = discharge = 0.0
        room, stored = limits_kw(battery, device)
        self.charge[battery.id] = min(charge, room)
        self.discharge[battery.id] = min(discharge, stored)

    def _plant(self, plant: Solar | Wind, device: DeviceState, possible_kw: float) -> None:
        limit = plant.power_kw if device.setpoint is None else device.setpoint.limit_w / 1000
        self.possible[plant.id] = min(possible_kw, plant.power_kw)
        self.discharge[plant.id] = min(self.possible[plant.id], limit)

    def _genset(self, genset: Genset, device: DeviceState) -> None:
        asked = device.setpoint
        running = asked is not None and asked.running
        self.running[genset.id] = running
        wished = 0.0 if asked is None else asked.discharge_w / 1000
        self.discharge[genset.id] = (
            min(max(wished, genset.min_power_kw), genset.power_kw) if running else 0.0
        )

    def _shed(self, shedding: Shedding, device: DeviceState) -> None:
        rows = [self._row[point] for point in shedding.usage_points]
        wanted = float(self.weather.load_kw[rows].sum())
        self.possible[shedding.id] = wanted
        if device.setpoint is not None and wanted > device.setpoint.limit_w / 1000:
            self.served[rows] = device.setpoint.limit_w / 1000 / wanted

    def _charger(self, charger: Charger, device: DeviceState) -> None:
        """Let a vehicle that is there take what it may, until it is full."""
        there, asked = device.running, device.setpoint
        self.running[charger.id] = there
        stored = device.energy_mwh / MWH_PER_KWH
        room = (charger.energy_kwh - stored) / HOURS / charger.charge_efficiency
        self.possible[charger.id] = min(max(room, 0.0), charger.power_kw) * there
        most_kw, give_kw = charger.power_kw, 0.0
        if asked is not None:
            told_w = asked.limit_w if asked.kind == "limit" else asked.charge_w
            most_kw, give_kw = told_w / 1000, asked.discharge_w / 1000
        self.charge[charger.id] = min(self.possible[charger.id], most_kw)
        ready = stored / HOURS * charger.discharge_efficiency * there
        self.discharge[charger.id] = min(give_kw, charger.discharge_kw, ready)

    def _flexible(self, load: Flexible, device: DeviceState) -> None:
        """Let a flexible load take all that it may."""
        asked = device.setpoint
        self.possible[load.id] = load.power_kw
        most_kw = load.power_kw if asked is None else asked.limit_w / 1000
        self.charge[load.id] = min(load.power_kw, most_kw)

    def _cut(self, points: Collection[UsagePointId]) -> None:
        """Let nothing pass at usage points whose meters are switched off."""
        for point in points:
            self.served[self._row[point]] = 0.0
        for asset in self._site.assets:
            if not isinstance(asset, Shedding) and asset.usage_point in points:
                self.discharge[asset.id] = 0.0
                if asset.id in self.charge:
                    self.charge[asset.id] = 0.0

    def net_kw(self) -> tuple[Floats, Floats]:
        """Return what each usage point takes from and gives to the network, one of both 0."""
        net = self.weather.load_kw * self.served
        for asset in self._site.assets:
            if isinstance(asset, Shedding):
                continue
            row = self._row[asset.usage_point]
            net[row] += self.charge.get(asset.id, 0.0) - self.discharge.get(asset.id, 0.0)
        return np.maximum(net, 0.0), np.maximum(-net, 0.0)

    def relieve(self, injected_kw: float, absorbed_kw: float, device: DeviceState) -> bool:
        """Bring an island back within its forming battery, as relays and inverters do.

        Too little power sheds what can wait, load that is not critical, then any; too much
        throttles the plants. Returns whether anything had to change.
        """
        assert self.forming is not None
        room, stored = limits_kw(self.forming, device)
        if injected_kw > stored + 1e-9:
            self._shed_by(1.01 * (injected_kw - stored))
            return True
        if absorbed_kw > room + 1e-9:
            self._throttle_by(1.01 * (absorbed_kw - room))
            return True
        return False

    def _shed_by(self, excess_kw: float) -> None:
        moved: tuple[Charger | Flexible, ...] = (*self._site.charger, *self._site.flexible)
        for load in moved:
            part = min(excess_kw, self.charge[load.id])
            self.charge[load.id] -= part
            excess_kw -= part
        critical = np.array([point.critical for point in self._site.usage_point])
        for group in (~critical, critical):
            served = self.weather.load_kw * self.served * group
            total = float(served.sum())
            part = min(excess_kw, total)
            if total > 0.0:
                self.served[group] *= 1.0 - part / total
            excess_kw -= part

    def _throttle_by(self, excess_kw: float) -> None:
        plants = [solar.id for solar in self._site.solar]
        plants += [wind.id for wind in self._site.wind]
        total = sum(self.discharge[plant] for plant in plants)
        share = min(excess_kw / total, 1.0) if total > 0.0 else 0.0
        for plant in plants:
            self.discharge[plant] *= 1.0 - share

    def form(self, kw: tuple[float, float], kvar: tuple[float, float]) -> None:
        """Give the forming battery what the island took (injected, absorbed)."""
        assert self.forming is not None
        self.discharge[self.forming.id], self.charge[self.forming.id] = kw
        self.fed_kvar, self.formed_kvar = kvar

    def count(self, devices: Mapping[str, DeviceState]) -> None:
        """Add the interval to the devices' counters and stores."""
        for asset in self._site.assets:
            device = devices[asset.id]
            given = self.discharge.get(asset.id, 0.0)
            taken = self.charge.get(asset.id, 0.0)
            device.discharged_mwh += round(given * HOURS * MWH_PER_KWH)
            device.charged_mwh += round(taken * HOURS * MWH_PER_KWH)
            device.running = self.running.get(asset.id, True)
            if isinstance(asset, (Battery, Charger)):
                change = taken * asset.charge_efficiency - given / asset.discharge_efficiency
                stored = device.energy_mwh + round(change * HOURS * MWH_PER_KWH)
                device.energy_mwh = min(max(stored, 0), round(asset.energy_kwh * MWH_PER_KWH))
            if isinstance(asset, MOVABLE):
                device.available_w = round(self.possible[asset.id] * 1000)
                device.throttled_w = max(0, device.available_w - round(taken * 1000))
            elif isinstance(asset, Shedding):
                rows = [self._row[point] for point in asset.usage_points]
                wanted = self.possible[asset.id]
                served = float((self.weather.load_kw[rows] * self.served[rows]).sum())
                device.available_w = round(wanted * 1000)
                device.throttled_w = round((wanted - served) * 1000)
            elif isinstance(asset, (Solar, Wind)):
                device.available_w = round(self.possible[asset.id] * 1000)
                device.throttled_w = round((self.possible[asset.id] - given) * 1000)


def limits_kw(battery: Battery, device: DeviceState) -> tuple[float, float]:
    """Return what a battery can take and give for a whole interval, kW."""
    stored = device.energy_mwh / MWH_PER_KWH
    room = (battery.energy_kwh - stored) / HOURS / battery.charge_efficiency
    ready = (stored - battery.min_energy_kwh) / HOURS * battery.discharge_efficiency
    return (
        min(max(room, 0.0), battery.power_kw),
        min(max(ready, 0.0), battery.power_kw),
    )
