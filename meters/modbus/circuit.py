"""What is known of a gateway between polls: who failed, and until when it is left alone."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from meters.modbus.client import Client
from meters.statistics import Statistics

BACK_OFF_S, LONGEST_BACK_OFF_S = 60.0, 3600.0
"""The longest wait after the second failure in a row, and after any."""


@dataclass(slots=True)
class Circuit:
    """Whether a peer that failed is asked again: not before `until_s`."""

    failures: int = 0
    until_s: float = 0.0

    def failed(self, now_s: float, draw: random.Random) -> None:
        """Count a failure; from the second in a row on, wait up to twice as long each time."""
        self.failures += 1
        if self.failures > 1:
            longest_s = min(BACK_OFF_S * 2.0 ** min(self.failures - 2, 16), LONGEST_BACK_OFF_S)
            self.until_s = now_s + draw.uniform(0, longest_s)


@dataclass(slots=True)
class Gateway:
    """What is known of one gateway between polls."""

    client: Client
    statistics: Statistics = field(default_factory=Statistics)
    circuit: Circuit = field(default_factory=Circuit)
    unit_circuit: dict[int, Circuit] = field(default_factory=dict)
    waiting: int = 0
    contenders: int = 0
    turn: asyncio.Lock | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it, or the only unit behind it, gave no right answer last time."""
        return bool(self.circuit.failures or self.unit_circuit)

    def due(self, unit: int, now_s: float) -> bool:
        """Return whether no back-off keeps `unit` from being asked."""
        circuit = self.unit_circuit.get(unit)
        return self.circuit.until_s <= now_s and (circuit is None or circuit.until_s <= now_s)

    def suspected(self, unit: int) -> bool:
        """Return whether `unit` failed when it was last asked."""
        circuit = self.unit_circuit.get(unit)
        return circuit is not None and circuit.failures > 0

    def lock(self) -> asyncio.Lock:
        """Return what gives one unit at a time the connection, in the running loop."""
        loop = asyncio.get_running_loop()
        if self.turn is None or self.loop is not loop:
            self.turn, self.loop, self.waiting = asyncio.Lock(), loop, 0
            self.contenders = 0
        return self.turn
