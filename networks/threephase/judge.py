"""pandapower as the judge: the same intervals through ``runpp_3ph``, one by one.

It takes about 0.2 s an interval. ``runpp_3ph`` holds the positive-sequence voltage
at the feeder head, so it judges models as they are compiled.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, SolverError
from grid.interval import label
from networks.model import Complex, Int
from networks.threephase.compile import prepare
from networks.threephase.fortescue import NEGATIVE, PHASES, POSITIVE
from networks.threephase.injection import check_inputs, port_power
from networks.threephase.model import ThreePhaseModel
from networks.threephase.operator import Ports
from networks.threephase.zero_sequence import STIFF_MVA, complete

TOLERANCE_MVA = 1e-10
_BASE_MVA = 1e-3
"""``runpp_3ph`` stops at 3e-8 of its base; on 1 MVA that would be 2e-7 of voltage."""


class Judge:
    """A pandapower net of its own, with one load for each node, wye and delta."""

    def __init__(self, model: ThreePhaseModel) -> None:
        import pandapower as pp

        from networks.sources.source import read_net

        if model.source_z_pu[POSITIVE] != 0:
            raise BadInputError(
                f"network {model.source}: pandapower holds the voltage at the feeder head, "
                "so it cannot judge a source behind its impedance"
            )
        self.model = model
        net = read_net(model.source, base_dir=model.base_dir)
        complete(net, assume=bool(model.findings))
        prepare(net, model.source_voltage_pu)
        if model.source_z_pu[NEGATIVE] == 0:
            net.ext_grid["s_sc_max_mva"] = STIFF_MVA
        if "Yzn" not in set(net.trafo["vector_group"]):
            net.sn_mva = _BASE_MVA
        alive = np.flatnonzero(model.node >= 0)
        nodes, first = np.unique(model.node[alive], return_index=True)
        buses = model.bus[alive[first]]
        # One row is created by pandapower, the others are like it: to create each takes seconds.
        pp.create_asymmetric_load(net, int(buses[0]))
        rows = np.zeros(2 * len(buses), dtype=np.intp)
        frame = net.asymmetric_load.iloc[rows].reset_index(drop=True)
        frame["bus"] = np.tile(buses, 2)
        frame["type"] = np.repeat(["wye", "delta"], len(buses))
        net["asymmetric_load"] = frame.astype(net.asymmetric_load.dtypes.to_dict())
        self._row = np.full(len(model.node_kv), -1)
        self._row[nodes] = np.arange(len(buses))
        self.net = net

    def run(self, ports: Ports, power: Complex) -> Any:
        """Return the solved net of one interval, or None when ``runpp_3ph`` does not converge.

        Parameters
        ----------
        ports : Ports
        power : complex128 (port,)
            Into the network, per unit.
        """
        import pandapower as pp

        net = self.net
        columns = [f"{quantity}_{phase}" for quantity in ("p", "q") for phase in PHASES]
        names = [f"{name}_{'mw' if name[0] == 'p' else 'mvar'}" for name in columns]
        table = np.zeros((len(net.asymmetric_load), 6))
        absorbed = -power * self.model.base_mva
        for node, kind, value in zip(ports.node, ports.kind, absorbed, strict=True):
            row = self._row[node] + (0 if kind < 3 else len(table) // 2)
            table[row, kind % 3] += value.real
            table[row, kind % 3 + 3] += value.imag
        net.asymmetric_load[names] = table
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # A numba switch that is on compiles for longer than a few judgements take.
                pp.runpp_3ph(net, tolerance_mva=TOLERANCE_MVA, max_iteration=30, numba=False)
        except (pp.LoadflowNotConverged, FloatingPointError):
            return None
        return net if bool(np.isfinite(net.res_bus_3ph["vm_a_pu"]).any()) else None


def judge(model: ThreePhaseModel) -> Judge:
    """Return the judge of `model`, kept on it."""
    known: Judge | None = model._kept.get("judge")
    if known is None:
        known = model._kept["judge"] = Judge(model)
    return known


def sequence_voltages(model: ThreePhaseModel, ports: Ports, power: Complex) -> Complex | None:
    """Return sequence voltages (3, node) of one interval by ``runpp_3ph``, or None."""
    if model.source_z_pu[POSITIVE] != 0:
        return None
    net = judge(model).run(ports, power)
    if net is None:
        return None
    count = len(model.node_kv)
    made = np.zeros((3, count), dtype=np.complex128)
    for sequence in range(3):
        nodes = net[f"_ppc{sequence}"]["bus"][:count]
        made[sequence] = nodes[:, 7].real * np.exp(1j * np.radians(nodes[:, 8].real))
    return made


def judge_flow(
    model: ThreePhaseModel,
    absorbed_kw: npt.ArrayLike,
    injected_kw: npt.ArrayLike,
    absorbed_kvar: npt.ArrayLike,
    injected_kvar: npt.ArrayLike,
    *,
    starts: npt.NDArray[np.datetime64],
    at: Sequence[int] | Int | None = None,
    delta: Sequence[npt.ArrayLike] | None = None,
) -> xr.Dataset:
    """Solve every interval by pandapower alone.

    Takes what :func:`networks.threephase.flow.flow` takes, and returns of its
    columns `vm_pu`, `va_degree`, `unbalance_percent`, `line_loading_percent`,
    `line_neutral_a`, `trafo_loading_percent` and `losses_kw`.

    Raises
    ------
    BadInputError
        See :func:`networks.threephase.flow.flow`.
    SolverError
        Naming the first interval in which ``runpp_3ph`` does not converge.
    """
    starts = np.asarray(starts).astype("datetime64[s]")
    places = np.arange(len(model.bus)) if at is None else [model.position(int(bus)) for bus in at]
    where = np.asarray(places, dtype=np.int64)
    given = (absorbed_kw, injected_kw, absorbed_kvar, injected_kvar)
    wye = check_inputs(model, given, starts, where)
    pairs = None if delta is None else check_inputs(model, delta, starts, where, between=True)
    ports, power = port_power(model, where, wye, pairs)
    made: list[dict[str, tuple[tuple[str, ...], Any]]] = []
    for step, start in enumerate(starts):
        net = judge(model).run(ports, power[:, step])
        if net is None:
            when = label(int(start.astype(np.int64)))
            raise SolverError(f"network {model.source} {when}: runpp_3ph does not converge")
        made.append(results(net))
    return xr.Dataset(
        {
            name: (("interval", *dims), np.stack([one[name][1] for one in made]))
            for name, (dims, _) in made[0].items()
        },
        {"interval": starts, "phase": list(PHASES), "bus": model.bus},
    )


def results(net: Any) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Return (dims, values) of the columns of :func:`judge_flow` from a net that is solved."""

    def by_phase(frame: Any, pattern: str) -> Any:
        return frame[[pattern.format(phase) for phase in PHASES]].to_numpy(dtype=np.float64)

    bus, line, trafo = net.res_bus_3ph, net.res_line_3ph, net.res_trafo_3ph
    losses = sum(
        float(np.nansum(by_phase(frame, "pl_{}_mw"))) for frame in (line, trafo) if len(frame)
    )
    return {
        "vm_pu": (("bus", "phase"), by_phase(bus, "vm_{}_pu")),
        "va_degree": (("bus", "phase"), by_phase(bus, "va_{}_degree")),
        "unbalance_percent": (("bus",), bus["unbalance_percent"].to_numpy(dtype=np.float64)),
        "line_loading_percent": (("line", "phase"), by_phase(line, "loading_{}_percent")),
        "line_neutral_a": (("line",), line["i_n_ka"].to_numpy(dtype=np.float64) * 1e3),
        "trafo_loading_percent": (("trafo", "phase"), by_phase(trafo, "loading_{}_percent")),
        "losses_kw": ((), losses * 1e3),
    }


def compare(dataset: xr.Dataset, truth: xr.Dataset) -> dict[str, float]:
    """Return the largest difference of each column of `truth` in a power flow of its intervals.

    Returns
    -------
    dict
        `vm_pu` is infinite where one side says dead and the other does not;
        angles are compared around the circle.
    """
    part = dataset.sel(interval=truth["interval"])
    found = {}
    for name in truth.data_vars:
        ours, theirs = part[str(name)].to_numpy(), truth[str(name)].to_numpy()
        gap = np.abs(ours - theirs)
        if name == "va_degree":
            gap = np.abs((ours - theirs + 180.0) % 360.0 - 180.0)
        worst = float(np.nanmax(gap)) if bool(np.isfinite(gap).any()) else 0.0
        same_dead = bool((np.isnan(ours) == np.isnan(theirs)).all())
        found[str(name)] = worst if same_dead or name != "vm_pu" else float("inf")
    return found
