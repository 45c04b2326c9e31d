"""The columns of our network file: type, range and default of each.

The words and units are pandapower's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, range and default (None: must be given).

    `kind` is ``int``, ``float``, ``bool``, ``text`` or ``choice``; text uses
    `choices` when there are any.
    """

    kind: str
    low: float = -math.inf
    high: float = math.inf
    default: Any = None
    choices: tuple[str, ...] = ()


_INDEX = Column("int", 0, 10**9)
_NAME = Column("text", default="")
_ON = Column("bool", default=True)
_COUNT = Column("int", 1, 1000, 1)
_DERATING = Column("float", 1e-6, 10, 1.0)

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "bus": {
        "index": _INDEX,
        "name": _NAME,
        "vn_kv": Column("float", 1e-3, 2000),
        "longitude": Column("float", -180, 180, math.nan),
        "latitude": Column("float", -90, 90, math.nan),
        "in_service": _ON,
    },
    "line": {
        "index": _INDEX,
        "name": _NAME,
        "from_bus": _INDEX,
        "to_bus": _INDEX,
        "length_km": Column("float", 1e-9, 1e5),
        "r_ohm_per_km": Column("float", 0, 1e6),
        "x_ohm_per_km": Column("float", -1e6, 1e6),
        "c_nf_per_km": Column("float", 0, 1e9, 0.0),
        "g_us_per_km": Column("float", 0, 1e9, 0.0),
        "max_i_ka": Column("float", 1e-9, 1e9),
        "df": _DERATING,
        "parallel": _COUNT,
        "in_service": _ON,
    },
    "trafo": {
        "index": _INDEX,
        "name": _NAME,
        "hv_bus": _INDEX,
        "lv_bus": _INDEX,
        "sn_mva": Column("float", 1e-6, 1e5),
        "vn_hv_kv": Column("float", 1e-3, 2000),
        "vn_lv_kv": Column("float", 1e-3, 2000),
        "vk_percent": Column("float", 1e-6, 100),
        "vkr_percent": Column("float", 0, 100),
        "pfe_kw": Column("float", 0, 1e6),
        "i0_percent": Column("float", 0, 100),
        "shift_degree": Column("float", -360, 360, 0.0),
        "tap_side": Column("text", default="", choices=("", "hv", "lv")),
        "tap_neutral": Column("float", -1000, 1000, 0.0),
        "tap_pos": Column("float", -1000, 1000, 0.0),
        "tap_step_percent": Column("float", 0, 50, 0.0),
        "df": _DERATING,
        "parallel": _COUNT,
        "in_service": _ON,
    },
    "ext_grid": {"index": _INDEX, "name": _NAME, "bus": _INDEX, "in_service": _ON},
    "switch": {
        "index": _INDEX,
        "name": _NAME,
        "bus": _INDEX,
        "element": _INDEX,
        "et": Column("text", choices=("b", "l", "t")),
        "closed": _ON,
    },
    "load": {
        "index": _INDEX,
        "name": _NAME,
        "bus": _INDEX,
        "p_mw": Column("float", -1e5, 1e5),
        "q_mvar": Column("float", -1e5, 1e5, 0.0),
        "in_service": _ON,
    },
}
