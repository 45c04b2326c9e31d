"""The SunSpec models that a controllable device is run with.

Layouts are those of the SunSpec Device Information Model Reference
(DER models 701 to 713 of IEEE 1547-2018, and model 122 for the available
power). Only the points that are used have a name here; an offset counts from
the model's ID register.
"""

from __future__ import annotations

from dataclasses import dataclass

from meters.modbus.registers import SIZES

BASE = 40_000
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
    """A value of a model: `scale` names the point with its scale factor."""

    offset: int
    type: str
    scale: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A model: `length` registers after ID and L, and the points that are used."""

    length: int
    points: dict[str, Point]

    @property
    def needed(self) -> int:
        """Registers from the ID on that hold every point of :attr:`points`."""
        return max((point.offset + SIZES[point.type] for point in self.points.values()), default=2)


MODELS: dict[int, Model] = {
    COMMON: Model(66, {}),
    CONTROLS_STATUS: Model(
        44,
        {
            "PVConn": Point(2, "bitfield16"),
            "StorConn": Point(3, "bitfield16"),
            "ECPConn": Point(4, "bitfield16"),
            "WAval": Point(31, "uint16", "WAval_SF"),
            "WAval_SF": Point(32, "sunssf"),
        },
    ),
    MEASUREMENT: Model(
        153,
        {
            "ACType": Point(2, "enum16"),
            "St": Point(3, "enum16"),
            "InvSt": Point(4, "enum16"),
            "ConnSt": Point(5, "enum16"),
            "Alrm": Point(6, "bitfield32"),
            "W": Point(10, "int16", "W_SF"),
            "TotWhInj": Point(19, "uint64", "TotWh_SF"),
            "TotWhAbs": Point(23, "uint64", "TotWh_SF"),
            "ThrotPct": Point(110, "uint16"),
            "W_SF": Point(116, "sunssf"),
            "TotWh_SF": Point(120, "sunssf"),
        },
    ),
    RATINGS: Model(
        50,
        {
            "WMaxRtg": Point(2, "uint16", "W_SF"),
            "CtrlModes": Point(23, "bitfield32"),
            "WMax": Point(26, "uint16", "W_SF"),
            "W_SF": Point(45, "sunssf"),
        },
    ),
    ENTER_SERVICE: Model(17, {"ES": Point(2, "enum16")}),
    CONTROLS: Model(
        65,
        {
            "WMaxLimPctEna": Point(14, "enum16"),
            "WMaxLimPct": Point(15, "uint16", "WMaxLimPct_SF"),
            "WMaxLimPctRvrt": Point(16, "uint16", "WMaxLimPct_SF"),
            "WMaxLimPctEnaRvrt": Point(17, "enum16"),
            "WMaxLimPctRvrtTms": Point(18, "uint32"),
            "WMaxLimPctRvrtRem": Point(20, "uint32"),
            "WSetEna": Point(22, "enum16"),
            "WSetMod": Point(23, "enum16"),
            "WSet": Point(24, "int32", "WSet_SF"),
            "WSetRvrt": Point(26, "int32", "WSet_SF"),
            "WSetEnaRvrt": Point(30, "enum16"),
            "WSetRvrtTms": Point(31, "uint32"),
            "WSetRvrtRem": Point(33, "uint32"),
            "WMaxLimPct_SF": Point(54, "sunssf"),
            "WSet_SF": Point(55, "sunssf"),
        },
    ),
    STORAGE: Model(
        7,
        {
            "WHRtg": Point(2, "uint16", "WH_SF"),
            "WHAvail": Point(3, "uint16", "WH_SF"),
            "SoC": Point(4, "uint16", "Pct_SF"),
            "Sta": Point(6, "enum16"),
            "WH_SF": Point(7, "sunssf"),
            "Pct_SF": Point(8, "sunssf"),
        },
    ),
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
