"""The console draws from what the control room stored of its network."""

from __future__ import annotations

import xarray as xr

from grid.operation.network_states import keep_layout
from grid.store import Store, datasets
from networks.drawing.scheme import scheme
from networks.drawing.stored import stored
from networks.sources.source import load

RINGS = "simbench:1-MV-rural--0-sw"


def test_a_layout_survives_the_store_and_an_older_one_is_made_new(store: Store) -> None:
    model = load(RINGS)
    older = xr.Dataset({"bus_name": ("bus", ["a", "b"]), "x": ("bus", [0.0, 1.0])})
    with store.write() as tx:
        datasets.put_dataset(tx, "layout", 0, older)
    with store.write() as tx:
        keep_layout(tx, model)
    with store.read() as tx:
        found = datasets.require_dataset(tx, "layout", 0)
    assert stored(found) == scheme(model)


def test_a_layout_that_is_there_is_left_alone(store: Store) -> None:
    model = load(RINGS)
    with store.write() as tx:
        keep_layout(tx, model)
        before = datasets.require_dataset(tx, "layout", 0)
        keep_layout(tx, model.switched(opened=model.equipment.switch.index[:1].tolist()))
        assert datasets.require_dataset(tx, "layout", 0).identical(before)
