"""What the meters of a feeder would show over months, with the errors of their class.

For trials: thresholds are set, and shown to hold, on days whose truth is known.
The truth is the AC state of the true powers; each meter has a constant gain
error, whole-Wh registers that never lose a fraction, and a voltage reading with
a constant gain error and a coarse step. The cables may differ from the model,
and the public network's voltage wanders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.operation.losses import PHASE_VOLTAGE_V, feeder_record
from meters.losses.record import FeederRecord
from meters.reading import CHANNELS
from networks.flow.solve import flow
from networks.model import NetworkModel
from networks.sources.demo import demo_site_facts, load_year
from networks.sources.source import load
from networks.topology import connect

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS_A_DAY = 96
_WH_PER_KW = 250.0
_START_S = 1_767_225_600


@dataclass(frozen=True, eq=False)
class Feeder:
    """A feeder and a year of what really flows at each usage point.

    Attributes
    ----------
    model : NetworkModel
        What the control room believes.
    usage_point : tuple of str
    kind : tuple of str
        ``household``, ``business`` or ``community``.
    bus : tuple of int
    load_kw, given_kw : float64 (usage_point, step)
        Loads, and what plants and batteries give; the meter nets both.
    absorbed_kvar, injected_kvar : float64 (usage_point, step)
    """

    model: NetworkModel
    usage_point: tuple[str, ...]
    kind: tuple[str, ...]
    bus: tuple[int, ...]
    load_kw: Floats
    given_kw: Floats
    absorbed_kvar: Floats
    injected_kvar: Floats


@dataclass(frozen=True)
class Errors:
    """How far meters and model are from the truth, standard deviations and limits.

    Attributes
    ----------
    gain_percent : float
        Of the gain error of energy, cut at twice this: class 1 is 0.5.
    voltage_gain_percent : float
        Of the gain error of voltage, cut at twice this.
    voltage_step_v : float
        Resolution of the voltage reading.
    cable_percent : float
        Of each line's impedance against the model's.
    drift_percent : float
        Of how far each meter's gain wanders from day to day, with a memory of three days.
    source_percent : float
        Of the public network's voltage, wandering with a time constant of six hours.
    """

    gain_percent: float = 0.5
    voltage_gain_percent: float = 0.25
    voltage_step_v: float = 0.1
    cable_percent: float = 0.0
    drift_percent: float = 0.0
    source_percent: float = 0.5


@dataclass(frozen=True, eq=False)
class Fleet:
    """The meters of a feeder, drawn once: the head's gain stands last."""

    gain: Floats
    voltage_gain: Floats
    truth: NetworkModel
    errors: Errors
    seed: int


Wrong = Callable[[Floats], tuple[Floats, Floats]]
"""Takes net kW (usage_point, step) without fault; returns what flows and what meters carry."""


def demo_feeder(source: str, source_voltage_pu: float) -> Feeder:
    """Return the demo community: SimBench's year, its plants, a turbine and a battery's routine.

    The community battery charges from 10 to 15 and discharges from 18 to 22 o'clock.
    """
    facts, year = demo_site_facts(source), load_year(source)
    model = load(source, source_voltage_pu=source_voltage_pu)
    buses = [point.bus for point in facts.usage_point] + [facts.lv_bus] * 2
    names = [f"UP-{n:03d}" for n in range(1, len(facts.usage_point) + 1)] + ["UP-BAT", "UP-WIND"]
    steps = year.sizes["interval"]
    blank = np.zeros((2, steps))
    columns = {
        name: np.vstack([year[name].values.T, blank])
        for name in ("load_kw", "absorbed_kvar", "injected_kvar")
    }
    given = np.zeros((len(buses), steps))
    for plant, bus in enumerate(year["plant_bus"].values.tolist()):
        given[buses.index(bus)] += year["solar_kw"].values[:, plant]
    hour = np.arange(steps) % STEPS_A_DAY / 4
    columns["load_kw"][-2] = 20.0 * ((hour >= 10) & (hour < 15))
    given[-2] = 20.0 * ((hour >= 18) & (hour < 22))
    given[-1] = 10.0 * year["wind_per_unit"].values[:, 0]
    return Feeder(
        model=model,
        usage_point=tuple(names),
        kind=(*(point.kind for point in facts.usage_point), "community", "community"),
        bus=tuple(buses),
        given_kw=given,
        **columns,
    )


def fleet(feeder: Feeder, seed: int, errors: Errors | None = None) -> Fleet:
    """Return the meters of a feeder with errors drawn from `seed`."""
    errors = errors or Errors()
    draw = np.random.default_rng([seed, 1])
    count = len(feeder.usage_point)

    def gains(size: int, percent: float) -> Floats:
        drawn = draw.normal(0.0, 1.0, 20 * size)
        return drawn[np.abs(drawn) <= 2.0][:size] * percent / 100.0

    return Fleet(
        gain=gains(count + 1, errors.gain_percent),
        voltage_gain=gains(count, errors.voltage_gain_percent),
        truth=_cables(feeder.model, draw, errors.cable_percent),
        errors=errors,
        seed=seed,
    )


def _cables(model: NetworkModel, draw: np.random.Generator, percent: float) -> NetworkModel:
    """Return the model with each line's impedance off by a drawn share."""
    if not percent:
        return model
    lines = model.equipment.line
    factor = 1.0 / np.clip(1.0 + draw.normal(0.0, percent / 100.0, len(lines)), 0.5, 2.0)
    names = ("yff", "yft", "ytf", "ytt")
    changed = replace(lines, **{name: getattr(lines, name) * factor for name in names})
    return connect(replace(model.equipment, line=changed), model.switching, held_pu=model.fed_pu)


def shown(
    feeder: Feeder,
    meters: Fleet,
    first_day: int,
    days: int,
    wrong: Wrong | None = None,
    *,
    exchanged: tuple[int, int, int] | None = None,
) -> FeederRecord:
    """Return what the meters show of days of the year, and what the model expects.

    Parameters
    ----------
    first_day : int
        Day of the year to begin with; the year repeats.
    wrong : callable, optional
        What goes wrong, see :data:`Wrong`.
    exchanged : (int, int, int), optional
        Two usage points whose series stand in each other's place from a day on.
    """
    steps = (first_day * STEPS_A_DAY + np.arange(days * STEPS_A_DAY)) % feeder.load_kw.shape[1]
    draw = np.random.default_rng([meters.seed, 2, first_day])
    true_kw = feeder.load_kw[:, steps] - feeder.given_kw[:, steps]
    metered_kw = true_kw
    if wrong is not None:
        true_kw, metered_kw = wrong(true_kw)
    reactive = (feeder.absorbed_kvar[:, steps], feeder.injected_kvar[:, steps])
    starts = interval.starts(_START_S, len(steps), 900)
    state = _state(meters.truth, feeder.bus, true_kw, reactive, starts)
    gain = 1.0 + meters.gain[:, None] + _drift(meters, days, draw)
    registers = [np.maximum(metered_kw, 0.0), np.maximum(-metered_kw, 0.0), *reactive]
    counted = [_counted(column * gain[:-1], draw) for column in registers]
    heads = [
        _counted(state[name].values[None] * gain[-1], draw)[0]
        for name in ("head_import_kw", "head_export_kw")
    ]
    voltage = _voltage(feeder, meters, state, draw)
    if exchanged is not None:
        first, second, day = exchanged
        for column in (*counted, voltage):
            column[[first, second], day * STEPS_A_DAY :] = column[
                [second, first], day * STEPS_A_DAY :
            ]
    dims = ("usage_point", "interval")
    series = xr.Dataset(
        {name: (dims, values) for name, values in zip(CHANNELS, counted, strict=True)}
        | {"voltage_v": (dims, voltage)},
        {"usage_point": list(feeder.usage_point), "interval": starts},
    )
    head = xr.Dataset(
        {name: ("interval", values) for name, values in zip(CHANNELS[:2], heads, strict=True)}
    )
    return feeder_record(feeder.model, feeder.bus, series, head)


def _state(
    model: NetworkModel,
    buses: tuple[int, ...],
    net_kw: Floats,
    reactive: tuple[Floats, Floats],
    starts: npt.NDArray[np.datetime64],
) -> xr.Dataset:
    position = [model.position(bus) for bus in buses]
    inputs = []
    for values in (np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0), *reactive):
        total = np.zeros((values.shape[1], len(model.bus)))
        np.add.at(total.T, position, values)
        inputs.append(total)
    available = np.ones(len(starts), np.bool_)
    return flow(model, *inputs, starts=starts, grid_available=available, forming_bus=None)


def _counted(power_kw: Floats, draw: np.random.Generator) -> Ints:
    """Return what whole-Wh registers, each begun somewhere within a Wh, rise by."""
    begun = draw.random((len(power_kw), 1))
    total = np.cumsum(np.hstack([begun, power_kw * _WH_PER_KW]), axis=1)
    whole: Ints = np.floor(total).astype(np.int64)
    return np.asarray(whole[:, 1:] - whole[:, :-1])


def _wander(count: int, steps: int, memory: float, draw: np.random.Generator) -> Floats:
    """Return stationary first-order series of unit deviation, (count, steps)."""
    pushes = draw.normal(0.0, 1.0, (count, steps))
    keep = np.exp(-1.0 / memory)
    level = pushes[:, 0]
    values = np.empty((count, steps))
    for step in range(steps):
        level = keep * level + np.sqrt(1.0 - keep**2) * pushes[:, step]
        values[:, step] = level
    return values


def _drift(meters: Fleet, days: int, draw: np.random.Generator) -> Floats:
    by_day = _wander(len(meters.gain), days, 3.0, draw)
    drifts: Floats = np.repeat(by_day, STEPS_A_DAY, axis=1)
    return drifts * (meters.errors.drift_percent / 100.0)


def _voltage(feeder: Feeder, meters: Fleet, state: xr.Dataset, draw: np.random.Generator) -> Floats:
    model, errors = feeder.model, meters.errors
    position = [model.position(bus) for bus in feeder.bus]
    vm_pu = state["vm_pu"].values[:, position].T
    wander = _wander(1, vm_pu.shape[1], 24.0, draw)[0] * (errors.source_percent / 100.0)
    shown_v: Floats = (
        vm_pu * (1.0 + wander) * PHASE_VOLTAGE_V * (1.0 + meters.voltage_gain[:, None])
    )
    if errors.voltage_step_v:
        shown_v = np.round(shown_v / errors.voltage_step_v) * errors.voltage_step_v
    return shown_v
