"""A scheme as a dataset in a store, so that a network is drawn without its model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from networks.drawing.scheme import KINDS, Branch, Scheme, scheme
from networks.model import NetworkModel

_DEFAULTS: dict[str, object] = {
    "name": "",
    "on": True,
    "usual": True,
    "open_from": "",
    "open_to": "",
}


def store(model: NetworkModel) -> xr.Dataset:
    """Return a dataset from which :func:`stored` makes the same scheme.

    Returns
    -------
    xarray.Dataset
        (bus,): `x`, `y`, `bus_name`, `vn_kv`, `dead`. For each of :data:`KINDS` (kind,):
        `from` and `to` (positions of buses), `name`, `index`, `on`, `usual`, `open_from`,
        `open_to` (names of open switches, a space where one has no name); `trafo_tap` (trafo, 3).
        What is true of all, such as `on`, is left out. Attributes: `source`, `geographic`,
        `forming` and `head`, positions of the buses that a source holds.
    """
    made = scheme(model)
    columns: dict[str, tuple[object, npt.NDArray[Any]]] = {
        "x": ("bus", np.array(made.x)),
        "y": ("bus", np.array(made.y)),
        "bus_name": ("bus", np.array(made.bus_name, dtype=np.str_)),
        "vn_kv": ("bus", np.array(made.vn_kv)),
        "dead": ("bus", np.array(made.dead)),
    }
    for kind in KINDS:
        some = [one for one in made.branches if one.kind == kind]
        if not some:
            continue
        for name, values in (
            ("from", [one.a for one in some]),
            ("to", [one.b for one in some]),
            ("name", [one.name for one in some]),
            ("index", [one.index for one in some]),
            ("on", [one.on for one in some]),
            ("usual", [one.usual for one in some]),
            ("open_from", [_opened(one, 0) for one in some]),
            ("open_to", [_opened(one, 1) for one in some]),
        ):
            if name not in _DEFAULTS or any(value != _DEFAULTS[name] for value in values):
                columns[f"{kind}_{name}"] = (kind, np.array(values))
    taps = [one.tap or (0, 0, 0) for one in made.branches if one.kind == "trafo"]
    if taps:
        columns["trafo_tap"] = (("trafo", "of_tap"), np.array(taps, np.int64))
    facts = {
        "source": made.source,
        "geographic": int(made.geographic),
        "forming": int(made.forming),
        "head": list(made.head),
    }
    return xr.Dataset(columns, {"bus": np.array(made.bus)}, facts)


def _opened(branch: Branch, side: int) -> str:
    names = [name for end, name in branch.open_at if end == side]
    return (names[0] or " ") if names else ""


def stored(layout: xr.Dataset) -> Scheme:
    """Return the scheme of a dataset; of an older one, without what it does not tell.

    Parameters
    ----------
    layout : xarray.Dataset
        From :func:`store`, or with no more than ``bus_name``, ``line_from``, ``line_to``,
        ``trafo_from`` and ``trafo_to``.
    """
    count = layout.sizes["bus"]
    known = layout.variables

    def column(name: str, size: int, default: object) -> list[Any]:
        if name in known and layout[name].size == size:
            return list(layout[name].values.tolist())
        return [default] * size

    branches: list[Branch] = []
    for kind in KINDS:
        size = layout.sizes.get(kind, 0) if f"{kind}_from" in known else 0
        taps = layout["trafo_tap"].values.tolist() if "trafo_tap" in known else [[0, 0, 0]] * size
        rows = zip(
            range(size),
            *(column(f"{kind}_{name}", size, 0) for name in ("from", "to")),
            column(f"{kind}_name", size, ""),
            column(f"{kind}_index", size, None),
            *(column(f"{kind}_{name}", size, True) for name in ("on", "usual")),
            *(column(f"{kind}_open_{end}", size, "") for end in ("from", "to")),
            strict=True,
        )
        for row, a, b, name, index, on, usual, open_a, open_b in rows:
            tap = taps[row] if kind == "trafo" else [0, 0, 0]
            branches.append(
                Branch(
                    kind=kind,
                    index=row if index is None else int(index),
                    row=row,
                    name=str(name),
                    a=int(a),
                    b=int(b),
                    on=bool(on),
                    open_at=tuple(
                        (side, str(text).strip())
                        for side, text in enumerate((open_a, open_b))
                        if text
                    ),
                    tap=(tap[0], tap[1], tap[2]) if tap[2] > tap[1] else None,
                    usual=bool(usual),
                )
            )
    indices = layout["bus"].values if "bus" in layout.coords else np.arange(count)
    heads = layout.attrs.get("head") or [_upstream(branches)]
    return Scheme(
        source=str(layout.attrs.get("source", "")),
        bus=tuple(int(one) for one in indices),
        bus_name=tuple(str(one) for one in column("bus_name", count, "")),
        vn_kv=tuple(float(one) for one in column("vn_kv", count, float("nan"))),
        x=tuple(float(one) for one in column("x", count, 0.0)),
        y=tuple(float(one) for one in column("y", count, 0.0)),
        geographic=bool(layout.attrs.get("geographic", False)),
        dead=tuple(bool(one) for one in column("dead", count, False)),
        head=tuple(int(one) for one in heads),
        forming=bool(layout.attrs.get("forming", False)),
        branches=tuple(branches),
    )


def _upstream(branches: list[Branch]) -> int:
    """Return the bus above every transformer, for a dataset that names no source."""
    fed = {one.b for one in branches if one.kind == "trafo"}
    return next((one.a for one in branches if one.kind == "trafo" and one.a not in fed), 0)
