"""Labelled arrays of one cycle: network states, forecasts and schedules."""

from __future__ import annotations

import io
import json

import numpy as np
import xarray as xr
from sqlalchemy import select

from grid.errors import StoreError
from grid.store.engine import Transaction
from grid.store.schema import dataset
from grid.store.upsert import put

_TIME = "datetime64[s]"


def encode(content: xr.Dataset) -> bytes:
    """Return a dataset as an npz archive of plain arrays; nothing in it is code."""
    arrays: dict[str, np.ndarray] = {}
    layout: dict[str, object] = {"attrs": dict(content.attrs), "variables": {}}
    for name, variable in content.variables.items():
        values = np.asarray(variable.values)
        kind = values.dtype.kind
        if kind == "M":
            values = values.astype(_TIME).astype(np.int64)
        elif kind == "O":
            values = values.astype(np.str_)
        layout["variables"][str(name)] = {  # type: ignore[index]  # a dict of dicts
            "dims": list(variable.dims),
            "attrs": dict(variable.attrs),
            "coord": name in content.coords,
            "time": kind == "M",
        }
        arrays[f"v:{name}"] = values
    buffer = io.BytesIO()
    layout_bytes = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    np.savez_compressed(buffer, layout=layout_bytes, **arrays)  # type: ignore[arg-type]  # arrays by name
    return buffer.getvalue()


def decode(content: bytes) -> xr.Dataset:
    """Return the dataset of :func:`encode`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        layout = json.loads(archive["layout"].tobytes())
        parts: dict[bool, dict[str, object]] = {True: {}, False: {}}
        for name, shape in layout["variables"].items():
            values = archive[f"v:{name}"]
            if shape["time"]:
                values = values.astype(_TIME)
            parts[shape["coord"]][name] = (shape["dims"], values, shape["attrs"])
    return xr.Dataset(parts[False], coords=parts[True], attrs=layout["attrs"])


def put_dataset(tx: Transaction, kind: str, at_s: int, content: xr.Dataset) -> None:
    """Store a dataset under its kind and instant."""
    put(tx, dataset, [{"kind": kind, "at_s": at_s, "content": encode(content)}])


def get_dataset(tx: Transaction, kind: str, at_s: int) -> xr.Dataset | None:
    """Return a stored dataset, or ``None``."""
    content = tx.execute(
        select(dataset.c.content).where(dataset.c.kind == kind, dataset.c.at_s == at_s)
    ).scalar_one_or_none()
    return None if content is None else decode(content)


def require_dataset(tx: Transaction, kind: str, at_s: int) -> xr.Dataset:
    """Return a stored dataset.

    Raises
    ------
    StoreError
        When there is none.
    """
    found = get_dataset(tx, kind, at_s)
    if found is None:
        raise StoreError(f"no {kind} is stored at {at_s}")
    return found


def instants(tx: Transaction, kind: str, start_s: int, end_s: int) -> list[int]:
    """Return the instants in ``[start_s, end_s)`` at which a dataset of `kind` is stored."""
    rows = tx.execute(
        select(dataset.c.at_s)
        .where(dataset.c.kind == kind, dataset.c.at_s >= start_s, dataset.c.at_s < end_s)
        .order_by(dataset.c.at_s)
    )
    return [int(row.at_s) for row in rows]
