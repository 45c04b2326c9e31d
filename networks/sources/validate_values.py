"""Findings on the values of lines, transformers, sources and loads.

The ranges are wide on purpose: they find a wrong unit or a slipped decimal point,
not an unusual cable. They cover the standard types of pandapower, SimBench and
CIGRE TB 575 with a factor of three or more to spare.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from grid.errors import Finding, Severity
from networks.sources.graph import groups, joints
from networks.sources.tables import Row, Tables


@dataclass(frozen=True, slots=True)
class Class:
    """What is plausible up to a nominal voltage.

    `max_i_ka`, `rx`, `length_km` are of lines at this voltage, `sn_mva` of a
    transformer with its low-voltage side at it.
    """

    name: str
    up_to_kv: float
    max_i_ka: tuple[float, float]
    rx: tuple[float, float]
    length_km: float
    sn_mva: tuple[float, float]


CLASSES = (
    Class("low voltage", 1.0, (0.01, 2.0), (0.1, 100.0), 50.0, (0.003, 6.3)),
    Class("medium voltage", 40.0, (0.02, 3.0), (0.03, 30.0), 200.0, (0.1, 200.0)),
    Class("high voltage", 2000.0, (0.05, 20.0), (0.005, 10.0), 1000.0, (5.0, 5000.0)),
)
VK_PERCENT = (1.0, 30.0)
"""Short-circuit voltages of distribution and power transformers, IEC 60076-5 Table 1 and wider."""

NEARLY_ZERO_PU = 1e-8
"""Impedance on 1 MVA below which a line is as good as a closed switch, and ill-conditioned."""

SEVERAL = 3.0
"""Loads of so many times their transformers are a wrong unit rather than diversity."""


def class_of(vn_kv: float) -> Class:
    """Return the class of a nominal voltage."""
    return next((kind for kind in CLASSES if vn_kv <= kind.up_to_kv), CLASSES[-1])


def element(table: str, row: Row) -> str:
    """Return how a row is named in messages: ``line 12 'Line 3'``."""
    name = row.get("name")
    return f"{table} {row['index']} {name!r}" if name else f"{table} {row['index']}"


def value_findings(tables: Tables) -> list[Finding]:
    """Return the findings on values of checked tables."""
    level = {row["index"]: row["vn_kv"] for row in tables["bus"]}
    found: list[Finding] = []
    for row in tables["line"]:
        found += _line(row, level[row["from_bus"]])
    for row in tables["trafo"]:
        found += _trafo(row, level[row["lv_bus"]])
    return found + _missing(tables) + _loads(tables, level) + _zones(tables)


def _made(code: str, severity: Severity, subject: str, message: str) -> Finding:
    return Finding(f"network.{code}", subject, "", severity, f"{subject}: {message}")


def _line(row: Row, vn_kv: float) -> list[Finding]:
    kind, subject = class_of(vn_kv), element("line", row)
    warning = Severity.WARNING
    found = []
    r, x = row["r_ohm_per_km"], row["x_ohm_per_km"]
    ohm = math.hypot(r, x) * row["length_km"] / row["parallel"]
    if ohm == 0:
        found.append(_made("line_zero_impedance", Severity.ALARM, subject, "has no impedance"))
    elif ohm < NEARLY_ZERO_PU * vn_kv**2:
        message = f"has {ohm:.3g} ohm, which a power flow cannot tell from a closed switch"
        found.append(_made("line_zero_impedance", warning, subject, message))
    low, high = kind.max_i_ka
    if not low <= row["max_i_ka"] <= high:
        message = f"max_i_ka is {row['max_i_ka']:g}, {kind.name} has {low:g} to {high:g} kA"
        found.append(_made("line_rating", warning, subject, message))
    if row["length_km"] > kind.length_km:
        message = f"is {row['length_km']:g} km long, {kind.name} has up to {kind.length_km:g} km"
        found.append(_made("line_length", warning, subject, message))
    low, high = kind.rx
    if ohm and not low * x <= r <= high * x:
        ratio = f"{r / x:.3g}" if x else "infinite"
        message = f"R/X is {ratio}, {kind.name} has {low:g} to {high:g}"
        found.append(_made("line_rx", warning, subject, message))
    if row["r0_ohm_per_km"] < r * (1 - 1e-9):
        message = f"r0 of {row['r0_ohm_per_km']:g} ohm/km is below r1 of {r:g} ohm/km"
        found.append(_made("r0_below_r1", warning, subject, message))
    return found


def _trafo(row: Row, vn_lv_kv: float) -> list[Finding]:
    kind, subject = class_of(vn_lv_kv), element("trafo", row)
    warning = Severity.WARNING
    found = []
    low, high = kind.sn_mva
    if not low <= row["sn_mva"] <= high:
        message = f"sn_mva is {row['sn_mva']:g}, to {kind.name} it is {low:g} to {high:g} MVA"
        found.append(_made("trafo_rating", warning, subject, message))
    vk, vkr = row["vk_percent"], row["vkr_percent"]
    if vkr > vk:
        message = f"vkr of {vkr:g} % is above vk of {vk:g} %, so that it has no reactance"
        found.append(_made("trafo_impedance", Severity.ALARM, subject, message))
    elif not VK_PERCENT[0] <= vk <= VK_PERCENT[1]:
        message = f"vk is {vk:g} %, transformers have {VK_PERCENT[0]:g} to {VK_PERCENT[1]:g} %"
        found.append(_made("trafo_impedance", warning, subject, message))
    if not row["tap_side"]:
        return found
    if row["tap_pos"] < row["tap_min"] or row["tap_pos"] > row["tap_max"]:
        message = f"tap_pos {row['tap_pos']:g} is outside {row['tap_min']:g} to {row['tap_max']:g}"
        found.append(_made("tap_out_of_range", warning, subject, message))
    if not row["tap_changer_type"] or not (row["tap_step_percent"] or row["tap_step_degree"]):
        moved = row["tap_pos"] != row["tap_neutral"]
        why = "has no step" if row["tap_changer_type"] else "has no tap_changer_type"
        message = f"its tap at {row['tap_pos']:g} {why} and does not act"
        found.append(_made("tap_inert", warning if moved else Severity.INFO, subject, message))
    return found


def _missing(tables: Tables) -> list[Finding]:
    """Return what three-phase flow and short circuit will miss, one finding for each table."""
    phases = bool(tables["asymmetric_load"] or tables["asymmetric_sgen"])
    severity = Severity.WARNING if phases else Severity.INFO
    needs = {
        "line": ("r0_ohm_per_km", "x0_ohm_per_km", "c0_nf_per_km"),
        "trafo": ("vk0_percent", "vkr0_percent", "mag0_percent", "mag0_rx", "si0_hv_partial"),
    }
    found = []
    for table, columns in needs.items():
        lacking = {name for row in tables[table] for name in columns if math.isnan(row[name])}
        count = sum(any(math.isnan(row[name]) for name in columns) for row in tables[table])
        if table == "trafo" and any(not row["vector_group"] for row in tables[table]):
            lacking.add("vector_group")
            count = max(count, sum(not row["vector_group"] for row in tables[table]))
        if count:
            message = (
                f"{count} of {len(tables[table])} lack {', '.join(sorted(lacking))}: no "
                "three-phase flow and no earth fault without them"
            )
            found.append(_made("zero_sequence_missing", severity, table, message))
    for row in tables["ext_grid"]:
        names = ("s_sc_max_mva", "rx_max")
        lacking = {name for name in names if math.isnan(row[name])}
        if lacking:
            message = f"lacks {', '.join(sorted(lacking))}: no short circuit without them"
            found.append(
                _made("short_circuit_missing", Severity.INFO, element("ext_grid", row), message)
            )
    return found


def _rated_mva(table: str, row: Row, level: dict[int, float]) -> float:
    if table == "trafo":
        return float(row["sn_mva"] * row["df"] * row["parallel"])
    amperes = row["max_i_ka"] * row["df"] * row["parallel"]
    return float(math.sqrt(3) * level[row["from_bus"]] * amperes)


def _nominal_mva(table: str, row: Row) -> float:
    if table == "load":
        return float(math.hypot(row["p_mw"], row["q_mvar"]) * row["scaling"])
    p = sum(row[f"p_{phase}_mw"] for phase in "abc")
    q = sum(row[f"q_{phase}_mvar"] for phase in "abc")
    return float(math.hypot(p, q) * row["scaling"])


def _loads(tables: Tables, level: dict[int, float]) -> list[Finding]:
    carried: dict[int, float] = defaultdict(float)
    for joint in joints(tables):
        # What a closed bus switch carries is not known: what is behind it is not judged.
        rated = math.inf if joint.table == "switch" else _rated_mva(joint.table, joint.row, level)
        carried[joint.a] += rated
        carried[joint.b] += rated
    found = []
    for table in ("load", "asymmetric_load"):
        for row in tables[table]:
            mva, limit = _nominal_mva(table, row), carried[row["bus"]]
            if row["in_service"] and 0 < limit < mva:
                subject = element(table, row)
                message = (
                    f"takes {mva:.4g} MVA, the branches at bus {row['bus']} carry {limit:.4g} MVA"
                )
                found.append(_made("load_above_rating", Severity.WARNING, subject, message))
    return found


def _zones(tables: Tables) -> list[Finding]:
    """Compare the loads between transformers with the transformers that feed them."""
    alive = [row["index"] for row in tables["bus"] if row["in_service"]]
    joined = joints(tables)
    zones = groups(alive, [(j.a, j.b) for j in joined if j.table != "trafo"])
    where = {bus: number for number, zone in enumerate(zones) for bus in zone}
    feeding: dict[int, list[Row]] = defaultdict(list)
    for joint in joined:
        if joint.table == "trafo":
            feeding[where[joint.row["lv_bus"]]].append(joint.row)
    taken: dict[int, float] = defaultdict(float)
    for table in ("load", "asymmetric_load"):
        for row in tables[table]:
            if row["in_service"] and row["bus"] in where:
                taken[where[row["bus"]]] += _nominal_mva(table, row)
    found = []
    for zone, trafos in feeding.items():
        rated = sum(_rated_mva("trafo", row, {}) for row in trafos)
        if taken[zone] > SEVERAL * rated:
            subject = element("trafo", trafos[0])
            message = (
                f"the loads behind it add up to {taken[zone]:.4g} MVA, {taken[zone] / rated:.1f} "
                f"times the {rated:g} MVA of its {len(trafos)} transformers"
            )
            found.append(_made("load_above_trafo", Severity.WARNING, subject, message))
    return found
