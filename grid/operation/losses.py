"""From the feeder's model and intervals to what :mod:`meters.losses` looks at.

The craft knows no network: what it needs of one, the technical losses, the
voltage each meter ought to show and how far a kilowatt that no meter counts
pulls each of them down, is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError
from grid.operation.room import Room
from grid.operation.validation_facts import phase_voltages
from grid.store import Transaction, series
from meters.losses.record import FeederRecord
from meters.reading import CHANNELS, MISSING
from meters.vee import Quality
from networks.flow.sensitivity import voltage_sensitivity
from networks.flow.solve import flow
from networks.model import NetworkModel

Floats = npt.NDArray[np.float64]

PHASE_VOLTAGE_V = 230.0
"""What a phase meter shows at 1 pu."""


_ESTIMATED = (Quality.ESTIMATED_LINEAR, Quality.ESTIMATED_LIKE_DAY, Quality.SCALED)


def site_record(room: Room, tx: Transaction, start_s: int, end_s: int) -> FeederRecord:
    """Return what a site's meters said in ``[start_s, end_s)`` beside what its feeder expects.

    The voltage of a usage point is that of its first meter, as read at the end of
    an interval.

    Raises
    ------
    BadInputError
        When no interval is complete.
    """
    step_s = room.site.interval_s
    count = (end_s - start_s) // step_s
    names = [*room.points, room.head]
    known = series.get_intervals(tx, names, start_s, end_s, time_zone=room.site.time_zone)
    meter = {
        str(one.usage_point): str(one.id) for one in reversed(room.site.meter) if one.usage_point
    }
    metered = [meter.get(point, "") for point in room.points]
    voltage = phase_voltages(room.site, tx, metered, start_s, count)
    points = known.isel(usage_point=slice(None, -1))
    return feeder_record(
        room.model,
        [point.bus for point in room.site.usage_point],
        points.assign(
            voltage_v=(points["import_wh"].dims, voltage),
            estimated=(points["import_wh"].dims, np.isin(points["quality"].values, _ESTIMATED)),
        ),
        known.isel(usage_point=-1),
        grid_available=room.grid_available(known["interval"].values.astype(np.int64)),
    )


def feeder_record(
    model: NetworkModel,
    buses: Sequence[int],
    points: xr.Dataset,
    head: xr.Dataset,
    *,
    grid_available: npt.NDArray[np.bool_] | None = None,
) -> FeederRecord:
    """Return what the meters said beside what the model expects of it.

    An interval without the public network, or with an energy that is not known,
    is left out of every balance: its `complete` is false.

    Parameters
    ----------
    model : NetworkModel
    buses : sequence of int
        The bus of each usage point of `points`.
    points : xarray.Dataset
        Dims (usage_point, interval): the four registers int64 as
        :func:`grid.store.series.get_intervals` gives them, `voltage_v` float64,
        NaN where not read; optionally `estimated` bool.
    head : xarray.Dataset
        Dims (interval,): `import_wh` and `export_wh` of the feeder-head meter.
    grid_available : bool (interval,), optional

    Raises
    ------
    BadInputError
        When no interval is complete.
    SolverError
        When the model has no state for what was metered.
    """
    values = {name: points[name].values.astype(np.int64) for name in CHANNELS}
    complete = np.logical_and.reduce(
        [(column != MISSING).all(axis=0) for column in values.values()]
    )
    heads = {name: head[name].values.astype(np.int64) for name in ("import_wh", "export_wh")}
    complete &= (heads["import_wh"] != MISSING) & (heads["export_wh"] != MISSING)
    if grid_available is not None:
        complete &= grid_available
    if not complete.any():
        raise BadInputError("feeder balance: no interval has every reading and the public network")
    starts = points["interval"].values.astype("datetime64[s]").astype(np.int64)
    interval_s = int(starts[1] - starts[0]) if len(starts) > 1 else 900
    expected, losses_kw, drop = _expected(model, buses, values, complete, starts, interval_s)
    shape = values["import_wh"].shape
    estimated = points["estimated"].values if "estimated" in points else np.zeros(shape, np.bool_)
    return FeederRecord(
        usage_point=tuple(str(point) for point in points["usage_point"].values),
        start_s=int(starts[0]),
        interval_s=interval_s,
        complete=complete,
        head_import_wh=heads["import_wh"],
        head_export_wh=heads["export_wh"],
        import_wh=values["import_wh"],
        export_wh=values["export_wh"],
        estimated=estimated,
        losses_wh=losses_kw * interval_s / 3.6,
        voltage_v=points["voltage_v"].values.astype(np.float64),
        expected_v=expected,
        drop_v_per_kw=drop,
    )


def _expected(
    model: NetworkModel,
    buses: Sequence[int],
    values: dict[str, npt.NDArray[np.int64]],
    complete: npt.NDArray[np.bool_],
    starts: npt.NDArray[np.int64],
    interval_s: int,
) -> tuple[Floats, Floats, Floats]:
    """Return expected voltages, technical losses, and drops at the interval of middle load."""
    position = np.array([model.position(bus) for bus in buses])
    inputs = []
    for name in CHANNELS:
        total = np.zeros((int(complete.sum()), len(model.bus)))
        np.add.at(total.T, position, values[name][:, complete] * (3.6 / interval_s))
        inputs.append(total)
    state = flow(
        model,
        *inputs,
        starts=starts[complete].astype("datetime64[s]"),
        grid_available=np.ones(int(complete.sum()), np.bool_),
        forming_bus=None,
    )
    expected = np.full((len(buses), len(starts)), np.nan)
    expected[:, complete] = state["vm_pu"].values[:, position].T * PHASE_VOLTAGE_V
    losses_kw = np.zeros(len(starts))
    losses_kw[complete] = state["losses_kw"].values
    net_kw = (inputs[0] - inputs[1]).sum(axis=1)
    middle = int(np.argsort(net_kw, kind="stable")[len(net_kw) // 2])
    slope = voltage_sensitivity(model, state, list(buses), middle)[position]
    return expected, losses_kw, slope * PHASE_VOLTAGE_V
