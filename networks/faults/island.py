"""Short circuits in an island that an inverter forms.

A converter's valves bear little more than their rated current, so that IEC 60909-0:2016 (6.9)
makes a full converter a source of a current that its maker states, and not a voltage behind an
impedance. Here the forming inverter holds its voltage until that current is reached: the fault
current is the smaller of what the network would let through and what the inverter gives.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from networks.faults.assumptions import Assumptions
from networks.faults.earth import group
from networks.faults.graph import element, graph
from networks.faults.short_circuit import short_circuit

STIFF_MVA = 1e6
"""Short-circuit power of a source of no impedance: the inverter's voltage is controlled."""
_SHIFTED = ("dyn", "yzn", "yd", "dy", "ynd")
_NONE = Assumptions()


@dataclass(frozen=True, slots=True)
class FormingInverter:
    """The inverter that holds the voltage of an island.

    Attributes
    ----------
    bus : int
    sn_mva : float
        Rated apparent power.
    k : float
        Current it gives into a short circuit, in multiples of its rated current.
    """

    bus: int
    sn_mva: float
    k: float

    def __post_init__(self) -> None:
        for name, low, high in (("sn_mva", 1e-6, 1e4), ("k", 0.5, 10.0)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInputError(
                    f"inverter at bus {self.bus}: {name} is {value}, must be within "
                    f"{low:g} to {high:g}"
                )


def island_short_circuit(
    net: Any, inverter: FormingInverter, assumptions: Assumptions = _NONE, **options: Any
) -> tuple[xr.Dataset, list[Finding]]:
    """Return the short-circuit currents of the island that `inverter` forms.

    Other converters follow the network and are taken to stop in a fault; the external grids are
    off. The inverter is taken to have an earthed neutral of no impedance, where the zero-sequence
    data of the network are known.

    Parameters
    ----------
    net : pandapowerNet
        It is not changed.
    inverter : FormingInverter
    assumptions : Assumptions
        Of external grids and converters nothing is used.
    **options
        ``cases``, ``faults``, ``tolerance_percent`` of
        :func:`networks.faults.short_circuit.short_circuit`.

    Returns
    -------
    dataset : xarray.Dataset
        Dims (fault, case, bus): ``ikss_ka``, ``unlimited_ka`` (what an ideal source would give)
        and ``limited`` (whether the inverter's current is what counts). A current-limited source
        has no direct component that a standard knows of: no peak, no thermal current.
    findings : list of Finding

    Raises
    ------
    BadInputError
        When the island's bus is not in the network or not in service, and as for a network.
    """
    import pandapower as pp

    wired = graph(net)
    if inverter.bus not in wired.at:
        raise BadInputError(f"bus {inverter.bus} of the inverter is not in service")
    work = deepcopy(net)
    for table in ("ext_grid", "gen", "sgen", "storage"):
        work[table]["in_service"] = False
    pp.create_ext_grid(work, inverter.bus, name="forming inverter")
    head = work.ext_grid.index[-1]
    for column, value in (("x0x_max", 1.0), ("x0x_min", 1.0), ("r0x0_max", 0.1), ("r0x0_min", 0.1)):
        work.ext_grid.loc[head, column] = value
    stiff = replace(
        assumptions, s_sc_max_mva=STIFF_MVA, s_sc_min_mva=STIFF_MVA, rx=0.1, converter_k=None
    )
    dataset, findings = short_circuit(work, stiff, **options)
    limit_ka = _limits(dataset, work, inverter)
    free_ka = dataset["ikss_ka"].to_numpy()
    dims = dataset["ikss_ka"].dims
    result = xr.Dataset(
        {
            "ikss_ka": (dims, np.minimum(free_ka, limit_ka), dataset["ikss_ka"].attrs),
            "unlimited_ka": (dims, free_ka, {"units": "kA", "long_name": "of an ideal source"}),
            "limited": (dims, free_ka > limit_ka),
        },
        coords=dataset.coords,
        attrs=dataset.attrs | {"source_bus": [inverter.bus], "inverter_k": inverter.k},
    )
    rated_ka = inverter.sn_mva / np.sqrt(3) / float(net.bus.at[inverter.bus, "vn_kv"])
    result.attrs["assumptions"] = [
        *(note for note in dataset.attrs["assumptions"] if "external grid" not in note),
        f"the inverter gives at most {inverter.k:g} times its rated {rated_ka * 1e3:.4g} A",
        "other converters give nothing into a fault in the island",
    ]
    if bool(result["limited"].any()):
        message = (
            f"the inverter at {element(net, 'bus', inverter.bus)} limits short circuits to "
            f"{inverter.k * rated_ka * 1e3:.0f} A, {inverter.k:g} times its rated current"
        )
        subject = f"bus {inverter.bus}"
        findings.append(Finding("faults.inverter_limited", subject, "", Severity.INFO, message))
    return result, sorted(findings)


def _limits(dataset: xr.Dataset, net: Any, inverter: FormingInverter) -> Any:
    """Return the fault current (fault, case, bus) in kA at which the inverter is at its limit.

    Through a transformer that shifts the phases, a fault of two phases takes 2/√3 of its current
    from the phase most loaded, one to earth 1/√3; which phase the inverter limits is not known, so
    that the greatest current counts as maximum and the smallest as minimum.
    """
    near = graph(net).reached([inverter.bus], lambda edge, _: edge.kind not in ("trafo", "trafo3w"))
    groups = net.trafo.get("vector_group", [])
    shifted = len(net.trafo) > 0 and any(group(text) in (*_SHIFTED, "") for text in groups)
    bus = dataset["bus"].to_numpy()
    base = inverter.k * inverter.sn_mva / np.sqrt(3) / dataset["vn_kv"].to_numpy()
    beyond = np.array([int(b) not in near for b in bus])
    limits = np.empty(dataset["ikss_ka"].shape)
    for i, fault in enumerate(dataset["fault"].to_numpy()):
        for j, case in enumerate(dataset["case"].to_numpy()):
            factor = 1.0
            if shifted and (fault, case) == ("1ph", "max"):
                factor = np.sqrt(3.0)
            if shifted and (fault, case) == ("2ph", "min"):
                factor = np.sqrt(3.0) / 2.0
            limits[i, j] = np.where(beyond, base * factor, base)
    return limits
