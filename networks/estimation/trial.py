"""A feeder whose truth is known, shown through meters: how good is an estimate?

The year of a SimBench feeder is the truth; meters see it with noise of their class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError
from networks.estimation.problem import Accuracy, Expected
from networks.estimation.pseudo import learn
from networks.flow.solve import flow
from networks.flow.year import year_inputs
from networks.injection import INPUTS
from networks.model import Bool, Float, Int, NetworkModel
from networks.sources.demo import load_year

HISTORY_DAYS = 56
TIME_ZONE = "Europe/Berlin"
"""Where SimBench's profiles are from."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A feeder and its year.

    Attributes
    ----------
    model : NetworkModel
    inputs : xarray.Dataset
        The four inputs of the power flow, (interval, bus).
    busy : int64 (point,)
        Positions of the buses with load or plants.
    """

    model: NetworkModel
    inputs: xr.Dataset
    busy: Int

    @property
    def days(self) -> int:
        """Days of the year that are whole."""
        return int(self.inputs.sizes["interval"]) // 96


@dataclass(frozen=True, eq=False)
class Shown:
    """Some intervals as their meters show them, and the truth.

    Attributes
    ----------
    measured : xarray.Dataset
        For :func:`networks.estimation.problem.problem`.
    expected : Expected
        Learnt from the days before.
    truth : xarray.Dataset
        The power flow.
    """

    measured: xr.Dataset
    expected: Expected
    truth: xr.Dataset


def trial(model: NetworkModel) -> Trial:
    """Return the trial of a ``simbench:`` feeder."""
    inputs = year_inputs(model, load_year(model.source))
    used = sum(inputs[name].max("interval") for name in INPUTS)
    return Trial(model, inputs, np.flatnonzero(np.asarray(used) > 0))


def show(
    tried: Trial,
    day: int,
    share: float,
    seed: int,
    accuracy: Accuracy,
    *,
    steps: slice = slice(0, 96),
    history_days: int = HISTORY_DAYS,
) -> Shown:
    """Return a day as meters at a drawn share of the buses show it.

    A metered bus with customers shows voltage, active and reactive power, one without only its
    voltage. The substation is metered always: voltage on both sides, and power.

    Parameters
    ----------
    day : int
        Day of the year, at least `history_days`.
    share : float
        0 to 1.
    steps : slice
        Which quarter-hours of the day.

    Raises
    ------
    BadInputError
        When the day is too early to have a history, or not in the year.
    """
    if not history_days <= day < tried.days:
        raise BadInputError(f"day {day} must be within {history_days} to {tried.days - 1}")
    model, draw = tried.model, np.random.default_rng([seed, day])
    station = {model.position(model.slack_bus), model.position(model.lv_bus)}
    others = np.array([row for row in range(len(model.bus)) if row not in station])
    chosen = draw.permutation(others)[: round(share * len(others))]
    part = tried.inputs.isel(interval=slice(96 * day, 96 * day + 96)).isel(interval=steps)
    truth = flow(
        model,
        *(part[name].to_numpy() for name in INPUTS),
        starts=part["interval"].to_numpy(),
        grid_available=np.ones(part.sizes["interval"], dtype=np.bool_),
        forming_bus=None,
    )
    sensors = np.array(sorted(station | (set(chosen.tolist()) - set(tried.busy.tolist()))))
    measured = _metered(tried, truth, np.isin(tried.busy, chosen), sensors, draw, accuracy)
    history = tried.inputs.isel(interval=slice(96 * (day - history_days), 96 * day))
    usual = learn(
        history["interval"].to_numpy(),
        (history["injected_kw"] - history["absorbed_kw"]).to_numpy()[:, tried.busy],
        (history["injected_kvar"] - history["absorbed_kvar"]).to_numpy()[:, tried.busy],
        group=["customer"] * len(tried.busy),
        size_kw=np.ones(len(tried.busy)),
        time_zone=TIME_ZONE,
    )
    return Shown(measured, usual.at(measured["interval"].to_numpy()), truth)


def _metered(
    tried: Trial,
    truth: xr.Dataset,
    metered: Bool,
    sensors: Int,
    draw: np.random.Generator,
    accuracy: Accuracy,
) -> xr.Dataset:
    def noisy(values: Float, percent: float) -> Float:
        return np.asarray(values * (1.0 + draw.standard_normal(values.shape) * percent / 100.0))

    model, busy = tried.model, tried.busy
    percent = {"kw": accuracy.active_percent, "kvar": accuracy.reactive_percent}
    columns: dict[str, tuple[tuple[str, ...], Float]] = {}
    for name in INPUTS:
        shown = np.abs(noisy(truth[name].to_numpy()[:, busy], percent[name.rpartition("_")[2]]))
        columns[name] = (("interval", "point"), np.where(metered, shown, np.nan))
    voltage = noisy(truth["vm_pu"].to_numpy()[:, busy], accuracy.voltage_percent)
    columns["vm_pu"] = (("interval", "point"), np.where(metered, voltage, np.nan))
    alone = noisy(truth["vm_pu"].to_numpy()[:, sensors], accuracy.voltage_percent)
    columns["sensor_vm_pu"] = (("interval", "sensor"), alone)
    for word, share in percent.items():
        for way in ("import", "export"):
            values = truth[f"head_{way}_{word}"].to_numpy()
            columns[f"head_{way}_{word}"] = (("interval",), np.abs(noisy(values, share)))
    return xr.Dataset(
        columns,
        {
            "interval": truth["interval"],
            "point": [model.bus_label(int(row)) for row in busy],
            "bus": ("point", model.bus[busy]),
            "sensor": [model.bus_label(int(row)) for row in sensors],
            "sensor_bus": ("sensor", model.bus[sensors]),
        },
    )
