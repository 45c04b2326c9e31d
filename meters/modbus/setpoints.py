"""Set-points in the control registers of SunSpec models 703 and 704.

The only file in which the sign of a device's power flips: SunSpec counts
injection as positive, :class:`meters.device.Setpoint` has two columns.
"""

from __future__ import annotations

from dataclasses import replace

from grid.errors import BadInputError
from meters.device import DeviceKind, Setpoint
from meters.modbus import models
from meters.modbus.chain import Device
from meters.modbus.errors import ModbusError
from meters.modbus.registers import encode

_MAX_W = 2**31 - 1
_MAX_S = 2**32 - 2

Write = tuple[int, str, tuple[int, ...]]
"""Model, first point, and the registers from there on."""


def quantise(setpoint: Setpoint, rating_w: int) -> Setpoint:
    """Return `setpoint` as a device of `rating_w` will hold it.

    A limit is a percentage of the rating in steps of 0.01 %, rounded down, so
    that a device never gives more than asked; it is told in W rounded up, so
    that quantising twice changes nothing. The rating itself loses its last
    digit above 65,534 W. Powers of storages and gensets are whole W on the
    wire. Fields that the kind does not use are set to their defaults.

    Raises
    ------
    BadInputError
        When a value is negative or too large, a storage is to charge and
        discharge at once, or the reversion time is 0.
    """
    check(setpoint)
    if rating_w < 1:
        raise BadInputError(f"{setpoint.asset}: rating_w is {rating_w}, must be at least 1")
    if setpoint.kind == "limit":
        held_w = models.held_rating(rating_w)
        full = percent_steps(models.PERCENT_SCALE)

        def taken(value: int) -> int:
            return _limit_w(_limit_steps(value, held_w, full), held_w, full)

        return replace(
            setpoint,
            charge_w=0,
            discharge_w=0,
            limit_w=taken(setpoint.limit_w),
            running=True,
            revert_w=None if setpoint.revert_w is None else taken(setpoint.revert_w),
        )
    if setpoint.kind == "genset":
        return replace(setpoint, charge_w=0, limit_w=0, revert_w=None)
    return replace(setpoint, limit_w=0, running=True, revert_w=setpoint.revert_w or None)


def writes(device: Device, setpoint: Setpoint) -> list[Write]:
    """Return what to write, in order: values, reversion timer, enable.

    Parameters
    ----------
    device : Device
        With ratings and controls read.
    """
    if setpoint.kind == "limit":
        return _limit_writes(device, setpoint)
    return _power_writes(device, setpoint)


def held(device: Device, asset: str, kind: DeviceKind) -> Setpoint:
    """Return the set-point in the control registers; disabled is the device's default."""
    prefix = "WMaxLimPct" if kind == "limit" else "WSet"
    enabled = device.raw(models.CONTROLS, f"{prefix}Ena") == models.ON
    revert_s = (device.raw(models.CONTROLS, f"{prefix}RvrtTms") or 0) if enabled else 0
    if kind == "limit":
        full = percent_steps(device.scale(models.CONTROLS, "WMaxLimPct_SF"))
        steps = device.required(models.CONTROLS, "WMaxLimPct") if enabled else full
        limit_w = _limit_w(steps, _rating_w(device), full)
        revert_w = None
        if enabled and device.raw(models.CONTROLS, "WMaxLimPctEnaRvrt") == models.ON:
            revert = device.required(models.CONTROLS, "WMaxLimPctRvrt")
            revert_w = _limit_w(revert, _rating_w(device), full)
        return Setpoint(asset, kind, limit_w=limit_w, revert_s=revert_s, revert_w=revert_w)
    power_w = 0
    if enabled:
        if device.raw(models.CONTROLS, "WSetMod") != models.WSET_IN_WATTS:
            raise ModbusError("holds a power set-point that is not in W")
        scale = device.scale(models.CONTROLS, "WSet_SF")
        power_w = scaled(device.required(models.CONTROLS, "WSet"), scale)
    running, revert_w = True, None
    if enabled and kind == "storage" and device.raw(models.CONTROLS, "WSetEnaRvrt") == models.ON:
        scale = device.scale(models.CONTROLS, "WSet_SF")
        revert_w = max(0, -scaled(device.raw(models.CONTROLS, "WSetRvrt") or 0, scale)) or None
    if kind == "genset" and device.has(models.ENTER_SERVICE):
        running = device.raw(models.ENTER_SERVICE, "ES") == models.ON
    return Setpoint(
        asset,
        kind,
        charge_w=max(0, -power_w),
        discharge_w=max(0, power_w),
        running=running,
        revert_s=revert_s,
        revert_w=revert_w,
    )


def check(setpoint: Setpoint) -> None:
    """Refuse a set-point that no device could hold.

    Raises
    ------
    BadInputError
        When a value is negative or too large, a storage is to charge and
        discharge at once, or the reversion time is 0.
    """
    asset = setpoint.asset
    if setpoint.kind not in ("storage", "limit", "genset"):
        raise BadInputError(f"{asset}: kind {setpoint.kind!r} is unknown")
    for name in ("charge_w", "discharge_w", "limit_w", "revert_w"):
        value = getattr(setpoint, name)
        if name == "revert_w" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_W:
            raise BadInputError(f"{asset}: {name} is {value!r}, must be whole W 0 to {_MAX_W}")
    if setpoint.charge_w and setpoint.discharge_w:
        raise BadInputError(f"{asset}: charges and discharges at once")
    if setpoint.kind == "genset" and setpoint.charge_w:
        raise BadInputError(f"{asset}: a genset cannot charge")
    if not 1 <= setpoint.revert_s <= _MAX_S:
        raise BadInputError(f"{asset}: revert_s is {setpoint.revert_s}, must be 1 to {_MAX_S}")


def _limit_writes(device: Device, setpoint: Setpoint) -> list[Write]:
    full = percent_steps(device.scale(models.CONTROLS, "WMaxLimPct_SF"))
    steps = _limit_steps(setpoint.limit_w, _rating_w(device), full)
    revert, ends = full, models.OFF
    if setpoint.revert_w is not None:
        revert, ends = _limit_steps(setpoint.revert_w, _rating_w(device), full), models.ON
    controls = models.CONTROLS
    return [
        # Without a safe output reverting means no limit of ours: the device is left to itself.
        (controls, "WMaxLimPct", (steps, revert, ends)),
        (controls, "WMaxLimPctRvrtTms", encode("uint32", setpoint.revert_s)),
        (controls, "WMaxLimPctEna", (models.ON,)),
    ]


def _power_writes(device: Device, setpoint: Setpoint) -> list[Write]:
    scale = device.scale(models.CONTROLS, "WSet_SF")
    power_w = setpoint.discharge_w - setpoint.charge_w
    try:
        value = encode("int32", scaled(power_w, -scale))
        # A battery rests when it reverts, a genset idles, a vehicle is charged with what is safe.
        safe = encode("int32", scaled(-(setpoint.revert_w or 0), -scale))
    except OverflowError as error:
        raise ModbusError(f"cannot hold {power_w} W with scale factor {scale}") from error
    controls = models.CONTROLS
    service: list[Write] = []
    if setpoint.kind == "genset":
        service = [(models.ENTER_SERVICE, "ES", (int(setpoint.running),))]
    return [
        (controls, "WSetMod", (models.WSET_IN_WATTS, *value, *safe)),
        *service,
        (controls, "WSetEnaRvrt", (models.ON, *encode("uint32", setpoint.revert_s))),
        (controls, "WSetEna", (models.ON,)),
    ]


def _rating_w(device: Device) -> int:
    scale = device.scale(models.RATINGS, "W_SF")
    for name in ("WMax", "WMaxRtg"):
        value = device.raw(models.RATINGS, name)
        if value:
            return max(1, scaled(value, scale))
    raise ModbusError("has no power rating")


def scaled(value: int, scale: int) -> int:
    """Return value × 10^scale, rounded towards zero."""
    factor = int(10 ** abs(scale))
    if scale >= 0:
        return value * factor
    return value // factor if value >= 0 else -(-value // factor)


def percent_steps(scale: int) -> int:
    """Return the register value of 100 %."""
    if not -2 <= scale <= 2:
        raise ModbusError(f"has percentages with scale factor {scale}: 100 % does not fit")
    return scaled(100, -scale)


def _limit_steps(limit_w: int, rating_w: int, full: int) -> int:
    return min(limit_w, rating_w) * full // rating_w


def _limit_w(steps: int, rating_w: int, full: int) -> int:
    return -(-steps * rating_w // full)
