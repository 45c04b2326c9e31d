"""Rows of the benchmark: a year of power flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from grid.benchmark import Error, Progress, Row, Timing, alternate, faster
from grid.errors import SolverError
from grid.interval import starts
from networks.flow.judge import judge
from networks.flow.year import chunks, year, year_inputs
from networks.injection import INPUTS
from networks.model import Float, NetworkModel
from networks.sources.demo import load_year
from networks.sources.source import load

if TYPE_CHECKING:
    from networks.bench_batch import Batch

SOURCE = "simbench:1-LV-rural3--1-sw"
QUICK_SOURCE = "pandapower:create_kerber_landnetz_freileitung_1"
QUICK_STEPS = 960
ERROR_PU = 1e-8
BATCH_ERROR_PU = 1e-6
"""How far power-grid-model may be from us and still have done the same work."""


def rows(*, quick: bool, progress: Progress) -> Iterator[Row]:
    """Yield the rows, when all of them are measured.

    Parameters
    ----------
    quick : bool
        A small network of pandapower's and few steps, which need no SimBench.
    """
    source = QUICK_SOURCE if quick else SOURCE
    rounds, judged = (2, 4) if quick else (3, 24)
    progress(f"networks: loading {source}")
    model = load(source, source_voltage_pu=1.0)
    inputs = _some_steps(model) if quick else year_inputs(model, load_year(source))
    count = inputs.sizes["interval"]
    sample = np.linspace(0, count - 1, judged).astype(int).tolist()
    runpp = _Runpp(model, inputs, sample, numba=not quick)
    batch = _batch(model, inputs)

    progress(f"networks: power flow of {count:,} steps, runpp of {judged} of them")
    years: list[xr.Dataset] = []
    runpp(0)  # numba compiles what it has not compiled before
    ours_ns, runpp_ns, *batch_ns = alternate(
        rounds, lambda _: years.append(year(model, inputs)), runpp, *([batch] if batch else [])
    )
    vm_pu = _vm_pu(model, inputs, sample)
    row = Row(
        craft="networks",
        name="year of power flow",
        work=f"{source.partition(':')[2]}, {count:,} steps",
        unit="steps",
        taken=f"best of {rounds}",
        ours=Timing(count, ours_ns),
        peer="pandapower runpp",
        theirs=Timing(judged, runpp_ns),
        reach=faster(1000),
        error=Error(
            _error_pu(years[-1], vm_pu, runpp.vm_pu, sample), "pu", ERROR_PU, "vm_pu of runpp"
        ),
        note=f"of {judged} steps",
    )
    yield row
    gap_pu = float(np.nanmax(np.abs(batch.vm_pu[sample] - vm_pu))) if batch else 0.0
    yield replace(
        row,
        name="year of power flow, batched",
        peer="power-grid-model",
        theirs=Timing(count, batch_ns[0]) if batch else None,
        reach=faster(3),
        error=Error(gap_pu, "pu", BATCH_ERROR_PU, "vm_pu of power-grid-model") if batch else None,
        note="iterative current" if batch else "power-grid-model is not installed",
    )


def _batch(model: NetworkModel, inputs: xr.Dataset) -> Batch | None:
    if find_spec("power_grid_model") is None:
        return None
    from networks.bench_batch import Batch

    return Batch(model, inputs)


def _some_steps(model: NetworkModel) -> xr.Dataset:
    """Return inputs of :data:`QUICK_STEPS` steps: the rated loads, each times a drawn share."""
    share = np.random.default_rng(1).random((QUICK_STEPS, len(model.bus)))
    rated = {name: getattr(model.equipment, f"nominal_{name}") for name in INPUTS}
    return xr.Dataset(
        {name: (("interval", "bus"), share * values) for name, values in rated.items()},
        {"interval": starts(0, QUICK_STEPS, 900), "bus": model.bus},
    )


class _Runpp:
    """pandapower alone on some of the steps, to the tolerance that judges ours.

    Attributes
    ----------
    vm_pu : float64 (step, bus)
        After a call.
    """

    def __init__(
        self, model: NetworkModel, inputs: xr.Dataset, sample: Sequence[int], *, numba: bool
    ) -> None:
        self._model = model
        self._numba = numba
        columns = [inputs[name].to_numpy() for name in INPUTS]
        self._steps = [[column[step] for column in columns] for step in sample]
        self.vm_pu: Float = np.full((len(sample), len(model.bus)), np.nan)

    def __call__(self, turn: int) -> None:
        court = judge(self._model)
        for number, step in enumerate(self._steps):
            net = court.run(step, numba=self._numba)
            if net is None:
                raise SolverError(f"network {self._model.source}: runpp does not converge")
            self.vm_pu[number] = net.res_bus["vm_pu"]


def _vm_pu(model: NetworkModel, inputs: xr.Dataset, sample: Sequence[int]) -> Float:
    """Return the voltages (step, bus) of which :func:`year` keeps the lowest and highest."""
    ((_, state),) = chunks(model, inputs.isel(interval=list(sample)))
    values: Float = state["vm_pu"].to_numpy()
    return values


def _error_pu(whole: xr.Dataset, vm_pu: Float, theirs: Float, sample: Sequence[int]) -> float:
    """Return the largest difference: of any bus, and of what the year says of each step."""
    some = whole.isel(interval=list(sample))
    gaps = (
        vm_pu - theirs,
        some["vm_pu_lowest"].to_numpy() - np.nanmin(theirs, axis=1),
        some["vm_pu_highest"].to_numpy() - np.nanmax(theirs, axis=1),
    )
    same_dead = bool((np.isnan(vm_pu) == np.isnan(theirs)).all())
    return max(float(np.nanmax(np.abs(gap))) for gap in gaps) if same_dead else np.inf
