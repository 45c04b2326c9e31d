"""What a backtest leaves for its pictures: cost and stored energy of each controller by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grid import interval

if TYPE_CHECKING:
    from dispatch.backtest.run import Tally

Floats = npt.NDArray[np.float64]


@dataclass
class Record:
    """Fills as the backtest goes on.

    Attributes
    ----------
    start_s, interval_s : int
        Of the first step that is decided.
    time_zone : str
    stored_kwh : dict of str to list of float
        By controller, in all batteries before the first step and after each.
    cost : dict of str to list of float
        By controller and step, currency.
    """

    start_s: int
    interval_s: int
    time_zone: str
    stored_kwh: dict[str, list[float]] = field(default_factory=dict)
    cost: dict[str, list[float]] = field(default_factory=dict)

    def take(self, tally: Mapping[str, Tally]) -> None:
        """Take what each controller holds now and has cost until now."""
        for name, one in tally.items():
            held: Any = one.state["battery_energy_kwh"]
            self.stored_kwh.setdefault(name, []).append(float(np.sum(held)))
            self.cost[name] = one.by_step

    @property
    def steps(self) -> int:
        """Steps that are over."""
        return min(len(costs) for costs in self.cost.values())

    @property
    def reference(self) -> str:
        """The controller that regret is against: the one that foresees, or else the cheapest."""
        if "foresight" in self.cost:
            return "foresight"
        return min(self.cost, key=lambda name: (sum(self.cost[name]), name))

    def label(self, step: int) -> str:
        """Return the UTC label of a step."""
        return interval.label(self.start_s + step * self.interval_s)

    def days(self, steps: int, most: int = 7) -> list[tuple[int, str]]:
        """Return some of the steps in which civil days begin, evenly, with their days."""
        zone = self.time_zone
        starts = [self.start_s + step * self.interval_s for step in range(steps)]
        days = [interval.local_day(at_s, zone) for at_s in starts]
        begins = [n for n, day in enumerate(days) if n == 0 or day != days[n - 1]]
        return [(n, days[n].isoformat()) for n in begins[:: -(-len(begins) // most)]]

    def cumulative(self) -> dict[str, Floats]:
        """Return what each controller has cost after each step, currency."""
        return {name: np.cumsum(costs) for name, costs in self.cost.items()}

    def power_kw(self, name: str) -> Floats:
        """Return by how much what is stored changes in each step, kW; above 0 while charging."""
        changes: Floats = np.diff(self.stored_kwh[name]) * 3600.0 / self.interval_s
        return changes

    def regret(self) -> dict[str, dict[str, float]]:
        """Return by month what each controller cost more than :attr:`reference`, currency."""
        best = np.array(self.cost[self.reference][: self.steps])
        months = [
            interval.month_label(self.start_s + step * self.interval_s, self.time_zone)
            for step in range(self.steps)
        ]
        found: dict[str, dict[str, float]] = {}
        for name, costs in self.cost.items():
            more = np.array(costs[: self.steps]) - best
            for month, value in zip(months, more.tolist(), strict=True):
                row = found.setdefault(month, {})
                row[name] = row.get(name, 0.0) + value
        return found
