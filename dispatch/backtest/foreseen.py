"""Forecasts and futures for a backtest: a running site's own, from what came before a step.

A model is trained anew each week on the weeks before it, as
:func:`dispatch.forecast.train` does for a site, and sees nothing else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr

from dispatch.forecast import predict, train
from dispatch.forecast.model import KEEP_DAYS, ForecastModel
from dispatch.forecast.scenarios import scenarios
from dispatch.plan import Floats, PlanInput
from grid import interval
from grid.site import Solar, Wind

RETRAIN_DAYS: Final = 7
WINDOW_DAYS: Final = 42
"""Days that are trained on."""
DRAWN_PER_FUTURE: Final = 12
"""Scenarios drawn for each that stays: as many as leave the reduction a choice."""


class Foreseen:
    """Forecasts of a history's load, plant by plant of its sun and its wind.

    Parameters
    ----------
    history : PlanInput
        A forecast of step `t` reads what is before `t` alone.
    utc_offset_s : int
        Civil time minus UTC, for weekends.

    Attributes
    ----------
    truth : float64 (series, step)
        kW: the load, then the plants.
    """

    def __init__(self, history: PlanInput, utc_offset_s: int = 0) -> None:
        self.truth: Floats = np.concatenate(
            [history.demand_kw[None], history.solar_available_kw, history.wind_available_kw]
        )
        plants: list[Solar | Wind] = [*history.solar, *history.wind]
        groups = ["load"] + ["solar"] * len(history.solar) + ["wind"] * len(history.wind)
        self._past = xr.Dataset(
            {"power_kw": (("series", "interval"), self.truth, {"units": "kW"})},
            coords={
                "series": ["load", *(str(plant.id) for plant in plants)],
                "group": ("series", groups),
                "rating_kw": ("series", [np.nan, *(plant.power_kw for plant in plants)]),
                "interval": interval.starts(history.start_s, history.n, history.interval_s),
            },
        )
        self._start_s, self._interval_s = history.start_s, history.interval_s
        self._day = 86_400 // history.interval_s
        self._utc_offset_s = utc_offset_s
        self._trained: tuple[int, ForecastModel] | None = None
        self._latest: tuple[tuple[int, int], xr.Dataset] | None = None

    def mean(self, t: int, n: int) -> Floats:
        """Return the forecast of steps `t` to ``t + n``, kW (series, n), made before `t`."""
        mean: Floats = self._ahead(t, n)["mean_kw"].values
        return mean

    def futures(self, t: int, n: int, count: int) -> tuple[Floats, Floats]:
        """Return how likely each of `count` futures is, and the futures, kW (future, series, n)."""
        probability, found = scenarios(
            self._model(t),
            self._ahead(t, n),
            count=DRAWN_PER_FUTURE * count,
            keep=count,
            seed=t,
        )
        return probability, np.stack(list(found.values()), axis=1)

    def _model(self, t: int) -> ForecastModel:
        week = t - t % (RETRAIN_DAYS * self._day)
        # what came in the week before the first model was due is all there is
        until = week if week > 0 else t - t % self._day
        if self._trained is None or self._trained[0] != until:
            part = self._before(until, WINDOW_DAYS)
            self._trained = until, train(part, utc_offset_s=self._utc_offset_s)
        return self._trained[1]

    def _ahead(self, t: int, n: int) -> xr.Dataset:
        if self._latest is None or self._latest[0] != (t, n):
            start_s = self._start_s + t * self._interval_s
            made = predict(self._model(t), self._before(t, KEEP_DAYS), start_s, n)
            self._latest = (t, n), made
        return self._latest[1]

    def _before(self, t: int, days: int) -> xr.Dataset:
        return self._past.isel(interval=slice(max(0, t - days * self._day), t))
