"""How far plants or loads can spread before the first limit breaks, over drawn orders.

Who builds next is not known: each draw is an order in which sites get their plant, and the
sites that come before the first broken limit are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from grid.errors import BadInputError, SolverError
from networks.hosting.addition import Addition
from networks.hosting.capacity import framed
from networks.hosting.frame import Frame
from networks.hosting.intervals import Additions, Intervals
from networks.hosting.kernel import excesses, kept
from networks.hosting.limits import HostingLimits
from networks.hosting.search import Progress, broken_in_all, worst
from networks.model import Bool, Float, Int, NetworkModel

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 1.0)
_ROUNDS = 8


def deployments(
    model: NetworkModel,
    inputs: xr.Dataset,
    site_kw: Mapping[int, float],
    *,
    draws: int = 100,
    seed: int = 1,
    addition: Addition | None = None,
    limits: HostingLimits | None = None,
    quantiles: Sequence[float] = QUANTILES,
    progress: Progress = lambda _: None,
) -> xr.Dataset:
    """Return how many sites can have their plant before the first limit breaks.

    Every answer is judged in every interval of the series. That fewer sites of the same order
    keep the limits too is taken as given.

    Parameters
    ----------
    inputs : xarray.Dataset
        What is there, as :func:`networks.flow.year.year` takes it.
    site_kw : mapping of bus to float
        What each site would get.
    draws : int
        Orders of the sites.

    Returns
    -------
    xarray.Dataset
        (draw,): `sites` kept, `kept_kw`, `penetration_percent` of the sites; `limit` and
        `limit_kind` that the next site breaks, empty where all sites are kept. (quantile,):
        `penetration_percent_quantile` and `kept_kw_quantile`, the lower draw between two.

    Raises
    ------
    BadInputError
        A site that is cut off or of no size.
    SolverError
        When the series has an interval without solution, or counting does not settle.
    """
    addition, limits = addition or Addition(), limits or HostingLimits()
    frame = framed(model, inputs, addition, limits)
    if not site_kw or not all(0.0 < kw < np.inf for kw in site_kw.values()):
        raise BadInputError("a deployment needs sites of more than 0 kW")
    if draws < 1:
        raise BadInputError(f"draws is {draws}, must be at least 1")
    buses, sizes = list(site_kw), np.array(list(site_kw.values()), dtype=np.float64)
    node = np.array([model.node[model.position(bus)] for bus in buses], dtype=np.int64)
    if (node < 0).any():
        bus = buses[int(np.argmin(node))]
        raise BadInputError(f"{model.bus_label(model.position(bus))} is cut off")
    draw = np.random.default_rng(seed)
    order = np.array([draw.permutation(len(buses)) for _ in range(draws)], dtype=np.int64)
    found = _Spread(frame, order, node, sizes, addition)
    found.search(worst(frame, addition.direction == "load"), progress)
    kind, limit = found.limits()
    built = np.concatenate([np.zeros((draws, 1)), np.cumsum(sizes[order], axis=1)], axis=1)
    kept_kw = built[np.arange(draws), found.count]
    percent = 100.0 * found.count / len(buses)
    at = np.asarray(quantiles, dtype=np.float64)
    return xr.Dataset(
        {
            "sites": ("draw", found.count),
            "kept_kw": ("draw", kept_kw, {"units": "kW"}),
            "penetration_percent": ("draw", percent, {"units": "%"}),
            "limit": ("draw", np.array(limit, dtype=object)),
            "limit_kind": ("draw", np.array(kind, dtype=object)),
            "kept_kw_quantile": ("quantile", _quantile(kept_kw, at), {"units": "kW"}),
            "penetration_percent_quantile": ("quantile", _quantile(percent, at), {"units": "%"}),
        },
        {"draw": np.arange(draws), "quantile": at},
        {"seed": seed, "topology_hash": model.topology_hash.hex(), "all_sites": len(buses)},
    )


def _quantile(values: Float, at: Float) -> Float:
    return np.asarray(np.quantile(values, at, method="lower"), dtype=np.float64)


class _Spread:
    """For each order how many of its sites keep every limit."""

    def __init__(
        self, frame: Frame, order: Int, node: Int, sizes: Float, addition: Addition
    ) -> None:
        self._frame, self._order, self._node, self._sizes = frame, order, node, sizes
        self._per_kw = addition.per_kw
        self.count: Int = np.zeros(len(order), dtype=np.int64)
        self._few: Intervals

    def search(self, steps: Int, progress: Progress) -> None:
        """Count in a few intervals, judge the counts in all, and count again where one fails."""
        self._few = self._frame.intervals(steps)
        progress(f"counting {len(self._order)} orders in the {len(steps)} worst intervals")
        waiting = np.arange(len(self._order), dtype=np.int64)
        for _ in range(_ROUNDS):
            self._count(waiting)
            progress(f"judging {len(waiting)} orders in every interval")
            every = np.arange(len(waiting), dtype=np.int64)
            failed, steps = broken_in_all(
                self._frame,
                self._added(waiting, self.count[waiting]),
                every,
                np.ones(len(waiting)),
            )
            if not len(failed):
                return
            waiting = waiting[np.unique(failed)]
            self._few = self._few.with_others(self._frame.intervals(np.unique(steps)))
        raise SolverError(
            f"network {self._frame.model.source}: {len(waiting)} of {len(self._order)} orders "
            f"still break a limit after {_ROUNDS} rounds of judging"
        )

    def _added(self, draws: Int, counts: Int) -> Additions:
        shares: list[dict[int, float]] = []
        for one, count in zip(draws.tolist(), counts.tolist(), strict=True):
            share: dict[int, float] = {}
            for site in self._order[one, :count].tolist():
                node = int(self._node[site])
                share[node] = share.get(node, 0.0) + float(self._sizes[site])
            shares.append(share)
        return self._frame.additions(shares, self._per_kw)

    def _broken(self, draws: Int, counts: Int) -> tuple[Bool, Int, Int]:
        """Return whether a limit breaks, its number, and the interval that breaks it most."""
        added, steps = self._added(draws, counts), len(self._few)
        excess, whose = excesses(
            self._frame,
            self._few,
            added,
            np.tile(np.arange(steps, dtype=np.int64), len(draws)),
            np.repeat(np.arange(len(draws), dtype=np.int64), steps),
            np.ones(len(draws) * steps),
        )
        table = excess.reshape(len(draws), steps)
        most = table.argmax(axis=1)
        at = whose.reshape(len(draws), steps)[np.arange(len(draws)), most]
        return ~kept(table.max(axis=1)), at, most

    def _count(self, draws: Int) -> None:
        low = np.zeros(len(draws), dtype=np.int64)
        high = np.full(len(draws), self._order.shape[1] + 1)
        while (high - low > 1).any():
            middle = (low + high) // 2
            broken, _, _ = self._broken(draws, np.minimum(middle, self._order.shape[1]))
            open_ = high - low > 1
            high = np.where(open_ & broken, middle, high)
            low = np.where(open_ & ~broken, middle, low)
        self.count[draws] = low

    def limits(self) -> tuple[list[str], list[str]]:
        """Return kind and words of the limit that the next site breaks."""
        every = np.arange(len(self._order), dtype=np.int64)
        full = self.count == self._order.shape[1]
        _, whose, step = self._broken(every, self.count + ~full)
        told = [
            ("", "") if full[one] else self._frame.limit(int(whose[one]), self._few, int(step[one]))
            for one in every.tolist()
        ]
        return [kind for kind, _ in told], [words for _, words in told]
