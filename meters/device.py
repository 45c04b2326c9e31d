"""What a controllable device is asked to do and what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeviceKind = Literal["storage", "limit", "genset"]

REVERT_S = 1800
"""Seconds after which a device that hears nothing returns to its safe default."""


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where a device answers: ``modbus://HOST:PORT/UNIT``."""

    asset: str
    url: str


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What a device is to do from now on; exact integers in W.

    Attributes
    ----------
    asset : str
    kind : {"storage", "limit", "genset"}
    charge_w, discharge_w : int
        Storage; a genset's production is its `discharge_w`.
    limit_w : int
        Limit: the highest output (solar, wind), the highest served power (shedding), or the highest
        power that is taken (a charge point).
    running : bool
        Genset: whether it is to run.
    revert_s : int
        Seconds after which the device returns to its safe state by itself;
        0 when read from a device that holds no set-point.
    revert_w : int or None
        Limit: the highest output in its safe state; ``None`` where it is then free. Storage: with
        what it is charged then; ``None`` where it rests.
    """

    asset: str
    kind: DeviceKind
    charge_w: int = 0
    discharge_w: int = 0
    limit_w: int = 0
    running: bool = True
    revert_s: int = REVERT_S
    revert_w: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device says of itself.

    Attributes
    ----------
    asset : str
    at_s : int
        Seconds UTC of the reading.
    charged_wh, discharged_wh : int
        Cumulative counters of the device; production counts as discharged.
        -1 where the device has no such counter.
    throttled_w, available_w : int
        Limit devices: output withheld and output possible over the last
        interval, -1 where the device cannot tell; 0 for other kinds.
    energy_wh : int or None
        State of charge of a storage in Wh.
    running : bool
    alarm : int
        SunSpec alarm bits, 0 when all is well.
    setpoint : Setpoint
        As the device holds it now.
    power_w : int or None
        What it gives now; below zero what it takes. ``None`` where it does not say.
    remaining_s : int or None
        Until it returns to its safe state; ``None`` where it does not count that down.
    """

    asset: str
    at_s: int
    charged_wh: int
    discharged_wh: int
    throttled_w: int
    available_w: int
    energy_wh: int | None
    running: bool
    alarm: int
    setpoint: Setpoint
    power_w: int | None = None
    remaining_s: int | None = None
