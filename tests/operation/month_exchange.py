"""One meter of a month that is read by its registers, validated, and exchanged for another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grid.operation import meter_exchanges, metering
from grid.operation.resettlement import mark_changed
from grid.operation.room import Room
from grid.store import Transaction, series
from grid.store import field as reads
from grid.store.meter_exchanges import MeterExchange
from meters.reading import MeterRead, RegisterRow
from meters.vee import Quality

STEP_S = 900
WINDOW = 96
OLD, NEW = "SN-OLD", "SN-NEW"
_OLD_WH, _NEW_WH = (987_000, 4_000), (7, 2)


@dataclass
class Exchanged:
    """A meter that is read from `from_s` until `until_s`; another device stands there since `at_s`.

    The exchange is told at `told_s`. The old device counted the first third of the energy of its
    last interval.

    Attributes
    ----------
    point : int
        Row of the usage point.
    missing : set of int
        Intervals of which nothing is known of it yet.
    estimated : set of int
        Intervals of which something else than the truth was stored at first.
    """

    point: int
    from_s: int
    until_s: int
    at_s: int
    told_s: int
    missing: set[int] = field(default_factory=set)
    estimated: set[int] = field(default_factory=set)

    def reads_of(self, start_s: int) -> bool:
        """Whether an interval's readings come of the registers."""
        return self.from_s <= start_s < self.until_s

    def read(self, room: Room, tx: Transaction, at_s: int, truth: np.ndarray) -> None:
        """Keep what the device there shows at `at_s`, and validate what is known by then.

        Parameters
        ----------
        truth : ndarray of int64, shape (interval, 2)
            What the usage point took and gave from `from_s` on, Wh.
        """
        meter = f"M-{self.point}"
        if self.from_s <= at_s <= self.until_s:
            row = RegisterRow(at_s, self._registers(at_s, truth))
            serial = NEW if at_s >= self.at_s else OLD
            reads.put_reads(tx, [MeterRead(meter, row, (), 230.0, b"", serial)], cycle_s=at_s)
        if at_s == self.told_s:
            self._tell(room, tx, truth)
        if not self.from_s < at_s <= self.until_s + 3 * STEP_S:
            return
        start_s = meter_exchanges.take_again(tx, at_s - WINDOW * STEP_S)
        start_s = max(self.from_s, start_s)
        count = (min(at_s, self.until_s) - start_s) // STEP_S
        checked, _ = metering._checked(room, tx, at_s, start_s, count)
        mine = checked.sel(usage_point=[f"UP-{self.point}"])
        changed = series.put_intervals(tx, mine, time_zone=room.site.time_zone, cycle_s=at_s)
        mark_changed(tx, {when for _, when in changed})
        unknown = mine["quality"].values[0] == Quality.MISSING
        told = np.stack([mine[name].values[0] for name in ("import_wh", "export_wh")], axis=1)
        first = (start_s - self.from_s) // STEP_S
        other = ~unknown & (told != truth[first : first + count]).any(axis=1)
        self.missing = {start_s + STEP_S * int(n) for n in np.flatnonzero(unknown)}
        self.estimated |= {start_s + STEP_S * int(n) for n in np.flatnonzero(other)}

    def _before(self, truth: np.ndarray) -> np.ndarray:
        """Return what the old device counted from `from_s` until it was taken away."""
        slot = (self.at_s - self.from_s) // STEP_S
        return truth[:slot].sum(axis=0) + truth[slot] // 3

    def _registers(self, at_s: int, truth: np.ndarray) -> tuple[int, int, int, int]:
        passed = truth[: (at_s - self.from_s) // STEP_S].sum(axis=0)
        shown = np.array(_OLD_WH) + passed
        if at_s >= self.at_s:
            shown = np.array(_NEW_WH) + passed - self._before(truth)
        return int(shown[0]), int(shown[1]), 0, 0

    def _tell(self, room: Room, tx: Transaction, truth: np.ndarray) -> None:
        last = np.array(_OLD_WH) + self._before(truth)
        told = MeterExchange(
            meter=f"M-{self.point}",
            at_s=self.at_s,
            old_serial=OLD,
            new_serial=NEW,
            last=(int(last[0]), int(last[1]), 0, 0),
            first=(*_NEW_WH, 0, 0),
            digits=9,
            multiplier=1,
            recorded_by="fitter",
            recorded_s=self.told_s,
        )
        meter_exchanges.record_exchange(tx, room.site, told)
