"""Whether meters stand where the records say: each voltage beside that of every bus.

A meter's voltage follows the load on its way to the source. Of the deviations from what all
meters have in common (the voltage above the feeder) those of its own bus fit best. Constant errors
of a meter fall out with its mean, and buses whose voltages are too much alike to tell apart stay
possible together.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from networks.model import Float, NetworkModel

SURE = 12.0
"""Log likelihood ratio beyond which another bus is better: once in some hundred thousand."""

_LEAST = 96
"""Intervals without which nothing is said."""

PLAUSIBLE, DIFFERS, UNDECIDED = "plausible", "differs from the record", "undecided"


def plausibility(model: NetworkModel, state: xr.Dataset, measured: xr.Dataset) -> xr.Dataset:
    """Return where each meter may stand.

    Parameters
    ----------
    state : xarray.Dataset
        Power flow of the metered powers, (interval, bus): `vm_pu`.
    measured : xarray.Dataset
        (interval, point): `vm_pu`, NaN where not read, the same intervals; `bus` of each point as
        recorded.

    Returns
    -------
    xarray.Dataset
        (point,): `verdict`; `likeliest_bus`; `log_ratio`, how much better that fits than the
        recorded one; `possible`, how many buses fit about as well as the likeliest.

    Raises
    ------
    BadInputError
        A recorded bus that is unknown or dead, or intervals that are not the same.
    """
    if state.sizes["interval"] != measured.sizes["interval"]:
        raise BadInputError(
            f"the power flow has {state.sizes['interval']} intervals, the voltages "
            f"{measured.sizes['interval']}"
        )
    rows = [model.position(int(bus)) for bus in measured["bus"].to_numpy()]
    alive = np.flatnonzero(model.node >= 0)
    expected = state["vm_pu"].to_numpy()
    for row in rows:
        if not np.isfinite(expected[:, row]).all():
            raise BadInputError(f"{model.bus_label(row)}: has no voltage in the power flow")
    shown = measured["vm_pu"].to_numpy()
    known = np.isfinite(shown)
    # What all have in common: the voltage above the feeder, and what the model has wrong in all.
    with np.errstate(invalid="ignore"):
        common = np.nanmean(np.where(known, shown - expected[:, rows], np.nan), axis=1)
    shown = shown - common[:, None]
    verdict = np.full(len(rows), UNDECIDED, dtype="U24")
    likeliest, ratio = np.array(model.bus)[rows], np.zeros(len(rows))
    possible = np.zeros(len(rows), dtype=np.int64)
    for point, row in enumerate(rows):
        told = known[:, point]
        if told.sum() < _LEAST:
            continue
        loss = _misfit(shown[told, point], expected[told][:, alive])
        best = float(loss.min())
        # The noise is what the best bus leaves.
        better = 0.5 * int(told.sum()) * np.log(loss / best)
        recorded = float(better[np.flatnonzero(alive == row)[0]])
        likeliest[point], ratio[point] = model.bus[alive[int(loss.argmin())]], recorded
        possible[point] = int((better <= SURE).sum())
        verdict[point] = PLAUSIBLE if recorded <= SURE else DIFFERS
    return xr.Dataset(
        {
            "verdict": ("point", verdict),
            "likeliest_bus": ("point", likeliest),
            "log_ratio": ("point", ratio, {"units": "1"}),
            "possible": ("point", possible, {"units": "1"}),
        },
        {"point": measured["point"], "bus": ("point", measured["bus"].to_numpy())},
    )


def _misfit(shown: Float, expected: Float) -> Float:
    """Return the variance that each bus's voltage leaves of a meter's, (bus,)."""
    rest = shown[:, None] - expected
    variance: Float = np.maximum(rest.var(axis=0), 1e-18)
    return variance


def findings(model: NetworkModel, judged: xr.Dataset) -> list[Finding]:
    """Return a warning for each meter that stands elsewhere than recorded, sorted."""
    found = []
    for row in np.flatnonzero(judged["verdict"].to_numpy() == DIFFERS).tolist():
        name = str(judged["point"].to_numpy()[row])
        recorded, likely = (
            model.bus_label(model.position(int(judged[column].to_numpy()[row])))
            for column in ("bus", "likeliest_bus")
        )
        message = (
            f"{name} is recorded at {recorded}; its voltage follows that of {likely} "
            f"(log likelihood ratio {float(judged['log_ratio'][row]):.0f}, limit {SURE:g})"
        )
        found.append(Finding("network.wrong_bus", name, "", Severity.WARNING, message))
    return sorted(found)
