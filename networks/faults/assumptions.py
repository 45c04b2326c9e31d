"""What a short-circuit calculation needs and networks often do not say.

Nothing is made up in silence: a value is the network's, the caller's (noted in the result), a
standard's cautious default (a finding that names the elements), or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grid.errors import BadInputError, Finding, Severity
from networks.faults.graph import element, listed

RX_DEFAULT = 0.1
"""R/X of a feeding network of which nothing is known: IEC 60909-0:2016, 6.2."""
_GIVEN_LIMITS = {
    "s_sc_max_mva": (0.01, 1e6),
    "s_sc_min_mva": (0.01, 1e6),
    "rx": (0.0, 100.0),
    "end_temperature_celsius": (20.0, 300.0),
    "converter_k": (0.5, 10.0),
}
# Highest conductor temperature at the end of a short circuit: IEC 60364-4-43:2008, table 43A
# (PVC to 300 mm², XLPE) and IEC 60865-1:2011 (bare aluminium).
_END_CELSIUS = {"PVC": 160.0, "XLPE": 250.0, "bare": 200.0}
_GENERATOR = ("vn_kv", "sn_mva", "xdss_pu", "rdss_ohm", "cos_phi")
_MACHINES = ("async", "async_doubly_fed")


@dataclass(frozen=True, slots=True)
class ZeroSequence:
    """Zero-sequence data for lines and transformers that have none.

    Attributes
    ----------
    r_ratio, x_ratio : float
        R0/R1 and X0/X1 of lines. A four-core cable that returns through its fourth conductor
        alone has R0/R1 = 4.
    vector_group : str
        Of transformers whose group is not known: ``"Dyn"``. Their zero-sequence impedance
        is taken as the positive one.
    """

    r_ratio: float
    x_ratio: float
    vector_group: str = "Dyn"

    def __post_init__(self) -> None:
        for name in ("r_ratio", "x_ratio"):
            value = getattr(self, name)
            if not 0.1 <= value <= 100.0:
                raise BadInputError(f"zero-sequence {name} is {value}, must be within 0.1 to 100")


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the caller states; each value stands in place of the network's own.

    Attributes
    ----------
    s_sc_max_mva, s_sc_min_mva : float, optional
        Short-circuit power of every external grid.
    rx : float, optional
        R/X of every external grid.
    end_temperature_celsius : float, optional
        Of every line's conductor at the end of the fault, for the minimum current.
    converter_k : float, optional
        Short-circuit current of every converter as a multiple of its rated current.
    zero_sequence : ZeroSequence, optional
        Fills gaps only.
    """

    s_sc_max_mva: float | None = None
    s_sc_min_mva: float | None = None
    rx: float | None = None
    end_temperature_celsius: float | None = None
    converter_k: float | None = None
    zero_sequence: ZeroSequence | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _GIVEN_LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise BadInputError(f"{name} is {value}, must be within {low:g} to {high:g}")
        least, most = self.s_sc_min_mva, self.s_sc_max_mva
        if least is not None and most is not None and least > most:
            raise BadInputError(
                f"s_sc_min_mva is {least:g}, must not be above s_sc_max_mva, {most:g}"
            )


@dataclass(slots=True)
class Told:
    """What was assumed on the way: sentences for the result, findings for people."""

    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: str, message: str, severity: Severity = Severity.WARNING) -> None:
        """Add a finding about the network."""
        self.findings.append(Finding(f"faults.{code}", "network", "", severity, message))


def numbers(net: Any, table: str, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a column as floats, NaN where the network says nothing."""
    import pandas as pd

    frame = net[table]
    if column not in frame:
        return np.full(len(frame), np.nan)
    return np.array(pd.to_numeric(frame[column], errors="coerce"), dtype=np.float64)


def live(net: Any, table: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which elements of a table are in service."""
    return np.asarray(net[table]["in_service"].to_numpy(dtype=bool))


def check(net: Any) -> None:
    """Refuse impedances that no short-circuit current follows from.

    Raises
    ------
    BadInputError
        Naming the element.
    """
    rules: dict[str, dict[str, Callable[[float], bool]]] = {
        "bus": {"vn_kv": lambda v: v > 0},
        "line": {
            "length_km": lambda v: v > 0,
            "r_ohm_per_km": lambda v: v >= 0,
            "x_ohm_per_km": lambda v: v >= 0,
            "parallel": lambda v: v > 0,
        },
        "trafo": {
            "sn_mva": lambda v: v > 0,
            "vn_hv_kv": lambda v: v > 0,
            "vn_lv_kv": lambda v: v > 0,
            "vk_percent": lambda v: v > 0,
            "vkr_percent": lambda v: v >= 0,
            "parallel": lambda v: v > 0,
        },
        "gen": {name: lambda v: v > 0 for name in _GENERATOR} | {"rdss_ohm": lambda v: v >= 0},
    }
    for table, columns in rules.items():
        for column, holds in columns.items():
            for row, value in enumerate(numbers(net, table, column)):
                if live(net, table)[row] and not (np.isfinite(value) and holds(value)):
                    name = element(net, table, net[table].index[row])
                    raise BadInputError(
                        f"{name}: {column} is {value:g}, a short circuit needs a real one"
                    )
    for index, row in net.line[live(net, "line")].iterrows():
        if row["r_ohm_per_km"] == 0 and row["x_ohm_per_km"] == 0:
            raise BadInputError(f"{element(net, 'line', index)}: has no impedance")
    for index, row in net.trafo[live(net, "trafo")].iterrows():
        if row["vkr_percent"] > row["vk_percent"]:
            raise BadInputError(
                f"{element(net, 'trafo', index)}: vkr_percent {row['vkr_percent']:g} "
                f"is above vk_percent {row['vk_percent']:g}"
            )


def sources(net: Any, given: Assumptions, cases: Sequence[str], told: Told) -> None:
    """Give each external grid its short-circuit power and R/X, in place.

    Raises
    ------
    BadInputError
        When the network has no external grid, or one of unknown short-circuit power.
    """
    on = live(net, "ext_grid")
    if not on.any():
        raise BadInputError("the network has no external grid in service, must have a source")
    for case in cases:
        column, stated = f"s_sc_{case}_mva", getattr(given, f"s_sc_{case}_mva")
        values = numbers(net, "ext_grid", column)
        if stated is not None:
            values = np.full(len(values), float(stated))
            told.notes.append(f"{column} of every external grid is {stated:g}, as given")
        for row in np.flatnonzero(on & ~(values > 0)):
            name = element(net, "ext_grid", net.ext_grid.index[row])
            raise BadInputError(f"{name}: {column} is missing, give its short-circuit power")
        net.ext_grid[column] = np.where(on, values, 1.0)
        ratio = numbers(net, "ext_grid", f"rx_{case}")
        if given.rx is not None:
            ratio = np.full(len(ratio), float(given.rx))
            told.notes.append(f"rx_{case} of every external grid is {given.rx:g}, as given")
        unknown = on & ~(ratio >= 0)
        if unknown.any():
            told.find(
                "rx_assumed",
                f"{listed(net, 'ext_grid', net.ext_grid.index[unknown])}: rx_{case} is missing, "
                f"R/X {RX_DEFAULT:g} is used (IEC 60909-0, 6.2)",
            )
        net.ext_grid[f"rx_{case}"] = np.where(ratio >= 0, ratio, RX_DEFAULT)


def end_temperatures(net: Any, given: Assumptions, told: Told) -> None:
    """Give each line its conductor temperature at the end of the fault, in place."""
    values = numbers(net, "line", "endtemp_degree")
    stated = given.end_temperature_celsius
    if stated is not None:
        values = np.full(len(values), float(stated))
        told.notes.append(f"conductors end the fault at {stated:g} °C, as given")
    unknown = ~np.isfinite(values)
    if unknown.any():
        kinds = np.array([insulation(net, index) for index in net.line.index], dtype=object)
        for kind, celsius in _END_CELSIUS.items():
            chosen = unknown & (kinds == kind)
            values[chosen] = celsius
            chosen &= live(net, "line")
            if chosen.any():
                told.find(
                    "end_temperature_assumed",
                    f"{listed(net, 'line', net.line.index[chosen])}: endtemp_degree is missing, "
                    f"{celsius:g} °C is used for the minimum current, the highest that "
                    f"{'XLPE or unknown' if kind == 'XLPE' else kind} conductors may reach",
                    Severity.INFO,
                )
    net.line["endtemp_degree"] = values


def insulation(net: Any, index: int) -> str:
    """Return ``PVC``, ``XLPE`` or ``bare`` of a line, by its type; XLPE stands for the unknown.

    The code letters are those of DIN VDE 0276 and HD 620: 2X is XLPE, a Y after the conductor
    material PVC.
    """
    line = net.line.loc[index]
    if line.get("type") == "ol":
        return "bare"
    name = str(line.get("std_type") or "").upper()
    return "PVC" if name.startswith(("NAYY", "NYY", "NAYCWY", "NYCWY", "NAYCY")) else "XLPE"


def converters(net: Any, given: Assumptions, told: Told) -> None:
    """Make converters the current sources of IEC 60909-0:2016, 6.9, or leave them out, in place.

    Raises
    ------
    BadInputError
        When a converter's rated power is missing.
    """
    import pandapower as pp
    import pandas as pd

    stated = given.converter_k
    stores = net.storage.index[live(net, "storage")]
    if stated is None:
        _left_out(net, "storage", stores, told)
    else:
        told.notes.append(f"every converter gives {stated:g} times its rated current, as given")
        for index in stores:
            rated = net.storage.at[index, "sn_mva"]
            if not rated > 0:
                raise BadInputError(f"{element(net, 'storage', index)}: sn_mva is missing")
            pp.create_sgen(net, net.storage.at[index, "bus"], p_mw=0.0, sn_mva=rated)
    if not len(net.sgen):
        return
    kinds = net.sgen.get("generator_type", pd.Series("", index=net.sgen.index))
    machine = kinds.isin(_MACHINES).to_numpy()
    k = numbers(net, "sgen", "k")
    if stated is not None:
        k = np.where(machine, k, stated)
    on = live(net, "sgen") & ~machine
    net.sgen["k"] = k
    net.sgen["current_source"] = ~machine
    for row in np.flatnonzero(on & np.isfinite(k) & ~(numbers(net, "sgen", "sn_mva") > 0)):
        name = element(net, "sgen", net.sgen.index[row])
        raise BadInputError(f"{name}: sn_mva is missing, its short-circuit current follows from it")
    unknown = on & ~np.isfinite(k)
    _left_out(net, "sgen", net.sgen.index[unknown], told)
    net.sgen["in_service"] = live(net, "sgen") & ~unknown


def _left_out(net: Any, table: str, which: Any, told: Told) -> None:
    if len(which):
        power = np.nansum(numbers(net, table, "sn_mva")[net[table].index.isin(which)])
        told.find(
            "converter_left_out",
            f"{listed(net, table, which)}: k is missing, left out of the maximum current; "
            f"{len(which)} converters of {power:g} MVA, give converter_k to count them",
        )
