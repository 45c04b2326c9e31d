"""On-load taps: a changer with a dead band and a delay that follows a series of intervals.

A position is a network of its own with factors of its own, so the series is solved once for each
position that is used, and the changer walks over what was solved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from grid.interval import label
from networks.flow.operator import iterate, operator
from networks.flow.year import Instants, chunks
from networks.injection import INPUTS, check_inputs, node_power
from networks.model import Float, Int, NetworkModel
from networks.operating.taps import length_s, tapped_row

_CHUNK = 8_000
"""Intervals at a time: enough for compiled code."""


@dataclass(frozen=True, slots=True)
class TapChanger:
    """An on-load tap changer with a dead band and a delay.

    Attributes
    ----------
    trafos : tuple of int
        Transformers that move together; parallel ones must, or a current circles in them.
    bus : int
        Whose voltage is held.
    target_pu : float
    band_pu : float
        Half the dead band: a voltage within `target_pu` ± `band_pu` is left alone.
    delay_s : float
        That a voltage must be outside on one side before the first step.
    next_s : float
        Between further steps of one correction.
    """

    trafos: tuple[int, ...]
    bus: int
    target_pu: float
    band_pu: float
    delay_s: float = 60.0
    next_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.trafos:
            raise BadInputError("a tap changer moves at least one trafo, none is given")
        for name, low, high in (
            ("target_pu", 0.8, 1.2),
            ("band_pu", 1e-4, 0.2),
            ("delay_s", 0.0, 86_400.0),
            ("next_s", 0.0, 86_400.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInputError(
                    f"tap changer of trafo {self.trafos[0]}: {name} is {value}, must be within "
                    f"{low:g} to {high:g}"
                )


@dataclass(frozen=True, eq=False)
class TapRun:
    """What a tap changer does over a series.

    Attributes
    ----------
    position : int64 (interval,)
        At the end of each interval.
    vm_pu : float64 (interval,)
        At the bus that is held, at that position.
    operations : int
        Steps taken.
    positions_used : tuple of int
    outside_hours : float
        With the voltage outside the dead band at the end of an interval.
    findings : tuple of Finding
        ``network.tap_at_end``: the changer would have to go further than it can.
    """

    position: Int
    vm_pu: Float
    operations: int
    positions_used: tuple[int, ...]
    outside_hours: float
    findings: tuple[Finding, ...]


def follow(model: NetworkModel, inputs: xr.Dataset, changer: TapChanger) -> TapRun:
    """Return what a tap changer does over a series of intervals.

    Time outside the dead band counts across intervals and starts anew when the voltage is within,
    or outside on the other side.

    Parameters
    ----------
    inputs : xarray.Dataset
        The four inputs of a power flow by name, (interval, bus), in order of time.

    Raises
    ------
    BadInputError
        When the dead band is narrower than a step, so that the changer would hunt; when a
        transformer has one position or the bus is dead.
    """
    rows = [tapped_row(model, trafo) for trafo in changer.trafos]
    at = model.position(changer.bus)
    if model.node[at] < 0:
        raise BadInputError(f"{model.bus_label(at)}: is dead, a tap changer cannot hold it")
    low = max(int(model.equipment.tap_lowest[row]) for row in rows)
    high = min(int(model.equipment.tap_highest[row]) for row in rows)
    start = int(model.switching.tap_position[rows[0]])
    solved = _Positions(model, inputs, changer, at)
    rises = _rises(model, inputs, changer, at, (max(start - 1, low), min(start + 1, high)))
    walk = _Walk(changer, solved, (low, high), rises, length_s(inputs["interval"].to_numpy()))
    return walk.over(start, inputs["interval"].to_numpy())


def _rises(
    model: NetworkModel, inputs: xr.Dataset, changer: TapChanger, at: int, ends: tuple[int, int]
) -> int:
    """Return 1 when a higher position raises the voltage, -1 when it lowers it."""
    first = _Positions(model, inputs.isel(interval=slice(0, 1)), changer, at)
    return 1 if first.at(ends[1])[0] > first.at(ends[0])[0] else -1


class _Positions:
    """The held bus's voltage over the whole series at each position, solved when first asked."""

    def __init__(
        self, model: NetworkModel, inputs: xr.Dataset, changer: TapChanger, at: int
    ) -> None:
        self.model, self.changer, self.at_bus = model, changer, at
        whole = inputs.reindex(bus=model.bus, fill_value=0.0)
        self.inputs = whole
        self.known: dict[int, Float] = {}

    def at(self, position: int) -> Float:
        """Return the voltages per unit, (interval,)."""
        if position not in self.known:
            tapped = self.model.switched(taps=dict.fromkeys(self.changer.trafos, position))
            self.known[position] = _bus_voltage(tapped, self.inputs, self.at_bus)
        return self.known[position]


def _bus_voltage(model: NetworkModel, inputs: xr.Dataset, at: int) -> Float:
    starts = inputs["interval"].to_numpy().astype("datetime64[s]")
    a, b, c, d = (inputs[name].to_numpy() for name in INPUTS)
    columns = check_inputs(model, a, b, c, d, starts)
    made = np.empty(len(starts))
    for first in range(0, len(starts), _CHUNK):
        part = slice(first, first + _CHUNK)
        voltage, _, converged = iterate(
            operator(model), node_power(model, *(values[part] for values in columns))
        )
        if not converged.all():
            # Where the iteration does not contract, Newton's method decides.
            states = chunks(model, inputs.isel(interval=part))
            made[part] = np.concatenate([one["vm_pu"].to_numpy()[:, at] for _, one in states])
            continue
        made[part] = np.abs(voltage[model.node[at]])
    return made


class _Walk:
    """The changer's state machine, from interval to interval."""

    def __init__(
        self,
        changer: TapChanger,
        solved: _Positions,
        ends: tuple[int, int],
        rises: int,
        length_s: float,
    ) -> None:
        self.changer, self.solved, self.ends = changer, solved, ends
        self.rises, self.length_s = rises, length_s

    def over(self, start: int, starts: Instants) -> TapRun:
        """Walk the series."""
        count = len(starts)
        position = np.empty(count, dtype=np.int64)
        here, outside_s, side, operations, moving = start, 0.0, 0, 0, False
        stuck: list[int] = []
        for step in range(count):
            left_s = self.length_s
            while True:
                now = self._side(here, step)
                if now != side:
                    outside_s, side, moving = 0.0, now, False
                if now == 0:
                    break
                delay_s = self.changer.next_s if moving else self.changer.delay_s
                wait_s = max(delay_s - outside_s, 0.0)
                if wait_s > left_s:
                    outside_s += left_s
                    break
                further = here - now * self.rises
                if not self.ends[0] <= further <= self.ends[1]:
                    stuck.append(step)
                    break
                self._hunting(here, further, step)
                left_s -= wait_s
                here, operations, moving, outside_s = further, operations + 1, True, 0.0
            position[step] = here
        return self._told(position, operations, stuck, starts)

    def _side(self, here: int, step: int) -> int:
        """Return 1 when the voltage is above the dead band, -1 below, 0 within."""
        gap = float(self.solved.at(here)[step]) - self.changer.target_pu
        return 0 if abs(gap) <= self.changer.band_pu else (1 if gap > 0 else -1)

    def _hunting(self, here: int, further: int, step: int) -> None:
        move_pu = abs(float(self.solved.at(further)[step] - self.solved.at(here)[step]))
        if move_pu > 2.0 * self.changer.band_pu:
            raise BadInputError(
                f"tap changer of trafo {self.changer.trafos[0]}: a step moves bus "
                f"{self.changer.bus} by {move_pu:.4f} pu, the dead band must be at least as wide, "
                f"is {2.0 * self.changer.band_pu:.4f} pu"
            )

    def _told(
        self,
        position: Int,
        operations: int,
        stuck: list[int],
        starts: Instants,
    ) -> TapRun:
        used = np.unique(position)
        vm_pu = np.empty(len(position))
        for one in used.tolist():
            some = position == one
            vm_pu[some] = self.solved.at(one)[some]
        outside = np.abs(vm_pu - self.changer.target_pu) > self.changer.band_pu
        found = []
        if stuck:
            subject = f"trafo {self.changer.trafos[0]}"
            at = label(int(starts[stuck[0]].astype("datetime64[s]").astype(np.int64)))
            text = (
                f"{subject} {at}: the tap changer is at its end, {position[stuck[0]]}, "
                f"in {len(stuck)} of {len(position)} intervals"
            )
            found.append(Finding("network.tap_at_end", subject, at, Severity.WARNING, text))
        return TapRun(
            position=position,
            vm_pu=vm_pu,
            operations=operations,
            positions_used=tuple(used.tolist()),
            outside_hours=float(outside.sum()) * self.length_s / 3600.0,
            findings=tuple(found),
        )


def trafos_beside(model: NetworkModel, trafo: int) -> Sequence[int]:
    """Return the transformers in service between the same two nodes, which must move together."""
    branches = model.trafo
    row = int(np.flatnonzero(branches.index == trafo)[0])
    same = (branches.from_node == branches.from_node[row]) & (
        branches.to_node == branches.to_node[row]
    )
    return tuple(branches.index[same & (branches.from_node >= 0)].tolist()) or (trafo,)
