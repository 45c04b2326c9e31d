"""The weather as each origin of a matrix of powers knew it: what leads from outlook to MOS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.forecast.model import ForecastModel
from dispatch.forecast.mos import Foretold
from dispatch.forecast.outlook import Outlook, Outside, outlook
from dispatch.forecast.past import Past, look_back

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Foreteller:
    """Weather over the steps of a matrix of powers, for all series and totals of a model.

    Attributes
    ----------
    model : ForecastModel
    view : Outlook
    start_s : int
        Where the matrix begins.
    before : Past
        Of what physics gave, by what was known when each step began.
    celsius : ndarray of float64 (step,)
        Of the air, known likewise.
    """

    model: ForecastModel
    view: Outlook
    start_s: int
    before: Past
    celsius: Float

    def at(self, origin: int, leads: int) -> Foretold:
        """Return the weather that the origin in column `origin` knows."""
        at_s = self.start_s + origin * self.model.interval_s
        kw, ahead = self.view.known(at_s, at_s, leads)
        day = self.celsius[max(origin - self.model.day, 0) : origin]
        day = np.concatenate([np.full(self.model.day - day.size, np.nan), day])
        return Foretold(_rows(self.model, kw), self.before, np.concatenate([day, ahead]))

    def issued_s(self, at_s: int) -> int | None:
        """Return when the latest weather was issued that is known at an instant."""
        known = self.view.issued_s[self.view.issued_s <= at_s]
        return int(known.max()) if known.size else None


def foreteller(
    model: ForecastModel, outside: Outside, start_s: int, *, first: int, over: int, count: int
) -> Foreteller:
    """Return the weather over a matrix of `count` steps from `start_s`.

    Parameters
    ----------
    first : int
        The column at which the past begins that powers are looked at from.
    over : int
        Columns that are over: what was foretold when a later step begins is nobody's yet.
    """
    step = model.interval_s
    view = outlook(outside, model.series, step, start_s, start_s + count * step)
    kw, celsius = view.of_past(start_s, over)
    rows = np.full((len(model.series) + len(model.groups), count), np.nan)
    rows[:, :over] = _rows(model, kw)
    civil_s = start_s + model.utc_offset_s + step * np.arange(count, dtype=np.int64)
    before = look_back(
        rows,
        civil_s,
        np.zeros(rows.shape[0]),
        np.ones_like(rows),
        day=model.day,
        first=first,
        last=count,
    )
    return Foreteller(model, view, start_s, before, celsius)


def _rows(model: ForecastModel, kw: Float) -> Float:
    """Return the power of each series and total; members that are not told count as the others.

    A total of which no member is told is not told.
    """
    known = np.isfinite(kw)
    weight = model.level_kw[:, None] + 1e-9
    told, whole = model.total(np.where(known, weight, 0.0)), model.total(weight)
    some = told > 0.0
    total = model.total(np.nan_to_num(kw)) * whole / np.where(some, told, 1.0)
    return np.concatenate([kw, np.where(some, total, np.nan)])
