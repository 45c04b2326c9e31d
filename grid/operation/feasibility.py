"""Whether a schedule holds in AC, and the cuts that make the next one hold.

A schedule must keep the network's limits under the forecast, and also when the sun and the
wind reach their upper quantile while the load falls to its lower one: that is the day on which
a feeder's voltage rises. A plant that the schedule holds back stays at its limit then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from dispatch.plan import LinearCut, Plan
from dispatch.safe import SAFE_SHARE
from grid import interval
from grid.operation.room import Room
from grid.quantities import require_finite
from grid.site import Shedding, Solar, Wind
from networks.flow.solve import flow
from networks.limits.cuts import Cut, broken
from networks.limits.cuts import cuts as network_cuts

Floats = npt.NDArray[np.float64]

MARGIN_PU = 1e-4
"""By which cuts are tighter than the limits: they are straight where the network is curved."""

NEAR_PU = 5e-3
"""A bus that a plan brings this near its limit is watched by the next plan."""

_MOST_RATIO = 3.0
_FORECAST_LIMIT = 1e6
_SHARES = 21


def controllable_buses(room: Room) -> list[int]:
    """Return the buses with devices, ascending."""
    bus = {point.id: point.bus for point in room.site.usage_point}
    return sorted({bus[a.usage_point] for a in room.site.assets if not isinstance(a, Shedding)})


def injections(room: Room, schedule: xr.Dataset) -> dict[str, Floats]:
    """Return for each device what it injects less what it absorbs, kW, by step."""
    given = schedule["discharge_kw"].values + schedule["produce_kw"].values
    net = given - schedule["charge_kw"].values
    rows = {str(name): row for name, row in zip(schedule["asset"].values, net, strict=True)}
    # A day that was metered has its vehicles in the loads and not in the schedule.
    nothing = np.zeros(_steps(schedule))
    return {
        str(asset.id): rows.get(str(asset.id), nothing)
        for asset in room.site.assets
        if not isinstance(asset, Shedding)
    }


def state_of(room: Room, ahead: xr.Dataset, schedule: xr.Dataset) -> xr.Dataset:
    """Return the network state of a schedule under the means of a forecast.

    Parameters
    ----------
    ahead : xarray.Dataset
        ``mean_kw`` (series, interval) and ``mean_kvar`` of the loads, as
        :func:`grid.operation.forecasting.forecast` stores them.
    schedule : xarray.Dataset
        Of as many or fewer steps.
    """
    return _flow(room, ahead, schedule, injections(room, schedule), np.ones(_steps(schedule)))


def state_at_worst(room: Room, ahead: xr.Dataset, schedule: xr.Dataset) -> xr.Dataset:
    """Return the network state when plants give their most and loads take their least."""
    n = _steps(schedule)
    totals = ahead["total_kw"].isel(interval=slice(0, n))
    means = ahead["total_mean_kw"].isel(interval=slice(0, n))
    low, high = float(totals["quantile"].min()), float(totals["quantile"].max())

    def ratio(group: str, quantile: float) -> Floats:
        mean = means.sel(group=group).values
        edge = totals.sel(group=group, quantile=quantile).values
        found: Floats = np.divide(edge, mean, out=np.ones(n), where=mean > 1e-3)
        return np.clip(found, 0.0, _MOST_RATIO)

    injected = injections(room, schedule)
    groups = [str(group) for group in totals["group"].values if group != "load"]
    most_of = {group: np.maximum(ratio(group, high), 1.0) for group in groups}
    for number, asset in enumerate(room.site.assets):
        if isinstance(asset, (Solar, Wind)):
            group = "solar" if isinstance(asset, Solar) else "wind"
            free = np.isnan(schedule["limit_kw"].values[number])
            most = injected[asset.id] * most_of[group]
            injected[asset.id] = np.where(
                free, np.minimum(most, asset.power_kw), injected[asset.id]
            )
    return _flow(room, ahead, schedule, injected, np.minimum(ratio("load", low), 1.0))


@dataclass(frozen=True, eq=False)
class Verdict:
    """What AC says of a schedule.

    Attributes
    ----------
    schedule : xarray.Dataset
    states : tuple of xarray.Dataset
        The network when plants give their most, and under the forecast.
    broken : tuple of str
        The limits it breaks, in words, each once; empty when it holds.
    watched : frozenset of int
        The buses watched before, and the worst of each step that breaks a voltage.
    near : frozenset of int
        The watched buses that come near their limit.
    """

    schedule: xr.Dataset
    states: tuple[xr.Dataset, xr.Dataset]
    broken: tuple[str, ...]
    watched: frozenset[int]
    near: frozenset[int]

    @property
    def losses_kw(self) -> Floats:
        """Losses under the forecast, (step,)."""
        losses: Floats = self.states[1]["losses_kw"].values
        return losses


def verdict(
    room: Room, ahead: xr.Dataset, schedule: xr.Dataset, watched: frozenset[int] = frozenset()
) -> Verdict:
    """Return whether a schedule holds in AC, and which buses the next one is to watch."""
    states = (state_at_worst(room, ahead, schedule), state_of(room, ahead, schedule))
    network = room.site.network
    found = dict(limit for state in states for limit in broken(room.model, state, network))
    watched |= {bus for bus in found.values() if bus is not None}
    highest = np.nanmax(states[0]["vm_pu"].values, axis=0)
    near = {
        bus
        for bus in watched
        if highest[room.model.position(bus)] > network.voltage_max_pu - NEAR_PU
    }
    return Verdict(schedule, states, tuple(sorted(found)), watched, frozenset(near))


def cuts_after(room: Room, judged: Verdict) -> dict[tuple[int, str], LinearCut]:
    """Return by step and name what the next schedule must keep to.

    These are the limits that the judged one breaks, and the voltages of its watched buses. A
    voltage rises ever more slowly with what is injected, so a tangent is above it: a watched
    bus cannot be broken again by the next schedule, and each round can only add buses.
    """
    found: dict[tuple[int, str], LinearCut] = {}
    for state in judged.states:
        for cut in _cuts(room, state, judged.schedule, MARGIN_PU, judged.watched):
            found.setdefault((cut.step, cut.name), cut)
    return found


def check_forecast(ahead: xr.Dataset) -> None:
    """Refuse a forecast with a number that cannot be: AC would be checked on nothing.

    Raises
    ------
    BadInputError
        Naming the variable, position, value and limit.
    """
    for name in ("mean_kw", "total_kw", "total_mean_kw"):
        require_finite(ahead[name].values, name=name, low=0.0, high=_FORECAST_LIMIT)
    kvar = ahead["mean_kvar"].values
    require_finite(kvar, name="mean_kvar", low=-_FORECAST_LIMIT, high=_FORECAST_LIMIT)


def safe_share(room: Room) -> float:
    """Return the share of their rating that all plants may give at once without any load.

    Nothing about the moment is needed for it, so it holds whatever is wrong with a forecast.
    """
    known: float | None = room.memory.get("safe share")
    if known is not None:
        return known
    plants = {plant.usage_point: 0.0 for plant in room.site.plants}
    for plant in room.site.plants:
        plants[plant.usage_point] += plant.power_kw
    shares = np.linspace(SAFE_SHARE, 0.0, _SHARES)
    injected = np.zeros((len(room.points), len(shares)))
    for point, power_kw in plants.items():
        injected[room.row[str(point)]] = power_kw * shares
    nothing = room.by_bus(np.zeros_like(injected))
    state = flow(
        room.model,
        nothing,
        room.by_bus(injected),
        nothing,
        nothing,
        starts=interval.starts(0, len(shares), room.site.interval_s),
        grid_available=np.ones(len(shares), np.bool_),
        forming_bus=None,
    )
    network = room.site.network
    holds = [not broken(room.model, state.isel(interval=[n]), network) for n in range(_SHARES)]
    share = float(shares[holds.index(True)]) if any(holds) else 0.0
    room.memory["safe share"] = share
    return share


def broken_as_metered(room: Room, seen: xr.Dataset, schedule: xr.Dataset) -> tuple[LinearCut, ...]:
    """Return cuts for the limits that a schedule breaks on a day that is known."""
    return tuple(_cuts(room, state_of(room, seen, schedule), schedule, 1e-5))


def shifted(last: Plan, start_s: int) -> xr.Dataset:
    """Return what `last` says from `start_s` on; its final step stands for what follows it."""
    n = last.schedule.sizes["interval"]
    first = (start_s - last.start_s) // last.interval_s
    steps = np.minimum(np.arange(first, first + n), n - 1)
    starts = start_s + last.interval_s * np.arange(n)
    ahead = last.schedule.isel(interval=steps)
    return ahead.assign_coords(interval=starts.astype("datetime64[s]"))


def _steps(schedule: xr.Dataset) -> int:
    return int(schedule.sizes["interval"])


def _flow(
    room: Room,
    ahead: xr.Dataset,
    schedule: xr.Dataset,
    injected: Mapping[str, Floats],
    share: Floats,
) -> xr.Dataset:
    n = _steps(schedule)
    loads = [f"load:{point}" for point in room.points]
    net = ahead["mean_kw"].sel(series=loads).values[:, :n] * share
    reactive = ahead["mean_kvar"].sel(series=loads).values[:, :n] * share
    for number, asset in enumerate(room.site.assets):
        if isinstance(asset, Shedding):
            rows = [room.row[str(point)] for point in asset.usage_points]
            total = net[rows].sum(axis=0)
            shed = np.minimum(schedule["shed_kw"].values[number], total)
            served = 1.0 - np.divide(shed, total, out=np.zeros(n), where=total > 0)
            net[rows] *= served
            reactive[rows] *= served
    for name, values in injected.items():
        net[room.row[room.point_of[name]]] -= values
    starts = schedule["interval"].values.astype("datetime64[s]")
    return flow(
        room.model,
        room.by_bus(np.maximum(net, 0.0)),
        room.by_bus(np.maximum(-net, 0.0)),
        room.by_bus(np.maximum(reactive, 0.0)),
        room.by_bus(np.maximum(-reactive, 0.0)),
        starts=starts,
        grid_available=room.grid_available(starts.astype(np.int64)),
        forming_bus=room.forming_bus,
    )


def _cuts(
    room: Room,
    state: xr.Dataset,
    schedule: xr.Dataset,
    margin_pu: float,
    watched: frozenset[int] = frozenset(),
) -> list[LinearCut]:
    buses, network = controllable_buses(room), room.site.network
    watch = sorted(watched)
    found = network_cuts(room.model, state, network, buses, margin_pu, watched_bus=watch)
    bus = {point.id: point.bus for point in room.site.usage_point}
    column = {number: position for position, number in enumerate(buses)}
    devices = [asset for asset in room.site.assets if not isinstance(asset, Shedding)]
    injected = injections(room, schedule)
    return [
        _linear(cut, {a.id: column[bus[a.usage_point]] for a in devices}, injected, margin_pu)
        for cut in found
    ]


def _linear(
    cut: Cut, column: Mapping[str, int], injected: Mapping[str, Floats], margin_pu: float
) -> LinearCut:
    """Return a network cut in terms of what the devices inject.

    A voltage that is within its limit, though by less than the margin, may stay: a plan that
    holds is not cut away by the plan that comes after it.
    """
    step = cut.interval_index
    coefficient = {name: cut.coefficient[position] for name, position in column.items()}
    now = sum(value * float(injected[name][step]) for name, value in coefficient.items())
    room = cut.limit - cut.base
    if cut.bus is not None and -margin_pu <= room:
        room = max(room, 0.0)
    return LinearCut(step, cut.name, coefficient, room + now)
