"""What the simulated world remembers from one tick to the next, kept on disk.

Energies are whole mWh, so that a register never depends on the order in which
floats were added.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from grid.errors import BadInputError
from meters.device import Setpoint
from meters.reading import RegisterRow

MWH_PER_WH = 1000
ROWS_KEPT = 3 * 96
_BRANCH = re.compile(r"(line|trafo) [0-9]{1,9}", re.ASCII)


@dataclass(slots=True)
class MeterState:
    """Registers in mWh in channel order, the captured load profile in Wh, how far the clock is
    ahead.

    Behind a meter that is not `connected` nothing is taken and nothing given.
    """

    registers_mwh: list[int]
    voltage_v: float = 230.0
    rows: list[RegisterRow] = field(default_factory=list)
    connected: bool = True
    clock_offset_s: int = 0


@dataclass(slots=True)
class DeviceState:
    """A device's counters in mWh, its set-point and when that lapses."""

    charged_mwh: int = 0
    discharged_mwh: int = 0
    energy_mwh: int = 0
    throttled_w: int = 0
    available_w: int = 0
    running: bool = False
    alarm: int = 0
    setpoint: Setpoint | None = None
    lapses_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a meter, or with the feeder, during ``[from_s, to_s)``.

    ``silent``: the meter answers nothing. ``jump``: its import register leaps by `wh`
    at `from_s`. ``rollover``: its import register stands `wh` below its end at
    `from_s`. ``clock``: its clock leaps by `shift_s` at `from_s`. ``open``: the
    `branch`, as ``"line 17"``, carries nothing, as behind a blown fuse.
    """

    kind: str
    from_s: int
    to_s: int
    meter: str = ""
    branch: str = ""
    wh: int = 0
    shift_s: int = 0

    def __post_init__(self) -> None:
        subject = self.branch if self.kind == "open" else self.meter
        if self.kind not in ("silent", "jump", "rollover", "clock", "open"):
            raise BadInputError(f"fault of {subject}: {self.kind!r} is no kind of fault")
        if self.to_s < self.from_s:
            raise BadInputError(f"fault of {subject}: to_s is before from_s")
        if self.kind == "open" and not _BRANCH.fullmatch(self.branch):
            raise BadInputError(
                f"fault: branch is {self.branch[:40]!r}, must be 'line NUMBER' or 'trafo NUMBER'"
            )

    @property
    def opened(self) -> tuple[str, int]:
        """Kind and index of the branch."""
        kind, number = self.branch.split()
        return kind, int(number)


@dataclass(slots=True)
class FieldState:
    """The whole world at one instant."""

    clock_s: int
    meters: dict[str, MeterState]
    devices: dict[str, DeviceState]
    faults: list[Fault] = field(default_factory=list)

    def remaining_s(self, asset: str) -> int:
        """Return how long a device still holds its set-point."""
        device = self.devices[asset]
        if device.setpoint is None or not device.setpoint.revert_s:
            return 0
        return max(0, device.lapses_s - self.clock_s)

    def write(self, path: Path) -> None:
        """Replace the file at once and durably."""
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(self._facts(), separators=(",", ":")))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _facts(self) -> dict[str, Any]:
        meters = {
            name: {
                "registers_mwh": meter.registers_mwh,
                "voltage_v": meter.voltage_v,
                "rows": [[row.at_s, *row.values] for row in meter.rows],
                "connected": meter.connected,
                "clock_offset_s": meter.clock_offset_s,
            }
            for name, meter in self.meters.items()
        }
        devices = {name: asdict(device) for name, device in self.devices.items()}
        faults = [asdict(fault) for fault in self.faults]
        return {"clock_s": self.clock_s, "meters": meters, "devices": devices, "faults": faults}


def read(path: Path) -> FieldState:
    """Return the state of a file written by :meth:`FieldState.write`."""
    raw = json.loads(path.read_text(encoding="utf-8"))

    def meter(facts: dict[str, Any]) -> MeterState:
        rows = [RegisterRow(at_s, (a, b, c, d)) for at_s, a, b, c, d in facts.pop("rows")]
        return MeterState(**facts, rows=rows)

    def device(facts: dict[str, Any]) -> DeviceState:
        setpoint = facts.pop("setpoint")
        return DeviceState(**facts, setpoint=None if setpoint is None else Setpoint(**setpoint))

    return FieldState(
        clock_s=raw["clock_s"],
        meters={name: meter(facts) for name, facts in raw["meters"].items()},
        devices={name: device(facts) for name, facts in raw["devices"].items()},
        faults=[Fault(**fault) for fault in raw["faults"]],
    )
