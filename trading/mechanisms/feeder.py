"""The radial network of a market: which bus hangs on which, what a line carries and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grid.errors import BadInputError
from trading.book import Int64Array

LIMIT_MOST_WH = 1 << 60
"""Of a line, in an interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Feeder:
    """A tree of buses; the line of a bus is the one towards the head.

    Attributes
    ----------
    parent : NDArray[int64], shape (bus,)
        The bus above; -1 for the head, which has no line.
    export_wh, import_wh : NDArray[int64], shape (bus,)
        The most that the line of a bus carries in an interval towards the head
        and away from it.
    line_fee : NDArray[int64], shape (bus,)
        What a Wh over the line costs either way, nano-currency: for the border
        of a zone that it crosses, for what is lost on it.
    bus_fee : NDArray[int64], shape (bus,)
        What a buyer at the bus pays to the grid operator, nano-currency per Wh.

    Raises
    ------
    BadInputError
        When there is not one head, a bus is not below it, or a limit or fee is
        out of range.
    """

    parent: Int64Array
    export_wh: Int64Array
    import_wh: Int64Array
    line_fee: Int64Array
    bus_fee: Int64Array

    def __post_init__(self) -> None:
        heads = np.flatnonzero(self.parent < 0)
        if len(heads) != 1:
            raise BadInputError(f"the feeder has {len(heads)} heads, must have 1")
        if (beyond := np.flatnonzero(self.parent >= len(self.parent))).size:
            bus = int(beyond[0])
            raise BadInputError(f"bus {bus} hangs on {int(self.parent[bus])}, which is not there")
        for name, high in (
            ("export_wh", LIMIT_MOST_WH),
            ("import_wh", LIMIT_MOST_WH),
            ("line_fee", 10**9),
            ("bus_fee", 10**9),
        ):
            column: Int64Array = getattr(self, name)
            if column.shape != self.parent.shape:
                raise BadInputError(f"{name} has {len(column)} buses, must have {len(self.parent)}")
            if (odd := np.flatnonzero((column < 0) | (column > high))).size:
                bus = int(odd[0])
                raise BadInputError(
                    f"bus {bus} {name} is {int(column[bus])}, must be within 0 to {high}"
                )
        if len(self.downward()) != len(self.parent):
            raise BadInputError("the feeder has buses that do not hang on its head")

    def downward(self) -> list[int]:
        """Return the buses below the head and it, each after the one that it hangs on."""
        below: dict[int, list[int]] = {}
        for bus, above in enumerate(self.parent.tolist()):
            below.setdefault(above, []).append(bus)
        order = list(below[-1])
        for bus in order:
            order += below.get(bus, [])
        return order


def feeder(
    parent: Int64Array,
    export_wh: Int64Array,
    import_wh: Int64Array,
    *,
    loss_fee: Int64Array | None = None,
    zone: Int64Array | None = None,
    border_fee: Mapping[int, int] | None = None,
) -> Feeder:
    """Return a feeder with the fees of its zones and its losses on buses and lines.

    Parameters
    ----------
    loss_fee : NDArray[int64], shape (bus,), optional
        What the losses of a line cost, nano-currency per Wh over it.
    zone : NDArray[int64], shape (bus,), optional
    border_fee : Mapping
        What a Wh into or out of each zone pays, nano-currency; 0 when not given. From one
        zone to the next it pays for both.
    """
    none = np.zeros_like(parent)
    line = none if loss_fee is None else loss_fee
    if zone is not None:
        fees = border_fee or {}
        fee = np.array([fees.get(one, 0) for one in zone.tolist()], np.int64)
        crosses = (parent >= 0) & (zone != zone[parent])
        line = line + np.where(crosses, fee + fee[parent], 0)
    return Feeder(parent, export_wh, import_wh, line, none)


def along(parent: Int64Array, line: Int64Array, one: int, other: int) -> int:
    """Return the sum of a value of lines over those between two buses."""
    above, total = [one], {one: 0}
    while (at := above[-1]) >= 0:
        total[int(parent[at])] = total[at] + int(line[at])
        above.append(int(parent[at]))
    way = 0
    while other not in total:
        way += int(line[other])
        other = int(parent[other])
    return way + total[other]
