"""The field process: the world behind real sockets, driven over a control channel.

Addresses are written to ``field.json``. The control channel takes one JSON
object a line and answers one::

    {"do": "advance", "to_s": 1780000000}   {"clock_s": 1780000000}
    {"do": "clock"}                         {"clock_s": …}
    {"do": "fault", "fault": {…}}           {"clock_s": …}
    {"do": "hear", "port": 40590}           {"clock_s": …}   where last gasps are heard
    {"do": "stop"}                          {"clock_s": …}

Time passes only when told, and never backwards. The state is on disk before
the answer to ``advance`` leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from grid.errors import BadInputError, GridError
from grid.operation import meter_keys
from grid.operation.field import state as states
from grid.operation.field.gasps import tell
from grid.operation.field.world import World, registers_wh, silent
from grid.site import Asset, Battery, Charger, Genset, Protocol, Shedding, Site
from grid.site_devices import MOVABLE
from meters.device import DeviceKind, Setpoint
from meters.dlms.counters import FileCounterStore
from meters.reading import Ciphering
from meters.simulator.dlms import DlmsServers
from meters.simulator.hostile import FAULTS
from meters.simulator.hostile_dlms import DLMS_FAULTS
from meters.simulator.modbus import ModbusServers
from meters.simulator.points import DevicePoint, MeterPoint

FIELD_FILE = "field.json"
STATE_FILE = "field-state.json"
KEYS_FILE = "field-keys.json"
COUNTERS = "field-counters"
_SETTLE_S = 0.05


def device_kind(asset: Asset) -> DeviceKind:
    """Return how a device is controlled."""
    if isinstance(asset, Battery) or (isinstance(asset, Charger) and asset.discharge_kw):
        return "storage"
    return "genset" if isinstance(asset, Genset) else "limit"


def rating_w(site: Site, asset: Asset) -> int:
    """Return the rated power of a device in W."""
    if isinstance(asset, Shedding):
        rating_kw = {point.id: point.connection_kw for point in site.usage_point}
        return round(1000 * sum(rating_kw[point] for point in asset.usage_points))
    if isinstance(asset, Charger):
        return round(1000 * max(asset.power_kw, asset.discharge_kw))
    return round(1000 * asset.power_kw)


class Field:
    """The points that the servers serve, kept equal to the state of the world."""

    def __init__(self, directory: Path, world: World, state: states.FieldState) -> None:
        self.directory = directory
        self.world = world
        self.state = state
        self._unsaved: asyncio.TimerHandle | None = None
        self.hearing_port: int | None = None
        self.ready: asyncio.Future[None] = asyncio.ensure_future(asyncio.to_thread(world.rehearse))
        self.meters: dict[str, MeterPoint] = {
            meter.id: MeterPoint(
                meter.id, state.clock_s, [0, 0, 0, 0], 230.0, on_switch=self.switched
            )
            for meter in world.site.meter
        }
        self.devices: dict[str, DevicePoint] = {
            asset.id: self._device(asset) for asset in world.site.assets
        }
        self.show()

    def _device(self, asset: Asset) -> DevicePoint:
        kind = device_kind(asset)
        rating = rating_w(self.world.site, asset)
        return DevicePoint(
            asset=asset.id,
            kind=kind,
            rating_w=rating,
            energy_rating_wh=round(1000 * asset.energy_kwh)
            if isinstance(asset, (Battery, Charger)) and kind == "storage"
            else 0,
            charged_wh=0,
            discharged_wh=0,
            throttled_w=0,
            available_w=0,
            energy_wh=None,
            running=False,
            alarm=0,
            setpoint=_default(asset.id, kind, rating),
            on_setpoint=self.accept,
            absorbs=isinstance(asset, MOVABLE),
        )

    def show(self) -> None:
        """Bring every point up to date with the world."""
        dark = self.world.supply.dark(self.state)
        for facts in self.world.site.meter:
            name = str(facts.id)
            shown, meter = self.state.meters[name], self.meters[name]
            meter.clock_s = self.state.clock_s + shown.clock_offset_s
            meter.registers = registers_wh(shown, facts)
            meter.voltage_v = shown.voltage_v / float(facts.voltage.value)
            meter.rows = shown.rows
            meter.silent = name in dark or silent(self.state, name)
            meter.connected = shown.connected
        for name, held in self.state.devices.items():
            device = self.devices[name]
            device.charged_wh = held.charged_mwh // states.MWH_PER_WH
            device.discharged_wh = held.discharged_mwh // states.MWH_PER_WH
            device.throttled_w, device.available_w = held.throttled_w, held.available_w
            is_storage = device.kind == "storage"
            device.energy_wh = held.energy_mwh // states.MWH_PER_WH if is_storage else None
            device.running, device.alarm = held.running, held.alarm
            device.silent = name in dark or silent(self.state, name)
            device.remaining_s = self.state.remaining_s(name)
            if held.setpoint is None:
                device.setpoint = _default(name, device_kind_of(device), device.rating_w)
            else:
                device.setpoint = held.setpoint

    def _take_clocks(self) -> None:
        """Keep what clients set clocks to."""
        for name, shown in self.state.meters.items():
            shown.clock_offset_s = self.meters[name].clock_s - self.state.clock_s

    def accept(self, setpoint: Setpoint) -> None:
        """Hold a set-point that a client enabled; it is on disk shortly after."""
        self.world.accept(self.state, setpoint)
        self.devices[setpoint.asset].remaining_s = self.state.remaining_s(setpoint.asset)
        if self._unsaved is None:
            self._unsaved = asyncio.get_running_loop().call_later(_SETTLE_S, self.save)

    def switched(self) -> None:
        """Keep which meters are on, before the one that was switched says so."""
        for name, shown in self.state.meters.items():
            shown.connected = self.meters[name].connected
        self.save()

    def take_keys(self, meter: str, keys: Ciphering) -> None:
        """Keep the keys that a meter has taken: a field that starts again serves under them."""
        path = self.directory / KEYS_FILE
        access = json.loads(path.read_text())
        name = f"{meter_keys.KEYS_SECRET}{meter}"
        access[name] = meter_keys.replaced(access[name].encode(), keys).decode()
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(access))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)

    def save(self) -> None:
        """Write the state to disk."""
        if self._unsaved is not None:
            self._unsaved.cancel()
            self._unsaved = None
        self.state.write(self.directory / STATE_FILE)

    def moves(self, command: dict[str, Any]) -> bool:
        """Return whether a command lets time pass."""
        to_s = command.get("to_s")
        return type(to_s) is int and to_s > self.state.clock_s

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command of the control channel."""
        match command.get("do"):
            case "advance":
                to_s = command.get("to_s")
                if type(to_s) is not int or to_s % self.world.site.interval_s:
                    raise BadInputError(f"to_s is {to_s!r}, must be the start of an interval")
                self._take_clocks()
                self.world.advance(self.state, to_s)
            case "fault":
                self.world.take(self.state, states.Fault(**command["fault"]))
            case "hear":
                self.hearing_port = int(command["port"])
                return {"clock_s": self.state.clock_s}
            case "clock" | "stop":
                return {"clock_s": self.state.clock_s}
            case other:
                raise BadInputError(f"{other!r} is no command")
        self.save()
        self.show()
        return {"clock_s": self.state.clock_s}


def device_kind_of(device: DevicePoint) -> DeviceKind:
    """Return the kind of a served device."""
    kinds: dict[str, DeviceKind] = {"storage": "storage", "limit": "limit", "genset": "genset"}
    return kinds[device.kind]


def _default(asset: str, kind: DeviceKind, rating: int) -> Setpoint:
    """Return what a device does by itself: a store rests, a plant runs free, a genset is off."""
    limit = rating if kind == "limit" else 0
    return Setpoint(asset, kind, limit_w=limit, running=kind != "genset", revert_s=0)


def open_world(site: Site) -> World:
    """Return the simulated world of a site; the heavy imports happen here."""
    from networks.flow.judge import judge_flow
    from networks.sources.demo import load_year
    from networks.sources.source import load

    network = site.network
    model = load(network.source, source_voltage_pu=network.source_voltage_pu)
    return World(site, load_year(network.source), model.bus, partial(judge_flow, model))


async def serve(
    directory: Path, site: Site, *, start_s: int, hostile: Mapping[str, str] | None = None
) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    directory : Path
        Holds the state, the meters' keys and ``field.json``.
    start_s : int
        Where the world begins when it has no state yet.
    hostile : mapping of str to str, optional
        Fault by meter: of :mod:`meters.simulator.hostile` or, for DLMS meters,
        :mod:`meters.simulator.hostile_dlms`.
    """
    world = open_world(site)
    path = directory / STATE_FILE
    state = states.read(path) if path.exists() else world.first_state(start_s)
    field = Field(directory, world, state)
    access = json.loads((directory / KEYS_FILE).read_text())
    dlms = [meter.id for meter in site.meter if meter.protocol is Protocol.DLMS]
    others = [meter.id for meter in site.meter if meter.protocol is Protocol.MODBUS]
    faults = hostile or {}
    modbus_servers = ModbusServers()
    dlms_servers = DlmsServers(FileCounterStore(directory / COUNTERS), field.take_keys)
    stopped = asyncio.Event()
    urls = await modbus_servers.start(
        [field.meters[name] for name in others],
        list(field.devices.values()),
        connections={name: FAULTS[faults[name]] for name in others if name in faults},
    )
    setups = meter_keys.setups({name: value.encode() for name, value in access.items()})
    urls |= await dlms_servers.start(
        [field.meters[name] for name in dlms],
        setups=setups,
        connections={name: DLMS_FAULTS[faults[name]] for name in dlms if name in faults},
    )
    control = await asyncio.start_server(
        partial(_converse, field, dlms_servers, stopped), "127.0.0.1", 0
    )
    field.save()
    announcement = {
        "pid": os.getpid(),
        "control_port": control.sockets[0].getsockname()[1],
        "meters": {name: urls[name] for name in field.meters},
        "devices": {name: urls[name] for name in field.devices},
    }
    temporary = directory / f"{FIELD_FILE}.new"
    temporary.write_text(json.dumps(announcement, indent=1))
    temporary.replace(directory / FIELD_FILE)
    await stopped.wait()
    control.close()
    await modbus_servers.stop()
    await dlms_servers.stop()
    (directory / FIELD_FILE).unlink(missing_ok=True)


async def _converse(
    field: Field,
    servers: DlmsServers,
    stopped: asyncio.Event,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        while line := await reader.readline():
            command: Any = None
            try:
                command = json.loads(line)
                if not isinstance(command, dict):
                    raise BadInputError("a command is a JSON object")
                if field.moves(command) or command.get("do") == "fault":
                    await field.ready
                answer = field.obey(command)
                lost, field.world.gasps = field.world.gasps, []
                await tell(servers, lost, field.hearing_port, field.world.site.field.seed)
            except (GridError, ValueError, TypeError, KeyError) as error:
                answer = {"error": f"{error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
            if isinstance(command, dict) and command.get("do") == "stop" and "error" not in answer:
                stopped.set()
                return
    except (ConnectionError, ValueError):
        pass
    finally:
        writer.close()
