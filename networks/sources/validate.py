"""Findings on a network before it is used: what it says that cannot be, or hardly.

========================================  ==========================================
``network.refused``                       a net that the network file cannot hold
``network.island``                        buses that no source reaches
``network.slack_disconnected``            a source that reaches nothing
``network.sources_differ``                sources of one island at other voltages
``network.voltage_mismatch``              a branch that joins unlike voltages
``network.line_duplicate``                two equal lines between the same buses
``network.switch_dangling``               a switch that leads to nothing
``network.coordinates_missing``           buses without a place
``network.coordinates_implausible``       places too far apart, or at 0, 0
``network.line_zero_impedance``           a line without impedance, or nearly
``network.line_rating``                   a current rating far from its class
``network.line_length``                   a line too long for its voltage
``network.line_rx``                       a ratio of R to X far from its class
``network.r0_below_r1``                   less resistance to earth than along
``network.zero_sequence_missing``         no data for three phases and earth faults
``network.short_circuit_missing``         a source without short-circuit power
``network.trafo_rating``                  a rated power far from its class
``network.trafo_impedance``               a short-circuit voltage that cannot be, or hardly
``network.tap_out_of_range``              a tap beyond its ends
``network.tap_inert``                     a tap that does not act
``network.load_above_rating``             a load above what its branches carry
``network.load_above_trafo``              loads several times their transformers
========================================  ==========================================
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from grid.errors import BadInputError, Finding, Severity
from networks.sources.graph import ENDS, islands, sources
from networks.sources.tables import Row, Tables
from networks.sources.validate_values import element, value_findings

MISMATCH_LINE = 0.001
"""Share by which the nominal voltages of a line's ends may differ."""

MISMATCH_TRAFO = 0.15
"""Share by which a winding's rated voltage may differ from its bus's nominal voltage."""

SPREAD_DEGREE = 20.0
"""Largest extent of a network on Earth that is drawn as a map."""

_LISTED = 20
_BUS_TABLES = ("load", "sgen", "storage", "gen", "shunt", "asymmetric_load", "asymmetric_sgen")


def validate(tables: Tables) -> list[Finding]:
    """Return the findings on checked tables, sorted.

    An alarm is what no power flow can be right with, a warning what is most
    likely a mistake, information what a study may miss.
    """
    found = _islands(tables) + _sources(tables) + _voltages(tables) + _duplicates(tables)
    found += _dangling(tables) + _places(tables["bus"]) + value_findings(tables)
    return sorted(found)


def validate_net(net: Any) -> list[Finding]:
    """Return the findings on a pandapower net, ``network.refused`` if no file can hold it."""
    from networks.sources.exchange import from_net

    try:
        tables = from_net(net)
    except BadInputError as error:
        return [Finding("network.refused", "network", "", Severity.ALARM, str(error))]
    return validate(tables)


def listed(indices: list[int]) -> str:
    """Return sorted indices as ``bus 0-4, 7, 9-11``, the first of many."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    more = f" and {len(texts) - _LISTED} more runs" if len(texts) > _LISTED else ""
    return f"bus {', '.join(texts[:_LISTED])}{more}"


def _occupied(tables: Tables) -> dict[int, list[str]]:
    """Return the elements in service at each bus."""
    there: dict[int, list[str]] = defaultdict(list)
    for table in _BUS_TABLES:
        for row in tables[table]:
            if row["in_service"]:
                there[row["bus"]].append(f"{table} {row['index']}")
    return there


def _islands(tables: Tables) -> list[Finding]:
    fed = {row["bus"] for _, row in sources(tables)}
    there = _occupied(tables)
    found = []
    for island in islands(tables):
        if fed.intersection(island):
            continue
        cut = sum(len(there[bus]) for bus in island)
        severity = Severity.ALARM if cut else Severity.WARNING
        what = f"{cut} loads and plants" if cut else "nothing that takes or gives power"
        found.append(
            Finding(
                "network.island",
                f"bus {island[0]}",
                "",
                severity,
                f"no source reaches {listed(island)}: {len(island)} buses with {what}",
            )
        )
    return found


def _sources(tables: Tables) -> list[Finding]:
    where = {bus: number for number, island in enumerate(islands(tables)) for bus in island}
    sizes = [len(island) for island in islands(tables)]
    level = {row["index"]: row["vn_kv"] for row in tables["bus"]}
    first: dict[int, tuple[str, Row]] = {}
    found = []
    for table, row in sources(tables):
        subject = element(table, row)
        island = where.get(row["bus"])
        if island is None or (sizes[island] == 1 and len(tables["bus"]) > 1):
            why = "is out of service" if island is None else "is joined to nothing"
            found.append(
                Finding(
                    "network.slack_disconnected", subject, "", Severity.ALARM,
                    f"{subject}: its bus {row['bus']} {why}",
                )
            )  # fmt: skip
            continue
        head, other = first.setdefault(island, (table, row))
        angles = [given.get("va_degree", 0.0) for given in (row, other)]
        differ = abs(row["vm_pu"] - other["vm_pu"]) > 1e-9
        differ |= level[row["bus"]] == level[other["bus"]] and angles[0] != angles[1]
        if differ:
            found.append(
                Finding(
                    "network.sources_differ", subject, "", Severity.WARNING,
                    f"{subject}: holds {row['vm_pu']:g} pu at {angles[0]:g}°, and "
                    f"{element(head, other)} of the same island {other['vm_pu']:g} pu at "
                    f"{angles[1]:g}°: power circulates between them",
                )
            )  # fmt: skip
    return found


def _voltages(tables: Tables) -> list[Finding]:
    level = {row["index"]: row["vn_kv"] for row in tables["bus"]}
    found = []

    def mismatch(subject: str, message: str) -> None:
        found.append(
            Finding(
                "network.voltage_mismatch", subject, "", Severity.ALARM, f"{subject}: {message}"
            )
        )

    ends = [(element("line", row), row["from_bus"], row["to_bus"]) for row in tables["line"]]
    ends += [
        (element("switch", row), row["bus"], row["element"])
        for row in tables["switch"]
        if row["et"] == "b"
    ]
    for subject, a, b in ends:
        if abs(level[a] - level[b]) > MISMATCH_LINE * max(level[a], level[b]):
            mismatch(subject, f"joins bus {a} of {level[a]:g} kV to bus {b} of {level[b]:g} kV")
    for row in tables["trafo"]:
        for side in ("hv", "lv"):
            rated, bus = row[f"vn_{side}_kv"], row[f"{side}_bus"]
            if abs(rated / level[bus] - 1) > MISMATCH_TRAFO:
                mismatch(
                    element("trafo", row),
                    f"its {side} side of {rated:g} kV is at bus {bus} of {level[bus]:g} kV",
                )
    return found


def _duplicates(tables: Tables) -> list[Finding]:
    same = ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka")
    seen: dict[tuple[Any, ...], Row] = {}
    found = []
    for row in tables["line"]:
        if not row["in_service"]:
            continue
        ends = sorted((row["from_bus"], row["to_bus"]))
        first = seen.setdefault((*ends, *(row[name] for name in same)), row)
        if first is not row:
            subject = element("line", row)
            found.append(
                Finding(
                    "network.line_duplicate", subject, "", Severity.WARNING,
                    f"{subject}: equals {element('line', first)} between bus {ends[0]} and bus "
                    f"{ends[1]}; one line with parallel = 2 says so, or it is there twice",
                )
            )  # fmt: skip
    return found


def _dangling(tables: Tables) -> list[Finding]:
    alive = {row["index"]: row["in_service"] for row in tables["bus"]}
    on = {(t[0], row["index"]): row["in_service"] for t in ENDS for row in tables[t]}
    there = _occupied(tables)
    ends: dict[int, int] = defaultdict(int)
    for table, (first, second) in ENDS.items():
        for row in tables[table]:
            ends[row[first]] += 1
            ends[row[second]] += 1
    for row in tables["switch"]:
        if row["et"] == "b":
            ends[row["bus"]] += 1
            ends[row["element"]] += 1
    fed = {row["bus"] for _, row in sources(tables)}
    found = []
    for row in tables["switch"]:
        why = ""
        if row["et"] != "b":
            if not on[row["et"], row["element"]]:
                table = {"l": "line", "t": "trafo"}[row["et"]]
                why = f"its {table} {row['element']} is out of service"
        elif row["bus"] == row["element"]:
            why = f"joins bus {row['bus']} to itself"
        else:
            for bus in (row["bus"], row["element"]):
                if not alive[bus]:
                    why = f"its bus {bus} is out of service"
                elif ends[bus] == 1 and not there[bus] and bus not in fed:
                    why = f"nothing else is at its bus {bus}"
        if why:
            subject = element("switch", row)
            found.append(
                Finding("network.switch_dangling", subject, "", Severity.INFO, f"{subject}: {why}")
            )
    return found


def _places(buses: list[Row]) -> list[Finding]:
    def placed(row: Row, names: tuple[str, str]) -> bool:
        return all(math.isfinite(row[name]) for name in names)

    earth = [row for row in buses if placed(row, ("longitude", "latitude"))]
    known = {row["index"] for row in [*earth, *(row for row in buses if placed(row, ("x", "y")))]}
    lost = [row["index"] for row in buses if row["index"] not in known]
    found = []
    if lost:
        rest = "all of them are drawn as a tree" if len(lost) < len(buses) else "drawn as a tree"
        found.append(
            Finding(
                "network.coordinates_missing", "network", "", Severity.INFO,
                f"{len(lost)} of {len(buses)} buses have no place, so {rest}: "
                f"{listed(sorted(lost))}",
            )
        )  # fmt: skip
    if earth:
        spread = max(
            max(row[name] for row in earth) - min(row[name] for row in earth)
            for name in ("longitude", "latitude")
        )
        zero = sorted(row["index"] for row in earth if row["longitude"] == row["latitude"] == 0)
        if spread > SPREAD_DEGREE or zero:
            why = f"{listed(zero)} is at 0, 0" if zero else f"they are {spread:.0f}° apart"
            found.append(
                Finding(
                    "network.coordinates_implausible", "network", "", Severity.WARNING,
                    f"the places of the buses are no map: {why}",
                )
            )  # fmt: skip
    return found
