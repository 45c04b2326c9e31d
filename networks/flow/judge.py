"""pandapower as the judge: the same intervals through ``runpp``, one by one.

Branches may be opened for a judgement: pandapower finds the buses behind them dead.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import label
from networks.flow.solve import FORMING_VOLTAGE_PU
from networks.injection import INPUTS, check_inputs
from networks.model import Complex, Float, NetworkModel

TOLERANCE_MVA = 1e-10

Opened = frozenset[tuple[str, int]]
"""Kind (``"line"`` or ``"trafo"``) and index of each branch that is taken out of service."""

NONE_OPENED: Opened = frozenset()


class Judge:
    """A pandapower net of its own for each bus that may hold the voltage, and each opening.

    pandapower's ``recycle`` would save a third of the time, but it starts from
    the last solution, so that a result would depend on what was judged before.
    Every interval starts from the same place instead.
    """

    def __init__(self, model: NetworkModel) -> None:
        self.model = model
        self._source: Any = None
        self._nets: dict[tuple[int, Opened], Any] = {}

    def _net(self, slack_bus: int, opened: Opened) -> Any:
        if (slack_bus, opened) in self._nets:
            return self._nets[slack_bus, opened]
        import pandapower as pp

        if self._source is None:
            self._source = self.model.pandapower_net()
            self._source.pop("profiles", None)
        net = deepcopy(self._source)
        for table in ("load", "sgen", "storage"):
            net[table] = net[table].drop(index=net[table].index)
        pp.create_loads(net, self.model.bus, p_mw=0.0, q_mvar=0.0)
        net.ext_grid["va_degree"] = 0.0
        if slack_bus != self.model.slack_bus:
            net.ext_grid["in_service"] = False
            pp.create_ext_grid(net, slack_bus)
        for kind, index in sorted(opened):
            if kind not in ("line", "trafo") or index not in net[kind].index:
                raise BadInputError(f"{kind} {index} is not a branch of {self.model.source}")
            net[kind].loc[index, "in_service"] = False
        self._nets[slack_bus, opened] = net
        return net

    def run(
        self,
        inputs: Sequence[Float],
        slack_bus: int,
        voltage_pu: float,
        *,
        opened: Opened = NONE_OPENED,
        **options: Any,
    ) -> Any:
        """Return the solved net of one interval, or None when ``runpp`` does not converge.

        Parameters
        ----------
        inputs : four float64 (bus,)
            In the order of :data:`networks.injection.INPUTS`.
        slack_bus : int
            Bus that holds `voltage_pu`.
        opened : frozenset of (str, int), optional
            Branches out of service.

        Raises
        ------
        BadInputError
            When there is no such branch.
        """
        import pandapower as pp

        net = self._net(slack_bus, opened)
        absorbed_kw, injected_kw, absorbed_kvar, injected_kvar = inputs
        net.load["p_mw"] = (absorbed_kw - injected_kw) * 1e-3
        net.load["q_mvar"] = (absorbed_kvar - injected_kvar) * 1e-3
        net.ext_grid.loc[net.ext_grid["in_service"], "vm_pu"] = voltage_pu
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
    known: Judge | None = model._kept.get("judge")
    if known is None:
        known = model._kept["judge"] = Judge(model)
    return known


def newton_raphson(
    model: NetworkModel, inputs: Sequence[Float], slack_bus: int, voltage_pu: float
) -> Complex | None:
    """Return node voltages of one interval by ``runpp``, or None without a solution."""
    net = judge(model).run(inputs, slack_bus, voltage_pu)
    if net is None:
        return None
    internal = net._ppc["internal"]
    solved = np.asarray(internal["V"], dtype=np.complex128)
    if len(solved) != len(model.node_kv):
        raise SolverError(f"network {model.source}: pandapower numbers its nodes differently")
    lookup = np.asarray(net._pd2ppc_lookups["bus"])[model.bus]
    voltage = solved.copy()
    alive = model.node >= 0
    voltage[model.node[alive]] = solved[lookup[alive]]
    return voltage


def _regime(
    model: NetworkModel, available: bool, forming_bus: int | None
) -> tuple[int | None, float]:
    if available:
        return model.slack_bus, model.source_voltage_pu
    return forming_bus, FORMING_VOLTAGE_PU


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

    Takes what :func:`networks.flow.solve.flow` takes, and returns of its columns
    `vm_pu`, `losses_kw`, the four `head_*` and the four `forming_*`. Buses behind the
    branches of `opened` are dead: `vm_pu` is NaN there and nothing flows.

    Raises
    ------
    BadInputError
        See :func:`networks.flow.solve.flow`.
    SolverError
        Naming the first interval in which ``runpp`` does not converge.
    """
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
    court = judge(model)
    for step in range(len(starts)):
        bus, voltage_pu = _regime(model, bool(available[step]), forming_bus)
        if bus is None:
            continue
        net = court.run([values[step] for values in inputs], bus, voltage_pu, opened=opened)
        if net is None:
            at = label(int(starts[step].astype(np.int64)))
            raise SolverError(f"network {model.source} {at}: runpp does not converge")
        vm_pu[step] = net.res_bus["vm_pu"].to_numpy()
        branches = (net.res_line, net.res_trafo)
        losses = sum(float(np.nansum(table["pl_mw"].to_numpy())) for table in branches)
        columns["losses_kw"][step] = losses * 1e3
        names = ("head_import", "head_export")
        if bus != model.slack_bus:
            names = ("forming_injected", "forming_absorbed")
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
