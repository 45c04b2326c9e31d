"""What a pandapower net must be before the engine can solve it truthfully."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid.errors import BadInputError
from networks.equipment import SWITCH_KINDS

_UNSUPPORTED = (
    "gen", "dcline", "ward", "xward", "trafo3w", "impedance", "motor", "asymmetric_load",
    "asymmetric_sgen", "svc", "ssc", "tcsc", "vsc", "line_dc", "load_dc", "source_dc",
)  # fmt: skip
_POSITIVE = {
    "bus": ("vn_kv",),
    "line": ("length_km", "max_i_ka", "df", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "df", "parallel"),
}
_FINITE = {
    "line": ("r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km"),
    "trafo": ("vkr_percent", "pfe_kw", "i0_percent", "shift_degree"),
    "load": ("p_mw", "q_mvar", "scaling"),
    "sgen": ("p_mw", "q_mvar", "scaling"),
    "storage": ("p_mw", "q_mvar", "scaling"),
    "ext_grid": ("vm_pu",),
}


def _element(net: Any, table: str, position: int) -> str:
    frame = net[table]
    name = frame["name"].iloc[position] if "name" in frame else None
    index = frame.index[position]
    return f"{table} {index} {name!r}" if isinstance(name, str) and name else f"{table} {index}"


def check_net(net: Any) -> None:
    """Refuse a pandapower net that the engine could not solve truthfully.

    Raises
    ------
    BadInputError
        Naming the element: a value that is not finite or not positive, a line
        without impedance, an element or switch that the engine does not model, or a
        network without an external grid.
    """
    for table in _UNSUPPORTED:
        frame = net.get(table)
        if frame is not None and len(frame) and bool(frame["in_service"].any()):
            position = int(np.flatnonzero(frame["in_service"].to_numpy(dtype=bool))[0])
            raise BadInputError(
                f"{_element(net, table, position)}: a {table} is not supported by the power flow"
            )
    for table in (*_POSITIVE, *_FINITE):
        frame = net[table]
        for column in (*_POSITIVE.get(table, ()), *_FINITE.get(table, ())):
            values = frame[column].to_numpy(dtype=np.float64)
            low = 0.0 if column in _POSITIVE.get(table, ()) else -np.inf
            bad = np.flatnonzero(~np.isfinite(values) | (values <= low))
            if bad.size:
                value = values[bad[0]]
                need = "finite and above 0" if low == 0.0 else "finite"
                raise BadInputError(
                    f"{_element(net, table, int(bad[0]))}: {column} is {value}, must be {need}"
                )
    short = np.flatnonzero((net.line["r_ohm_per_km"] == 0) & (net.line["x_ohm_per_km"] == 0))
    if short.size:
        raise BadInputError(f"{_element(net, 'line', int(short[0]))}: has no impedance")
    heads = int(net.ext_grid["in_service"].sum())
    if not heads:
        raise BadInputError("the network has no external grid in service, must be at least 1")
    for row in np.flatnonzero(~net.switch["et"].isin(SWITCH_KINDS).to_numpy()):
        raise BadInputError(
            f"{_element(net, 'switch', int(row))}: of kind {net.switch['et'].iloc[row]!r}"
            f", must be one of {list(SWITCH_KINDS)}"
        )
    for row in np.flatnonzero(net.switch.get("z_ohm", np.zeros(len(net.switch))) > 0):
        raise BadInputError(f"{_element(net, 'switch', int(row))}: has an impedance (z_ohm)")
