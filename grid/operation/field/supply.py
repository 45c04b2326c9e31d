"""Who has supply in the simulated field: pandapower says what is dead behind open branches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import BadInputError
from grid.operation.field.state import Fault, FieldState
from grid.site import Shedding, Site

Opened = frozenset[tuple[str, int]]
_NOTHING: Opened = frozenset()


class Supply:
    """Usage points, meters and devices without supply, found once for each set of open branches.

    Parameters
    ----------
    site : Site
    position : ndarray of int, shape (usage point,)
        Of each usage point's bus in the network model.
    bus_count : int
    judge : callable
        Takes what :func:`networks.flow.judge.judge_flow` takes after the model.
    """

    def __init__(
        self,
        site: Site,
        position: npt.NDArray[np.int64],
        bus_count: int,
        judge: Callable[..., xr.Dataset],
    ) -> None:
        self._site = site
        self._position = position
        self._bus_count = bus_count
        self._judge = judge
        self._found: dict[tuple[Opened, bool], frozenset[str]] = {}

    def islanded(self, at_s: int) -> bool:
        """Return whether the public network is away at an instant."""
        return any(one.start_s <= at_s < one.end_s for one in self._site.outage)

    def dead(self, opened: Opened, *, islanded: bool) -> frozenset[str]:
        """Return the usage points without supply behind branches that are open."""
        if not opened:
            return frozenset()
        key = (opened, islanded)
        if key not in self._found:
            forming = self._forming_bus() if islanded else None
            flow = self._judge(
                *(np.zeros((1, self._bus_count)) for _ in range(4)),
                starts=interval.starts(0, 1, self._site.interval_s),
                grid_available=np.array([forming is None]),
                forming_bus=forming,
                opened=opened,
            )
            lost = np.isnan(flow["vm_pu"].values[0][self._position])
            self._found[key] = frozenset(
                str(point.id)
                for point, is_lost in zip(self._site.usage_point, lost, strict=True)
                if is_lost
            )
        return self._found[key]

    def _forming_bus(self) -> int | None:
        buses = {point.id: point.bus for point in self._site.usage_point}
        return next((buses[b.usage_point] for b in self._site.battery if b.forming), None)

    def dark(self, state: FieldState) -> frozenset[str]:
        """Return the meters and devices without supply at this instant."""
        at_s = state.clock_s
        dead = self.dead(opened(state, at_s), islanded=self.islanded(at_s))
        meters = {str(m.id) for m in self._site.meter if m.usage_point in dead}
        devices = {
            str(asset.id)
            for asset in self._site.assets
            if not isinstance(asset, Shedding) and asset.usage_point in dead
        }
        return frozenset(meters | devices)

    def require(self, fault: Fault) -> None:
        """Check that a branch can open as a fault says.

        Raises
        ------
        BadInputError
            When there is no such branch, or it opens or closes within an interval.
        """
        if fault.from_s % self._site.interval_s or fault.to_s % self._site.interval_s:
            raise BadInputError(f"fault of {fault.branch}: no interval begins or ends then")
        self.dead(frozenset({fault.opened}), islanded=False)


def opened(state: FieldState, at_s: int) -> Opened:
    """Return the branches that are open at an instant."""
    if not any(fault.kind == "open" for fault in state.faults):
        return _NOTHING
    return frozenset(
        fault.opened
        for fault in state.faults
        if fault.kind == "open" and fault.from_s <= at_s < fault.to_s
    )
