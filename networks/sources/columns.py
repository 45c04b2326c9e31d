"""The columns of our network file: type, range and default of each.

The words and units are pandapower's; a column that is not there has its default,
and a default of NaN means "not known". The only column with free text is `name`:
every other text is one of a few words or keeps to a pattern in which neither a
path nor a URL can be written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, range and default (None: must be given).

    `kind` is ``int``, ``float``, ``bool`` or ``text``; text is one of `choices`
    or keeps to `pattern` when there are any.
    """

    kind: str
    low: float = -math.inf
    high: float = math.inf
    default: Any = None
    choices: tuple[str, ...] = ()
    pattern: str = ""


def _optional(low: float, high: float) -> Column:
    return Column("float", low, high, math.nan)


def _number(default: float, low: float = -1e5, high: float = 1e5) -> Column:
    return Column("float", low, high, default)


def _word(*choices: str) -> Column:
    return Column("text", default=choices[0], choices=choices)


_INDEX = Column("int", 0, 10**9)
_NAME = Column("text", default="")
_ON = Column("bool", default=True)
_OFF = Column("bool", default=False)
_COUNT = Column("int", 1, 1000, 1)
_DERATING = Column("float", 1e-6, 10, 1.0)
_POWER = Column("float", -1e5, 1e5)
_KILOVOLT = Column("float", 1e-3, 2000)
_RATED_MVA = _optional(0, 1e6)
_SCALING = _number(1.0, 0, 1e6)
_SHARE = _number(0.0, 0, 100)
_WYE = _word("wye", "delta")
_PLANT = Column("text", default="", pattern=r"[\w .+-]{0,40}")
_RATIO = _optional(0, 1e6)
_VECTOR_GROUP = r"(?:[DYZ]|YN|ZN)(?:[dyz]|yn|zn)\d{0,2}"

_ELEMENT: Mapping[str, Column] = {"index": _INDEX, "name": _NAME, "bus": _INDEX}
_PHASES: Mapping[str, Column] = {
    **_ELEMENT,
    **{power.format(phase): _number(0.0) for phase in "abc" for power in ("p_{}_mw", "q_{}_mvar")},
    "sn_mva": _RATED_MVA,
    "scaling": _SCALING,
    "type": _WYE,
    "in_service": _ON,
}  # fmt: skip

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "network": {
        "index": Column("int", 0, 0, 0),
        "name": _NAME,
        "f_hz": _number(50.0, 10, 100),
        # The base of per unit: pandapower's three-phase flow depends on it in the sixth digit.
        "sn_mva": _number(1.0, 1e-6, 1e6),
    },
    "bus": {
        "index": _INDEX,
        "name": _NAME,
        "vn_kv": _KILOVOLT,
        "type": _word("b", "n", "m"),
        "longitude": _optional(-180, 180),
        "latitude": _optional(-90, 90),
        # A place in a plane of any unit, for networks without longitude and latitude.
        "x": _optional(-1e9, 1e9),
        "y": _optional(-1e9, 1e9),
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
        "c_nf_per_km": _number(0.0, 0, 1e9),
        "g_us_per_km": _number(0.0, 0, 1e9),
        "r0_ohm_per_km": _optional(0, 1e6),
        "x0_ohm_per_km": _optional(-1e6, 1e6),
        "c0_nf_per_km": _optional(0, 1e9),
        "g0_us_per_km": _optional(0, 1e9),
        "max_i_ka": Column("float", 1e-9, 1e9),
        "endtemp_degree": _optional(-100, 1000),
        "type": _word("", "cs", "ol"),
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
        "vn_hv_kv": _KILOVOLT,
        "vn_lv_kv": _KILOVOLT,
        # Test cases of transmission have thousands of percent on a base of 100 MVA.
        "vk_percent": Column("float", 1e-6, 1e5),
        "vkr_percent": Column("float", 0, 1e5),
        "pfe_kw": Column("float", 0, 1e6),
        "i0_percent": Column("float", 0, 100),
        "vk0_percent": _optional(0, 1000),
        "vkr0_percent": _optional(0, 1000),
        "mag0_percent": _optional(0, 1e6),
        "mag0_rx": _RATIO,
        "si0_hv_partial": _optional(0, 1),
        "rn_ohm": _optional(0, 1e6),
        "xn_ohm": _optional(0, 1e6),
        "vector_group": Column(
            "text", default="", pattern=r"(?:[DYZ]|YN|ZN)(?:[dyz]|yn|zn)\d{0,2}"
        ),
        "shift_degree": _number(0.0, -360, 360),
        "tap_side": _word("", "hv", "lv"),
        "tap_neutral": _number(0.0, -1000, 1000),
        "tap_pos": _number(0.0, -1000, 1000),
        "tap_min": _optional(-1000, 1000),
        "tap_max": _optional(-1000, 1000),
        "tap_step_percent": _number(0.0, 0, 50),
        "tap_step_degree": _number(0.0, -360, 360),
        # Empty: the tap is drawn and does not act, as pandapower takes it.
        "tap_changer_type": _word("Ratio", "Symmetrical", "Ideal", ""),
        "oltc": _OFF,
        "df": _DERATING,
        "parallel": _COUNT,
        "in_service": _ON,
    },
    "ext_grid": {
        **_ELEMENT,
        "vm_pu": _number(1.0, 0.5, 2.0),
        "va_degree": _number(0.0, -360, 360),
        "s_sc_max_mva": _optional(1e-9, 1e9),
        "s_sc_min_mva": _optional(1e-9, 1e9),
        "rx_max": _RATIO,
        "rx_min": _RATIO,
        "r0x0_max": _RATIO,
        "x0x_max": _RATIO,
        "r0x0_min": _RATIO,
        "x0x_min": _RATIO,
        "in_service": _ON,
    },
    "gen": {
        **_ELEMENT,
        "p_mw": _POWER,
        "vm_pu": _number(1.0, 0.5, 2.0),
        "sn_mva": _RATED_MVA,
        "min_q_mvar": _optional(-1e9, 1e9),
        "max_q_mvar": _optional(-1e9, 1e9),
        "vn_kv": _optional(1e-3, 2000),
        "xdss_pu": _optional(0, 1000),
        "rdss_ohm": _optional(0, 1e6),
        "cos_phi": _optional(0, 1),
        "slack": _OFF,
        "scaling": _SCALING,
        "in_service": _ON,
    },
    "switch": {
        "index": _INDEX,
        "name": _NAME,
        "bus": _INDEX,
        "element": _INDEX,
        "et": Column("text", choices=("b", "l", "t")),
        "type": _word("", "CB", "LBS", "DS", "LS"),
        "closed": _ON,
        "z_ohm": _number(0.0, 0, 1e6),
        "in_ka": _optional(0, 1e6),
    },
    "load": {
        **_ELEMENT,
        "p_mw": _POWER,
        "q_mvar": _number(0.0),
        "const_z_p_percent": _SHARE,
        "const_i_p_percent": _SHARE,
        "const_z_q_percent": _SHARE,
        "const_i_q_percent": _SHARE,
        "sn_mva": _RATED_MVA,
        "scaling": _SCALING,
        "type": _WYE,
        "in_service": _ON,
    },
    "sgen": {
        **_ELEMENT,
        "p_mw": _POWER,
        "q_mvar": _number(0.0),
        "sn_mva": _RATED_MVA,
        "scaling": _SCALING,
        "type": _PLANT,
        "current_source": _ON,
        "generator_type": _word("", "current_source", "async", "async_doubly_fed"),
        "k": _RATIO,
        "rx": _RATIO,
        "lrc_pu": _RATIO,
        "max_ik_ka": _optional(0, 1e6),
        "kappa": _RATIO,
        "in_service": _ON,
    },
    "storage": {
        **_ELEMENT,
        "p_mw": _POWER,
        "q_mvar": _number(0.0),
        "sn_mva": _RATED_MVA,
        "soc_percent": _optional(0, 100),
        "min_e_mwh": _number(0.0, 0, 1e6),
        "max_e_mwh": _optional(0, 1e6),
        "min_p_mw": _optional(-1e5, 1e5),
        "max_p_mw": _optional(-1e5, 1e5),
        "scaling": _SCALING,
        "type": _PLANT,
        "in_service": _ON,
    },
    "shunt": {
        **_ELEMENT,
        "p_mw": _number(0.0),
        "q_mvar": _POWER,
        # Not given: the bus's own.
        "vn_kv": _optional(1e-3, 2000),
        "step": _number(1.0, 0, 1000),
        "max_step": _COUNT,
        "in_service": _ON,
    },
    "asymmetric_load": _PHASES,
    "asymmetric_sgen": _PHASES,
}
