"""What is known of each interval, as Gaussian knowledge: the input of the estimator.

The unknowns of an interval are what each usage point injects, active and reactive, and the
voltage of the source. Each injection is known from its meter, or else from what is usual there
(a pseudo-measurement), or not at all; buses without usage points inject nothing, exactly. What
meters say of voltages and of the feeder head is compared with the power flow of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from networks.model import Bool, Float, Int, NetworkModel

UNKNOWN_KW = 1e3
"""Standard deviation of an injection of which nothing is known."""

UNKNOWN_PU = 0.3
"""Standard deviation of a source voltage of which nothing is known."""

ABSENT = 1e9
"""Variance, relative to what is usual, of a measurement that is not there."""


BY_INTERVAL = (
    "starts", "mean", "variance", "shared", "metered", "usual", "value", "spread", "present",
)  # fmt: skip
"""The fields of a problem that have a row for each interval."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Standard deviations of meters: of class and cabling, and of rounding.

    Attributes
    ----------
    voltage_percent, active_percent, reactive_percent : float
        Of the reading.
    floor_kw : float
        The least of a power, for a reading near zero.
    """

    voltage_percent: float = 0.5
    active_percent: float = 1.0
    reactive_percent: float = 2.0
    floor_kw: float = 0.01


@dataclass(frozen=True, eq=False)
class Expected:
    """What is usual at each usage point: pseudo-measurements.

    Attributes
    ----------
    active_kw, reactive_kvar : float64 (interval, point)
        Injected: positive into the network; NaN where nothing is known.
    active_sd_kw, reactive_sd_kvar : float64 (interval, point)
    shared : float64 (2 point, factor)
        What points have in common: correlations of active, then of reactive power are
        ``shared @ shared.T`` off the diagonal.
    """

    active_kw: Float
    reactive_kvar: Float
    active_sd_kw: Float
    reactive_sd_kvar: Float
    shared: Float

    def of(self, points: Bool) -> Expected:
        """Return it of some points."""
        return Expected(
            self.active_kw[:, points],
            self.reactive_kvar[:, points],
            self.active_sd_kw[:, points],
            self.reactive_sd_kvar[:, points],
            self.shared[np.concatenate([points, points])],
        )


@dataclass(frozen=True, eq=False)
class Problem:
    """Gaussian knowledge of a batch of intervals, per unit.

    Attributes
    ----------
    model : NetworkModel
    starts : datetime64[s] (interval,)
    point : tuple of str
    node : int64 (point,)
    mean : float64 (interval, 2 point + 1)
        Injections, active then reactive, and the source's voltage.
    variance : float64 (interval, 2 point + 1)
        What each has for itself.
    shared : float64 (interval, 2 point + 1, factor)
        What several have in common.
    metered, usual : bool (interval, 2 point)
        Whether an injection is known from its meter, or from what is usual; neither: not at all.
    source_usual : bool
        Whether the source's voltage is known from what is usual.
    value, spread : float64 (interval, measurement)
        Measured voltages, then active and reactive power that enters at the head; variances.
    present : bool (interval, measurement)
    vm_node : int64 (voltage,)
        Node of each voltage measurement.
    vm_name : tuple of str
        Whose it is.
    """

    model: NetworkModel
    starts: npt.NDArray[np.datetime64]
    point: tuple[str, ...]
    node: Int
    mean: Float
    variance: Float
    shared: Float
    metered: Bool
    usual: Bool
    source_usual: bool
    value: Float
    spread: Float
    present: Bool
    vm_node: Int
    vm_name: tuple[str, ...]


def of_steps(known: Problem, steps: slice | Int) -> Problem:
    """Return the problem of some intervals."""
    part: dict[str, Any] = {name: getattr(known, name)[steps] for name in BY_INTERVAL}
    return replace(known, **part)


def problem(
    model: NetworkModel,
    measured: xr.Dataset,
    expected: Expected | None,
    accuracy: Accuracy | None = None,
    *,
    source_sd_pu: float | None = None,
) -> Problem:
    """Return what is known.

    Parameters
    ----------
    measured : xarray.Dataset
        (interval, point), NaN where nothing was measured: `absorbed_kw`, `injected_kw`,
        `absorbed_kvar`, `injected_kvar`, `vm_pu`; optionally `active_sd_kw` and
        `reactive_sd_kvar`, the standard deviations of readings that are worse than a meter's.
        (interval,): `head_import_kw`, `head_export_kw`, `head_import_kvar`,
        `head_export_kvar`. (interval, sensor): `sensor_vm_pu`, of what measures a voltage alone.
        Coordinates: `interval`, `point`, `sensor`, and the `bus` and `sensor_bus` of each.
    expected : Expected or None
        What is usual; nothing when None.
    source_sd_pu : float, optional
        Standard deviation of the source's voltage about that of the model; without it, nothing
        is known of it but what meters say.

    Raises
    ------
    BadInputError
        A point whose bus is unknown or cut off; a value that is infinite, or voltage that is not
        above 0; sources that hold different voltages.
    """
    accuracy = accuracy or Accuracy()
    if np.ptp(np.abs(model.held_pu)) > 1e-9 or np.ptp(np.angle(model.held_pu)) > 1e-9:
        raise BadInputError(f"network {model.source}: its sources hold different voltages")
    node = _nodes(model, measured, "point", "bus")
    unit = 1e-3 / model.base_mva
    count, points = measured.sizes["interval"], measured.sizes["point"]
    net, sd = _injections(measured, accuracy, unit)
    metered = np.isfinite(net)
    mean, variance = np.where(metered, net, 0.0), sd**2
    shared = np.zeros((count, 2 * points + 1, 0))
    usual = np.zeros_like(metered)
    if expected is not None:
        usual = _use_expected(expected, metered, mean, variance, unit)
        shared = _in_common(expected, usual, variance)
    unknown = ~metered & ~usual
    variance[unknown] = (UNKNOWN_KW * unit) ** 2
    source = np.full((count, 1), model.source_voltage_pu)
    source_variance = np.full((count, 1), (source_sd_pu or UNKNOWN_PU) ** 2)
    value, spread, told = _measurements(measured, accuracy, unit)
    at_sensor = _nodes(model, measured, "sensor", "sensor_bus")
    present = np.isfinite(value) & np.isfinite(spread)
    typical = np.where(present, spread, np.nan)
    usual_spread = np.nan_to_num(
        np.nanmedian(np.where(present.any(axis=0), typical, 1.0), axis=0), nan=1.0
    )
    spread = np.where(present, spread, ABSENT * usual_spread)
    return Problem(
        model=model,
        starts=measured["interval"].to_numpy().astype("datetime64[s]"),
        point=tuple(str(name) for name in measured["point"].to_numpy()),
        node=node,
        mean=np.concatenate([mean, source], axis=1),
        variance=np.concatenate([variance, source_variance], axis=1),
        shared=shared,
        metered=metered,
        usual=usual,
        source_usual=source_sd_pu is not None,
        value=np.where(present, value, 0.0),
        spread=spread,
        present=present,
        vm_node=np.concatenate([node[told], at_sensor]),
        vm_name=tuple(
            str(name)
            for name in (*measured["point"].to_numpy()[told], *measured["sensor"].to_numpy())
        ),
    )


def _nodes(model: NetworkModel, measured: xr.Dataset, dim: str, bus: str) -> Int:
    positions = [model.position(int(number)) for number in measured[bus].to_numpy()]
    for name, position in zip(measured[dim].to_numpy(), positions, strict=True):
        if model.node[position] < 0:
            raise BadInputError(f"{name} at {model.bus_label(position)}: no source reaches it")
    return np.asarray(model.node[np.array(positions, dtype=np.int64)], dtype=np.int64)


def _injections(measured: xr.Dataset, accuracy: Accuracy, unit: float) -> tuple[Float, Float]:
    """Return injections (interval, 2 point) per unit, NaN where not metered, and deviations."""
    parts, deviations = [], []
    for word, percent, own in (
        ("kw", accuracy.active_percent, "active_sd_kw"),
        ("kvar", accuracy.reactive_percent, "reactive_sd_kvar"),
    ):
        taken, given = (measured[f"{way}_{word}"].to_numpy() for way in ("absorbed", "injected"))
        _refuse(measured, f"absorbed_{word}", np.isinf(taken) | (taken < 0))
        _refuse(measured, f"injected_{word}", np.isinf(given) | (given < 0))
        net = given - taken
        # Each direction has a register, and an error, of its own.
        sd = np.hypot(np.hypot(given, taken) * percent / 100.0, accuracy.floor_kw)
        if own in measured:
            sd = np.fmax(sd, measured[own].to_numpy())
        parts.append(net * unit)
        deviations.append(sd * unit)
    return np.concatenate(parts, axis=1), np.concatenate(deviations, axis=1)


def _refuse(measured: xr.Dataset, name: str, wrong: Bool) -> None:
    if not wrong.any():
        return
    step, column = np.argwhere(wrong)[0]
    at = measured["interval"].to_numpy()[step]
    dims = measured[name].dims
    point = measured[str(dims[1])].to_numpy()[column] if len(dims) > 1 else "the head"
    value = measured[name].to_numpy().reshape(wrong.shape)[step, column]
    raise BadInputError(f"{point} {at}Z: {name} is {value}, must be finite and not below 0")


def _use_expected(
    expected: Expected, metered: Bool, mean: Float, variance: Float, unit: float
) -> Bool:
    """Fill in what is usual where nothing was metered; return where."""
    given = np.concatenate([expected.active_kw, expected.reactive_kvar], axis=1) * unit
    sd = np.concatenate([expected.active_sd_kw, expected.reactive_sd_kvar], axis=1) * unit
    usual: Bool = ~metered & np.isfinite(given) & np.isfinite(sd)
    mean[usual], variance[usual] = given[usual], sd[usual] ** 2
    return usual


def _in_common(expected: Expected, usual: Bool, variance: Float) -> Float:
    """Split the variance of what is usual into what is shared and what is not."""
    factors = expected.shared.shape[1]
    count, width = usual.shape
    shared = np.zeros((count, width + 1, factors))
    if factors:
        sd = np.sqrt(np.where(usual, variance, 0.0))
        shared[:, :-1] = sd[:, :, None] * expected.shared[None]
        own = 1.0 - (expected.shared**2).sum(axis=1)
        variance[usual] = (variance * own)[usual]
    return shared


def _measurements(
    measured: xr.Dataset, accuracy: Accuracy, unit: float
) -> tuple[Float, Float, Int]:
    vm, sensors = measured["vm_pu"].to_numpy(), measured["sensor_vm_pu"].to_numpy()
    _refuse(measured, "vm_pu", np.isinf(vm) | (vm <= 0))
    _refuse(measured, "sensor_vm_pu", np.isinf(sensors) | (sensors <= 0))
    told = np.flatnonzero(np.isfinite(vm).any(axis=0))
    voltages = np.concatenate([vm[:, told], sensors], axis=1)
    columns, spreads = [voltages], [(voltages * accuracy.voltage_percent / 100.0) ** 2]
    for word, percent in (
        ("kw", accuracy.active_percent),
        ("kvar", accuracy.reactive_percent),
    ):
        taken, given = (
            measured[f"head_{way}_{word}"].to_numpy()[:, None] for way in ("import", "export")
        )
        _refuse(measured, f"head_import_{word}", np.isinf(taken) | (taken < 0))
        _refuse(measured, f"head_export_{word}", np.isinf(given) | (given < 0))
        columns.append((taken - given) * unit)
        sd = np.hypot(np.hypot(given, taken) * percent / 100.0, accuracy.floor_kw) * unit
        spreads.append(sd**2)
    return np.concatenate(columns, axis=1), np.concatenate(spreads, axis=1), told
