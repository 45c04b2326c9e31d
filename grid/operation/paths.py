"""The way of a set-point from where it is: by its ramp, and by what a battery holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.plan import PlanInput
from grid.operation.feasibility import safe_share
from grid.operation.field.serve import device_kind, rating_w
from grid.operation.room import Room
from grid.site import Asset, Battery, Charger, Shedding
from grid.site_devices import MOVABLE
from grid.store import Transaction, device_holds

Floats = npt.NDArray[np.float64]

_WHOLE = 1.0 - 1e-6
"""Share of what a battery holds that a fixed flow uses: its energy is rounded elsewhere."""


@dataclass(frozen=True, eq=False)
class Path:
    """What a set-point can have reached.

    Attributes
    ----------
    from_kw : float
        Where it is: kW given less kW taken, or the limit.
    rise_kw : ndarray, shape (n,)
        By how much it can have moved until each step.
    """

    from_kw: float
    rise_kw: Floats

    @property
    def low(self) -> Floats:
        """The least, kW (n,)."""
        least: Floats = self.from_kw - self.rise_kw
        return least

    @property
    def high(self) -> Floats:
        """The most, kW (n,)."""
        most: Floats = self.from_kw + self.rise_kw
        return most

    def toward(self, wanted: Floats, least_kw: float = -np.inf) -> Floats:
        """Return the way to what is wanted, kW (n,).

        Parameters
        ----------
        least_kw : float
            Least power of what cannot run lower: it starts and stops there at once.
        """
        way = np.clip(wanted, self.low, self.high)
        if np.isfinite(least_kw):
            starts = (wanted > 0.0) & (way < least_kw)
            stops = (wanted <= 0.0) & (way <= least_kw)
            way = np.where(starts, np.minimum(least_kw, wanted), np.where(stops, 0.0, way))
        return way


def battery_path(given: PlanInput, battery: Battery, wanted: Floats) -> Floats:
    """Return the flow that a battery can follow when it is to follow `wanted`, kW (n,).

    What it holds at the beginning, its limits and its efficiencies are those of the plan; one
    that is planned as out of service can follow nothing.
    """
    row = [one.id for one in given.battery].index(battery.id)
    usable = given.battery[row]
    energy, h = float(given.battery_energy_kwh[row]), given.hours
    way = np.clip(wanted, -usable.power_kw, usable.power_kw)
    for step in range(len(way)):
        room, ready = (
            most if most >= usable.power_kw else most * _WHOLE
            for most in usable.headroom_kw(energy, h)
        )
        way[step] = min(max(way[step], -room), ready)
        energy = usable.after_kwh(energy, max(-way[step], 0.0), max(way[step], 0.0), h)
    return way


def safe_limit_w(room: Room, asset: Asset) -> int | None:
    """Return the output that a plant falls back to by itself, W; ``None`` for other devices.

    A charge point falls back to charging with what is safe. All plants together may give as much
    whatever the loads do, so a feeder whose control room is dead keeps its voltages.
    """
    if isinstance(asset, MOVABLE):
        return round(1000 * asset.fallback_kw) or None
    if device_kind(asset) != "limit" or isinstance(asset, Shedding):
        return None
    # Whole percents of its rating: any device can hold these exactly.
    percent = int(100.0 * safe_share(room) + 1e-9)
    return -(-rating_w(room.site, asset) * percent // 100)


def origins(room: Room, tx: Transaction, at_s: int) -> dict[str, float]:
    """Return from where each set-point moves at `at_s`, kW given less kW taken, or the limit.

    Of a charge point it is what it may take, whatever it gave before.

    That is what the device confirmed last; when that has lapsed, its safe state.
    """
    sent = device_holds.sent(tx, at_s, at_s - room.site.control.revert_s)
    found = {}
    for asset in room.site.assets:
        kind = device_kind(asset)
        safe_w = safe_limit_w(room, asset)
        rating_kw = 0.0 if isinstance(asset, Shedding) else asset.power_kw
        kw = (rating_kw if safe_w is None else safe_w / 1000.0) if kind == "limit" else 0.0
        if isinstance(asset, MOVABLE):
            kw = asset.fallback_kw
        for cycle_s, one in sent.get(str(asset.id), ())[:1]:
            if at_s < cycle_s + one.revert_s:
                flow_w = one.limit_w if kind == "limit" else one.discharge_w - one.charge_w
                if isinstance(asset, Charger):
                    flow_w = max(one.limit_w, one.charge_w)
                kw = flow_w / 1000.0
        found[str(asset.id)] = kw
    return found
