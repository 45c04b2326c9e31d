r"""What would change a decision: the price, or the load, at which a set-point becomes another.

With the public network the prices of a step, to buy and to sell, move together by
:math:`\theta`. The cost of the best plan is the least of many straight lines in :math:`\theta`,
one for each plan, whose slope is what it imports less what it exports in that step. From a
:math:`\theta` where the set-point is as planned and one where it is not, the next one tried is
where their two lines meet; where no plan is below that point, the decision changes exactly there
(Eisner and Severance, J. ACM 23, 1976). On/off decisions may change on the way, which a ranging of
the linear problem would not see.

While islanded nothing has a price, and the load of the step moves instead, by bisection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dispatch.compare import MOVED_KW
from dispatch.plan import Floats, PlanInput, per_kwh
from dispatch.solve import Optimum, optimum

_ROUNDS = 60
_SAME = 1e-8
"""Currency, and share of the cost, within which two plans cost the same."""
_WIDTH = 1e-7
LOAD_KW = 0.01
"""How exactly a load is told at which a decision changes."""


@dataclass(frozen=True, eq=False)
class Tried:
    """The best plan when a price or load is more by `more`.

    Attributes
    ----------
    cost, slope : float
        Currency, and currency per unit of `more`.
    net_kw : ndarray (asset,)
        Given less taken in the step.
    """

    more: float
    cost: float
    slope: float
    net_kw: Floats

    def line(self, more: float) -> float:
        """Return what this plan costs elsewhere."""
        return self.cost + self.slope * (more - self.more)


class Lever:
    """A price or a load of one step, moved; each place is solved once for all assets."""

    def __init__(
        self, plan_input: PlanInput, found: Optimum, step: int, gap: float, nodes: int
    ) -> None:
        self._input, self._step, self._gap, self._nodes = plan_input, step, gap, nodes
        self.by_price = bool(plan_input.grid_available[step])
        self.rows = [str(asset) for asset in plan_input.asset_ids]
        self._known = {0.0: self._of(0.0, found)}

    @property
    def reach(self) -> tuple[float, float]:
        """How far down and up it is moved, currency per kWh or kW."""
        given = self._input
        if not self.by_price:
            load = float(given.demand_kw[self._step])
            return -load, max(load, 1.0)
        known = np.abs(np.concatenate([given.buy_price, given.sell_price]))
        penalties = [per_kwh(one.penalty) for one in given.shedding]
        penalties += [per_kwh(one.fuel) for one in given.genset]
        far = max(1.0, 10.0 * float(known.max()), *(1.5 * one for one in penalties))
        return -far, far

    def at(self, more: float) -> Tried | None:
        """Return the best plan there; None when there is none."""
        if more not in self._known:
            given, t = self._input, self._step
            names = ("buy_price", "sell_price") if self.by_price else ("demand_kw",)
            moved: dict[str, Any] = {}
            for name in names:
                moved[name] = np.array(getattr(given, name), dtype=np.float64)
                moved[name][t] += more
            found = optimum(replace(given, **moved), gap=self._gap, nodes=self._nodes)
            self._known[more] = self._of(more, found)
        return self._known[more]

    def _of(self, more: float, found: Optimum) -> Tried | None:
        if found.schedule is None:
            return None
        t, s = self._step, found.schedule
        bought = float(s["import_kw"].values[t] - s["export_kw"].values[t])
        given = s["discharge_kw"] + s["produce_kw"] + s["shed_kw"] - s["charge_kw"]
        slope = self._input.hours * bought
        return Tried(more, found.answer.objective, slope, given.values[:, t])

    def edge(self, asset: str, *, up: bool) -> tuple[float, Tried] | None:
        """Return by how much it must move for an asset's set-point to change, and the plan then.

        None when it does not change within :attr:`reach`.
        """
        row = self.rows.index(asset)
        now = self.at(0.0)
        assert now is not None

        def same(one: Tried) -> bool:
            return bool(abs(one.net_kw[row] - now.net_kw[row]) <= MOVED_KW)

        far = self.at(self.reach[int(up)])
        if far is None or same(far):
            return None if self.by_price or far is not None else self._halved(now, row, up=up)
        return self._met(now, far, row) if self.by_price else self._between(now, far, row)

    def _met(self, low: Tried, high: Tried, row: int) -> tuple[float, Tried]:
        """Return where the line of a plan as now and that of another meet, none below them."""
        now = low
        for _ in range(_ROUNDS):
            width, turn = high.more - low.more, low.slope - high.slope
            within = _SAME * (1.0 + abs(low.cost))
            alike = abs(turn * width) <= within
            if abs(width) <= _WIDTH:
                break
            more = low.more + (0.5 * width if alike else (high.line(low.more) - low.cost) / turn)
            if min(abs(more - low.more), abs(more - high.more)) <= _WIDTH:
                return more, high
            tried = self.at(more)
            assert tried is not None
            if not alike and tried.cost >= low.line(more) - within:
                return more, high
            if abs(tried.net_kw[row] - now.net_kw[row]) <= MOVED_KW:
                low = tried
            else:
                high = tried
        return high.more, high

    def _between(self, low: Tried, high: Tried, row: int) -> tuple[float, Tried]:
        """Return the load at which a set-point changes, by halves."""
        now = low
        while abs(high.more - low.more) > LOAD_KW:
            tried = self.at(0.5 * (low.more + high.more))
            if tried is None:
                break
            if abs(tried.net_kw[row] - now.net_kw[row]) <= MOVED_KW:
                low = tried
            else:
                high = tried
        return high.more, high

    def _halved(self, now: Tried, row: int, *, up: bool) -> tuple[float, Tried] | None:
        """Return the same where the far end has no plan: from the furthest half that has one."""
        more = self.reach[int(up)]
        while abs(more) > LOAD_KW:
            more *= 0.5
            far = self.at(more)
            if far is not None:
                moved = abs(far.net_kw[row] - now.net_kw[row]) > MOVED_KW
                return self._between(now, far, row) if moved else None
        return None
