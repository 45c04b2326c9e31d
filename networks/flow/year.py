"""Long power flows, a chunk at a time, and what is worth keeping of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from grid.interval import label
from networks.flow.solve import CHUNK, UNITS, flow
from networks.injection import INPUTS, pair_kw
from networks.model import Float, Int, NetworkModel

if TYPE_CHECKING:
    from networks.flow.summary import Summary

Instants = npt.NDArray[np.datetime64]


def nominal_flow(model: NetworkModel) -> xr.Dataset:
    """Return the flow of one interval at the source network's own rated loads and plants."""
    return flow(
        model,
        model.equipment.nominal_absorbed_kw[None],
        model.equipment.nominal_injected_kw[None],
        model.equipment.nominal_absorbed_kvar[None],
        model.equipment.nominal_injected_kvar[None],
        starts=np.zeros(1, dtype="datetime64[s]"),
        grid_available=np.ones(1, dtype=np.bool_),
        forming_bus=None,
        voltage_share=model.equipment.voltage_share,
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


def year(model: NetworkModel, inputs: xr.Dataset) -> xr.Dataset:
    """Return what a planner looks at of a long series, with the grid there.

    Parameters
    ----------
    inputs : xarray.Dataset
        The four inputs of :func:`networks.flow.solve.flow` by name, (interval, bus); buses that
        are not there have no load. A bus may be there twice.

    Returns
    -------
    xarray.Dataset
        (interval,): `losses_kw`, `head_import_kw`, `head_export_kw`,
        `residual_mva`, `vm_pu_lowest`, `vm_pu_highest`,
        `line_loading_percent_highest`, `trafo_loading_percent_highest`;
        (bus,): `vm_pu_minimum`, `vm_pu_maximum`, NaN where dead; (line,) and (trafo,): the
        highest `loading_percent`, and `losses_kwh`.

    Raises
    ------
    BadInputError
        A value that is not finite or below 0, naming its bus and interval.
    SolverError
        Naming the first interval that has no solution.
    """
    from networks.flow.summary import sum_up

    positions = np.array([model.position(int(bus)) for bus in inputs["bus"].to_numpy()], np.int64)
    columns = [inputs[name].to_numpy() for name in INPUTS]
    starts = inputs["interval"].to_numpy().astype("datetime64[s]")
    done = sum_up(model, columns, positions)
    if done is None:
        done = _refused(model, columns, positions, starts)
    if not done.converged.all():
        _by_hand(model, done, columns, positions, starts)
    hours = float(np.diff(starts[:2]).astype(np.int64)[0]) / 3600.0 if len(starts) > 1 else 0.0
    head = pair_kw(model, done.head_kw / (model.base_mva * 1e3))
    by_step = {
        "losses_kw": done.losses_kw,
        "head_import_kw": head[0],
        "head_export_kw": head[1],
        "residual_mva": done.residual_mva,
        "vm_pu_lowest": done.vm_pu_lowest,
        "vm_pu_highest": done.vm_pu_highest,
        "line_loading_percent_highest": done.line_percent,
        "trafo_loading_percent_highest": done.trafo_percent,
    }
    alive = model.node >= 0
    across = {
        "vm_pu_minimum": ("bus", np.where(alive, done.node_lowest[model.node], np.nan)),
        "vm_pu_maximum": ("bus", np.where(alive, done.node_highest[model.node], np.nan)),
        "line_loading_percent": ("line", done.line_highest),
        "trafo_loading_percent": ("trafo", done.trafo_highest),
        "line_losses_kwh": ("line", done.line_losses_kw * hours),
        "trafo_losses_kwh": ("trafo", done.trafo_losses_kw * hours),
    }
    result = xr.Dataset(
        {name: ("interval", values) for name, values in by_step.items()} | across,
        {
            "interval": starts,
            "bus": model.bus,
            "line": model.line.index,
            "trafo": model.trafo.index,
        },
        {"topology_hash": model.topology_hash.hex()},
    )
    for name in result.data_vars:
        unit = UNITS.get(next((w for w in reversed(str(name).split("_")) if w in UNITS), ""))
        result[name].attrs["units"] = unit or "1"
    return result


def _refused(
    model: NetworkModel, columns: list[Float], positions: Int, starts: Instants
) -> NoReturn:
    """Raise the error that names the first input which is no load."""
    for name, values in zip(INPUTS, columns, strict=True):
        for step, column in np.argwhere(~((values >= 0.0) & (values < np.inf))):
            raise BadInputError(
                f"{model.bus_label(int(positions[column]))} "
                f"{label(int(starts[step].astype(np.int64)))}: {name} is {values[step, column]}, "
                "must be finite and not below 0"
            )
    raise AssertionError("compiled code refused inputs that are loads")


def _by_hand(
    model: NetworkModel, done: Summary, columns: list[Float], positions: Int, starts: Instants
) -> None:
    """Add the intervals that compiled code could not solve, by Newton and Raphson's method."""
    steps = np.flatnonzero(~done.converged)
    inputs = [np.zeros((len(steps), len(model.bus))) for _ in columns]
    for whole, values in zip(inputs, columns, strict=True):
        np.add.at(whole.T, positions, values[steps].T)
    available = np.ones(len(steps), dtype=np.bool_)
    state = flow(model, *inputs, starts=starts[steps], grid_available=available, forming_bus=None)
    done.losses_kw[steps] = state["losses_kw"]
    done.head_kw[steps] = state["head_import_kw"] - state["head_export_kw"]
    done.head_kvar[steps] = state["head_import_kvar"] - state["head_export_kvar"]
    done.residual_mva[steps] = state["residual_mva"]
    vm_pu = state["vm_pu"].to_numpy()
    alive = model.node >= 0
    done.vm_pu_lowest[steps] = np.nanmin(vm_pu, axis=1)
    done.vm_pu_highest[steps] = np.nanmax(vm_pu, axis=1)
    np.minimum.at(done.node_lowest, model.node[alive], vm_pu[:, alive].min(axis=0))
    np.maximum.at(done.node_highest, model.node[alive], vm_pu[:, alive].max(axis=0))
    tables = (
        ("line", ("from", "to"), done.line_percent, done.line_highest, done.line_losses_kw),
        ("trafo", ("hv", "lv"), done.trafo_percent, done.trafo_highest, done.trafo_losses_kw),
    )
    for table, ends, by_step, highest, losses in tables:
        loading = state[f"{table}_loading_percent"].to_numpy()
        by_step[steps] = loading.max(axis=1, initial=0.0)
        np.maximum(highest, loading.max(axis=0, initial=0.0), out=highest)
        for end in ends:
            losses += state[f"{table}_p_{end}_kw"].to_numpy().sum(axis=0)
