r"""What a kWh costs at each bus of the network in each interval of a plan.

The plan has one price of a kWh, :math:`\lambda_t`, at the feeder head's side of its balance, and a
price :math:`\mu_c` of each network limit that holds it. A kW more of load at bus :math:`b` has to
be met with its losses, and moves each limited value the other way than an injection there does:

.. math:: \pi_{b,t} = \lambda_t\,(1 - \ell_{b,t}) - \sum_{c \in t} \mu_c\,k_{c,b}

with :math:`\ell` the losses of a kW injected at the bus and :math:`k` the slope of the limited
value, both at the state that the plan leads to under its forecast (Schweppe et al., Spot Pricing of
Electricity, 1988). No price is known where a rule planned, and at buses that are dead.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import NEW_PLAN, Plan
from grid.errors import BadInputError, SolverError
from grid.operation.feasibility import state_of
from grid.operation.room import Room
from grid.quantities import NANO, WH_PER_KWH
from networks.flow.sensitivity import flow_sensitivity, voltage_sensitivity
from networks.limits.loss_factors import loss_factors

Floats = npt.NDArray[np.float64]

KIND = "nodal_price"
"""Of the stored dataset, under the instant of its plan."""

UNKNOWN = -(2**31)
"""In the place of the price of a bus that is dead."""

_VOLTAGE = re.compile(r"vm_pu bus (\d+) (<=|>=) \S+")
_LOADING = re.compile(r"loading_percent (line|trafo) (\d+) <= \S+")


def nodal_prices(room: Room, ahead: xr.Dataset, plan: Plan) -> xr.Dataset | None:
    """Return the price of a kWh at each bus with a usage point; None where no optimum is.

    Parameters
    ----------
    ahead : xarray.Dataset
        The forecast that the plan is for.

    Returns
    -------
    xarray.Dataset
        Dims (interval, bus): ``price``, and of it ``losses`` and ``congestion``; (interval,):
        ``energy``, the plan's own; currency per kWh.
    """
    energy = plan.schedule["marginal_price"].values
    if plan.source != NEW_PLAN or np.isnan(energy).any():
        return None
    buses = sorted({point.bus for point in room.site.usage_point})
    try:
        state = state_of(room, ahead, plan.schedule)
        found = loss_factors(room.model, state).sel(bus=buses)
        losses = -energy[:, None] * found["p_loss_factor"].values
        congestion = congestions(room, state, plan, buses)
    except (BadInputError, SolverError):
        # near voltage collapse there are no slopes, and no price
        return None
    parts = {"price": energy[:, None] + losses + congestion, "losses": losses}
    parts["congestion"] = congestion
    units = {"units": "currency/kWh"}
    made = {name: (("interval", "bus"), one, units) for name, one in parts.items()}
    return xr.Dataset(
        {**made, "energy": ("interval", energy, units)},
        coords={"interval": plan.schedule["interval"].values, "bus": np.array(buses)},
    )


def kept(found: xr.Dataset) -> xr.Dataset:
    """Return prices as they are stored: whole nano-currency per Wh; what is dead has none.

    Returns
    -------
    xarray.Dataset
        Dims (interval, bus): ``price`` and of it ``congestion``, int32, `UNKNOWN` where dead.
    """
    made = {}
    for name in ("price", "congestion"):
        nano = np.rint(found[name].values * (NANO / WH_PER_KWH))
        known = np.abs(nano) < -UNKNOWN
        whole = np.where(known, nano, UNKNOWN).astype(np.int32)
        made[name] = (("interval", "bus"), whole, {"units": "nano-currency/Wh"})
    return xr.Dataset(made, coords={"interval": found["interval"], "bus": found["bus"]})


def congestions(room: Room, state: xr.Dataset, plan: Plan, buses: list[int]) -> Floats:
    """Return what the network limits that hold a plan add to the price at buses, (interval, bus).

    Parameters
    ----------
    state : xarray.Dataset
        The network as the plan leaves it (:func:`grid.operation.feasibility.state_of`).
    """
    added = np.zeros((state.sizes["interval"], len(buses)))
    slopes: dict[tuple[str, int], Floats] = {}
    for step, name, price in plan.cut_prices:
        row = slope(room, state, step, name, buses, slopes)
        if row is not None:
            added[step] -= price * row
    return added


def slope(
    room: Room,
    state: xr.Dataset,
    step: int,
    name: str,
    buses: list[int],
    known: dict[tuple[str, int], Floats],
) -> Floats | None:
    """Return how the value that a cut limits answers to a kW injected at each bus.

    None for a cut that is no limit of the network: a ramp, an override.
    """
    model = room.model
    if voltage := _VOLTAGE.fullmatch(name):
        key = ("voltage", step)
        if key not in known:
            known[key] = voltage_sensitivity(model, state, buses, step)
        row: Floats = known[key][model.position(int(voltage[1]))]
        return row if voltage[2] == "<=" else -row
    if loading := _LOADING.fullmatch(name):
        table = loading[1]
        if (table, step) not in known:
            known[table, step] = flow_sensitivity(model, state, buses, step, table)
        branches = model.line if table == "line" else model.trafo
        place = int(np.flatnonzero(np.asarray(branches.index) == int(loading[2]))[0])
        found: Floats = known[table, step][place]
        return found
    return None
