"""What a plan must keep to beside the network: safety tags, ramps and overrides.

Each is a band of the flow of one device in each step, in kW given less kW taken, and reaches the
plan as linear cuts. A device behind a safety tag gives and takes nothing. An override fixes the
flow of its device to what it can still do: an empty battery gives nothing, whatever somebody
holds it at. A set-point moves from the one before by no more than its ramp; the plants' limits
rise so and fall at once, for what the network needs does not wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dispatch.plan import LinearCut, PlanInput, Reason
from grid import interval
from grid.errors import Finding, Severity
from grid.operation import safety_tags
from grid.operation.paths import Path, battery_path, origins
from grid.operation.plan_inputs import firm_kw
from grid.operation.room import Room
from grid.site import Asset, Battery, Genset, Shedding
from grid.site_devices import MOVABLE
from grid.store import Transaction
from grid.store.overrides import Action, Override
from meters.device import Setpoint

Floats = npt.NDArray[np.float64]

_WHOLE = 1e-6
"""What floats leave over a whole W."""

SLACK_KW = 1e-4
"""By which a fixed flow is a band: a tenth of what a set-point can tell."""


@dataclass(frozen=True, eq=False)
class Band:
    """What the flow of a device may be, kW, step by step; infinite where it is free.

    Attributes
    ----------
    name : str
        What it comes from.
    low, high : ndarray, shape (n,)
    tag : int
        Number of the safety tag that it comes from; 0 for none.
    absorbs : bool
        A limit is on what the device takes.
    """

    asset: str
    name: str
    low: Floats
    high: Floats
    tag: int = 0
    absorbs: bool = False

    def cuts(self) -> Iterator[LinearCut]:
        """Yield it as a plan takes it."""
        for step in np.flatnonzero(np.isfinite(self.high)).tolist():
            yield LinearCut(step, self.name, {self.asset: 1.0}, float(self.high[step]))
        for step in np.flatnonzero(np.isfinite(self.low)).tolist():
            yield LinearCut(step, self.name, {self.asset: -1.0}, -float(self.low[step]))


@dataclass(frozen=True, eq=False)
class Bounds:
    """All bands of a plan.

    Attributes
    ----------
    tagged : tuple of Band
        Of devices behind safety tags: these hold in any case.
    wished : tuple of Band
        Of ramps and overrides: without these there may be a plan that keeps the network.
    overrides : tuple of Override
        Those that hold in the first step.
    fixed : mapping of str to ndarray, shape (n,)
        By device the flow that its override fixes, kW given less kW taken; NaN where free.
    """

    tagged: tuple[Band, ...] = ()
    wished: tuple[Band, ...] = ()
    overrides: tuple[Override, ...] = ()
    fixed: Mapping[str, Floats] = field(default_factory=dict)

    def on(self, given: PlanInput) -> PlanInput:
        """Return the input of a plan that keeps to them."""
        bands = (*self.tagged, *self.wished)
        cuts = tuple(cut for band in bands for cut in band.cuts())
        if not cuts:
            return given
        free = {band.asset for band in self.tagged} | {one.asset for one in self.overrides}
        ready = given.genset_intervals_in_state.copy()
        for number, genset in enumerate(given.genset):
            if genset.id in free:
                # Who holds a genset answers for how often it starts.
                most = max(genset.min_up_intervals, genset.min_down_intervals)
                ready[number] = max(int(ready[number]), most)
        return replace(given, cuts=given.cuts + cuts, genset_intervals_in_state=ready)

    def without_wishes(self) -> Bounds:
        """Return what holds in any case."""
        return Bounds(tagged=self.tagged)

    def kept(self, wishes: Sequence[Setpoint]) -> list[Setpoint]:
        """Return set-points that keep to the overrides and ramps of the first step in whole W."""
        held = {one.asset: one for one in self.overrides}
        bands = {band.asset: band for band in self.wished}
        return [self._kept(wish, held.get(wish.asset), bands.get(wish.asset)) for wish in wishes]

    def _kept(self, wish: Setpoint, held: Override | None, band: Band | None) -> Setpoint:
        if band is None:
            return wish
        low, high = float(band.low[0]), float(band.high[0])
        if wish.kind == "limit":
            # A group of loads is held by its served power, a plant by what it gives.
            most_w = held.power_w if held is not None else wish.limit_w
            most_kw = -low if band.absorbs else high
            if np.isfinite(most_kw):
                most_w = min(most_w, int(1000 * most_kw + _WHOLE))
            return replace(wish, limit_w=min(wish.limit_w, most_w))
        if held is not None and held.action is Action.OFF and wish.kind == "genset":
            return replace(wish, running=False, discharge_w=0)
        flow_w = wish.discharge_w - wish.charge_w
        fixed = self.fixed.get(wish.asset)
        if fixed is not None and np.isfinite(fixed[0]):
            flow_w = round(1000 * float(fixed[0]))
        elif np.isfinite(high):
            flow_w = min(flow_w, int(np.floor(1000 * high + _WHOLE)))
        if np.isfinite(low):
            flow_w = max(flow_w, int(np.ceil(1000 * low - _WHOLE)))
        return replace(wish, charge_w=max(0, -flow_w), discharge_w=max(0, flow_w))

    def explained(self, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
        """Return the reasons of a plan with those of people in place of the model's."""
        theirs = {
            one.asset: Reason(
                one.asset,
                "control.held",
                {"number": one.id, "until": interval.label(one.end_s)},
                f"{one.asset}: held by override {one.id} until {interval.label(one.end_s)}",
            )
            for one in self.overrides
        }
        for band in self.tagged:
            text = f"{band.asset}: behind safety tag {band.tag}, nothing is sent to it"
            theirs[band.asset] = Reason(band.asset, "control.blocked", {"number": band.tag}, text)
        told = [one for one in reasons if one.subject not in theirs]
        return (*theirs.values(), *told)

    def suspended(self, at_s: int, why: str) -> list[Finding]:
        """Return an alarm for each override that is not followed in the first step."""
        when = interval.label(at_s)
        return [
            Finding(
                "override.suspended",
                one.asset,
                when,
                Severity.ALARM,
                f"{one.asset} {when} override {one.id} is not followed: with it {why}",
            )
            for one in self.overrides
        ]


def bounds(room: Room, tx: Transaction, given: PlanInput, active: Sequence[Override]) -> Bounds:
    """Return what the plan from `given` must keep to.

    Parameters
    ----------
    active : sequence of Override
        That hold in its first step.
    """
    tags = safety_tags.blocked(tx)
    held = [one for one in active if one.asset not in tags]
    by_asset = {one.asset: one for one in held}
    ramps = {str(one.asset): one.kw_per_min for one in room.site.control.ramp}
    before = origins(room, tx, given.start_s) if ramps else {}
    tagged, wished, fixed = [], [], {}
    nothing = np.zeros(given.n)
    for asset in room.site.assets:
        name = str(asset.id)
        if name in tags:
            number = tags[name].id
            tagged.append(Band(name, f"{name} safety tag {number}", nothing, nothing, number))
            continue
        path = None
        if name in ramps:
            steps = np.arange(1, given.n + 1, dtype=np.float64)
            rise_kw = ramps[name] * given.interval_s / 60.0 * steps
            path = Path(before[name], rise_kw)
        if name in by_asset:
            band = _held(given, asset, by_asset[name], path)
            wished.append(band)
            if isinstance(asset, (Battery, Genset)):
                held_kw = np.isfinite(band.low) & np.isfinite(band.high)
                fixed[name] = np.full(given.n, np.nan)
                fixed[name][held_kw] = (band.low[held_kw] + band.high[held_kw]) / 2.0
        elif path is not None:
            wished.append(_ramped(given, asset, path))
    return Bounds(tuple(tagged), tuple(wished), tuple(held), fixed)


def _free(n: int) -> tuple[Floats, Floats]:
    return np.full(n, -np.inf), np.full(n, np.inf)


def _held(given: PlanInput, asset: Asset, one: Override, path: Path | None) -> Band:
    """Return the band of a device that an operator holds."""
    low, high = _free(given.n)
    starts = given.start_s + given.interval_s * np.arange(given.n)
    steps = starts < one.end_s
    kw = one.power_w / 1000.0
    name = f"{one.asset} override {one.id}"
    if isinstance(asset, Shedding):
        row = [group.id for group in given.shedding].index(asset.id)
        load = given.sheddable_kw[row] + firm_kw(given, asset)
        low[steps] = np.clip(load - kw, 0.0, given.sheddable_kw[row])[steps]
        return Band(one.asset, name, low, high)
    if isinstance(asset, MOVABLE):
        low[steps] = -kw if path is None else -np.minimum(kw, path.high)[steps]
        high[steps] = kw
        return Band(one.asset, name, low, high, absorbs=True)
    if one.action is Action.LIMIT or not isinstance(asset, (Battery, Genset)):
        most = kw if one.action is Action.LIMIT else 0.0
        high[steps] = most if path is None else np.minimum(most, path.high)[steps]
        return Band(one.asset, name, low, high)
    sign = {Action.CHARGE: -1.0, Action.OFF: 0.0}.get(one.action, 1.0)
    want = np.full(given.n, sign * kw)
    if path is not None:
        least = asset.min_power_kw if isinstance(asset, Genset) else -np.inf
        want = path.toward(want, least)
    if isinstance(asset, Battery):
        if asset.forming:
            # What forms an island takes no set-point.
            steps &= np.minimum.accumulate(given.grid_available.astype(np.bool_))
        want = battery_path(given, asset, want)
        low[steps], high[steps] = want[steps] - SLACK_KW, want[steps] + SLACK_KW
        return Band(one.asset, name, low, high)
    runs = steps & (want > 0.0)
    low[runs] = want[runs] - SLACK_KW
    high[steps] = np.where(want > 0.0, np.minimum(want + SLACK_KW, asset.power_kw), 0.0)[steps]
    return Band(one.asset, name, low, high)


def _ramped(given: PlanInput, asset: Asset, path: Path) -> Band:
    """Return the band that a ramp leaves to a device."""
    low, high = _free(given.n)
    name = f"{asset.id} ramp"
    if isinstance(asset, Battery):
        steps = np.ones(given.n, np.bool_)
        if asset.forming:
            steps = np.minimum.accumulate(given.grid_available.astype(np.bool_))
        floor = np.where(path.low > 0.0, battery_path(given, asset, path.low), path.low)
        roof = np.where(path.high < 0.0, battery_path(given, asset, path.high), path.high)
        low = np.where(steps & (floor > -asset.power_kw), floor, low)
        high = np.where(steps & (roof < asset.power_kw), roof, high)
    elif isinstance(asset, Genset):
        low = np.where(path.low > asset.min_power_kw, path.low, low)
        roof = np.maximum(path.high, asset.min_power_kw)
        high = np.where(roof < asset.power_kw, roof, high)
    elif isinstance(asset, MOVABLE):
        # What it may take rises by its ramp; less is told at once, as at plants.
        low = np.where(path.high < asset.power_kw, -path.high, low)
        return Band(str(asset.id), name, low, high, absorbs=True)
    elif not isinstance(asset, Shedding):
        high = np.where(path.high < asset.power_kw, path.high, high)
    return Band(str(asset.id), name, low, high)
