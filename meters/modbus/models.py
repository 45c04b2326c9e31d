"""The SunSpec models that a controllable device is run with.

DER models 701 to 713 of IEEE 1547-2018, and model 122 for the available power;
their layouts are in :mod:`meters.modbus.tables`. Only the points that are used
have a name here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meters.modbus.registers import SIZES
from meters.modbus.tables import offsets, table

BASE = 40_000
BASES = (BASE, 0, 50_000)
"""Where the marker may stand, in the order in which it is looked for."""

MARKER = (0x5375, 0x6E53)
"""``SunS``, the two registers at :data:`BASE`."""

END = 0xFFFF
"""Model ID that ends the chain."""

COMMON, CONTROLS_STATUS, MEASUREMENT, RATINGS, ENTER_SERVICE, CONTROLS, STORAGE = (
    1,
    122,
    701,
    702,
    703,
    704,
    713,
)


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a model: its offset from the model's ID register, and its type."""

    offset: int
    type: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model: `length` registers after ID and L, and the points that are used."""

    length: int
    points: Mapping[str, Point]

    @property
    def needed(self) -> int:
        """Registers from the ID on that hold every point of :attr:`points`."""
        return max((point.offset + SIZES[point.type] for point in self.points.values()), default=2)


def _used(model: int, *names: str) -> Model:
    """Return a model with those of its points that a set-point or a state needs."""
    known = offsets(model)
    length = sum(point.size for _, point in known.values())
    return Model(
        # Model 704 is the only one of them with groups, which are there once.
        length + sum(p.size for group in table(model).groups for p in group.points),
        {name: Point(known[name][0], known[name][1].type) for name in names},
    )


MODELS: dict[int, Model] = {
    COMMON: _used(COMMON),
    CONTROLS_STATUS: _used(CONTROLS_STATUS, "PVConn", "StorConn", "ECPConn", "WAval", "WAval_SF"),
    MEASUREMENT: _used(
        MEASUREMENT,
        *("ACType", "St", "InvSt", "ConnSt", "Alrm", "W", "TotWhInj", "TotWhAbs"),
        *("ThrotPct", "W_SF", "TotWh_SF"),
    ),
    RATINGS: _used(RATINGS, "WMaxRtg", "CtrlModes", "WMax", "W_SF"),
    ENTER_SERVICE: _used(ENTER_SERVICE, "ES"),
    CONTROLS: _used(
        CONTROLS,
        *("WMaxLimPctEna", "WMaxLimPct", "WMaxLimPctRvrt", "WMaxLimPctEnaRvrt"),
        *("WMaxLimPctRvrtTms", "WMaxLimPctRvrtRem", "WMaxLimPct_SF"),
        *("WSetEna", "WSetMod", "WSet", "WSetRvrt", "WSetEnaRvrt", "WSetRvrtTms"),
        *("WSetRvrtRem", "WSet_SF"),
    ),
    STORAGE: _used(STORAGE, "WHRtg", "WHAvail", "SoC", "Sta", "WH_SF", "Pct_SF"),
}

OFF, ON = 0, 1
RUNNING_STATES = (3, 4)
"""RUNNING and THROTTLED of InvSt."""

WSET_IN_WATTS = 1
LIMIT_MODE, FIXED_POWER_MODE = 1 << 0, 1 << 1
"""Bits MAX_W and FIXED_W of CtrlModes."""

PERCENT_SCALE = -2
"""Scale factor of percentages in set-points: 100 % is 10,000 steps."""


def fitting_scale(highest: int, capacity: int) -> int:
    """Return the smallest scale factor with which `highest` fits in `capacity`."""
    scale = 0
    while highest // 10**scale > capacity:
        scale += 1
    return scale


def held_rating(rating_w: int) -> int:
    """Return `rating_w` as a 16-bit register with a scale factor holds it, in W."""
    scale = fitting_scale(rating_w, 0xFFFE)
    unit_w = int(10**scale)
    return rating_w // unit_w * unit_w
