"""The run: each controller decides, meets what really came, and goes on from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import xarray as xr

from dispatch import highs
from dispatch.backtest.foreseen import Foreseen
from dispatch.backtest.realise import realised
from dispatch.check import check_input
from dispatch.check_cost import tie_bound
from dispatch.cost import DayCost, day_cost
from dispatch.plan import Floats, InfeasiblePlan, LinearCut, PlanInput
from dispatch.problem import Problem
from dispatch.rolling import Rolling
from dispatch.rule import self_consumption
from dispatch.solve import schedule_of, solve
from dispatch.statement import statement
from dispatch.stochastic import first_step
from dispatch.template import patched
from grid.errors import BadInputError, SolverError

CONTROLLERS = ("rule", "mpc", "stochastic", "foresight")
_GAP = 1e-3


@dataclass
class Tally:
    """What a controller has cost and done until now; its state is that of the next step.

    Attributes
    ----------
    state : dict
        Fields of :class:`dispatch.plan.PlanInput` that carry over.
    cost : dict of str to float
        By item of :class:`dispatch.cost.DayCost`, currency.
    by_step : list of float
        Cost of each step, currency.
    co2_kg, curtailed_kwh, discharged_kwh, unserved_kwh : float
    starts, fallbacks : int
        Fallbacks are steps in which there was no plan and the rule was followed.
    """

    state: dict[str, Any]
    cost: dict[str, float] = field(default_factory=dict)
    by_step: list[float] = field(default_factory=list)
    co2_kg: float = 0.0
    curtailed_kwh: float = 0.0
    discharged_kwh: float = 0.0
    unserved_kwh: float = 0.0
    starts: int = 0
    fallbacks: int = 0

    @property
    def total(self) -> float:
        """Currency."""
        return sum(self.cost.values())


@dataclass(frozen=True)
class Setting:
    """How a backtest is run: steps of a plan, futures of a stochastic one, who takes part.

    The rule acts on what is measured, so a plan too knows the load and the weather of its first
    step, and of none after; a `blind` one is held for a whole step to what was forecast for it.
    """

    horizon: int = 24
    futures: int = 8
    controllers: tuple[str, ...] = CONTROLLERS
    blind: bool = False
    utc_offset_s: int = 0


class Backtest:
    """A stretch of history with controllers on it.

    Parameters
    ----------
    history : PlanInput
        All of it; what is before `start` is only remembered.
    start : int
        First step that is decided.
    setting : Setting

    Raises
    ------
    BadInputError
        A history that is too short, or that has what cannot be realised yet.
    """

    def __init__(self, history: PlanInput, start: int, setting: Setting) -> None:
        check_input(history)
        day = round(86_400 / history.interval_s)
        if start < day or start >= history.n:
            raise BadInputError(
                f"a backtest starts at step {start}, must be within {day} to {history.n - 1}: "
                "a day of history comes before"
            )
        if history.charger or history.flexible or history.heat:
            raise BadInputError("a backtest takes no chargers, flexible loads or heat yet")
        if history.cuts and setting.blind:
            raise BadInputError("a blind backtest takes no cuts: what was not foreseen breaks them")
        self.history, self.start, self.setting = history, start, setting
        self._foreseen = Foreseen(history, setting.utc_offset_s)
        self._cuts: dict[int, list[LinearCut]] = {}
        for cut in history.cuts:
            self._cuts.setdefault(cut.step, []).append(cut)
        self._rolling = {name: Rolling() for name in ("mpc", "foresight")}
        state = {
            "battery_energy_kwh": np.array(history.battery_energy_kwh, dtype=np.float64),
            "genset_on": np.array(history.genset_on),
            "genset_intervals_in_state": np.array(history.genset_intervals_in_state),
            "peak_kw": history.peak_kw,
        }
        self.tally = {name: Tally(dict(state)) for name in setting.controllers}

    def steps(self) -> Iterator[int]:
        """Decide step after step; yield each when it is over."""
        for t in range(self.start, self.history.n):
            for name in self.setting.controllers:
                self._step(name, t)
            yield t

    def _window(self, t: int, n: int, state: dict[str, Any]) -> PlanInput:
        history = self.history
        series = {k: v[..., t : t + n] for k, v in history.series().items()}
        steps = ((ahead, self._cuts.get(t + ahead, ())) for ahead in range(n))
        cuts = tuple(replace(cut, step=ahead) for ahead, at in steps for cut in at)
        start_s = history.start_s + t * history.interval_s
        return replace(history, start_s=start_s, cuts=cuts, **series, **state)

    def _step(self, name: str, t: int) -> None:
        tally = self.tally[name]
        actual = self._window(t, 1, tally.state)
        try:
            wanted = self.decided(name, t, tally.state)
        except (InfeasiblePlan, SolverError):
            tally.fallbacks += 1
            wanted = self_consumption(actual)
        done = wanted if name == "rule" else realised(actual, wanted)
        _count(tally, actual, done)

    def decided(self, name: str, t: int, state: dict[str, Any]) -> xr.Dataset:
        """Return the schedule that a controller follows in step `t`.

        All but ``"rule"`` and ``"foresight"`` read nothing of step `t` or later but prices and
        the announced outages.
        """
        n = min(self.setting.horizon, self.history.n - t)
        if name == "rule":
            return self_consumption(self._window(t, 1, state))
        window = self._window(t, n, state)
        if name == "foresight":
            plan = solve(window, gap=_GAP, optimise=self._rolling[name].optimise)
            return plan.schedule
        if name == "mpc":
            ahead = self._with(window, self._seen(t, self._foreseen.mean(t, n)))
            return solve(ahead, gap=_GAP, optimise=self._rolling[name].optimise).schedule
        probability, futures = self._foreseen.futures(t, n, self.setting.futures)
        given = [self._with(window, self._seen(t, future)) for future in futures]
        return first_step(given, probability, gap=_GAP)

    def _seen(self, t: int, series: Floats) -> Floats:
        """Return a forecast from `t` on, with what the first step is measured to be."""
        if self.setting.blind:
            return series
        known = series.copy()
        known[:, 0] = self._foreseen.truth[:, t]
        return known

    def _with(self, window: PlanInput, series: Floats) -> PlanInput:
        solar, wind = len(window.solar), len(window.wind)
        demand = series[0]
        # what may be shed is a share of the load
        known = np.maximum(self._mean_demand, 1e-9)
        share = np.clip(self._mean_shed / known, 0.0, 1.0)[:, None]
        return replace(
            window,
            demand_kw=demand,
            solar_available_kw=series[1 : 1 + solar],
            wind_available_kw=series[1 + solar : 1 + solar + wind],
            sheddable_kw=share * demand,
        )

    @property
    def _mean_demand(self) -> float:
        return float(self.history.demand_kw[: self.start].mean())

    @property
    def _mean_shed(self) -> Floats:
        shed: Floats = self.history.sheddable_kw[:, : self.start].mean(axis=1)
        return shed

    def bound(self) -> float:
        """Return what no controller can be below, currency: all is known, and binaries are not.

        The linear relaxation of the whole stretch.
        """
        whole = self._window(self.start, self.history.n - self.start, self._first_state())
        problem = patched(statement(whole))
        relaxed = Problem(
            problem.numbers, problem.start, problem.index, problem.value,
            np.zeros_like(problem.binary), problem.column, problem.row, None,
        )  # fmt: skip
        answer = highs.optimise(relaxed, gap=0.0, nodes=0, small=False)
        # what was minimised holds the tie-breaks too
        _, ties = tie_bound(whole, schedule_of(whole, relaxed, answer))
        return answer.objective - ties

    def _first_state(self) -> dict[str, Any]:
        names = ("battery_energy_kwh", "genset_on", "genset_intervals_in_state", "peak_kw")
        return {name: getattr(self.history, name) for name in names}


def _count(tally: Tally, actual: PlanInput, done: xr.Dataset) -> None:
    cost = day_cost(actual, done)
    for item in fields(DayCost):
        tally.cost[item.name] = tally.cost.get(item.name, 0.0) + getattr(cost, item.name)
    tally.by_step.append(cost.total)
    h, genset = actual.hours, actual.rows("genset")
    output = done["produce_kw"].values[genset, 0]
    bought = float(done["import_kw"].values[0])
    emitted = sum(g.co2_g_per_kwh * p for g, p in zip(actual.genset, output.tolist(), strict=True))
    tally.co2_kg += h * (emitted + actual.grid.co2_g_per_kwh * bought) / 1e3
    tally.curtailed_kwh += h * float(done["curtail_kw"].values.sum())
    tally.discharged_kwh += h * float(done["discharge_kw"].values.sum())
    tally.unserved_kwh += h * float(done["unserved_kw"].values.sum())
    on = done["on"].values[genset, 0]
    tally.starts += int((on & ~actual.genset_on).sum())
    low = np.array([b.min_energy_kwh for b in actual.battery])
    high = np.array([b.energy_kwh for b in actual.battery])
    energy = done["energy_kwh"].values[actual.rows("battery"), 0]
    tally.state = {
        "battery_energy_kwh": np.clip(energy, low, high),
        "genset_on": np.array(on),
        "genset_intervals_in_state": np.where(
            on == actual.genset_on, actual.genset_intervals_in_state + 1, 1
        ),
        "peak_kw": max(actual.peak_kw, bought),
    }


def share_of_gain(tally: dict[str, Tally], name: str, best: float) -> float:
    """Return which part of what foresight could save over the rule a controller saves.

    NaN where there is nothing to save.
    """
    possible = tally["rule"].total - best
    return float("nan") if possible <= 0.0 else (tally["rule"].total - tally[name].total) / possible
