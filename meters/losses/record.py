"""What a feeder's meters said over days, beside what its network model expects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BY_POINT = ("import_wh", "export_wh", "estimated", "voltage_v", "expected_v")
_BY_INTERVAL = ("complete", "head_import_wh", "head_export_wh", "losses_wh")


@dataclass(frozen=True, eq=False)
class FeederRecord:
    """Consecutive intervals of a feeder with one head meter.

    Attributes
    ----------
    usage_point : tuple of str
        Those with a meter, in the order of the arrays.
    start_s : int
        Seconds UTC of the first interval.
    interval_s : int
    complete : bool (interval,)
        Every energy of the interval is known, read or estimated.
    head_import_wh, head_export_wh : int64 (interval,)
        What the feeder-head meter counted.
    import_wh, export_wh : int64 (usage_point, interval)
    estimated : bool (usage_point, interval)
        The energy is an estimate, not a reading.
    losses_wh : float64 (interval,)
        Technical losses of the network at the metered powers.
    voltage_v : float64 (usage_point, interval)
        Phase voltage each meter showed, NaN where not read.
    expected_v : float64 (usage_point, interval)
        The same by the network model at the metered powers.
    drop_v_per_kw : float64 (usage_point, usage_point)
        By how much a kilowatt that no meter counts, taken at the column's usage
        point, lowers the voltage at the row's; each >= 0.
    """

    usage_point: tuple[str, ...]
    start_s: int
    interval_s: int
    complete: Bools
    head_import_wh: Ints
    head_export_wh: Ints
    import_wh: Ints
    export_wh: Ints
    estimated: Bools
    losses_wh: Floats
    voltage_v: Floats
    expected_v: Floats
    drop_v_per_kw: Floats

    def __post_init__(self) -> None:
        points, count = len(self.usage_point), len(self.complete)
        wanted: dict[str, tuple[int, ...]] = {}
        wanted |= dict.fromkeys(_BY_POINT, (points, count))
        wanted |= dict.fromkeys(_BY_INTERVAL, (count,))
        wanted["drop_v_per_kw"] = (points, points)
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise BadInputError(f"feeder record: {name} has shape {found}, must be {shape}")
        if self.interval_s <= 0 or 86_400 % self.interval_s:
            raise BadInputError(
                f"feeder record: intervals of {self.interval_s} s do not divide a day"
            )
        for name in ("losses_wh", "expected_v"):
            if not np.isfinite(getattr(self, name)[..., self.complete]).all():
                raise BadInputError(f"feeder record: {name} is not finite in a complete interval")
        if not np.isfinite(self.drop_v_per_kw).all() or (self.drop_v_per_kw < 0).any():
            raise BadInputError("feeder record: drop_v_per_kw must be finite and not below 0")

    @property
    def per_day(self) -> int:
        """Intervals of 24 hours."""
        return 86_400 // self.interval_s

    @property
    def days(self) -> int:
        """Whole stretches of 24 hours from the start."""
        return len(self.complete) // self.per_day

    def net_wh(self) -> Floats:
        """Return taken less given of each usage point, (usage_point, interval)."""
        return (self.import_wh - self.export_wh).astype(np.float64)

    def head_wh(self) -> Floats:
        """Return taken less given at the head, (interval,)."""
        return (self.head_import_wh - self.head_export_wh).astype(np.float64)

    def part(self, first_day: int, last_day: int) -> FeederRecord:
        """Return the record of the days ``[first_day, last_day)``."""
        span = slice(first_day * self.per_day, last_day * self.per_day)
        cut = {name: getattr(self, name)[:, span] for name in _BY_POINT}
        cut |= {name: getattr(self, name)[span] for name in _BY_INTERVAL}
        return replace(self, start_s=self.start_s + first_day * 86_400, **cut)
