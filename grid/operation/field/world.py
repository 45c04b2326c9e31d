"""What happens behind the meters in an interval: sun, wind, loads, devices, feeder.

The feeder-head meter shows what pandapower's ``runpp`` says, never what the
engine of the control room says. Within an interval every power is constant.

Behind an open branch nothing runs, and meters neither count nor capture nor answer
until it is closed: what they showed before stays. pandapower says which buses those are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from grid.operation.field import vehicles
from grid.operation.field.power import Power
from grid.operation.field.state import (
    MWH_PER_WH,
    ROWS_KEPT,
    DeviceState,
    Fault,
    FieldState,
    MeterState,
)
from grid.operation.field.supply import Opened, Supply, opened
from grid.operation.field.year import Weather, Year
from grid.site import Meter, MeterRole, Protocol, Site
from meters.device import Setpoint
from meters.reading import RegisterRow

Judge = Callable[..., xr.Dataset]

_MWH_PER_KW_INTERVAL = 250_000
_NOMINAL_V = 230.0
_RELIEFS = 3
_HEAD = ("head_import_kw", "head_export_kw", "head_import_kvar", "head_export_kvar")


class World:
    """A simulated microgrid that advances by whole intervals.

    Parameters
    ----------
    site : Site
    year : xarray.Dataset
        As :func:`networks.sources.demo.load_year` returns it.
    bus : ndarray of int, shape (bus,)
        Buses of the network model in its order.
    judge : callable
        Takes what :func:`networks.flow.judge.judge_flow` takes after the model.

    Attributes
    ----------
    supply : Supply
    gasps : list of (str, int)
        Meters that lost their supply since somebody last emptied the list, and when.
    """

    def __init__(
        self, site: Site, year: xr.Dataset, bus: npt.NDArray[np.int64], judge: Judge
    ) -> None:
        self.site = site
        self._judge = judge
        self._year = Year(site, year)
        position = {int(number): column for column, number in enumerate(bus)}
        self._bus_count = len(bus)
        self._row = {point.id: row for row, point in enumerate(site.usage_point)}
        self._position = np.array([position[point.bus] for point in site.usage_point])
        self.supply = Supply(site, self._position, self._bus_count, judge)
        self.gasps: list[tuple[str, int]] = []

    def first_state(self, start_s: int) -> FieldState:
        """Return the world at `start_s` before anything has happened.

        Registers start between 100 and 899 kWh, low enough that a float32
        register resolves 1 Wh.
        """
        random = np.random.default_rng(self.site.field.seed)
        meters: dict[str, MeterState] = {}
        for meter in self.site.meter:
            first = random.integers(100_000, 900_000, 4)
            meters[meter.id] = MeterState([int(value) * MWH_PER_WH for value in first])
            _capture(meters[meter.id], meter, start_s)
        devices: dict[str, DeviceState] = {asset.id: DeviceState() for asset in self.site.assets}
        for battery in self.site.battery:
            devices[battery.id].energy_mwh = round(battery.initial_energy_kwh * 1_000_000)
        vehicles.pass_time(self.site, devices, start_s)
        return FieldState(start_s, meters, devices)

    def weather(self, starts_s: npt.NDArray[np.int64]) -> Weather:
        """Return what sky and people do in the intervals at `starts_s`."""
        return self._year.at(starts_s)

    def rehearse(self) -> None:
        """Judge an empty feeder once: the first time takes seconds, and nobody waits for it yet."""
        nothing = np.zeros((1, self._bus_count))
        self._judge(
            *(nothing for _ in range(4)),
            starts=interval.starts(0, 1, self.site.interval_s),
            grid_available=np.array([True]),
            forming_bus=None,
        )

    def advance(self, state: FieldState, to_s: int) -> None:
        """Let time pass up to `to_s`; nothing happens when that is not later."""
        while state.clock_s < to_s:
            before = self.supply.dark(state)
            self._step(state)
            self.gasps += [
                (name, state.clock_s) for name in sorted(self.supply.dark(state) - before)
            ]

    def take(self, state: FieldState, fault: Fault) -> None:
        """Let something be wrong from now or later on.

        Raises
        ------
        BadInputError
            When there is no such meter or branch, or a branch opens within an interval.
        """
        if fault.kind == "open":
            self.supply.require(fault)
        elif fault.meter not in state.meters and (
            fault.kind != "silent" or fault.meter not in state.devices
        ):
            raise BadInputError(f"no meter {fault.meter}")
        before = self.supply.dark(state)
        state.faults.append(fault)
        self._gasp(state, before)

    def _gasp(self, state: FieldState, before: frozenset[str]) -> None:
        lost = self.supply.dark(state) - before
        self.gasps += [(name, state.clock_s) for name in sorted(lost & set(state.meters))]

    def _step(self, state: FieldState) -> None:
        start_s, end_s = state.clock_s, state.clock_s + self.site.interval_s
        many = self.weather(np.array([start_s]))
        weather = Weather(*(getattr(many, name)[0] for name in Weather.__slots__))
        islanded = self.supply.islanded(start_s)
        off = opened(state, start_s)
        dead = self.supply.dead(off, islanded=islanded)
        lapse(state)
        power = Power(
            self.site,
            state.devices,
            weather,
            islanded=islanded,
            cut_off=[
                meter.usage_point
                for meter in self.site.meter
                if meter.usage_point is not None
                and (not state.meters[meter.id].connected or meter.usage_point in dead)
            ],
        )
        flow = self._flow(power, start_s, off)
        if power.forming is not None:
            device = state.devices[power.forming.id]
            for _ in range(_RELIEFS):
                given, taken = _forming(flow, "kw")
                if not power.relieve(given, taken, device):
                    break
                flow = self._flow(power, start_s, off)
            power.form(_forming(flow, "kw"), _forming(flow, "kvar"))
        self._count(state, power, flow, end_s, dead)
        vehicles.pass_time(self.site, state.devices, end_s)
        state.clock_s = end_s
        lapse(state)
        for fault in state.faults:
            self._apply(fault, state)

    def _flow(self, power: Power, start_s: int, off: Opened) -> xr.Dataset:
        """Judge the feeder; the forming battery is not in the injections yet."""
        taken, given = power.net_kw()
        weather, served = power.weather, power.served
        columns = np.zeros((4, 1, self._bus_count))
        values = (taken, given, weather.absorbed_kvar * served, weather.injected_kvar * served)
        for column, value in zip(columns, values, strict=True):
            np.add.at(column[0], self._position, value)
        forming = power.forming
        bus = None
        if forming is not None:
            bus = self.site.usage_point[self._row[forming.usage_point]].bus
        return self._judge(
            *columns,
            starts=interval.starts(start_s, 1, self.site.interval_s),
            grid_available=np.array([forming is None]),
            forming_bus=bus,
            opened=off,
        )

    def _count(
        self,
        state: FieldState,
        power: Power,
        flow: xr.Dataset,
        end_s: int,
        dead: frozenset[str],
    ) -> None:
        taken, given = power.net_kw()
        absorbed = power.weather.absorbed_kvar * power.served
        injected = power.weather.injected_kvar * power.served
        if power.forming is not None:
            row = self._row[power.forming.usage_point]
            absorbed[row] += power.formed_kvar
            injected[row] += power.fed_kvar
        voltage = np.nan_to_num(flow["vm_pu"].values[0][self._position]) * _NOMINAL_V
        for meter in self.site.meter:
            shown = state.meters[meter.id]
            if meter.role is MeterRole.FEEDER_HEAD:
                values = [float(flow[name].values[0]) for name in _HEAD]
            else:
                assert meter.usage_point is not None
                row = self._row[meter.usage_point]
                values = [float(column[row]) for column in (taken, given, absorbed, injected)]
                if meter.usage_point not in dead:
                    shown.voltage_v = round(float(voltage[row]), 3)
            for channel, value in enumerate(values):
                shown.registers_mwh[channel] += round(value * _MWH_PER_KW_INTERVAL)
            if meter.usage_point not in dead:
                _capture(shown, meter, end_s)
        power.count(state.devices)

    def _apply(self, fault: Fault, state: FieldState) -> None:
        if state.clock_s != fault.from_s or fault.kind in ("silent", "open"):
            return
        shown = state.meters[fault.meter]
        if fault.kind == "clock":
            shown.clock_offset_s += fault.shift_s
            return
        meter = next(meter for meter in self.site.meter if meter.id == fault.meter)
        if fault.kind == "jump":
            shown.registers_mwh[0] += fault.wh * MWH_PER_WH
        else:
            round_wh = int(10**meter.register_digits * meter.factor)
            shown.registers_mwh[0] = (round_wh - fault.wh) * MWH_PER_WH
        del shown.rows[-1:]
        _capture(shown, meter, state.clock_s)

    def accept(self, state: FieldState, setpoint: Setpoint) -> None:
        """Hold a set-point that a client enabled, until it lapses."""
        device = state.devices[setpoint.asset]
        device.setpoint = setpoint
        device.lapses_s = state.clock_s + setpoint.revert_s


def lapse(state: FieldState) -> None:
    """Bring devices whose time is over to their safe state.

    A battery rests, a genset stands, a plant falls back to the output it was told, or is free; a
    charge point to the power it was told.
    """
    for device in state.devices.values():
        held = device.setpoint
        if held is None or held.revert_s == 0 or state.clock_s < device.lapses_s:
            continue
        device.setpoint = None
        if held.kind == "limit" and held.revert_w is not None:
            device.setpoint = replace(held, limit_w=held.revert_w, revert_s=0)
        if held.kind == "storage" and held.revert_w is not None:
            device.setpoint = replace(held, charge_w=held.revert_w, discharge_w=0, revert_s=0)


def registers_wh(shown: MeterState, meter: Meter) -> list[int]:
    """Return what a meter displays: whole Wh and varh behind its transformers, cut off."""
    return [int(value / (MWH_PER_WH * meter.factor)) for value in shown.registers_mwh]


def silent(state: FieldState, meter: str) -> bool:
    """Return whether a meter answers nothing at this instant."""
    return any(
        fault.meter == meter
        and fault.kind == "silent"
        and fault.from_s <= state.clock_s < fault.to_s
        for fault in state.faults
    )


def _forming(flow: xr.Dataset, unit: str) -> tuple[float, float]:
    return (
        float(flow[f"forming_injected_{unit}"].values[0]),
        float(flow[f"forming_absorbed_{unit}"].values[0]),
    )


def _capture(shown: MeterState, meter: Meter, at_s: int) -> None:
    """Add a row to the load profile of a meter that keeps one."""
    if meter.protocol is not Protocol.DLMS:
        return
    imported, exported, imported_varh, exported_varh = registers_wh(shown, meter)
    shown.rows.append(RegisterRow(at_s, (imported, exported, imported_varh, exported_varh)))
    del shown.rows[:-ROWS_KEPT]
