"""What simulated meters still say when they lose their supply."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from meters.simulator.dlms import DlmsServers

THROUGH_PERCENT: Final = 80
"""How many get through: many meters send at once, and what keeps them alive is soon empty."""


async def tell(
    servers: DlmsServers, lost: Sequence[tuple[str, int]], port: int | None, seed: int
) -> None:
    """Let the meters that lost their supply say so where somebody hears them.

    Which of them get through is drawn by the seed; only those that speak DLMS try.

    Parameters
    ----------
    lost : sequence of (str, int)
        Meters, and when they lost it, seconds UTC.
    port : int or None
        On loopback; None: nobody hears them.
    """
    if port is None:
        return
    for name, at_s in lost:
        draw = zlib.crc32(f"{seed} {name} {at_s}".encode()) % 100
        if name in servers.meters and draw < THROUGH_PERCENT:
            with suppress(OSError):
                await servers.gasp(name, at_s, "127.0.0.1", port)
