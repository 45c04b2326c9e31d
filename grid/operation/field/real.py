"""Real devices: each at its own address, in a time that nobody stops."""

from __future__ import annotations

from collections.abc import Callable

from grid.errors import PeerError
from grid.interval import label
from grid.site import Site

Clock = Callable[[], float]


class RealField:
    """The devices that a site file names.

    Parameters
    ----------
    site : Site
        Every meter and device with its URL.
    clock : callable
        Gives the time, seconds UTC.
    """

    def __init__(self, site: Site, clock: Clock) -> None:
        self.meters = {str(meter.id): meter.url for meter in site.meter}
        self.devices = {str(asset.id): asset.url for asset in site.assets}
        self._clock = clock

    def advance(self, to_s: int) -> int:
        """Return the time, which is `to_s` or later.

        Raises
        ------
        PeerError
            When it is earlier: what meters count until then is not there to be read.
        """
        now_s = int(self._clock())
        if now_s < to_s:
            raise PeerError(f"it is {label(now_s)}: the cycle of {label(to_s)} is not due yet")
        return now_s

    def now_s(self) -> float:
        """Return the time, seconds UTC."""
        return self._clock()
