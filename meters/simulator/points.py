"""The mutable facts that the simulated servers serve; a world sets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meters.reading import RegisterRow

if TYPE_CHECKING:
    from meters.modbus.sunspec import Setpoint


@dataclass(slots=True)
class MeterPoint:
    """What a simulated meter shows.

    Attributes
    ----------
    meter : str
    clock_s : int
        The meter's own clock, seconds UTC.
    registers : list of int
        Cumulative Wh and varh in :data:`meters.reading.CHANNELS` order.
    voltage_v : float
        Phase voltage in volts.
    rows : list of RegisterRow
        Load profile, oldest first, captured at multiples of 900 s.
    silent : bool
        The server accepts connections and answers nothing.
    connected : bool
        The output of its breaker.
    on_switch : callable or None
        Called when a client has switched the output.
    """

    meter: str
    clock_s: int
    registers: list[int]
    voltage_v: float
    rows: list[RegisterRow] = field(default_factory=list)
    silent: bool = False
    connected: bool = True
    on_switch: Callable[[], None] | None = None


@dataclass(slots=True)
class DevicePoint:
    """What a simulated controllable device shows, and the set-point it holds.

    Attributes
    ----------
    asset : str
    kind : str
        ``"storage"``, ``"limit"`` or ``"genset"``.
    rating_w : int
    energy_rating_wh : int
        0 for what stores nothing.
    charged_wh, discharged_wh : int
        Cumulative counters; production counts as discharged.
    throttled_w, available_w : int
        Output withheld and output possible over the last interval.
    energy_wh : int or None
        State of charge of a storage.
    running : bool
    alarm : int
        Bit field, 0 when all is well.
    setpoint : Setpoint
        As last written by a client.
    remaining_s : int
        Until it returns to its safe state.
    silent : bool
        The unit does not answer.
    on_setpoint : callable or None
        Called with each set-point a client enables.
    absorbs : bool
        A limited device takes power, as a charge point does, and gives none.
    """

    asset: str
    kind: str
    rating_w: int
    energy_rating_wh: int
    charged_wh: int
    discharged_wh: int
    throttled_w: int
    available_w: int
    energy_wh: int | None
    running: bool
    alarm: int
    setpoint: Setpoint
    remaining_s: int = 0
    silent: bool = False
    on_setpoint: Callable[[Setpoint], None] | None = None
    absorbs: bool = False
