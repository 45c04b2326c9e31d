"""Zero-sequence data of a pandapower net: checked, or assumed where it has none.

What is assumed, each told as a finding:

lines
    ``r0 = 4 r1`` and ``x0 = 4 x1``: three equal zero-sequence currents return
    through a neutral of the phase conductors' size, so that its impedance counts
    three times on top of the phase's own (IEC 60909-2 gives 4 for the resistance
    of four-core cables with return through the fourth conductor). ``c0 = c1``.
transformers
    Dyn where the clock number is odd, as of European distribution transformers,
    YNyn where it is even; the short-circuit impedance of the positive sequence;
    a magnetising impedance of a hundred times it (five-limb or shell type).
source
    Impedance 0 where no short-circuit power is given; else R/X of 0.1 where
    that is missing, and a zero-sequence impedance equal to the positive.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from grid.errors import BadInputError, Finding, Severity

GROUPS = ("Dyn", "YNyn", "Yzn")
STIFF_MVA = 1e12
"""Short-circuit power of a source that holds its voltage whatever it gives."""

_LINE = {"r0_ohm_per_km": ("r_ohm_per_km", 4.0), "x0_ohm_per_km": ("x_ohm_per_km", 4.0),
         "c0_nf_per_km": ("c_nf_per_km", 1.0)}  # fmt: skip
_TRAFO = {"vk0_percent": "vk_percent", "vkr0_percent": "vkr_percent"}
_TRAFO_PLAIN = {"mag0_percent": 10_000.0, "mag0_rx": 0.0, "si0_hv_partial": 0.5}
_SOURCE = {"s_sc_max_mva": STIFF_MVA, "rx_max": 0.1, "x0x_max": 1.0, "r0x0_max": 0.1}
_DIGITS = re.compile(r"[0-9]+$", re.ASCII)


def complete(net: Any, *, assume: bool) -> tuple[Finding, ...]:
    """Leave `net` with zero-sequence data and vector groups as ``runpp_3ph`` wants them.

    Returns
    -------
    tuple of Finding
        One for each table in which something was assumed.

    Raises
    ------
    BadInputError
        Naming the element and column that is missing, when nothing is to be
        assumed, or a vector group that is not one of :data:`GROUPS`.
    """
    found = []
    _vector_groups(net.trafo)
    lines = {name: _numbers(net.line, base) * factor for name, (base, factor) in _LINE.items()}
    trafos = {name: _numbers(net.trafo, base) for name, base in _TRAFO.items()}
    trafos |= {name: np.full(len(net.trafo), value) for name, value in _TRAFO_PLAIN.items()}
    source = {name: np.full(len(net.ext_grid), value) for name, value in _SOURCE.items()}
    given: dict[str, dict[str, Any]] = {
        "line": lines,
        "trafo": {"vector_group": _usual_groups(net.trafo)} | trafos,
        "ext_grid": source,
    }
    for table, columns in given.items():
        names = [
            name for name, values in columns.items() if _fill(net, table, name, values, assume)
        ]
        if names:
            found.append(_finding(table, names))
    for position, group in enumerate(net.trafo["vector_group"]):
        if group not in GROUPS:
            raise BadInputError(
                f"{_label(net, 'trafo', position)}: vector group {group!r} has no three-phase "
                f"power flow, must be {', '.join(GROUPS)}"
            )
    return tuple(found)


def _numbers(frame: Any, column: str) -> Any:
    return frame[column].to_numpy(dtype=np.float64)


def _usual_groups(trafo: Any) -> Any:
    clock = np.round(_numbers(trafo, "shift_degree") / 30.0)
    return np.where(clock % 2 == 1, "Dyn", "YNyn").astype(object)


def _vector_groups(trafo: Any) -> None:
    """Write vector groups without their clock number, which ``shift_degree`` says."""
    if "vector_group" not in trafo:
        return
    known = {group.lower(): group for group in GROUPS}
    made = []
    for text in trafo["vector_group"]:
        plain = _DIGITS.sub("", text) if isinstance(text, str) else ""
        made.append(known.get(plain.lower(), plain) or None)
    trafo["vector_group"] = np.array(made, dtype=object)


def _fill(net: Any, table: str, column: str, values: Any, assume: bool) -> bool:
    """Fill what is missing of a column; return whether anything was."""
    frame = net[table]
    if column in frame:
        given = frame[column].to_numpy(dtype=object)
        missing = np.array([value is None or value != value for value in given], dtype=bool)
    else:
        given = np.full(len(frame), None, dtype=object)
        missing = np.ones(len(frame), dtype=bool)
    missing &= frame["in_service"].to_numpy(dtype=bool) | assume
    if missing.any() and not assume:
        position = int(np.flatnonzero(missing)[0])
        raise BadInputError(
            f"{_label(net, table, position)}: {column} is missing, which a three-phase power "
            "flow needs; give it, or let it be assumed (--assume-zero-sequence)"
        )
    filled = np.where(missing, values, given)
    frame[column] = filled if column == "vector_group" else filled.astype(np.float64)
    return bool(missing.any())


def _label(net: Any, table: str, position: int) -> str:
    frame = net[table]
    name = frame["name"].iloc[position] if "name" in frame else None
    index = frame.index[position]
    return f"{table} {index} {name!r}" if isinstance(name, str) and name else f"{table} {index}"


def _finding(table: str, names: list[str]) -> Finding:
    how = {
        "line": "r0 = 4 r1, x0 = 4 x1 (return through the neutral), c0 = c1",
        "trafo": "Dyn at odd clock numbers, else YNyn, with the impedance of the positive sequence",
        "ext_grid": "a source with the zero-sequence impedance of the positive, or with none",
    }
    return Finding(
        "network.zero_sequence_assumed",
        table,
        "",
        Severity.WARNING,
        f"{table}: {', '.join(names)} are missing and were assumed: {how[table]}",
    )
