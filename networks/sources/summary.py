"""What a network has: counts, ratings, voltage levels and the kind of its coordinates."""

from __future__ import annotations

import math
from typing import Any

from networks.sources.columns import COLUMNS
from networks.sources.tables import Tables


def summary(tables: Tables) -> dict[str, Any]:
    """Return the facts of checked tables, ready for JSON.

    Returns
    -------
    dict
        `name`, `f_hz`; `elements` by table; `voltage_levels_kv` from the highest;
        `line_length_km`, `line_rating_ka` (lowest, highest) and `trafo_rated_mva`;
        `load_mw` and `plant_mw`, nominal and in service; `coordinates`, which is
        ``longitude and latitude``, ``plane``, ``mixed`` or ``none``.
    """
    lines = tables["line"]
    network = tables["network"][0] if tables["network"] else {"name": "", "f_hz": 50.0}
    return {
        "name": network["name"],
        "f_hz": network["f_hz"],
        "elements": {
            table: len(tables[table]) for table in COLUMNS if table != "network" and tables[table]
        },
        "voltage_levels_kv": sorted({row["vn_kv"] for row in tables["bus"]}, reverse=True),
        "line_length_km": sum(row["length_km"] for row in lines),
        "line_rating_ka": [
            bound((row["max_i_ka"] * row["df"] * row["parallel"] for row in lines), default=0.0)
            for bound in (min, max)
        ],
        "trafo_rated_mva": sorted(row["sn_mva"] * row["parallel"] for row in tables["trafo"]),
        "load_mw": _nominal_mw(tables, ("load", "asymmetric_load")),
        "plant_mw": _nominal_mw(tables, ("sgen", "asymmetric_sgen", "gen")),
        "coordinates": _coordinates(tables),
    }


def _nominal_mw(tables: Tables, names: tuple[str, ...]) -> float:
    total = 0.0
    for name in names:
        for row in tables[name]:
            if row["in_service"]:
                phases = [row[f"p_{phase}_mw"] for phase in "abc" if f"p_{phase}_mw" in row]
                total += (sum(phases) if phases else row["p_mw"]) * row["scaling"]
    return total


def _coordinates(tables: Tables) -> str:
    kinds = set()
    for row in tables["bus"]:
        if all(math.isfinite(row[name]) for name in ("longitude", "latitude")):
            kinds.add("longitude and latitude")
        elif all(math.isfinite(row[name]) for name in ("x", "y")):
            kinds.add("plane")
        else:
            kinds.add("none")
    return kinds.pop() if len(kinds) == 1 else "mixed"
