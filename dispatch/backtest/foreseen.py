"""Forecasts and futures for a backtest, from what came before an hour and nothing else.

A forecast is the mean of the last days at the same time of day, moved by what was seen last. The
futures are that forecast plus whole days of its own past errors, of all series together, so that
what belongs together stays together.
"""

from __future__ import annotations

import numpy as np

from dispatch.plan import Floats

DAYS = 7
_FADE = 0.85
"""Share of the last error that is expected an hour later."""

_DIMMED = (0.2, 2.0)
"""Least and most of what the sun is expected to give, against the last days."""


class Foreseen:
    """Forecasts of several series, (series, step).

    Parameters
    ----------
    truth : float64 (series, step)
        Each forecast of step `t` reads columns before `t` alone.
    day_steps : int
        Steps of a day.
    ceiling : float64 (series,)
        Ratings; infinite for loads.
    sun : bool (series,)
        Of which a night stays dark.
    """

    def __init__(self, truth: Floats, day_steps: int, ceiling: Floats, sun: Floats) -> None:
        self._truth = truth
        self._day = day_steps
        self._ceiling = ceiling[:, None]
        self._sun = np.asarray(sun, dtype=np.bool_)
        self._known: dict[tuple[int, int], Floats] = {}

    @property
    def warm_up(self) -> int:
        """Steps of history that a forecast needs."""
        return self._day

    def mean(self, t: int, n: int) -> Floats:
        """Return the forecast of steps `t` to ``t + n``, (series, n), made before `t`."""
        kept = self._known.get((t, n))
        if kept is None:
            kept = self._known[t, n] = self._made(t, n)
            self._known.pop((t - 40 * self._day, n), None)
        return kept

    def _made(self, t: int, n: int) -> Floats:
        seen, day = self._truth[:, :t], self._day
        if t < day:
            raise ValueError(f"a forecast needs {day} steps of history, has {t}")
        days = min(DAYS, t // day)
        step = np.arange(n)
        # of a horizon beyond a day the same days again
        past = [seen[:, t - day * d + step % day] for d in range(1, days + 1)]
        base = np.mean(past, axis=0)
        last = seen[:, t - 1]
        before = [seen[:, t - 1 - day * d] for d in range(1, days + 1) if t > day * d]
        usual = np.mean(before, axis=0) if before else last
        fade = _FADE ** ((step + 1) * 24.0 / day)
        moved = base + (last - usual)[:, None] * fade
        # the sun is dimmed and not moved
        bright = usual > 0.05 * base.max(axis=1)
        ratio = np.where(bright, last / np.maximum(usual, 1e-9), 1.0)
        ratio = np.clip(ratio, *_DIMMED)
        dimmed = base * (1.0 + (ratio - 1.0)[:, None] * fade)
        made = np.where(self._sun[:, None], dimmed, moved)
        clipped: Floats = np.clip(made, 0.0, self._ceiling)
        return clipped

    def futures(self, t: int, n: int, count: int) -> Floats:
        """Return `count` futures, (future, series, n): the forecast and its errors of past days.

        Fewer when the history is short; at least the forecast itself.
        """
        mean, day = self.mean(t, n), self._day
        made = []
        for ago in range(-(-n // day), count + -(-n // day)):
            origin = t - day * ago
            if origin < day:
                break
            error = self._truth[:, origin : origin + n] - self.mean(origin, n)
            future = np.clip(mean + error, 0.0, self._ceiling)
            dark = self._sun[:, None] & (mean <= 0.0)
            made.append(np.where(dark, 0.0, future))
        return np.array(made) if made else mean[None]
