"""pandapower as the judge: the same intervals through ``runpp``, one by one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import label
from networks.flow.solve import regimes
from networks.injection import INPUTS, check_inputs
from networks.model import Complex, Float, NetworkModel
from networks.topology import island

TOLERANCE_MVA = 1e-10

Opened = frozenset[tuple[str, int]]
"""Kind (``"line"`` or ``"trafo"``) and index of each branch that is taken out of service."""

NONE_OPENED: Opened = frozenset()


class Judge:
    """A pandapower net of a network, switched and fed as it is.

    pandapower's ``recycle`` would save a third of the time, but it starts from
    the last solution, so that a result would depend on what was judged before.
    Every interval starts from the same place instead.
    """

    def __init__(self, model: NetworkModel) -> None:
        import pandapower as pp

        self.model = model
        self._net = model.pandapower_net()
        for table in ("load", "sgen", "storage"):
            self._net[table] = self._net[table].drop(index=self._net[table].index)
        pp.create_loads(self._net, model.bus, p_mw=0.0, q_mvar=0.0)

    def run(self, inputs: Sequence[Float], **options: Any) -> Any:
        """Return the solved net of one interval, or None when ``runpp`` does not converge.

        Parameters
        ----------
        inputs : four float64 (bus,)
            In the order of :data:`networks.injection.INPUTS`.
        options
            Further options of ``runpp``.
        """
        import pandapower as pp

        net = self._net
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = inputs
        net.load["p_mw"] = (absorbed_kw - injected_kw) * 1e-3
        net.load["q_mvar"] = (absorbed_kvar - injected_kvar) * 1e-3
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pp.runpp(
                    net,
                    tolerance_mva=TOLERANCE_MVA,
                    max_iteration=50,
                    calculate_voltage_angles=True,
                    # Compiling takes longer than a few hundred judgements without it.
                    **{"numba": False, **options},
                )
        except pp.LoadflowNotConverged:
            return None
        return net


def judge(model: NetworkModel) -> Judge:
    """Return the judge of `model`, kept on it."""
    known: Judge | None = model.kept.get("judge")
    if known is None:
        known = model.kept["judge"] = Judge(model)
    return known


def newton_raphson(model: NetworkModel, inputs: Sequence[Float]) -> Complex | None:
    """Return node voltages of one interval by ``runpp``, or None without a solution."""
    net = judge(model).run(inputs)
    if net is None:
        return None
    magnitude = net.res_bus["vm_pu"].to_numpy()
    angle = np.radians(net.res_bus["va_degree"].to_numpy())
    voltage = np.zeros(len(model.node_kv), dtype=np.complex128)
    alive = model.node >= 0
    voltage[model.node[alive]] = (magnitude * np.exp(1j * angle))[alive]
    return voltage


def _opened(model: NetworkModel, opened: Opened, forming_bus: int | None) -> NetworkModel:
    """Return the network with branches out of service, kept on the whole one."""
    if not opened:
        return model
    key = f"opened {sorted(opened)}"
    if key not in model.kept:
        without = model.switched(out=sorted(opened))
        if forming_bus is not None:
            without.kept[f"island {forming_bus}"] = island(without, forming_bus)
        model.kept[key] = without
    part: NetworkModel = model.kept[key]
    return part


def judge_flow(
    model: NetworkModel,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    absorbed_kvar: npt.ArrayLike,
    injected_kvar: npt.ArrayLike,
    *,
    starts: npt.NDArray[np.datetime64],
    grid_available: npt.ArrayLike,
    forming_bus: int | None,
    opened: Opened = NONE_OPENED,
) -> xr.Dataset:
    """Solve every interval by pandapower alone.

    Takes what :func:`networks.flow.solve.flow` takes, and `opened`, the branches that are out of
    service; a forming source behind one of them feeds what is left with it. Returns of its
    columns `vm_pu`, `losses_kw`, the four `head_*` and the four `forming_*`.

    Raises
    ------
    BadInputError
        See :func:`networks.flow.solve.flow`; an opened branch that is not there.
    SolverError
        Naming the first interval in which ``runpp`` does not converge.
    """
    model = _opened(model, opened, forming_bus)
    starts = np.asarray(starts).astype("datetime64[s]")
    available = np.asarray(grid_available, dtype=np.bool_)
    if available.shape != starts.shape:
        raise BadInputError(f"grid_available has shape {available.shape}, must be {starts.shape}")
    inputs = check_inputs(model, absorbed_kw, injected_kw, absorbed_kvar, injected_kvar, starts)
    columns = {"losses_kw": np.zeros(len(starts))}
    for unit in ("kw", "kvar"):
        for name in ("head_import", "head_export", "forming_injected", "forming_absorbed"):
            columns[f"{name}_{unit}"] = np.zeros(len(starts))
    vm_pu = np.full((len(starts), len(model.bus)), np.nan)
    for steps, part in regimes(model, available, forming_bus):
        if part is None:
            continue
        names = ("head_import", "head_export")
        if part.forming:
            names = ("forming_injected", "forming_absorbed")
        for step in steps.tolist():
            net = judge(part).run([values[step] for values in inputs])
            if net is None:
                at = label(int(starts[step].astype(np.int64)))
                raise SolverError(f"network {model.source} {at}: runpp does not converge")
            vm_pu[step] = net.res_bus["vm_pu"].to_numpy()
            branches = (net.res_line, net.res_trafo)
            losses = sum(float(np.nansum(table["pl_mw"].to_numpy())) for table in branches)
            columns["losses_kw"][step] = losses * 1e3
            for unit, result in (("kw", "p_mw"), ("kvar", "q_mvar")):
                given = float(np.nansum(net.res_ext_grid[result].to_numpy())) * 1e3
                columns[f"{names[0]}_{unit}"][step] = max(given, 0.0)
                columns[f"{names[1]}_{unit}"][step] = max(-given, 0.0)
    return xr.Dataset(
        {name: ("interval", values) for name, values in columns.items()}
        | {"vm_pu": (("interval", "bus"), vm_pu)},
        {"interval": starts, "bus": model.bus},
    )


def compare(
    model: NetworkModel,
    dataset: xr.Dataset,
    *,
    steps: Sequence[int],
) -> dict[str, float]:
    """Return the largest difference from ``runpp`` on `steps` of a power flow.

    Returns
    -------
    dict
        `vm_pu` (infinite where one side says dead and the other does not),
        `losses_kw` and `head_kw`.
    """
    part = dataset.isel(interval=list(steps))
    truth = judge_flow(
        model,
        *(part[name].to_numpy() for name in INPUTS),
        starts=part["interval"].to_numpy(),
        grid_available=part["grid_available"].to_numpy(),
        forming_bus=part.attrs.get("forming_bus"),
    )
    ours, theirs = part["vm_pu"].to_numpy(), truth["vm_pu"].to_numpy()
    same_dead = bool((np.isnan(ours) == np.isnan(theirs)).all())
    gap = np.abs(ours - theirs)
    worst = float(np.nanmax(gap)) if bool(np.isfinite(gap).any()) else 0.0
    return {
        "vm_pu": worst if same_dead else float("inf"),
        "losses_kw": float(np.abs(part["losses_kw"] - truth["losses_kw"]).max()),
        "head_kw": max(
            float(np.abs(part[name] - truth[name]).max())
            for name in ("head_import_kw", "head_export_kw")
        ),
    }


def verify(
    model: NetworkModel,
    dataset: xr.Dataset,
    inputs: Sequence[npt.ArrayLike] | None = None,
    *,
    steps: Sequence[int],
) -> float:
    """Return the largest voltage difference from ``runpp`` on `steps`, per unit.

    Parameters
    ----------
    inputs : four float (interval, bus), optional
        Injections to judge with instead of those that `dataset` carries.
    """
    if inputs is not None:
        dims = ("interval", "bus")
        dataset = dataset.assign(
            {name: (dims, np.asarray(v)) for name, v in zip(INPUTS, inputs, strict=True)}
        )
    return compare(model, dataset, steps=steps)["vm_pu"]


def judge_year(
    model: NetworkModel, inputs: xr.Dataset, result: xr.Dataset, steps: Sequence[int]
) -> tuple[float, float]:
    """Compare steps of a year with ``runpp``: of every bus, and of what the year says of each.

    Parameters
    ----------
    inputs : xarray.Dataset
        As :func:`networks.flow.year.year` took them, a bus at most once.
    result : xarray.Dataset
        What it gave.

    Returns
    -------
    float
        Largest difference in voltage, per unit; infinite where one side says dead and the other
        does not.
    float
        Seconds that ``runpp`` took.
    """
    from networks.flow.year import chunks

    chosen = inputs.isel(interval=list(steps)).reindex(bus=model.bus, fill_value=0.0)
    court = judge(model)
    theirs = np.empty((len(steps), len(model.bus)))
    columns = [chosen[name].to_numpy() for name in INPUTS]
    # pandapower compiles what it has not compiled before.
    court.run([values[0] for values in columns], numba=True)
    began = time.perf_counter_ns()
    for number in range(len(steps)):
        net = court.run([values[number] for values in columns], numba=True)
        if net is None:
            at = label(int(chosen["interval"][number].values.astype("datetime64[s]").astype(int)))
            raise SolverError(f"network {model.source} {at}: runpp does not converge")
        theirs[number] = net.res_bus["vm_pu"].to_numpy()
    taken_s = (time.perf_counter_ns() - began) * 1e-9
    ours = np.concatenate([state["vm_pu"].to_numpy() for _, state in chunks(model, chosen)])
    some = result.isel(interval=list(steps))
    gaps = (
        ours - theirs,
        some["vm_pu_lowest"].to_numpy() - np.nanmin(theirs, axis=1),
        some["vm_pu_highest"].to_numpy() - np.nanmax(theirs, axis=1),
    )
    same_dead = bool((np.isnan(ours) == np.isnan(theirs)).all())
    worst = max(float(np.nanmax(np.abs(gap))) for gap in gaps)
    return worst if same_dead else float("inf"), taken_s
