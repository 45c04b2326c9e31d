"""Controllable devices over SunSpec: what they say, and set-points for them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from grid import interval
from grid.errors import BadInputError, Finding, PeerError, Severity
from meters.device import DeviceAddress, DeviceKind, DeviceState, Setpoint
from meters.modbus import models
from meters.modbus.chain import Device, discover
from meters.modbus.client import Client
from meters.modbus.errors import ModbusError
from meters.modbus.gateway import Gateways, UnitAddress, ask_units, parse_url
from meters.modbus.setpoints import check, held, percent_steps, quantise, scaled, writes
from meters.reading import MISSING

__all__ = [
    "DeviceAddress",
    "DeviceState",
    "Setpoint",
    "quantise",
    "read_devices",
    "send_setpoints",
]

_MAX_ENERGY_WH = 10**15
T = TypeVar("T")


async def read_devices(
    addresses: Sequence[DeviceAddress],
    *,
    at_s: int,
    timeout_s: float,
    gateways: Gateways | None = None,
) -> tuple[list[DeviceState], list[Finding]]:
    """Return what each device says of itself, and a finding for each that does not.

    A device with model 713 is a storage; one that can fix its power and not
    limit it is a genset; any other is limited.

    Parameters
    ----------
    addresses : sequence of DeviceAddress
        With distinct assets.
    at_s : int
        The time of reading, seconds UTC.
    timeout_s : float
        Longest time spent on one gateway, in seconds.
    gateways : Gateways, optional
        Kept by the caller between readings.

    Returns
    -------
    list of DeviceState, list of Finding
        Sorted by asset. Codes: ``device.silent``, ``device.malformed``,
        ``device.access``, ``device.address``.
    """
    units, failures = _units(addresses)
    ask = gateways.ask if gateways else ask_units
    answers = await ask(units, partial(_read, at_s=at_s), timeout_s=timeout_s)
    return _sorted_out({**failures, **answers}, interval.label(at_s))


async def send_setpoints(
    addresses: Sequence[DeviceAddress],
    setpoints: Sequence[Setpoint],
    *,
    timeout_s: float,
    gateways: Gateways | None = None,
) -> tuple[list[Setpoint], list[Finding]]:
    """Write set-points, enable them, and return what the devices then hold.

    Values are written first, then the reversion timer, then the enable; an
    enable is never taken back, so that a device is under control throughout.

    Parameters
    ----------
    addresses : sequence of DeviceAddress
        With distinct assets; one without a set-point is left alone.
    setpoints : sequence of Setpoint
        One for an asset.
    timeout_s : float
        Longest time spent on one gateway, in seconds.
    gateways : Gateways, optional
        Kept by the caller between readings.

    Returns
    -------
    list of Setpoint, list of Finding
        As read back, sorted by asset. Codes as in :func:`read_devices`, and
        ``device.setpoint`` where a device holds another value than was sent.

    Raises
    ------
    BadInputError
        When an asset has two set-points, or one is out of range.
    """
    wanted = {setpoint.asset: setpoint for setpoint in setpoints}
    if len(wanted) != len(setpoints):
        raise BadInputError("an asset was given two set-points")
    for setpoint in setpoints:
        check(setpoint)
    units, failures = _units([address for address in addresses if address.asset in wanted])
    for asset in wanted:
        if asset not in units and asset not in failures:
            failures[asset] = BadInputError("has a set-point and no address")
    # A set-point does not wait for a back-off to end.
    asking = Gateways(random.Random(0)) if gateways is None else gateways
    answers = await asking.ask(
        units, partial(_send, wanted=wanted), timeout_s=timeout_s, urgent=True
    )
    done, findings = _sorted_out({**failures, **answers}, "")
    findings += [
        Finding(
            "device.setpoint",
            setpoint.asset,
            "",
            Severity.WARNING,
            f"{setpoint.asset} holds {_told(setpoint)} where {_told(wanted[setpoint.asset])} "
            "was sent",
        )
        for setpoint in done
        if setpoint != wanted[setpoint.asset]
    ]
    return done, sorted(findings, key=lambda finding: (finding.subject, finding))


def _units(
    addresses: Sequence[DeviceAddress],
) -> tuple[dict[str, UnitAddress], dict[str, PeerError | BadInputError]]:
    if len({address.asset for address in addresses}) != len(addresses):
        raise BadInputError("an asset was given two addresses")
    units: dict[str, UnitAddress] = {}
    failures: dict[str, PeerError | BadInputError] = {}
    for address in addresses:
        try:
            units[address.asset] = parse_url(address.url)
        except BadInputError as error:
            failures[address.asset] = error
    return units, failures


def _sorted_out(
    answers: dict[str, T | ModbusError | PeerError | BadInputError], at: str
) -> tuple[list[T], list[Finding]]:
    good: list[T] = []
    findings: list[Finding] = []
    for asset, answer in sorted(answers.items(), key=lambda item: item[0]):
        if isinstance(answer, (PeerError, BadInputError)):
            code = answer.code if isinstance(answer, ModbusError) else "address"
            message = " ".join(part for part in (asset, at, str(answer)) if part)
            findings.append(Finding(f"device.{code}", asset, at, Severity.WARNING, message))
        else:
            good.append(answer)
    return good, findings


async def _read(client: Client, unit: int, asset: str, *, at_s: int) -> DeviceState:
    device = await discover(client, unit)
    await device.read(
        client, *(model for model in models.MODELS if device.has(model) and model != models.COMMON)
    )
    kind = _kind(device)
    throttled_w, available_w = _throttling(device) if kind == "limit" else (0, 0)
    return DeviceState(
        asset=asset,
        at_s=at_s,
        charged_wh=_counter(device, "TotWhAbs"),
        discharged_wh=_counter(device, "TotWhInj"),
        throttled_w=throttled_w,
        available_w=available_w,
        energy_wh=_energy_wh(device) if kind == "storage" else None,
        running=_running(device),
        alarm=device.raw(models.MEASUREMENT, "Alrm") or 0,
        setpoint=held(device, asset, kind),
        power_w=_power_w(device),
        remaining_s=_remaining_s(device, kind),
    )


async def _send(client: Client, unit: int, asset: str, *, wanted: dict[str, Setpoint]) -> Setpoint:
    setpoint = wanted[asset]
    device = await discover(client, unit)
    needed = [models.RATINGS, models.CONTROLS]
    if setpoint.kind == "genset":
        needed.append(models.ENTER_SERVICE)
    await device.read(client, *needed)
    for model, name, words in writes(device, setpoint):
        await client.write(unit, device.address(model, name), words)
    await device.read(client, *needed)
    return held(device, asset, setpoint.kind)


def _kind(device: Device) -> DeviceKind:
    if device.has(models.STORAGE):
        return "storage"
    modes = device.raw(models.RATINGS, "CtrlModes") or 0
    fixes = modes & models.FIXED_POWER_MODE and not modes & models.LIMIT_MODE
    return "genset" if fixes else "limit"


def _counter(device: Device, name: str) -> int:
    value = device.raw(models.MEASUREMENT, name)
    if value is None:
        return MISSING
    energy_wh = scaled(value, device.scale(models.MEASUREMENT, "TotWh_SF"))
    if energy_wh > _MAX_ENERGY_WH:
        raise ModbusError(f"has {name} at {energy_wh} Wh, above 10^15")
    return energy_wh


def _power_w(device: Device) -> int | None:
    power = device.raw(models.MEASUREMENT, "W")
    return None if power is None else scaled(power, device.scale(models.MEASUREMENT, "W_SF"))


def _remaining_s(device: Device, kind: DeviceKind) -> int | None:
    name = "WMaxLimPctRvrtRem" if kind == "limit" else "WSetRvrtRem"
    return device.raw(models.CONTROLS, name)


def _running(device: Device) -> bool:
    state = device.raw(models.MEASUREMENT, "St")
    if state is not None:
        return state == models.ON
    return device.raw(models.MEASUREMENT, "InvSt") in models.RUNNING_STATES


def _energy_wh(device: Device) -> int | None:
    available = device.raw(models.STORAGE, "WHAvail")
    if available is not None:
        return scaled(available, device.scale(models.STORAGE, "WH_SF"))
    percent, rating = device.raw(models.STORAGE, "SoC"), device.raw(models.STORAGE, "WHRtg")
    if percent is None or rating is None:
        return None
    full = percent_steps(device.scale(models.STORAGE, "Pct_SF"))
    return scaled(rating, device.scale(models.STORAGE, "WH_SF")) * percent // full


def _throttling(device: Device) -> tuple[int, int]:
    """Return the withheld and the possible output in W.

    From the available power of model 122 where a device has it, else from the
    throttling percentage, whose step is 1 % of the output.
    """
    power = device.raw(models.MEASUREMENT, "W")
    if power is None:
        return MISSING, MISSING
    output_w = abs(scaled(power, device.scale(models.MEASUREMENT, "W_SF")))
    if device.has(models.CONTROLS_STATUS):
        available = device.raw(models.CONTROLS_STATUS, "WAval")
        if available is not None:
            scale = device.scale(models.CONTROLS_STATUS, "WAval_SF")
            available_w = max(output_w, scaled(available, scale))
            return available_w - output_w, available_w
    percent = device.raw(models.MEASUREMENT, "ThrotPct")
    if percent is None or percent >= 100:
        return MISSING, MISSING
    available_w = output_w * 100 // (100 - percent)
    return available_w - output_w, available_w


def _told(setpoint: Setpoint) -> str:
    if setpoint.kind == "limit":
        told = f"at most {setpoint.limit_w} W"
    else:
        told = f"charge {setpoint.charge_w} W, discharge {setpoint.discharge_w} W"
    stopped = "" if setpoint.running else ", not running"
    then = "" if setpoint.revert_w is None else f", then at most {setpoint.revert_w} W"
    return f"{told}{stopped} for {setpoint.revert_s} s{then}"
