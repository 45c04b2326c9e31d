"""Hosting capacity: the largest plant or load that can be connected, and what limits it.

Voltage band, loading of lines and transformers and, when asked for, the rise that
VDE-AR-N 4105:2018-11, 5.3 allows all plants of a low-voltage network together, hold in every
interval of a series. What is added has one power factor and follows one profile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from networks.hosting.addition import Addition
from networks.hosting.frame import Frame, frame_of
from networks.hosting.limits import HostingLimits
from networks.hosting.search import Found, Progress, find
from networks.model import Int, NetworkModel

ACCURACY_KW = 0.01


def hosting(
    model: NetworkModel,
    inputs: xr.Dataset,
    *,
    addition: Addition | None = None,
    limits: HostingLimits | None = None,
    buses: Sequence[int] | None = None,
    ceiling_kw: float | None = None,
    accuracy_kw: float = ACCURACY_KW,
    check: int | None = None,
    seed: int = 1,
    progress: Progress = lambda _: None,
) -> xr.Dataset:
    """Return what can be connected at one bus at a time.

    Parameters
    ----------
    inputs : xarray.Dataset
        What is there, as :func:`networks.flow.year.year` takes it.
    buses : sequence of int, optional
        All when not given.
    ceiling_kw : float, optional
        The search goes no further; :func:`ceiling` when not given.
    check : int, optional
        How many answers, drawn by `seed`, are judged in every interval of the series; all when
        not given. The others rest on its worst intervals.

    Returns
    -------
    xarray.Dataset
        (bus,): `hosting_kw`, NaN at a dead bus; `limit`, the element and quantity that break
        first beyond; `limit_kind`: ``voltage_high``, ``voltage_rise``, ``voltage_low``,
        ``line``, ``trafo``, ``no_solution``, ``dead``, or empty where `capped`; `limit_at`, the
        interval that decides (NaT where none does); `checked`, whether every interval was judged.
        Attributes: `corrected`, how many answers the whole series made smaller than the worst
        intervals did.

    Raises
    ------
    BadInputError
        A wrong bus, limit, profile or input, by name.
    SolverError
        When the series has an interval without solution before anything is added.
    """
    addition, limits = addition or Addition(), limits or HostingLimits()
    frame = framed(model, inputs, addition, limits)
    chosen = model.bus.tolist() if buses is None else [int(bus) for bus in buses]
    positions = np.array([model.position(bus) for bus in chosen], dtype=np.int64)
    node = model.node[positions]
    live = np.unique(node[node >= 0])
    most_kw = ceiling(model) if ceiling_kw is None else ceiling_kw
    found = find(
        frame,
        frame.additions([{int(one): 1.0} for one in live], addition.per_kw),
        lowers_voltage=addition.direction == "load",
        ceiling_kw=_positive("ceiling_kw", most_kw),
        accuracy_kw=_positive("accuracy_kw", accuracy_kw),
        check=drawn(len(live), check, seed),
        progress=progress,
    )
    return _by_bus(frame, found, np.array(chosen), node, live, most_kw)


def joint(
    model: NetworkModel,
    inputs: xr.Dataset,
    share: Mapping[int, float],
    *,
    addition: Addition | None = None,
    limits: HostingLimits | None = None,
    ceiling_kw: float | None = None,
    accuracy_kw: float = ACCURACY_KW,
    progress: Progress = lambda _: None,
) -> xr.Dataset:
    """Return what all of some buses can be given together, in fixed shares, judged everywhere.

    Parameters
    ----------
    share : mapping of bus to float
        Each above 0; only their ratios count.

    Returns
    -------
    xarray.Dataset
        As :func:`hosting`, without dimension; `hosting_kw` is the sum.
    """
    addition, limits = addition or Addition(), limits or HostingLimits()
    frame = framed(model, inputs, addition, limits)
    if not share or not all(0.0 < part < math.inf for part in share.values()):
        raise BadInputError("a joint hosting capacity needs buses with shares above 0")
    total, at_node = sum(share.values()), dict[int, float]()
    for bus, part in share.items():
        node = int(model.node[model.position(bus)])
        if node < 0:
            raise BadInputError(f"{model.bus_label(model.position(bus))} is cut off")
        at_node[node] = at_node.get(node, 0.0) + part / total
    most_kw = len(share) * ceiling(model) if ceiling_kw is None else ceiling_kw
    found = find(
        frame,
        frame.additions([at_node], addition.per_kw),
        lowers_voltage=addition.direction == "load",
        ceiling_kw=_positive("ceiling_kw", most_kw),
        accuracy_kw=_positive("accuracy_kw", accuracy_kw),
        check=np.zeros(1, dtype=np.int64),
        progress=progress,
    )
    one = np.zeros(1, dtype=np.int64)
    return _by_bus(frame, found, one, one, one, most_kw).isel(bus=0, drop=True)


def ceiling(model: NetworkModel) -> float:
    """Return twice what the largest transformer, or else the largest line, is rated for, kW."""
    largest = 0.0
    for table in (model.trafo, model.line):
        on = table.from_node >= 0
        rated = table.rated_from_ka[on] * model.node_kv[table.from_node[on]] * math.sqrt(3) * 1e3
        largest = largest or float(rated[np.isfinite(rated)].max(initial=0.0))
    return 2.0 * largest or 1e4


def drawn(count: int, check: int | None, seed: int) -> Int:
    """Return which of `count` answers are judged in every interval, in order."""
    if check is None or check >= count:
        return np.arange(count, dtype=np.int64)
    if check < 0:
        raise BadInputError(f"check is {check}, must not be below 0")
    return np.sort(np.random.default_rng(seed).choice(count, size=check, replace=False))


def framed(
    model: NetworkModel, inputs: xr.Dataset, addition: Addition, limits: HostingLimits
) -> Frame:
    """Return what a search is told of a series, which must be one of loads and plants."""
    from networks.flow.year import year

    year(model, inputs)  # refuses what is no series of loads, by name
    return frame_of(model, inputs, limits, addition.profile_of(inputs))


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < math.inf:
        raise BadInputError(f"{name} is {value}, must be above 0")
    return float(value)


def _by_bus(
    frame: Frame, found: Found, buses: Int, node: Int, live: Int, most_kw: float
) -> xr.Dataset:
    """Return what was found of nodes, by bus."""
    at = np.searchsorted(live, np.maximum(node, 0)) if len(live) else np.zeros_like(node)
    at = np.minimum(at, len(live) - 1)
    dead = node < 0
    when = frame.starts[np.maximum(found.position, 0)].copy()
    when[found.position < 0] = np.datetime64("NaT")

    def told(texts: list[str], of_dead: str) -> npt.NDArray[np.object_]:
        return np.where(dead, of_dead, np.array(texts, dtype=object)[at]).astype(object)

    return xr.Dataset(
        {
            "hosting_kw": ("bus", np.where(dead, np.nan, found.size_kw[at]), {"units": "kW"}),
            "limit": ("bus", told(found.limit, "no source reaches it")),
            "limit_kind": ("bus", told(found.kind, "dead")),
            "limit_at": ("bus", np.where(dead, np.datetime64("NaT"), when[at])),
            "capped": ("bus", ~dead & found.capped[at]),
            "checked": ("bus", ~dead & found.checked[at]),
        },
        {"bus": buses},
        {
            "topology_hash": frame.model.topology_hash.hex(),
            "ceiling_kw": most_kw,
            "corrected": found.corrected,
            "intervals": len(frame.starts),
        },
    )
