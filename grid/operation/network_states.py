"""From complete intervals to the network's state and to what people look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from grid.errors import Finding
from grid.operation.room import Room
from grid.site import Asset, Site
from grid.store import Transaction, datasets, field, series
from meters.reading import MISSING
from meters.vee import Quality
from networks.model import NetworkModel


def network_states(
    room: Room, tx: Transaction, at_s: int, start_s: int, changed: set[int]
) -> list[Finding]:
    """Store the state of each complete interval that has none yet or whose readings changed."""
    from networks.limits.findings import findings as network_findings

    stored = set(datasets.instants(tx, "network", start_s, at_s)) - changed
    wanted = [s for s in range(start_s, at_s, room.site.interval_s) if s not in stored]
    if not wanted:
        return []
    readings = series.get_intervals(tx, room.points, wanted[0], at_s, time_zone=room.site.time_zone)
    starts = readings["interval"].values.astype(np.int64)
    complete = (readings["quality"].values != Quality.MISSING).all(axis=0)
    chosen = np.flatnonzero(complete & np.isin(starts, wanted))
    if not chosen.size:
        return []
    keep_layout(tx, room.model)
    state = room.flow(readings.isel(interval=chosen))
    for number in range(len(chosen)):
        one = state.isel(interval=number, drop=False)
        datasets.put_dataset(tx, "network", int(starts[chosen[number]]), one)
        _actual(room, tx, int(starts[chosen[number]]), one)
    return network_findings(state, room.model, room.site.network)


def keep_layout(tx: Transaction, model: NetworkModel) -> None:
    """Store where buses stand and what joins them, for drawing, unless it is there."""
    from networks.drawing.stored import store

    known = datasets.get_dataset(tx, "layout", 0)
    # A layout of before there were maps does not say what is open or dead.
    if known is None or "dead" not in known:
        datasets.put_dataset(tx, "layout", 0, store(model))


_MOVED = {"vehicle_charge_kw": -1.0, "vehicle_discharge_kw": 1.0, "flexible_kw": -1.0}
"""What is no demand of its own, and with which sign it is taken out of it."""


def _moved(total: Callable[[str, Sequence[Asset]], float], site: Site) -> dict[str, float]:
    """Return what vehicles and flexible loads took and gave, where there are any."""
    found = {}
    if site.charger:
        found["vehicle_charge_kw"] = total("import_wh", site.charger)
        found["vehicle_discharge_kw"] = total("export_wh", site.charger)
    if site.flexible:
        found["flexible_kw"] = total("import_wh", site.flexible)
    return found


def _actual(room: Room, tx: Transaction, start_s: int, state: xr.Dataset) -> None:
    """Store the power balance of one interval, kW, for people to look at.

    What a silent device leaves unknown is NaN, and so is all that needs it.
    """
    end_s = start_s + room.site.interval_s
    names = [str(asset.id) for asset in room.site.assets]
    done = series.get_intervals(tx, names, start_s, end_s, time_zone=room.site.time_zone)
    kilo = 3.6 / room.site.interval_s

    energy = {name: done[name].values[:, 0] for name in ("import_wh", "export_wh")}

    def total(register: str, assets: Sequence[Asset]) -> float:
        values = energy[register][[names.index(str(asset.id)) for asset in assets]]
        known = bool((values != MISSING).all())
        return float(values.sum()) * kilo if known else float("nan")

    site = room.site
    head = float(state["head_import_kw"]) - float(state["head_export_kw"])
    facts = {
        "solar_kw": total("export_wh", site.solar),
        "wind_kw": total("export_wh", site.wind),
        "genset_kw": total("export_wh", site.genset),
        "battery_charge_kw": total("import_wh", site.battery),
        "battery_discharge_kw": total("export_wh", site.battery),
        **_moved(total, site),
        "import_kw": max(head, 0.0),
        "export_kw": max(-head, 0.0),
        "losses_kw": float(state["losses_kw"]),
    }
    given = ("solar_kw", "wind_kw", "genset_kw", "battery_discharge_kw", "import_kw")
    taken = ("battery_charge_kw", "export_kw", "losses_kw")
    facts["demand_kw"] = sum(facts[n] for n in given) - sum(facts[n] for n in taken)
    for name, sign in _MOVED.items():
        facts["demand_kw"] += sign * facts.get(name, 0.0)
    states = field.device_states(tx, end_s)
    stored = [states[b.id]["energy_wh"] if b.id in states else None for b in site.battery]
    facts["stored_kwh"] = (
        float("nan") if None in stored else sum(wh for wh in stored if wh is not None) / 1000
    )
    facts["vm_pu_min"] = float(np.nanmin(state["vm_pu"].values))
    facts["vm_pu_max"] = float(np.nanmax(state["vm_pu"].values))
    loadings = [state[f"{kind}_loading_percent"].values for kind in ("line", "trafo")]
    facts["loading_max_percent"] = float(np.nanmax(np.concatenate(loadings)))
    content = xr.Dataset(
        {name: ((), value, {"units": name.rsplit("_", 1)[1]}) for name, value in facts.items()}
    )
    datasets.put_dataset(tx, "actual", start_s, content)
