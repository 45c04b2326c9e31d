"""The loads and plants of a pandapower net by phase.

A symmetric load is a third in each phase. pandapower's ``runpp_3ph`` leaves out
storages, and loads whose type is neither ``wye`` nor ``delta``; here they count,
as wye.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from grid.errors import BadInputError
from networks.model import Float, Int
from networks.sources.check import check_net

_SYMMETRIC = ("load", "sgen", "storage")
_ASYMMETRIC = ("asymmetric_load", "asymmetric_sgen")


def check(net: Any) -> None:
    """Refuse a pandapower net that the engine could not solve truthfully.

    Raises
    ------
    BadInputError
        See :func:`networks.sources.compile.check_net`; naming an asymmetric
        load or plant whose power is not finite; other than one external grid.
    """
    heads = int(net.ext_grid["in_service"].sum())
    if heads != 1:
        raise BadInputError(
            f"the network has {heads} external grids in service, a three-phase power flow needs 1"
        )
    symmetric = copy(net)
    for table in _ASYMMETRIC:
        symmetric[table] = net[table].iloc[:0]
        frame = net[table]
        for column in (*_columns("p", "mw"), *_columns("q", "mvar"), "scaling"):
            values = frame[column].to_numpy(dtype=np.float64)
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise BadInputError(
                    f"{table} {frame.index[bad[0]]}: {column} is {values[bad[0]]}, must be finite"
                )
    check_net(symmetric)


def nominal(net: Any, bus: Int) -> tuple[Float, Float]:
    """Return (wye, delta) of in-service loads and plants, each float64 (4, bus, 3).

    The first dimension is in the order of :data:`networks.injection.INPUTS`, the
    last is phases a, b, c, or phase pairs ab, bc, ca.
    """
    where = {int(index): position for position, index in enumerate(bus)}
    wye, delta = np.zeros((4, len(bus), 3)), np.zeros((4, len(bus), 3))
    for table in (*_SYMMETRIC, *_ASYMMETRIC):
        frame = net[table]
        if not len(frame):
            continue
        sign = -1e3 if table.endswith("sgen") else 1e3
        factor = sign * (frame["scaling"] * frame["in_service"]).to_numpy(dtype=np.float64)
        connection = frame["type"] if "type" in frame else [None] * len(frame)
        for first, quantity, unit in ((0, "p", "mw"), (2, "q", "mvar")):
            if table in _SYMMETRIC:
                total = frame[f"{quantity}_{unit}"].to_numpy(dtype=np.float64)
                values = np.repeat(total[:, None] / 3, 3, axis=1)
            else:
                values = frame[list(_columns(quantity, unit))].to_numpy(dtype=np.float64)
            values = values * factor[:, None]
            for at, kind, power in zip(frame["bus"], connection, values, strict=True):
                into = delta if kind == "delta" else wye
                position = where[int(at)]
                into[first, position] += np.maximum(power, 0.0)
                into[first + 1, position] += np.maximum(-power, 0.0)
    return wye, delta


def without_loads(net: Any) -> None:
    """Empty the tables of loads and plants of `net`."""
    for table in (*_SYMMETRIC, *_ASYMMETRIC):
        net[table] = net[table].iloc[:0].copy()


def _columns(quantity: str, unit: str) -> tuple[str, ...]:
    return tuple(f"{quantity}_{phase}_{unit}" for phase in "abc")
