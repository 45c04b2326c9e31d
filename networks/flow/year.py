"""Long power flows, a chunk at a time, and what is worth keeping of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from networks.flow.solve import CHUNK, flow
from networks.injection import INPUTS
from networks.model import Float, NetworkModel

_KEPT = ("losses_kw", "head_import_kw", "head_export_kw", "residual_mva")


def nominal_flow(model: NetworkModel) -> xr.Dataset:
    """Return the flow of one interval at the source network's own rated loads and plants."""
    return flow(
        model,
        model.nominal_absorbed_kw[None],
        model.nominal_injected_kw[None],
        model.nominal_absorbed_kvar[None],
        model.nominal_injected_kvar[None],
        starts=np.zeros(1, dtype="datetime64[s]"),
        grid_available=np.ones(1, dtype=np.bool_),
        forming_bus=None,
    )


def year_inputs(model: NetworkModel, series: xr.Dataset) -> xr.Dataset:
    """Return power flow inputs (interval, bus) from :func:`networks.sources.demo.load_year`.

    Parameters
    ----------
    series : xarray.Dataset
        The year, or some intervals of it.
    """
    shape = (series.sizes["interval"], len(model.bus))
    at_load = [model.position(int(bus)) for bus in series["bus"].to_numpy()]
    at_plant = [model.position(int(bus)) for bus in series["plant_bus"].to_numpy()]
    inputs = {name: np.zeros(shape) for name in INPUTS}
    inputs["absorbed_kw"][:, at_load] = series["load_kw"]
    inputs["absorbed_kvar"][:, at_load] = series["absorbed_kvar"]
    inputs["injected_kvar"][:, at_load] = series["injected_kvar"]
    solar = series["solar_kw"].to_numpy()
    for column, position in enumerate(at_plant):
        inputs["injected_kw"][:, position] += solar[:, column]
    return xr.Dataset(
        {name: (("interval", "bus"), values) for name, values in inputs.items()},
        {"interval": series["interval"], "bus": model.bus},
    )


def chunks(
    model: NetworkModel, inputs: xr.Dataset, *, size: int = CHUNK
) -> Iterator[tuple[slice, xr.Dataset]]:
    """Yield (slice of intervals, power flow) of a long series, with the grid there.

    Parameters
    ----------
    inputs : xarray.Dataset
        The four inputs of :func:`networks.flow.solve.flow` by name.
    size : int
        Intervals at a time; memory follows it, not the length of the series.
    """
    count = inputs.sizes["interval"]
    for first in range(0, count, size):
        part = slice(first, min(first + size, count))
        given = inputs.isel(interval=part)
        yield (
            part,
            flow(
                model,
                *(given[name].to_numpy() for name in INPUTS),
                starts=given["interval"].to_numpy(),
                grid_available=np.ones(part.stop - first, dtype=np.bool_),
                forming_bus=None,
            ),
        )


def year(model: NetworkModel, inputs: xr.Dataset, *, size: int = CHUNK) -> xr.Dataset:
    """Return what a planner looks at of a long series.

    Returns
    -------
    xarray.Dataset
        (interval,): `losses_kw`, `head_import_kw`, `head_export_kw`,
        `residual_mva`, `vm_pu_lowest`, `vm_pu_highest`,
        `line_loading_percent_highest`, `trafo_loading_percent_highest`;
        (bus,): `vm_pu_minimum`, `vm_pu_maximum`; (line,) and (trafo,): the
        highest `loading_percent`.
    """
    count = inputs.sizes["interval"]
    across = {"line": "line_loading_percent", "trafo": "trafo_loading_percent"}
    by_step: dict[str, Float] = {
        name: np.zeros(count)
        for name in (
            *_KEPT,
            "vm_pu_lowest",
            "vm_pu_highest",
            *(f"{n}_highest" for n in across.values()),
        )
    }
    low, high = np.full(len(model.bus), np.inf), np.full(len(model.bus), -np.inf)
    peak = {table: np.zeros(len(getattr(model, table))) for table in across}
    for part, state in chunks(model, inputs, size=size):
        for name in _KEPT:
            by_step[name][part] = state[name]
        vm_pu = state["vm_pu"].to_numpy()
        by_step["vm_pu_lowest"][part] = np.nanmin(vm_pu, axis=1)
        by_step["vm_pu_highest"][part] = np.nanmax(vm_pu, axis=1)
        low, high = np.fmin(low, vm_pu.min(axis=0)), np.fmax(high, vm_pu.max(axis=0))
        for table, name in across.items():
            loading = state[name].to_numpy()
            by_step[f"{name}_highest"][part] = loading.max(axis=1, initial=0.0)
            peak[table] = np.maximum(peak[table], loading.max(axis=0, initial=0.0))
    low[~np.isfinite(low)] = high[~np.isfinite(high)] = np.nan
    return xr.Dataset(
        {name: ("interval", values) for name, values in by_step.items()}
        | {"vm_pu_minimum": ("bus", low), "vm_pu_maximum": ("bus", high)}
        | {name: (table, peak[table]) for table, name in across.items()},
        {
            "interval": inputs["interval"],
            "bus": model.bus,
            "line": model.line.index,
            "trafo": model.trafo.index,
        },
        {"topology_hash": model.topology_hash.hex()},
    )
