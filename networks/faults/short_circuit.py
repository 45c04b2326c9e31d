"""Short-circuit currents after IEC 60909-0:2016, by pandapower.

The equivalent voltage source at the fault, the voltage factors c, the transformer correction
K_T and the temperature of conductors in the minimum case are pandapower's. Ours are the gaps: what
the network does not say, and where a number would be no short circuit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity, SolverError
from networks.faults.assumptions import (
    Assumptions,
    Told,
    check,
    converters,
    end_temperatures,
    live,
    sources,
)
from networks.faults.earth import Earth, earth
from networks.faults.graph import Graph, element, graph

CASES = ("max", "min")
FAULTS = ("3ph", "2ph", "1ph")
UNITS = {
    "ikss_ka": ("kA", "initial symmetrical short-circuit current"),
    "ip_ka": ("kA", "peak short-circuit current"),
    "ith_ka": ("kA", "thermal equivalent short-circuit current"),
    "rk_ohm": ("ohm", "resistance of the fault loop, positive sequence"),
    "xk_ohm": ("ohm", "reactance of the fault loop, positive sequence"),
}
_COLUMNS = {"3ph": tuple(UNITS), "2ph": tuple(UNITS), "1ph": ("ikss_ka", "rk_ohm", "xk_ohm")}
_NONE = Assumptions()


def short_circuit(
    net: Any,
    assumptions: Assumptions = _NONE,
    *,
    cases: Sequence[str] = CASES,
    faults: Sequence[str] | None = None,
    tolerance_percent: int = 10,
    duration_s: float = 1.0,
) -> tuple[xr.Dataset, list[Finding]]:
    """Return the short-circuit currents at every bus, and what they were based on.

    Parameters
    ----------
    net : pandapowerNet
        From :func:`networks.sources.source.read_net`; it is not changed.
    assumptions : Assumptions
        What the caller states in place of the network.
    cases : sequence of str
        ``"max"`` and ``"min"``.
    faults : sequence of str, optional
        ``"3ph"``, ``"2ph"``, ``"1ph"``; when not given, all that the data allow.
    tolerance_percent : int
        Of the voltage of low-voltage networks, 6 or 10: c is 1.05 and 0.95, or 1.1 and 0.9
        (IEC 60909-0:2016, table 1).
    duration_s : float
        Of the fault, for the thermal equivalent current.

    Returns
    -------
    dataset : xarray.Dataset
        Dims (fault, case, bus): ``ikss_ka``, ``ip_ka``, ``ith_ka``, ``rk_ohm``, ``xk_ohm``.
        NaN only where a finding says why. The peak and thermal currents of faults to earth have
        the factors of the three-phase fault (IEC 60909-0:2016, clause 8). ``attrs["assumptions"]``
        lists what was stated or assumed, ``attrs["source_bus"]`` where current comes from.
    findings : list of Finding

    Raises
    ------
    BadInputError
        Naming the element and the value that is missing or wrong.
    SolverError
        When pandapower has no answer.
    """
    wanted = _checked(cases, faults, tolerance_percent, duration_s)
    work, told = deepcopy(net), Told()
    check(work)
    sources(work, assumptions, cases, told)
    end_temperatures(work, assumptions, told)
    converters(work, assumptions, told)
    if len(work.gen) and live(work, "gen").any():
        told.find(
            "near_generator",
            f"{int(live(work, 'gen').sum())} generators: peak and thermal currents hold far from "
            "generators only",
        )
    wired = graph(work)
    zero = _earth(work, wired, assumptions, told, wanted, cases, explicit=faults is not None)
    dataset = _solved(work, wanted, cases, tolerance_percent, duration_s)
    _mask(dataset, work, wired, zero, told)
    heads = work.ext_grid["bus"][live(work, "ext_grid")].astype(int)
    machines = work.gen["bus"][live(work, "gen")].astype(int)
    dataset.attrs = {
        "source_bus": sorted({*heads, *machines}),
        "assumptions": list(told.notes),
        "tolerance_percent": tolerance_percent,
        "duration_s": duration_s,
        "standard": "IEC 60909-0:2016",
    }
    return dataset, sorted(told.findings)


def _checked(
    cases: Sequence[str], faults: Sequence[str] | None, tolerance: int, duration_s: float
) -> list[str]:
    wanted = list(FAULTS if faults is None else faults)
    for name, values, known in (("case", cases, CASES), ("fault", wanted, FAULTS)):
        for value in values:
            if value not in known:
                raise BadInputError(f"{name} {value!r} must be one of {', '.join(known)}")
    if not cases or not wanted:
        raise BadInputError("at least one case and one fault must be asked for")
    if tolerance not in (6, 10):
        raise BadInputError(f"tolerance_percent is {tolerance}, must be 6 or 10")
    if not 0.02 <= duration_s <= 10.0:
        raise BadInputError(f"duration_s is {duration_s}, must be within 0.02 to 10")
    return wanted


def _earth(
    net: Any,
    wired: Graph,
    given: Assumptions,
    told: Told,
    wanted: list[str],
    cases: Sequence[str],
    *,
    explicit: bool,
) -> Earth | None:
    """Prepare faults to earth, or take them from what is wanted and say why."""
    if "1ph" not in wanted:
        return None
    zero = earth(net, wired, given, cases, told)
    if not zero.missing:
        return zero
    if explicit:
        raise BadInputError(f"a fault to earth needs zero-sequence data: {zero.missing[0]}")
    wanted.remove("1ph")
    for reason in zero.missing:
        told.find("no_zero_sequence", f"{reason}: faults to earth are not calculated")
    return None


def _solved(
    net: Any, faults: Sequence[str], cases: Sequence[str], tolerance: int, duration_s: float
) -> xr.Dataset:
    bus = net.bus.index.to_numpy(dtype=np.int64)
    shape = (len(faults), len(cases), len(bus))
    values = {name: np.full(shape, np.nan) for name in UNITS}
    for j, case in enumerate(cases):
        # The three-phase fault is solved first: its peak factors serve the fault to earth.
        factors: dict[str, Any] = {}
        for fault in ("3ph", "2ph", "1ph"):
            if fault not in faults and not (fault == "3ph" and "1ph" in faults):
                continue
            result = _calculated(net, fault, case, tolerance, duration_s)
            if fault == "3ph":
                factors = {n: result[n] / result["ikss_ka"] for n in ("ip_ka", "ith_ka")}
            if fault not in faults:
                continue
            i = list(faults).index(fault)
            for name in _COLUMNS[fault]:
                values[name][i, j] = result[name].reindex(bus).to_numpy(dtype=np.float64)
            if fault == "1ph":
                for name, factor in factors.items():
                    values[name][i, j] = values["ikss_ka"][i, j] * factor.reindex(bus).to_numpy()
    dataset = xr.Dataset(
        {
            name: (
                ("fault", "case", "bus"),
                values[name],
                {"units": units, "long_name": words},
            )
            for name, (units, words) in UNITS.items()
        },
        coords={"fault": list(faults), "case": list(cases), "bus": bus},
    )
    return dataset.assign_coords(vn_kv=("bus", net.bus["vn_kv"].to_numpy(dtype=np.float64)))


def _calculated(net: Any, fault: str, case: str, tolerance: int, duration_s: float) -> Any:
    from pandapower.shortcircuit import calc_sc

    peak = fault != "1ph"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calc_sc(
                net,
                fault=fault,
                case=case,
                lv_tol_percent=tolerance,
                ip=peak,
                ith=peak,
                tk_s=duration_s,
            )
    except (ValueError, UserWarning, KeyError, np.linalg.LinAlgError, NotImplementedError) as error:
        raise SolverError(f"{fault} {case} short circuit: pandapower says {error}") from error
    return net.res_bus_sc


def _mask(dataset: xr.Dataset, net: Any, wired: Graph, zero: Earth | None, told: Told) -> None:
    """Take out what is no short-circuit current, and say of each gap why it is there."""
    bus = dataset["bus"].to_numpy()
    fed = wired.reached(
        [int(b) for table in ("ext_grid", "gen") for b in net[table]["bus"][live(net, table)]]
    )
    dead = np.array([int(b) not in fed for b in bus])
    no_current = np.broadcast_to(dead, (dataset.sizes["fault"], len(bus))).copy()
    if dead.any():
        told.find(
            "dead_bus",
            f"{int(dead.sum())} of {len(bus)} buses are reached from no source and have no "
            f"short-circuit current: {_some(net, bus[dead])}",
            Severity.INFO,
        )
    if zero is not None:
        row = dataset.get_index("fault").get_loc("1ph")
        for code, buses, reason in (
            ("earth_unknown", zero.unknown, "the external grid has no zero-sequence data"),
            ("unearthed", zero.unearthed, "no neutral is earthed"),
        ):
            chosen = np.array([int(b) in buses for b in bus]) & ~dead
            no_current[row] |= chosen
            if chosen.any():
                told.find(
                    code,
                    f"{int(chosen.sum())} buses have no current of a fault to earth, for {reason}: "
                    f"{_some(net, bus[chosen])}",
                    Severity.INFO,
                )
    for name, values in dataset.data_vars.items():
        numbers = values.to_numpy()
        numbers[np.broadcast_to(no_current[:, None, :], numbers.shape)] = np.nan
        gaps = (~np.isfinite(numbers)).any(axis=1) & ~no_current
        if gaps.any():
            where = _some(net, bus[gaps.any(axis=0)])
            raise SolverError(f"pandapower gives no {name} at {where}")


def _some(net: Any, buses: Any) -> str:
    names = [element(net, "bus", int(bus)) for bus in buses[:3]]
    return ", ".join(names) + (f" and {len(buses) - 3} more" if len(buses) > 3 else "")
